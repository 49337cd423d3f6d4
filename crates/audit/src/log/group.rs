//! Group commit: records that arrive while others are being written go out together, and one flush of the disk serves
//! all of them, also those of other processes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::AuditLog;
use super::batch::{Draft, Written};
use crate::error::AuditError;
use crate::lock::LockFile;

/// Most records that are written at once.
const MAX_BATCH: usize = 256;

/// Records that wait to be written, and answers that wait to be fetched.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    next_ticket: u64,
    waiting: Vec<(u64, Draft)>,
    answers: BTreeMap<u64, Result<Written, AuditError>>,
    has_leader: bool,
}

/// What is known to be on the disk, and who may flush.
pub(super) struct SyncState {
    synced: u64,
    has_failed: bool,
    lock: LockFile,
}

impl SyncState {
    pub(super) fn new(directory: &Path, patience: Duration) -> Self {
        Self { synced: 0, has_failed: false, lock: LockFile::new(directory.join("sync.lock"), patience) }
    }
}

impl AuditLog {
    /// Has a record written. The first thread that comes writes for all that wait; the others wait for it.
    pub(super) fn submit(&self, draft: Draft) -> Result<Written, AuditError> {
        let mut state = self.queue.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push((ticket, draft));
        loop {
            if let Some(answer) = state.answers.remove(&ticket) {
                return answer;
            }
            if state.has_leader {
                state = self.queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.has_leader = true;
            let count = state.waiting.len().min(MAX_BATCH);
            let (tickets, drafts) = state.waiting.drain(..count).unzip();
            drop(state);
            let mut leader = Leader { queue: &self.queue, tickets, answers: Vec::new() };
            leader.answers = self.writer().commit(drafts);
            drop(leader);
            state = self.queue.state();
        }
    }

    /// Returns once the record is on the disk. Whoever comes first flushes for all; the others find that it was done.
    pub(super) fn flush_through(&self, sequence: u64) -> Result<(), AuditError> {
        let mut sync = self.sync.lock().unwrap_or_else(PoisonError::into_inner);
        if sync.synced >= sequence {
            return Ok(());
        }
        if sync.has_failed {
            return Err(AuditError::SyncFailed { path: self.directory.display().to_string() });
        }
        let SyncState { synced, has_failed, lock } = &mut *sync;
        let _held = lock.take()?;
        let (head, file) = self.writer().locked(|writer| Ok((writer.refresh()?, writer.file()?)))?;
        if head.synced < sequence {
            let flushed = self.options.medium.sync(&file);
            match flushed {
                Ok(()) => self.writer().locked(|writer| writer.note_synced(head.sequence))?,
                Err(error) => {
                    // If not even that can be noted, this process at least knows it.
                    *has_failed = self.writer().locked(|writer| writer.note_sync_failure()).is_err();
                    return Err(AuditError::io("flush", &self.directory, &error));
                }
            }
        }
        *synced = if head.synced < sequence { head.sequence } else { head.synced };
        Ok(())
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out the answers of a batch, whatever happens while it is written.
struct Leader<'a> {
    queue: &'a Queue,
    tickets: Vec<u64>,
    answers: Vec<Result<Written, AuditError>>,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let mut answers = std::mem::take(&mut self.answers).into_iter();
        for ticket in &self.tickets {
            let unknown = || Err(AuditError::Refused { why: "the writer of the audit log failed".to_owned() });
            state.answers.insert(*ticket, answers.next().unwrap_or_else(unknown));
        }
        state.has_leader = false;
        self.queue.changed.notify_all();
    }
}
