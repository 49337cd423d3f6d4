//! Settings of the OpenBao and Vault backend, and what their own variables say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::http::HttpSettings;
use super::super::{Fault, Variables};

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct OpenBaoSettings {
    /// `https://host:8200`, or `unix:///path/to/socket`; else `BAO_ADDR` or `VAULT_ADDR`.
    pub address: Option<String>,
    /// The namespace; else `BAO_NAMESPACE` or `VAULT_NAMESPACE`.
    pub namespace: Option<String>,
    /// Mounts whose engine is known, so that it need not be asked for: `{ kv = "kv-v2" }`.
    pub mounts: BTreeMap<String, Engine>,
    /// How to log in; else by a token from the environment or the token helper's file.
    pub login: Option<Login>,
    /// Connections.
    pub http: HttpSettings,
}

/// A secrets engine, as far as reading differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// KV version 1: no versions.
    KvV1,
    /// KV version 2.
    KvV2,
    /// Any other engine: what a read at the path gives, such as `database/creds/role`.
    Logical,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "method", deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Login {
    /// By a token that is there.
    Token {
        /// The file that holds it; else `BAO_TOKEN`, `VAULT_TOKEN`, else `~/.vault-token`.
        #[serde(default)]
        file: Option<PathBuf>,
    },
    /// AppRole.
    Approle {
        /// The path of the method: `approle` unless set.
        #[serde(default)]
        mount: Option<String>,
        /// The role id.
        role_id: String,
        /// The file that holds the secret id, or the token that wraps it.
        #[serde(default)]
        secret_id_file: Option<PathBuf>,
        /// The variable that holds it.
        #[serde(default)]
        secret_id_variable: Option<String>,
        /// The name of the role, which a wrapped secret id must have been made for.
        #[serde(default)]
        role_name: Option<String>,
        /// Whether it is wrapped: a single-use token stands for it, so that a theft is noticed.
        #[serde(default)]
        wrapped: bool,
    },
    /// A JSON web token of another issuer, such as a CI system.
    Jwt {
        /// The path of the method: `jwt` unless set.
        #[serde(default)]
        mount: Option<String>,
        /// The role.
        #[serde(default)]
        role: Option<String>,
        /// The file that holds the token.
        #[serde(default)]
        token_file: Option<PathBuf>,
        /// The variable that holds the token.
        #[serde(default)]
        token_variable: Option<String>,
    },
    /// The service account of a Kubernetes pod.
    Kubernetes {
        /// The path of the method: `kubernetes` unless set.
        #[serde(default)]
        mount: Option<String>,
        /// The role.
        role: String,
        /// The file with the token, where it is not at the usual place.
        #[serde(default)]
        token_file: Option<PathBuf>,
    },
    /// The client certificate of `http.client-certificate`.
    Certificate {
        /// The path of the method: `cert` unless set.
        #[serde(default)]
        mount: Option<String>,
        /// The name of the certificate role.
        #[serde(default)]
        name: Option<String>,
    },
}

impl OpenBaoSettings {
    /// What the variables of `bao` and `vault` say.
    pub fn from_env(variables: &Variables) -> Self {
        Self::default().with_env(variables)
    }

    /// These settings; what they leave open is taken from the variables.
    #[must_use]
    pub fn with_env(mut self, variables: &Variables) -> Self {
        let either = |name: &str| variables.first(&[&format!("BAO_{name}"), &format!("VAULT_{name}")]);
        self.address = self.address.or_else(|| either("ADDR"));
        self.namespace = self.namespace.or_else(|| either("NAMESPACE"));
        let http = &mut self.http;
        http.ca_file = http.ca_file.take().or_else(|| either("CACERT").map(PathBuf::from));
        http.client_certificate = http.client_certificate.take().or_else(|| either("CLIENT_CERT").map(PathBuf::from));
        http.client_key = http.client_key.take().or_else(|| either("CLIENT_KEY").map(PathBuf::from));
        http.timeout_seconds =
            http.timeout_seconds.or_else(|| either("CLIENT_TIMEOUT").and_then(|text| seconds(&text)));
        self
    }

    /// The address, without a slash at its end.
    pub(super) fn address(&self) -> Result<&str, Fault> {
        let address = self.address.as_deref().map(|address| address.trim_end_matches('/')).unwrap_or_default();
        if address.is_empty() {
            return Err(Fault::configuration(
                "there is no address",
                "set `address` for this backend, or BAO_ADDR, to `https://host:8200`",
            ));
        }
        Ok(address)
    }
}

/// `60`, `60s` or `2m`, as the variables write a duration.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_suffix('m') {
        Some(minutes) => minutes.parse::<u64>().ok()?.checked_mul(60),
        None => text.strip_suffix('s').unwrap_or(text).parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_win_over_variables_and_bao_over_vault() {
        let variables = Variables::of([
            ("BAO_ADDR", "https://bao.test:8200/"),
            ("VAULT_ADDR", "https://vault.test"),
            ("VAULT_NAMESPACE", "team"),
            ("VAULT_CLIENT_TIMEOUT", "2m"),
        ]);
        let settings = OpenBaoSettings::from_env(&variables);
        assert_eq!(settings.address().unwrap(), "https://bao.test:8200");
        assert_eq!(settings.namespace.as_deref(), Some("team"));
        assert_eq!(settings.http.timeout_seconds, Some(120));
        let own = OpenBaoSettings { address: Some("https://own.test".into()), ..Default::default() };
        assert_eq!(own.with_env(&variables).address().unwrap(), "https://own.test");
    }

    #[test]
    fn the_contract_file_can_hold_them_and_unknown_keys_are_refused() {
        let text = r#"
            address = "https://bao.test"
            mounts = { kv = "kv-v2", old = "kv-v1" }
            login = { method = "approle", role-id = "r", secret-id-file = "/run/id", wrapped = true }
            http = { ca-file = "/etc/ca.pem" }
        "#;
        let settings: OpenBaoSettings = toml::from_str(text).unwrap();
        assert_eq!(settings.mounts["old"], Engine::KvV1);
        assert!(matches!(settings.login, Some(Login::Approle { wrapped: true, .. })));
        assert!(toml::from_str::<OpenBaoSettings>("token = \"x\"").is_err());
        assert!(toml::from_str::<OpenBaoSettings>("login = { method = \"jwt\", secret = \"x\" }").is_err());
    }
}
