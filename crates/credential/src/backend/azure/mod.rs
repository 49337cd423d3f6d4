//! Azure Key Vault.
//!
//! Source: the Key Vault REST reference, version 7.4; Microsoft identity platform and managed identities.

mod keys;
mod login;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub(crate) use self::keys::decrypt;
pub use self::login::AzureLogin;
use self::login::Session;
use super::grouped::{self, Content, Whole};
use super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::location::{Location, encode_segment};
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, VersionRequest,
    json,
};
use crate::SecretValue;

/// Its name.
const NAME: &str = "azure-key-vault";
const API: &str = "api-version=7.4";
/// So many requests at the same time.
const PARALLEL: usize = 32;

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AzureSettings {
    /// The vault: its name, or its address in another cloud; else `AZURE_KEY_VAULT_URL` or `AZURE_KEY_VAULT_NAME`.
    pub vault: Option<String>,
    /// How to log in; else what the variables of the Azure SDKs say, else the managed identity.
    pub login: Option<AzureLogin>,
    /// Whom the token is for, where the vault's address does not tell.
    pub resource: Option<String>,
    /// Connections.
    pub http: HttpSettings,
}

/// The backend.
pub struct AzureKeyVault {
    http: Client,
    session: Session,
    vault: String,
}

#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    id: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    enabled: Option<bool>,
    created: Option<i64>,
    exp: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    value: Vec<Item>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(default)]
    attributes: Attributes,
}

fn metadata(id: &str, attributes: &Attributes) -> Metadata {
    let time = |seconds: Option<i64>| seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    Metadata {
        version: id.rsplit('/').next().map(str::to_owned),
        created: time(attributes.created),
        expires: time(attributes.exp),
        lease: None,
    }
}

