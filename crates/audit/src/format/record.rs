//! One record: a header with its own checksum, a payload, and the hash that chains it.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `CA 41 52 01` |
//! | 4 | 4 | payload length *n*, at most 65,536 |
//! | 8 | 8 | sequence number, from 1 |
//! | 16 | 8 | wall clock, nanoseconds since 1970-01-01T00:00:00Z, signed |
//! | 24 | 8 | time since boot, nanoseconds |
//! | 32 | 8 | which boot; 0 where the system does not tell |
//! | 40 | 1 | kind |
//! | 41 | 3 | zero |
//! | 44 | 32 | hash of the record before |
//! | 76 | 4 | CRC-32 (IEEE) of bytes 0 to 75 |
//! | 80 | *n* | payload: JSON, UTF-8 |
//! | 80 + *n* | 32 | SHA-256 of `custody-audit/record/1\n`, bytes 0 to 75, payload |

use super::{Fields, Hash, Kind, digest};
use crate::clock::Moment;

/// What every record starts with; no UTF-8 text holds these bytes.
pub(crate) const MAGIC: [u8; 4] = [0xCA, b'A', b'R', 1];
/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 80;
/// Bytes after the payload.
pub(crate) const HASH_BYTES: usize = 32;
/// Longest payload, in bytes.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 64 << 10;
/// Longest record, in bytes.
pub(crate) const MAX_RECORD_BYTES: usize = HEADER_BYTES + MAX_PAYLOAD_BYTES + HASH_BYTES;

const CHECKED: usize = HEADER_BYTES - 4;
const DOMAIN: &[u8] = b"custody-audit/record/1\n";

/// What stands before the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload_bytes: u32,
    pub(crate) sequence: u64,
    pub(crate) moment: Moment,
    pub(crate) kind: Kind,
    pub(crate) previous: Hash,
}

impl Header {
    /// The record's whole length, in bytes.
    pub(crate) fn record_bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes as usize + HASH_BYTES
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.payload_bytes.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.moment.wall_ns.to_le_bytes());
        out.extend_from_slice(&self.moment.since_boot_ns.to_le_bytes());
        out.extend_from_slice(&self.moment.boot.to_le_bytes());
        out.extend_from_slice(&[self.kind as u8, 0, 0, 0]);
        out.extend_from_slice(&self.previous.0);
        let checksum = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&checksum.to_le_bytes());
    }

    /// The header at the start of `bytes`, if there is one and its checksum holds.
    pub(crate) fn read(bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let (checked, checksum) = bytes.split_at(CHECKED);
        if bytes[..4] != MAGIC || crc32fast::hash(checked).to_le_bytes() != checksum {
            return None;
        }
        let mut fields = Fields(&checked[4..]);
        let payload_bytes = fields.u32();
        let sequence = fields.u64();
        let moment = Moment { wall_ns: fields.i64(), since_boot_ns: fields.u64(), boot: fields.u64() };
        let kind = Kind::from_byte(fields.array::<1>()[0])?;
        let is_plausible = fields.array::<3>() == [0; 3] && payload_bytes as usize <= MAX_PAYLOAD_BYTES;
        is_plausible.then(|| Header { payload_bytes, sequence, moment, kind, previous: Hash(fields.array()) })
    }
}

/// Appends a record to `out` and gives its hash.
pub(crate) fn write(header: &Header, payload: &[u8], out: &mut Vec<u8>) -> Hash {
    debug_assert_eq!(header.payload_bytes as usize, payload.len());
    let start = out.len();
    header.write(out);
    let hash = digest(&[DOMAIN, &out[start..start + CHECKED], payload]);
    out.extend_from_slice(payload);
    out.extend_from_slice(&hash.0);
    hash
}

/// The hash that the record at the start of `bytes` should carry; `bytes` holds the whole record.
pub(crate) fn hash(bytes: &[u8], header: &Header) -> Hash {
    digest(&[DOMAIN, &bytes[..CHECKED], &bytes[HEADER_BYTES..HEADER_BYTES + header.payload_bytes as usize]])
}

/// The hash that the record at the start of `bytes` carries.
pub(crate) fn stored_hash(bytes: &[u8], header: &Header) -> Hash {
    let end = header.record_bytes();
    Hash(bytes[end - HASH_BYTES..end].try_into().expect("the length of a hash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let moment = Moment { wall_ns: -1, since_boot_ns: 2, boot: 3 };
        let header = Header { payload_bytes: 2, sequence: 7, moment, kind: Kind::Event, previous: Hash([9; 32]) };
        let mut bytes = Vec::new();
        let written = write(&header, b"{}", &mut bytes);
        assert_eq!(Header::read(&bytes), Some(header));
        assert_eq!(hash(&bytes, &header), written);
        assert_eq!(stored_hash(&bytes, &header), written);
        bytes
    }

    #[test]
    fn no_flipped_bit_of_a_record_goes_unnoticed() {
        let good = record();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let holds = Header::read(&bytes)
                .is_some_and(|h| h.record_bytes() == bytes.len() && hash(&bytes, &h) == stored_hash(&bytes, &h));
            assert!(!holds, "bit {bit}");
        }
    }

    #[test]
    fn a_header_that_is_too_short_or_too_long_is_none() {
        let good = record();
        assert_eq!(Header::read(&good[..HEADER_BYTES - 1]), None);
        let mut bytes = good;
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..CHECKED]);
        bytes[CHECKED..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(Header::read(&bytes), None);
    }
}
