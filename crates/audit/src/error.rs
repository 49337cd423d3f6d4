//! Why there is no receipt.

use std::io;
use std::path::Path;

/// Why the log cannot be opened, appended to or read. Texts hold paths and numbers, never secret material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The system refused.
    #[error("cannot {action} {path}: {why}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: String,
        /// The class.
        kind: io::ErrorKind,
        /// What the system says.
        why: String,
    },
    /// Another process holds the log for too long.
    #[error("{path} has been locked by another process for {seconds} s")]
    Locked {
        /// The lock file.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
    /// There was a log here, and it is gone.
    #[error("the audit log in {path} is gone: the keys know of a log {log} there")]
    Deleted {
        /// The directory.
        path: String,
        /// Which log.
        log: String,
    },
    /// The log has files but no head.
    #[error("the head of the audit log in {path} is missing or does not hold")]
    NoHead {
        /// The directory.
        path: String,
    },
    /// The log ends before its head says that it does.
    #[error("the audit log was cut short: {path} ends after record {found}, but record {expected} was written")]
    Truncated {
        /// The file.
        path: String,
        /// The last record that is there.
        found: u64,
        /// The last record that was written.
        expected: u64,
    },
    /// A record is there in full, and it is not what was written.
    #[error("record {sequence} of the audit log was altered ({path}, byte {offset}): {why}")]
    Altered {
        /// The file.
        path: String,
        /// Where in it.
        offset: u64,
        /// Which record.
        sequence: u64,
        /// In what way.
        why: String,
    },
    /// A file does not belong to this log or to this place in it.
    #[error("{path} does not belong to this audit log: {why}")]
    Foreign {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// The key cannot be used.
    #[error("cannot use the audit log's key {path}: {why}")]
    Key {
        /// Which key.
        path: String,
        /// Why not.
        why: String,
    },
    /// The disk has failed to flush, so that nobody knows which records it holds.
    #[error("the disk failed to flush the audit log in {path}")]
    SyncFailed {
        /// The directory.
        path: String,
    },
    /// The event does not fit into a record.
    #[error("the event has {bytes} bytes; a record holds {limit}")]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A record of the log about itself makes no sense.
    #[error("record {sequence} of the audit log cannot be understood: {why}")]
    Malformed {
        /// Which record.
        sequence: u64,
        /// Why not.
        why: String,
    },
    /// What is asked for cannot be done with this log.
    #[error("{why}")]
    Refused {
        /// Why not.
        why: String,
    },
}

impl AuditError {
    pub(crate) fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        AuditError::Io { action, path: path.display().to_string(), kind: error.kind(), why: error.to_string() }
    }

    /// What to do about it: a fragment in the imperative.
    pub fn fix(&self) -> &'static str {
        match self {
            AuditError::Io { kind: io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, .. } => {
                "free space, or remove old records with `custody audit prune`"
            }
            AuditError::Io { kind: io::ErrorKind::PermissionDenied, .. } => {
                "give the directory to the user who runs custody"
            }
            AuditError::Io { .. } => "check the path and the disk; nothing is answered that cannot be recorded",
            AuditError::Locked { .. } => "end the process that holds it",
            AuditError::Deleted { .. } | AuditError::NoHead { .. } => {
                "put it back from a backup, or set it aside with `custody audit succeed --reason …`"
            }
            AuditError::Truncated { .. } | AuditError::Altered { .. } | AuditError::Malformed { .. } => {
                "treat it as an incident: see `custody audit verify`; keep the files as evidence with \
                 `custody audit succeed --reason …`"
            }
            AuditError::Foreign { .. } => "put the right file back; see `custody audit verify`",
            AuditError::Key { .. } => "put the key back from a backup; it belongs to the user and has mode 0600",
            AuditError::SyncFailed { .. } => "check the disk, then run `custody audit repair`",
            AuditError::TooLarge { .. } => "shorten purpose and reason",
            AuditError::Refused { .. } => "see `custody audit --help`",
        }
    }

    /// Whether the log itself is not what was written: tampering, or damage that looks like it.
    pub fn is_tampering(&self) -> bool {
        matches!(
            self,
            AuditError::Deleted { .. }
                | AuditError::NoHead { .. }
                | AuditError::Truncated { .. }
                | AuditError::Altered { .. }
                | AuditError::Foreign { .. }
                | AuditError::Malformed { .. }
        )
    }
}
