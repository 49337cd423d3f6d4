//! Whom a file's data key is for: age, PGP, OpenBao and Vault (transit), the key services of AWS, Google Cloud and Azure.
//!
//! Where to ask stands in the file, which whoever writes to the repository can change. So a token or a login goes only to
//! where the settings or the environment send it anyway, or to the cloud's own hosts.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde::Deserialize;

use crate::SecretValue;
use crate::backend::aws::{self, AwsSettings};
use crate::backend::azure::{self, AzureSettings};
use crate::backend::gcp::{self, GcpSettings};
use crate::backend::openbao::{OpenBao, OpenBaoSettings};
use crate::backend::{Fault, Variables, age_files};
use crate::program::Program;

use super::SopsError;

/// `gpg` may ask for a passphrase or a touch.
const GPG_LIMIT: Duration = Duration::from_secs(60);
/// Most recipients of a group that are tried.
const MAX_RECIPIENTS: usize = 100;

/// The recipients of one group: each holds the data key, or the group's part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyGroup {
    age: Option<Vec<Sealed>>,
    pgp: Option<Vec<Sealed>>,
    hc_vault: Option<Vec<Transit>>,
    kms: Option<Vec<AwsKey>>,
    gcp_kms: Option<Vec<GcpKey>>,
    azure_kv: Option<Vec<AzureKey>>,
}

