//! What the tests of several backends share.
#![allow(dead_code, reason = "each test file uses its part")]

use custody_contract::CredentialRef;
use custody_credential::SecretValue;
use custody_credential::backend::{Backend, BackendError, ReadRequest, Resolved, VersionRequest};

/// A request for the current version.
pub fn request(location: &str) -> ReadRequest {
    ReadRequest {
        reference: CredentialRef::parse("cred://aws/production/readonly").unwrap(),
        location: location.to_owned(),
        version: VersionRequest::Current,
    }
}

/// A request for this version.
pub fn versioned(location: &str, version: VersionRequest) -> ReadRequest {
    ReadRequest { version, ..request(location) }
}

/// Reads one.
pub fn read(backend: &dyn Backend, request: ReadRequest) -> Result<Resolved, BackendError> {
    let mut answers = backend.read(&[request]);
    assert_eq!(answers.len(), 1);
    answers.pop().unwrap()
}

/// Reads the current version's text.
#[track_caller]
pub fn text(backend: &dyn Backend, location: &str) -> String {
    let resolved = read(backend, request(location)).unwrap_or_else(|error| panic!("{location}: {error}"));
    resolved.value.expose_str().expect("text").to_owned()
}

/// The failure of reading the current version.
#[track_caller]
pub fn failure(backend: &dyn Backend, location: &str) -> BackendError {
    match read(backend, request(location)) {
        Ok(_) => panic!("{location} can be read"),
        Err(error) => error,
    }
}

/// A value to write.
pub fn value(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec())
}
