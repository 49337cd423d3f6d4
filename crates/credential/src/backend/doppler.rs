//! Doppler.
//!
//! Source: the Doppler API reference, version 3.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::grouped::{self, Content, Whole, current_only};
use super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::location::encode_segment;
use super::openbao::read_token;
use super::{Backend, BackendError, Capabilities, Fault, Metadata, ReadRequest, Resolved, Variables, json};

/// Its name.
const NAME: &str = "doppler";
const ADDRESS: &str = "https://api.doppler.com";
/// So many requests at the same time.
const PARALLEL: usize = 8;

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct DopplerSettings {
    /// The server; else `DOPPLER_API_HOST`, else Doppler's own.
    pub address: Option<String>,
    /// The project; else `DOPPLER_PROJECT`. A service token knows its own.
    pub project: Option<String>,
    /// The config; else `DOPPLER_CONFIG`. A service token knows its own.
    pub config: Option<String>,
    /// The file with the token; else `DOPPLER_TOKEN`.
    pub token_file: Option<PathBuf>,
    /// Connections.
    pub http: HttpSettings,
}

/// The backend.
pub struct Doppler {
    http: Client,
    address: String,
    project: Option<String>,
    config: Option<String>,
    token_file: Option<PathBuf>,
    variables: Variables,
}

#[derive(Deserialize)]
struct Answered<'a> {
    name: String,
    #[serde(borrow)]
    value: Value<'a>,
}

#[derive(Deserialize)]
struct Value<'a> {
    /// With references to other secrets replaced by their values.
    #[serde(borrow)]
    computed: Option<&'a RawValue>,
}

impl Doppler {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: a proxy that is no URL.
    pub fn new(settings: DopplerSettings, variables: &Variables) -> Result<Self, Fault> {
        let address = settings.address.or_else(|| variables.get("DOPPLER_API_HOST")).unwrap_or_else(|| ADDRESS.into());
        Ok(Self {
            http: Client::new(settings.http, Plaintext::Loopback, variables)?,
            address: address.trim_end_matches('/').to_owned(),
            project: settings.project.or_else(|| variables.get("DOPPLER_PROJECT")),
            config: settings.config.or_else(|| variables.get("DOPPLER_CONFIG")),
            token_file: settings.token_file,
            variables: variables.clone(),
        })
    }

    /// `NAME`, or `project/config/NAME`.
    fn get(&self, path: &str) -> Result<Whole, Fault> {
        let parts: Vec<&str> = path.split('/').collect();
        let (project, config, name) = match parts.as_slice() {
            [name] => (self.project.as_deref(), self.config.as_deref(), *name),
            [project, config, name] => (Some(*project), Some(*config), *name),
            _ => {
                return Err(Fault::configuration(
                    "the location is no name of a secret",
                    "write it as `NAME`, or `project/config/NAME`",
                ));
            }
        };
        let mut url = format!("{}/v3/configs/config/secret?name={}", self.address, encode_segment(name));
        for (key, value) in [("project", project), ("config", config)] {
            if let Some(value) = value {
                url.push_str(&format!("&{key}={}", encode_segment(value)));
            }
        }
        let token = match &self.token_file {
            Some(file) => read_token(file)?,
            None => self
                .variables
                .get("DOPPLER_TOKEN")
                .map(Zeroizing::new)
                .ok_or_else(|| Fault::unauthenticated("there is no token", "set DOPPLER_TOKEN, or `token-file`"))?,
        };
        let answer = self.http.send(&Request::get(url).secret_header("authorization", "Bearer ", &token))?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let given: Answered<'_> = json::parse(answer.json()?, "the secret")?;
        if given.name != name {
            return Err(Fault::malformed("the answer is another secret than the one that was asked for"));
        }
        let bytes = given.value.computed.and_then(json::material);
        let bytes = bytes.ok_or_else(|| {
            Fault::new(super::ErrorKind::Denied, "the value is restricted", "use a token that may read its value")
        })?;
        Ok(Whole { content: Content::Bytes(bytes), metadata: Metadata::default() })
    }
}

fn refusal(answer: &Answer) -> Fault {
    let body: serde_json::Value =
        answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    answer.fault(body["messages"][0].as_str())
}

impl Backend for Doppler {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        grouped::read(NAME, requests, PARALLEL, |path, version| {
            current_only(version, "Doppler")?;
            self.get(path)
        })
    }
}
