//! The backend `sops`: one encrypted file of the program sops: YAML (also of several documents), JSON, dotenv, INI, or any
//! bytes. Its data key may be for age, PGP, OpenBao and Vault, and the key services of AWS, Google Cloud and Azure.
//!
//! A location is the path to a value, with `/` between the keys, and an optional `#field`: one key more, or a field of a
//! value that is a JSON object. Nothing is answered unless the file's MAC is right, so a value that was changed, added or
//! taken out by somebody without the key is noticed. Files are only read.

mod cipher;
mod metadata;
mod recipients;
mod shamir;
mod tree;

use std::path::{Path, PathBuf};

use custody_contract::CredentialRef;
use serde::Deserialize;

use crate::backend::{
    Backend, BackendError, Capabilities, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, select_field,
    split_location,
};
use crate::registry::BackendKind;
use crate::{Context, SecretValue};

use super::Variables;
use super::aws::AwsSettings;
use super::azure::AzureSettings;
use super::gcp::GcpSettings;
use super::openbao::OpenBaoSettings;

use recipients::Openers;
pub(super) use recipients::decoded;
use tree::{Format, Node, Opened};

/// The kind, for the registry.
pub const KIND: BackendKind = BackendKind {
    name: NAME,
    aliases: &[],
    summary: "an encrypted file of the program sops",
    make: |setup| {
        let settings: Settings = setup.parse()?;
        let file = setup.context.path(&settings.file);
        let format = match settings.format.as_deref() {
            None => Some(Format::of_name(&settings.file)),
            Some(name) => Format::of_extension(name),
        };
        let format = format.ok_or_else(|| {
            setup.error(Some("format"), "there is no such format", "set it to yaml, json, dotenv, ini or binary")
        })?;
        let openers = openers(setup.context, settings);
        Ok(Box::new(Sops { file, format, openers }))
    },
};

const NAME: &str = "sops";
/// Largest file, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// Where sops itself looks for identities.
const IDENTITY_VARIABLE: &str = "SOPS_AGE_KEY_FILE";

/// The settings of `[backends.NAME]` with `kind = "sops"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// The encrypted file.
    file: String,
    /// yaml, json, dotenv or ini; by the file's name where it is not said.
    format: Option<String>,
    /// A file with age identities; else `SOPS_AGE_KEY_FILE`, else where sops looks.
    identity_file: Option<String>,
    /// The folder of GnuPG; else `GNUPGHOME`.
    gnupg_home: Option<String>,
    /// OpenBao or Vault, for recipients `hc_vault`: the settings of that backend.
    #[serde(default)]
    vault: OpenBaoSettings,
    /// For recipients `kms`: the settings of the AWS backends.
    #[serde(default)]
    aws: AwsSettings,
    /// For recipients `gcp_kms`: the settings of that backend.
    #[serde(default)]
    gcp: GcpSettings,
    /// For recipients `azure_kv`: the settings of that backend.
    #[serde(default)]
    azure: AzureSettings,
}

fn openers(context: &Context, settings: Settings) -> Openers {
    let process = std::sync::Arc::clone(&context.variables);
    Openers {
        identity_file: identity_file(context, settings.identity_file.as_deref()),
        identities: context.variables.text("SOPS_AGE_KEY").map(|text| SecretValue::new(text.into_bytes())),
        gpg: context.variables.text("SOPS_GPG_EXEC"),
        gnupg_home: settings
            .gnupg_home
            .map(|path| context.path(&path))
            .or_else(|| context.variables.text("GNUPGHOME").map(PathBuf::from)),
        vault: settings.vault,
        aws: settings.aws,
        gcp: settings.gcp,
        azure: settings.azure,
        variables: Some(Variables::by(move |name| process.text(name))),
    }
}

/// Where the identities are: as said, else where sops looks for them.
fn identity_file(context: &Context, said: Option<&str>) -> Option<PathBuf> {
    if let Some(path) = said {
        return Some(context.path(path));
    }
    if let Some(path) = context.variables.text(IDENTITY_VARIABLE) {
        return Some(context.path(&path));
    }
    let config = context.variables.text("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(PathBuf::from(context.variables.text("HOME")?).join(".config")))?;
    Some(config.join("sops").join("age").join("keys.txt"))
}

/// A file of sops as a backend.
pub struct Sops {
    file: PathBuf,
    format: Format,
    openers: Openers,
}

/// Why a file does not open; holds nothing of it but names of keys.
#[derive(Debug, thiserror::Error)]
enum SopsError {
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Locked(String),
    #[error("{1}")]
    Remote(ErrorKind, String),
    #[error("its message authentication code is wrong: it was changed without the key, or written by hand")]
    Tampered,
}

impl SopsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable(error) => match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                _ => ErrorKind::Unreachable,
            },
            Self::Malformed(_) | Self::Tampered => ErrorKind::Malformed,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Locked(_) => ErrorKind::Sealed,
            Self::Remote(kind, _) => *kind,
        }
    }

    fn fix(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "check the file and its permissions",
            Self::Malformed(_) => "check that it is a file of sops: sops decrypt FILE",
            Self::Unsupported(_) => "see docs/backends.md, sops, for what can be read",
            Self::Locked(_) => "see that a key of one of its recipients is there: docs/backends.md, sops",
            Self::Remote(..) => "try again, or see that a key of another recipient is there",
            Self::Tampered => "find out who changed it; restore it from version control, or edit it with sops",
        }
    }
}

