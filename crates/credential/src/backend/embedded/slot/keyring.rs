//! The desktop's keyring (freedesktop Secret Service), through libsecret's `secret-tool`: it holds a key that wraps the
//! data key.

use std::time::Duration;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::SecretValue;
use crate::backend::embedded::crypt;
use crate::backend::embedded::error::StoreError;
use crate::backend::embedded::format::{Bytes, Id};
use crate::program::Program;

use super::{Keys, Slot, SlotKind, unwrap, wrap};

/// The keyring may ask its user to unlock it.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn make(store: Id, keys: &Keys, data_key: &SecretValue) -> Result<Slot, StoreError> {
    let key = crypt::new_key().map_err(|e| StoreError::Key(format!("no randomness: {e}")))?;
    let text = Zeroizing::new(BASE64.encode(key.expose()));
    let item = Id::random().map_err(|e| StoreError::Key(format!("no randomness: {e}")))?;
    let label = format!("--label=custody store {store}");
    let arguments = [&["store".to_owned(), label][..], &attributes(store, item)].concat();
    let ran = program(keys).args(arguments).run(text.as_bytes(), LIMIT);
    let ran = ran.map_err(|e| StoreError::Key(e.to_string()))?;
    if !ran.status.success() {
        return Err(StoreError::Key(format!("secret-tool: {}", ran.talk)));
    }
    Ok(Slot::Keyring { item, wrapped: wrap(SlotKind::Keyring, store, &key, data_key)? })
}

/// Removes a key that opens nothing any more.
pub(super) fn clear(store: Id, keys: &Keys, item: Id) {
    let arguments = [&["clear".to_owned()][..], &attributes(store, item)].concat();
    // One that stays does no harm.
    let _ = program(keys).args(arguments).run(b"", LIMIT);
}

fn program(keys: &Keys) -> Program {
    let program = Program::new("secret-tool");
    match &keys.bus {
        Some(bus) => program.env("DBUS_SESSION_BUS_ADDRESS", bus),
        None => program,
    }
}

fn attributes(store: Id, item: Id) -> Vec<String> {
    ["application", "custody", "store", &store.to_string(), "key", &item.to_string()].map(str::to_owned).to_vec()
}

pub(super) fn open(store: Id, keys: &Keys, item: Id, wrapped: &Bytes) -> Result<SecretValue, String> {
    let arguments = [&["lookup".to_owned()][..], &attributes(store, item)].concat();
    let ran = program(keys).args(arguments).run(b"", LIMIT).map_err(|e| e.to_string())?;
    if !ran.status.success() {
        return Err(if ran.talk.is_empty() { "the keyring has no key of this store".to_owned() } else { ran.talk });
    }
    let text = ran.output.without_final_newline();
    let length = BASE64.decode_len(text.len()).map_err(|_| "the keyring holds no key")?;
    let key = SecretValue::fill(length, |out| BASE64.decode_mut(text.expose(), out));
    unwrap(SlotKind::Keyring, store, &key.map_err(|_| "the keyring holds no key")?, wrapped)
}
