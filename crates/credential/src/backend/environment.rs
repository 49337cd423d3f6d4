//! The backend `environment`: the variables of this process (ENV-4), as a platform or a CI system sets them.
//!
//! A location is a variable's name, with an optional `#field` of a JSON object. By default
//! `cred://aws/production/readonly` is `AWS_PRODUCTION_READONLY` after the prefix of the settings. References that
//! differ only in punctuation share a variable; give such credentials a location.

use std::sync::Arc;

use custody_contract::CredentialRef;

use crate::SecretValue;
use crate::backend::{
    Backend, BackendError, Capabilities, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, select_field,
    split_location,
};
use crate::context::Variables;
use crate::registry::BackendKind;

/// The kind, for the registry.
pub const KIND: BackendKind = BackendKind {
    name: NAME,
    aliases: &["env"],
    summary: "variables of the process",
    make: |setup| {
        let Nothing {} = setup.parse()?;
        Ok(Box::new(Environment::new(Arc::clone(&setup.context.variables))))
    },
};

const NAME: &str = "environment";

/// No settings of its own.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Environment variables as a backend.
pub struct Environment {
    variables: Arc<dyn Variables>,
}

impl Environment {
    /// These variables.
    pub fn new(variables: Arc<dyn Variables>) -> Self {
        Self { variables }
    }

    fn read_one(&self, request: &ReadRequest) -> Result<Resolved, BackendError> {
        let fail = |kind, why: String, fix: &str| Err(BackendError::new(kind, NAME, &request.reference, why, fix));
        if request.version != VersionRequest::Current {
            return Err(BackendError::unsupported(NAME, &request.reference, "keep versions"));
        }
        let (name, field) = split_location(&request.location);
        let Some(text) = self.variables.get(name) else {
            return fail(
                ErrorKind::NotFound,
                format!("the variable {name} is not set"),
                "set it where the process starts",
            );
        };
        let value = SecretValue::new(text.into_encoded_bytes());
        let value = match field {
            None => value,
            Some(field) => match select_field(&value, field) {
                Ok(value) => value,
                Err(error) => return fail(ErrorKind::NotFound, error.to_string(), "check the location's #field"),
            },
        };
        Ok(Resolved { value, metadata: Metadata::default() })
    }
}

impl Backend for Environment {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { list: true, ..Capabilities::default() }
    }

    fn default_location(&self, reference: &CredentialRef) -> String {
        let path = &reference.as_str()[CredentialRef::SCHEME.len()..];
        path.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        requests.iter().map(|request| self.read_one(request)).collect()
    }

    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        Some(Ok(self.variables.names().into_iter().filter(|name| name.starts_with(prefix)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::sync::Mutex;

    use super::*;
    use crate::backend::conformance::{self, Fixture, Limits, request};

    #[derive(Default)]
    struct Planted(Mutex<BTreeMap<String, OsString>>);

    impl Variables for Planted {
        fn get(&self, name: &str) -> Option<OsString> {
            self.0.lock().expect("unpoisoned").get(name).cloned()
        }

        fn names(&self) -> Vec<String> {
            self.0.lock().expect("unpoisoned").keys().cloned().collect()
        }
    }

    struct Process {
        variables: Arc<Planted>,
        backend: Environment,
    }

    impl Fixture for Process {
        fn backend(&self) -> &dyn Backend {
            &self.backend
        }

        fn limits(&self) -> Limits {
            // A variable holds no zero byte, and what is not UTF-8 cannot be made on every system.
            Limits { binary: false, ..Limits::default() }
        }

        fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
            let variable = name.to_uppercase().replace('-', "_");
            let text = OsString::from(String::from_utf8(value.to_vec()).expect("no binary values"));
            self.variables.0.lock().expect("unpoisoned").insert(variable.clone(), text);
            request(name, &variable)
        }
    }

    #[test]
    fn it_conforms() {
        let variables = Arc::new(Planted::default());
        let backend = Environment::new(Arc::clone(&variables) as Arc<dyn Variables>);
        conformance::check(&Process { variables, backend });
    }

    #[test]
    fn a_reference_becomes_a_variables_name() {
        let backend = Environment::new(Arc::new(Planted::default()));
        let reference = CredentialRef::parse("cred://aws/prod-eu.1/readonly").expect("valid");
        assert_eq!(backend.default_location(&reference), "AWS_PROD_EU_1_READONLY");
    }
}
