//! OpenBao and HashiCorp Vault: KV versions 1 and 2, and what other engines give on reading (database credentials).
//!
//! Locations are API paths without `v1/` and without KV's `data/`: `kv/finops/aws#access_key`,
//! `database/creds/reporting#password`. References to the same secret share one read; the rest runs in parallel, each on
//! a connection of its own. A path whose mount is not known is first read as KV version 2 at its first segment, which
//! saves asking for the mount; only if nothing is there is the mount asked for (`sys/internal/ui/mounts`).
//!
//! Source: the HTTP API documentation of OpenBao 2.x (`/api-docs`), which Vault shares.

mod api;
mod kv;
mod lease;
mod listing;
mod login;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use custody_contract::CredentialRef;
use serde_json::value::RawValue;

use self::api::Api;
use self::lease::Leases;
use self::login::{Session, Token};
use super::http::Answer;
use super::location::Location;
use super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Lease, Metadata, ReadRequest, Resolved, Variables,
    VersionRequest, json, parallel,
};
use crate::SecretValue;

pub use settings::{Engine, Login, OpenBaoSettings};

pub(crate) use login::read_token;

/// Its name.
const NAME: &str = "openbao";

/// The backend.
pub struct OpenBao {
    api: Api,
    session: Session,
    mounts: Mutex<BTreeMap<String, Engine>>,
    leases: Leases,
    parallel: usize,
}

/// Where a path lies: the mount without its slash, and the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    mount: String,
    rest: String,
    engine: Engine,
}

impl OpenBao {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: no address, or a proxy that is no URL.
    pub fn new(settings: OpenBaoSettings, variables: &Variables) -> Result<Self, Fault> {
        let settings = settings.with_env(variables);
        let parallel = settings.http.max_connections();
        let api = Api::new(settings.address()?, settings.namespace.clone(), settings.http.clone(), variables)?;
        let mounts =
            settings.mounts.iter().map(|(mount, engine)| (mount.trim_matches('/').to_owned(), *engine)).collect();
        let session = Session::new(settings.login, variables.clone());
        Ok(Self { api, session, mounts: Mutex::new(mounts), leases: Leases::default(), parallel })
    }

    /// What the token of this backend may do at API paths (`kv/data/finops/aws`): `read`, `list`, `create` …
    ///
    /// # Errors
    /// As for reading.
    pub fn capabilities_self(&self, paths: &[&str]) -> Result<BTreeMap<String, Vec<String>>, Fault> {
        let body = serde_json::json!({ "paths": paths }).to_string().into_bytes();
        let answer = self.with_token(|token| {
            self.api.post("sys/capabilities-self", zeroize::Zeroizing::new(body.clone()), Some(token.expose()))
        })?;
        let envelope = api::envelope(&answer, "the list of capabilities")?;
        let data = envelope.data.and_then(json::members).unwrap_or_default();
        let mut capabilities = BTreeMap::new();
        for path in paths {
            let raw = data.iter().find(|(name, _)| name == path).map(|(_, raw)| raw);
            let raw = raw.ok_or_else(|| Fault::malformed("the list of capabilities lacks a path"))?;
            capabilities.insert((*path).to_owned(), json::parse(raw.get().as_bytes(), "the list of capabilities")?);
        }
        Ok(capabilities)
    }

