use std::io;
use std::path::PathBuf;

use super::escape;

/// Why a source as a whole could not be scanned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is nothing at the path, or it cannot be opened.
    #[error("cannot open {}: {error}", shown(path))]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// The system's reason.
        #[source]
        error: io::Error,
    },
    /// No git repository is at the path or above it.
    #[error("{} is not in a git repository", shown(path))]
    NotARepository {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// The repository is there and cannot be used.
    #[error("cannot {action} of the git repository {}: {error}", shown(path))]
    Repository {
        /// What was tried, such as `read the index`.
        action: &'static str,
        /// The repository.
        path: PathBuf,
        /// Why it failed.
        error: String,
    },
    /// The revision names nothing.
    #[error("the repository knows no revision `{}`; fetch it, or name one that `git rev-parse` accepts", escape(revision.as_bytes()))]
    UnknownRevision {
        /// The revision as given.
        revision: String,
    },
    /// The revision is known and its objects are not there.
    #[error("the objects of revision `{}` are not in this clone, which is {clone}; fetch them with `git fetch --unshallow` or a larger `fetch-depth`", escape(revision.as_bytes()))]
    RevisionNotFetched {
        /// The revision as given.
        revision: String,
        /// `shallow`, `partial` or `damaged`.
        clone: &'static str,
    },
    /// A history does not fit into the memory that it may take.
    #[error("its {objects} objects cannot be searched in so little memory; {least} MB are the least")]
    Memory {
        /// How many objects there are.
        objects: u64,
        /// How much is needed, in megabytes.
        least: u64,
    },
    /// Two revisions have no common ancestor in this clone.
    #[error("`{}` and `{}` have no common ancestor in this clone", escape(one.as_bytes()), escape(other.as_bytes()))]
    NoMergeBase {
        /// One revision.
        one: String,
        /// The other.
        other: String,
    },
}

/// What kind of error it is, which decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// The user named something that is not there.
    Usage,
    /// Something that should be looked at cannot be.
    Incomplete,
}

impl SourceError {
    /// The error's kind.
    pub fn kind(&self) -> SourceErrorKind {
        match self {
            SourceError::Open { error, .. } if error.kind() != io::ErrorKind::NotFound => SourceErrorKind::Incomplete,
            SourceError::Open { .. } | SourceError::NotARepository { .. } | SourceError::UnknownRevision { .. } => {
                SourceErrorKind::Usage
            }
            SourceError::Memory { .. } => SourceErrorKind::Usage,
            SourceError::Repository { .. }
            | SourceError::RevisionNotFetched { .. }
            | SourceError::NoMergeBase { .. } => SourceErrorKind::Incomplete,
        }
    }
}

fn shown(path: &std::path::Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
