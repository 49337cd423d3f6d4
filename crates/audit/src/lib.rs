//! The audit log: append-only, hash-chained, with signed checkpoints.
//!
//! Who asked for which credential, when, for what, and what the answer was. A record holds references and keyed
//! fingerprints, never secret material.
//!
//! The rule that callers live by: **no answer without its record**. [`AuditLog::record`] gives a [`Receipt`] or an
//! error that says why; whoever resolves, reveals or changes a credential answers only with the receipt in hand.
//!
//! What the crate refuses: to repair a record that is complete but altered, to go on after a log that was cut short or
//! deleted, and to say that something is on the disk when the disk did not say so. The format is described in
//! `docs/audit.md`, precisely enough for a second implementation.
//!
//! ```
//! use custody_audit::{Action, AuditLog, DirectoryKeys, Event, Options, Outcome, Principal};
//! # let place = tempfile::tempdir()?;
//! # let (directory, keys) = (place.path().join("audit"), place.path().join("audit-keys"));
//! let log = AuditLog::open(&directory, DirectoryKeys::new(&keys), Options::default())?;
//! let event = Event::new(Action::Resolve, Outcome::Allowed, Principal::current())
//!     .reference(&"cred://aws/production/readonly".parse()?)
//!     .fingerprint(&log.fingerprinter()?.fingerprint(b"what was resolved"));
//! let receipt = log.record(&event)?;
//! assert_eq!(receipt.sequence(), 2); // the first record is the log's own
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
mod error;
mod event;
mod evidence;
pub mod export;

mod fingerprint;
mod format;
mod keys;
mod lock;
mod log;
mod medium;
mod query;
mod read;
pub mod verify;

pub use clock::{Clock, Moment, SystemClock};
pub use error::AuditError;
pub use event::{
    Action, CiIdentity, Class, Event, Outcome, Principal, PrincipalKind, RecordedEvent, RequestId, Text, UnknownAction,
    UnknownClass, UnknownOutcome,
};
pub use evidence::{PREDICATE_TYPE, attest};
pub use fingerprint::{Fingerprint, Fingerprinter};
pub use format::head::HeadId;
pub use format::{Hash, InvalidHex, Kind, LogId, PublicKey};
pub use keys::{DirectoryKeys, KeyStore, MemoryKeys, move_keys};
pub use log::{AuditLog, Durability, Options, PruneReport, Pruning, Receipt};
pub use medium::{Disk, Medium};
pub use query::{Filter, Hit, InvalidReferencePattern, QuerySummary, ReferencePattern, log_id, query};
pub use read::scan_bytes;
