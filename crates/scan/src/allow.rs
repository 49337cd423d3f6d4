//! Inline allowances: `custody:allow RULE reason` in a comment on the secret's line, or alone on the line before;
//! `custody:allow-next-line RULE reason` on the line before.
//!
//! RULE is a rule id or several, joined by commas without spaces. The reason is mandatory: without one, an allowance
//! does not count. There is no wildcard.

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use crate::engine::CONTEXT;

const MARK: &[u8] = b"custody:allow";
const NEXT_LINE: &[u8] = b"-next-line";
const MAX_REASON: usize = 200;

/// An inline allowance, or something that is meant to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Line that it stands on, 1-based.
    pub line: u32,
    /// The rules that it allows.
    pub rules: Vec<String>,
    /// Why.
    pub reason: String,
    /// What it covers.
    pub covers: Covers,
    /// Why it does not count, if it does not.
    pub problem: Option<AllowanceProblem>,
}

/// Which line an allowance covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// Its own.
    ItsLine,
    /// The one below.
    NextLine,
}

/// Why an allowance does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllowanceProblem {
    /// No rule is named.
    #[error("names no rule")]
    NoRule,
    /// What stands for a rule is not a rule id.
    #[error("names something that is not a rule id (a wildcard is not accepted)")]
    NotARuleId,
    /// No reason is given.
    #[error("gives no reason")]
    NoReason,
}

/// All allowances in a file, those that do not count included.
pub fn find_allowances(bytes: &[u8]) -> Vec<Allowance> {
    let (mut line, mut counted) = (1u32, 0);
    Finder::new(MARK)
        .find_iter(bytes)
        .filter_map(|at| {
            line = line.saturating_add(memchr::memchr_iter(b'\n', &bytes[counted..at]).count() as u32);
            counted = at;
            let start = memrchr(b'\n', &bytes[..at]).map_or(0, |p| p + 1);
            let end = memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |p| at + p);
            parse(&bytes[start..end], at - start, line)
        })
        .collect()
}

/// The reason of the allowance that covers the secret at `start..end`, if there is one for `rule`.
pub(crate) fn reason_at(bytes: &[u8], start: usize, end: usize, rule: &str) -> Option<String> {
    let from = start.saturating_sub(CONTEXT);
    let to = bytes.len().min(start.saturating_add(CONTEXT).max(end));
    let line_start = memrchr(b'\n', &bytes[from..start]).map_or(from, |p| from + p + 1);
    let line_end = memchr(b'\n', &bytes[end.min(to)..to]).map_or(to, |p| end.min(to) + p);
    let own = in_line(&bytes[line_start..line_end], Covers::ItsLine, rule);
    let above = || {
        let above_end = line_start.checked_sub(1).filter(|&e| e >= from)?;
        let above_start = memrchr(b'\n', &bytes[from..above_end]).map_or(from, |p| from + p + 1);
        in_line(&bytes[above_start..above_end], Covers::NextLine, rule)
    };
    own.or_else(above)
}

fn in_line(line: &[u8], covers: Covers, rule: &str) -> Option<String> {
    Finder::new(MARK).find_iter(line).find_map(|at| {
        let allowance = parse(line, at, 0)?;
        let applies =
            allowance.problem.is_none() && allowance.covers == covers && allowance.rules.iter().any(|r| r == rule);
        applies.then_some(allowance.reason)
    })
}

