//! Writing: opening a log, and getting a receipt for an event.

mod batch;
mod create;
mod flusher;
mod group;
mod maintain;
mod options;
mod recover;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use maintain::{PruneReport, Pruning};
pub use options::{Durability, Options};

use crate::error::AuditError;
use crate::event::Event;
use crate::fingerprint::Fingerprinter;
use crate::format::head::HeadId;
use crate::format::record::MAX_PAYLOAD_BYTES;
use crate::format::{Hash, Kind, LogId};
use crate::keys::{KeyRing, KeyStore, make_private_directory};
use batch::{Draft, Written, checkpoint_draft};
use group::Queue;
use writer::Writer;

/// Proof that an event stands in the log. Nothing else makes one: who answers needs a receipt, and who has one may
/// answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    log: LogId,
    sequence: u64,
    hash: Hash,
    durability: Durability,
}

impl Receipt {
    /// Which record.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its hash.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Which log.
    pub fn log(&self) -> LogId {
        self.log
    }

    /// What the record has survived when the receipt was given.
    pub fn durability(&self) -> Durability {
        self.durability
    }
}

/// A log that is appended to, from any number of threads; other processes may have it open at the same time.
pub struct AuditLog {
    directory: PathBuf,
    options: Options,
    queue: Queue,
    writer: Mutex<Writer>,
    sync: Mutex<group::SyncState>,
    pending: Arc<flusher::Pending>,
}

impl AuditLog {
    /// Opens the log in `directory`, or makes it. Cheap: nothing is read before the first record.
    ///
    /// # Errors
    /// [`AuditError::Io`] if the directory cannot be made.
    pub fn open(directory: &Path, keys: impl KeyStore + 'static, options: Options) -> Result<Self, AuditError> {
        make_private_directory(directory).map_err(|error| AuditError::io("make", directory, &error))?;
        let ring = KeyRing::new(keys);
        Ok(AuditLog {
            directory: directory.to_owned(),
            queue: Queue::default(),
            writer: Mutex::new(Writer::new(directory, ring, &options)),
            sync: Mutex::new(group::SyncState::new(directory, options.patience)),
            pending: Arc::default(),
            options,
        })
    }

    /// Records an event, as durably as the event asks for ([`Durability::required_by`]) and at least as the options say.
    ///
    /// Events of several threads are written and flushed together.
    ///
    /// # Errors
    /// Any [`AuditError`]. The event then counts as not recorded, and nothing may be answered.
    pub fn record(&self, event: &Event) -> Result<Receipt, AuditError> {
        self.record_as(event, Durability::required_by(event).max(self.options.durability))
    }

    /// Records an event with this durability.
    ///
    /// # Errors
    /// As for [`AuditLog::record`].
    pub fn record_as(&self, event: &Event, durability: Durability) -> Result<Receipt, AuditError> {
        let payload = serde_json::to_vec(event)
            .map_err(|error| AuditError::Refused { why: format!("the event cannot be written as JSON: {error}") })?;
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(AuditError::TooLarge { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
        }
        let draft: Draft = Box::new(move |_, _| Ok((Kind::Event, payload)));
        let written = self.submit(draft)?;
        match durability {
            Durability::Group => self.flush_through(written.sequence)?,
            Durability::Buffered => self.pending.note(written.sequence),
        }
        let Written { log, sequence, hash } = written;
        Ok(Receipt { log, sequence, hash, durability })
    }

    /// Returns once everything recorded so far, by whatever process, is on the disk.
    ///
    /// # Errors
    /// Any [`AuditError`].
    pub fn flush(&self) -> Result<(), AuditError> {
        let head = self.writer().locked(|writer| writer.refresh())?;
        self.flush_through(head.sequence)
    }

    /// Signs everything recorded so far and flushes it; gives the head, to be kept elsewhere.
    ///
    /// # Errors
    /// Any [`AuditError`].
    pub fn checkpoint(&self) -> Result<HeadId, AuditError> {
        let written = self.submit(Box::new(checkpoint_draft))?;
        self.flush_through(written.sequence)?;
        Ok(HeadId { log: written.log, sequence: written.sequence, hash: written.hash })
    }

    /// Makes fingerprints under this log's key.
    ///
    /// # Errors
    /// [`AuditError::Key`] if the key cannot be read or made.
    pub fn fingerprinter(&self) -> Result<Fingerprinter, AuditError> {
        self.writer().fingerprinter()
    }

    /// Where the log lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
