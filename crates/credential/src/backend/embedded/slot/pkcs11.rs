//! A token that speaks PKCS#11 (OASIS, version 2.40 and later): a smart card, an HSM, SoftHSM. A key that never leaves it
//! seals a random key, which wraps the data key.
//!
//! The module is a library that is loaded while the program runs, so nothing is needed to build this. Its path comes from
//! the settings or the user's environment, never from the store: whoever changes a store cannot have code loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot as Reader, TokenInfo};
use cryptoki::types::AuthPin;
use serde::{Deserialize, Serialize};

use crate::SecretValue;
use crate::backend::embedded::crypt;
use crate::backend::embedded::error::StoreError;
use crate::backend::embedded::format::{Bytes, Id};

use super::pkcs11_key::{self, Algorithm};
use super::{Keys, Slot, SlotKind, unwrap, wrap};

/// What is loaded where no module is named: the one that p11-kit makes of all that the system has.
const DEFAULT_MODULE: &str = "p11-kit-proxy.so";

/// The token and its key, as the store's header names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::backend::embedded) struct TokenKey {
    /// Label of the token.
    pub(super) token: String,
    /// Serial number of the token.
    pub(super) serial: String,
    /// `CKA_ID` of the key.
    pub(super) key: Bytes,
    /// How it seals.
    pub(super) algorithm: Algorithm,
    /// Whether custody made it, and may destroy it when it opens nothing any more.
    pub(super) is_own: bool,
}

/// Where the token is and which key of it is taken.
#[derive(Debug, Clone, Default)]
pub struct TokenChoice {
    /// The module: a path, or a name that the system's loader finds.
    pub module: Option<PathBuf>,
    /// Label of the token, where there are several.
    pub token: Option<String>,
    /// Label of a key that is there already; else one is made.
    pub key: Option<String>,
}

pub(super) fn make(store: Id, keys: &Keys, data_key: &SecretValue) -> Result<Slot, StoreError> {
    make_with(store, keys, data_key, None)
}

/// A slot on the token of an old one: by a new key, where the old one was custody's own.
pub(super) fn remake(store: Id, keys: &Keys, data_key: &SecretValue, old: &TokenKey) -> Result<Slot, StoreError> {
    make_with(store, keys, data_key, Some(old))
}

fn make_with(store: Id, keys: &Keys, data_key: &SecretValue, old: Option<&TokenKey>) -> Result<Slot, StoreError> {
    let made = with_token(keys, old, Access::ReadWrite, |session, token, mechanisms| {
        let key = match (old, &keys.token.key) {
            (Some(old), _) if !old.is_own => pkcs11_key::existing(session, &old.key.0)?,
            (None, Some(label)) => pkcs11_key::labelled(session, label)?,
            _ => pkcs11_key::generate(session, mechanisms, store)?,
        };
        let wrapping = crypt::new_key().map_err(|e| format!("no randomness: {e}"))?;
        let sealed = pkcs11_key::seal(session, &key, store, &wrapping);
        // What cannot be opened again is worth nothing: look now.
        let opened = sealed.and_then(|(algorithm, sealed)| {
            let opened = pkcs11_key::open(session, &key.id, algorithm, store, &sealed)?;
            if opened == wrapping {
                Ok((algorithm, sealed))
            } else {
                Err("the token opens what it sealed wrongly".into())
            }
        });
        let (algorithm, sealed) = opened.inspect_err(|_| {
            if key.is_own {
                pkcs11_key::destroy(session, &key.id);
            }
        })?;
        let key = TokenKey {
            token: token.label().trim_end().to_owned(),
            serial: token.serial_number().trim_end().to_owned(),
            key: Bytes(key.id),
            algorithm,
            is_own: key.is_own,
        };
        Ok((key, sealed, wrapping))
    });
    let (key, sealed, wrapping) = made.map_err(StoreError::Key)?;
    let wrapped = wrap(SlotKind::Pkcs11, store, &wrapping, data_key)?;
    Ok(Slot::Pkcs11 { key, sealed: Bytes(sealed), wrapped })
}

pub(super) fn open(
    store: Id,
    keys: &Keys,
    key: &TokenKey,
    sealed: &Bytes,
    wrapped: &Bytes,
) -> Result<SecretValue, String> {
    let wrapping = with_token(keys, Some(key), Access::ReadOnly, |session, _, _| {
        pkcs11_key::open(session, &key.key.0, key.algorithm, store, &sealed.0)
    })?;
    unwrap(SlotKind::Pkcs11, store, &wrapping, wrapped)
}

