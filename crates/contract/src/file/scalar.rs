//! Scalars of the contract file: days, windows, adapter ids.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A calendar day, written as a TOML date (`2026-12-31`) or as a string of that form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub Date);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Exactly ten bytes: a time of day would be ignored otherwise.
        if text.len() != 10 {
            return Err(InvalidDay);
        }
        text.parse().map(Day).map_err(|_| InvalidDay)
    }
}

/// Text that is not a calendar day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a calendar day; expected YYYY-MM-DD")]
pub struct InvalidDay;

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DayVisitor;
        impl<'de> Visitor<'de> for DayVisitor {
            type Value = Day;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date such as 2026-12-31")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Day, E> {
                text.parse().map_err(E::custom)
            }

            // TOML's own dates arrive as a map with one magic key.
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Day, A::Error> {
                let datetime = toml::value::Datetime::deserialize(de::value::MapAccessDeserializer::new(map))?;
                datetime.to_string().parse().map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(DayVisitor)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date" })
    }
}

/// A length of time, such as `90d`, `12h`, `2w` or `1d 12h`; a day has 24 hours.
///
/// Months and years are refused: their length depends on when they start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window(jiff::SignedDuration);

impl Window {
    /// The window as a duration; never negative.
    pub fn duration(self) -> jiff::SignedDuration {
        self.0
    }

    /// Whole days, rounded down.
    pub fn days(self) -> i64 {
        self.0.as_hours() / 24
    }

    /// A window of whole days.
    pub fn from_days(days: u32) -> Self {
        Window(jiff::SignedDuration::from_hours(i64::from(days) * 24))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.0.as_hours();
        if hours % 24 == 0 && self.0.as_secs() % 3600 == 0 {
            write!(f, "{}d", hours / 24)
        } else if self.0.as_secs() % 3600 == 0 {
            write!(f, "{hours}h")
        } else {
            write!(f, "{}m", self.0.as_mins())
        }
    }
}

/// Text that is not a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a length of time; expected weeks, days, hours or minutes, such as 90d or 12h")]
pub struct InvalidWindow;

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span: jiff::Span = text.parse().map_err(|_| InvalidWindow)?;
        let has_calendar_units = span.get_years() != 0 || span.get_months() != 0;
        if has_calendar_units || span.is_negative() || span.is_zero() {
            return Err(InvalidWindow);
        }
        let duration = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| InvalidWindow)?;
        // Shorter than a minute is a slip, not a rotation window.
        if duration < jiff::SignedDuration::from_mins(1) { Err(InvalidWindow) } else { Ok(Window(duration)) }
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Window {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["90d", "12h", "2w"] })
    }
}

/// The id of a billing adapter: `^[a-z0-9]+(?:-[a-z0-9]+)*-billing$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AdapterId(String);

impl AdapterId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before `-billing`: the provider.
    pub fn provider(&self) -> &str {
        self.0.strip_suffix("-billing").unwrap_or(&self.0)
    }
}

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Text that is not an adapter id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an adapter id; expected lower-case words joined by hyphens that end in -billing, such as aws-billing")]
pub struct InvalidAdapterId;

impl FromStr for AdapterId {
    type Err = InvalidAdapterId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let provider = text.strip_suffix("-billing").ok_or(InvalidAdapterId)?;
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if provider.split('-').all(word) { Ok(AdapterId(text.to_owned())) } else { Err(InvalidAdapterId) }
    }
}

impl<'de> Deserialize<'de> for AdapterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for AdapterId {
    fn schema_name() -> Cow<'static, str> {
        "AdapterId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9]+(?:-[a-z0-9]+)*-billing$" })
    }
}
