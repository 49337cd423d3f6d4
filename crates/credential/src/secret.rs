//! The one type that holds secret material.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};
use subtle::ConstantTimeEq;

/// Secret material: bytes that cannot be printed, serialised, cloned or compared in variable time, and that are
/// overwritten when dropped.
///
/// # Security
/// The bytes are seen only through [`SecretValue::expose`]; keep what it gives as short as possible, and never copy
/// it into a `String` or `Vec` that is not zeroized.
pub struct SecretValue(SecretSlice<u8>);

impl SecretValue {
    /// Takes the bytes over; what the vector held beyond them is overwritten too.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretSlice::from(bytes))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The bytes as text, where they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PartialEq for SecretValue {
    /// Takes the same time wherever the two differ; their lengths are not secret.
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SecretValue {}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}
