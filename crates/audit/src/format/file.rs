//! A file of the log: its name and its header.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 8 | magic `CUSTAUD1` |
//! | 8 | 16 | the log's id |
//! | 24 | 8 | sequence number of the first record |
//! | 32 | 32 | hash of the record before that |
//! | 64 | 32 | SHA-256 of `custody-audit/file/1\n`, bytes 0 to 63 |

use super::{Fields, Hash, LogId, digest};

/// Bytes before the first record.
pub(crate) const FILE_HEADER_BYTES: usize = 96;

const MAGIC: [u8; 8] = *b"CUSTAUD1";
const DOMAIN: &[u8] = b"custody-audit/file/1\n";

/// What stands before the first record of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) log: LogId,
    pub(crate) first: u64,
    pub(crate) previous: Hash,
}

impl FileHeader {
    pub(crate) fn to_bytes(self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.log.0);
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.previous.0);
        let hash = digest(&[DOMAIN, &bytes]);
        bytes.extend_from_slice(&hash.0);
        bytes.try_into().expect("the fields add up to the header")
    }

    /// The header, if it is whole and its hash holds.
    pub(crate) fn read(bytes: &[u8]) -> Option<FileHeader> {
        let bytes = bytes.get(..FILE_HEADER_BYTES)?;
        let (fields, hash) = bytes.split_at(FILE_HEADER_BYTES - 32);
        if fields[..8] != MAGIC || digest(&[DOMAIN, fields]).0 != hash {
            return None;
        }
        let mut fields = Fields(&fields[8..]);
        Some(FileHeader { log: LogId(fields.array()), first: fields.u64(), previous: Hash(fields.array()) })
    }
}

/// The name of the file whose first record has this sequence number.
pub(crate) fn file_name(first: u64) -> String {
    format!("audit-{first:020}.log")
}

/// The sequence number that a file's name tells; `None` for other files.
pub(crate) fn first_of_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("audit-")?.strip_suffix(".log")?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_first_record() {
        for first in [1, 42, u64::MAX] {
            assert_eq!(first_of_name(&file_name(first)), Some(first));
        }
        for name in ["audit-1.log", "audit-+0000000000000000001.log", "head", "audit-99999999999999999999.log"] {
            assert_eq!(first_of_name(name), None);
        }
    }

    #[test]
    fn no_flipped_byte_of_a_file_header_goes_unnoticed() {
        let header = FileHeader { log: LogId([1; 16]), first: 5, previous: Hash([2; 32]) };
        let good = header.to_bytes();
        assert_eq!(FileHeader::read(&good), Some(header));
        for at in 0..good.len() {
            let mut bytes = good;
            bytes[at] ^= 0x40;
            assert_eq!(FileHeader::read(&bytes), None, "byte {at}");
        }
    }
}
