//! Which inline allowances count.
//!
//! `custody:allow RULE reason` is written by whoever writes the code. Measured against a base, an allowance counts only
//! where the file at the same path in the base already allows the same secret; what the change adds is reported. In
//! history, a place counts as allowed where the same file is trusted to allow that secret now: the decision is about the
//! secret in that file, and old versions cannot be annotated. An old version's own allowance counts without a base only:
//! whether its commit belongs to the change cannot be told from its content.

use std::collections::{BTreeMap, BTreeSet};

use custody_contract::{Diagnostic, Finding, FindingStatus, Fingerprint, Place, Surface};
use custody_scan::engine::{Engine, Input, Scratch};
use custody_scan::source::BaseTree;

/// Whose inline allowances count.
#[derive(Clone, Copy)]
pub enum AllowancesOf<'a> {
    /// The files' own: nothing is measured against a base.
    Files,
    /// Those of a revision that the change cannot have written.
    Base(&'a BaseTree),
    /// Nobody's: there is no such revision.
    Nobody,
}

/// Decides which allowances count, and sets the findings' status by them. Returns what the change added.
pub fn settle_allowances(findings: &mut [Finding], engine: &Engine, of: AllowancesOf<'_>) -> Vec<Diagnostic> {
    let trusted = match of {
        AllowancesOf::Base(base) => Trusted::of_base(findings, engine, base),
        AllowancesOf::Files => Trusted::of_tree(findings),
        AllowancesOf::Nobody => Trusted(BTreeMap::new()),
    };
    let is_guarded = !matches!(of, AllowancesOf::Files);
    let mut added = Vec::new();
    for finding in findings {
        for occurrence in &mut finding.occurrences {
            let reason = trusted.reason(&occurrence.path, &finding.fingerprint);
            let in_history = occurrence.surface == Surface::History;
            match (&occurrence.allowed, reason) {
                (Some(_), Some(_)) => {}
                (None, Some(reason)) if in_history => occurrence.allowed = Some(reason.to_owned()),
                (Some(_), None) if is_guarded => {
                    occurrence.allowed = None;
                    if !in_history {
                        added.push(added_here(finding.rule.as_ref(), &occurrence.path, occurrence.line));
                    }
                }
                _ => {}
            }
        }
        let all = finding.occurrences.iter().all(|o| o.allowed.is_some());
        let reason = finding.occurrences.first().and_then(|o| o.allowed.clone());
        finding.status = match reason {
            Some(reason) if all => FindingStatus::Allowed { reason },
            _ => FindingStatus::Open,
        };
    }
    added
}

fn added_here(rule: &str, path: &str, line: u32) -> Diagnostic {
    Diagnostic::warning("custody-contract-changed", format!("the change allows a finding of {rule} inline"))
        .at(Place::at(path, line, 0))
        .why("a change cannot approve itself; the allowance does not count yet")
        .fix("have the allowance reviewed and merged by itself, or remove the secret")
}

/// The allowances that count: reason by path and secret.
struct Trusted(BTreeMap<(String, Fingerprint), String>);

impl Trusted {
    fn reason(&self, path: &str, fingerprint: &Fingerprint) -> Option<&str> {
        self.0.get(&(path.to_owned(), *fingerprint)).map(String::as_str)
    }

    fn of_tree(findings: &[Finding]) -> Self {
        let mut trusted = BTreeMap::new();
        for finding in findings {
            let mut open: BTreeSet<&str> = BTreeSet::new();
            for occurrence in finding.occurrences.iter().filter(|o| o.surface != Surface::History) {
                match &occurrence.allowed {
                    Some(reason) => {
                        trusted.insert((occurrence.path.clone(), finding.fingerprint), reason.clone());
                    }
                    None => {
                        open.insert(&occurrence.path);
                    }
                }
            }
            // A file that allows the secret in one place only does not speak for its old versions.
            trusted
                .retain(|(path, fingerprint), _| *fingerprint != finding.fingerprint || !open.contains(path.as_str()));
        }
        Trusted(trusted)
    }

    fn of_base(findings: &[Finding], engine: &Engine, base: &BaseTree) -> Self {
        // Only files in which something might be allowed are read: a few.
        let is_candidate = |f: &&Finding| f.occurrences.iter().any(|o| o.allowed.is_some());
        let paths: BTreeSet<&str> =
            findings.iter().filter(is_candidate).flat_map(|f| f.occurrences.iter().map(|o| o.path.as_str())).collect();
        let mut trusted = BTreeMap::new();
        let mut scratch = Scratch::default();
        for path in paths {
            // What cannot be read at the base allows nothing.
            let Ok(Some(content)) = base.read(path) else { continue };
            let mut matches = Vec::new();
            engine.scan(&mut scratch, &Input::new(&content, Some(path), Surface::WorkingTree), &mut matches);
            let open: BTreeSet<Fingerprint> =
                matches.iter().filter(|m| m.allowed.is_none()).map(|m| m.fingerprint).collect();
            for matched in matches {
                if let Some(reason) = matched.allowed.filter(|_| !open.contains(&matched.fingerprint)) {
                    trusted.insert((path.to_owned(), matched.fingerprint), reason);
                }
            }
        }
        Trusted(trusted)
    }
}
