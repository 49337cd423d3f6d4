//! The key service: opening a small ciphertext, as the data keys of sops.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::sops::decoded;
use super::super::{Fault, Variables, json};
use super::client::{Context, Service, refusal};
use super::settings::AwsSettings;
use crate::SecretValue;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted<'a> {
    #[serde(borrow)]
    plaintext: Option<&'a RawValue>,
}

/// Opens a ciphertext in base64 with the key of this ARN, in the ARN's region.
///
/// # Errors
/// As for reading a secret.
pub(crate) fn decrypt(
    mut settings: AwsSettings,
    variables: &Variables,
    arn: &str,
    context: Option<&BTreeMap<String, String>>,
    ciphertext: &str,
) -> Result<SecretValue, Fault> {
    let region = arn.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2)).unwrap_or_default();
    if region.is_empty() {
        return Err(Fault::configuration("the key's ARN names no region", "check the file's `kms`"));
    }
    settings.region = Some(region.to_owned());
    let service = Service::new(Arc::new(Context::new(settings, variables)?), "kms", "kms", "TrentService");
    let mut body = serde_json::json!({ "KeyId": arn, "CiphertextBlob": ciphertext });
    if let Some(context) = context.filter(|context| !context.is_empty()) {
        body["EncryptionContext"] = serde_json::json!(context);
    }
    let answer = service.call("Decrypt", &Zeroizing::new(body.to_string().into_bytes()), None)?;
    if !answer.is_success() {
        return Err(refusal(&answer));
    }
    decoded(json::parse::<Decrypted<'_>>(answer.json()?, "the opened key")?.plaintext)
}
