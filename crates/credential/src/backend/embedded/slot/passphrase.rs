//! A passphrase, stretched with Argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Params, Version};

use crate::SecretValue;
use crate::backend::embedded::crypt;
use crate::backend::embedded::error::StoreError;
use crate::backend::embedded::format::{Bytes, Id};

use super::{Keys, Slot, SlotKind, unwrap, wrap};

/// The most that a store may ask for: who changes its header cannot make us use up the memory.
const MAX_MEMORY_KIB: u32 = 1 << 20;
const MAX_PASSES: u32 = 32;
const MAX_LANES: u32 = 16;

pub(super) fn make(store: Id, keys: &Keys, data_key: &SecretValue) -> Result<Slot, StoreError> {
    let cost = keys.passphrase_cost;
    let salt: [u8; 16] = crypt::random().map_err(|e| StoreError::Key(format!("no randomness: {e}")))?;
    let asked;
    let passphrase = match &keys.passphrase {
        Some(passphrase) => passphrase,
        None => {
            asked = keys.prompt.secret("New passphrase of the store: ");
            asked.as_ref().ok_or_else(|| StoreError::Key("there is no passphrase, and nobody to ask".to_owned()))?
        }
    };
    if passphrase.is_empty() {
        return Err(StoreError::Key("an empty passphrase protects nothing".to_owned()));
    }
    let key = stretch(passphrase, &salt, cost.memory_kib, cost.passes, cost.lanes).map_err(StoreError::Key)?;
    Ok(Slot::Passphrase {
        salt: Bytes(salt.to_vec()),
        memory_kib: cost.memory_kib,
        passes: cost.passes,
        lanes: cost.lanes,
        wrapped: wrap(SlotKind::Passphrase, store, &key, data_key)?,
    })
}

pub(super) fn open(store: Id, keys: &Keys, slot: &Slot) -> Result<SecretValue, String> {
    let Slot::Passphrase { salt, memory_kib, passes, lanes, wrapped } = slot else {
        return Err("it is no passphrase".to_owned());
    };
    if *memory_kib > MAX_MEMORY_KIB || *passes > MAX_PASSES || *lanes > MAX_LANES {
        return Err("it asks for more work than any custody would".to_owned());
    }
    let try_one = |passphrase: &SecretValue| {
        let key = stretch(passphrase, &salt.0, *memory_kib, *passes, *lanes)?;
        unwrap(SlotKind::Passphrase, store, &key, wrapped).map_err(|_| "the passphrase is wrong".to_owned())
    };
    if let Some(passphrase) = &keys.passphrase {
        return try_one(passphrase);
    }
    let mut last = "there is no passphrase, and nobody to ask".to_owned();
    for _ in 0..3 {
        let Some(passphrase) = keys.prompt.secret("Passphrase of the store: ") else { break };
        match try_one(&passphrase) {
            Ok(key) => return Ok(key),
            Err(why) => last = why,
        }
    }
    Err(last)
}

fn stretch(
    passphrase: &SecretValue,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
) -> Result<SecretValue, String> {
    let params = Params::new(memory_kib, passes, lanes, Some(crypt::KEY)).map_err(|e| e.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    SecretValue::fill(crypt::KEY, |out| {
        argon2.hash_password_into(passphrase.expose(), salt, out).map_err(|e| e.to_string())?;
        Ok(crypt::KEY)
    })
}
