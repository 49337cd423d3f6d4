//! What a rule's pattern says about where its matches lie relative to its keywords. Shared with the build script.
//!
//! The engine looks at a window around each keyword; the smaller the window, the faster, and the less of a stored
//! version has to be looked at again when another differs from it.

use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Repetition};

use super::alphabet::Alphabet;

/// Shortest run that is worth looking for before a pattern is tried.
const LEAST_RUN: u32 = 12;

/// Where matches of a pattern lie relative to its keywords, and what each of them contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// A match starts at most this many bytes before its keyword; `None` if that cannot be said, because the
    /// keyword need not be part of the match.
    pub lead: Option<u32>,
    /// Longest match; `None` if unbounded.
    pub extent: Option<u32>,
    /// Whether keywords stand in each match exactly as the rule spells them, so that other cases need no look.
    pub exact: bool,
    /// Each match contains so many characters of the alphabet in a row.
    pub run: Option<(Alphabet, u32)>,
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
        let as_written: Vec<Vec<u8>> = keywords.iter().map(|k| k.as_bytes().to_vec()).collect();
        let lower: Vec<Vec<u8>> = as_written.iter().map(|k| k.to_ascii_lowercase()).collect();
        let exact = offset(&hir, &as_written);
        let lead = exact.or_else(|| offset(&folded(&hir), &lower));
        Ok(Shape {
            lead: lead.and_then(|l| u32::try_from(l).ok()),
            extent: hir.properties().maximum_len().and_then(|l| u32::try_from(l).ok()),
            exact: exact.is_some(),
            run: run(&hir),
        })
    }
}

pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .nest_limit(100)
        .build()
        .parse(pattern)
        .map_err(|e| e.to_string())
}

/// The pattern that matches the lower-case form of everything that this one matches.
pub(super) fn folded(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Literal(literal) => Hir::literal(literal.0.to_ascii_lowercase()),
        HirKind::Class(Class::Bytes(class)) => {
            let bytes = class.iter().flat_map(|range| range.start()..=range.end());
            let lower = bytes.map(|byte| byte.to_ascii_lowercase());
            Hir::class(Class::Bytes(ClassBytes::new(lower.map(|byte| ClassBytesRange::new(byte, byte)))))
        }
        // Without Unicode mode, no pattern has one.
        HirKind::Class(class @ Class::Unicode(_)) => Hir::class(class.clone()),
        HirKind::Repetition(repetition) => {
            Hir::repetition(Repetition { sub: Box::new(folded(&repetition.sub)), ..repetition.clone() })
        }
        HirKind::Capture(capture) => folded(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(folded).collect()),
        HirKind::Alternation(branches) => Hir::alternation(branches.iter().map(folded).collect()),
    }
}

/// The largest offset at which a keyword of a match can start, if each match contains one.
fn offset(hir: &Hir, keywords: &[Vec<u8>]) -> Option<usize> {
    if starts_with_keyword(hir, keywords) {
        return Some(0);
    }
    match hir.kind() {
        HirKind::Capture(capture) => offset(&capture.sub, keywords),
        HirKind::Repetition(repetition) if repetition.min >= 1 => offset(&repetition.sub, keywords),
        HirKind::Alternation(branches) => {
            branches.iter().map(|b| offset(b, keywords)).try_fold(0, |max, o| Some(max.max(o?)))
        }
        HirKind::Concat(_) | HirKind::Literal(_) => in_sequence(hir, keywords),
        _ => None,
    }
}

fn in_sequence(hir: &Hir, keywords: &[Vec<u8>]) -> Option<usize> {
    let mut parts = Vec::new();
    flatten(hir, &mut parts);
    let mut before = 0;
    let mut best: Option<usize> = None;
    for at in 0..parts.len() {
        if best.is_some_and(|b| b <= before) {
            break;
        }
        let here = if starts_with_keyword(&Hir::concat(parts[at..].to_vec()), keywords) {
            Some(0)
        } else if matches!(parts[at].kind(), HirKind::Literal(_)) {
            None
        } else {
            offset(&parts[at], keywords)
        };
        if let Some(offset) = here {
            best = Some(best.map_or(before + offset, |b| b.min(before + offset)));
        }
        match parts[at].properties().maximum_len() {
            Some(length) => before += length,
            None => break,
        }
    }
    best
}

