//! The backend `embedded`: an encrypted store on this machine, the default, with nothing to set up.
//!
//! A location is a name, by default the reference's path. See docs/embedded-store.md for the format and what it
//! protects against.

mod backup;
mod crypt;
mod disk;
mod error;
mod format;
mod slot;
#[cfg(test)]
mod slot_tests;
mod store;
#[cfg(test)]
mod tests;
mod witness;

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::SecretValue;
use crate::backend::{
    Backend, BackendError, Capabilities, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, select_field,
    split_location,
};
use crate::registry::BackendKind;
use crate::setup::{ConfigError, Setup};

pub use backup::{Replace, Restored};
pub use error::StoreError;
pub use format::Id;
#[cfg(feature = "testing")]
pub use format::read_hostile;
pub use slot::{Keys, PassphraseCost, SlotKind, TokenChoice, TpmChoice};
pub use store::{MAX_VALUE_BYTES, Store, StoreRecord, VersionRecord, Which};

/// The kind, for the registry.
pub const KIND: BackendKind = BackendKind {
    name: NAME,
    aliases: &["local-dev"],
    summary: "an encrypted store on this machine (the default)",
    make: |setup| Ok(Box::new(Embedded { store: open(setup)? })),
};

const NAME: &str = "embedded";

/// The variable that holds a store's passphrase where nobody can be asked.
pub const PASSPHRASE_VARIABLE: &str = "CUSTODY_STORE_PASSPHRASE";

/// The variable that holds the PIN of a token or TPM where nobody can be asked.
pub const PIN_VARIABLE: &str = "CUSTODY_STORE_PIN";

/// The variable that names the PKCS#11 module.
pub const MODULE_VARIABLE: &str = "CUSTODY_PKCS11_MODULE";

/// The settings of `[backends.NAME]` with `kind = "embedded"`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    /// The store's directory.
    path: Option<String>,
    /// The key file, instead of one beside the user's other settings.
    key_file: Option<String>,
    /// A file with age identities.
    identity_file: Option<String>,
    /// Whom a new store's age slot is for.
    recipients: Vec<String>,
    /// The way to the key that a new store gets.
    unlock: Option<SlotKind>,
    /// How many versions of a secret are kept.
    keep_versions: Option<usize>,
    /// The token of a way `pkcs11`.
    pkcs11: TokenSettings,
    /// The TPM of a way `tpm`.
    tpm: TpmChoice,
}

/// The settings `pkcs11`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct TokenSettings {
    module: Option<String>,
    token: Option<String>,
    key: Option<String>,
}

/// Opens the store of a setup; nothing is read yet.
///
/// # Errors
/// Settings that cannot be used, or no home directory to keep the store in.
pub fn open(setup: &mut Setup<'_>) -> Result<Store, ConfigError> {
    let passphrase = setup.secret("passphrase")?;
    let pin = setup.secret("pin")?;
    let settings: Settings = setup.parse()?;
    let context = setup.context;
    let variable = |name: &str| context.variables.get(name).filter(|v| !v.is_empty());
    let secret_of = |name: &str| variable(name).map(|text| SecretValue::new(text.into_encoded_bytes()));
    let home = |name: &str, below: &str| {
        let base = variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
        base.or_else(|| Some(PathBuf::from(variable("HOME")?).join(below)))
    };
    let no_home = |setting: &str| {
        setup.error(
            Some(setting),
            "neither HOME nor an XDG directory is set",
            format!("set {setting} in the contract file"),
        )
    };
    let project = project_of(&context.root);
    let directory = match &settings.path {
        Some(path) => context.path(path),
        None => {
            let data = home("XDG_DATA_HOME", ".local/share").ok_or_else(|| no_home("path"))?;
            data.join("custody").join("stores").join(directory_name(&project))
        }
    };
    let key_directory = match (home("XDG_CONFIG_HOME", ".config"), &settings.key_file) {
        (Some(config), _) => config.join("custody").join("keys"),
        (None, Some(file)) => context.path(file).parent().unwrap_or(Path::new("/")).to_owned(),
        (None, None) => return Err(no_home("key-file")),
    };
    let mut keys = Keys::new(key_directory, context);
    keys.key_file = settings.key_file.as_deref().map(|p| context.path(p));
    keys.identity_file = settings.identity_file.as_deref().map(|p| context.path(p));
    keys.recipients = settings.recipients;
    keys.passphrase = passphrase.or_else(|| secret_of(PASSPHRASE_VARIABLE));
    keys.pin = pin.or_else(|| secret_of(PIN_VARIABLE));
    let module = settings.pkcs11.module.map(|module| match module.contains('/') {
        true => context.path(&module),
        false => PathBuf::from(module),
    });
    keys.token = TokenChoice {
        module: module.or_else(|| variable(MODULE_VARIABLE).map(PathBuf::from)),
        token: settings.pkcs11.token,
        key: settings.pkcs11.key,
    };
    keys.tpm = settings.tpm;
    keys.tpm.tcti = keys.tpm.tcti.or_else(|| context.variables.text("TPM2TOOLS_TCTI"));
    Ok(Store::new(directory, keys, context)
        .keeping(settings.keep_versions.unwrap_or(10))
        .made_with(settings.unlock.unwrap_or(SlotKind::KeyFile))
        .made_for(Some(project.to_string_lossy().into_owned())))
}

