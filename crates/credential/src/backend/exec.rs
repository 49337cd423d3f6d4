//! The backend `exec`: a program of the user's, spoken to in JSON over its standard input and output.
//!
//! It is started once for each batch. It reads one object:
//!
//! ```json
//! {"protocol": 1, "operation": "read", "requests": [
//!   {"id": 0, "reference": "cred://aws/production/readonly", "location": "aws/production/readonly", "field": null, "version": "current"}]}
//! ```
//!
//! and prints one, with one answer for each id, in any order:
//!
//! ```json
//! {"answers": [
//!   {"id": 0, "value": "text", "version": "7", "created": "2026-11-01T10:00:00Z", "expires": null},
//!   {"id": 1, "value_base64": "AAECAw=="},
//!   {"id": 2, "error": {"kind": "not-found", "why": "there is no such item", "retry_after_seconds": null}}]}
//! ```
//!
//! `version` of a request is `current`, `previous` or `exact:NAME`. Kinds of errors: `not-found`, `denied`,
//! `unauthenticated`, `rate-limited`, `unreachable`, `sealed`, `unsupported`. With `writes = true` it is also asked to
//! `write`, with one request that has a `value_base64`. Another exit status than 0 fails the whole batch; then the last
//! line on its standard error is shown. Neither that line nor a `why` may hold secrets.

use std::collections::HashMap;
use std::time::Duration;

use custody_contract::CredentialRef;
use data_encoding::BASE64;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::field::unquoted;
use crate::SecretValue;
use crate::backend::{
    Backend, BackendError, Capabilities, ErrorKind, Metadata, ReadRequest, Resolved, VersionRequest, split_location,
};
use crate::context::Context;
use crate::program::{Program, ProgramError};
use crate::registry::BackendKind;

/// The kind, for the registry.
pub const KIND: BackendKind = BackendKind {
    name: NAME,
    aliases: &["command"],
    summary: "a program of yours",
    make: |setup| {
        let settings: Settings = setup.parse()?;
        if settings.command.is_empty() {
            return Err(setup.error(
                Some("command"),
                "command is empty",
                "give the program and its arguments as a list",
            ));
        }
        let timeout = setup.timeout.unwrap_or(Duration::from_secs(30));
        Ok(Box::new(Exec { settings, timeout, context: setup.context.clone() }))
    },
};

const NAME: &str = "exec";

/// The settings of `[backends.NAME]` with `kind = "exec"`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// The program and its arguments. A program with a `/` is relative to the contract file.
    command: Vec<String>,
    /// Whether it also writes.
    #[serde(default)]
    writes: bool,
    /// Whether it knows versions other than the current one.
    #[serde(default)]
    versions: bool,
}

/// A program as a backend.
pub struct Exec {
    settings: Settings,
    timeout: Duration,
    context: Context,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    answers: Vec<Answer<'a>>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    id: usize,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    value_base64: Option<&'a RawValue>,
    version: Option<String>,
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    kind: String,
    #[serde(default)]
    why: String,
    retry_after_seconds: Option<u64>,
}

