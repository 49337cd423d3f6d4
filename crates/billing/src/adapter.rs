//! Adapters: which one a document belongs to, and how an id that nobody registered is resolved.

use std::collections::BTreeMap;

use custody_contract::file::{Adapter, AdapterId};
use custody_contract::{Contract, Environment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the caller knows about whose document it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolHint {
    /// The tool that it is a request to, such as `billing.aws.ingest`.
    Tool(String),
    /// The adapter that it is for, such as `aws-billing`.
    Adapter(String),
}

/// What becomes of an adapter id that nobody registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResolutionMode {
    /// It is a `validation_error`.
    Strict,
    /// It resolves to [`FALLBACK`].
    Fallback,
}

/// The adapter that unknown ids resolve to in fallback mode.
pub const FALLBACK: &str = "openops-billing";

/// How an adapter id was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdapterResolution {
    /// The id that was asked for.
    pub requested_adapter_id: String,
    /// The id that it resolved to; payloads carry this one.
    pub resolved_adapter_id: String,
    /// Whether the two differ.
    pub used_fallback: bool,
}

/// The environment variable that sets the resolution mode.
pub(crate) const RESOLUTION_MODE: &str = "BILLING_ADAPTER_RESOLUTION_MODE";

impl ResolutionMode {
    /// The mode in force: the variable, else strict in stage and prod and where `NODE_ENV` says so, else fallback.
    ///
    /// # Errors
    ///
    /// [`InvalidResolutionMode`] for a variable with another value.
    pub fn in_force(
        variables: &BTreeMap<String, String>,
        environment: Environment,
    ) -> Result<ResolutionMode, InvalidResolutionMode> {
        match variables.get(RESOLUTION_MODE).map(String::as_str) {
            Some("strict") => Ok(ResolutionMode::Strict),
            Some("fallback") => Ok(ResolutionMode::Fallback),
            Some(value) if !value.is_empty() => Err(InvalidResolutionMode),
            _ => {
                let named = variables.get("NODE_ENV").and_then(|n| n.parse::<Environment>().ok());
                let strict = environment.is_release() || named.is_some_and(Environment::is_release);
                Ok(if strict { ResolutionMode::Strict } else { ResolutionMode::Fallback })
            }
        }
    }
}

/// A resolution mode that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown adapter resolution mode; expected strict or fallback")]
pub struct InvalidResolutionMode;

/// The adapters that the contract knows.
#[derive(Clone, Copy)]
pub(crate) struct Registry<'a> {
    adapters: &'a [Adapter],
}

impl<'a> Registry<'a> {
    pub(crate) fn new(contract: &'a Contract) -> Self {
        Registry { adapters: &contract.adapters }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a Adapter> {
        self.adapters.iter()
    }

    pub(crate) fn get(self, id: &str) -> Option<&'a Adapter> {
        self.adapters.iter().find(|a| a.id.as_str() == id)
    }

    pub(crate) fn of_tool(self, tool: &str) -> Option<&'a Adapter> {
        self.adapters.iter().find(|a| tool_of(a) == tool)
    }

    pub(crate) fn of_scope_field(self, field: &str) -> Option<&'a Adapter> {
        self.adapters.iter().find(|a| a.scope_field.as_deref() == Some(field))
    }

    /// The adapter whose tool names a directory of `path`.
    pub(crate) fn of_path(self, path: &str) -> Option<&'a Adapter> {
        path.split(['/', '\\']).rev().find_map(|part| self.of_tool(part))
    }

    /// The ids, for messages.
    pub(crate) fn ids(self) -> String {
        self.adapters.iter().map(|a| a.id.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The adapter that a mapping profile such as `default-aws-billing-v1` names.
    pub(crate) fn of_profile(self, profile: &str) -> Option<&'a Adapter> {
        self.adapters
            .iter()
            .find(|a| profile.match_indices(a.id.as_str()).any(|(at, id)| whole_words(profile, at, id.len())))
    }
}

fn whole_words(text: &str, at: usize, length: usize) -> bool {
    let bytes = text.as_bytes();
    (at == 0 || bytes[at - 1] == b'-') && bytes.get(at + length).is_none_or(|&b| b == b'-')
}

/// The tool whose requests an adapter takes.
pub(crate) fn tool_of(adapter: &Adapter) -> String {
    adapter.tool.clone().unwrap_or_else(|| format!("billing.{}.ingest", adapter.id.provider()))
}

/// The adapter id that a tool's name implies, whether or not anybody registered it.
pub(crate) fn id_of_tool(tool: &str) -> Option<AdapterId> {
    let provider = tool.strip_prefix("billing.")?.strip_suffix(".ingest")?;
    format!("{provider}-billing").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_is_as_strict_as_production() {
        let mode = |environment, node_env: Option<&str>, own: Option<&str>| {
            let mut variables = BTreeMap::new();
            variables.extend(node_env.map(|v| ("NODE_ENV".to_owned(), v.to_owned())));
            variables.extend(own.map(|v| (RESOLUTION_MODE.to_owned(), v.to_owned())));
            ResolutionMode::in_force(&variables, environment)
        };
        use Environment::{Local, Prod, Stage};
        assert_eq!(mode(Local, None, None), Ok(ResolutionMode::Fallback));
        assert_eq!(mode(Local, Some("production"), None), Ok(ResolutionMode::Strict));
        assert_eq!(mode(Local, Some("staging"), None), Ok(ResolutionMode::Strict));
        assert_eq!(mode(Stage, Some("development"), None), Ok(ResolutionMode::Strict));
        assert_eq!(mode(Prod, None, Some("fallback")), Ok(ResolutionMode::Fallback));
        assert_eq!(mode(Local, None, Some("Strict")), Err(InvalidResolutionMode));
    }

    #[test]
    fn profiles_and_tools_name_their_adapter() {
        let contract = Contract::builtin();
        let registry = Registry::new(&contract);
        let id = |adapter: Option<&Adapter>| adapter.map(|a| a.id.to_string());
        assert_eq!(id(registry.of_profile("default-aws-billing-v1")).as_deref(), Some("aws-billing"));
        assert_eq!(id(registry.of_profile("default-laws-billing-v1")), None);
        assert_eq!(id(registry.of_path("x/billing.gcp.ingest/1.0/request.valid.json")).as_deref(), Some("gcp-billing"));
        assert_eq!(id_of_tool("billing.snow-flake.ingest").expect("valid").as_str(), "snow-flake-billing");
        assert_eq!(id_of_tool("mcp.capabilities.get"), None);
    }
}
