//! Another custody resolver over HTTP or a Unix socket: the backend `secret-manager`. The protocol is in
//! `docs/resolver-protocol.md`.

use std::path::PathBuf;
use std::time::Duration;

use custody_contract::{CredentialRef, Environment};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::location::Location;
use super::openbao::read_token;
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Lease, Metadata, ReadRequest, Resolved, Variables,
    VersionRequest, json,
};
use crate::SecretValue;

/// Its name.
const NAME: &str = "secret-manager";
/// So many references one request may hold.
const MAX_REFERENCES: usize = 1000;
/// The variable with the token, unless the settings name another or a file.
const TOKEN_VARIABLE: &str = "CUSTODY_RESOLVER_TOKEN";

/// Settings: the table of the backend in the contract file. None of them is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ResolverSettings {
    /// `https://host` or `unix:///path/to/socket`; else `FICECAL_SECRET_RESOLVER_ENDPOINT`.
    pub endpoint: Option<String>,
    /// The environment that is resolved for: `local`, `stage` or `prod`; else `NODE_ENV`.
    pub environment: Option<String>,
    /// The file that holds the token.
    pub token_file: Option<PathBuf>,
    /// The variable that holds the token: `CUSTODY_RESOLVER_TOKEN` unless set.
    pub token_variable: Option<String>,
    /// Connections; a client certificate takes the token's place.
    pub http: HttpSettings,
}

/// The backend.
pub struct Resolver {
    http: Client,
    url: String,
    environment: Environment,
    token_file: Option<PathBuf>,
    token_variable: String,
    variables: Variables,
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    credentials: Vec<Credential<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Credential<'a> {
    reference: String,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_base64: Option<&'a RawValue>,
    version: Option<String>,
    created: Option<jiff::Timestamp>,
    expires: Option<jiff::Timestamp>,
    lease: Option<GivenLease>,
    problem: Option<Problem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct GivenLease {
    id: String,
    duration_seconds: u64,
    #[serde(default)]
    renewable: bool,
}

/// RFC 9457, with a code of its own.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Problem {
    code: String,
    detail: String,
    fix: String,
    retry_after_seconds: Option<u64>,
}

/// A reference as it is asked for, and the field of it.
struct Asked {
    reference: CredentialRef,
    field: Option<String>,
}

impl Resolver {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: no endpoint, an unknown environment.
    pub fn new(settings: ResolverSettings, variables: &Variables) -> Result<Self, Fault> {
        let endpoint =
            settings.endpoint.or_else(|| variables.get("FICECAL_SECRET_RESOLVER_ENDPOINT")).ok_or_else(|| {
                Fault::configuration(
                    "there is no endpoint",
                    "set FICECAL_SECRET_RESOLVER_ENDPOINT, or `endpoint` for this backend",
                )
            })?;
        let environment = settings.environment.or_else(|| variables.get("NODE_ENV")).unwrap_or_else(|| "local".into());
        let environment = environment.parse().map_err(|_| {
            Fault::configuration("the environment is not known", "set `environment` to local, stage or prod")
        })?;
        let (http, base) = match endpoint.strip_prefix("unix://") {
            Some(path) => (Client::for_socket(settings.http, path.into()), "http://127.0.0.1"),
            None => (Client::new(settings.http, Plaintext::Loopback, variables)?, endpoint.trim_end_matches('/')),
        };
        Ok(Self {
            http,
            url: format!("{base}/v1/resolve"),
            environment,
            token_file: settings.token_file,
            token_variable: settings.token_variable.unwrap_or_else(|| TOKEN_VARIABLE.into()),
            variables: variables.clone(),
        })
    }

    fn token(&self) -> Result<Option<Zeroizing<String>>, Fault> {
        match &self.token_file {
            Some(file) => read_token(file).map(Some),
            None => Ok(self.variables.get(&self.token_variable).map(Zeroizing::new)),
        }
    }

    fn exchange(&self, asked: &[(&ReadRequest, Asked)]) -> Result<Answer, Fault> {
        let references: Vec<_> = asked
            .iter()
            .map(|(request, asked)| {
                let version = match &request.version {
                    VersionRequest::Current => serde_json::json!("current"),
                    VersionRequest::Previous => serde_json::json!("previous"),
                    VersionRequest::Exact(version) => serde_json::json!({ "exact": version }),
                };
                serde_json::json!({ "reference": asked.reference.as_str(), "version": version })
            })
            .collect();
        let body = serde_json::json!({ "environment": self.environment.to_string(), "references": references });
        let mut request = Request::post(&self.url).json(Zeroizing::new(body.to_string().into_bytes()));
        if let Some(token) = self.token()? {
            request = request.secret_header("authorization", "Bearer ", &token);
        }
        let answer = self.http.send(&request)?;
        if answer.is_success() {
            return Ok(answer);
        }
        let problem: Option<Problem> = answer.json().ok().and_then(|body| serde_json::from_slice(body).ok());
        let fault = answer.fault(problem.as_ref().map(|problem| problem.detail.as_str()));
        Err(match problem {
            Some(problem) => classify(&problem, fault),
            None => fault,
        })
    }