impl Exec {
    fn ask(
        &self,
        operation: &str,
        requests: &[&ReadRequest],
        value: Option<&SecretValue>,
    ) -> Vec<Result<Resolved, BackendError>> {
        let said = |request: &ReadRequest, id: usize| {
            let (path, field) = split_location(&request.location);
            let version = match &request.version {
                VersionRequest::Current => "current".to_owned(),
                VersionRequest::Previous => "previous".to_owned(),
                VersionRequest::Exact(name) => format!("exact:{name}"),
            };
            let reference = request.reference.as_str();
            serde_json::json!({ "id": id, "reference": reference, "location": path, "field": field, "version": version })
        };
        let asked: Vec<_> = requests.iter().enumerate().map(|(id, request)| said(request, id)).collect();
        let input = input(operation, &serde_json::Value::Array(asked).to_string(), value);
        let all =
            |kind, why: &str, fix: &str| requests.iter().map(|r| Err(error(kind, &r.reference, why, fix))).collect();
        let [program, arguments @ ..] = self.settings.command.as_slice() else { return Vec::new() };
        let program = if program.contains('/') { self.context.path(program).into_os_string() } else { program.into() };
        let ran =
            Program::new(program).args(arguments).directory(&self.context.root).run(input.as_bytes(), self.timeout);
        let ran = match ran {
            Ok(ran) => ran,
            Err(failed) => return all(kind_of(&failed), &failed.to_string(), "check the command of this backend"),
        };
        if !ran.status.success() {
            let talk = if ran.talk.is_empty() { String::new() } else { format!(": {}", ran.talk) };
            let why = format!("the command ended with {}{talk}", ran.status);
            return all(ErrorKind::Unreachable, &why, "run the command by hand, see docs/backends.md, exec");
        }
        let parsed = ran.output.expose_str().and_then(|text| serde_json::from_str::<Response<'_>>(text).ok());
        let Some(response) = parsed else {
            let why = "the command did not print an answer of the protocol";
            return all(ErrorKind::Malformed, why, "see docs/backends.md, exec, for what it prints");
        };
        let mut answers: HashMap<usize, Answer<'_>> = HashMap::new();
        for answer in response.answers {
            if answers.insert(answer.id, answer).is_some() {
                let why = "the command answers one request twice";
                return all(ErrorKind::Malformed, why, "see docs/backends.md, exec, for what it prints");
            }
        }
        requests.iter().enumerate().map(|(id, request)| resolved(request, answers.remove(&id), operation)).collect()
    }
}

/// The object that the program reads; it may hold a secret, so it is built in memory that is overwritten.
fn input(operation: &str, requests: &str, value: Option<&SecretValue>) -> Zeroizing<String> {
    let length = value.map_or(0, |v| BASE64.encode_len(v.len()));
    let mut text = Zeroizing::new(String::with_capacity(requests.len() + length + 256));
    text.push_str("{\"protocol\":1,\"operation\":\"");
    text.push_str(operation);
    text.push_str("\",\"requests\":");
    text.push_str(requests);
    if let Some(value) = value {
        text.push_str(",\"value_base64\":\"");
        BASE64.encode_append(value.expose(), &mut text);
        text.push('"');
    }
    text.push_str("}\n");
    text
}

fn resolved(request: &ReadRequest, answer: Option<Answer<'_>>, operation: &str) -> Result<Resolved, BackendError> {
    let malformed = |why: &str| {
        error(ErrorKind::Malformed, &request.reference, why, "see docs/backends.md, exec, for what it prints")
    };
    let answer = answer.ok_or_else(|| malformed("the command left out an answer"))?;
    if let Some(failure) = answer.error {
        return Err(failed(request, &failure));
    }
    let value = match (answer.value, answer.value_base64) {
        (Some(text), None) if text.get().starts_with('"') => unquoted(text.get()),
        (None, Some(encoded)) => {
            let encoded = unquoted(encoded.get());
            let length = BASE64.decode_len(encoded.len()).map_err(|_| malformed("value_base64 is not base64"))?;
            SecretValue::fill(length, |out| BASE64.decode_mut(encoded.expose(), out))
                .map_err(|_| malformed("value_base64 is not base64"))?
        }
        (None, None) if operation == "write" => SecretValue::copy_of(b""),
        _ => return Err(malformed("an answer has one of value, which is text, and value_base64")),
    };
    let metadata = Metadata { version: answer.version, created: answer.created, expires: answer.expires, lease: None };
    Ok(Resolved { value, metadata })
}

fn failed(request: &ReadRequest, failure: &Failure) -> BackendError {
    let kind = match failure.kind.as_str() {
        "not-found" => ErrorKind::NotFound,
        "denied" => ErrorKind::Denied,
        "unauthenticated" => ErrorKind::Unauthenticated,
        "rate-limited" => ErrorKind::RateLimited,
        "unreachable" => ErrorKind::Unreachable,
        "sealed" => ErrorKind::Sealed,
        "unsupported" => ErrorKind::Unsupported,
        _ => ErrorKind::Malformed,
    };
    let why: String = failure.why.chars().filter(|c| !c.is_control()).take(200).collect();
    let why = if why.trim().is_empty() { "the command says no and does not say why".to_owned() } else { why };
    let mut error = error(kind, &request.reference, &why, "see what the command needs");
    error.retry_after = failure.retry_after_seconds.map(|s| Duration::from_secs(s.min(86_400)));
    error
}

fn kind_of(error: &ProgramError) -> ErrorKind {
    match error {
        ProgramError::Missing(_) | ProgramError::NotExecutable(_) => ErrorKind::Configuration,
        ProgramError::TooMuch(_) => ErrorKind::Malformed,
        ProgramError::TooSlow(..) | ProgramError::Failed(..) => ErrorKind::Unreachable,
    }
}

fn error(kind: ErrorKind, reference: &CredentialRef, why: &str, fix: &str) -> BackendError {
    BackendError::new(kind, NAME, reference, why, fix)
}

impl Backend for Exec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { write: self.settings.writes, versions: self.settings.versions, batch: true, list: false }
    }

    fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
        let is_known = |r: &&ReadRequest| self.settings.versions || r.version == VersionRequest::Current;
        let asked: Vec<&ReadRequest> = requests.iter().filter(is_known).collect();
        let mut answers = if asked.is_empty() { Vec::new() } else { self.ask("read", &asked, None) }.into_iter();
        let no_versions = |r: &ReadRequest| BackendError::unsupported(NAME, &r.reference, "keep versions");
        let fault = |r: &ReadRequest| error(ErrorKind::Malformed, &r.reference, "no answer", "report this as a fault");
        requests
            .iter()
            .map(|r| if is_known(&r) { answers.next().unwrap_or_else(|| Err(fault(r))) } else { Err(no_versions(r)) })
            .collect()
    }

    fn write(&self, request: &ReadRequest, value: &SecretValue) -> Result<Metadata, BackendError> {
        if !self.settings.writes {
            return Err(BackendError::unsupported(NAME, &request.reference, "write"));
        }
        let fault = || error(ErrorKind::Malformed, &request.reference, "no answer", "report this as a fault");
        let answer = self.ask("write", &[request], Some(value)).pop();
        answer.unwrap_or_else(|| Err(fault())).map(|resolved| resolved.metadata)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tempfile::TempDir;

    use super::*;
    use crate::Setup;
    use crate::backend::conformance::{self, Fixture, request};

    /// A backend of the protocol in Python, with its secrets in files.
    const PROGRAM: &str = r#"
import base64, json, os, sys
asked = json.load(sys.stdin)
answers = []
for r in asked["requests"]:
    directory = os.path.join(sys.argv[1], r["location"].replace("/", "_"))
    if asked["operation"] == "write":
        os.makedirs(directory, exist_ok=True)
        n = len(os.listdir(directory)) + 1
        open(os.path.join(directory, str(n)), "wb").write(base64.b64decode(asked["value_base64"]))
        answers.append({"id": r["id"], "version": str(n)})
        continue
    versions = sorted(map(int, os.listdir(directory))) if os.path.isdir(directory) else []
    v = r["version"]
    number = versions[-1:] if v == "current" else versions[-2:-1] if v == "previous" else [n for n in versions if "exact:%d" % n == v]
    if not number:
        answers.append({"id": r["id"], "error": {"kind": "not-found", "why": "no such item"}})
        continue
    value = open(os.path.join(directory, str(number[0])), "rb").read()
    if r["field"] is not None:
        try:
            value = json.loads(value)[r["field"]]
            value = (value if isinstance(value, str) else json.dumps(value)).encode()
        except Exception:
            answers.append({"id": r["id"], "error": {"kind": "not-found", "why": "no such field"}})
            continue
    answer = {"id": r["id"], "version": str(number[0])}
    try:
        answer["value"] = value.decode()
    except UnicodeDecodeError:
        answer["value_base64"] = base64.b64encode(value).decode()
    answers.append(answer)
json.dump({"answers": list(reversed(answers))}, sys.stdout)
"#;

    fn backend(directory: &TempDir, settings: serde_json::Value) -> Box<dyn Backend> {
        let context = Context::process(directory.path()).with_variables(BTreeMap::new());
        (KIND.make)(&mut Setup::of_json("mine", settings, &context)).expect("valid settings")
    }

    struct Python {
        backend: Box<dyn Backend>,
        items: std::path::PathBuf,
    }

    impl Fixture for Python {
        fn backend(&self) -> &dyn Backend {
            &*self.backend
        }

        fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
            // As the program itself writes it, without the time that starting it takes.
            let item = self.items.join(format!("items_{name}"));
            std::fs::create_dir_all(&item).expect("made");
            let number = std::fs::read_dir(&item).expect("there").count() + 1;
            std::fs::write(item.join(number.to_string()), value).expect("written");
            request(name, &format!("items/{name}"))
        }
    }

    #[test]
    fn a_program_of_the_protocol_conforms() {
        let directory = TempDir::new().expect("a directory");
        std::fs::write(directory.path().join("backend.py"), PROGRAM).expect("written");
        std::fs::create_dir(directory.path().join("items")).expect("made");
        let settings = serde_json::json!({
            "command": ["python3", "-IS", "backend.py", "items"], "writes": true, "versions": true
        });
        let items = directory.path().join("items");
        conformance::check(&Python { backend: backend(&directory, settings), items });
    }

    fn answer_of(script: &str) -> BackendError {
        let directory = TempDir::new().expect("a directory");
        let backend = backend(&directory, serde_json::json!({ "command": ["sh", "-c", script] }));
        let mut answers = backend.read(&[request("x", "x"), request("y", "y")]);
        assert_eq!(answers.len(), 2);
        answers.remove(0).expect_err(script)
    }

    #[test]
    fn programs_that_do_not_keep_to_the_protocol_are_errors() {
        for (script, kind) in [
            ("echo", ErrorKind::Malformed),
            ("echo '{\"answers\":[]}'", ErrorKind::Malformed),
            ("echo '{\"answers\":[{\"id\":0}]}'", ErrorKind::Malformed),
            ("echo '{\"answers\":[{\"id\":0,\"value\":1}]}'", ErrorKind::Malformed),
            ("echo '{\"answers\":[{\"id\":0,\"value_base64\":\"*\"}]}'", ErrorKind::Malformed),
            ("echo '{\"answers\":[{\"id\":0,\"value\":\"a\"},{\"id\":0,\"value\":\"b\"}]}'", ErrorKind::Malformed),
            ("echo '{\"answers\":[{\"id\":0,\"error\":{\"kind\":\"sealed\"}}]}'", ErrorKind::Sealed),
            ("printf '\\377'", ErrorKind::Malformed),
            ("echo gone >&2; exit 1", ErrorKind::Unreachable),
            ("kill -9 $$", ErrorKind::Unreachable),
        ] {
            assert_eq!(answer_of(script).kind, kind, "{script}");
        }
        assert!(answer_of("echo the reason >&2; exit 1").why.ends_with("the reason"));
        let limited = answer_of(
            "echo '{\"answers\":[{\"id\":0,\"error\":{\"kind\":\"rate-limited\",\"retry_after_seconds\":7}}]}'",
        );
        assert_eq!(limited.retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_fault_of_the_settings() {
        let directory = TempDir::new().expect("a directory");
        let backend = backend(&directory, serde_json::json!({ "command": ["./no-such-program"] }));
        let error = backend.read(&[request("x", "x")]).remove(0).expect_err("missing");
        assert_eq!(error.kind, ErrorKind::Configuration);
    }
}
