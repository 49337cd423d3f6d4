//! The vocabulary of custody: what the contract is made of, and what is said about it.
//!
//! This crate owns the types that every other crate speaks in: [`CredentialRef`], [`AuthMode`],
//! [`Environment`], [`ClauseId`], [`Verdict`], [`Severity`], [`Finding`], [`Coverage`], [`Report`]
//! and the contract file ([`Contract`], `custody.toml`). It does no I/O, holds no detection rules and
//! evaluates no clause. Nothing in it can carry secret material: a [`Finding`] has a fingerprint and a
//! redacted form, never the value.

mod auth_mode;
mod clause;
mod coverage;
mod credential_ref;
mod diagnostic;
mod environment;
mod evaluation;
pub mod file;
mod finding;
mod reach;
mod report;
mod severity;
mod tree;
mod verdict;

pub use auth_mode::{AuthMode, UnsupportedAuthMode};
pub use clause::{ClauseId, InvalidClauseId};
pub use coverage::{Coverage, SkipReason, Skipped};
pub use credential_ref::{CredentialRef, RefError, RefProblem, RuleName, SecretRecogniser};
pub use diagnostic::{Diagnostic, Level, Place};
pub use environment::{Environment, UnknownEnvironment};
pub use evaluation::Evaluation;
pub use file::Contract;
pub use finding::{
    Confidence, Finding, FindingStatus, Fingerprint, InvalidFingerprint, Occurrence, Reason, Redacted, Surface,
};
pub use reach::{Reach, ReachedFrom};
pub use report::{ContractOrigin, Decision, EnvironmentSource, IncidentSummary, Report, ReportKind, Tool};
pub use severity::{Severity, UnknownSeverity};
pub use tree::{FileTree, MemoryTree};
pub use verdict::{ClauseVerdict, Evidence, Verdict};
