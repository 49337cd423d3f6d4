//! The witness: what the newest change of a store was, kept beside the keys, outside the store's directory. A store that
//! is put back to an older state no longer fits it.

use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq;

use crate::SecretValue;

use super::crypt;
use super::disk::Disk;
use super::error::StoreError;

const PREFIX: &str = "custody-store-seen-1";

/// Number and digest of the newest change, with a code that only the data key makes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Witness {
    change: u64,
    digest: [u8; 32],
    code: [u8; 32],
}

impl Witness {
    /// The witness of a store's file.
    pub(super) fn of(change: u64, store: &[u8], key: &SecretValue) -> Self {
        let digest = *blake3::hash(store).as_bytes();
        Self { change, digest, code: code(change, &digest, key) }
    }

    pub(super) fn change(&self) -> u64 {
        self.change
    }

    /// The witness in a file; `None` where there is none that can be read.
    pub(super) fn read(path: &Path, disk: &dyn Disk) -> Option<Self> {
        let bytes = disk.read(path, 1024).ok()?;
        let mut words = std::str::from_utf8(&bytes).ok()?.split_ascii_whitespace();
        if words.next()? != PREFIX {
            return None;
        }
        let change = words.next()?.parse().ok()?;
        let mut hex = || HEXLOWER.decode(words.next()?.as_bytes()).ok()?.try_into().ok();
        Some(Self { change, digest: hex()?, code: hex()? })
    }

    /// Writes it, whole or not at all. The store's lock is held.
    pub(super) fn write(&self, path: &Path, disk: &dyn Disk) -> io::Result<()> {
        let text =
            format!("{PREFIX} {} {} {}\n", self.change, HEXLOWER.encode(&self.digest), HEXLOWER.encode(&self.code));
        let directory = path.parent().unwrap_or(Path::new("."));
        let new = path.with_extension("seen.new");
        disk.make_directory(directory)?;
        let _ = disk.remove(&new);
        disk.create(&new, text.as_bytes())?;
        disk.rename(&new, path)
    }

    /// Says whether a store of this state may follow what was seen.
    ///
    /// # Errors
    /// It is older, or another one of the same number.
    pub(super) fn check(&self, change: u64, store: &[u8], key: &SecretValue) -> Result<(), StoreError> {
        // After a rekey the code belongs to the key before; then only the store's own number counts, which is higher.
        let is_ours = bool::from(code(self.change, &self.digest, key).ct_eq(&self.code));
        let is_other = self.change == change && *blake3::hash(store).as_bytes() != self.digest;
        if change < self.change || (is_ours && is_other) {
            return Err(StoreError::RolledBack { found: change, seen: self.change });
        }
        Ok(())
    }
}

fn code(change: u64, digest: &[u8; 32], key: &SecretValue) -> [u8; 32] {
    let derived = crypt::derive(key, "witness");
    let mut keyed = blake3::Hasher::new_keyed(derived.expose().try_into().unwrap_or(&[0; 32]));
    keyed.update(&change.to_le_bytes());
    keyed.update(digest);
    *keyed.finalize().as_bytes()
}
