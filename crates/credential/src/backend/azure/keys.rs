//! Keys of Key Vault: opening a small ciphertext, as the data keys of sops. Source: the REST reference, version 7.4.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::http::{Client, Plaintext, Request};
use super::super::location::encode_segment;
use super::super::sops::decoded;
use super::super::{Fault, Variables, json};
use super::login::Session;
use super::{API, AzureSettings, refusal, resource_of};
use crate::SecretValue;

/// Where vaults are: to others no token is sent.
const DOMAINS: [&str; 4] =
    [".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net", ".vault.microsoftazure.de"];

#[derive(Deserialize)]
struct Decrypted<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// Opens a ciphertext in base64url with a key of a vault, by name and version.
///
/// # Errors
/// As for reading a secret; configuration, if the address is neither Azure's nor the settings'.
pub(crate) fn decrypt(
    settings: AzureSettings,
    variables: &Variables,
    vault: &str,
    (name, version): (&str, &str),
    ciphertext: &str,
) -> Result<SecretValue, Fault> {
    let vault = vault.trim_end_matches('/');
    let host = vault.strip_prefix("https://").unwrap_or_default();
    let is_host =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    let is_azure = is_host && DOMAINS.iter().any(|domain| host.to_ascii_lowercase().ends_with(domain));
    let is_own = settings.vault.as_deref().is_some_and(|own| own.trim_end_matches('/') == vault);
    if !is_azure && !is_own {
        return Err(Fault::configuration(
            "the file names a vault that is none of Azure's, to which no login is sent",
            "set azure.vault to it if it is yours",
        ));
    }
    let resource = settings.resource.unwrap_or_else(|| resource_of(vault));
    let http = Client::new(settings.http.clone(), Plaintext::Loopback, variables)?;
    let session = Session::new(settings.login, resource, settings.http, variables)?;
    let version = if version.is_empty() { String::new() } else { format!("/{}", encode_segment(version)) };
    let url = format!("{vault}/keys/{}{version}/decrypt?{API}", encode_segment(name));
    let body = serde_json::json!({ "alg": "RSA-OAEP-256", "value": ciphertext }).to_string();
    let body = Zeroizing::new(body.into_bytes());
    let answer = session.ask(|token| {
        http.send(&Request::post(&url).json(body.clone()).secret_header("authorization", "Bearer ", token))
    })?;
    if !answer.is_success() {
        return Err(refusal(&answer));
    }
    decoded(json::parse::<Decrypted<'_>>(answer.json()?, "the opened key")?.value)
}
