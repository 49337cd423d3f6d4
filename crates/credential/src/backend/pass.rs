//! The backend `pass`: the standard Unix password manager, through its program (and GnuPG behind it).
//!
//! A location is an entry's name. By default the secret is the entry whole, without the newline at its end; with
//! `first-line = true` it is the first line, as `pass -c` takes it. A `#field` is a line `field: value` below the first,
//! or a field of an entry that is a JSON object.

use std::path::PathBuf;
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
    aliases: &["password-store"],
    summary: "the password manager pass",
    make: |setup| {
        let settings: Settings = setup.parse()?;
        let directory = settings.path.as_deref().map(|p| setup.context.path(p));
        // GnuPG may ask its user.
        let timeout = setup.timeout.unwrap_or(Duration::from_secs(60));
        let gnupg_home = settings.gnupg_home.as_deref().map(|p| setup.context.path(p));
        Ok(Box::new(Pass { directory, gnupg_home, first_line: settings.first_line, timeout }))
    },
};

const NAME: &str = "pass";

/// The settings of `[backends.NAME]` with `kind = "pass"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// The password store's directory (`PASSWORD_STORE_DIR`).
    path: Option<String>,
    /// GnuPG's directory (`GNUPGHOME`).
    gnupg_home: Option<String>,
    /// The secret is the entry's first line only.
    #[serde(default)]
    first_line: bool,
}

/// pass as a backend.
pub struct Pass {
    directory: Option<PathBuf>,
    gnupg_home: Option<PathBuf>,
    first_line: bool,
    timeout: Duration,
}

impl Pass {
    fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Ran, ProgramError> {
        let mut program = Program::new("pass").args(arguments);
        if let Some(directory) = &self.directory {
            program = program.env("PASSWORD_STORE_DIR", directory);
        }
        if let Some(home) = &self.gnupg_home {
            program = program.env("GNUPGHOME", home);
        }
        program.run(input, self.timeout)
    }

    fn name_of<'r>(&self, request: &'r ReadRequest) -> Result<&'r str, BackendError> {
        let (name, _) = split_location(&request.location);
        if request.version != VersionRequest::Current {
            return Err(BackendError::unsupported(NAME, &request.reference, "keep versions"));
        }
        // pass refuses `..` itself; a leading dash would be an option.
        if name.is_empty()
            || name.starts_with('-')
            || name.chars().any(char::is_control)
            || name.split('/').any(|p| p == "..")
        {
            let (why, fix) = ("the location is no name of an entry", "give a name as `pass ls` shows it");
            return Err(BackendError::new(ErrorKind::Configuration, NAME, &request.reference, why, fix));
        }
        Ok(name)
    }

    fn read_one(&self, request: &ReadRequest) -> Result<Resolved, BackendError> {
        let name = self.name_of(request)?;
        let ran = self.run(&["show", name], b"").map_err(|e| failed(request, &e))?;
        if !ran.status.success() {
            return Err(refused(request, &ran));
        }
        let value = ran.output.without_final_newline();
        let value = match split_location(&request.location).1 {
            None if self.first_line => first_line(&value),
            None => value,
            Some(field) => line_of(&value, field).map_or_else(|| select_field(&value, field), Ok).map_err(|e| {
                BackendError::new(
                    ErrorKind::NotFound,
                    NAME,
                    &request.reference,
                    e.to_string(),
                    "check the location's #field",
                )
            })?,
        };
        Ok(Resolved { value, metadata: Metadata::default() })
    }
}

fn first_line(value: &SecretValue) -> SecretValue {
    let line = value.expose().split(|&b| b == b'\n').next().unwrap_or_default();
    SecretValue::copy_of(line.strip_suffix(b"\r").unwrap_or(line))
}

/// The text of a line `field: value` below the first line.
fn line_of(value: &SecretValue, field: &str) -> Option<SecretValue> {
    let mut lines = value.expose().split(|&b| b == b'\n').skip(1);
    let text = lines.find_map(|line| line.strip_prefix(field.as_bytes())?.strip_prefix(b":"))?;
    Some(SecretValue::copy_of(text.trim_ascii()))
}

fn failed(request: &ReadRequest, error: &ProgramError) -> BackendError {
    let (kind, fix) = match error {
        ProgramError::Missing(_) | ProgramError::NotExecutable(_) => (ErrorKind::Configuration, "install pass"),
        ProgramError::TooMuch(_) => (ErrorKind::Malformed, "store a smaller secret"),
        ProgramError::TooSlow(..) | ProgramError::Failed(..) => {
            (ErrorKind::Unreachable, "see whether gpg-agent asks for something")
        }
    };
    BackendError::new(kind, NAME, &request.reference, error.to_string(), fix)
}

