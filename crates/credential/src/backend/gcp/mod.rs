//! Google Cloud Secret Manager.
//!
//! Source: the REST reference of Secret Manager, version 1.

mod executable;
mod kms;
mod login;

use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::PathBuf;

use data_encoding::BASE64;
use zeroize::Zeroizing;

pub(crate) use self::kms::decrypt;
use self::login::Login;
use super::grouped::{self, Content, Whole};
use super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::location::{Location, encode_path, encode_segment};
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, VersionRequest,
    json,
};
use crate::SecretValue;

/// Its name.
const NAME: &str = "gcp-secret-manager";
const ENDPOINT: &str = "https://secretmanager.googleapis.com";
/// So many requests at the same time.
const PARALLEL: usize = 32;

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct GcpSettings {
    /// The project of locations that name none; else `GOOGLE_CLOUD_PROJECT`.
    pub project: Option<String>,
    /// The file with the credentials; else `GOOGLE_APPLICATION_CREDENTIALS`, else what `gcloud auth` left, else the
    /// metadata service.
    pub credentials_file: Option<PathBuf>,
    /// The endpoint, for private or regional ones.
    pub endpoint: Option<String>,
    /// Connections.
    pub http: HttpSettings,
}

/// The backend.
pub struct GcpSecretManager {
    http: Client,
    login: Login,
    project: Option<String>,
    endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Accessed<'a> {
    name: String,
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    data_crc32c: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    secrets: Vec<Version>,
    versions: Vec<Version>,
    next_page_token: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    name: String,
    create_time: String,
    state: String,
}

impl Version {
    fn metadata(&self) -> Metadata {
        let version = self.name.rsplit('/').next().map(str::to_owned);
        Metadata { version, created: self.create_time.parse().ok(), ..Metadata::default() }
    }
}

impl GcpSecretManager {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: a proxy that is no URL.
    pub fn new(settings: GcpSettings, variables: &Variables) -> Result<Self, Fault> {
        let http = Client::new(settings.http.clone(), Plaintext::Loopback, variables)?;
        let login = Login::new(settings.credentials_file, settings.http, variables)?;
        let project = settings
            .project
            .or_else(|| variables.first(&["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"]));
        let endpoint = settings.endpoint.map(|url| url.trim_end_matches('/').to_owned());
        Ok(Self { http, login, project, endpoint })
    }

