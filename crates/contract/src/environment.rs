use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Where a configuration runs, in the contract's sense (clauses, "Environments").
///
/// Aliases are accepted when parsing and never printed: `development`, `dev` and `test` are `local`;
/// `staging` and `preprod` are `stage`; `production` is `prod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A developer's machine or a test run.
    Local,
    /// Before production, with production's rules.
    Stage,
    /// Production.
    Prod,
}

impl Environment {
    /// All environments, least strict first.
    pub const ALL: [Environment; 3] = [Environment::Local, Environment::Stage, Environment::Prod];

    /// The canonical name.
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Local => "local",
            Environment::Stage => "stage",
            Environment::Prod => "prod",
        }
    }

    /// Every name that parses to this environment, the canonical one first.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Environment::Local => &["local", "development", "dev", "test"],
            Environment::Stage => &["stage", "staging", "preprod"],
            Environment::Prod => &["prod", "production"],
        }
    }

    /// Whether the contract's production rules hold here (`stage` and `prod`).
    pub fn is_release(self) -> bool {
        self != Environment::Local
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no environment has; it is an error, never silently `local`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown environment; expected local (development, dev, test), stage (staging, preprod) or prod (production)")]
pub struct UnknownEnvironment;

impl FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Environment::ALL
            .into_iter()
            .find(|e| e.names().iter().any(|n| n.eq_ignore_ascii_case(name)))
            .ok_or(UnknownEnvironment)
    }
}

impl<'de> Deserialize<'de> for Environment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Environment {
    fn schema_name() -> Cow<'static, str> {
        "Environment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Environment::ALL.iter().flat_map(|e| e.names()).copied().collect();
        json_schema!({ "type": "string", "enum": names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_parses_in_any_case() {
        for environment in Environment::ALL {
            for name in environment.names() {
                assert_eq!(name.parse(), Ok(environment));
                assert_eq!(name.to_uppercase().parse(), Ok(environment));
            }
        }
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        for name in ["", "qa", "locale", "prod ", "prod-eu"] {
            assert_eq!(name.parse::<Environment>(), Err(UnknownEnvironment));
        }
    }
}
