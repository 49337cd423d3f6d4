//! Findings that are known and accepted: a file with one entry per line, sorted by fingerprint, so that moved lines
//! do not matter and merges seldom conflict.
//!
//! ```text
//! # comment
//! <32 hexadecimal digits> <rule> <YYYY-MM-DD> <reason to the end of the line>
//! ```

use std::collections::BTreeMap;
use std::fmt;

use custody_contract::{Finding, FindingStatus, Fingerprint};
use jiff::civil::Date;

/// Accepted findings by fingerprint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    entries: BTreeMap<Fingerprint, BaselineEntry>,
}

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineEntry {
    /// The secret's fingerprint.
    pub fingerprint: Fingerprint,
    /// The rule that named the finding when it was accepted; for people.
    pub rule: String,
    /// When it was accepted.
    pub date: Date,
    /// Why.
    pub reason: String,
}

/// What is wrong with a line of a baseline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BaselineError {
    /// Line, 1-based.
    pub line: u32,
    /// What is wrong.
    pub problem: BaselineProblem,
}

/// The ways in which a line is no baseline entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineProblem {
    /// The first word is no fingerprint.
    #[error("does not start with a fingerprint of 32 lower-case hexadecimal digits")]
    Fingerprint,
    /// The second word is no rule id.
    #[error("names no rule after the fingerprint")]
    Rule,
    /// The third word is no date.
    #[error("has no date of the form YYYY-MM-DD after the rule")]
    Date,
    /// Nothing follows the date.
    #[error("gives no reason after the date")]
    Reason,
    /// The fingerprint stands in an earlier line already.
    #[error("repeats the fingerprint of line {first}")]
    Duplicate {
        /// The earlier line.
        first: u32,
    },
}

impl Baseline {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses a baseline. Lines are sorted on rendering; here their order does not matter.
    ///
    /// # Errors
    ///
    /// All lines that are wrong, not only the first.
    pub fn parse(text: &str) -> Result<Self, Vec<BaselineError>> {
        let mut lines: BTreeMap<Fingerprint, u32> = BTreeMap::new();
        let (mut baseline, mut errors) = (Baseline::new(), Vec::new());
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, content) in (1u32..).zip(text.lines().map(str::trim)) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            match parse_entry(content) {
                Err(problem) => errors.push(BaselineError { line, problem }),
                Ok(entry) => match lines.get(&entry.fingerprint) {
                    Some(&first) => errors.push(BaselineError { line, problem: BaselineProblem::Duplicate { first } }),
                    None => {
                        lines.insert(entry.fingerprint, line);
                        baseline.entries.insert(entry.fingerprint, entry);
                    }
                },
            }
        }
        if errors.is_empty() { Ok(baseline) } else { Err(errors) }
    }

    /// The entries, in order of fingerprint.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &BaselineEntry> {
        self.entries.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of that fingerprint.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&BaselineEntry> {
        self.entries.get(fingerprint)
    }

    /// Marks the open findings that the baseline holds and returns its stale entries: those of which no finding,
    /// whatever its status, has the fingerprint.
    pub fn apply(&self, findings: &mut [Finding]) -> Vec<BaselineEntry> {
        let mut stale = self.entries.clone();
        for finding in findings {
            stale.remove(&finding.fingerprint);
            if let (FindingStatus::Open, Some(entry)) = (&finding.status, self.get(&finding.fingerprint)) {
                finding.status = FindingStatus::Baselined { reason: entry.reason.clone() };
            }
        }
        stale.into_values().collect()
    }

    /// Accepts the open findings that are not in it yet; returns how many. Entries that are there keep date and reason.
    pub fn accept(&mut self, findings: &[Finding], date: Date, reason: &str) -> usize {
        let before = self.entries.len();
        let reason = one_line(reason);
        for finding in findings.iter().filter(|f| f.status == FindingStatus::Open) {
            self.entries.entry(finding.fingerprint).or_insert_with(|| BaselineEntry {
                fingerprint: finding.fingerprint,
                rule: finding.rule.to_string(),
                date,
                reason: reason.clone(),
            });
        }
        self.entries.len() - before
    }

    /// Removes an entry, such as a stale one.
    pub fn remove(&mut self, fingerprint: &Fingerprint) -> Option<BaselineEntry> {
        self.entries.remove(fingerprint)
    }
}

/// Without what would end the line or read as nothing.
fn one_line(reason: &str) -> String {
    let words: Vec<&str> =
        reason.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    if words.is_empty() { "accepted".to_owned() } else { words.join(" ") }
}

fn parse_entry(line: &str) -> Result<BaselineEntry, BaselineProblem> {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = after.trim_start();
        word
    };
    let fingerprint = word().parse().map_err(|_| BaselineProblem::Fingerprint)?;
    let rule = word();
    let known_form = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if rule.is_empty() || !rule.bytes().all(known_form) || rule.parse::<Date>().is_ok() {
        return Err(BaselineProblem::Rule);
    }
    let date = word();
    let date = Some(date).filter(|d| d.len() == 10).and_then(|d| d.parse().ok()).ok_or(BaselineProblem::Date)?;
    let reason = rest.trim();
    if reason.is_empty() {
        return Err(BaselineProblem::Reason);
    }
    Ok(BaselineEntry { fingerprint, rule: rule.to_owned(), date, reason: reason.to_owned() })
}

impl fmt::Display for BaselineEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.fingerprint, self.rule, self.date, self.reason)
    }
}

impl fmt::Display for Baseline {
    /// The file's text: a heading and the entries in order of fingerprint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# custody baseline: findings known and accepted. One a line: fingerprint rule date reason\n")?;
        self.entries.values().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(secret: &str, rest: &str) -> String {
        format!("{} {rest}", Fingerprint::of(secret.as_bytes()))
    }

    #[test]
    fn a_baseline_round_trips_sorted() {
        let text =
            format!("# old\n\n{}\n  {}\r\n", line("b", "some-rule 2026-03-01 test key"), line("a", "x 2026-02-28 y"));
        let baseline = Baseline::parse(&text).expect("valid");
        let rendered = baseline.to_string();
        assert_eq!(Baseline::parse(&rendered), Ok(baseline));
        let entries: Vec<_> = rendered.lines().skip(1).collect();
        assert!(entries.is_sorted() && entries.len() == 2);
    }

    #[test]
    fn each_wrong_line_is_named() {
        let text = [
            line("a", "some-rule 2026-03-01 reason"),
            "xyz".into(),
            line("b", ""),
            line("c", "some-rule 2026-02-30 reason"),
            line("d", "some-rule 2026-02-28"),
            line("a", "some-rule 2026-03-01 again"),
            line("e", "2026-02-28 reason"),
        ]
        .join("\n");
        use BaselineProblem::*;
        let errors = Baseline::parse(&text).expect_err("wrong lines");
        let found: Vec<_> = errors.into_iter().map(|e| (e.line, e.problem)).collect();
        assert_eq!(
            found,
            [(2, Fingerprint), (3, Rule), (4, Date), (5, Reason), (6, Duplicate { first: 1 }), (7, Rule)]
        );
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_without_panic(text in "\\PC*|([0-9a-f]{32} [a-z-]{0,5} [0-9-]{0,12} \\PC{0,9}\n){0,4}") {
            let _ = Baseline::parse(&text);
        }
    }
}