/// For age and PGP: an armored message.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sealed {
    enc: String,
    fp: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Transit {
    vault_address: String,
    engine_path: String,
    key_name: String,
    enc: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AwsKey {
    arn: String,
    role: String,
    aws_profile: String,
    context: Option<BTreeMap<String, String>>,
    enc: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct GcpKey {
    resource_id: String,
    enc: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AzureKey {
    vault_url: String,
    name: String,
    version: String,
    enc: String,
}

/// What opens data keys here.
#[derive(Default)]
pub(super) struct Openers {
    /// A file with age identities.
    pub(super) identity_file: Option<PathBuf>,
    /// Age identities as text (`SOPS_AGE_KEY`).
    pub(super) identities: Option<SecretValue>,
    /// The program, where it is not `gpg`.
    pub(super) gpg: Option<String>,
    pub(super) gnupg_home: Option<PathBuf>,
    pub(super) vault: OpenBaoSettings,
    pub(super) aws: AwsSettings,
    pub(super) gcp: GcpSettings,
    pub(super) azure: AzureSettings,
    pub(super) variables: Option<Variables>,
}

impl Openers {
    /// What the first recipient that is ours holds; those on this machine are tried first.
    pub(super) fn open(&self, group: &KeyGroup) -> Result<SecretValue, SopsError> {
        let mut closed = Vec::new();
        if let Some(keys) = some(&group.age) {
            match self.age(keys) {
                Ok(Some(key)) => return Ok(key),
                Ok(None) => closed.push("age: no identity belongs to one of its recipients".to_owned()),
                Err(why) => closed.push(format!("age: {why}")),
            }
        }
        for key in some(&group.pgp).unwrap_or_default() {
            match self.pgp(key) {
                Ok(key) => return Ok(key),
                Err(why) => closed.push(format!("pgp: {why}")),
            }
        }
        let none = Variables::none();
        let variables = self.variables.as_ref().unwrap_or(&none);
        let mut transient = None;
        let mut tried = |name: &str, opened: Result<SecretValue, Fault>| match opened {
            Ok(key) => Some(key),
            Err(fault) => {
                closed.push(format!("{name}: {}", fault.why));
                if fault.kind.is_transient() {
                    transient = Some(fault.kind);
                }
                None
            }
        };
        let remote = some(&group.hc_vault)
            .unwrap_or_default()
            .iter()
            .find_map(|key| tried("hc_vault", self.transit(key, variables)))
            .or_else(|| {
                let keys = some(&group.kms).unwrap_or_default();
                keys.iter().find_map(|key| tried("kms", self.aws(key, variables)))
            })
            .or_else(|| {
                let keys = some(&group.gcp_kms).unwrap_or_default();
                keys.iter().find_map(|key| tried("gcp_kms", self.gcp(key, variables)))
            })
            .or_else(|| {
                let keys = some(&group.azure_kv).unwrap_or_default();
                keys.iter().find_map(|key| tried("azure_kv", self.azure(key, variables)))
            });
        match (remote, transient) {
            (Some(key), _) => Ok(key),
            (None, _) if closed.is_empty() => {
                Err(SopsError::Unsupported("its data key is for no known recipient".into()))
            }
            (None, Some(kind)) => Err(SopsError::Remote(kind, closed.join("; "))),
            (None, None) => Err(SopsError::Locked(closed.join("; "))),
        }
    }

    fn age(&self, keys: &[Sealed]) -> Result<Option<SecretValue>, String> {
        let mut identities = match &self.identities {
            Some(text) => age_files::identities_of(text).map_err(|why| format!("SOPS_AGE_KEY {why}"))?,
            None => Vec::new(),
        };
        match &self.identity_file {
            Some(file) if identities.is_empty() || file.exists() => identities.extend(age_files::identities(file)?),
            None if identities.is_empty() => return Err("no identity-file is named".to_owned()),
            _ => {}
        }
        for key in keys {
            let armored = age::armor::ArmoredReader::new(BufReader::new(key.enc.trim_start().as_bytes()));
            let decryptor = age::Decryptor::new_buffered(armored);
            let decryptor = decryptor.map_err(|_| "the data key of a recipient cannot be read".to_owned())?;
            if let Ok(reader) = decryptor.decrypt(identities.iter().map(|i| &**i)) {
                let key = SecretValue::read_from(reader, 64);
                return key.map(Some).map_err(|_| "the data key was changed or cut off".to_owned());
            }
        }
        Ok(None)
    }

    fn pgp(&self, key: &Sealed) -> Result<SecretValue, String> {
        let program = Program::new(self.gpg.as_deref().unwrap_or("gpg"));
        let program = match &self.gnupg_home {
            Some(home) => program.env("GNUPGHOME", home),
            None => program,
        };
        let ran = program.args(["--batch", "--no-tty", "--quiet", "--decrypt"]).run(key.enc.as_bytes(), GPG_LIMIT);
        let ran = ran.map_err(|e| e.to_string())?;
        match ran.status.success() {
            true => Ok(ran.output),
            false => Err(format!("{} ({})", ran.talk, crate::backend::http::clean(&key.fp, 40))),
        }
    }

    fn transit(&self, key: &Transit, variables: &Variables) -> Result<SecretValue, Fault> {
        let own = self.vault.address.clone().or_else(|| variables.first(&["BAO_ADDR", "VAULT_ADDR"]));
        let trim = |address: &str| address.trim_end_matches('/').to_ascii_lowercase();
        if own.as_deref().map(trim) != Some(trim(&key.vault_address)) {
            let shown = crate::backend::http::clean(&key.vault_address, 100);
            return Err(Fault::configuration(
                format!(
                    "the file names the server {shown}, to which no login is sent unless BAO_ADDR or vault.address names it too"
                ),
                "set it if the server is yours",
            ));
        }
        let settings = OpenBaoSettings { address: Some(key.vault_address.clone()), ..self.vault.clone() };
        OpenBao::new(settings, variables)?.transit_decrypt(&key.engine_path, &key.key_name, &key.enc)
    }

    fn aws(&self, key: &AwsKey, variables: &Variables) -> Result<SecretValue, Fault> {
        let mut settings = self.aws.clone();
        if settings.profile.is_none() && !key.aws_profile.is_empty() {
            settings.profile = Some(key.aws_profile.clone());
        }
        if settings.assume_role.is_none() && !key.role.is_empty() {
            settings.assume_role = Some(aws::AssumeRole::of(&key.role));
        }
        aws::decrypt(settings, variables, &key.arn, key.context.as_ref(), &key.enc)
    }

    fn gcp(&self, key: &GcpKey, variables: &Variables) -> Result<SecretValue, Fault> {
        gcp::decrypt(self.gcp.clone(), variables, &key.resource_id, &key.enc)
    }

    fn azure(&self, key: &AzureKey, variables: &Variables) -> Result<SecretValue, Fault> {
        azure::decrypt(self.azure.clone(), variables, &key.vault_url, (&key.name, &key.version), &key.enc)
    }
}

fn some<T>(list: &Option<Vec<T>>) -> Option<&[T]> {
    list.as_deref().filter(|list| !list.is_empty()).map(|list| &list[..list.len().min(MAX_RECIPIENTS)])
}

/// A plain key that an answer holds in base64.
pub(in crate::backend) fn decoded(text: Option<&serde_json::value::RawValue>) -> Result<SecretValue, Fault> {
    let text = text.and_then(crate::backend::json::material);
    let bytes = text.and_then(|text| {
        let text = text.trim_ascii();
        BASE64.decode(text).or_else(|_| BASE64URL_NOPAD.decode(text)).ok()
    });
    bytes.map(SecretValue::new).ok_or_else(|| Fault::malformed("the answer holds no key"))
}
