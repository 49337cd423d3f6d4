//! Buffered records reach the disk within a bounded time: a thread that flushes what has waited for so long.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::AuditLog;

/// The oldest record that no flush has been asked for, and the newest.
#[derive(Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    since: Option<Instant>,
    through: u64,
    has_thread: bool,
    is_closed: bool,
}

impl Pending {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffered record was written.
    pub(super) fn note(&self, sequence: u64) {
        let mut state = self.state();
        state.through = state.through.max(sequence);
        if state.since.is_none() {
            state.since = Some(Instant::now());
            self.changed.notify_all();
        }
    }

    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits until something has waited for `within`; what to flush, `None` when the log is closed.
    fn due(&self, within: Duration) -> Option<u64> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            let waited = state.since.map(|since| since.elapsed());
            match waited {
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(waited) if waited < within => {
                    let left = within - waited;
                    state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                Some(_) => {
                    state.since = None;
                    return Some(state.through);
                }
            }
        }
    }
}

impl AuditLog {
    /// From now on a buffered record is on the disk at most so long after its receipt (and the time that the flush
    /// takes), while this process lives. A thread of its own does it; it ends with the log. A disk that fails to flush
    /// stops all further records, as always.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn flush_within(self: &Arc<Self>, within: Duration) -> io::Result<()> {
        {
            let mut state = self.pending.state();
            if state.has_thread {
                return Ok(());
            }
            state.has_thread = true;
        }
        let (log, pending) = (Arc::downgrade(self), Arc::clone(&self.pending));
        let started =
            std::thread::Builder::new().name("audit-flusher".to_owned()).spawn(move || run(&log, &pending, within));
        if started.is_err() {
            self.pending.state().has_thread = false;
        }
        started.map(drop)
    }
}

fn run(log: &Weak<AuditLog>, pending: &Pending, within: Duration) {
    while let Some(through) = pending.due(within) {
        let Some(log) = log.upgrade() else { return };
        // A failure is noted in the log's head: whoever records next learns of it.
        let _ = log.flush_through(through);
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.pending.close();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::mpsc::{Sender, channel};

    use custody_contract::Environment;

    use super::*;
    use crate::medium::{Disk, Medium};
    use crate::{Action, Durability, Event, MemoryKeys, Options, Outcome, Principal};

    /// A disk that tells of each flush.
    struct Telling(Mutex<Sender<()>>);

    impl Medium for Telling {
        fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
            Disk.append(file, bytes)
        }

        fn sync(&self, file: &File) -> io::Result<()> {
            Disk.sync(file)?;
            self.0.lock().expect("unpoisoned").send(()).map_err(io::Error::other)
        }
    }

    #[test]
    fn a_buffered_record_is_flushed_by_itself() {
        let place = tempfile::tempdir().expect("a directory");
        let (told, flushes) = channel();
        let options = Options { medium: Arc::new(Telling(Mutex::new(told))), ..Options::default() };
        let log = Arc::new(AuditLog::open(place.path(), MemoryKeys::default(), options).expect("opens"));
        let event = Event::new(Action::Inject, Outcome::Allowed, Principal::current()).environment(Environment::Local);
        log.flush().expect("made");
        while flushes.try_recv().is_ok() {}
        log.flush_within(Duration::from_millis(20)).expect("a thread");
        log.flush_within(Duration::from_millis(20)).expect("it is there already");
        for _ in 0..5 {
            assert_eq!(log.record(&event).expect("recorded").durability(), Durability::Buffered);
        }
        flushes.recv_timeout(Duration::from_secs(60)).expect("flushed by itself");
        // It ends with the log, though nothing waits any more.
        let pending = Arc::downgrade(&log.pending);
        drop(log);
        let begin = Instant::now();
        while pending.strong_count() > 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "the thread does not end");
            std::thread::yield_now();
        }
    }
}