impl AzureKeyVault {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: no vault, or a login that is not complete.
    pub fn new(settings: AzureSettings, variables: &Variables) -> Result<Self, Fault> {
        let vault = settings.vault.or_else(|| variables.first(&["AZURE_KEY_VAULT_URL", "AZURE_KEY_VAULT_NAME"]));
        let vault = vault.ok_or_else(|| Fault::configuration("there is no vault", "set `vault` for this backend"))?;
        let vault = match vault.contains("://") {
            true => vault.trim_end_matches('/').to_owned(),
            false if !vault.is_empty() && vault.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
                format!("https://{vault}.vault.azure.net")
            }
            false => {
                return Err(Fault::configuration("the vault is neither a name nor an address", "set it as `my-vault`"));
            }
        };
        let resource = settings.resource.unwrap_or_else(|| resource_of(&vault));
        let http = Client::new(settings.http.clone(), Plaintext::Loopback, variables)?;
        let session = Session::new(settings.login, resource, settings.http, variables)?;
        Ok(Self { http, session, vault })
    }

    fn url(&self, name: &str, rest: &str) -> Result<String, Fault> {
        let is_name =
            (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_name {
            return Err(Fault::configuration(
                "the location is no name of a secret",
                "names have letters, digits and `-`",
            ));
        }
        Ok(format!("{}/secrets/{name}{rest}", self.vault))
    }

    fn ask(&self, request: impl Fn() -> Request) -> Result<Answer, Fault> {
        let answer =
            self.session.ask(|token| self.http.send(&request().secret_header("authorization", "Bearer ", token)))?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
    }

    /// All pages of a list, which follow each other on the same host.
    fn pages(&self, first: String, mut each: impl FnMut(Page)) -> Result<(), Fault> {
        let mut url = first;
        let patience = self.http.patience();
        loop {
            patience.check()?;
            let answer = self.ask(|| Request::get(&url))?;
            let mut page: Page = json::parse(answer.json()?, "the list")?;
            let next = page.next_link.take().filter(|next| !next.is_empty());
            each(page);
            match next {
                None => return Ok(()),
                // The token goes to the vault only, whatever the list says.
                Some(next) if next.strip_prefix(&self.vault).is_some_and(|rest| rest.starts_with('/')) => url = next,
                Some(_) => return Err(Fault::malformed("the list goes on at another place than the vault")),
            }
        }
    }

    /// The versions that can be used, the newest first.
    fn versions(&self, name: &str) -> Result<Vec<Metadata>, Fault> {
        let mut versions = Vec::new();
        self.pages(self.url(name, &format!("/versions?{API}&maxresults=25"))?, |page| {
            let enabled = page.value.into_iter().filter(|item| item.attributes.enabled != Some(false));
            versions.extend(enabled.map(|item| metadata(&item.id, &item.attributes)));
        })?;
        versions.sort_by_key(|version| std::cmp::Reverse(version.created));
        Ok(versions)
    }

    fn version(&self, name: &str, version: &VersionRequest) -> Result<String, Fault> {
        match version {
            VersionRequest::Current => Ok(String::new()),
            VersionRequest::Exact(version) => Ok(format!("/{}", encode_segment(version))),
            VersionRequest::Previous => {
                let version = self.versions(name)?.into_iter().nth(1).and_then(|version| version.version);
                let version = version.ok_or_else(|| {
                    Fault::new(ErrorKind::NotFound, "there is no earlier version", "ask for the current version")
                })?;
                Ok(format!("/{}", encode_segment(&version)))
            }
        }
    }

    fn get(&self, name: &str, version: &VersionRequest) -> Result<Whole, Fault> {
        let url = self.url(name, &format!("{}?{API}", self.version(name, version)?))?;
        let answer = self.ask(|| Request::get(&url))?;
        let given: Given<'_> = json::parse(answer.json()?, "the secret")?;
        let bytes =
            given.value.and_then(json::material).ok_or_else(|| Fault::malformed("the answer holds no value"))?;
        Ok(Whole { content: Content::Bytes(bytes), metadata: metadata(&given.id, &given.attributes) })
    }

    fn describe_secret(&self, request: &ReadRequest) -> Result<Metadata, Fault> {
        let name = Location::parse(&request.location)?.path;
        let mut versions = self.versions(name)?.into_iter();
        let found = match &request.version {
            VersionRequest::Current => versions.next(),
            VersionRequest::Previous => versions.nth(1),
            VersionRequest::Exact(wanted) => versions.find(|version| version.version.as_ref() == Some(wanted)),
        };
        found.ok_or_else(|| Fault::new(ErrorKind::NotFound, "there is no such version", "ask for another"))
    }

    fn write_secret(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, Fault> {
        let location = Location::parse(&request.location)?;
        grouped::only_current_is_written(&request.version)?;
        let text = value.expose_str().ok_or_else(|| {
            Fault::new(
                ErrorKind::Unsupported,
                "the value is not text, and this backend keeps text",
                "encode it (base64)",
            )
        })?;
        let content = match location.field {
            None => Zeroizing::new(text.as_bytes().to_vec()),
            Some(field) => match self.get(location.path, &VersionRequest::Current) {
                Ok(Whole { content: Content::Bytes(old), .. }) => json::with_field(&old, field, text)?,
                Ok(_) => Zeroizing::default(),
                Err(fault) if fault.kind == ErrorKind::NotFound => json::with_field(b"{}", field, text)?,
                Err(fault) => return Err(fault),
            },
        };
        let mut body = Zeroizing::new(b"{\"value\":".to_vec());
        json::quote(&mut body, std::str::from_utf8(&content).unwrap_or_default());
        json::reserve(&mut body, 1);
        body.push(b'}');
        let url = self.url(location.path, &format!("?{API}"))?;
        let put = || Request::new(super::http::Method::Put, &url).json(body.clone()).sensitive(text);
        let answer = self.ask(put)?;
        let given: Given<'_> = json::parse(answer.json()?, "the answer to the write")?;
        Ok(metadata(&given.id, &given.attributes))
    }

    fn list_below(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        self.pages(format!("{}/secrets?{API}&maxresults=25", self.vault), |page| {
            names.extend(page.value.into_iter().filter_map(|item| item.id.rsplit('/').next().map(str::to_owned)));
        })?;
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        Ok(names)
    }
}

/// `https://name.vault.azure.net` → `https://vault.azure.net`.
fn resource_of(vault: &str) -> String {
    let host = vault.split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    match host.split_once('.') {
        Some((_, domain)) if domain.starts_with("vault.") || domain.starts_with("managedhsm.") => {
            format!("https://{domain}")
        }
        _ => "https://vault.azure.net".into(),
    }
}

/// What an answer that did not work means.
fn refusal(answer: &Answer) -> Fault {
    let body: serde_json::Value =
        answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let error = &body["error"];
    let inner = error["innererror"]["code"].as_str().unwrap_or_default();
    let code = error["code"].as_str().unwrap_or_default();
    let said = format!("{code} {inner}: {}", error["message"].as_str().unwrap_or_default());
    let fault = answer.fault(Some(&said));
    match inner {
        "SecretDisabled" => Fault { fix: "enable the secret".into(), ..fault.with_kind(ErrorKind::NotFound) },
        "ForbiddenByFirewall" | "ForbiddenByConnection" => {
            Fault { fix: "allow this network in the vault's firewall".into(), ..fault.with_kind(ErrorKind::Denied) }
        }
        _ => fault,
    }
}

impl Backend for AzureKeyVault {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, list: true, versions: true, batch: false }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        grouped::read(NAME, requests, PARALLEL, |name, version| self.get(name, version))
    }

    grouped::methods_by_faults!(describe_secret, write_secret, list_below);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_for_the_cloud_of_the_vault() {
        assert_eq!(resource_of("https://a.vault.azure.cn"), "https://vault.azure.cn");
        assert_eq!(resource_of("https://a.vault.usgovcloudapi.net/"), "https://vault.usgovcloudapi.net");
        assert_eq!(resource_of("http://127.0.0.1:1"), "https://vault.azure.net");
    }
}
