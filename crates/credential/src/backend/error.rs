//! Why a backend did not answer, classified so that callers can decide.

use std::time::Duration;

use custody_contract::CredentialRef;

/// The classes of failure. They decide about retries, stale answers and the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such secret, field or version.
    NotFound,
    /// The backend knows the caller and says no.
    Denied,
    /// The backend does not know the caller: no, wrong or expired login.
    Unauthenticated,
    /// Too many requests; `retry_after` tells for how long.
    RateLimited,
    /// No connection, no answer in time, or a fault of the server.
    Unreachable,
    /// The answer is not what the protocol promises.
    Malformed,
    /// The store is there but locked.
    Sealed,
    /// The backend cannot do this.
    Unsupported,
    /// The backend's settings are wrong or missing.
    Configuration,
}

impl ErrorKind {
    /// Whether the same request may succeed shortly after.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unreachable)
    }
}

/// A failure of one request to one backend. Its texts never hold secret material: what a server answers is quoted
/// only where the protocol defines it as a message, cut to a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{backend} cannot give `{reference}`: {why}")]
pub struct BackendError {
    /// The class.
    pub kind: ErrorKind,
    /// The backend's name.
    pub backend: String,
    /// What was asked for.
    pub reference: String,
    /// What happened: a lowercase fragment.
    pub why: String,
    /// What to do next: a fragment in the imperative.
    pub fix: String,
    /// How long to wait before asking again, where the server says so.
    pub retry_after: Option<Duration>,
}

impl BackendError {
    /// An error of this class.
    pub fn new(
        kind: ErrorKind,
        backend: &str,
        reference: &CredentialRef,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            backend: backend.to_owned(),
            reference: reference.to_string(),
            why: why.into(),
            fix: fix.into(),
            retry_after: None,
        }
    }

    /// The backend cannot do what was asked.
    pub fn unsupported(backend: &str, reference: &CredentialRef, what: &str) -> Self {
        let why = format!("the backend `{backend}` cannot {what}");
        Self::new(ErrorKind::Unsupported, backend, reference, why, "choose another backend for this credential")
    }
}
