//! The backend `secret-service`: the desktop's keyring (freedesktop Secret Service: GNOME Keyring, KWallet, KeePassXC),
//! through libsecret's program `secret-tool`.
//!
//! A location is the value of an item's attribute `custody`, with an optional `#field` of a JSON object.

use std::time::Duration;

use serde::Deserialize;

use crate::SecretValue;
use crate::backend::{
    Backend, BackendError, Capabilities, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, select_field,
    split_location,
};
use crate::program::{Program, ProgramError, Ran};
use crate::registry::BackendKind;

/// The kind, for the registry.
pub const KIND: BackendKind = BackendKind {
    name: NAME,
    aliases: &["keyring"],
    summary: "the desktop's keyring",
    make: |setup| {
        let settings: Settings = setup.parse()?;
        // The keyring may ask its user to unlock it.
        let timeout = setup.timeout.unwrap_or(Duration::from_secs(60));
        Ok(Box::new(SecretService { bus: settings.bus, timeout }))
    },
};

const NAME: &str = "secret-service";

/// The settings of `[backends.NAME]` with `kind = "secret-service"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// The address of the session bus, instead of `DBUS_SESSION_BUS_ADDRESS`.
    bus: Option<String>,
}

/// The keyring as a backend.
pub struct SecretService {
    bus: Option<String>,
    timeout: Duration,
}

impl SecretService {
    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Ran, ProgramError> {
        let mut program = Program::new("secret-tool").args(arguments);
        if let Some(bus) = &self.bus {
            program = program.env("DBUS_SESSION_BUS_ADDRESS", bus);
        }
        program.run(input, self.timeout)
    }

    fn read_one(&self, request: &ReadRequest) -> Result<Resolved, BackendError> {
        let error = |kind, why: String, fix: &str| BackendError::new(kind, NAME, &request.reference, why, fix);
        let (name, field) = name_of(request)?;
        let ran = self.run(&["lookup", "custody", name], b"").map_err(|e| failed(request, &e))?;
        if !ran.status.success() {
            // Nothing is said where there is no such item.
            return Err(match ran.talk.is_empty() {
                true => {
                    error(ErrorKind::NotFound, "the keyring has no such item".into(), "put it there: custody cred put")
                }
                false => refused(request, &ran),
            });
        }
        let value = match field {
            None => ran.output,
            Some(field) => select_field(&ran.output, field)
                .map_err(|e| error(ErrorKind::NotFound, e.to_string(), "check the location's #field"))?,
        };
        Ok(Resolved { value, metadata: Metadata::default() })
    }
}

fn name_of(request: &ReadRequest) -> Result<(&str, Option<&str>), BackendError> {
    if request.version != VersionRequest::Current {
        return Err(BackendError::unsupported(NAME, &request.reference, "keep versions"));
    }
    let (name, field) = split_location(&request.location);
    if name.is_empty() || name.chars().any(char::is_control) {
        let (why, fix) = ("the location is no name of an item", "give a name without control characters");
        return Err(BackendError::new(ErrorKind::Configuration, NAME, &request.reference, why, fix));
    }
    Ok((name, field))
}

fn failed(request: &ReadRequest, error: &ProgramError) -> BackendError {
    let (kind, fix) = match error {
        ProgramError::Missing(_) | ProgramError::NotExecutable(_) => {
            (ErrorKind::Configuration, "install secret-tool (Debian: libsecret-tools)")
        }
        ProgramError::TooMuch(_) => (ErrorKind::Malformed, "store a smaller secret"),
        ProgramError::TooSlow(..) | ProgramError::Failed(..) => (ErrorKind::Unreachable, "unlock the keyring"),
    };
    BackendError::new(kind, NAME, &request.reference, error.to_string(), fix)
}

fn refused(request: &ReadRequest, ran: &Ran) -> BackendError {
    let (kind, fix) = match ran.talk.contains("locked") {
        true => (ErrorKind::Sealed, "unlock the keyring"),
        false => (ErrorKind::Unreachable, "check that a keyring runs in this session"),
    };
    BackendError::new(kind, NAME, &request.reference, format!("secret-tool: {}", ran.talk), fix)
}

impl Backend for SecretService {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: true, ..Capabilities::default() }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        requests.iter().map(|request| self.read_one(request)).collect()
    }

    fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
        let (name, field) = name_of(request)?;
        // secret-tool ends a secret at a zero byte and hands out text only.
        if field.is_some() || value.expose_str().is_none_or(|text| text.contains('\0')) {
            return Err(BackendError::unsupported(
                NAME,
                &request.reference,
                "write one field, or bytes that are no text",
            ));
        }
        let label = format!("--label={}", request.reference);
        let ran = self.run(&["store", &label, "custody", name], value.expose()).map_err(|e| failed(request, &e))?;
        if ran.status.success() { Ok(Metadata::default()) } else { Err(refused(request, &ran)) }
    }
}

#[cfg(test)]
mod tests {
    use custody_testkit::servers::Keyring;

    use super::*;
    use crate::backend::conformance::{self, Fixture, Limits, request};

    /// A real keyring and the backend on it.
    struct Planted {
        _keyring: Keyring,
        backend: SecretService,
    }

    impl Fixture for Planted {
        fn backend(&self) -> &dyn Backend {
            &self.backend
        }

        fn limits(&self) -> Limits {
            // secret-tool stores at most 8 KiB of its input, and no bytes that are no text.
            Limits { binary: false, empty: false, max_bytes: 4 << 10, ..Limits::default() }
        }

        fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
            let request = request(name, &format!("conformance/{name}"));
            self.backend.write(&request, &SecretValue::copy_of(value)).expect("written");
            request
        }
    }

    #[test]
    fn the_real_keyring_conforms() {
        let keyring = Keyring::start();
        let backend = SecretService { bus: Some(keyring.bus().to_owned()), timeout: Duration::from_secs(60) };
        conformance::check(&Planted { _keyring: keyring, backend });
    }

    #[test]
    fn without_a_session_bus_the_error_says_so() {
        let backend = SecretService { bus: Some("unix:path=/nonexistent".into()), timeout: Duration::from_secs(60) };
        let error = backend.read(&[request("x", "x")]).remove(0).expect_err("no bus");
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    }
}