/// The parts of a concatenation, each byte of a literal one of its own.
pub(super) fn flatten(hir: &Hir, parts: &mut Vec<Hir>) {
    match hir.kind() {
        HirKind::Literal(literal) => parts.extend(literal.0.iter().map(|&b| Hir::literal([b]))),
        HirKind::Concat(inner) => inner.iter().for_each(|p| flatten(p, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Empty | HirKind::Look(_) => {}
        _ => parts.push(hir.clone()),
    }
}

/// Whether a keyword stands at the start of whatever is matched.
fn starts_with_keyword(hir: &Hir, keywords: &[Vec<u8>]) -> bool {
    let mut extractor = Extractor::new();
    extractor.limit_class(16).limit_repeat(16).limit_literal_len(64).limit_total(512);
    let prefixes = extractor.extract(hir);
    let starts = |prefix: &[u8]| keywords.iter().any(|keyword| prefix.starts_with(keyword));
    prefixes.literals().is_some_and(|all| !all.is_empty() && all.iter().all(|prefix| starts(prefix.as_bytes())))
}

/// The run that each match is sure to contain: of the narrowest alphabet that has a long one.
fn run(hir: &Hir) -> Option<(Alphabet, u32)> {
    Alphabet::ALL.into_iter().find_map(|alphabet| {
        let least = Runs::of(hir, alphabet).best;
        (least >= LEAST_RUN).then_some((alphabet, least))
    })
}

/// Which runs of an alphabet all matches of a pattern contain.
#[derive(Clone, Copy)]
struct Runs {
    /// A match consists of nothing else.
    whole: bool,
    /// Shortest match.
    length: u32,
    /// Run that a match starts with, ends with, contains: shortest over all matches.
    first: u32,
    last: u32,
    best: u32,
}

impl Runs {
    const EMPTY: Runs = Runs { whole: true, length: 0, first: 0, last: 0, best: 0 };

    fn of(hir: &Hir, alphabet: Alphabet) -> Runs {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Runs::EMPTY,
            HirKind::Literal(literal) => {
                literal.0.iter().map(|&byte| Runs::one(alphabet.has(byte))).fold(Runs::EMPTY, Runs::then)
            }
            HirKind::Class(Class::Bytes(class)) => {
                let mut bytes = class.iter().flat_map(|range| range.start()..=range.end());
                Runs::one(bytes.all(|byte| alphabet.has(byte)))
            }
            HirKind::Class(Class::Unicode(_)) => Runs::one(false),
            HirKind::Capture(capture) => Runs::of(&capture.sub, alphabet),
            HirKind::Concat(parts) => parts.iter().map(|p| Runs::of(p, alphabet)).fold(Runs::EMPTY, Runs::then),
            HirKind::Alternation(branches) => {
                branches.iter().map(|b| Runs::of(b, alphabet)).reduce(Runs::or).unwrap_or(Runs::EMPTY)
            }
            HirKind::Repetition(repetition) => Runs::of(&repetition.sub, alphabet).times(repetition.min),
        }
    }

    fn one(inside: bool) -> Runs {
        let run = u32::from(inside);
        Runs { whole: inside, length: 1, first: run, last: run, best: run }
    }

    fn then(self, next: Runs) -> Runs {
        Runs {
            whole: self.whole && next.whole,
            length: self.length.saturating_add(next.length),
            first: if self.whole { self.length.saturating_add(next.first) } else { self.first },
            last: if next.whole { next.length.saturating_add(self.last) } else { next.last },
            best: self.best.max(next.best).max(self.last.saturating_add(next.first)),
        }
    }

    fn or(self, other: Runs) -> Runs {
        Runs {
            whole: self.whole && other.whole,
            length: self.length.min(other.length),
            first: self.first.min(other.first),
            last: self.last.min(other.last),
            best: self.best.min(other.best),
        }
    }

    fn times(self, least: u32) -> Runs {
        if self.whole {
            let length = self.length.saturating_mul(least);
            return Runs { whole: true, length, first: length, last: length, best: length };
        }
        match least {
            0 => Runs { whole: false, ..Runs::EMPTY },
            1 => self,
            _ => Runs {
                length: self.length.saturating_mul(least),
                best: self.best.max(self.last.saturating_add(self.first)),
                ..self
            },
        }
    }
}
