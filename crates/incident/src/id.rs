use std::fmt;
use std::str::FromStr;

use custody_contract::Fingerprint;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// An incident's id: `INC-<YYYYMMDD>-<8 hexadecimal digits of the fingerprint>`.
///
/// More digits are taken where two secrets that were found on one day share the first eight.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId(String);

impl IncidentId {
    /// What every id starts with.
    pub const PREFIX: &'static str = "INC-";

    /// The id of a secret that was first recorded on `day`, with `digits` (8 to 32) of its fingerprint.
    pub fn new(day: Date, fingerprint: &Fingerprint, digits: usize) -> Self {
        let hex = fingerprint.to_string();
        let hex = &hex[..digits.clamp(8, hex.len())];
        IncidentId(format!("{}{:04}{:02}{:02}-{hex}", Self::PREFIX, day.year(), day.month(), day.day()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Name of the record's file.
    pub fn file_name(&self) -> String {
        format!("{}.toml", self.0)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Text that is not an incident's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an incident id; expected the form INC-20261231-0123abcd")]
pub struct InvalidIncidentId;

impl FromStr for IncidentId {
    type Err = InvalidIncidentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (day, hex) = text.strip_prefix(Self::PREFIX).and_then(|t| t.split_once('-')).ok_or(InvalidIncidentId)?;
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let valid = day.len() == 8
            && day.bytes().all(|b| b.is_ascii_digit())
            && (8..=32).contains(&hex.len())
            && hex.bytes().all(lower_hex);
        if valid { Ok(IncidentId(text.to_owned())) } else { Err(InvalidIncidentId) }
    }
}

impl TryFrom<String> for IncidentId {
    type Error = InvalidIncidentId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<IncidentId> for String {
    fn from(id: IncidentId) -> String {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn ids_round_trip_and_nothing_that_leaves_the_directory_is_one() {
        let id = IncidentId::new(date(2026, 3, 7), &Fingerprint::of(b"x"), 8);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert!(id.as_str().starts_with("INC-20260307-") && id.as_str().len() == 21);
        for bad in ["", "INC-20260307-", "INC-20260307-../../xx", "INC-2026-0123abcd", "INC-20260307-0123ABCD", "../x"]
        {
            assert_eq!(bad.parse::<IncidentId>(), Err(InvalidIncidentId), "{bad}");
        }
    }
}
