use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The stable id of one clause of the contract, such as `CRED-1` or `ENV-5a`.
///
/// Form: two to eight capital letters, a hyphen, one to three digits, at most one lower-case letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClauseId(Arc<str>);

impl ClauseId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ClauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq<str> for ClauseId {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for ClauseId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

/// Text that is not a clause id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a clause id; expected the form CRED-1 or ENV-5a")]
pub struct InvalidClauseId;

impl FromStr for ClauseId {
    type Err = InvalidClauseId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (group, rest) = text.split_once('-').ok_or(InvalidClauseId)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let suffix = &rest.as_bytes()[digits..];
        let valid = (2..=8).contains(&group.len())
            && group.bytes().all(|b| b.is_ascii_uppercase())
            && (1..=3).contains(&digits)
            && (suffix.is_empty() || (suffix.len() == 1 && suffix[0].is_ascii_lowercase()));
        if valid { Ok(ClauseId(text.into())) } else { Err(InvalidClauseId) }
    }
}

impl Serialize for ClauseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClauseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ClauseId {
    fn schema_name() -> Cow<'static, str> {
        "ClauseId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Z]{2,8}-[0-9]{1,3}[a-z]?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_ids_parse_and_others_do_not() {
        for id in ["CRED-1", "ENV-5a", "ROT-3", "BILL-2", "VAL-1"] {
            assert_eq!(id.parse::<ClauseId>().expect("valid").as_str(), id);
        }
        for id in ["", "CRED", "CRED-", "cred-1", "ENV-5ab", "ENV-5A", "ENV-1234", "É-1", "ENV -1"] {
            assert!(id.parse::<ClauseId>().is_err(), "{id}");
        }
    }
}
