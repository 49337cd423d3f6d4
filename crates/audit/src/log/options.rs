//! How a log is written.

use std::sync::Arc;
use std::time::Duration;

use custody_contract::Environment;

use crate::clock::{Clock, SystemClock};
use crate::event::{Action, Event};
use crate::medium::{Disk, Medium};

/// What a record has to survive before its receipt is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// The death of the process: the system has the record. A machine that loses power before the system has written it
    /// to the disk loses it; the log then says so ([`crate::Kind::Lost`]).
    Buffered,
    /// The loss of power too: the disk has the record. Costs a flush of the disk, which records that arrive at the same
    /// time share.
    Group,
}

impl Durability {
    /// What an event needs at least: [`Durability::Buffered`] for what happens in `local` to a credential that nobody
    /// sees or changes, [`Durability::Group`] for everything else.
    pub fn required_by(event: &Event) -> Durability {
        let is_routine = matches!(event.action(), Action::Resolve | Action::Inject | Action::Describe | Action::List);
        if is_routine && event.in_environment() == Some(Environment::Local) {
            Durability::Buffered
        } else {
            Durability::Group
        }
    }
}

/// How a log is written.
#[derive(Clone)]
pub struct Options {
    /// At least this durability for every event.
    pub durability: Durability,
    /// A file that has reached this length is closed, in bytes.
    pub max_file_bytes: u64,
    /// A file whose first record is older than this is closed.
    pub max_file_age: Duration,
    /// After so many records the log is signed.
    pub checkpoint_every: u64,
    /// How long to wait for another process.
    pub patience: Duration,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The disk.
    pub medium: Arc<dyn Medium>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Buffered,
            max_file_bytes: 16 << 20,
            max_file_age: Duration::from_secs(30 * 24 * 3600),
            checkpoint_every: 1000,
            patience: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
            medium: Arc::new(Disk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, Principal};

    #[test]
    fn only_routine_in_local_is_not_flushed() {
        let event = |action| Event::new(action, Outcome::Allowed, Principal::current());
        let local = |action| Durability::required_by(&event(action).environment(Environment::Local));
        assert_eq!(local(Action::Inject), Durability::Buffered);
        assert_eq!(local(Action::Reveal), Durability::Group);
        assert_eq!(local(Action::Delete), Durability::Group);
        assert_eq!(Durability::required_by(&event(Action::Inject)), Durability::Group);
        let stage = event(Action::Inject).environment(Environment::Stage);
        assert_eq!(Durability::required_by(&stage), Durability::Group);
    }
}