/// The repository that a directory belongs to: work trees of one repository share it.
fn project_of(root: &Path) -> PathBuf {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let main = || {
        let link = std::fs::read_to_string(root.join(".git")).ok()?;
        let git = root.join(link.strip_prefix("gitdir:")?.trim());
        let common = std::fs::read_to_string(git.join("commondir")).ok()?;
        let common = git.join(common.trim()).canonicalize().ok()?;
        common.parent().map(Path::to_owned)
    };
    if root.join(".git").is_file() { main().unwrap_or(root) } else { root }
}

/// A name that a person recognises and that no two repositories share.
fn directory_name(project: &Path) -> String {
    let name = project.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(32).collect();
    let hash = blake3::hash(project.as_os_str().as_encoded_bytes()).to_hex();
    format!("{name}-{}", &hash[..16])
}

/// The embedded store as a backend.
pub struct Embedded {
    store: Store,
}

impl Embedded {
    /// This store.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    fn answer(
        &self,
        request: &ReadRequest,
        answer: Result<(SecretValue, VersionRecord), StoreError>,
    ) -> Result<Resolved, BackendError> {
        let (value, record) = answer.map_err(|e| e.for_reference(&request.reference))?;
        let value = match split_location(&request.location).1 {
            None => value,
            Some(field) => select_field(&value, field).map_err(|error| {
                let fix = "check the location's #field";
                BackendError::new(ErrorKind::NotFound, NAME, &request.reference, error.to_string(), fix)
            })?,
        };
        Ok(Resolved { value, metadata: metadata(&record) })
    }
}

fn metadata(record: &VersionRecord) -> Metadata {
    Metadata { version: Some(record.number.to_string()), created: Some(record.created), ..Metadata::default() }
}

/// `None` for a version that the store cannot have.
fn which(version: &VersionRequest) -> Option<Which> {
    match version {
        VersionRequest::Current => Some(Which::Current),
        VersionRequest::Previous => Some(Which::Previous),
        VersionRequest::Exact(number) => number.parse().ok().map(Which::Number),
    }
}

impl Backend for Embedded {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, list: true, versions: true, batch: true }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        if requests.is_empty() {
            return Vec::new();
        }
        let wanted: Vec<(&str, Which)> = requests
            .iter()
            .map(|r| (split_location(&r.location).0, which(&r.version).unwrap_or(Which::Number(0))))
            .collect();
        match self.store.read(&wanted) {
            Ok(answers) => requests.iter().zip(answers).map(|(request, answer)| self.answer(request, answer)).collect(),
            Err(error) => requests.iter().map(|request| Err(error.for_reference(&request.reference))).collect(),
        }
    }

    fn describe(&self, request: &ReadRequest) -> Result<Metadata, BackendError> {
        let which = which(&request.version).unwrap_or(Which::Number(0));
        let record = self.store.describe(split_location(&request.location).0, which);
        record.map(|record| metadata(&record)).map_err(|e| e.for_reference(&request.reference))
    }

    fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
        let (name, field) = split_location(&request.location);
        if field.is_some() {
            return Err(BackendError::unsupported(NAME, &request.reference, "write one field of a secret"));
        }
        let written = self.store.put(name, value, None);
        written.map(|record| metadata(&record)).map_err(|e| e.for_reference(&request.reference))
    }

    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        let names = self.store.names().map(|names| names.into_iter().filter(|n| n.starts_with(prefix)).collect());
        Some(names.map_err(|error| BackendError {
            kind: error.kind(),
            backend: NAME.to_owned(),
            reference: String::new(),
            why: error.to_string(),
            fix: error.fix().to_owned(),
            retry_after: None,
        }))
    }
}
