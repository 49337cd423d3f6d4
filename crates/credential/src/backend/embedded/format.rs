//! The store's file: a header in the clear, and an index that only the data key opens (docs/embedded-store.md).

use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::SecretValue;

use super::crypt;
use super::error::StoreError;
use super::slot::Slot;

/// What the file starts with; the digit is the version of the format.
const MAGIC: &[u8; 16] = b"custody-store-1\n";
/// What an object starts with.
const OBJECT_MAGIC: &[u8; 16] = b"custody-object1\n";
/// Largest header, in bytes.
const MAX_HEADER: usize = 1 << 20;

/// 128 random bits that name a store or an object; 32 hexadecimal digits in files and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(super) [u8; 16]);

impl Id {
    pub(super) fn random() -> std::io::Result<Self> {
        crypt::random().map(Id)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Id)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Id::parse(&text).ok_or_else(|| de::Error::custom("not an id"))
    }
}

/// Bytes as base64 in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Bytes).map_err(|_| de::Error::custom("not base64"))
    }
}

/// What stands in the clear: no names of secrets, no times, no numbers of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// Which store it is.
    pub(super) store: Id,
    /// The ways to its data key.
    pub(super) slots: Vec<Slot>,
}

/// What only the data key opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    /// Counts changes, for noticing that a store was rolled back.
    pub(super) change: u64,
    /// The repository that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<String>,
    /// The secrets, by name.
    pub(super) secrets: std::collections::BTreeMap<String, Entry>,
}

/// One secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The version in force; `None` where the secret was deleted.
    pub(super) current: Option<u64>,
    /// The number of the last version that there ever was: numbers are not used twice.
    pub(super) last: u64,
    /// The versions that are kept, oldest first.
    pub(super) versions: Vec<Version>,
}

/// One version of a secret, as the index has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) object: Id,
    pub(super) created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

impl Entry {
    pub(super) fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|v| v.number == number)
    }

    /// The newest version older than the current one.
    pub(super) fn previous(&self) -> Option<&Version> {
        let current = self.current?;
        self.versions.iter().rev().find(|v| v.number < current)
    }
}

/// The file as bytes.
pub(super) fn encode(header: &Header, index: &Index, key: &SecretValue) -> Result<Vec<u8>, StoreError> {
    let internal = |e: &dyn std::fmt::Display| StoreError::damaged(format!("cannot be written: {e}"));
    let json = serde_json::to_vec(header).map_err(|e| internal(&e))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&u32::try_from(json.len()).map_err(|e| internal(&e))?.to_le_bytes());
    bytes.extend_from_slice(&json);
    let index = serde_json::to_vec(index).map_err(|e| internal(&e))?;
    let sealed = crypt::seal(&crypt::derive(key, "index"), &bytes, &index).map_err(|e| internal(&e))?;
    bytes.extend_from_slice(&sealed);
    Ok(bytes)
}

/// The header, and where the sealed index starts.
pub(super) fn decode_header(bytes: &[u8]) -> Result<(Header, usize), StoreError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| match bytes.starts_with(&MAGIC[..14]) && bytes.len() >= 16 {
        true => StoreError::damaged("its format is that of a newer custody"),
        false => StoreError::damaged("it does not start as a store does"),
    })?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| StoreError::damaged("it is cut off"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let json = rest.get(..length.min(MAX_HEADER + 1)).filter(|json| json.len() == length);
    let json = json.ok_or_else(|| StoreError::damaged("its header is cut off"))?;
    // Serde's message may quote a value; where it stands is enough.
    let header = serde_json::from_slice(json)
        .map_err(|e| StoreError::damaged(format!("its header cannot be read (column {})", e.column())))?;
    Ok((header, MAGIC.len() + 4 + length))
}

/// The index, if the key is right and nothing was changed.
pub(super) fn decode_index(bytes: &[u8], start: usize, key: &SecretValue) -> Result<Index, StoreError> {
    let sealed = bytes.get(start..).unwrap_or_default();
    let opened = crypt::open(&crypt::derive(key, "index"), bytes.get(..start).unwrap_or_default(), sealed)
        .map_err(|_| StoreError::damaged("its index was changed or cut off"))?;
    serde_json::from_slice(opened.expose())
        .map_err(|e| StoreError::damaged(format!("its index cannot be read (column {})", e.column())))
}

/// Reads hostile bytes, for the fuzz target: the first one says as what (a file, an index that the key opens, a value).
#[cfg(feature = "testing")]
pub fn read_hostile(data: &[u8]) -> usize {
    let key = SecretValue::new(vec![7; 32]);
    let place = ObjectPlace { store: Id([7; 16]), object: Id([8; 16]), name: "name", version: 1 };
    let Some((kind, data)) = data.split_first() else { return 0 };
    match kind % 4 {
        0 => match decode_header(data) {
            Ok((header, start)) => {
                assert!(start <= data.len(), "the index starts within the file");
                assert!(serde_json::to_vec(&header).is_ok(), "what was read can be written");
                usize::from(decode_index(data, start, &key).is_ok()) + 1
            }
            Err(_) => 0,
        },
        1 => {
            // As somebody with the key would write it.
            let Ok(sealed) = crypt::seal(&crypt::derive(&key, "index"), b"", data) else { return 0 };
            let Ok(index) = decode_index(&sealed, 0, &key) else { return 0 };
            for entry in index.secrets.values() {
                let _ = (entry.previous(), entry.current.and_then(|current| entry.version(current)));
            }
            let again = encode(&Header { store: place.store, slots: Vec::new() }, &index, &key);
            let again =
                again.map(|bytes| decode_header(&bytes).and_then(|(_, start)| decode_index(&bytes, start, &key)));
            assert!(again.is_ok_and(|read| read.is_ok_and(|read| read == index)), "what was read can be written");
            3
        }
        2 => usize::from(decode_object(data, &place, &key).is_ok()),
        _ => {
            let value = SecretValue::copy_of(data);
            let Ok(bytes) = encode_object(&value, &place, &key) else { return 0 };
            assert!(decode_object(&bytes, &place, &key).is_ok_and(|read| read == value), "a value comes back");
            4
        }
    }
}

/// A sealed value as bytes of its file.
pub(super) fn encode_object(value: &SecretValue, at: &ObjectPlace<'_>, key: &SecretValue) -> std::io::Result<Vec<u8>> {
    let mut bytes = OBJECT_MAGIC.to_vec();
    bytes.extend_from_slice(&crypt::seal(&crypt::derive(key, "object"), &at.associated(), value.expose())?);
    Ok(bytes)
}

/// The value, if it is the one that belongs there.
pub(super) fn decode_object(
    bytes: &[u8],
    at: &ObjectPlace<'_>,
    key: &SecretValue,
) -> Result<SecretValue, crypt::CannotOpen> {
    let sealed = bytes.strip_prefix(OBJECT_MAGIC).ok_or(crypt::CannotOpen)?;
    crypt::open(&crypt::derive(key, "object"), &at.associated(), sealed)
}

/// What a value is bound to: it opens as nothing else.
pub(super) struct ObjectPlace<'a> {
    pub(super) store: Id,
    pub(super) object: Id,
    pub(super) name: &'a str,
    pub(super) version: u64,
}

impl ObjectPlace<'_> {
    /// Fixed lengths first, so that no two places have the same bytes.
    fn associated(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40 + self.name.len());
        bytes.extend_from_slice(&self.store.0);
        bytes.extend_from_slice(&self.object.0);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }
}
