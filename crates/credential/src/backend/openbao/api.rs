//! Requests to the API, with token and namespace, and what its answers mean.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::http::{Answer, Client, HttpSettings, Plaintext, Request};
use super::super::{ErrorKind, Fault, Variables, json};

/// The server.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    base: String,
    namespace: Option<String>,
}

/// What each answer has around its data.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) auth: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) lease_id: Option<Cow<'a, str>>,
    pub(super) lease_duration: Option<u64>,
    pub(super) renewable: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    errors: Vec<String>,
}

impl Api {
    /// The server at this address.
    pub(super) fn new(
        address: &str,
        namespace: Option<String>,
        http: HttpSettings,
        variables: &Variables,
    ) -> Result<Self, Fault> {
        let (client, base) = match address.strip_prefix("unix://") {
            Some(path) => (Client::for_socket(http, path.into()), "http://127.0.0.1".to_owned()),
            None => (Client::new(http, Plaintext::Loopback, variables)?, address.to_owned()),
        };
        Ok(Self { client, base, namespace: namespace.filter(|name| !name.is_empty()) })
    }

    /// Patience for a listing.
    pub(super) fn patience(&self) -> super::super::http::Patience {
        self.client.patience()
    }

    /// Reads; any status is an answer.
    pub(super) fn get(&self, path: &str, token: Option<&str>) -> Result<Answer, Fault> {
        self.send(Request::get(self.url(path)), token)
    }

    /// Sends JSON; any status is an answer.
    pub(super) fn post(&self, path: &str, body: Zeroizing<Vec<u8>>, token: Option<&str>) -> Result<Answer, Fault> {
        self.send(Request::post(self.url(path)).json(body), token)
    }

    /// As [`Api::post`], and what in the body is a credential.
    pub(super) fn post_secret(
        &self,
        path: &str,
        body: Zeroizing<Vec<u8>>,
        secret: &str,
        token: Option<&str>,
    ) -> Result<Answer, Fault> {
        self.send(Request::post(self.url(path)).json(body).sensitive(secret), token)
    }

    fn send(&self, mut request: Request, token: Option<&str>) -> Result<Answer, Fault> {
        // Without it the server's own agent proxies refuse to answer: it shows that no browser was tricked.
        request = request.header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            request = request.secret_header("x-vault-token", "", token);
        }
        self.client.send(&request)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.base)
    }
}

/// The body of an answer that worked.
pub(super) fn envelope<'a>(answer: &'a Answer, what: &str) -> Result<Envelope<'a>, Fault> {
    if !answer.is_success() {
        return Err(refusal(answer));
    }
    json::parse(answer.json()?, what)
}

/// The messages of an answer that did not work, in one text.
pub(super) fn messages(answer: &Answer) -> String {
    let refusal: Refusal = answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    refusal.errors.join("; ")
}

/// What an answer that did not work means.
pub(super) fn refusal(answer: &Answer) -> Fault {
    let said = messages(answer);
    let fault = answer.fault(Some(&said));
    let lower = said.to_ascii_lowercase();
    match answer.status {
        503 if lower.contains("sealed") => sealed(fault, "the server is sealed"),
        _ if lower.contains("not initialized") => sealed(fault, "the server is not initialized"),
        400 if lower.contains("unsupported path")
            || lower.contains("unknown role")
            || lower.contains("unknown static role") =>
        {
            fault.with_kind(ErrorKind::NotFound)
        }
        // A replica that has not yet seen what the client has (412), a standby (429, 472, 473 are of health checks).
        412 => fault.with_kind(ErrorKind::Unreachable),
        500 if lower.contains("lease not found") => fault.with_kind(ErrorKind::NotFound),
        _ => fault,
    }
}

fn sealed(fault: Fault, why: &str) -> Fault {
    Fault {
        kind: ErrorKind::Sealed,
        why: format!("{why}: {}", fault.why),
        fix: "unseal it (`bao operator unseal`), then try again".into(),
        retry_after: fault.retry_after,
    }
}

/// Whether a status 403 says that the token itself is not known.
///
/// The server answers `permission denied` alone to a token that it does not know, and `1 error occurred: * permission
/// denied` to one that it knows and refuses; newer Vault adds `invalid token`.
pub(super) fn is_unknown_token(answer: &Answer) -> bool {
    let said = messages(answer);
    let said = said.trim();
    answer.status == 403
        && (said == "permission denied"
            || said.contains("invalid token")
            || said.contains("bad token")
            || said.contains("token expired"))
}
