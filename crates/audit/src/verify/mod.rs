//! Verification: is the log what was written, all of it, and nothing else?
//!
//! What is found and what cannot be: an altered, removed, added, repeated, reordered record, a torn or cut file, a deleted
//! file, a file of another log, a clock that was set without a record of it, all against the signed head and the pinned
//! key. Whoever holds the signing key, or puts back the whole directory with its keys to an earlier state, is found out
//! only with a head that was kept elsewhere ([`Trust::expecting`]).

mod chain;
mod content;
mod finish;
mod keys;
mod problem;
pub(crate) mod snapshot;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use problem::{Note, Problem, ProblemKind};

use crate::error::AuditError;
use crate::format::entry::KeyCertificate;
use crate::format::file::file_name;
use crate::format::head::{HeadId, read_head_file};
use crate::format::{Hash, LogId, PublicKey};
use crate::keys::{KeyRing, KeyStore};
use crate::read::LogFile;
use chain::Chain;
use snapshot::{Snapshot, SnapshotFile};

/// Version of the report's JSON.
pub const SCHEMA: &str = "custody-audit-verification/1";

/// What verification rests on, besides the log itself.
#[derive(Default)]
pub struct Trust {
    key: Option<PublicKey>,
    expected: Vec<HeadId>,
    ring: Option<KeyRing>,
}

impl Trust {
    /// Rests on the log's first public key, as it is known from elsewhere.
    #[must_use]
    pub fn with_key(mut self, key: PublicKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Expects a head that was kept elsewhere still to stand in the log.
    #[must_use]
    pub fn expecting(mut self, head: HeadId) -> Self {
        self.expected.push(head);
        self
    }

    /// Also rests on what is kept beside the keys: which log it is, its first key, and the last checkpoint.
    #[must_use]
    pub fn with_keys(mut self, keys: impl KeyStore + 'static) -> Self {
        self.ring = Some(KeyRing::new(keys));
        self
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything that was written is there, and nothing else.
    Intact,
    /// Something is not what was written.
    Violated,
    /// A part could not be read, so nothing can be said of the whole.
    Incomplete,
}

/// Where the log's first key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pinned {
    /// It was given by the caller.
    Given,
    /// It is kept beside the keys.
    KeyStore,
    /// It is taken from the log itself: whoever wrote the whole log also wrote the key.
    Nowhere,
}

/// What a verification found.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// When it was verified.
    pub verified: jiff::Timestamp,
    /// In which directory.
    pub directory: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Which log.
    pub log: Option<LogId>,
    /// Its last record; keep it elsewhere to compare with later.
    pub head: Option<HeadId>,
    /// Sequence number of the first record that is there.
    pub first: u64,
    /// How many records were read.
    pub records: u64,
    /// How many of them are events.
    pub events: u64,
    /// How many signatures were verified.
    pub signatures: u64,
    /// The log's files.
    pub files: Vec<FileSummary>,
    /// The log's first public key.
    pub first_key: Option<PublicKey>,
    /// The key that signs now.
    pub key: Option<PublicKey>,
    /// Where the first key comes from.
    pub pinned: Pinned,
    /// How many expected heads were found.
    pub expected_heads: usize,
    /// What is wrong; the first [`VerifyReport::MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
    /// What is not wrong, and should be known.
    pub notes: Vec<Note>,
    #[serde(skip)]
    pub(crate) key_certificates: Vec<KeyCertificate>,
}

impl VerifyReport {
    /// How many problems are told in detail.
    pub const MAX_PROBLEMS: usize = 1000;
}

/// A file of the log.
#[derive(Debug, Clone, Serialize)]
pub struct FileSummary {
    /// Its name.
    pub name: String,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Sequence number of its first record.
    pub first: u64,
    /// Sequence number of its last record; less than `first` if it has none.
    pub last: u64,
    /// Hash of the last record, or what the first one would be chained to.
    pub hash: Option<Hash>,
    /// Wall clock of the last record.
    pub until: Option<jiff::Timestamp>,
}

/// Verifies the log in a directory. Writers may go on meanwhile: what they add is not looked at.
///
/// A directory that is not there is a log that is gone.
///
/// # Errors
/// [`AuditError::Io`] if the directory cannot be read at all; [`AuditError::Key`] if a key cannot.
pub fn verify(directory: &Path, trust: &Trust) -> Result<VerifyReport, AuditError> {
    let snapshot = Snapshot::take(directory)?;
    let mut chain = Chain::new(trust, &snapshot, directory)?;
    for file in &snapshot.files {
        chain.file(file);
    }
    Ok(chain.finish(&snapshot))
}

/// Verifies a log of one file that is held in memory, without keys: the entry for fuzzing, and for tools that have no
/// directory. Never fails, whatever the bytes.
pub fn verify_bytes(file: &[u8], head: &[u8]) -> VerifyReport {
    let name = file_name(1);
    let log_file = LogFile { first: 1, path: PathBuf::new(), name };
    let files = vec![SnapshotFile { file: log_file, bytes: file.len() as u64, is_newest: true }];
    let snapshot = Snapshot { head: Some(read_head_file(head)), files, is_consistent: true };
    let mut chain = Chain::without_keys(&snapshot);
    let read = chain.read(std::io::Cursor::new(file), &snapshot.files[0]);
    debug_assert!(read.is_ok(), "memory can be read");
    chain.finish(&snapshot)
}
