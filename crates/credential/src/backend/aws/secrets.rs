//! AWS Secrets Manager.
//!
//! Stages are asked for explicitly, also the current one. Several current secrets are read 20 at a time
//! (`BatchGetSecretValue`); what a batch does not give, or may not, is read one by one.

use std::collections::HashMap;
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::http::Answer;
use super::super::location::Location;
use super::super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, VersionRequest,
    json, parallel,
};
use super::client::{Context, Service, code, refusal};
use super::settings::AwsSettings;
use super::{list, object, time};
use crate::SecretValue;

/// Its name.
const NAME: &str = "aws-secrets-manager";
/// So many secrets a batch.
const BATCH: usize = 20;
/// So many requests at the same time: the service throttles more.
const PARALLEL: usize = 16;
const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// The backend.
pub struct AwsSecretsManager {
    service: Service,
}

/// A secret as the service gives it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given<'a> {
    #[serde(rename = "ARN", default)]
    arn: String,
    #[serde(default)]
    name: String,
    #[serde(borrow)]
    secret_string: Option<&'a RawValue>,
    #[serde(borrow)]
    secret_binary: Option<&'a RawValue>,
    version_id: Option<String>,
    #[serde(default)]
    version_stages: Vec<String>,
    created_date: Option<f64>,
}

impl Given<'_> {
    fn resolved(&self, field: Option<&str>) -> Result<Resolved, Fault> {
        let mut bytes = match (self.secret_string, self.secret_binary) {
            (Some(text), _) => json::material(text),
            (None, Some(encoded)) => {
                json::material(encoded).and_then(|text| BASE64.decode(&text).ok()).map(Zeroizing::new)
            }
            (None, None) => None,
        }
        .ok_or_else(|| Fault::malformed("the answer holds neither text nor bytes"))?;
        if let Some(field) = field {
            bytes = json::pick(&bytes, field)?;
        }
        let metadata =
            Metadata { version: self.version_id.clone(), created: time(self.created_date), ..Metadata::default() };
        Ok(Resolved { value: SecretValue::new(std::mem::take(&mut *bytes)), metadata })
    }
}

type Wanted<'a> = (&'a str, &'a VersionRequest);
/// The requests for one secret: their places and fields.
type Group<'a> = Vec<(usize, Option<&'a str>)>;

impl AwsSecretsManager {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: a proxy that is no URL.
    pub fn new(settings: AwsSettings, variables: &Variables) -> Result<Self, Fault> {
        let context = Arc::new(Context::new(settings, variables)?);
        Ok(Self { service: Service::new(context, "secretsmanager", "secrets_manager", "secretsmanager") })
    }

    fn get(&self, id: &str, version: &VersionRequest) -> Result<Answer, Fault> {
        let (stage, version) = match version {
            VersionRequest::Current => (Some(CURRENT), None),
            VersionRequest::Previous => (Some(PREVIOUS), None),
            // Ids have 32 characters at least; anything else is a stage, such as AWSPENDING.
            VersionRequest::Exact(text) if text.len() >= 32 => (None, Some(text.as_str())),
            VersionRequest::Exact(text) => (Some(text.as_str()), None),
        };
        let body = object(&[("SecretId", Some(id)), ("VersionStage", stage), ("VersionId", version)]);
        let answer = self.service.call("GetSecretValue", &body, None)?;
        if answer.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
    }

    fn read_one(&self, id: &str, version: &VersionRequest, group: &Group<'_>) -> Vec<Result<Resolved, Fault>> {
        let read = || {
            let answer = self.get(id, version)?;
            let given: Given<'_> = json::parse(answer.json()?, "the secret")?;
            if *version == VersionRequest::Current && !given.version_stages.iter().any(|stage| stage == CURRENT) {
                return Err(Fault::malformed("the answer is not the current version, which was asked for"));
            }
            Ok(group.iter().map(|(_, field)| given.resolved(*field)).collect())
        };
        read().unwrap_or_else(|fault: Fault| group.iter().map(|_| Err(fault.clone())).collect())
    }

