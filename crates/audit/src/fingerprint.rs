//! Fingerprints of secret material: keyed, so that nobody without the key can try values against them.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// Length of a fingerprint, in bytes.
const BYTES: usize = 16;
const CONTEXT: &str = "custody-audit 2026-11-24 keyed fingerprint of secret material v1";

/// Makes [`Fingerprint`]s under the log's fingerprint key.
pub struct Fingerprinter(Zeroizing<[u8; 32]>);

impl Fingerprinter {
    /// From the log's 32 random bytes; the key in use is derived from them.
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(Zeroizing::new(blake3::derive_key(CONTEXT, seed)))
    }

    /// The first 16 bytes of the keyed BLAKE3 hash of `material`.
    ///
    /// # Security
    /// Two records of one log with equal fingerprints speak of the same material; without the key, a fingerprint says
    /// nothing about it, however guessable it is. Fingerprints of two logs cannot be compared.
    pub fn fingerprint(&self, material: &[u8]) -> Fingerprint {
        let hash = blake3::keyed_hash(&self.0, material);
        let mut bytes = [0; BYTES];
        bytes.copy_from_slice(&hash.as_bytes()[..BYTES]);
        Fingerprint(bytes)
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter(…)")
    }
}

/// A keyed fingerprint of secret material. Only a [`Fingerprinter`] makes one: there is no way from a text to a
/// fingerprint, so that no value can be recorded in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; BYTES]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_material_has_equal_fingerprints_under_one_key_only() {
        let (one, other) = (Fingerprinter::new(&[1; 32]), Fingerprinter::new(&[2; 32]));
        assert_eq!(one.fingerprint(b"a"), one.fingerprint(b"a"));
        assert_ne!(one.fingerprint(b"a"), one.fingerprint(b"b"));
        assert_ne!(one.fingerprint(b"a"), other.fingerprint(b"a"));
    }
}
