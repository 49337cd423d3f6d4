//! Reading files of the log: record by record, in bounded memory, past damage.

mod files;
mod scanner;

pub(crate) use files::{LogFile, list_files};
pub(crate) use scanner::{Damage, DamageKind, Frame, Item, Scanner};

/// Reads bytes as a file of a log and counts whole records and damaged places: the entry for fuzzing, and for tools
/// that hold a file in memory. Never fails, whatever the bytes.
pub fn scan_bytes(bytes: &[u8]) -> (u64, u64) {
    let (mut whole, mut damaged) = (0, 0);
    let mut scanner = Scanner::new(bytes, 0);
    while let Ok(Some(item)) = scanner.next() {
        match item {
            Item::Record(_) => whole += 1,
            Item::Damage(_) => damaged += 1,
        }
    }
    (whole, damaged)
}
