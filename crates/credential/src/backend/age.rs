//! The backend `age`: a directory with a file for each secret, encrypted with the program age (age-encryption.org/v1).
//!
//! A location is a path below the directory without `.age`, with an optional `#field` of a JSON object. With recipients
//! in the settings it also writes.

use std::io::{self, BufReader, Write as _};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::SecretValue;
use crate::backend::{
    Backend, BackendError, Capabilities, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, age_files,
    select_field, split_location,
};
use crate::registry::BackendKind;

/// The kind, for the registry.
pub const KIND: BackendKind = BackendKind {
    name: NAME,
    aliases: &[],
    summary: "a directory of files encrypted with age",
    make: |setup| {
        let settings: Settings = setup.parse()?;
        let parse = |text: &String| {
            let fix = "give a recipient as age-keygen prints it: age1…";
            ::age::x25519::Recipient::from_str(text)
                .map_err(|_| setup.error(Some("recipients"), "this is no age recipient", fix))
        };
        let recipients = settings.recipients.iter().map(parse).collect::<Result<_, _>>()?;
        let (path, identities) = (setup.context.path(&settings.path), setup.context.path(&settings.identity_file));
        Ok(Box::new(AgeDirectory { path, identities, recipients }))
    },
};

const NAME: &str = "age";
/// Largest secret and largest file, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The settings of `[backends.NAME]` with `kind = "age"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// The directory.
    path: String,
    /// A file with identities, as `age-keygen` writes it.
    identity_file: String,
    /// Whom new files are for.
    #[serde(default)]
    recipients: Vec<String>,
}

/// A directory of age files as a backend.
pub struct AgeDirectory {
    path: PathBuf,
    identities: PathBuf,
    recipients: Vec<::age::x25519::Recipient>,
}

impl AgeDirectory {
    fn file(&self, request: &ReadRequest) -> Result<PathBuf, BackendError> {
        let (path, _) = split_location(&request.location);
        if request.version != VersionRequest::Current {
            return Err(BackendError::unsupported(NAME, &request.reference, "keep versions"));
        }
        let is_below = Path::new(path).components().all(|c| matches!(c, Component::Normal(_)));
        if path.is_empty() || path.contains('\0') || !is_below {
            let (why, fix) = ("the location is no path below the directory", "give a relative path without ..");
            return Err(BackendError::new(ErrorKind::Configuration, NAME, &request.reference, why, fix));
        }
        Ok(self.path.join(format!("{path}.age")))
    }

    fn read_one(
        &self,
        identities: &[Box<dyn ::age::Identity>],
        request: &ReadRequest,
    ) -> Result<Resolved, BackendError> {
        let error = |kind, why: String, fix: &str| BackendError::new(kind, NAME, &request.reference, why, fix);
        let file = self.file(request)?;
        let shown = file.display();
        let cannot = |e: io::Error| error(kind_of(&e), format!("cannot read {shown}: {e}"), "check the file");
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(error(ErrorKind::NotFound, format!("{shown} is no file"), "check the file"));
        }
        let reader = BufReader::new(std::fs::File::open(&file).map_err(cannot)?);
        let malformed =
            || error(ErrorKind::Malformed, format!("{shown} is no age file, or was changed"), "encrypt it again");
        let decryptor =
            ::age::Decryptor::new_buffered(::age::armor::ArmoredReader::new(reader)).map_err(|_| malformed())?;
        let plain = decryptor.decrypt(identities.iter().map(|i| &**i)).map_err(|e| match e {
            ::age::DecryptError::NoMatchingKeys => {
                let why = format!("{} has no identity of a recipient of {shown}", self.identities.display());
                error(ErrorKind::Sealed, why, "encrypt the file for your recipient too")
            }
            _ => malformed(),
        })?;
        let value = SecretValue::read_from(plain, MAX_BYTES).map_err(|_| malformed())?;
        let value = match split_location(&request.location).1 {
            None => value,
            Some(field) => select_field(&value, field)
                .map_err(|e| error(ErrorKind::NotFound, e.to_string(), "check the location's #field"))?,
        };
        let modified = file.metadata().and_then(|m| m.modified()).ok().and_then(|m| m.try_into().ok());
        Ok(Resolved { value, metadata: Metadata { created: modified, ..Metadata::default() } })
    }

    fn encrypt(&self, value: &SecretValue) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let mut sealed = Vec::new();
        let encryptor = ::age::Encryptor::with_recipients(self.recipients.iter().map(|r| r as &dyn ::age::Recipient))?;
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(value.expose())?;
        writer.finish()?;
        Ok(sealed)
    }
}

