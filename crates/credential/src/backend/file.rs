//! The backends `file` and `systemd-credentials`: a directory with a file for each secret, as Docker and Kubernetes
//! mount them and as systemd hands them to a service (`$CREDENTIALS_DIRECTORY`).
//!
//! A location is a path below the directory, with an optional `#field` of a JSON object. Links are followed as long as
//! they stay inside. All secrets of a batch come from one generation of a Kubernetes mount (`..data`).

use std::io;
use std::path::{Component, Path, PathBuf};

use custody_contract::CredentialRef;
use serde::Deserialize;

use crate::SecretValue;
use crate::backend::{
    Backend, BackendError, Capabilities, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, select_field,
    split_location,
};
use crate::registry::BackendKind;
use crate::setup::{ConfigError, Setup};

/// The kind `file`, for the registry.
pub const KIND: BackendKind = BackendKind {
    name: "file",
    aliases: &["directory"],
    summary: "a directory with a file for each secret: Docker, Kubernetes",
    make: |setup| make("file", setup, "/", Some("/run/secrets")),
};

/// The kind `systemd-credentials`, for the registry.
pub const SYSTEMD_KIND: BackendKind = BackendKind {
    name: "systemd-credentials",
    aliases: &[],
    summary: "what systemd hands to a service: $CREDENTIALS_DIRECTORY",
    make: |setup| make("systemd-credentials", setup, ".", None),
};

/// The variable that systemd sets for a service with credentials.
const SYSTEMD_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
/// Largest secret, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// How many files are listed, and how deep.
const MAX_LISTED: usize = 10_000;
const MAX_DEPTH: usize = 16;

/// The settings of `[backends.NAME]` with `kind = "file"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// The directory.
    path: Option<String>,
    /// What stands between the parts of a reference in a file's name by default: `/` makes directories.
    separator: Option<String>,
    /// Whether one newline at a file's end belongs to the secret.
    #[serde(default)]
    keep_newline: bool,
}

fn make(
    kind: &'static str,
    setup: &mut Setup<'_>,
    separator: &str,
    otherwise: Option<&str>,
) -> Result<Box<dyn Backend>, ConfigError> {
    let settings: Settings = setup.parse()?;
    let context = setup.context;
    let path = match settings.path {
        Some(path) => context.path(&path),
        None => match (context.variables.text(SYSTEMD_VARIABLE), otherwise) {
            (Some(path), _) if kind == "systemd-credentials" => PathBuf::from(path),
            (_, Some(path)) => PathBuf::from(path),
            (_, None) => {
                let why = format!("{SYSTEMD_VARIABLE} is not set");
                let fix = "start it as a service with LoadCredential= or SetCredentialEncrypted=, or set path";
                return Err(setup.error(Some("path"), why, fix));
            }
        },
    };
    let separator = settings.separator.unwrap_or_else(|| separator.to_owned());
    Ok(Box::new(Directory { kind, path, separator, keep_newline: settings.keep_newline }))
}

/// A directory of secrets as a backend.
pub struct Directory {
    kind: &'static str,
    path: PathBuf,
    separator: String,
    keep_newline: bool,
}

impl Directory {
    /// Where this batch reads: a Kubernetes mount's generation of now, else the directory itself; without links.
    fn generation(&self) -> io::Result<PathBuf> {
        let data = self.path.join("..data");
        if data.is_dir() { data.canonicalize() } else { self.path.canonicalize() }
    }