/// Destroys a key of custody's own that opens nothing any more.
pub(super) fn retire(keys: &Keys, key: &TokenKey) {
    if key.is_own {
        // One that stays opens no store in force.
        let _ = with_token(keys, Some(key), Access::ReadWrite, |session, _, _| {
            pkcs11_key::destroy(session, &key.key.0);
            Ok(())
        });
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Access {
    ReadOnly,
    ReadWrite,
}

/// A module can be initialised once in a process, and its logins hold for the whole process: so there is one list of the
/// loaded ones, and one caller at a time, who logs out at the end.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

type Mechanisms = Vec<cryptoki::mechanism::MechanismType>;

/// Finds the token, logs in and works with it.
fn with_token<T>(
    keys: &Keys,
    known: Option<&TokenKey>,
    access: Access,
    work: impl FnOnce(&Session, &TokenInfo, &Mechanisms) -> Result<T, String>,
) -> Result<T, String> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    let path = keys.token.module.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_MODULE));
    let module = match modules.get(&path) {
        Some(module) => module.clone(),
        None => {
            let module = load(&path)?;
            modules.insert(path.clone(), module.clone());
            module
        }
    };
    let (reader, token) = find(&module, &path, keys, known)?;
    let session = match access {
        Access::ReadOnly => module.open_ro_session(reader),
        Access::ReadWrite => module.open_rw_session(reader),
    };
    let session = session.map_err(|e| said(&e))?;
    let is_logged_in = log_in(&session, &token, keys)?;
    let mechanisms = module.get_mechanism_list(reader).map_err(|e| said(&e));
    let outcome = mechanisms.and_then(|mechanisms| work(&session, &token, &mechanisms));
    if is_logged_in {
        // The session ends in any case.
        let _ = session.logout();
    }
    outcome
}

fn load(path: &Path) -> Result<Pkcs11, String> {
    let shown = path.display();
    let module = Pkcs11::new(path).map_err(|error| match error {
        Error::LibraryLoading(_) => {
            format!("the PKCS#11 module {shown} cannot be loaded: name yours as pkcs11.module or CUSTODY_PKCS11_MODULE")
        }
        other => format!("{shown} is no PKCS#11 module: {}", said(&other)),
    })?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(format!("the PKCS#11 module {shown} does not start: {}", said(&error))),
    }
}

/// The token of a slot, else the one that the settings name, else the only one.
fn find(module: &Pkcs11, path: &Path, keys: &Keys, known: Option<&TokenKey>) -> Result<(Reader, TokenInfo), String> {
    let readers = module.get_slots_with_token().map_err(|e| said(&e))?;
    let mut tokens: Vec<(Reader, TokenInfo)> = readers
        .into_iter()
        .filter_map(|reader| Some((reader, module.get_token_info(reader).ok()?)))
        .filter(|(_, token)| token.token_initialized())
        .collect();
    let labels: Vec<String> = tokens.iter().map(|(_, token)| format!("`{}`", token.label().trim_end())).collect();
    let there = match labels.is_empty() {
        true => format!("{} has no token", path.display()),
        false => format!("there are: {}", labels.join(", ")),
    };
    let wanted = known.map(|key| key.token.as_str()).or(keys.token.token.as_deref());
    tokens.retain(|(_, token)| {
        known.is_none_or(|key| key.serial == token.serial_number().trim_end())
            && wanted.is_none_or(|label| label == token.label().trim_end())
    });
    match (tokens.len(), wanted) {
        (1, _) => Ok(tokens.swap_remove(0)),
        (0, Some(label)) => Err(format!("the token `{label}` is not there: {there}")),
        (0, None) => Err(there),
        _ => Err(format!("several tokens could be meant; name one as pkcs11.token: {there}")),
    }
}

/// Whether there is something to log out of.
fn log_in(session: &Session, token: &TokenInfo, keys: &Keys) -> Result<bool, String> {
    if !token.login_required() {
        return Ok(false);
    }
    let label = token.label().trim_end();
    if token.user_pin_locked() {
        return Err(format!("the PIN of the token `{label}` is locked: its owner can set a new one"));
    }
    if token.protected_authentication_path() {
        return match session.login(UserType::User, None) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(true),
            Err(error) => Err(said(&error)),
        };
    }
    if token.user_pin_final_try() {
        return Err(format!("one wrong PIN more would lock the token `{label}`: use it with its own tool first"));
    }
    let pin = keys.pin(&format!("PIN of the token {label}: ")).ok_or_else(|| {
        format!("the token `{label}` wants a PIN, and there is nobody to ask: set pin-file, or CUSTODY_STORE_PIN")
    })?;
    let text = pin.expose_str().ok_or("the PIN is not UTF-8 text")?;
    match session.login(UserType::User, Some(&AuthPin::from(text))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(true),
        Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _)) => {
            Err(format!("the PIN of the token `{label}` is wrong; it was tried once"))
        }
        Err(error) => Err(said(&error)),
    }
}

/// What went wrong, in few words: the library's own are paragraphs of the standard.
pub(super) fn said(error: &Error) -> String {
    match error {
        Error::Pkcs11(RvError::PinLocked, _) => "the PIN is locked".to_owned(),
        Error::Pkcs11(RvError::TokenNotPresent | RvError::DeviceRemoved, _) => "the token was taken out".to_owned(),
        Error::Pkcs11(RvError::TokenWriteProtected, _) => "the token is write-protected".to_owned(),
        Error::Pkcs11(value, function) => format!("the token answers {value:?} to {function:?}"),
        Error::NullFunctionPointer | Error::NotSupported => "the module cannot do this".to_owned(),
        other => format!("{other:?}").chars().take(120).collect(),
    }
}
