use crate::{Diagnostic, Evidence, Fingerprint, Level};

/// What a domain crate says of one clause, before enforcement and waivers make it a verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// What was looked at. Empty only if the clause does not apply.
    pub evidence: Vec<Evidence>,
    /// What is wrong. One at error level makes the clause fail; warnings and notes do not.
    pub problems: Vec<Diagnostic>,
    /// The findings that make it fail.
    pub findings: Vec<Fingerprint>,
    /// Why it could not be evaluated in full, one sentence fragment each.
    pub incomplete: Vec<String>,
    /// Why the clause does not apply: the repository has nothing that it speaks of.
    pub not_applicable: Option<String>,
}

impl Evaluation {
    /// A clause that does not apply, with the reason.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Evaluation { not_applicable: Some(why.into()), ..Evaluation::default() }
    }

    /// Adds a thing that was looked at.
    pub fn saw(&mut self, what: impl Into<String>, amount: impl Into<String>) {
        self.evidence.push(Evidence { what: what.into(), amount: amount.into(), with: None });
    }

    /// Whether something at error level, or a finding, stands against the clause.
    pub fn fails(&self) -> bool {
        !self.findings.is_empty() || self.problems.iter().any(|p| p.level == Level::Error)
    }
}
