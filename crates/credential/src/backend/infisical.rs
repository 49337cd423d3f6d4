//! Infisical.
//!
//! Source: the Infisical API reference, secrets version 3, universal auth version 1.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::bearer::{Bearer, Bearers};
use super::grouped::{self, Content, Whole};
use super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::location::encode_segment;
use super::openbao::read_token;
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, VersionRequest,
    json,
};

/// Its name.
const NAME: &str = "infisical";
const ADDRESS: &str = "https://app.infisical.com";
/// So many requests at the same time.
const PARALLEL: usize = 16;

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct InfisicalSettings {
    /// The server; else `INFISICAL_API_URL`, else Infisical's own.
    pub address: Option<String>,
    /// The id of the project; else `INFISICAL_PROJECT_ID`.
    pub project: Option<String>,
    /// The slug of the environment, such as `prod`; else `INFISICAL_ENVIRONMENT`.
    pub environment: Option<String>,
    /// The id of the machine identity; else `INFISICAL_UNIVERSAL_AUTH_CLIENT_ID`. Without either `INFISICAL_TOKEN` is used.
    pub client_id: Option<String>,
    /// The file with its secret; else `INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET`.
    pub client_secret_file: Option<PathBuf>,
    /// Connections.
    pub http: HttpSettings,
}

/// The backend.
pub struct Infisical {
    http: Client,
    address: String,
    project: String,
    environment: String,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    variables: Variables,
    bearers: Bearers,
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    secret: Given<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Given<'a> {
    #[serde(borrow)]
    secret_value: Option<&'a RawValue>,
    version: Option<u64>,
    updated_at: Option<jiff::Timestamp>,
}

impl Infisical {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: no project or environment.
    pub fn new(settings: InfisicalSettings, variables: &Variables) -> Result<Self, Fault> {
        let need = |set: Option<String>, variable: &str, what: &str| {
            set.or_else(|| variables.get(variable)).ok_or_else(|| {
                Fault::configuration(
                    format!("there is no {what}"),
                    format!("set `{what}` for this backend, or {variable}"),
                )
            })
        };
        let address = settings.address.or_else(|| variables.get("INFISICAL_API_URL")).unwrap_or_else(|| ADDRESS.into());
        // The variable of their command ends in `/api`.
        let address = address.trim_end_matches('/').trim_end_matches("/api").to_owned();
        Ok(Self {
            http: Client::new(settings.http, Plaintext::Loopback, variables)?,
            address,
            project: need(settings.project, "INFISICAL_PROJECT_ID", "project")?,
            environment: need(settings.environment, "INFISICAL_ENVIRONMENT", "environment")?,
            client_id: settings.client_id.or_else(|| variables.get("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID")),
            client_secret_file: settings.client_secret_file,
            variables: variables.clone(),
            bearers: Bearers::default(),
        })
    }

    fn log_in(&self) -> Result<Bearer, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Token<'a> {
            #[serde(borrow)]
            access_token: &'a RawValue,
            expires_in: Option<u64>,
        }
        let missing = |what: &str| {
            Fault::unauthenticated(format!("there is no {what}"), "set INFISICAL_TOKEN, or a machine identity")
        };
        let Some(id) = &self.client_id else {
            let token = self.variables.get("INFISICAL_TOKEN").ok_or_else(|| missing("token"))?;
            return Ok(Bearer::new(Zeroizing::new(token), None));
        };
        let secret = match &self.client_secret_file {
            Some(file) => read_token(file)?,
            None => self
                .variables
                .get("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET")
                .map(Zeroizing::new)
                .ok_or_else(|| missing("client secret"))?,
        };
        let mut body = Zeroizing::new(b"{\"clientId\":".to_vec());
        json::quote(&mut body, id);
        json::reserve(&mut body, 32);
        body.extend_from_slice(b",\"clientSecret\":");
        json::quote(&mut body, &secret);
        json::reserve(&mut body, 1);
        body.push(b'}');
        let url = format!("{}/api/v1/auth/universal-auth/login", self.address);
        let answer = self.http.send(&Request::post(url).json(body).sensitive(&secret))?;
        if !answer.is_success() {
            let fault = refusal(&answer);
            return Err(if fault.kind.is_transient() { fault } else { fault.with_kind(ErrorKind::Unauthenticated) });
        }
        let token: Token<'_> = json::parse(answer.json()?, "the answer to the login")?;
        let text = json::secret_text(token.access_token)
            .ok_or_else(|| Fault::malformed("the answer to the login holds no token"))?;
        Ok(Bearer::new(text, token.expires_in.map(Duration::from_secs)))
    }

    /// `folder/folder/NAME`.
    fn get(&self, path: &str, version: &VersionRequest) -> Result<Whole, Fault> {
        let (folder, name) = path.trim_start_matches('/').rsplit_once('/').unwrap_or(("", path));
        let version =
            match version {
                VersionRequest::Current => None,
                VersionRequest::Exact(version) => Some(version.parse::<u64>().map_err(|_| {
                    Fault::new(ErrorKind::NotFound, "versions are numbers from 1", "check the version")
                })?),
                VersionRequest::Previous => {
                    let current =
                        self.get(path, &VersionRequest::Current)?.metadata.version.and_then(|v| v.parse::<u64>().ok());
                    let previous = current.filter(|current| *current > 1).map(|current| current - 1);
                    Some(previous.ok_or_else(|| {
                        Fault::new(ErrorKind::NotFound, "there is no earlier version", "ask for the current version")
                    })?)
                }
            };
        let mut url = format!(
            "{}/api/v3/secrets/raw/{}?workspaceId={}&environment={}&secretPath={}",
            self.address,
            encode_segment(name.trim_start_matches('/')),
            encode_segment(&self.project),
            encode_segment(&self.environment),
            encode_segment(&format!("/{folder}")),
        );
        if let Some(version) = version {
            url.push_str(&format!("&version={version}"));
        }
        let answer = self.bearers.ask(
            || self.log_in(),
            |token| self.http.send(&Request::get(&url).secret_header("authorization", "Bearer ", token)),
        )?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let Answered { secret } = json::parse(answer.json()?, "the secret")?;
        let bytes =
            secret.secret_value.and_then(json::material).ok_or_else(|| Fault::malformed("the secret has no value"))?;
        let metadata = Metadata {
            version: secret.version.map(|version| version.to_string()),
            created: secret.updated_at,
            ..Metadata::default()
        };
        Ok(Whole { content: Content::Bytes(bytes), metadata })
    }
}

fn refusal(answer: &Answer) -> Fault {
    let body: serde_json::Value =
        answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    answer.fault(body["message"].as_str())
}

impl Backend for Infisical {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { versions: true, ..Capabilities::default() }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        grouped::read(NAME, requests, PARALLEL, |path, version| self.get(path, version))
    }
}
