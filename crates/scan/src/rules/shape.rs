//! What a rule's pattern says about where its matches lie relative to its keywords. Shared with the build script.
//!
//! The engine looks at a window around each keyword; the smaller the window, the faster. This derives, from the
//! parsed pattern, how far before a keyword a match can start and how long it can be.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Where matches of a pattern lie relative to its keywords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// A match starts at most this many bytes before its keyword; `None` if that cannot be said, because the
    /// keyword need not be part of the match.
    pub lead: Option<u32>,
    /// Longest match; `None` if unbounded.
    pub extent: Option<u32>,
    /// Whether a match can contain a line feed.
    pub multiline: bool,
    /// Whether keywords stand in each match exactly as the rule spells them, so that other cases need no look.
    pub exact: bool,
}

impl Shape {
    /// Derives the shape.
    ///
    /// # Errors
    ///
    /// What is wrong with the pattern, in `regex-syntax`'s words.
    pub fn of(pattern: &str, keywords: &[String]) -> Result<Self, String> {
        let hir = parse(pattern)?;
        if hir.properties().minimum_len().unwrap_or(0) == 0 {
            return Err("the pattern matches the empty string".into());
        }
        let exact_keywords: Vec<Vec<u8>> = keywords.iter().map(|k| k.as_bytes().to_vec()).collect();
        let exact = keyword_offset(&hir, &exact_keywords, Case::Exact);
        let lead = exact.or_else(|| keyword_offset(&hir, &exact_keywords, Case::Folded));
        Ok(Shape {
            lead: lead.and_then(|l| u32::try_from(l).ok()),
            extent: hir.properties().maximum_len().and_then(|l| u32::try_from(l).ok()),
            multiline: may_contain_line_feed(&hir),
            exact: exact.is_some(),
        })
    }
}

fn parse(pattern: &str) -> Result<Hir, String> {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(100)
        .build()
        .parse(pattern)
        .map_err(|e| e.to_string())
}

#[derive(Clone, Copy)]
enum Case {
    Exact,
    Folded,
}

/// The largest offset at which the first keyword of a match can start, if each match contains one.
fn keyword_offset(hir: &Hir, keywords: &[Vec<u8>], case: Case) -> Option<usize> {
    match hir.kind() {
        HirKind::Capture(capture) => keyword_offset(&capture.sub, keywords, case),
        HirKind::Repetition(repetition) if repetition.min >= 1 => keyword_offset(&repetition.sub, keywords, case),
        HirKind::Alternation(branches) => {
            branches.iter().map(|b| keyword_offset(b, keywords, case)).try_fold(0, |max, o| Some(max.max(o?)))
        }
        HirKind::Literal(_) | HirKind::Class(_) | HirKind::Concat(_) => in_sequence(hir, keywords, case),
        _ => None,
    }
}

/// One step of a flattened concatenation.
enum Step<'a> {
    Byte(u8),
    Node(&'a Hir),
}

fn in_sequence(hir: &Hir, keywords: &[Vec<u8>], case: Case) -> Option<usize> {
    let mut steps = Vec::new();
    flatten(hir, &mut steps);
    let mut before = Some(0usize);
    let mut best: Option<usize> = None;
    for at in 0..steps.len() {
        let base = before?;
        if best.is_some_and(|b| b <= base) {
            break;
        }
        let here = if keywords.iter().any(|k| spells(&steps[at..], k, case)) {
            Some(0)
        } else {
            match &steps[at] {
                Step::Node(node) if !matches!(node.kind(), HirKind::Class(_) | HirKind::Literal(_)) => {
                    keyword_offset(node, keywords, case)
                }
                _ => None,
            }
        };
        if let Some(offset) = here {
            best = Some(best.map_or(base + offset, |b| b.min(base + offset)));
        }
        before = match &steps[at] {
            Step::Byte(_) => Some(base + 1),
            Step::Node(node) => node.properties().maximum_len().map(|l| base + l),
        };
        if before.is_none() {
            break;
        }
    }
    best
}

fn flatten<'a>(hir: &'a Hir, steps: &mut Vec<Step<'a>>) {
    match hir.kind() {
        HirKind::Literal(literal) => steps.extend(literal.0.iter().map(|&b| Step::Byte(b))),
        HirKind::Concat(parts) => parts.iter().for_each(|p| flatten(p, steps)),
        HirKind::Capture(capture) => flatten(&capture.sub, steps),
        HirKind::Empty | HirKind::Look(_) => {}
        _ => steps.push(Step::Node(hir)),
    }
}

/// Whether the steps start with the keyword, whatever is matched.
fn spells(steps: &[Step<'_>], keyword: &[u8], case: Case) -> bool {
    if steps.len() < keyword.len() {
        // An alternation or a class may still begin with the keyword's rest; not worth following.
        return false;
    }
    steps.iter().zip(keyword).all(|(step, &wanted)| match (step, case) {
        (Step::Byte(b), Case::Exact) => *b == wanted,
        (Step::Byte(b), Case::Folded) => b.eq_ignore_ascii_case(&wanted),
        (Step::Node(node), Case::Folded) => match node.kind() {
            HirKind::Class(Class::Bytes(class)) => {
                class.ranges().iter().all(|r| (r.start()..=r.end()).all(|b| b.eq_ignore_ascii_case(&wanted)))
            }
            _ => false,
        },
        (Step::Node(_), Case::Exact) => false,
    })
}

fn may_contain_line_feed(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Bytes(class)) => class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&b'\n')),
        HirKind::Class(Class::Unicode(class)) => class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&'\n')),
        HirKind::Repetition(repetition) => may_contain_line_feed(&repetition.sub),
        HirKind::Capture(capture) => may_contain_line_feed(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(may_contain_line_feed),
    }
}
