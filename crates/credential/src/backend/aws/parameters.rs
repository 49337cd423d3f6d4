//! The Parameter Store of AWS Systems Manager. Parameters are read ten at a time, with decryption.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::location::Location;
use super::super::{
    Backend, BackendError, Capabilities, ErrorKind, Fault, Metadata, ReadRequest, Resolved, Variables, VersionRequest,
    json, parallel,
};
use super::client::{Context, Service, refusal};
use super::settings::AwsSettings;
use super::{list, time};
use crate::SecretValue;

/// Its name.
const NAME: &str = "aws-parameter-store";
/// So many parameters a request: the service takes no more.
const BATCH: usize = 10;
/// So many requests at the same time: the service throttles more.
const PARALLEL: usize = 8;

/// The backend.
pub struct AwsParameterStore {
    service: Service,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow, default)]
    parameters: Vec<Parameter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter<'a> {
    #[serde(default)]
    name: String,
    #[serde(rename = "ARN", default)]
    arn: String,
    /// `:version` or `:label`, as it was asked for.
    selector: Option<String>,
    #[serde(borrow)]
    value: &'a RawValue,
    version: Option<i64>,
    last_modified_date: Option<f64>,
}

impl Parameter<'_> {
    /// Whether it is what was asked for: a name or an ARN, with `:version` or `:label`.
    fn is(&self, asked: &str) -> bool {
        let given = self.selector.as_deref().map(|selector| selector.trim_start_matches(':'));
        [&self.name, &self.arn].into_iter().filter(|own| !own.is_empty()).any(|own| {
            match (asked.strip_prefix(own.as_str()), given) {
                (Some(""), given) => given.is_none_or(str::is_empty),
                (Some(rest), Some(given)) => rest.strip_prefix(':') == Some(given),
                // Not every server repeats what was asked for; the version then has to fit.
                (Some(rest), None) => rest
                    .strip_prefix(':')
                    .is_some_and(|wanted| wanted.parse::<i64>().map_or(true, |wanted| self.version == Some(wanted))),
                (None, _) => false,
            }
        })
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            version: self.version.map(|version| version.to_string()),
            created: time(self.last_modified_date),
            ..Metadata::default()
        }
    }

    fn resolved(&self, field: Option<&str>) -> Result<Resolved, Fault> {
        let mut bytes = json::material(self.value).ok_or_else(|| Fault::malformed("the parameter has no value"))?;
        if let Some(field) = field {
            bytes = json::pick(&bytes, field)?;
        }
        Ok(Resolved { value: SecretValue::new(std::mem::take(&mut *bytes)), metadata: self.metadata() })
    }
}

type Group<'a> = Vec<(usize, Option<&'a str>)>;
type Answers = Vec<Option<Result<Resolved, Fault>>>;

impl AwsParameterStore {
    /// A backend for these settings. Nothing is asked yet.
    ///
    /// # Errors
    /// Configuration: a proxy that is no URL.
    pub fn new(settings: AwsSettings, variables: &Variables) -> Result<Self, Fault> {
        let context = Arc::new(Context::new(settings, variables)?);
        Ok(Self { service: Service::new(context, "ssm", "ssm", "AmazonSSM") })
    }