/// Writes a file whole or not at all.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    // One name a process, so that a file left by a crash is written over.
    let new = directory.join(format!(".custody-{}.new", std::process::id()));
    let mut out = std::fs::File::create(&new)?;
    let written = out.write_all(content).and_then(|()| out.sync_all()).and_then(|()| std::fs::rename(&new, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written?;
    #[cfg(unix)]
    std::fs::File::open(directory)?.sync_all()?;
    Ok(())
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Unreachable,
    }
}

impl Backend for AgeDirectory {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: !self.recipients.is_empty(), batch: true, ..Capabilities::default() }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        if requests.is_empty() {
            return Vec::new();
        }
        match age_files::identities(&self.identities) {
            Ok(identities) => requests.iter().map(|request| self.read_one(&identities, request)).collect(),
            Err(why) => {
                let fix = "make one with age-keygen, and encrypt the files for it";
                let fail = |r: &ReadRequest| BackendError::new(ErrorKind::Sealed, NAME, &r.reference, why.clone(), fix);
                requests.iter().map(|request| Err(fail(request))).collect()
            }
        }
    }

    fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
        if self.recipients.is_empty() || split_location(&request.location).1.is_some() {
            return Err(BackendError::unsupported(NAME, &request.reference, "write without recipients, or one field"));
        }
        let file = self.file(request)?;
        let error = |kind, why: String| {
            BackendError::new(kind, NAME, &request.reference, why, "check the directory, its permissions and the disk")
        };
        let sealed =
            self.encrypt(value).map_err(|e| error(ErrorKind::Configuration, format!("cannot encrypt: {e}")))?;
        replace(&file, &sealed).map_err(|e| error(kind_of(&e), format!("cannot write {}: {e}", file.display())))?;
        Ok(Metadata::default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::{Command, Stdio};

    use ::age::secrecy::ExposeSecret;
    use tempfile::TempDir;

    use super::*;
    use crate::backend::conformance::{self, Fixture, request};
    use crate::{Context, Setup};

    struct Files {
        directory: TempDir,
        backend: Box<dyn Backend>,
    }

    fn files() -> (Files, String) {
        let directory = TempDir::new().expect("a directory");
        let identity = ::age::x25519::Identity::generate();
        std::fs::write(directory.path().join("keys.txt"), identity.to_string().expose_secret()).expect("written");
        let recipient = identity.to_public().to_string();
        let settings = serde_json::json!({ "path": "secrets", "identity-file": "keys.txt", "recipients": [recipient] });
        let context = Context::process(directory.path()).with_variables(BTreeMap::new());
        let backend = (KIND.make)(&mut Setup::of_json("files", settings, &context)).expect("valid");
        (Files { directory, backend }, recipient)
    }

    impl Fixture for Files {
        fn backend(&self) -> &dyn Backend {
            &*self.backend
        }

        fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
            let request = request(name, name);
            self.backend.write(&request, &SecretValue::copy_of(value)).expect("written");
            request
        }
    }

    #[test]
    fn it_conforms() {
        conformance::check(&files().0);
    }

    #[test]
    fn files_of_the_program_age_open_armored_or_not() {
        let (files, recipient) = files();
        std::fs::create_dir_all(files.directory.path().join("secrets/aws")).expect("made");
        for (name, armor) in [("aws/plain", &[][..]), ("aws/armored", &["--armor"][..])] {
            let file = files.directory.path().join(format!("secrets/{name}.age"));
            let mut child = Command::new("age")
                .args(["--recipient", &recipient, "--output"])
                .arg(&file)
                .args(armor)
                .stdin(Stdio::piped())
                .spawn()
                .expect("age is installed");
            child.stdin.take().expect("piped").write_all(b"of the program").expect("written");
            assert!(child.wait().expect("ends").success());
            let value = files.backend.read(&[request("x", name)]).remove(0).expect("opens").value;
            assert_eq!(value.expose(), b"of the program");
            let mut bytes = std::fs::read(&file).expect("there");
            bytes.truncate(bytes.len() - 60);
            std::fs::write(&file, bytes).expect("written");
            let error = files.backend.read(&[request("x", name)]).remove(0).expect_err("changed");
            assert_eq!(error.kind, ErrorKind::Malformed);
        }
    }
}
