//! The ways to a store's data key: each slot holds the key wrapped for one of them.

mod age_identity;
mod key_file;
mod keyring;
mod passphrase;
mod pkcs11;
mod pkcs11_key;
mod systemd;
mod tpm;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::context::Prompt;
use crate::{Context, SecretValue};

use super::crypt;
use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::format::{Bytes, Id};

pub use pkcs11::TokenChoice;
pub use tpm::TpmChoice;

/// The kinds of ways to a store's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SlotKind {
    /// A file that only its owner may read, outside the store's directory.
    KeyFile,
    /// `systemd-creds`: the host's key, the TPM, or both, as systemd is set up.
    SystemdCreds,
    /// The desktop's keyring (Secret Service), through `secret-tool`.
    Keyring,
    /// Recipients of the program age.
    Age,
    /// A TPM 2.0, through tpm2-tools.
    Tpm,
    /// A token that speaks PKCS#11.
    Pkcs11,
    /// A passphrase.
    Passphrase,
}

impl SlotKind {
    /// All kinds, the cheapest to try first.
    pub const ALL: [Self; 7] =
        [Self::KeyFile, Self::SystemdCreds, Self::Keyring, Self::Age, Self::Tpm, Self::Pkcs11, Self::Passphrase];

    /// Its name in settings and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyFile => "key-file",
            Self::SystemdCreds => "systemd-creds",
            Self::Keyring => "keyring",
            Self::Age => "age",
            Self::Tpm => "tpm",
            Self::Pkcs11 => "pkcs11",
            Self::Passphrase => "passphrase",
        }
    }
}

/// One way to the data key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Slot {
    KeyFile {
        wrapped: Bytes,
    },
    SystemdCreds {
        wrapped: String,
    },
    Keyring {
        item: Id,
        wrapped: Bytes,
    },
    Age {
        recipients: Vec<String>,
        wrapped: String,
    },
    Tpm {
        public: Bytes,
        private: Bytes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pcrs: Option<String>,
        pin: bool,
        wrapped: Bytes,
    },
    Pkcs11 {
        key: pkcs11::TokenKey,
        sealed: Bytes,
        wrapped: Bytes,
    },
    Passphrase {
        salt: Bytes,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        wrapped: Bytes,
    },
}

/// What opens and makes slots: from the settings and from a person.
pub struct Keys {
    /// Where key files and witnesses of stores lie by default.
    pub directory: PathBuf,
    /// The key file, where the settings name one.
    pub key_file: Option<PathBuf>,
    /// The passphrase, where the settings or the caller have one.
    pub passphrase: Option<SecretValue>,
    /// The passphrase of new slots, where it is to be another one.
    pub new_passphrase: Option<SecretValue>,
    /// A file with age identities.
    pub identity_file: Option<PathBuf>,
    /// Whom new age slots are for.
    pub recipients: Vec<String>,
    /// The PIN of a token or TPM, where the settings or the caller have one.
    pub pin: Option<SecretValue>,
    /// The token of slots `pkcs11`.
    pub token: TokenChoice,
    /// The TPM of slots `tpm`.
    pub tpm: TpmChoice,
    /// The session bus that the keyring is on, where it is another one than the process's.
    pub bus: Option<String>,
    /// Who may be asked for a passphrase or PIN.
    pub prompt: Arc<dyn Prompt>,
    /// How costly new passphrase slots are.
    pub passphrase_cost: PassphraseCost,
    pub(super) disk: Arc<dyn Disk>,
}

/// The cost of trying one passphrase (Argon2id, RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PassphraseCost {
    /// RFC 9106, section 4, second recommended option.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

impl Keys {
    /// Keys where they lie by default.
    pub fn new(directory: PathBuf, context: &Context) -> Self {
        Self {
            directory,
            key_file: None,
            passphrase: None,
            new_passphrase: None,
            identity_file: None,
            recipients: Vec::new(),
            pin: None,
            token: TokenChoice::default(),
            tpm: TpmChoice::default(),
            bus: context.variables.text("DBUS_SESSION_BUS_ADDRESS"),
            prompt: Arc::clone(&context.prompt),
            passphrase_cost: PassphraseCost::default(),
            disk: Arc::new(RealDisk),
        }
    }

    /// The PIN, of the settings or a person.
    fn pin(&self, question: &str) -> Option<SecretValue> {
        self.pin.as_ref().map(SecretValue::duplicate).or_else(|| self.prompt.secret(question))
    }

    pub(super) fn key_file_of(&self, store: Id) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.directory.join(format!("{store}.key")))
    }
}

