use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClauseVerdict, Coverage, Diagnostic, Environment, Finding, Fingerprint, Severity};

/// What one command found: the one value that every reporter renders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this structure: `custody.report/1`. Fields are added within a version, never changed or removed.
    pub schema: Cow<'static, str>,
    /// The command.
    pub kind: ReportKind,
    /// What made the report.
    pub tool: Tool,
    /// When the command started, RFC 3339 in UTC.
    #[schemars(with = "String")]
    pub started: jiff::Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was looked at: the directory, file or `-`, as the user named it.
    pub target: String,
    /// The environment it was evaluated for, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Where the environment came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_source: Option<EnvironmentSource>,
    /// Where the contract came from, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractOrigin>,
    /// The decision; it determines the exit status.
    pub decision: Decision,
    /// From which severity an open finding blocks (ROT-3).
    pub block_at: Severity,
    /// One verdict per clause, in the contract's order; empty for commands that evaluate none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clauses: Vec<ClauseVerdict>,
    /// All findings, most severe first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What else is wrong or worth knowing, outside any one clause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// What was looked at and how much of it, one account per surface.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<Coverage>,
    /// Incidents that are open, or that this run opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<IncidentSummary>,
}

impl Report {
    /// The value of [`Report::schema`].
    pub const SCHEMA: &'static str = "custody.report/1";
}

/// Which command a report comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReportKind {
    /// `custody check`
    Check,
    /// `custody scan`
    Scan,
    /// `custody env check`
    EnvCheck,
    /// `custody billing validate`
    BillingValidate,
}

impl ReportKind {
    /// The command, as typed after `custody`.
    pub fn command(self) -> &'static str {
        match self {
            ReportKind::Check => "check",
            ReportKind::Scan => "scan",
            ReportKind::EnvCheck => "env check",
            ReportKind::BillingValidate => "billing validate",
        }
    }
}

/// Name and version of the program, and of what it detects with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `custody`
    pub name: Cow<'static, str>,
    /// Semantic version.
    pub version: Cow<'static, str>,
    /// Number of detection rules in force; 0 where none were needed.
    pub rules: u32,
    /// Digest of the rules in force, 16 hexadecimal digits; empty where none were needed.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub rules_digest: Cow<'static, str>,
}

/// Where the environment's name came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentSource {
    /// `--env`
    Flag,
    /// `default-environment` of the contract file
    Contract,
    /// The variable `NODE_ENV`
    NodeEnv,
    /// Nothing named one, so the strictest, `prod`, was taken.
    Strictest,
}

/// Where the contract in force came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractOrigin {
    /// Name of the built-in profile.
    pub profile: String,
    /// Path of the contract file; absent where only the profile is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The revision that contract, waivers, baseline and inline allowances were read from; absent where they are
    /// the working tree's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// Whether a release may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Nothing stands in the way.
    MayRelease,
    /// Something that should have been looked at was not; nothing that was looked at blocks.
    Incomplete,
    /// A blocking clause fails.
    Blocked,
}

impl Decision {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::MayRelease => "may-release",
            Decision::Incomplete => "incomplete",
            Decision::Blocked => "blocked",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An incident, as far as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentSummary {
    /// The incident's id.
    pub id: String,
    /// Its severity.
    pub severity: Severity,
    /// Whether it is open.
    pub open: bool,
    /// Whether this run opened it.
    pub opened_now: bool,
    /// What leaked, in a line.
    pub title: String,
    /// The finding that opened it.
    pub fingerprint: Fingerprint,
    /// Path of the record.
    pub record: String,
}