    fn file(&self, generation: &io::Result<PathBuf>, request: &ReadRequest) -> Result<PathBuf, BackendError> {
        let (path, _) = split_location(&request.location);
        let error = |kind, why: String, fix: &str| BackendError::new(kind, self.kind, &request.reference, why, fix);
        if request.version != VersionRequest::Current {
            return Err(BackendError::unsupported(self.kind, &request.reference, "keep versions"));
        }
        if path.is_empty()
            || path.contains('\0')
            || !Path::new(path).components().all(|c| matches!(c, Component::Normal(_)))
        {
            let why = "the location is no path below the directory".to_owned();
            return Err(error(ErrorKind::Configuration, why, "give a relative path without .."));
        }
        let generation = generation.as_ref().map_err(|e| {
            let why = format!("cannot open {}: {e}", self.path.display());
            error(kind_of(e), why, "check that the secrets are mounted there")
        })?;
        let real = generation.join(path).canonicalize().map_err(|e| {
            error(
                kind_of(&e),
                format!("cannot open {path} in {}: {e}", self.path.display()),
                "check what is mounted there",
            )
        })?;
        // The directory that a mount's links point into counts as inside.
        let inside = self.path.canonicalize().is_ok_and(|root| real.starts_with(root)) || real.starts_with(generation);
        if !inside {
            let why = format!("{path} is a link that leaves {}", self.path.display());
            return Err(error(ErrorKind::Denied, why, "name the directory that it leads to as path"));
        }
        Ok(real)
    }

    fn read_one(&self, generation: &io::Result<PathBuf>, request: &ReadRequest) -> Result<Resolved, BackendError> {
        let error = |kind, why: String, fix: &str| BackendError::new(kind, self.kind, &request.reference, why, fix);
        let file = self.file(generation, request)?;
        let value = SecretValue::read_file(&file, MAX_BYTES).map_err(|e| {
            let why = format!("cannot read {}: {e}", file.display());
            let kind = if e.kind() == io::ErrorKind::InvalidInput { ErrorKind::NotFound } else { kind_of(&e) };
            error(kind, why, "check the file and its permissions")
        })?;
        let value = if self.keep_newline { value } else { value.without_final_newline() };
        let value = match split_location(&request.location).1 {
            None => value,
            Some(field) => select_field(&value, field)
                .map_err(|e| error(ErrorKind::NotFound, e.to_string(), "check the location's #field"))?,
        };
        Ok(Resolved { value, metadata: metadata(&file) })
    }