    fn read_some(&self, asked: &[(&ReadRequest, Asked)]) -> Vec<Result<Resolved, Fault>> {
        let all = |fault: Fault| asked.iter().map(|_| Err(fault.clone())).collect();
        let answer = match self.exchange(asked) {
            Ok(answer) => answer,
            Err(fault) => return all(fault),
        };
        let given: Result<Answered<'_>, _> =
            answer.json().and_then(|body| json::parse(body, "the answer of the resolver"));
        let given = match given {
            Ok(given) if given.credentials.len() == asked.len() => given.credentials,
            Ok(_) => return all(Fault::malformed("the resolver did not answer each reference once")),
            Err(fault) => return all(fault),
        };
        given.into_iter().zip(asked).map(|(credential, (_, asked))| self.resolved(credential, asked, &answer)).collect()
    }

    fn resolved(&self, credential: Credential<'_>, asked: &Asked, answer: &Answer) -> Result<Resolved, Fault> {
        // The wrong secret for a reference would be worse than none.
        if credential.reference != asked.reference.as_str() {
            return Err(Fault::malformed("the resolver answered another reference than the one that was asked for"));
        }
        if let Some(problem) = credential.problem {
            let why = format!("{}: {}", answer.place, answer.quote(&problem.detail));
            return Err(classify(&problem, Fault::malformed(why)));
        }
        let mut bytes = match (credential.value, credential.value_base64) {
            (Some(text), None) if text.get().starts_with('"') => json::material(text),
            (None, Some(encoded)) => {
                json::material(encoded).and_then(|text| BASE64.decode(&text).ok()).map(Zeroizing::new)
            }
            _ => None,
        }
        .ok_or_else(|| Fault::malformed("the resolver gave no value that can be read"))?;
        if let Some(field) = &asked.field {
            bytes = json::pick(&bytes, field)?;
        }
        let lease = credential.lease.map(|lease| Lease {
            id: lease.id,
            duration: Duration::from_secs(lease.duration_seconds),
            is_renewable: lease.renewable,
        });
        let Credential { version, created, expires, .. } = credential;
        let metadata = Metadata { version, created, expires, lease };
        Ok(Resolved { value: SecretValue::new(std::mem::take(&mut *bytes)), metadata })
    }
}

/// What is asked of the other resolver: the reference, or another that the location names.
fn asked(request: &ReadRequest) -> Result<Asked, Fault> {
    let location = Location::parse(&request.location)?;
    let text = match location.path.starts_with(CredentialRef::SCHEME) {
        true => location.path.to_owned(),
        false => format!("{}{}", CredentialRef::SCHEME, location.path),
    };
    let reference = CredentialRef::parse(&text).map_err(|_| {
        Fault::configuration(
            "the location is no reference",
            "leave it out, or write it as `cred://provider/scope/access`",
        )
    })?;
    Ok(Asked { reference, field: location.field.map(str::to_owned) })
}

/// Gives a fault the class and the fix that a problem names.
fn classify(problem: &Problem, mut fault: Fault) -> Fault {
    let kind = match problem.code.as_str() {
        "not-found" => Some(ErrorKind::NotFound),
        "denied" => Some(ErrorKind::Denied),
        "unauthenticated" => Some(ErrorKind::Unauthenticated),
        "rate-limited" => Some(ErrorKind::RateLimited),
        "unreachable" => Some(ErrorKind::Unreachable),
        "malformed" => Some(ErrorKind::Malformed),
        "sealed" => Some(ErrorKind::Sealed),
        "unsupported" => Some(ErrorKind::Unsupported),
        "configuration" => Some(ErrorKind::Configuration),
        _ => None,
    };
    fault.kind = kind.unwrap_or(fault.kind);
    let fix = super::http::clean(&problem.fix, 200);
    if !fix.is_empty() {
        fault.fix = fix;
    }
    let wait = problem.retry_after_seconds.map(|seconds| Duration::from_secs(seconds.min(86_400)));
    fault.retry_after = wait.or(fault.retry_after);
    fault
}

impl Backend for Resolver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: false, list: false, versions: true, batch: true }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        let mut answers: Vec<Option<Result<Resolved, Fault>>> = requests.iter().map(|_| None).collect();
        let mut wanted = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            match asked(request) {
                Ok(asked) => wanted.push((index, (request, asked))),
                Err(fault) => answers[index] = Some(Err(fault)),
            }
        }
        while !wanted.is_empty() {
            let rest = wanted.split_off(wanted.len().min(MAX_REFERENCES));
            let (places, some): (Vec<_>, Vec<_>) = std::mem::replace(&mut wanted, rest).into_iter().unzip();
            for (index, answer) in places.into_iter().zip(self.read_some(&some)) {
                answers[index] = Some(answer);
            }
        }
        super::grouped::in_order(NAME, answers, requests)
    }
}
