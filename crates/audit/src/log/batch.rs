//! Records on their way into the log.

use super::writer::is_restart;
use crate::clock::Moment;
use crate::error::AuditError;
use crate::format::entry::{ClockJumped, KeyRotated, Signed};
use crate::format::head::Head;
use crate::format::record::{Header, write as write_record};
use crate::format::statement::Position;
use crate::format::{Hash, Kind, LogId, PublicKey};
use crate::keys::Signer;

/// What makes the payload of a record once its place in the chain is known.
pub(super) type Draft = Box<dyn FnOnce(&Position, &Signer) -> Result<(Kind, Vec<u8>), AuditError> + Send>;

/// A record that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) log: LogId,
    pub(super) sequence: u64,
    pub(super) hash: Hash,
}

/// Records on their way to the file, and the head that will stand for them.
pub(super) struct Batch {
    pub(super) before: Head,
    pub(super) head: Head,
    now: Moment,
    pub(super) bytes: Vec<u8>,
    pub(super) next_key: Option<PublicKey>,
    pub(super) signed_hash: Hash,
}

impl Batch {
    pub(super) fn new(head: Head, now: Moment) -> Self {
        Batch { before: head, head, now, bytes: Vec::new(), next_key: None, signed_hash: head.hash }
    }

    /// Says that the wall clock was moved since the last record, if it was.
    pub(super) fn note_jump(&mut self) -> Result<(), AuditError> {
        let earlier = self.head.moment;
        let Some(by_ns) = self.now.jump_since(earlier) else { return Ok(()) };
        let restarted = is_restart(earlier, self.now);
        let (kind, payload) = json(Kind::ClockJumped, &ClockJumped { by_ns, restarted })?;
        self.add(kind, &payload);
        Ok(())
    }

    pub(super) fn push(&mut self, draft: Draft, signer: &Signer) -> Result<Written, AuditError> {
        let Head { log, sequence, hash, .. } = self.head;
        let position = Position { log, sequence: sequence + 1, previous: hash, wall_ns: self.now.wall_ns };
        let (kind, payload) = draft(&position, signer)?;
        if kind == Kind::KeyRotated {
            let rotated: KeyRotated = serde_json::from_slice(&payload)
                .map_err(|error| AuditError::Malformed { sequence: position.sequence, why: error.to_string() })?;
            self.next_key = Some(rotated.new);
        }
        Ok(self.add(kind, &payload))
    }

    fn add(&mut self, kind: Kind, payload: &[u8]) -> Written {
        let head = &mut self.head;
        let payload_bytes = u32::try_from(payload.len()).expect("payloads are bounded");
        let (sequence, previous) = (head.sequence + 1, head.hash);
        let header = Header { payload_bytes, sequence, moment: self.now, kind, previous };
        let hash = write_record(&header, payload, &mut self.bytes);
        if matches!(kind, Kind::Checkpoint | Kind::Closed) {
            head.signed = sequence;
            self.signed_hash = hash;
        }
        head.is_closed = kind == Kind::Closed;
        (head.sequence, head.hash, head.moment) = (sequence, hash, self.now);
        head.offset = self.before.offset + self.bytes.len() as u64;
        Written { log: head.log, sequence, hash }
    }
}

/// Makes a checkpoint.
pub(super) fn checkpoint_draft(position: &Position, signer: &Signer) -> Result<(Kind, Vec<u8>), AuditError> {
    json(Kind::Checkpoint, &Signed::new(Kind::Checkpoint, position, signer))
}

/// A payload of the log about itself.
pub(super) fn json<T: serde::Serialize>(kind: Kind, payload: &T) -> Result<(Kind, Vec<u8>), AuditError> {
    let text = serde_json::to_vec(payload);
    let refused = |error: serde_json::Error| AuditError::Refused { why: format!("a record is no JSON: {error}") };
    text.map(|text| (kind, text)).map_err(refused)
}
