use std::fmt;

use serde::{Deserialize, Serialize};

/// Where the work on an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The secret may be usable.
    Open,
    /// The secret can no longer be used; the work is not done.
    Contained,
    /// The work is done.
    Closed,
}

impl State {
    /// Every state.
    pub const ALL: [State; 3] = [State::Open, State::Contained, State::Closed];

    /// The name in records and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Contained => "contained",
            State::Closed => "closed",
        }
    }

    /// Whether an incident may go from this state to `next`: forward by a step or two, back to open from anywhere.
    pub fn may_become(self, next: State) -> bool {
        match (self, next) {
            (State::Open, State::Contained | State::Closed) => true,
            (State::Contained, State::Open | State::Closed) => true,
            (State::Closed, State::Open) => true,
            (State::Open, State::Open)
            | (State::Contained, State::Contained)
            | (State::Closed, State::Contained | State::Closed) => false,
        }
    }

    /// Whether the incident still stands in the way of a release. A contained one does: purging, review and record
    /// are still to be done.
    pub fn is_unresolved(self) -> bool {
        self != State::Closed
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_transitions_are_exactly_these() {
        let allowed: Vec<String> = State::ALL
            .into_iter()
            .flat_map(|from| State::ALL.into_iter().filter(move |&to| from.may_become(to)).map(move |to| (from, to)))
            .map(|(from, to)| format!("{from}->{to}"))
            .collect();
        assert_eq!(
            allowed,
            ["open->contained", "open->closed", "contained->open", "contained->closed", "closed->open"]
        );
    }
}
