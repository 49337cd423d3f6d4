//! ENV-5a to ENV-5e and the working tree of ENV-4: no secret material on any surface.

use std::collections::BTreeSet;

use custody_contract::{Contract, Coverage, Diagnostic, Evaluation, Evidence, Finding, Place, Severity, Surface};
use custody_scan::rules::RuleSet;

use crate::decision::count;
use crate::search::HistorySeen;

/// The findings of a run, as clauses see them.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub contract: &'a Contract,
    pub findings: &'a [Finding],
    pub coverage: &'a [Coverage],
    pub rules: &'a RuleSet,
}

impl Seen<'_> {
    /// Rules and digest, for evidence.
    pub fn rules(&self) -> String {
        format!("{}, digest {}", count(self.rules.len(), "rule"), self.rules.digest())
    }

    /// Sorts the findings on `surface` into an evaluation: those that block make it fail, milder ones warn.
    pub fn findings_on(&self, surface: Option<Surface>, clause: &str, evaluation: &mut Evaluation) {
        for finding in self.findings {
            let on = |o: &&custody_contract::Occurrence| surface.is_none_or(|s| o.surface == s);
            let Some(first) = finding.occurrences.iter().find(on) else { continue };
            if finding.blocks(self.contract.block_at) {
                evaluation.findings.push(finding.fingerprint);
            } else if finding.status == custody_contract::FindingStatus::Open {
                evaluation.problems.push(milder(finding, first, clause, self.contract.block_at));
            }
        }
    }

    /// Evidence, findings and completeness of one surface.
    pub fn evaluate(&self, surface: Surface, clause: &str) -> Evaluation {
        let mut evaluation = Evaluation::default();
        for account in self.coverage.iter().filter(|c| c.surface == surface) {
            evaluation.evidence.push(evidence(account, self.rules()));
            evaluation.incomplete.extend(incomplete(account));
        }
        self.findings_on(Some(surface), clause, &mut evaluation);
        evaluation
    }

    /// As [`Seen::evaluate`], not applicable where the contract's directories hold no file.
    pub fn named(&self, surface: Surface, clause: &str) -> Evaluation {
        let expected: u64 = self.coverage.iter().filter(|c| c.surface == surface).map(|c| c.expected).sum();
        if expected == 0 {
            return Evaluation::not_applicable(format!("no file stands where the contract names {surface}"));
        }
        self.evaluate(surface, clause)
    }

    /// ENV-5a.
    pub fn history(&self, seen: &HistorySeen) -> Evaluation {
        match seen {
            HistorySeen::NoRepository => Evaluation::not_applicable("there is no git repository"),
            HistorySeen::Searched => self.evaluate(Surface::History, "ENV-5a"),
            HistorySeen::Not(why) => {
                let mut evaluation = Evaluation::default();
                evaluation.saw("git history", "nothing of it");
                evaluation.incomplete.push(why.clone());
                evaluation
            }
        }
    }
}

fn milder(finding: &Finding, first: &custody_contract::Occurrence, clause: &str, block_at: Severity) -> Diagnostic {
    Diagnostic::warning(clause, format!("{} ({})", finding.title, finding.severity))
        .at(Place::at(first.path.clone(), first.line, first.column))
        .why(format!("rule {}, fingerprint {}; it blocks from {block_at} on", finding.rule, finding.fingerprint))
        .fix(finding.remedy.clone())
}

fn evidence(account: &Coverage, with: String) -> Evidence {
    let mut amount = format!("{} of {} {}, {}", account.read, account.expected, account.unit, bytes(account.bytes));
    if account.skipped_total > 0 {
        amount.push_str(&format!(", {} not read", account.skipped_total));
    }
    if account.opaque > 0 {
        amount.push_str(&format!(", {} as raw bytes only", account.opaque));
    }
    let what = match account.surface {
        Surface::WorkingTree => "working tree".to_owned(),
        Surface::History => "git history".to_owned(),
        surface => surface.to_string(),
    };
    Evidence { what, amount, with: Some(with) }
}

fn incomplete(account: &Coverage) -> Option<String> {
    if !account.is_incomplete() {
        return None;
    }
    let first = account.skipped.iter().find(|s| s.reason.is_incomplete());
    let example = first.map_or(String::new(), |s| format!(", such as {} ({})", s.what, s.reason));
    Some(format!("{} of {} {} were not read{example}", account.incomplete_total, account.expected, account.unit))
}

/// Bytes for people.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{n} bytes"),
        _ if value < 9.95 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// What a finding's clauses are, for fingerprints that bear on a clause without making it fail.
pub(crate) fn bearing(findings: &[Finding], surface: Option<Surface>) -> Vec<custody_contract::Fingerprint> {
    let on = |f: &&Finding| surface.is_none_or(|s| f.occurrences.iter().any(|o| o.surface == s));
    let set: BTreeSet<_> = findings.iter().filter(on).map(|f| f.fingerprint).collect();
    set.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_bytes_are_short() {
        for (n, text) in
            [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1.0 kB"), (9_999, "10 kB"), (3_141_592, "3.1 MB")]
        {
            assert_eq!(bytes(n), text);
        }
    }
}
