//! The key-value engines: reading with versions, describing, writing with check-and-set.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::http::Answer;
use super::super::location::{Location, encode_path, encode_segment};
use super::super::{ErrorKind, Fault, Metadata, ReadRequest, Resolved, VersionRequest, json};
use super::api::{Envelope, envelope, messages, refusal};
use super::{Engine, OpenBao, Place};
use crate::SecretValue;

/// How often a write is tried again that somebody else's write came before.
const MAX_WRITE_ATTEMPTS: usize = 5;
/// The field that is meant where a location names none.
const DEFAULT_FIELD: &str = "value";

/// A secret as it was read: its fields in the text of the answer, and what is known of it.
pub(super) struct Secret {
    /// The JSON object of the fields.
    pub(super) data: Zeroizing<Vec<u8>>,
    pub(super) metadata: Metadata,
}

impl Secret {
    /// One field; without a name the field `value`, else all fields as JSON.
    pub(super) fn resolved(&self, field: Option<&str>) -> Result<Resolved, Fault> {
        let raw: &RawValue = json::parse(&self.data, "the secret")?;
        let members = json::members(raw).ok_or_else(|| Fault::malformed("the secret is no JSON object"))?;
        let mut bytes = match field {
            Some(field) => json::field_of(&members, field)?,
            None if members.iter().any(|(name, _)| name == DEFAULT_FIELD) => json::field_of(&members, DEFAULT_FIELD)?,
            None => self.data.clone(),
        };
        Ok(Resolved { value: SecretValue::new(std::mem::take(&mut *bytes)), metadata: self.metadata.clone() })
    }
}

/// A read of version 2.
#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: VersionInfo<'a>,
}

#[derive(Deserialize)]
struct VersionInfo<'a> {
    version: u64,
    #[serde(borrow)]
    created_time: Cow<'a, str>,
    #[serde(borrow, default)]
    deletion_time: Cow<'a, str>,
    #[serde(default)]
    destroyed: bool,
}

/// The metadata of version 2.
#[derive(Deserialize)]
struct History<'a> {
    current_version: u64,
    #[serde(borrow, default)]
    versions: BTreeMap<String, VersionTimes<'a>>,
}

#[derive(Deserialize)]
struct VersionTimes<'a> {
    #[serde(borrow)]
    created_time: Cow<'a, str>,
    #[serde(borrow, default)]
    deletion_time: Cow<'a, str>,
    #[serde(default)]
    destroyed: bool,
}

