//! Reading many references where several may mean the same secret: each secret is read once, all at the same time.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::location::Location;
use super::{BackendError, ErrorKind, Fault, Metadata, ReadRequest, Resolved, VersionRequest, http, json, parallel};
use crate::SecretValue;

/// A secret as it was read, whole.
pub(crate) struct Whole {
    pub(crate) content: Content,
    pub(crate) metadata: Metadata,
}

/// What it consists of.
pub(crate) enum Content {
    /// Bytes; a field is looked for in them as JSON.
    Bytes(Zeroizing<Vec<u8>>),
    /// Named parts.
    Fields(Vec<(String, Zeroizing<Vec<u8>>)>),
}

impl Whole {
    fn resolved(&self, field: Option<&str>) -> Result<Resolved, Fault> {
        let mut bytes = match (&self.content, field) {
            (Content::Bytes(bytes), None) => bytes.clone(),
            (Content::Bytes(bytes), Some(field)) => json::pick(bytes, field)?,
            (Content::Fields(fields), Some(field)) => pick(fields, field)?,
            (Content::Fields(fields), None) => match fields.as_slice() {
                [(_, only)] => only.clone(),
                _ => pick(fields, "value").map_err(|fault| Fault {
                    kind: ErrorKind::Configuration,
                    why: "the secret has several fields, and the location does not say which".into(),
                    ..fault
                })?,
            },
        };
        Ok(Resolved { value: SecretValue::new(std::mem::take(&mut *bytes)), metadata: self.metadata.clone() })
    }
}

fn pick(fields: &[(String, Zeroizing<Vec<u8>>)], field: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    if let Some((_, value)) = fields.iter().find(|(name, _)| name == field) {
        return Ok(value.clone());
    }
    let names: Vec<_> = fields.iter().take(8).map(|(name, _)| http::clean(name, 40)).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Err(Fault::new(
        ErrorKind::NotFound,
        format!("the secret has no field `{field}`"),
        format!("use one of its fields: {names}"),
    ))
}

/// Answers the requests in their order. `read` gets a path and a version.
pub(crate) fn read(
    name: &str,
    requests: &[ReadRequest],
    limit: usize,
    read: impl Fn(&str, &VersionRequest) -> Result<Whole, Fault> + Sync,
) -> Vec<Result<Resolved, BackendError>> {
    type Wanted<'a> = (&'a str, &'a VersionRequest);
    let mut answers: Vec<Option<Result<Resolved, Fault>>> = requests.iter().map(|_| None).collect();
    let mut groups: HashMap<Wanted<'_>, Vec<(usize, Option<&str>)>> = HashMap::new();
    for (index, request) in requests.iter().enumerate() {
        match Location::parse(&request.location) {
            Ok(location) => groups.entry((location.path, &request.version)).or_default().push((index, location.field)),
            Err(fault) => answers[index] = Some(Err(fault)),
        }
    }
    let groups: Vec<_> = groups.into_iter().collect();
    let wholes = parallel::map(&groups, limit, |((path, version), _)| read(path, version));
    for ((_, members), whole) in groups.iter().zip(wholes) {
        for (index, field) in members {
            answers[*index] = Some(whole.as_ref().map_err(Clone::clone).and_then(|whole| whole.resolved(*field)));
        }
    }
    in_order(name, answers, requests)
}

/// One answer for each request, with the backend's name and the reference in each failure.
pub(crate) fn in_order(
    name: &str,
    answers: Vec<Option<Result<Resolved, Fault>>>,
    requests: &[ReadRequest],
) -> Vec<Result<Resolved, BackendError>> {
    let named = answers.into_iter().zip(requests);
    named
        .map(|(answer, request)| {
            answer.expect("each request was asked or refused").map_err(|fault| fault.of(name, &request.reference))
        })
        .collect()
}

/// Writing an old version means nothing.
///
/// # Errors
/// Unsupported, if another than the current version is meant.
pub(crate) fn only_current_is_written(version: &VersionRequest) -> Result<(), Fault> {
    match version {
        VersionRequest::Current => Ok(()),
        _ => Err(Fault::new(ErrorKind::Unsupported, "an old version cannot be written", "write the current one")),
    }
}

/// [`super::Backend`]'s methods besides reading, by methods that fail with a [`Fault`]: of a request, of a request and a
/// value, of a prefix.
macro_rules! methods_by_faults {
    ($describe:ident, $write:ident, $list:ident) => {
        fn describe(&self, request: &ReadRequest) -> Result<Metadata, BackendError> {
            self.$describe(request).map_err(|fault| fault.of(NAME, &request.reference))
        }

        fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
            self.$write(request, value).map_err(|fault| fault.of(NAME, &request.reference))
        }

        fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
            Some(self.$list(prefix).map_err(|fault| fault.named(NAME, prefix)))
        }
    };
}
pub(crate) use methods_by_faults;

/// The one value of a read that has no versions.
///
/// # Errors
/// Unsupported, if another than the current version is asked for.
pub(crate) fn current_only(version: &VersionRequest, what: &str) -> Result<(), Fault> {
    match version {
        VersionRequest::Current => Ok(()),
        _ => {
            Err(Fault::new(ErrorKind::Unsupported, format!("{what} keeps no versions"), "ask for the current version"))
        }
    }
}
