//! What a contract file says of where credentials resolve and how they reach a process (ENV-4, CRED-2).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::file::CredentialItem;
use crate::{CredentialRef, Environment};

/// A backend under a name of the repository's own: `[backends.NAME]`.
///
/// It holds no secret: how custody itself logs in to the backend is a reference, the name of a variable or the path
/// of a file.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BackendItem {
    /// Which kind of backend: `embedded`, `environment`, `file`, `exec`, `sops`, `age`, `pass`, `openbao`, …
    pub kind: String,
    /// What stands before the path that a reference has by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// How long one exchange may take; each kind has its own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeLimit>,
    /// How often a request is sent that fails for a passing reason, the first time included; 3 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u8>,
    /// The settings of this kind (docs/backends.md).
    #[serde(flatten)]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Where a credential's secret material lies in one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Placement {
    /// The backend: a name of `[backends]`, or a kind that needs no settings.
    pub backend: Option<String>,
    /// Where it lies there, in the backend's own notation, with an optional `#field`.
    pub location: Option<String>,
}

impl CredentialItem {
    /// Where the credential lies in `environment`: what is said for the environment, else what is said for all.
    pub fn placement(&self, environment: Environment) -> Placement {
        let own = match environment {
            Environment::Local => self.local.as_ref(),
            Environment::Stage => self.stage.as_ref(),
            Environment::Prod => self.prod.as_ref(),
        };
        let own = own.cloned().unwrap_or_default();
        // Another backend writes its locations in another way, so a location goes with the backend it was written for.
        let location = match own.backend {
            Some(_) => own.location,
            None => own.location.or_else(|| self.location.clone()),
        };
        Placement { backend: own.backend.or_else(|| self.backend.clone()), location }
    }

    /// Whether the environment may reach it.
    pub fn applies_to(&self, environment: Environment) -> bool {
        self.environments.is_empty() || self.environments.contains(&environment)
    }
}

/// Where a key's value comes from: one source, or one for each environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// The same in every environment.
    Everywhere(Source),
    /// Per environment; in one that is not named the key is not fed.
    In(BTreeMap<Environment, Source>),
}

impl Feed {
    /// The source in `environment`.
    pub fn source(&self, environment: Environment) -> Option<&Source> {
        match self {
            Feed::Everywhere(source) => Some(source),
            Feed::In(sources) => sources.get(&environment),
        }
    }

    /// All sources.
    pub fn sources(&self) -> Vec<&Source> {
        match self {
            Feed::Everywhere(source) => vec![source],
            Feed::In(sources) => sources.values().collect(),
        }
    }
}

/// What feeds a key: a credential reference, or another key whose value is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This credential.
    Reference(CredentialRef),
    /// The credential that this key names, such as `FICECAL_AWS_CREDENTIAL_REF`.
    Key(String),
}

impl FromStr for Source {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.get(..CredentialRef::SCHEME.len()).is_some_and(|s| s.eq_ignore_ascii_case(CredentialRef::SCHEME)) {
            return CredentialRef::parse(text).map(Source::Reference).map_err(|e| InvalidSource(e.to_string()));
        }
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Ok(Source::Key(text.to_owned()));
        }
        Err(InvalidSource("expected a cred:// reference or the name of a key that holds one".to_owned()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Reference(reference) => reference.fmt(f),
            Source::Key(name) => f.pad(name),
        }
    }
}

/// Text that names no source; holds no part of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSource(String);

impl Serialize for Feed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Feed::Everywhere(source) => serializer.collect_str(source),
            Feed::In(sources) => serializer.collect_map(sources.iter().map(|(e, s)| (e, s.to_string()))),
        }
    }
}

impl<'de> Deserialize<'de> for Feed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FeedVisitor;
        impl<'de> Visitor<'de> for FeedVisitor {
            type Value = Feed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a cred:// reference, the name of a key that holds one, or a table of those per environment",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Feed, E> {
                text.parse().map(Feed::Everywhere).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Feed, A::Error> {
                let mut sources = BTreeMap::new();
                while let Some((environment, source)) = map.next_entry::<Environment, Cow<'de, str>>()? {
                    let source = source.parse().map_err(de::Error::custom)?;
                    if sources.insert(environment, source).is_some() {
                        return Err(de::Error::custom("an environment is named twice"));
                    }
                }
                Ok(Feed::In(sources))
            }
        }
        deserializer.deserialize_any(FeedVisitor)
    }
}

impl JsonSchema for Feed {
    fn schema_name() -> Cow<'static, str> {
        "Feed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let source = "^([A-Za-z_][A-Za-z0-9_]*|[Cc][Rr][Ee][Dd]://.+)$";
        json_schema!({
            "description": "A cred:// reference, the name of a key that holds one, or a table of those per environment.",
            "anyOf": [
                { "type": "string", "pattern": source },
                { "type": "object", "additionalProperties": { "type": "string", "pattern": source } }
            ],
            "examples": ["FICECAL_AWS_CREDENTIAL_REF", "cred://aws/production/readonly"]
        })
    }
}

/// How a value reaches the process that `custody run` starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// As the variable's value.
    #[default]
    Env,
    /// As a file in memory that only the process's user may read; the variable holds its path.
    File,
    /// As an open file descriptor; the variable holds its number.
    Fd,
}

/// What `custody run` does beyond starting the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunSection {
    /// Whether custody stays beside the process (`supervise`, the default) or becomes it (`replace`).
    pub mode: Option<RunMode>,
    /// Whether secret material in the process's output is masked; it is by default, and cannot be with `replace`.
    pub mask: Option<bool>,
    /// What happens when a credential gets a new version while the process runs; nothing by default.
    pub on_rotation: Option<OnRotation>,
    /// The signal of `on-rotation = "signal"`, such as `HUP`.
    pub rotation_signal: Option<String>,
    /// How often new versions are looked for.
    pub rotation_interval: Option<TimeLimit>,
    /// How long a process that is told to stop may take before it is killed.
    pub stop_timeout: Option<TimeLimit>,
}

/// How custody runs a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunMode {
    /// It stays beside the process: masks its output, forwards signals, sees rotations.
    #[default]
    Supervise,
    /// It becomes the process (`execve`).
    Replace,
}

/// What a rotation does to a running process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRotation {
    /// Nothing.
    #[default]
    Ignore,
    /// It is stopped and started again with the new values.
    Restart,
    /// It gets `rotation-signal`; its files have the new values by then.
    Signal,
}

/// A short length of time, such as `500ms`, `10s` or `2m`: above zero, at most an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeLimit(pub Duration);

/// Text that is not a short length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time limit; expected milliseconds, seconds or minutes up to an hour, such as 500ms, 10s or 2m")]
pub struct InvalidTimeLimit;

impl FromStr for TimeLimit {
    type Err = InvalidTimeLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let duration: jiff::SignedDuration = text.parse().map_err(|_| InvalidTimeLimit)?;
        let duration = Duration::try_from(duration).map_err(|_| InvalidTimeLimit)?;
        let allowed = Duration::from_millis(1)..=Duration::from_secs(3600);
        if allowed.contains(&duration) { Ok(TimeLimit(duration)) } else { Err(InvalidTimeLimit) }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for TimeLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for TimeLimit {
    fn schema_name() -> Cow<'static, str> {
        "TimeLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["500ms", "10s", "2m"] })
    }
}