    /// What the API answers at a path: for the read-only proof of a token.
    ///
    /// # Errors
    /// As for reading.
    pub(crate) fn answer_at(&self, path: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, Fault> {
        let answer = self.get(path)?;
        api::envelope(&answer, "the answer")?;
        Ok(answer.body)
    }

    /// The API paths that a location stands for: what [`OpenBao::capabilities_self`] is to be asked about.
    ///
    /// # Errors
    /// As for reading.
    pub fn api_paths(&self, location: &str) -> Result<Vec<String>, Fault> {
        let place = self.place(Location::of_path(location)?.path)?;
        let Place { mount, rest, engine } = &place;
        Ok(match engine {
            Engine::KvV2 => ["data", "metadata", "delete", "undelete", "destroy"]
                .iter()
                .map(|part| format!("{mount}/{part}/{rest}"))
                .collect(),
            Engine::KvV1 | Engine::Logical => vec![format!("{mount}/{rest}")],
        })
    }

    /// Opens a ciphertext with a key of the transit engine (`engine` is its mount).
    ///
    /// # Errors
    /// As for reading.
    pub(crate) fn transit_decrypt(&self, engine: &str, key: &str, ciphertext: &str) -> Result<SecretValue, Fault> {
        #[derive(serde::Deserialize)]
        struct Decrypted<'a> {
            #[serde(borrow)]
            plaintext: Option<&'a RawValue>,
        }
        let path = format!("{}/decrypt/{key}", engine.trim_matches('/'));
        let path = super::location::encode_path(Location::of_path(&path)?.path);
        let body = serde_json::json!({ "ciphertext": ciphertext }).to_string().into_bytes();
        let answer =
            self.with_token(|token| self.api.post(&path, zeroize::Zeroizing::new(body.clone()), Some(token.expose())))?;
        let envelope = api::envelope(&answer, "the opened key")?;
        let data = envelope.data.ok_or_else(|| Fault::malformed("the answer holds no key"))?;
        super::sops::decoded(json::parse::<Decrypted<'_>>(data.get().as_bytes(), "the opened key")?.plaintext)
    }

    /// Extends the token of this backend; how long it is valid then, `None` for one without an end.
    ///
    /// # Errors
    /// Unauthenticated, if it is not known any more.
    pub fn renew_token(&self) -> Result<Option<Duration>, Fault> {
        self.session.renew(&self.api)
    }

    /// Asks with the token; once again with another if the server does not know it any more.
    fn with_token(&self, ask: impl Fn(&Token) -> Result<Answer, Fault>) -> Result<Answer, Fault> {
        let token = self.session.token(&self.api)?;
        let answer = ask(&token)?;
        if !api::is_unknown_token(&answer) {
            return Ok(answer);
        }
        // Logging in again gives another; so does a file that somebody renews.
        self.session.forget(&token);
        let other = self.session.token(&self.api)?;
        if other.expose() == token.expose() {
            return Err(login::unknown_token());
        }
        let answer = ask(&other)?;
        if api::is_unknown_token(&answer) { Err(login::unknown_token()) } else { Ok(answer) }
    }

    fn get(&self, path: &str) -> Result<Answer, Fault> {
        self.with_token(|token| self.api.get(path, Some(token.expose())))
    }

    /// Where a path lies, as far as it is known without asking.
    fn known_place(&self, path: &str) -> Option<Place> {
        let mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let under = |mount: &str| path.strip_prefix(mount).and_then(|rest| rest.strip_prefix('/'));
        let (mount, engine) = mounts.iter().filter(|(mount, _)| under(mount).is_some()).max_by_key(|(m, _)| m.len())?;
        Some(Place { mount: mount.clone(), rest: under(mount)?.to_owned(), engine: *engine })
    }

    /// What a path most probably is: a secret of KV version 2 at its first segment.
    fn likely_place(path: &str) -> Option<Place> {
        let (mount, rest) = path.split_once('/')?;
        Some(Place { mount: mount.to_owned(), rest: rest.to_owned(), engine: Engine::KvV2 })
    }

    /// Where a path lies.
    fn place(&self, path: &str) -> Result<Place, Fault> {
        match self.known_place(path) {
            Some(place) => Ok(place),
            None => self.ask_place(path),
        }
    }

    fn ask_place(&self, path: &str) -> Result<Place, Fault> {
        let url = format!("sys/internal/ui/mounts/{}", super::location::encode_path(path));
        let answer = self.get(&url)?;
        if answer.status == 403 {
            // The server does not tell a mount that is not there from one that this token may not see.
            let mut fault = api::refusal(&answer);
            fault.fix = "check the first part of the location, or give this token's policy the right to read it".into();
            return Err(fault);
        }
        let envelope = api::envelope(&answer, "the description of the mount")?;
        let (mount, engine) = envelope
            .data
            .and_then(mount_of)
            .ok_or_else(|| Fault::malformed("the description of the mount says neither its path nor its type"))?;
        let rest = path.strip_prefix(&mount).and_then(|rest| rest.strip_prefix('/')).ok_or_else(|| {
            Fault::configuration(
                format!("the location `{path}` names a mount, not a secret"),
                "add the path of the secret",
            )
        })?;
        let rest = rest.to_owned();
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner).insert(mount.clone(), engine);
        Ok(Place { mount, rest, engine })
    }

    /// Reads one secret, whole, and takes the fields that are asked for.
    fn read_secret(
        &self,
        path: &str,
        version: &VersionRequest,
        fields: &[Option<&str>],
    ) -> Vec<Result<Resolved, Fault>> {
        match self.secret(path, version) {
            Ok(secret) => fields.iter().map(|field| secret.resolved(*field)).collect(),
            Err(fault) => fields.iter().map(|_| Err(fault.clone())).collect(),
        }
    }

