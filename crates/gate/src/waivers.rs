//! Baseline, waivers and what is wrong with them.
//!
//! A finding counts unless an inline allowance, the baseline or a waiver says otherwise, asked in that order.

use std::collections::BTreeSet;

use custody_contract::file::{Waiver, locate};
use custody_contract::{Diagnostic, FileTree, Finding, FindingStatus, Place};
use custody_scan::baseline::Baseline;
use custody_scan::source::BaseTree;
use jiff::civil::Date;

use crate::input::GateInput;

/// Days before its expiry from which a waiver is reported.
const EXPIRES_SOON_DAYS: i64 = 14;

/// The baseline in force and what is wrong with it.
pub(crate) struct Accepted {
    pub baseline: Baseline,
    /// Errors of ROT-3: a baseline that cannot be read accepts nothing.
    pub problems: Vec<Diagnostic>,
}

/// Reads the baseline: the base revision's where there is a base.
pub(crate) fn read_baseline(path: &str, base: Option<&BaseTree>, tree: &dyn FileTree) -> Accepted {
    let content = match base {
        Some(base) => base.read(path).map_err(|e| e.to_string()),
        None => match tree.read(path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        },
    };
    let failed = |why: String, place: Place| {
        Diagnostic::error("ROT-3", "the baseline cannot be read and accepts nothing")
            .at(place)
            .why(why)
            .fix("correct the line, or remove the file")
    };
    let text = match content {
        Ok(None) => return Accepted { baseline: Baseline::new(), problems: Vec::new() },
        Ok(Some(content)) => String::from_utf8(content).map_err(|_| "it is not UTF-8".to_owned()),
        Err(why) => Err(why),
    };
    match text.map(|text| Baseline::parse(&text)) {
        Ok(Ok(baseline)) => Accepted { baseline, problems: Vec::new() },
        Ok(Err(errors)) => Accepted {
            baseline: Baseline::new(),
            problems: errors.iter().map(|e| failed(e.problem.to_string(), Place::at(path, e.line, 1))).collect(),
        },
        Err(why) => Accepted { baseline: Baseline::new(), problems: vec![failed(why, Place::file(path))] },
    }
}

/// Sets the status of findings by baseline and waivers; returns what is stale, expired or soon to expire.
pub(crate) fn apply(
    input: &GateInput<'_>,
    baseline: &Baseline,
    findings: &mut [Finding],
    waivers_used: &mut BTreeSet<String>,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for entry in baseline.apply(findings) {
        diagnostics.push(
            Diagnostic::warning("baseline-stale", format!("baseline entry {} matches nothing", entry.fingerprint))
                .at(Place::file(input.contract.baseline.clone()))
                .why(format!(
                    "rule {}, accepted on {}; no finding of this run has the fingerprint",
                    entry.rule, entry.date
                ))
                .fix("remove the line: a secret that comes back should be a finding"),
        );
    }
    for waiver in &input.contract.waivers {
        let mut matched = false;
        for finding in findings.iter_mut().filter(|f| covers(waiver, f)) {
            matched = true;
            if waiver.is_valid_on(input.today) && finding.status == FindingStatus::Open {
                finding.status = FindingStatus::Waived { waiver: waiver.id.clone() };
            }
        }
        if matched {
            waivers_used.insert(waiver.id.clone());
        }
    }
    diagnostics
}

/// Whether the waiver speaks of this finding and of every place in which it stands.
pub fn covers(waiver: &Waiver, finding: &Finding) -> bool {
    let named = waiver.fingerprint == Some(finding.fingerprint)
        || waiver.rule.as_deref().is_some_and(|rule| rule == &*finding.rule);
    let everywhere =
        waiver.paths.is_empty() || finding.occurrences.iter().all(|occurrence| waiver.paths.is_match(&occurrence.path));
    named && everywhere
}

/// What is to be said of the waivers themselves, once it is known which made a difference.
pub(crate) fn review(input: &GateInput<'_>, used: &BTreeSet<String>) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (index, waiver) in input.contract.waivers.iter().enumerate() {
        let place = || locate(input.contract_text, input.contract_file(), &["waiver", &index.to_string()]);
        let left = days_left(waiver, input.today);
        let said = match left {
            left if left < 0 => Some((
                "waiver-expired",
                format!("waiver {} has expired on {} and counts no more", waiver.id, waiver.expires),
            )),
            left if !used.contains(&waiver.id) => {
                let _ = left;
                Some(("waiver-stale", format!("waiver {} matches nothing", waiver.id)))
            }
            0 => Some(("waiver-expiring", format!("waiver {} expires today", waiver.id))),
            left if left <= EXPIRES_SOON_DAYS => {
                Some(("waiver-expiring", format!("waiver {} expires in {left} days, on {}", waiver.id, waiver.expires)))
            }
            _ => None,
        };
        let Some((code, what)) = said else { continue };
        let fix = match code {
            "waiver-expiring" => "fix what it covers before that day",
            "waiver-stale" => "remove it: what it was for is gone",
            _ => "remove it, or fix what it covered",
        };
        diagnostics.push(
            Diagnostic::warning(code, what)
                .at(place())
                .why(format!("owner {}, reason: {}", waiver.owner, waiver.reason))
                .fix(fix),
        );
    }
    diagnostics
}

fn days_left(waiver: &Waiver, today: Date) -> i64 {
    today.duration_until(waiver.expires.0).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use custody_contract::MemoryTree;

    use super::*;

    #[test]
    fn a_baseline_with_a_wrong_line_accepts_nothing_and_is_an_error() {
        let good = format!("{} some-rule 2026-03-01 rotated\n", custody_contract::Fingerprint::of(b"x"));
        let tree = MemoryTree::new([("b", format!("{good}nonsense\n")), ("good", good)]);
        let accepted = read_baseline("b", None, &tree);
        assert!(accepted.baseline.is_empty());
        assert_eq!(accepted.problems[0].place.as_ref().map(|p| p.line), Some(2));
        assert_eq!(read_baseline("good", None, &tree).baseline.entries().len(), 1);
        let absent = read_baseline("absent", None, &tree);
        assert!(absent.baseline.is_empty() && absent.problems.is_empty());
    }
}