fn refused(request: &ReadRequest, ran: &Ran) -> BackendError {
    let talk = ran.talk.as_str();
    if talk.contains("is not in the password store") {
        let (why, fix) = ("there is no such entry", "see which there are: pass ls");
        return BackendError::new(ErrorKind::NotFound, NAME, &request.reference, why, fix);
    }
    // gpg says what is missing: a secret key, a passphrase that nobody could type.
    let why = if talk.is_empty() { format!("pass ended with {}", ran.status) } else { format!("pass: {talk}") };
    BackendError::new(ErrorKind::Sealed, NAME, &request.reference, why, "unlock the key: pass show NAME at a terminal")
}

impl Backend for Pass {
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
        let name = self.name_of(request)?;
        if split_location(&request.location).1.is_some() {
            return Err(BackendError::unsupported(NAME, &request.reference, "write one field of an entry"));
        }
        let ran =
            self.run(&["insert", "--multiline", "--force", name], value.expose()).map_err(|e| failed(request, &e))?;
        if ran.status.success() { Ok(Metadata::default()) } else { Err(refused(request, &ran)) }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;
    use crate::backend::conformance::{self, Fixture, Limits, request};

    /// pass with a key and an agent of its own.
    struct Store {
        directory: TempDir,
        backend: Pass,
    }

    impl Store {
        fn new(first_line: bool) -> Self {
            // The agent's socket has a short path only below /tmp.
            let directory = TempDir::with_prefix_in("cp", "/tmp").expect("a directory");
            let store = Self {
                backend: Pass {
                    directory: Some(directory.path().join("store")),
                    gnupg_home: Some(directory.path().join("gnupg")),
                    first_line,
                    timeout: Duration::from_secs(60),
                },
                directory,
            };
            let home = store.directory.path().join("gnupg");
            std::fs::create_dir(&home).expect("made");
            #[cfg(unix)]
            std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("changed");
            let made = store
                .command("gpg")
                .args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""])
                .args(["--quick-generate-key", "custody@example.com", "rsa2048", "encrypt", "never"])
                .output()
                .expect("gnupg is installed");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let trust = home.join("gpg.conf");
            std::fs::write(trust, "trust-model always\n").expect("written");
            let ready =
                store.command("pass").args(["init", "custody@example.com"]).output().expect("pass is installed");
            assert!(ready.status.success(), "{}", String::from_utf8_lossy(&ready.stderr));
            store
        }

        fn command(&self, program: &str) -> Command {
            let mut command = Command::new(program);
            command.env("GNUPGHOME", self.home()).env("PASSWORD_STORE_DIR", self.directory.path().join("store"));
            command
        }

        fn home(&self) -> PathBuf {
            self.directory.path().join("gnupg")
        }
    }

    impl Drop for Store {
        fn drop(&mut self) {
            let _ = self.command("gpgconf").args(["--kill", "all"]).status();
        }
    }

    impl Fixture for Store {
        fn backend(&self) -> &dyn Backend {
            &self.backend
        }

        fn limits(&self) -> Limits {
            Limits { final_newline: false, max_bytes: 16 << 10, ..Limits::default() }
        }

        fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
            let request = request(name, &format!("conformance/{name}"));
            self.backend.write(&request, &SecretValue::copy_of(value)).expect("written");
            request
        }
    }

    #[test]
    fn the_real_program_conforms() {
        conformance::check(&Store::new(false));
    }

    #[test]
    fn lines_of_an_entry_are_its_fields() {
        let store = Store::new(true);
        store.plant("login", b"first\nuser: finops\nurl: https://example.com\n");
        let read = |location: &str| {
            let answer = store.backend.read(&[request("x", location)]).remove(0);
            answer.map(|r| r.value.expose_str().expect("UTF-8").to_owned()).map_err(|e| e.kind)
        };
        assert_eq!(read("conformance/login").as_deref(), Ok("first"));
        assert_eq!(read("conformance/login#user").as_deref(), Ok("finops"));
        assert_eq!(read("conformance/login#none"), Err(ErrorKind::NotFound));
        assert_eq!(read("--help"), Err(ErrorKind::Configuration));
        assert_eq!(read("../x"), Err(ErrorKind::Configuration));
    }
}