/// Parses the allowance whose mark stands at `at` in `line`; `None` if it is another word.
fn parse(line: &[u8], at: usize, number: u32) -> Option<Allowance> {
    let rest = &line[at + MARK.len()..];
    let next_line = rest.strip_prefix(NEXT_LINE);
    let rest = next_line.unwrap_or(rest);
    if rest.first().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return None;
    }
    let text = String::from_utf8_lossy(rest);
    let text = without_comment_end(text.trim());
    let (ids, reason) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let ids = ids.trim_end_matches(':');
    let reason = reason.trim().trim_start_matches(['-', ':', '–', '—']).trim();
    let rules: Vec<String> = ids.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect();
    let problem = if rules.is_empty() {
        Some(AllowanceProblem::NoRule)
    } else if !rules.iter().all(|id| is_rule_id(id)) {
        Some(AllowanceProblem::NotARuleId)
    } else if !reason.chars().any(char::is_alphanumeric) {
        Some(AllowanceProblem::NoReason)
    } else {
        None
    };
    let covers = if next_line.is_some() || is_comment_start(&line[..at]) { Covers::NextLine } else { Covers::ItsLine };
    let reason = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    Some(Allowance { line: number, rules, reason, covers, problem })
}

/// Whether nothing but white space and the start of a comment stands before the mark, so that it stands alone.
fn is_comment_start(before: &[u8]) -> bool {
    let words = before.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    words.into_iter().all(|word| {
        word.iter().all(|b| b"#/*-;%!<'\"({\\.~|".contains(b))
            || matches!(word, b"REM" | b"rem" | b"dnl" | b"@REM" | b"@rem")
    })
}

fn without_comment_end(text: &str) -> &str {
    let mut text = text;
    for end in ["*/", "-->", "--%>", "%>", "#}", "*)", "-}", "}}", "|#", "\"\"\"", "'''"] {
        text = text.strip_suffix(end).unwrap_or(text).trim_end();
    }
    text
}

fn is_rule_id(id: &str) -> bool {
    id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK_TEXT: &str = concat!("custody", ":allow");

    fn allows(text: &str) -> Option<String> {
        let text = text.replace("MARK", MARK_TEXT);
        let at = text.find("SECRET").expect("the text holds the secret");
        reason_at(text.as_bytes(), at, at + 6, "some-rule")
    }

    #[test]
    fn any_comment_syntax_on_the_line_or_alone_before_it_allows() {
        for text in [
            "k = SECRET # MARK some-rule test key",
            "k = SECRET // MARK some-rule test key",
            "<k>SECRET</k> <!-- MARK some-rule test key -->",
            "k: SECRET /* MARK other,some-rule test key */",
            "# MARK some-rule test key\nk = SECRET",
            "  // MARK some-rule: test key\n  k = SECRET",
            "x = 1 # MARK-next-line some-rule test key\nk = SECRET",
            "<!-- MARK some-rule test key -->\r\nk = SECRET\r\n",
            "\"\"\" MARK some-rule test key \"\"\"\nk = SECRET",
        ] {
            assert_eq!(allows(text).as_deref(), Some("test key"), "{text}");
        }
    }

    #[test]
    fn what_names_no_rule_or_reason_or_another_line_does_not() {
        for text in [
            "k = SECRET # MARK some-rule",
            "k = SECRET # MARK",
            "k = SECRET # MARK * test key",
            "k = SECRET # MARK other-rule test key",
            "k = SECRET # MARKed some-rule test key",
            "x = 1 # MARK some-rule test key\nk = SECRET",
            "# MARK some-rule test key\n\nk = SECRET",
            "k = SECRET\n# MARK some-rule test key",
            "k = SECRET # MARK-next-line some-rule test key",
        ] {
            assert_eq!(allows(text), None, "{text}");
        }
    }

    #[test]
    fn all_allowances_are_listed_with_line_and_problem() {
        let text =
            "a\n# MARK some-rule why\nb # MARK some-rule\n# MARK\nc // MARK Bad! why\n".replace("MARK", MARK_TEXT);
        let found = find_allowances(text.as_bytes());
        let problems: Vec<_> = found.iter().map(|a| (a.line, a.problem)).collect();
        use AllowanceProblem::*;
        assert_eq!(problems, [(2, None), (3, Some(NoReason)), (4, Some(NoRule)), (5, Some(NotARuleId))]);
    }
}