impl Slot {
    pub(super) fn kind(&self) -> SlotKind {
        match self {
            Self::KeyFile { .. } => SlotKind::KeyFile,
            Self::SystemdCreds { .. } => SlotKind::SystemdCreds,
            Self::Keyring { .. } => SlotKind::Keyring,
            Self::Age { .. } => SlotKind::Age,
            Self::Tpm { .. } => SlotKind::Tpm,
            Self::Pkcs11 { .. } => SlotKind::Pkcs11,
            Self::Passphrase { .. } => SlotKind::Passphrase,
        }
    }

    /// Wraps the data key; what the way needs (a key file, an entry of the keyring) is made if it is not there.
    pub(super) fn make(kind: SlotKind, store: Id, keys: &Keys, data_key: &SecretValue) -> Result<Self, StoreError> {
        match kind {
            SlotKind::KeyFile => key_file::make(store, keys, data_key),
            SlotKind::SystemdCreds => systemd::make(store, data_key),
            SlotKind::Keyring => keyring::make(store, keys, data_key),
            SlotKind::Age => age_identity::make(&keys.recipients, data_key),
            SlotKind::Tpm => tpm::make(store, keys, data_key),
            SlotKind::Pkcs11 => pkcs11::make(store, keys, data_key),
            SlotKind::Passphrase => passphrase::make(store, keys, data_key),
        }
    }

    /// The same way to another data key, by a new key of its own. What opens the old slot stays until
    /// [`Slot::retire`], so that the store opens whatever happens in between.
    pub(super) fn remake(&self, store: Id, keys: &Keys, data_key: &SecretValue) -> Result<Self, StoreError> {
        match self {
            Self::Age { recipients, .. } => age_identity::make(recipients, data_key),
            Self::KeyFile { wrapped } => key_file::renew(store, keys, data_key, wrapped),
            Self::Tpm { pcrs, pin, .. } => tpm::remake(store, keys, data_key, pcrs.as_deref(), *pin),
            Self::Pkcs11 { key, .. } => pkcs11::remake(store, keys, data_key, key),
            _ => Self::make(self.kind(), store, keys, data_key),
        }
    }

    /// Removes what opened this slot and opens none of those in force.
    pub(super) fn retire(&self, store: Id, keys: &Keys) {
        match self {
            Self::KeyFile { .. } => key_file::keep_newest(store, keys),
            Self::Keyring { item, .. } => keyring::clear(store, keys, *item),
            Self::Pkcs11 { key, .. } => pkcs11::retire(keys, key),
            _ => {}
        }
    }

    /// The data key, or why this way is closed.
    pub(super) fn open(&self, store: Id, keys: &Keys) -> Result<SecretValue, String> {
        let key = match self {
            Self::KeyFile { wrapped } => key_file::open(store, keys, wrapped),
            Self::SystemdCreds { wrapped } => systemd::open(store, wrapped),
            Self::Keyring { item, wrapped } => keyring::open(store, keys, *item, wrapped),
            Self::Age { wrapped, .. } => age_identity::open(keys, wrapped),
            Self::Tpm { .. } => tpm::open(store, keys, self),
            Self::Pkcs11 { key, sealed, wrapped } => pkcs11::open(store, keys, key, sealed, wrapped),
            Self::Passphrase { .. } => passphrase::open(store, keys, self),
        }?;
        if key.len() == crypt::KEY { Ok(key) } else { Err("it holds no key".to_owned()) }
    }
}

/// Opens the first slot that opens; the cheap ones are tried first.
pub(super) fn open_any(slots: &[Slot], store: Id, keys: &Keys) -> Result<SecretValue, StoreError> {
    let mut closed = Vec::new();
    for kind in SlotKind::ALL {
        for slot in slots.iter().filter(|slot| slot.kind() == kind) {
            match slot.open(store, keys) {
                Ok(key) => return Ok(key),
                Err(why) => closed.push(format!("{}: {why}", kind.as_str())),
            }
        }
    }
    if closed.is_empty() {
        return Err(StoreError::damaged("it has no way to its key"));
    }
    Err(StoreError::Locked(closed))
}

/// Wraps a data key with another key.
fn wrap(kind: SlotKind, store: Id, with: &SecretValue, data_key: &SecretValue) -> Result<Bytes, StoreError> {
    let sealed = crypt::seal(&crypt::derive(with, "wrapping"), &associated(kind, store), data_key.expose());
    sealed.map(Bytes).map_err(|e| StoreError::Key(format!("the key cannot be wrapped: {e}")))
}

fn unwrap(kind: SlotKind, store: Id, with: &SecretValue, wrapped: &Bytes) -> Result<SecretValue, String> {
    crypt::open(&crypt::derive(with, "wrapping"), &associated(kind, store), &wrapped.0)
        .map_err(|_| "it is the key of another store, or the store was changed".to_owned())
}

fn associated(kind: SlotKind, store: Id) -> Vec<u8> {
    [&store.0[..], kind.as_str().as_bytes()].concat()
}