    fn secret(&self, path: &str, version: &VersionRequest) -> Result<kv::Secret, Fault> {
        if let Some(place) = self.known_place(path) {
            return self.secret_at(&place, version);
        }
        let Some(likely) = Self::likely_place(path) else {
            return Err(Fault::configuration(
                format!("the location `{path}` names a mount, not a secret"),
                "write it as `mount/path#field`",
            ));
        };
        let first = self.secret_at(&likely, version);
        let is_open = matches!(&first, Err(fault) if matches!(fault.kind, ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Malformed));
        if !is_open {
            if first.is_ok() {
                self.mounts.lock().unwrap_or_else(PoisonError::into_inner).insert(likely.mount, likely.engine);
            }
            return first;
        }
        match self.ask_place(path) {
            Ok(place) if place == likely => first,
            Ok(place) => self.secret_at(&place, version),
            // A token that may read the secret but nothing else still gets the clearer of the two answers.
            Err(fault) if fault.kind == ErrorKind::Denied => first.map_err(|first| Fault { fix: fault.fix, ..first }),
            Err(fault) => Err(fault),
        }
    }

    fn secret_at(&self, place: &Place, version: &VersionRequest) -> Result<kv::Secret, Fault> {
        match place.engine {
            Engine::KvV2 => self.read_v2(place, version),
            Engine::KvV1 | Engine::Logical if *version != VersionRequest::Current => Err(Fault::new(
                ErrorKind::Unsupported,
                format!("the engine at `{}` keeps no versions", place.mount),
                "ask for the current version",
            )),
            Engine::KvV1 => self.read_v1(place),
            Engine::Logical => self.read_leased(place),
        }
    }
}

/// A path and its version: what one read gives.
type Wanted<'a> = (&'a str, &'a VersionRequest);

fn mount_of(data: &RawValue) -> Option<(String, Engine)> {
    let members = json::members(data)?;
    let text = |name: &str| {
        let (_, raw) = members.iter().find(|(own, _)| own == name)?;
        serde_json::from_str::<String>(raw.get()).ok()
    };
    let options = members.iter().find(|(own, _)| own == "options").and_then(|(_, raw)| json::members(raw));
    let version = options
        .unwrap_or_default()
        .into_iter()
        .find(|(name, _)| name == "version")
        .map(|(_, raw)| raw.get().to_owned());
    let path = text("path")?.trim_matches('/').to_owned();
    let engine = match text("type")?.as_str() {
        "kv" | "generic" if version.as_deref().is_some_and(|version| version.trim_matches('"') == "2") => Engine::KvV2,
        "kv" | "generic" | "cubbyhole" => Engine::KvV1,
        _ => Engine::Logical,
    };
    (!path.is_empty()).then_some((path, engine))
}

impl Backend for OpenBao {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, list: true, versions: true, batch: true }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        let mut answers: Vec<Option<Result<Resolved, BackendError>>> = requests.iter().map(|_| None).collect();
        let mut groups: HashMap<Wanted<'_>, Vec<(usize, Option<&str>)>> = HashMap::new();
        for (index, request) in requests.iter().enumerate() {
            match Location::of_path(&request.location) {
                Ok(location) => {
                    groups.entry((location.path, &request.version)).or_default().push((index, location.field))
                }
                Err(fault) => answers[index] = Some(Err(fault.of(NAME, &request.reference))),
            }
        }
        // Known before the threads start, so that they do not all wait for one login.
        if let Err(fault) = self.session.token(&self.api) {
            return requests.iter().map(|request| Err(fault.clone().of(NAME, &request.reference))).collect();
        }
        let groups: Vec<_> = groups.into_iter().collect();
        let read = parallel::map(&groups, self.parallel, |((path, version), members)| {
            let fields: Vec<_> = members.iter().map(|(_, field)| *field).collect();
            self.read_secret(path, version, &fields)
        });
        for ((_, members), results) in groups.iter().zip(read) {
            for ((index, _), result) in members.iter().zip(results) {
                answers[*index] = Some(result.map_err(|fault| fault.of(NAME, &requests[*index].reference)));
            }
        }
        answers.into_iter().map(|answer| answer.expect("each request is in a group or was refused")).collect()
    }

    fn describe(&self, request: &ReadRequest) -> Result<Metadata, BackendError> {
        self.describe_secret(request).map_err(|fault| fault.of(NAME, &request.reference))
    }

    fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
        self.write_secret(request, value).map_err(|fault| fault.of(NAME, &request.reference))
    }

    fn renew(&self, reference: &CredentialRef, lease: &Lease) -> Result<Lease, BackendError> {
        self.renew_lease(lease).map_err(|fault| fault.of(NAME, reference))
    }

    fn revoke(&self, reference: &CredentialRef, lease: &Lease) -> Result<(), BackendError> {
        self.revoke_lease(&lease.id).map_err(|fault| fault.of(NAME, reference))
    }

    fn end(&self) -> Result<(), BackendError> {
        let leases = self.revoke_leases();
        let token = self.session.end(&self.api);
        leases.and(token).map_err(|fault| fault.named(NAME, "its own token"))
    }

    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        Some(self.list_below(prefix).map_err(|fault| fault.named(NAME, prefix)))
    }
}