    /// Reads up to [`BATCH`] parameters and hands each that is there to `use_it`.
    fn get(
        &self,
        names: &[&str],
        decryption: bool,
        mut use_it: impl FnMut(usize, &Parameter<'_>),
    ) -> Result<(), Fault> {
        let body = format!("{{\"Names\":{},\"WithDecryption\":{decryption}}}", list(names.iter().copied()));
        let answer = self.service.call("GetParameters", &Zeroizing::new(body.into_bytes()), None)?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let given: Parameters<'_> = json::parse(answer.json()?, "the parameters")?;
        for (index, name) in names.iter().enumerate() {
            let fitting = given.parameters.iter().filter(|parameter| parameter.is(name));
            if let Some(parameter) = fitting.max_by_key(|parameter| parameter.version) {
                use_it(index, parameter);
            }
        }
        Ok(())
    }

    fn read_batch(&self, batch: &[(String, Group<'_>)]) -> Vec<Vec<Result<Resolved, Fault>>> {
        let names: Vec<&str> = batch.iter().map(|(name, _)| name.as_str()).collect();
        let mut answers: Vec<Option<Vec<_>>> = batch.iter().map(|_| None).collect();
        let read = self.get(&names, true, |index, parameter| {
            answers[index] = Some(batch[index].1.iter().map(|(_, field)| parameter.resolved(*field)).collect());
        });
        match read {
            // One bad name or one denied parameter spoils a batch: each then stands for itself.
            Err(fault) if batch.len() > 1 && !fault.kind.is_transient() && fault.kind != ErrorKind::Unauthenticated => {
                batch.iter().flat_map(|one| self.read_batch(std::slice::from_ref(one))).collect()
            }
            Err(fault) => batch.iter().map(|(_, group)| group.iter().map(|_| Err(fault.clone())).collect()).collect(),
            Ok(()) => answers
                .into_iter()
                .zip(batch)
                .map(|(answer, (_, group))| answer.unwrap_or_else(|| group.iter().map(|_| Err(not_found())).collect()))
                .collect(),
        }
    }

    /// The name with its version, as the service wants it.
    fn selector(&self, path: &str, version: &VersionRequest) -> Result<String, Fault> {
        match version {
            VersionRequest::Current => Ok(path.to_owned()),
            VersionRequest::Exact(version) => Ok(format!("{path}:{version}")),
            VersionRequest::Previous => {
                let mut current = None;
                self.get(&[path], false, |_, parameter| current = parameter.version)?;
                let current = current.ok_or_else(not_found)?;
                if current < 2 {
                    return Err(Fault::new(
                        ErrorKind::NotFound,
                        "there is no earlier version",
                        "ask for the current version",
                    ));
                }
                Ok(format!("{path}:{}", current - 1))
            }
        }
    }

    fn read_all<'a>(&self, requests: &'a [ReadRequest]) -> Answers {
        let mut answers: Answers = requests.iter().map(|_| None).collect();
        let mut groups: HashMap<(&'a str, &'a VersionRequest), Group<'a>> = HashMap::new();
        for (index, request) in requests.iter().enumerate() {
            match Location::parse(&request.location) {
                Ok(location) => {
                    groups.entry((location.path, &request.version)).or_default().push((index, location.field))
                }
                Err(fault) => answers[index] = Some(Err(fault)),
            }
        }
        let mut selected = Vec::new();
        for ((path, version), group) in groups {
            match self.selector(path, version) {
                Ok(name) => selected.push((name, group)),
                Err(fault) => group.iter().for_each(|(index, _)| answers[*index] = Some(Err(fault.clone()))),
            }
        }
        // A name may stand once in a request; `Previous` and `Exact` can mean the same.
        selected.sort_by(|a, b| a.0.cmp(&b.0));
        selected.dedup_by(|later, first| {
            let is_same = later.0 == first.0;
            if is_same {
                first.1.append(&mut later.1);
            }
            is_same
        });
        let chunks: Vec<&[(String, Group<'_>)]> = selected.chunks(BATCH).collect();
        let read = parallel::map(&chunks, PARALLEL, |chunk| self.read_batch(chunk));
        for ((_, group), results) in selected.iter().zip(read.into_iter().flatten()) {
            for ((index, _), result) in group.iter().zip(results) {
                answers[*index] = Some(result);
            }
        }
        answers
    }

    fn write_parameter(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Written {
            version: Option<i64>,
        }
        let location = Location::parse(&request.location)?;
        super::super::grouped::only_current_is_written(&request.version)?;
        let text = value.expose_str().ok_or_else(|| {
            Fault::new(ErrorKind::Unsupported, "the value is not text, and a parameter is text", "encode it (base64)")
        })?;
        let content = match location.field {
            None => Zeroizing::new(text.as_bytes().to_vec()),
            Some(field) => {
                let mut old = Zeroizing::new(b"{}".to_vec());
                self.get(&[location.path], true, |_, parameter| {
                    old = json::material(parameter.value).unwrap_or_default()
                })?;
                json::with_field(&old, field, text)?
            }
        };
        let content = std::str::from_utf8(&content).unwrap_or_default();
        let mut body =
            super::object(&[("Name", Some(location.path)), ("Type", Some("SecureString")), ("Value", Some(content))]);
        body.pop();
        json::reserve(&mut body, 24);
        body.extend_from_slice(b",\"Overwrite\":true}");
        let answer = self.service.call("PutParameter", &body, Some(text))?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let written: Written = json::parse(answer.json()?, "the answer to the write")?;
        Ok(Metadata { version: written.version.map(|version| version.to_string()), ..Metadata::default() })
    }

    fn describe_parameter(&self, request: &ReadRequest) -> Result<Metadata, Fault> {
        let location = Location::parse(&request.location)?;
        let name = self.selector(location.path, &request.version)?;
        let mut metadata = None;
        // Without decryption: of a SecureString only the ciphertext is given.
        self.get(&[&name], false, |_, parameter| metadata = Some(parameter.metadata()))?;
        metadata.ok_or_else(not_found)
    }

    fn list_below(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            #[serde(default)]
            parameters: Vec<Named>,
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
            let mut body = serde_json::json!({ "MaxResults": 50 });
            if !prefix.is_empty() {
                body["ParameterFilters"] =
                    serde_json::json!([{ "Key": "Name", "Option": "BeginsWith", "Values": [prefix] }]);
            }
            if let Some(token) = &token {
                body["NextToken"] = token.as_str().into();
            }
            let answer =
                self.service.call("DescribeParameters", &Zeroizing::new(body.to_string().into_bytes()), None)?;
            if !answer.is_success() {
                return Err(refusal(&answer));
            }
            let page: Page = json::parse(answer.json()?, "the list of parameters")?;
            names.extend(page.parameters.into_iter().map(|named| named.name));
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

fn not_found() -> Fault {
    Fault::new(
        ErrorKind::NotFound,
        "there is no such parameter or version",
        "check the location, the region and the account",
    )
}

impl Backend for AwsParameterStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, list: true, versions: true, batch: true }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        if let Err(fault) = self.service.log_in() {
            return requests.iter().map(|request| Err(fault.clone().of(NAME, &request.reference))).collect();
        }
        super::super::grouped::in_order(NAME, self.read_all(requests), requests)
    }

    super::super::grouped::methods_by_faults!(describe_parameter, write_parameter, list_below);
}
