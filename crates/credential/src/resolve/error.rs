//! Why a reference does not resolve, and what that means for the caller.

use custody_contract::{CredentialRef, Environment};

use crate::backend::{BackendError, ErrorKind};

/// What a failure means for the caller: it decides exit code, HTTP status and whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The contract file, the settings or the call are wrong.
    Usage,
    /// Somebody says no.
    Denied,
    /// The secret is not to be had: the backend is away, locked, talks nonsense or does not have it.
    Unavailable,
}

/// Why a reference does not resolve. Holds no secret material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// In `stage` and `prod` only registered credentials resolve.
    #[error(
        "cannot resolve `{reference}`: it is not registered, and {environment} resolves registered credentials only"
    )]
    Unregistered {
        /// The reference.
        reference: CredentialRef,
        /// The environment.
        environment: Environment,
    },
    /// The contract gives it to other environments.
    #[error("cannot resolve `{reference}`: the contract does not give it to {environment}")]
    OutOfEnvironment {
        /// The reference.
        reference: CredentialRef,
        /// The environment.
        environment: Environment,
    },
    /// The backend does not give it.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ResolveError {
    /// What it means for the caller.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unregistered { .. } | Self::OutOfEnvironment { .. } => FailureKind::Denied,
            Self::Backend(error) => match error.kind {
                ErrorKind::Denied | ErrorKind::Unauthenticated => FailureKind::Denied,
                ErrorKind::Unsupported | ErrorKind::Configuration => FailureKind::Usage,
                ErrorKind::NotFound
                | ErrorKind::RateLimited
                | ErrorKind::Unreachable
                | ErrorKind::Malformed
                | ErrorKind::Sealed => FailureKind::Unavailable,
            },
        }
    }

    /// The clause that it belongs to.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unregistered { .. } | Self::OutOfEnvironment { .. } => "ROT-1",
            Self::Backend(_) => "ENV-4",
        }
    }

    /// The reference that was asked for.
    pub fn reference(&self) -> &str {
        match self {
            Self::Unregistered { reference, .. } | Self::OutOfEnvironment { reference, .. } => reference.as_str(),
            Self::Backend(error) => &error.reference,
        }
    }

    /// Why: a lowercase fragment.
    pub fn why(&self) -> String {
        match self {
            Self::Unregistered { environment, .. } => {
                format!("it has no [[credential]] entry, and {environment} resolves registered credentials only")
            }
            Self::OutOfEnvironment { environment, .. } => {
                format!("environments of its [[credential]] entry leave out {environment}")
            }
            Self::Backend(error) => format!("backend `{}`: {}", error.backend, error.why),
        }
    }

    /// What to do about it: a fragment in the imperative.
    pub fn fix(&self) -> String {
        match self {
            Self::Unregistered { .. } => {
                "add a [[credential]] entry with owner, contact, window and procedure to custody.toml".to_owned()
            }
            Self::OutOfEnvironment { environment, .. } => {
                format!("add {environment} to its environments, or use a credential of {environment}")
            }
            Self::Backend(error) => error.fix.clone(),
        }
    }

    /// The backend's error, where it is one.
    pub fn backend(&self) -> Option<&BackendError> {
        match self {
            Self::Backend(error) => Some(error),
            _ => None,
        }
    }
}
