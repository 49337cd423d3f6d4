//! A failure before it is known which reference it spoils.

use std::time::Duration;

use custody_contract::CredentialRef;

use super::{BackendError, ErrorKind};

/// What went wrong in an exchange, a login or the settings; one fault may answer many references.
///
/// As [`BackendError`], it never holds secret material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    /// The class.
    pub kind: ErrorKind,
    /// What happened: a lowercase fragment.
    pub why: String,
    /// What to do next: a fragment in the imperative.
    pub fix: String,
    /// How long to wait before asking again, where the server says so.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault of this class.
    pub fn new(kind: ErrorKind, why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { kind, why: why.into(), fix: fix.into(), retry_after: None }
    }

    /// The settings are wrong or missing.
    pub fn configuration(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, why, fix)
    }

    /// The answer is not what the protocol promises.
    pub fn malformed(why: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, why, "check that the address is that of the service and not of something else")
    }

    /// The caller is not known.
    pub fn unauthenticated(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unauthenticated, why, fix)
    }

    /// The same fault with another class.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same fault with what was being done in front of it.
    #[must_use]
    pub fn during(mut self, what: &str) -> Self {
        self.why = format!("{what}: {}", self.why);
        self
    }

    /// The error for this reference.
    pub fn of(self, backend: &str, reference: &CredentialRef) -> BackendError {
        self.named(backend, reference.as_str())
    }

    /// The error for something that has no reference, such as a prefix that is listed.
    pub fn named(self, backend: &str, subject: &str) -> BackendError {
        BackendError {
            kind: self.kind,
            backend: backend.to_owned(),
            reference: subject.to_owned(),
            why: self.why,
            fix: self.fix,
            retry_after: self.retry_after,
        }
    }
}