    fn listed(&self, directory: &Path, below: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // The generations of a Kubernetes mount.
            if name.starts_with("..") || names.len() >= MAX_LISTED {
                continue;
            }
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            match entry.path().metadata() {
                Ok(metadata) if metadata.is_file() => names.push(path),
                Ok(metadata) if metadata.is_dir() && depth < MAX_DEPTH => {
                    self.listed(&entry.path(), &path, depth + 1, names)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn metadata(file: &Path) -> Metadata {
    let modified = file.metadata().and_then(|m| m.modified()).ok();
    Metadata { created: modified.and_then(|m| m.try_into().ok()), ..Metadata::default() }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidInput => ErrorKind::Malformed,
        _ => ErrorKind::Unreachable,
    }
}

impl Backend for Directory {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { list: true, batch: true, ..Capabilities::default() }
    }

    fn default_location(&self, reference: &CredentialRef) -> String {
        reference.as_str()[CredentialRef::SCHEME.len()..].replace('/', &self.separator)
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        let generation = self.generation();
        requests.iter().map(|request| self.read_one(&generation, request)).collect()
    }

    fn describe(&self, request: &ReadRequest) -> Result<Metadata, BackendError> {
        self.file(&self.generation(), request).map(|file| metadata(&file))
    }

    fn list(&self, prefix: &str) -> Option<Result<Vec<String>, BackendError>> {
        let mut names = Vec::new();
        let listed = self.listed(&self.path, "", 0, &mut names);
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        Some(listed.map(|()| names).map_err(|e| BackendError {
            kind: kind_of(&e),
            backend: self.kind.to_owned(),
            reference: String::new(),
            why: format!("cannot list {}: {e}", self.path.display()),
            fix: "check the directory and its permissions".to_owned(),
            retry_after: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;

    use super::*;
    use crate::Context;
    use crate::backend::conformance::{self, Fixture, Limits, request};

    struct Mounted {
        directory: TempDir,
        backend: Box<dyn Backend>,
        final_newline: bool,
    }

    fn mounted(keep_newline: bool) -> Mounted {
        let directory = TempDir::new().expect("a directory");
        let context = Context::process(directory.path()).with_variables(BTreeMap::new());
        let settings = serde_json::json!({ "path": "secrets", "keep-newline": keep_newline });
        std::fs::create_dir(directory.path().join("secrets")).expect("made");
        let backend = (KIND.make)(&mut Setup::of_json("mount", settings, &context)).expect("valid");
        Mounted { directory, backend, final_newline: keep_newline }
    }

    impl Fixture for Mounted {
        fn backend(&self) -> &dyn Backend {
            &*self.backend
        }

        fn limits(&self) -> Limits {
            Limits { final_newline: self.final_newline, ..Limits::default() }
        }

        fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
            let newline: &[u8] = if self.final_newline { b"" } else { b"\n" };
            let path = self.directory.path().join("secrets").join(name);
            std::fs::write(path, [value, newline].concat()).expect("written");
            request(name, name)
        }
    }

    #[test]
    fn it_conforms_with_and_without_a_newline_at_the_end() {
        conformance::check(&mounted(false));
        conformance::check(&mounted(true));
    }

    #[cfg(unix)]
    #[test]
    fn a_kubernetes_mount_is_read_from_one_generation() {
        use std::os::unix::fs::symlink;
        let mount = mounted(false);
        let root = mount.directory.path().join("secrets");
        for (generation, value) in [("..2026_1", "old"), ("..2026_2", "new")] {
            std::fs::create_dir(root.join(generation)).expect("made");
            std::fs::write(root.join(generation).join("user"), value).expect("written");
            std::fs::write(root.join(generation).join("password"), value).expect("written");
        }
        symlink("..2026_1", root.join("..data")).expect("linked");
        symlink("..data/user", root.join("user")).expect("linked");
        symlink("..data/password", root.join("password")).expect("linked");
        let values = || {
            let answers = mount.backend.read(&[request("user", "user"), request("password", "password")]);
            answers
                .into_iter()
                .map(|a| a.expect("there").value.expose_str().expect("UTF-8").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(values(), ["old", "old"]);
        symlink("..2026_2", root.join("..data_tmp")).expect("linked");
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).expect("renamed");
        assert_eq!(values(), ["new", "new"]);
        let listed = mount.backend.list("").expect("it lists").expect("it can");
        assert_eq!(listed, ["password", "user"]);
    }

    #[cfg(unix)]
    #[test]
    fn nothing_outside_the_directory_is_read() {
        let mount = mounted(false);
        std::fs::write(mount.directory.path().join("outside"), "x").expect("written");
        let link = mount.directory.path().join("secrets").join("link");
        std::os::unix::fs::symlink("../outside", link).expect("linked");
        for (location, kind) in [
            ("../outside", ErrorKind::Configuration),
            ("/etc/hostname", ErrorKind::Configuration),
            ("./x", ErrorKind::Configuration),
            ("", ErrorKind::Configuration),
            ("link", ErrorKind::Denied),
            ("x/y", ErrorKind::NotFound),
        ] {
            let answer = mount.backend.read(&[request("x", location)]).remove(0);
            assert_eq!(answer.expect_err(location).kind, kind, "{location}");
        }
        let fifo = mount.directory.path().join("secrets").join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
        assert!(mount.backend.read(&[request("x", "fifo")]).remove(0).is_err(), "a pipe is not waited for");
    }

    #[test]
    fn systemd_hands_a_directory_over() {
        let directory = TempDir::new().expect("a directory");
        std::fs::write(directory.path().join("aws.production.readonly"), "value").expect("written");
        let variables =
            BTreeMap::from([(SYSTEMD_VARIABLE.to_owned(), directory.path().to_string_lossy().into_owned())]);
        let context = Context::process("/").with_variables(variables);
        let backend =
            (SYSTEMD_KIND.make)(&mut Setup::of_json("systemd", serde_json::json!({}), &context)).expect("valid");
        let reference = CredentialRef::parse("cred://aws/production/readonly").expect("valid");
        let location = backend.default_location(&reference);
        let request = ReadRequest { reference, location, version: VersionRequest::Current };
        assert_eq!(backend.read(&[request]).remove(0).expect("there").value.expose(), b"value");
        let nowhere = Context::process("/").with_variables(BTreeMap::new());
        assert!((SYSTEMD_KIND.make)(&mut Setup::of_json("systemd", serde_json::json!({}), &nowhere)).is_err());
    }
}
