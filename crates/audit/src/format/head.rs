//! The head: where the log ends, signed. It is what tells a log that was cut at the boundary of a record, or whose
//! newest file was deleted, from one that ends there.
//!
//! The file `head` has two slots, at offsets 0 and 4,096, written in turn (generation modulo 2), so that one whole slot
//! is there whatever happens while the other is written. Between and after them there are zeros.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic `CUSTHED1` |
//! | 8 | 16 | the log's id |
//! | 24 | 8 | generation, from 1 |
//! | 32 | 8 | sequence number of the last record |
//! | 40 | 32 | its hash |
//! | 72 | 8 | sequence number of the first record of the newest file |
//! | 80 | 8 | length of that file up to the last record, in bytes |
//! | 88 | 8 | up to which sequence number the records are known to be on the disk |
//! | 96 | 24 | wall clock, time since boot and boot of the last record |
//! | 120 | 8 | sequence number of the last checkpoint or closed record |
//! | 128 | 8 | wall clock when the newest file was made |
//! | 136 | 1 | 1 if the last record closes its file, else 0 |
//! | 137 | 1 | 1 if the disk has failed to flush, else 0 |
//! | 138 | 6 | zero |
//! | 144 | 32 | public key |
//! | 176 | 64 | Ed25519 signature of `custody-audit/head/1\n`, bytes 0 to 175 |

use std::fmt;
use std::str::FromStr;

use super::{Fields, Hash, LogId, PublicKey, Signature};
use crate::clock::Moment;
use crate::keys::{Signer, verify_signature};

/// Name of the file.
pub(crate) const HEAD_FILE: &str = "head";
/// Length of a slot, in bytes.
pub(crate) const SLOT_BYTES: usize = 240;
/// Where the second slot starts.
pub(crate) const SECOND_SLOT: usize = 4096;
/// Length of the file, in bytes.
pub(crate) const HEAD_BYTES: usize = SECOND_SLOT + SLOT_BYTES;

const MAGIC: [u8; 8] = *b"CUSTHED1";
const DOMAIN: &[u8] = b"custody-audit/head/1\n";
const SIGNED: usize = SLOT_BYTES - 64;

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) log: LogId,
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
    pub(crate) hash: Hash,
    pub(crate) file: u64,
    pub(crate) offset: u64,
    pub(crate) synced: u64,
    pub(crate) moment: Moment,
    pub(crate) signed: u64,
    pub(crate) file_since_ns: i64,
    pub(crate) is_closed: bool,
    pub(crate) has_failed: bool,
    pub(crate) key: PublicKey,
}

impl Head {
    pub(crate) fn to_bytes(self, signer: &Signer) -> [u8; SLOT_BYTES] {
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.log.0);
        for number in [self.generation, self.sequence] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.hash.0);
        for number in [self.file, self.offset, self.synced] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.moment.wall_ns.to_le_bytes());
        for number in [self.moment.since_boot_ns, self.moment.boot, self.signed] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.file_since_ns.to_le_bytes());
        bytes.extend_from_slice(&[u8::from(self.is_closed), u8::from(self.has_failed), 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&signer.public_key().0);
        let signature = signer.sign(&[DOMAIN, &bytes]);
        bytes.extend_from_slice(&signature.0);
        bytes.try_into().expect("the fields add up to a slot")
    }

    /// Where in the file this generation's slot starts.
    pub(crate) fn slot(self) -> u64 {
        if self.generation.is_multiple_of(2) { 0 } else { SECOND_SLOT as u64 }
    }

    /// A slot whose signature holds under the key that it names.
    fn read(bytes: &[u8]) -> Option<Head> {
        let bytes = bytes.get(..SLOT_BYTES)?;
        if bytes[..8] != MAGIC {
            return None;
        }
        let mut fields = Fields(&bytes[8..]);
        let head = Head {
            log: LogId(fields.array()),
            generation: fields.u64(),
            sequence: fields.u64(),
            hash: Hash(fields.array()),
            file: fields.u64(),
            offset: fields.u64(),
            synced: fields.u64(),
            moment: Moment { wall_ns: fields.i64(), since_boot_ns: fields.u64(), boot: fields.u64() },
            signed: fields.u64(),
            file_since_ns: fields.i64(),
            is_closed: fields.array::<1>() == [1],
            has_failed: fields.array::<1>() == [1],
            key: {
                fields.array::<6>();
                PublicKey(fields.array())
            },
        };
        let signature = Signature(fields.array());
        verify_signature(head.key, &[DOMAIN, &bytes[..SIGNED]], signature).then_some(head)
    }

    /// The identity to keep elsewhere and to compare with later.
    pub(crate) fn id(self) -> HeadId {
        HeadId { log: self.log, sequence: self.sequence, hash: self.hash }
    }
}