impl VersionTimes<'_> {
    fn is_gone(&self) -> bool {
        self.destroyed || time(&self.deletion_time).is_some_and(|time| time <= Timestamp::now())
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn v2_metadata(version: u64, created: &str, deletion: &str) -> Metadata {
    Metadata { version: Some(version.to_string()), created: time(created), expires: time(deletion), lease: None }
}

impl OpenBao {
    /// Reads from version 2.
    pub(super) fn read_v2(&self, place: &Place, version: &VersionRequest) -> Result<Secret, Fault> {
        let version = match version {
            VersionRequest::Current => None,
            VersionRequest::Previous => Some(self.previous_version(place)?),
            VersionRequest::Exact(version) => Some(exact_version(version)?),
        };
        let answer = self.get(&v2_path(place, version))?;
        if answer.status == 404 {
            return Err(gone(&answer, version));
        }
        let envelope = envelope(&answer, "the secret")?;
        let data = envelope.data.ok_or_else(|| Fault::malformed("the answer holds no secret"))?;
        let secret: Versioned<'_> = json::parse(data.get().as_bytes(), "the secret")?;
        let VersionInfo { version, created_time, deletion_time, .. } = &secret.metadata;
        // A secret that was written as `null` has no fields.
        let fields = secret.data.map_or("{}", RawValue::get);
        Ok(Secret {
            data: Zeroizing::new(fields.as_bytes().to_vec()),
            metadata: v2_metadata(*version, created_time, deletion_time),
        })
    }

    /// Reads from version 1.
    pub(super) fn read_v1(&self, place: &Place) -> Result<Secret, Fault> {
        let answer = self.get(&plain_path(place))?;
        let envelope = envelope(&answer, "the secret")?;
        Ok(Secret { data: fields_of(&envelope)?, metadata: Metadata::default() })
    }

    fn history(&self, place: &Place) -> Result<Answer, Fault> {
        let answer = self.get(&metadata_path(place))?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
    }

    fn previous_version(&self, place: &Place) -> Result<u64, Fault> {
        let answer = self.history(place)?;
        let history = parse_history(&answer)?;
        let older = history.versions.iter().filter(|(_, times)| !times.is_gone());
        let older = older.filter_map(|(number, _)| number.parse::<u64>().ok());
        older.filter(|number| *number < history.current_version).max().ok_or_else(|| {
            Fault::new(ErrorKind::NotFound, "there is no earlier version", "ask for the current version")
        })
    }

    /// What is known without reading the value.
    pub(super) fn describe_secret(&self, request: &ReadRequest) -> Result<Metadata, Fault> {
        let place = self.place(Location::of_path(&request.location)?.path)?;
        if place.engine != Engine::KvV2 {
            return Err(Fault::new(
                ErrorKind::Unsupported,
                format!("the engine at `{}` tells nothing of a secret without reading it", place.mount),
                "read it",
            ));
        }
        let answer = self.history(&place)?;
        let history = parse_history(&answer)?;
        let wanted = match &request.version {
            VersionRequest::Current => history.current_version,
            VersionRequest::Previous => self.previous_version(&place)?,
            VersionRequest::Exact(version) => exact_version(version)?,
        };
        let not_found = |why: String| Fault::new(ErrorKind::NotFound, why, "ask for another version");
        let times = history.versions.get(&wanted.to_string());
        let times = times.ok_or_else(|| not_found(format!("there is no version {wanted}")))?;
        if times.is_gone() {
            return Err(not_found(format!("version {wanted} was deleted")));
        }
        Ok(v2_metadata(wanted, &times.created_time, &times.deletion_time))
    }

    /// Writes one field and keeps the others.
    pub(super) fn write_secret(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, Fault> {
        let location = Location::of_path(&request.location)?;
        super::super::grouped::only_current_is_written(&request.version)?;
        let text = value.expose_str().ok_or_else(|| {
            Fault::new(
                ErrorKind::Unsupported,
                "the value is not text, and this backend keeps text",
                "encode it (base64)",
            )
        })?;
        let place = self.place(location.path)?;
        match place.engine {
            Engine::KvV2 => (0..MAX_WRITE_ATTEMPTS)
                .find_map(|_| self.write_v2(&place, location.field, text).transpose())
                .unwrap_or_else(|| {
                    let why = "others write the same secret all the time";
                    Err(Fault::new(ErrorKind::Unreachable, why, "try again"))
                }),
            Engine::KvV1 => {
                let old = self.read_v1(&place);
                let (old, _) = old_fields(old)?;
                let body = with_field(&old, location.field, text)?;
                let answer = self.post(&plain_path(&place), &body, text)?;
                if answer.is_success() { Ok(Metadata::default()) } else { Err(refusal(&answer)) }
            }
            Engine::Logical => Err(Fault::new(
                ErrorKind::Unsupported,
                format!("the engine at `{}` is no key-value store", place.mount),
                "write into a key-value store",
            )),
        }
    }

    /// One attempt; nothing if somebody else was faster.
    fn write_v2(&self, place: &Place, field: Option<&str>, text: &str) -> Result<Option<Metadata>, Fault> {
        let (old, mut version) = old_fields(self.read_v2(place, &VersionRequest::Current))?;
        if version == 0 {
            // A deleted secret counts on. If it is there by now, somebody else wrote it in the meantime.
            match self.history(place) {
                Ok(answer) => {
                    let history = parse_history(&answer)?;
                    version = history.current_version;
                    if history.versions.get(&version.to_string()).is_some_and(|times| !times.is_gone()) {
                        return Ok(None);
                    }
                }
                Err(fault) if matches!(fault.kind, ErrorKind::NotFound | ErrorKind::Denied) => {}
                Err(fault) => return Err(fault),
            }
        }
        let fields = with_field(&old, field, text)?;
        let mut body = Zeroizing::new(Vec::new());
        let head = format!("{{\"options\":{{\"cas\":{version}}},\"data\":");
        json::reserve(&mut body, head.len() + fields.len() + 1);
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&fields);
        body.push(b'}');
        let answer = self.post(&v2_path(place, None), &body, text)?;
        if answer.status == 400 && messages(&answer).contains("check-and-set") {
            return Ok(None);
        }
        let envelope = envelope(&answer, "the answer to the write")?;
        let data = envelope.data.ok_or_else(|| Fault::malformed("the answer to the write is empty"))?;
        let info: VersionInfo<'_> = json::parse(data.get().as_bytes(), "the answer to the write")?;
        Ok(Some(v2_metadata(info.version, &info.created_time, &info.deletion_time)))
    }

    fn post(&self, path: &str, body: &Zeroizing<Vec<u8>>, secret: &str) -> Result<Answer, Fault> {
        self.with_token(|token| self.api.post_secret(path, body.clone(), secret, Some(token.expose())))
    }
}

/// The fields of a secret that may not be there yet, and its version.
fn old_fields(read: Result<Secret, Fault>) -> Result<(Zeroizing<Vec<u8>>, u64), Fault> {
    match read {
        Ok(secret) => {
            let version = secret.metadata.version.and_then(|version| version.parse().ok()).unwrap_or(0);
            Ok((secret.data, version))
        }
        Err(fault) if fault.kind == ErrorKind::NotFound => Ok((Zeroizing::new(b"{}".to_vec()), 0)),
        Err(fault) => Err(fault),
    }
}

/// The JSON object with one field set; the others are written as they were.
fn with_field(old: &[u8], field: Option<&str>, text: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let raw: &RawValue = json::parse(old, "the secret")?;
    let members = json::members(raw).unwrap_or_default();
    let has_default = members.is_empty() || members.iter().any(|(name, _)| name == DEFAULT_FIELD);
    let field = match field {
        Some(field) => field,
        None if has_default => DEFAULT_FIELD,
        None => {
            return Err(Fault::configuration(
                "the secret has several fields, and the location does not say which one to write",
                "write the location as `path#field`",
            ));
        }
    };
    json::with_field(old, field, text)
}

/// The data of an answer, as the text it has there.
pub(super) fn fields_of(envelope: &Envelope<'_>) -> Result<Zeroizing<Vec<u8>>, Fault> {
    match envelope.data {
        Some(data) => Ok(Zeroizing::new(data.get().as_bytes().to_vec())),
        None => Err(Fault::new(ErrorKind::NotFound, "there is nothing at this path", "check the location")),
    }
}

fn parse_history(answer: &Answer) -> Result<History<'_>, Fault> {
    let envelope: Envelope<'_> = json::parse(answer.json()?, "the metadata of the secret")?;
    let data = envelope.data.ok_or_else(|| Fault::malformed("the metadata of the secret is empty"))?;
    json::parse(data.get().as_bytes(), "the metadata of the secret")
}