impl Sops {
    fn open(&self) -> Result<Opened, SopsError> {
        let text = read(&self.file)?;
        let (documents, metadata) = tree::parse(&text, self.format)?;
        let key = metadata.data_key(&self.openers)?;
        tree::open(documents, &metadata, &key)
    }

    fn answer(&self, opened: &Opened, request: &ReadRequest) -> Result<Resolved, BackendError> {
        let error = |kind, why: String| {
            BackendError::new(kind, NAME, &request.reference, why, "see which keys it has: sops decrypt FILE")
        };
        if request.version != VersionRequest::Current {
            return Err(BackendError::unsupported(NAME, &request.reference, "keep versions"));
        }
        let (path, field) = split_location(&request.location);
        let mut path: Vec<&str> = path.split('/').collect();
        let node = opened.find(&path);
        let value = match (node, field) {
            (Some(Node::Secret(value)), None) => value.duplicate(),
            (Some(Node::Secret(value)), Some(field)) => {
                select_field(value, field).map_err(|e| error(ErrorKind::NotFound, e.to_string()))?
            }
            (Some(Node::Map(_)), Some(field)) => {
                path.push(field);
                match opened.find(&path) {
                    Some(Node::Secret(value)) => value.duplicate(),
                    _ => return Err(error(ErrorKind::NotFound, format!("the secret has no field `{field}`"))),
                }
            }
            (Some(_), _) => {
                return Err(error(ErrorKind::NotFound, "there are several values below this key, or none".into()));
            }
            (None, _) => return Err(error(ErrorKind::NotFound, "the file has no such key".into())),
        };
        Ok(Resolved { value, metadata: Metadata { created: opened.modified, ..Metadata::default() } })
    }
}

fn read(file: &Path) -> Result<String, SopsError> {
    let bytes = SecretValue::read_file(file, MAX_BYTES).map_err(SopsError::Unreadable)?;
    let text = bytes.expose_str().ok_or_else(|| SopsError::Malformed("it is not UTF-8 text".into()))?;
    // What is in the file is no secret: values are encrypted, the others are not meant to be.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())
}

impl Backend for Sops {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { list: true, batch: true, ..Capabilities::default() }
    }

    fn default_location(&self, reference: &CredentialRef) -> String {
        let path = &reference.as_str()[CredentialRef::SCHEME.len()..];
        match self.format {
            Format::Dotenv => {
                path.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
            }
            // A section and a key.
            Format::Ini => match path.rsplit_once('/') {
                Some((section, key)) => format!("{}/{key}", section.replace('/', ".")),
                None => path.to_owned(),
            },
            Format::Yaml | Format::Json => path.to_owned(),
            Format::Binary => "data".to_owned(),
        }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        if requests.is_empty() {
            return Vec::new();
        }
        match self.open() {
            Ok(opened) => requests.iter().map(|request| self.answer(&opened, request)).collect(),
            Err(error) => {
                let why = format!("{}: {error}", self.file.display());
                let fail =
                    |r: &ReadRequest| BackendError::new(error.kind(), NAME, &r.reference, why.clone(), error.fix());
                requests.iter().map(|request| Err(fail(request))).collect()
            }
        }
    }

    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        let names = self.open().map(|opened| {
            let mut names = opened.names();
            names.retain(|name| name.starts_with(prefix));
            names
        });
        Some(names.map_err(|error| BackendError {
            kind: error.kind(),
            backend: NAME.to_owned(),
            reference: String::new(),
            why: format!("{}: {error}", self.file.display()),
            fix: error.fix().to_owned(),
            retry_after: None,
        }))
    }
}

/// Opens a hostile file with a key of 32 bytes 7, for the fuzz target: `format` is as in the settings. Nothing is asked of
/// anybody.
#[cfg(feature = "testing")]
pub fn open_hostile(format: &str, text: &str) -> usize {
    let key = SecretValue::new(vec![7; 32]);
    let Some(format) = Format::of_extension(format) else { return 0 };
    let Ok((documents, metadata)) = tree::parse(text, format) else { return 0 };
    let Ok(opened) = tree::open(documents, &metadata, &key) else { return 1 };
    for name in opened.names() {
        let path: Vec<&str> = name.split('/').collect();
        let _ = opened.find(&path);
    }
    2
}

#[cfg(test)]
mod tests;
