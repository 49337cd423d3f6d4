//! What is said of a value that a command printed (ROT-2).

use custody_contract::Fingerprint;

use super::Stream;
use crate::mask::Leak;

/// What may be said of an injected value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its environment variable.
    pub key: String,
    /// Its reference.
    pub label: String,
    /// Identifies it in findings and incidents.
    pub fingerprint: Fingerprint,
    /// Its length in bytes.
    pub length: usize,
}

/// A value that the command printed, and that was masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaked {
    /// Which value.
    pub secret: Secret,
    /// Where to.
    pub stream: Stream,
    /// At which place and how.
    pub leak: Leak,
}
