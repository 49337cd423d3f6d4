//! `systemd-creds`: the key is bound to this host's own key, its TPM, or both, as systemd finds them.

use std::time::Duration;

use crate::SecretValue;
use crate::backend::embedded::error::StoreError;
use crate::backend::embedded::format::Id;
use crate::program::{Program, Ran};

use super::Slot;

const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn make(store: Id, data_key: &SecretValue) -> Result<Slot, StoreError> {
    let wrapped = run("encrypt", store, data_key.expose()).map_err(StoreError::Key)?;
    // Ciphertext in base64; it is no secret.
    let text = wrapped.output.expose_str().map(|t| t.split_whitespace().collect::<String>()).unwrap_or_default();
    if text.is_empty() {
        return Err(StoreError::Key("systemd-creds printed nothing".to_owned()));
    }
    Ok(Slot::SystemdCreds { wrapped: text })
}

pub(super) fn open(store: Id, wrapped: &str) -> Result<SecretValue, String> {
    run("decrypt", store, wrapped.as_bytes()).map(|ran| ran.output)
}

fn run(verb: &str, store: Id, input: &[u8]) -> Result<Ran, String> {
    let name = format!("--name=custody-{store}");
    let ran =
        Program::new("systemd-creds").args([verb, &name, "-", "-"]).run(input, LIMIT).map_err(|e| e.to_string())?;
    if ran.status.success() {
        Ok(ran)
    } else if ran.talk.is_empty() {
        Err(format!("systemd-creds {verb} fails ({})", ran.status))
    } else {
        Err(format!("systemd-creds {verb}: {}", ran.talk))
    }
}