/// What a head file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadFile {
    /// The newest slot that holds.
    pub(crate) newest: Option<Head>,
    /// Whether both slots are as a writer leaves them: the other one is the generation before, or still empty, and
    /// there is nothing else in the file.
    pub(crate) is_whole: bool,
}

/// Reads both slots.
pub(crate) fn read_head_file(bytes: &[u8]) -> HeadFile {
    let slots = [bytes, bytes.get(SECOND_SLOT..).unwrap_or_default()].map(Head::read);
    let newest = slots.into_iter().flatten().max_by_key(|head| head.generation);
    let is_zero = |from: usize, to: usize| bytes.get(from..to).is_some_and(|part| part.iter().all(|byte| *byte == 0));
    let other_is_right = newest.is_some_and(|newest| {
        let at = if newest.slot() == 0 { SECOND_SLOT } else { 0 };
        match slots[usize::from(at != 0)] {
            Some(other) => other.generation + 1 == newest.generation && other.log == newest.log,
            None => newest.generation == 1 && is_zero(at, at + SLOT_BYTES),
        }
    });
    let is_whole = bytes.len() == HEAD_BYTES && other_is_right && is_zero(SLOT_BYTES, SECOND_SLOT);
    HeadFile { newest, is_whole }
}

/// The end of a log at a moment: log, sequence number and hash of its last record. Kept elsewhere, it lets
/// [`crate::verify`] find out that the whole directory was put back to an earlier state.
///
/// Written as `custody-audit-head:LOG:SEQUENCE:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadId {
    /// Which log.
    pub log: LogId,
    /// Sequence number of the last record.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
}

const PREFIX: &str = "custody-audit-head:";

impl fmt::Display for HeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}:{}:{}", self.log, self.sequence, self.hash)
    }
}

/// A text that is not the head of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the head of an audit log; expected {PREFIX}LOG:SEQUENCE:HASH, as `custody audit verify` prints it")]
pub struct InvalidHeadId;

impl FromStr for HeadId {
    type Err = InvalidHeadId;

    fn from_str(text: &str) -> Result<Self, InvalidHeadId> {
        let parts: Vec<&str> = text.trim().strip_prefix(PREFIX).ok_or(InvalidHeadId)?.split(':').collect();
        let [log, sequence, hash] = parts[..] else { return Err(InvalidHeadId) };
        Ok(HeadId {
            log: log.parse().map_err(|_| InvalidHeadId)?,
            sequence: sequence.parse().map_err(|_| InvalidHeadId)?,
            hash: hash.parse().map_err(|_| InvalidHeadId)?,
        })
    }
}

impl serde::Serialize for HeadId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(generation: u64) -> Head {
        Head {
            log: LogId([1; 16]),
            generation,
            sequence: 2,
            hash: Hash([3; 32]),
            file: 1,
            offset: 4,
            synced: 1,
            moment: Moment { wall_ns: 5, since_boot_ns: 6, boot: 7 },
            signed: 1,
            file_since_ns: 5,
            is_closed: true,
            has_failed: false,
            key: PublicKey([0; 32]),
        }
    }

    #[test]
    fn the_newest_whole_slot_counts_and_no_flipped_byte_goes_unnoticed() {
        let signer = Signer::from_seed(&[8; 32]);
        let mut file = vec![0; HEAD_BYTES];
        for generation in 1..=2 {
            let head = head(generation);
            let at = usize::try_from(head.slot()).expect("small");
            file[at..at + SLOT_BYTES].copy_from_slice(&head.to_bytes(&signer));
            assert!(read_head_file(&file).is_whole, "generation {generation}");
        }
        let read = read_head_file(&file);
        assert_eq!(read.newest, Some(Head { key: signer.public_key(), ..head(2) }));
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 1;
            let read = read_head_file(&flipped);
            assert!(!read.is_whole, "byte {at}");
            assert!(read.newest.is_some(), "byte {at}");
        }
    }

    #[test]
    fn a_head_is_written_and_read_as_text() {
        let id = head(1).id();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "custody-audit-head:", "custody-audit-head:00:1:00"] {
            assert_eq!(text.parse::<HeadId>(), Err(InvalidHeadId));
        }
    }
}
