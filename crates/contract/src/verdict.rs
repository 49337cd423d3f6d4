use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClauseId, Diagnostic, Fingerprint};

/// What the gate says of one clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The clause holds.
    Pass,
    /// The clause does not hold, or could not be evaluated.
    Fail,
    /// The clause does not hold and does not block: waived, or advisory in this environment.
    Warn,
    /// The repository has nothing that the clause speaks of.
    NotApplicable,
}

impl Verdict {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Warn => "warn",
            Verdict::NotApplicable => "not-applicable",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The verdict on one clause with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClauseVerdict {
    /// Which clause.
    pub clause: ClauseId,
    /// The clause, in a line.
    pub title: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether a `fail` of it blocks the release.
    pub blocking: bool,
    /// Set when something that should have been looked at was not; the verdict is then `fail` (or `warn`
    /// where it does not block) and never `pass`.
    pub incomplete: bool,
    /// One sentence: why the verdict is what it is.
    pub summary: String,
    /// What was looked at, how much of it, with which rule set. Never empty.
    pub evidence: Vec<Evidence>,
    /// What is wrong, each with place, reason and fix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Diagnostic>,
    /// The findings that bear on it, by fingerprint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Fingerprint>,
    /// Ids of the waivers that were applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<String>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What was looked at, such as `.env.example` or `git history`.
    pub what: String,
    /// How much, with its unit, such as `12 keys` or `542 objects, 3.1 MB`.
    pub amount: String,
    /// With what, such as `211 rules, pack 0.1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
}
