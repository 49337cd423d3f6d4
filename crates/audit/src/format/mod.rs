//! The file format: what stands where, byte by byte (`docs/audit.md`). Numbers are little-endian.

pub(crate) mod entry;
pub(crate) mod file;
pub(crate) mod head;
pub(crate) mod record;
pub(crate) mod statement;

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A text that is not hexadecimal of the right length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct InvalidHex {
    /// How many digits are expected.
    pub expected: usize,
}

macro_rules! bytes_in_hex {
    ($(#[$documentation:meta])* $name:ident, $length:literal) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
                let bytes = bytes.and_then(|bytes| <[u8; $length]>::try_from(bytes).ok());
                bytes.map($name).ok_or(InvalidHex { expected: $length * 2 })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes_in_hex!(
    /// Which log: sixteen random bytes, drawn when it is made.
    LogId,
    16
);
bytes_in_hex!(
    /// A SHA-256 digest: of a record, or of what stands before it.
    Hash,
    32
);
bytes_in_hex!(
    /// An Ed25519 public key (RFC 8032).
    PublicKey,
    32
);
bytes_in_hex!(
    /// An Ed25519 signature (RFC 8032).
    Signature,
    64
);

/// SHA-256 over parts, the first of which names what is hashed.
pub(crate) fn digest(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

/// What the first record of a log is chained to: the log's id, so that no record fits into another log.
pub(crate) fn root_of(log: LogId) -> Hash {
    digest(&[b"custody-audit/log/1\n", &log.0])
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The log was made: its id, its first public key.
    Created = 1,
    /// Something happened to a credential.
    Event = 2,
    /// A signature over everything before.
    Checkpoint = 3,
    /// From here on another key signs.
    KeyRotated = 4,
    /// A torn tail was cut off.
    Repaired = 5,
    /// The wall clock was moved.
    ClockJumped = 6,
    /// The last record of a file: signed, the next file follows.
    Closed = 7,
    /// Old files were removed on purpose: signed.
    Pruned = 8,
    /// Records that had not been flushed were lost when the machine stopped.
    Lost = 9,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::Created,
        Kind::Event,
        Kind::Checkpoint,
        Kind::KeyRotated,
        Kind::Repaired,
        Kind::ClockJumped,
        Kind::Closed,
        Kind::Pruned,
        Kind::Lost,
    ];

    pub(crate) fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The kind's name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Created => "created",
            Kind::Event => "event",
            Kind::Checkpoint => "checkpoint",
            Kind::KeyRotated => "key-rotated",
            Kind::Repaired => "repaired",
            Kind::ClockJumped => "clock-jumped",
            Kind::Closed => "closed",
            Kind::Pruned => "pruned",
            Kind::Lost => "lost",
        }
    }
}

/// Reads fixed fields one after another. The caller has made sure that the bytes are there.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl Fields<'_> {
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_at(N);
        self.0 = rest;
        field.try_into().expect("split at N")
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }
}