fn exact_version(text: &str) -> Result<u64, Fault> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| {
        Fault::new(ErrorKind::NotFound, format!("`{text}` is no version: they are numbers from 1"), "check the version")
    })
}

/// Why there is nothing: deleted and destroyed versions answer 404 with their metadata.
fn gone(answer: &Answer, version: Option<u64>) -> Fault {
    let envelope: Option<Envelope<'_>> = answer.json().ok().and_then(|body| serde_json::from_slice(body).ok());
    let secret: Option<Versioned<'_>> =
        envelope.and_then(|envelope| envelope.data).and_then(|data| serde_json::from_str(data.get()).ok());
    let Some(secret) = secret else {
        let mut fault = refusal(answer);
        if let Some(version) = version {
            fault.why = format!("there is no version {version}: {}", fault.why);
        }
        return fault;
    };
    let how = if secret.metadata.destroyed { "destroyed" } else { "deleted" };
    let why = format!("version {} was {how}", secret.metadata.version);
    Fault::new(ErrorKind::NotFound, why, "write it again, undelete it, or ask for another version")
}

fn v2_path(place: &Place, version: Option<u64>) -> String {
    let path = format!("{}/data/{}", encode_path(&place.mount), encode_path(&place.rest));
    match version {
        Some(version) => format!("{path}?version={}", encode_segment(&version.to_string())),
        None => path,
    }
}

fn metadata_path(place: &Place) -> String {
    format!("{}/metadata/{}", encode_path(&place.mount), encode_path(&place.rest))
}

/// The path of a secret outside of KV version 2.
pub(super) fn plain_path(place: &Place) -> String {
    format!("{}/{}", encode_path(&place.mount), encode_path(&place.rest))
}
