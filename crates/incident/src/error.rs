use crate::{IncidentId, State};

/// Why an incident could not be read, changed or recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IncidentError {
    /// No record has this id.
    #[error("there is no incident {id}{}", closest.as_ref().map_or(String::new(), |c| format!("; did you mean {c}?")))]
    Unknown {
        /// The id.
        id: String,
        /// The known id that is most like it.
        closest: Option<IncidentId>,
    },
    /// The record is there and cannot be read; it counts as open.
    #[error("the record of {id} cannot be read: {why}; correct the file, or restore it from version control")]
    Unreadable {
        /// The id.
        id: IncidentId,
        /// What is wrong with it.
        why: String,
    },
    /// The state machine does not allow the step.
    #[error("{id} is {state} and cannot become {next}")]
    Transition {
        /// The id.
        id: IncidentId,
        /// Its state.
        state: State,
        /// The wanted one.
        next: State,
    },
    /// A change without a name or a reason.
    #[error("an incident becomes {next} only with the name of who decides and a reason; say who did what")]
    Unsigned {
        /// The wanted state.
        next: State,
    },
    /// The records cannot be reached.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
    /// The directory leads somewhere else.
    #[error(
        "{path} is a symbolic link; incident records are kept below the repository's root only. Replace it by a directory"
    )]
    Symlink {
        /// The link.
        path: String,
    },
    /// Another process holds the records for too long.
    #[error("another process holds {path} for more than {seconds} seconds; end it, then try again")]
    Locked {
        /// The lock file.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
}
