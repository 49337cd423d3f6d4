use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a credential may do at its provider (CRED-3). The tier-1 baseline knows one mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// Lists and reads; changes nothing. The default where a request omits it (BILL-2).
    #[default]
    ReadOnly,
}

impl AuthMode {
    /// All supported modes.
    pub const ALL: [AuthMode; 1] = [AuthMode::ReadOnly];

    /// The name in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthMode::ReadOnly => "read-only",
        }
    }
}

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An auth mode that the contract does not support (BILL-3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported auth mode; supported: read-only")]
pub struct UnsupportedAuthMode;

impl FromStr for AuthMode {
    type Err = UnsupportedAuthMode;

    /// Exact and case-sensitive: a mode that merely resembles `read-only` is not it.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        AuthMode::ALL.into_iter().find(|m| m.as_str() == name).ok_or(UnsupportedAuthMode)
    }
}
