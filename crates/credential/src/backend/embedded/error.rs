//! Why a store does not do what was asked.

use std::io;
use std::path::{Path, PathBuf};

use custody_contract::CredentialRef;

use crate::backend::{BackendError, ErrorKind};

/// Why a store does not do what was asked. Holds no secret material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store yet.
    #[error("there is no store at {}", .0.display())]
    NoStore(PathBuf),
    /// It has no such secret.
    #[error("the store has no secret of this name")]
    NoSecret,
    /// The secret has no such version.
    #[error("the secret has no such version")]
    NoVersion,
    /// None of the ways to its key is open.
    #[error("the store is locked: {}", .0.join("; "))]
    Locked(Vec<String>),
    /// Its bytes are not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// It is older than what was written here last.
    #[error(
        "the store is older than what was written here last (change {found}, then there were {seen}): it was rolled back"
    )]
    RolledBack {
        /// Number of the newest change that it has.
        found: u64,
        /// Number of the last change.
        seen: u64,
    },
    /// Another process has been writing to it for long.
    #[error("another process is writing to the store")]
    Busy,
    /// A name or value that it does not take.
    #[error("{0}")]
    Refused(String),
    /// A way to the key cannot be made.
    #[error("{0}")]
    Key(String),
    /// The system says no.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(super) fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    /// The class of failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoStore(_) | Self::NoSecret | Self::NoVersion => ErrorKind::NotFound,
            Self::Locked(_) => ErrorKind::Sealed,
            Self::Damaged(_) | Self::RolledBack { .. } => ErrorKind::Malformed,
            Self::Refused(_) => ErrorKind::Unsupported,
            Self::Key(_) => ErrorKind::Configuration,
            Self::Busy => ErrorKind::Unreachable,
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                _ => ErrorKind::Unreachable,
            },
        }
    }

    /// What to do about it: a fragment in the imperative.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NoStore(_) | Self::NoSecret => "put it there: custody cred put REFERENCE",
            Self::NoVersion => "see which there are: custody cred history REFERENCE",
            Self::Locked(_) => "see docs/backends.md, embedded: how a store is unlocked",
            Self::Damaged(_) => "restore it from a backup: custody cred restore FILE",
            Self::RolledBack { .. } => {
                "restore the newest state, or accept this one: custody cred doctor --accept-rollback"
            }
            Self::Busy => "wait for the other process, or end it",
            Self::Refused(_) | Self::Key(_) => "see docs/backends.md, embedded",
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    "make room; what was there before is unchanged"
                }
                _ => "check the directory, its permissions and the disk",
            },
        }
    }

    pub(super) fn for_reference(&self, reference: &CredentialRef) -> BackendError {
        BackendError::new(self.kind(), super::NAME, reference, self.to_string(), self.fix())
    }
}
