//! Payloads of the records that the log writes about itself. All are JSON objects; events are in [`crate::event`].

use serde::{Deserialize, Serialize};

use super::statement::Position;
use super::{Hash, Kind, LogId, PublicKey, Signature};
use crate::keys::Signer;

/// [`Kind::Created`], always the first record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Created {
    /// Version of the format.
    pub(crate) format: u32,
    pub(crate) log: LogId,
    /// The key that signs until a [`KeyRotated`] says otherwise.
    pub(crate) key: PublicKey,
    /// Program and version.
    pub(crate) by: String,
    /// The log that this one takes over from, where that one could not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) predecessor: Option<Predecessor>,
}

/// The log that a new one takes over from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Predecessor {
    /// Its id, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<LogId>,
    /// Where it was put.
    pub(crate) directory: String,
    /// Why it could not go on.
    pub(crate) reason: String,
}

/// [`Kind::Checkpoint`] and [`Kind::Closed`]: a signature over everything before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Signed {
    pub(crate) key: PublicKey,
    pub(crate) signature: Signature,
}

impl Signed {
    pub(crate) fn new(kind: Kind, position: &Position, signer: &Signer) -> Signed {
        Signed { key: signer.public_key(), signature: position.sign(kind, &[], signer) }
    }

    pub(crate) fn holds(&self, kind: Kind, position: &Position) -> bool {
        position.holds(kind, &[], self.key, self.signature)
    }
}

/// [`Kind::KeyRotated`]: both keys sign log, position, old and new public key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyRotated {
    pub(crate) old: PublicKey,
    pub(crate) new: PublicKey,
    pub(crate) reason: String,
    pub(crate) old_signature: Signature,
    pub(crate) new_signature: Signature,
}

impl KeyRotated {
    pub(crate) fn new(position: &Position, old: &Signer, new: &Signer, reason: String) -> KeyRotated {
        let keys = (old.public_key(), new.public_key());
        let sign = |signer: &Signer| position.sign(Kind::KeyRotated, &[&keys.0.0, &keys.1.0], signer);
        KeyRotated { old: keys.0, new: keys.1, reason, old_signature: sign(old), new_signature: sign(new) }
    }

    pub(crate) fn holds(&self, position: &Position) -> bool {
        let by = |key, signature| position.holds(Kind::KeyRotated, &[&self.old.0, &self.new.0], key, signature);
        by(self.old, self.old_signature) && by(self.new, self.new_signature)
    }
}

/// A [`KeyRotated`] that stands for itself, after the file that held it was pruned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyCertificate {
    pub(crate) sequence: u64,
    pub(crate) previous: Hash,
    pub(crate) wall_ns: i64,
    #[serde(flatten)]
    pub(crate) rotation: KeyRotated,
}

impl KeyCertificate {
    pub(crate) fn holds(&self, log: LogId) -> bool {
        let (sequence, previous, wall_ns) = (self.sequence, self.previous, self.wall_ns);
        self.rotation.holds(&Position { log, sequence, previous, wall_ns })
    }
}

/// [`Kind::Repaired`]: bytes after the last whole record were cut off.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Repaired {
    /// Why: `torn` (a record was not written to its end) or `power-loss` (never flushed, the machine stopped).
    pub(crate) why: String,
    /// From which byte of the file.
    pub(crate) offset: u64,
    /// How many.
    pub(crate) bytes: u64,
    /// SHA-256 of them.
    pub(crate) sha256: Hash,
    /// The file beside the log that holds them.
    pub(crate) kept_in: String,
}

/// [`Kind::ClockJumped`]: since the record before, wall clock and time since boot do not agree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClockJumped {
    /// How far the wall clock was moved, in nanoseconds; negative is backwards.
    pub(crate) by_ns: i64,
    /// Whether the machine was started in between.
    pub(crate) restarted: bool,
}

/// [`Kind::Pruned`]: the signed text of a [`PruneStatement`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pruned {
    /// JSON; its bytes are what is signed.
    pub(crate) statement: String,
    pub(crate) key: PublicKey,
    pub(crate) signature: Signature,
}

impl Pruned {
    pub(crate) fn new(position: &Position, statement: String, signer: &Signer) -> Pruned {
        let signature = position.sign(Kind::Pruned, &[statement.as_bytes()], signer);
        Pruned { statement, key: signer.public_key(), signature }
    }

    pub(crate) fn holds(&self, position: &Position) -> bool {
        position.holds(Kind::Pruned, &[self.statement.as_bytes()], self.key, self.signature)
    }
}

/// What was removed, and what the rest needs to be verified without it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PruneStatement {
    /// The last record that was removed.
    pub(crate) through: u64,
    /// Its hash: what the first record that remains is chained to.
    pub(crate) hash: Hash,
    /// How many files.
    pub(crate) files: u64,
    /// The log's first public key, from its first record.
    pub(crate) first_key: PublicKey,
    /// Every change of key up to `through`.
    pub(crate) keys: Vec<KeyCertificate>,
    /// Who did it.
    pub(crate) by: String,
    /// Why.
    pub(crate) reason: String,
}

/// [`Kind::Lost`]: records that were written but not flushed when the machine stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lost {
    /// The last record that is there.
    pub(crate) after: u64,
    /// The last record that the head knew.
    pub(crate) through: u64,
    /// That record's hash.
    pub(crate) hash: Hash,
}
