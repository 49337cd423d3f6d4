//! The record of one incident.

use custody_contract::{Fingerprint, Occurrence, Severity, Surface};
use jiff::Timestamp;

use crate::{IncidentError, IncidentId, State};

/// The record of one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id, which is also its file's name.
    pub id: IncidentId,
    /// Where the work on it stands.
    pub state: State,
    /// The severity of the finding, or a higher one that a person gave it.
    pub severity: Severity,
    /// What leaked, in a line.
    pub title: String,
    /// The rule that recognised it.
    pub rule: String,
    /// Identifies the secret.
    pub fingerprint: Fingerprint,
    /// When the record was made.
    pub opened: Timestamp,
    /// Who or what made it, such as `custody check`.
    pub opened_by: String,
    /// When the secret was first seen.
    pub first_seen: Timestamp,
    /// When it was last seen. Moved at most once a day, so that checks do not change the record all the time.
    pub last_seen: Timestamp,
    /// Who answers for the credential, where it is known.
    pub owner: Option<String>,
    /// Where it stands or stood; at most [`Incident::MAX_SIGHTINGS`].
    pub occurrences: Vec<Sighting>,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// How it was closed; present exactly in state closed.
    pub closed: Option<Closure>,
}

/// One place in which the secret was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What was scanned.
    pub surface: Surface,
    /// Path or name, as the finding gives it.
    pub path: String,
    /// Line, 1-based, when it was first seen there.
    pub line: u32,
    /// A commit that holds it, in history.
    pub commit: Option<String>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// What, in a line.
    pub what: String,
}

/// How an incident was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What was done, and why that is enough.
    pub reason: String,
}

impl Incident {
    /// How many places a record lists; the rest stand in the scan's report.
    pub const MAX_SIGHTINGS: usize = 100;

    /// Changes the state and writes it into the timeline.
    ///
    /// # Errors
    ///
    /// [`IncidentError::Transition`] where [`State::may_become`] forbids it; [`IncidentError::Unsigned`] where `by` or
    /// `reason` is empty.
    pub fn advance(&mut self, next: State, by: &str, reason: &str, now: Timestamp) -> Result<(), IncidentError> {
        let (by, reason) = (one_line(by), one_line(reason));
        if by.is_empty() || reason.is_empty() {
            return Err(IncidentError::Unsigned { next });
        }
        if !self.state.may_become(next) {
            return Err(IncidentError::Transition { id: self.id.clone(), state: self.state, next });
        }
        if let Some(closure) = self.closed.take() {
            // The record says that it had been closed, also after it was opened again.
            self.happened(now, format!("the closing of {} by {} is taken back", closure.at, closure.by));
        }
        let verb = match next {
            State::Open => "reopened",
            State::Contained => "contained",
            State::Closed => "closed",
        };
        self.happened(now, format!("{verb} by {by}: {reason}"));
        self.closed = (next == State::Closed).then_some(Closure { at: now, by, reason });
        self.state = next;
        Ok(())
    }

    /// Adds to the timeline.
    pub fn happened(&mut self, at: Timestamp, what: impl Into<String>) {
        self.timeline.push(TimelineEntry { at, what: what.into() });
    }

    /// Adds the places that the record does not have yet; returns how many were added. A moved line is no new place.
    pub(crate) fn see(&mut self, occurrences: &[Occurrence]) -> usize {
        let before = self.occurrences.len();
        for occurrence in occurrences {
            let sighting = Sighting::of(occurrence);
            let known = self.occurrences.iter().any(|s| s.is_same_place(&sighting));
            if !known && self.occurrences.len() < Self::MAX_SIGHTINGS {
                self.occurrences.push(sighting);
            }
        }
        self.occurrences.len() - before
    }
}

impl Sighting {
    fn of(occurrence: &Occurrence) -> Self {
        Sighting {
            surface: occurrence.surface,
            path: one_line(&occurrence.path),
            line: occurrence.line,
            commit: occurrence.commit.clone().or_else(|| occurrence.object.clone()),
        }
    }

    fn is_same_place(&self, other: &Sighting) -> bool {
        (self.surface, &self.path, &self.commit) == (other.surface, &other.path, &other.commit)
    }
}

/// Text for one line of a record: no control characters, no runs of spaces, at most 500 characters.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(500).collect()
}