    /// The resource name of a secret: `projects/p/secrets/s` or `projects/p/locations/l/secrets/s`.
    fn resource(&self, path: &str) -> Result<String, Fault> {
        let wrong = || {
            Fault::configuration(
                "the location is no name of a secret",
                "write it as `projects/PROJECT/secrets/NAME`, or as `NAME` with a project in the settings",
            )
        };
        let parts: Vec<&str> = path.split('/').collect();
        let is_named = match parts.as_slice() {
            [_] => false,
            ["projects", _, "secrets", _] | ["projects", _, "locations", _, "secrets", _] => true,
            _ => return Err(wrong()),
        };
        if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(wrong());
        }
        if is_named {
            return Ok(path.to_owned());
        }
        let project = self.project.as_deref().ok_or_else(|| {
            Fault::configuration("there is no project", "set `project` for this backend, or name it in the location")
        })?;
        Ok(format!("projects/{project}/secrets/{path}"))
    }

    /// Regional secrets have an endpoint in their region.
    fn url(&self, resource: &str, rest: &str) -> String {
        let region = resource.split('/').skip_while(|part| *part != "locations").nth(1);
        let base = match (&self.endpoint, region) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Some(region)) => format!("https://secretmanager.{}.rep.googleapis.com", encode_segment(region)),
            (None, None) => ENDPOINT.to_owned(),
        };
        format!("{base}/v1/{}{rest}", encode_path(resource))
    }

    fn ask(&self, request: impl Fn() -> Request) -> Result<Answer, Fault> {
        self.login.ask(|token| self.http.send(&request().secret_header("authorization", "Bearer ", token)))
    }

    fn worked(&self, request: impl Fn() -> Request) -> Result<Answer, Fault> {
        let answer = self.ask(request)?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
    }

    /// The part of a path that stands for a version.
    fn version(&self, resource: &str, version: &VersionRequest) -> Result<String, Fault> {
        match version {
            VersionRequest::Current => Ok("latest".into()),
            VersionRequest::Exact(version) => Ok(encode_segment(version)),
            VersionRequest::Previous => {
                let url = self.url(resource, "/versions?pageSize=2&filter=state:ENABLED");
                let answer = self.worked(|| Request::get(&url))?;
                let page: Page = json::parse(answer.json()?, "the list of versions")?;
                let previous = page.versions.get(1).and_then(|version| version.metadata().version);
                previous.ok_or_else(|| {
                    Fault::new(ErrorKind::NotFound, "there is no earlier version", "ask for the current version")
                })
            }
        }
    }

    fn access(&self, path: &str, version: &VersionRequest) -> Result<Whole, Fault> {
        let resource = self.resource(path)?;
        let version = self.version(&resource, version)?;
        let url = self.url(&resource, &format!("/versions/{version}:access"));
        let answer = self.worked(|| Request::get(&url))?;
        let accessed: Accessed<'_> = json::parse(answer.json()?, "the secret")?;
        let encoded = accessed.payload.data.and_then(json::material).unwrap_or_default();
        let bytes =
            BASE64.decode(&encoded).map(Zeroizing::new).map_err(|_| Fault::malformed("the secret is no base64"))?;
        if accessed.payload.data_crc32c.is_some_and(|sum| sum.parse() != Ok(crc32c(&bytes))) {
            return Err(Fault::malformed("the checksum of the secret does not fit: it was changed on its way"));
        }
        let metadata = Metadata { version: accessed.name.rsplit('/').next().map(str::to_owned), ..Metadata::default() };
        Ok(Whole { content: Content::Bytes(bytes), metadata })
    }

    fn describe_secret(&self, request: &ReadRequest) -> Result<Metadata, Fault> {
        let resource = self.resource(Location::parse(&request.location)?.path)?;
        let version = self.version(&resource, &request.version)?;
        let url = self.url(&resource, &format!("/versions/{version}"));
        let answer = self.worked(|| Request::get(&url))?;
        let described: Version = json::parse(answer.json()?, "the description of the version")?;
        if described.state != "ENABLED" {
            let state = described.state.to_ascii_lowercase();
            return Err(Fault::new(
                ErrorKind::NotFound,
                format!("the version is {}", super::http::clean(&state, 20)),
                "enable it, or ask for another",
            ));
        }
        Ok(described.metadata())
    }

    fn write_secret(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, Fault> {
        let location = Location::parse(&request.location)?;
        grouped::only_current_is_written(&request.version)?;
        let content = match (location.field, value.expose_str()) {
            (None, _) => Zeroizing::new(value.expose().to_vec()),
            (Some(field), Some(text)) => {
                let old = match self.access(location.path, &VersionRequest::Current) {
                    Ok(Whole { content: Content::Bytes(bytes), .. }) => bytes,
                    Ok(_) => Zeroizing::default(),
                    Err(fault) if fault.kind == ErrorKind::NotFound => Zeroizing::new(b"{}".to_vec()),
                    Err(fault) => return Err(fault),
                };
                json::with_field(&old, field, text)?
            }
            (Some(_), None) => {
                return Err(Fault::new(
                    ErrorKind::Unsupported,
                    "the value is not text, and a field of JSON is text",
                    "encode it (base64)",
                ));
            }
        };
        let resource = self.resource(location.path)?;
        let encoded = Zeroizing::new(BASE64.encode(&content));
        let body = Zeroizing::new(
            format!("{{\"payload\":{{\"data\":\"{}\",\"dataCrc32c\":\"{}\"}}}}", *encoded, crc32c(&content))
                .into_bytes(),
        );
        let url = self.url(&resource, ":addVersion");
        let add = || self.ask(|| Request::post(&url).json(body.clone()).sensitive(&encoded));
        let mut answer = add()?;
        if answer.status == 404 {
            let (parent, name) = resource.rsplit_once("/secrets/").unwrap_or_default();
            let create = self.url(parent, &format!("/secrets?secretId={}", encode_segment(name)));
            let settings = if parent.contains("/locations/") { "{}" } else { "{\"replication\":{\"automatic\":{}}}" };
            self.worked(|| Request::post(&create).json(Zeroizing::new(settings.as_bytes().to_vec())))?;
            answer = add()?;
        }
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        Ok(json::parse::<Version>(answer.json()?, "the answer to the write")?.metadata())
    }

    fn list_below(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        // Either everything of the project of the settings, or `projects/p/secrets/prefix`.
        let parent = match prefix.rsplit_once("/secrets/") {
            Some((parent, _)) => self.resource(&format!("{parent}/secrets/x"))?,
            None => self.resource("x")?,
        };
        let parent = parent.trim_end_matches("/x");
        let is_named = prefix.contains("/secrets/");
        let mut names = Vec::new();
        let mut token = String::new();
        let patience = self.http.patience();
        loop {
            patience.check()?;
            let url = self.url(parent, &format!("?pageSize=250&pageToken={}", encode_segment(&token)));
            let answer = self.worked(|| Request::get(&url))?;
            let page: Page = json::parse(answer.json()?, "the list of secrets")?;
            let short = page.secrets.into_iter().filter_map(|secret| secret.name.rsplit('/').next().map(str::to_owned));
            names.extend(
                short
                    .map(|name| if is_named { format!("{parent}/{name}") } else { name })
                    .filter(|name| name.starts_with(prefix)),
            );
            token = page.next_page_token;
            if token.is_empty() {
                names.sort();
                return Ok(names);
            }
        }
    }
}

/// What an answer that did not work means (google.rpc.Status).
fn refusal(answer: &Answer) -> Fault {
    let body: serde_json::Value =
        answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let status = body["error"]["status"].as_str().unwrap_or_default();
    let said = format!("{status}: {}", body["error"]["message"].as_str().unwrap_or_default());
    let fault = answer.fault(Some(&said));
    match status {
        // A version that is disabled or destroyed.
        "FAILED_PRECONDITION" => {
            Fault { fix: "enable the version, or ask for another".into(), ..fault.with_kind(ErrorKind::NotFound) }
        }
        "RESOURCE_EXHAUSTED" => fault.with_kind(ErrorKind::RateLimited),
        "UNAUTHENTICATED" => fault.with_kind(ErrorKind::Unauthenticated),
        _ => fault,
    }
}

/// CRC-32C (RFC 3720, appendix B.4), which the service sends along.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

impl Backend for GcpSecretManager {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, list: true, versions: true, batch: false }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        grouped::read(NAME, requests, PARALLEL, |path, version| self.access(path, version))
    }

    grouped::methods_by_faults!(describe_secret, write_secret, list_below);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