    /// Reads up to [`BATCH`] secrets; those that it cannot give are left out.
    fn read_batch(&self, ids: &[(&str, &Group<'_>)]) -> Vec<Option<Vec<Result<Resolved, Fault>>>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Batch<'a> {
            #[serde(borrow, default)]
            secret_values: Vec<Given<'a>>,
        }
        let nothing = || ids.iter().map(|_| None).collect();
        let body = format!("{{\"SecretIdList\":{}}}", list(ids.iter().map(|(id, _)| *id)));
        let Ok(answer) = self.service.call("BatchGetSecretValue", &Zeroizing::new(body.into_bytes()), None) else {
            return nothing();
        };
        let body = if answer.is_success() { answer.json().ok() } else { None };
        let Some(batch) = body.and_then(|body| json::parse::<Batch<'_>>(body, "the secrets").ok()) else {
            return nothing();
        };
        let current = |given: &&Given<'_>| given.version_stages.iter().any(|stage| stage == CURRENT);
        let answers = ids.iter().map(|(id, group)| {
            let given =
                batch.secret_values.iter().filter(current).find(|given| given.arn == *id || given.name == *id)?;
            Some(group.iter().map(|(_, field)| given.resolved(*field)).collect())
        });
        answers.collect()
    }

    fn write_secret(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, Fault> {
        let location = Location::parse(&request.location)?;
        super::super::grouped::only_current_is_written(&request.version)?;
        let text = match location.field {
            None => Zeroizing::new(value.expose().to_vec()),
            Some(field) => self.with_field(location.path, field, value)?,
        };
        let (text, encoded) = match std::str::from_utf8(&text) {
            Ok(text) => (Some(text), None),
            Err(_) => (None, Some(Zeroizing::new(BASE64.encode(&text)))),
        };
        let content = [("SecretString", text), ("SecretBinary", encoded.as_ref().map(|text| text.as_str()))];
        let token = request_token()?;
        let fields =
            |name| [("ClientRequestToken", Some(token.as_str())), (name, Some(location.path)), content[0], content[1]];
        let secret = value.expose_str();
        let mut answer = self.service.call("PutSecretValue", &object(&fields("SecretId")), secret)?;
        if code(&answer) == "ResourceNotFoundException" && !location.path.starts_with("arn:") {
            answer = self.service.call("CreateSecret", &object(&fields("Name")), secret)?;
        }
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let given: Given<'_> = json::parse(answer.json()?, "the answer to the write")?;
        Ok(Metadata { version: given.version_id, ..Metadata::default() })
    }

    /// The secret's JSON object with one field set.
    fn with_field(&self, id: &str, field: &str, value: &SecretValue) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let text = value.expose_str().ok_or_else(|| {
            Fault::new(
                ErrorKind::Unsupported,
                "the value is not text, and a field of JSON is text",
                "encode it (base64)",
            )
        })?;
        let old = match self.get(id, &VersionRequest::Current) {
            Ok(answer) => {
                let given: Given<'_> = json::parse(answer.json()?, "the secret")?;
                given.secret_string.and_then(json::material).unwrap_or_default()
            }
            Err(fault) if fault.kind == ErrorKind::NotFound => Zeroizing::new(b"{}".to_vec()),
            Err(fault) => return Err(fault),
        };
        json::with_field(&old, field, text)
    }

    fn describe_secret(&self, request: &ReadRequest) -> Result<Metadata, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Described {
            #[serde(default)]
            version_ids_to_stages: HashMap<String, Vec<String>>,
            last_changed_date: Option<f64>,
            created_date: Option<f64>,
            deleted_date: Option<f64>,
        }
        let location = Location::parse(&request.location)?;
        let answer = self.service.call("DescribeSecret", &object(&[("SecretId", Some(location.path))]), None)?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let described: Described = json::parse(answer.json()?, "the description of the secret")?;
        if described.deleted_date.is_some() {
            return Err(Fault::new(ErrorKind::NotFound, "the secret is marked for deletion", "restore it"));
        }
        let stage = match &request.version {
            VersionRequest::Current => CURRENT,
            VersionRequest::Previous => PREVIOUS,
            VersionRequest::Exact(text) => text,
        };
        let version = described
            .version_ids_to_stages
            .into_iter()
            .find(|(id, stages)| id == stage || stages.iter().any(|own| own == stage));
        let (version, _) = version.ok_or_else(|| {
            Fault::new(ErrorKind::NotFound, format!("there is no version `{stage}`"), "ask for another")
        })?;
        // The service tells when the current version was made only; of others it would be a guess.
        let is_current = stage == CURRENT;
        let created = time(described.last_changed_date.or(described.created_date)).filter(|_| is_current);
        Ok(Metadata { version: Some(version), created, ..Metadata::default() })
    }

    fn list_below(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            #[serde(default)]
            secret_list: Vec<Named>,
            next_token: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Named {
            name: String,
        }
        let mut names = Vec::new();
        let mut token: Option<String> = None;
        let patience = self.service.context.http.patience();
        loop {
            patience.check()?;
            let mut body = serde_json::json!({ "MaxResults": 100 });
            if !prefix.is_empty() {
                body["Filters"] = serde_json::json!([{ "Key": "name", "Values": [prefix] }]);
            }
            if let Some(token) = &token {
                body["NextToken"] = token.as_str().into();
            }
            let answer = self.service.call("ListSecrets", &Zeroizing::new(body.to_string().into_bytes()), None)?;
            if !answer.is_success() {
                return Err(refusal(&answer));
            }
            let page: Page = json::parse(answer.json()?, "the list of secrets")?;
            // The service's filter does not mind case and knows words; the prefix is meant as it is written.
            names.extend(page.secret_list.into_iter().map(|named| named.name).filter(|name| name.starts_with(prefix)));
            let next = page.next_token.filter(|token| !token.is_empty());
            if next.is_some() && next == token {
                return Err(Fault::malformed("the list does not end"));
            }
            token = next;
            if token.is_none() {
                names.sort();
                names.dedup();
                return Ok(names);
            }
        }
    }
}

/// A random UUID: makes a write that is sent twice count once.
fn request_token() -> Result<String, Fault> {
    use ring::rand::SecureRandom;
    let mut bytes = [0_u8; 16];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Fault::new(ErrorKind::Unreachable, "this system gives no random numbers", "try again"))?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = HEXLOWER.encode(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

impl Backend for AwsSecretsManager {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, list: true, versions: true, batch: true }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        let mut answers: Vec<Option<Result<Resolved, Fault>>> = requests.iter().map(|_| None).collect();
        let mut groups: HashMap<Wanted<'_>, Group<'_>> = HashMap::new();
        for (index, request) in requests.iter().enumerate() {
            match Location::parse(&request.location) {
                Ok(location) => {
                    groups.entry((location.path, &request.version)).or_default().push((index, location.field))
                }
                Err(fault) => answers[index] = Some(Err(fault)),
            }
        }
        if let Err(fault) = self.service.log_in() {
            return requests.iter().map(|request| Err(fault.clone().of(NAME, &request.reference))).collect();
        }
        let (current, mut single): (Vec<_>, Vec<_>) =
            groups.iter().partition(|((_, version), _)| **version == VersionRequest::Current);
        let mut fill = |group: &Group<'_>, results: Vec<Result<Resolved, Fault>>| {
            for ((index, _), result) in group.iter().zip(results) {
                answers[*index] = Some(result);
            }
        };
        if current.len() > 1 {
            let chunks: Vec<Vec<_>> =
                current.chunks(BATCH).map(|c| c.iter().map(|((id, _), group)| (*id, *group)).collect()).collect();
            let read = parallel::map(&chunks, PARALLEL, |chunk| self.read_batch(chunk));
            for (key, results) in current.iter().zip(read.into_iter().flatten()) {
                match results {
                    Some(results) => fill(key.1, results),
                    None => single.push(*key),
                }
            }
        } else {
            single.extend(current);
        }
        let read = parallel::map(&single, PARALLEL, |((id, version), group)| self.read_one(id, version, group));
        for ((_, group), results) in single.iter().zip(read) {
            fill(group, results);
        }
        super::super::grouped::in_order(NAME, answers, requests)
    }

    super::super::grouped::methods_by_faults!(describe_secret, write_secret, list_below);
}
