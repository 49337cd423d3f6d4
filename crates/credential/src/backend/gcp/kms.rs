//! Cloud KMS: opening a small ciphertext, as the data keys of sops. Source: the REST reference, version 1.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::http::{Client, Plaintext, Request};
use super::super::location::encode_path;
use super::super::sops::decoded;
use super::super::{Fault, Variables, json};
use super::login::Login;
use super::{GcpSettings, refusal};
use crate::SecretValue;

const ENDPOINT: &str = "https://cloudkms.googleapis.com";

#[derive(Deserialize)]
struct Decrypted<'a> {
    #[serde(borrow)]
    plaintext: Option<&'a RawValue>,
}

/// Opens a ciphertext in base64 with the key of this name.
///
/// # Errors
/// As for reading a secret.
pub(crate) fn decrypt(
    settings: GcpSettings,
    variables: &Variables,
    key: &str,
    ciphertext: &str,
) -> Result<SecretValue, Fault> {
    let parts: Vec<&str> = key.split('/').collect();
    let is_key = matches!(parts.as_slice(), ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _])
        && parts.iter().all(|part| !matches!(*part, "" | "." | ".."));
    if !is_key {
        return Err(Fault::configuration("the name of the key is none of Cloud KMS", "check the file's `gcp_kms`"));
    }
    let http = Client::new(settings.http.clone(), Plaintext::Loopback, variables)?;
    let login = Login::new(settings.credentials_file, settings.http, variables)?;
    let base = settings.endpoint.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/');
    let url = format!("{base}/v1/{}:decrypt", encode_path(key));
    let body = Zeroizing::new(serde_json::json!({ "ciphertext": ciphertext }).to_string().into_bytes());
    let answer = login.ask(|token| {
        http.send(&Request::post(&url).json(body.clone()).secret_header("authorization", "Bearer ", token))
    })?;
    if !answer.is_success() {
        return Err(refusal(&answer));
    }
    decoded(json::parse::<Decrypted<'_>>(answer.json()?, "the opened key")?.plaintext)
}
