//! The suite that every backend passes. A backend's test makes a [`Fixture`] around it and calls [`check`].
//!
//! What is asked for: values come back byte for byte (empty, with line breaks, binary, 64 KiB); what is missing, a
//! missing field and a missing version are [`ErrorKind::NotFound`]; one answer per request in their order with failures
//! in between; versions; reads from several threads; writing and listing where the backend says that it can; and no
//! secret material in any error.

use std::collections::BTreeSet;

use custody_contract::CredentialRef;

use crate::SecretValue;
use crate::backend::{Backend, BackendError, ErrorKind, ReadRequest, Resolved, VersionRequest};

/// What a backend's medium can hold at all.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes that are not UTF-8, and zero bytes.
    pub binary: bool,
    /// The empty value.
    pub empty: bool,
    /// `#field` of a JSON object.
    pub fields: bool,
    /// A newline at the end of a value is kept.
    pub final_newline: bool,
    /// Largest value, in bytes; 64 KiB is what most hold.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { binary: true, empty: true, fields: true, final_newline: true, max_bytes: 64 << 10 }
    }
}

/// A backend with the means to put secrets into it.
pub trait Fixture: Sync {
    /// The backend.
    fn backend(&self) -> &dyn Backend;

    /// What its medium can hold.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Puts a secret under a name of lower-case words joined by hyphens, replacing the one of that name, by whatever
    /// means; the answer asks for it.
    fn plant(&self, name: &str, value: &[u8]) -> ReadRequest;

    /// A request for something that is not there.
    fn absent(&self) -> ReadRequest {
        let mut request = self.plant("to-be-absent", b"planted");
        request.location =
            request.location.replace("to-be-absent", "never-planted").replace("TO_BE_ABSENT", "NEVER_PLANTED");
        request
    }
}

/// A request for the current version of what lies at `location`.
pub fn request(name: &str, location: &str) -> ReadRequest {
    let reference = CredentialRef::parse(&format!("cred://test/conformance/{name}")).expect("a valid name");
    ReadRequest { reference, location: location.to_owned(), version: VersionRequest::Current }
}

/// Fails the test with everything that the backend does wrong.
///
/// # Panics
/// If it does anything wrong.
#[track_caller]
pub fn check(fixture: &dyn Fixture) {
    let wrong = violations(fixture);
    assert!(wrong.is_empty(), "`{}` does not conform:\n{}", fixture.backend().name(), wrong.join("\n"));
}

/// Everything that the backend does wrong.
pub fn violations(fixture: &dyn Fixture) -> Vec<String> {
    let mut suite = Suite { fixture, wrong: Vec::new(), secrets: Vec::new() };
    suite.values();
    suite.missing();
    suite.fields();
    suite.batches();
    suite.versions();
    suite.threads();
    suite.writing();
    suite.listing();
    suite.wrong
}

struct Suite<'a> {
    fixture: &'a dyn Fixture,
    wrong: Vec<String>,
    /// What must stand in no error.
    secrets: Vec<String>,
}

impl Suite<'_> {
    fn expect(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.wrong.push(what.into());
        }
    }

    fn read(&mut self, request: &ReadRequest) -> Result<Resolved, BackendError> {
        let mut answers = self.fixture.backend().read(std::slice::from_ref(request));
        self.expect(answers.len() == 1, format!("one request got {} answers", answers.len()));
        let answer = answers.pop().unwrap_or_else(|| {
            Err(BackendError::new(ErrorKind::Malformed, "conformance", &request.reference, "no answer", ""))
        });
        if let Err(error) = &answer {
            self.shows_nothing(error);
        }
        answer
    }

    fn shows_nothing(&mut self, error: &BackendError) {
        let text = format!("{error} {error:?}");
        if self.secrets.iter().any(|secret| text.contains(secret.as_str())) {
            self.wrong.push("an error shows secret material".to_owned());
        }
        if error.why.trim().is_empty() || error.fix.trim().is_empty() {
            self.wrong.push(format!("an error ({:?}) says no reason or no way out", error.kind));
        }
    }

    fn expect_value(&mut self, request: &ReadRequest, value: &[u8], what: &str) {
        match self.read(request) {
            Ok(resolved) => self.expect(resolved.value.expose() == value, format!("{what} comes back changed")),
            Err(error) => self.wrong.push(format!("{what} cannot be read: {error}")),
        }
    }

    fn expect_kind(&mut self, request: &ReadRequest, kind: ErrorKind, what: &str) {
        match self.read(request) {
            Ok(_) => self.wrong.push(format!("{what} is answered with a value")),
            Err(error) => self.expect(error.kind == kind, format!("{what} is {:?} instead of {kind:?}", error.kind)),
        }
    }

    fn secret(&mut self, seed: usize) -> String {
        let secret = format!("conf0rm-{seed}-{:x}", blend(seed as u64));
        self.secrets.push(secret.clone());
        secret
    }

    fn values(&mut self) {
        let limits = self.fixture.limits();
        let plain = self.secret(1);
        let mut values: Vec<(&str, Vec<u8>)> = vec![
            ("plain", plain.clone().into_bytes()),
            ("spaces", format!("  {plain}\t ").into_bytes()),
            ("quotes", format!("a'b\"c`d$e\\f#{plain}").into_bytes()),
            ("unicode", format!("pässwörd-🔑-{plain}").into_bytes()),
            ("equals", format!("a=b=c=={plain}==").into_bytes()),
            ("lines", format!("first\nsecond\r\n\n{plain}").into_bytes()),
        ];
        if limits.final_newline {
            values.push(("final-newline", format!("{plain}\n").into_bytes()));
        }
        if limits.empty {
            values.push(("empty", Vec::new()));
        }
        if limits.binary {
            values.push(("binary", (0..=255).chain([0, 0xff, 0xfe, 10]).collect()));
        }
        values.push(("large", (0..limits.max_bytes).map(|i| b'a' + (blend(i as u64) % 26) as u8).collect()));
        for (name, value) in &values {
            let request = self.fixture.plant(&format!("value-{name}"), value);
            self.expect_value(&request, value, &format!("the value `{name}`"));
        }
        // All are still there: planting one replaces no other.
        let request = self.fixture.plant("value-plain", plain.as_bytes());
        self.expect_value(&request, plain.as_bytes(), "a value that is planted twice");
        let replaced = self.secret(2);
        let request = self.fixture.plant("value-plain", replaced.as_bytes());
        self.expect_value(&request, replaced.as_bytes(), "a replaced value");
    }

    fn missing(&mut self) {
        let absent = self.fixture.absent();
        self.expect_kind(&absent, ErrorKind::NotFound, "what is not there");
        self.expect_kind(&absent, ErrorKind::NotFound, "what is not there, asked for again");
        let planted = self.fixture.plant("value-missing-version", b"x");
        for version in [VersionRequest::Exact("no-such-version".into()), VersionRequest::Exact("999999".into())] {
            let request = ReadRequest { version, ..planted.clone() };
            let kind = match self.fixture.backend().capabilities().versions {
                true => ErrorKind::NotFound,
                false => ErrorKind::Unsupported,
            };
            self.expect_kind(&request, kind, "a version that is not there");
        }
    }

    fn fields(&mut self) {
        if !self.fixture.limits().fields {
            return;
        }
        let (first, second) = (self.secret(3), self.secret(4));
        let object = serde_json::json!({ "first": first, "second": format!("{second}\n\"é"), "number": 7 }).to_string();
        let whole = self.fixture.plant("with-fields", object.as_bytes());
        let field = |name: &str| ReadRequest { location: format!("{}#{name}", whole.location), ..whole.clone() };
        self.expect_value(&field("first"), first.as_bytes(), "a field");
        self.expect_value(&field("second"), format!("{second}\n\"é").as_bytes(), "a field with escapes");
        self.expect_value(&field("number"), b"7", "a field that is a number");
        self.expect_kind(&field("third"), ErrorKind::NotFound, "a field that is not there");
        let plain = self.secret(5);
        let plain = self.fixture.plant("without-fields", plain.as_bytes());
        let request = ReadRequest { location: format!("{}#first", plain.location), ..plain };
        self.expect_kind(&request, ErrorKind::NotFound, "a field of a secret without fields");
    }

    fn batches(&mut self) {
        self.expect(self.fixture.backend().read(&[]).is_empty(), "no request gets an answer");
        let values: Vec<String> = (10..15).map(|i| self.secret(i)).collect();
        let planted: Vec<ReadRequest> =
            values.iter().enumerate().map(|(i, v)| self.fixture.plant(&format!("batch-{i}"), v.as_bytes())).collect();
        let absent = self.fixture.absent();
        // A failure at the start, in the middle and at the end; the same request twice.
        let order = [None, Some(2), Some(0), None, Some(4), Some(2), Some(1), Some(3), None];
        let requests: Vec<ReadRequest> =
            order.iter().map(|at| at.map_or_else(|| absent.clone(), |i: usize| planted[i].clone())).collect();
        let answers = self.fixture.backend().read(&requests);
        self.expect(
            answers.len() == requests.len(),
            format!("{} requests got {} answers", requests.len(), answers.len()),
        );
        for (position, (at, answer)) in order.iter().zip(&answers).enumerate() {
            let holds = match (at, answer) {
                (Some(i), Ok(resolved)) => resolved.value.expose() == values[*i].as_bytes(),
                (None, Err(error)) => error.kind == ErrorKind::NotFound && error.reference == absent.reference.as_str(),
                _ => false,
            };
            self.expect(holds, format!("answer {position} of a batch belongs to another request"));
        }
        for error in answers.iter().filter_map(|a| a.as_ref().err()) {
            self.shows_nothing(error);
        }
    }

    fn versions(&mut self) {
        let (old, new) = (self.secret(20), self.secret(21));
        let request = self.fixture.plant("with-versions", old.as_bytes());
        let first = self.read(&request).ok().and_then(|r| r.metadata.version);
        let request = self.fixture.plant("with-versions", new.as_bytes());
        self.expect_value(&request, new.as_bytes(), "the newest version");
        let previous = ReadRequest { version: VersionRequest::Previous, ..request.clone() };
        if !self.fixture.backend().capabilities().versions {
            return self.expect_kind(&previous, ErrorKind::Unsupported, "a version of a backend without versions");
        }
        self.expect_value(&previous, old.as_bytes(), "the previous version");
        let second = self.read(&request).ok().and_then(|r| r.metadata.version);
        self.expect(first.is_some() && second.is_some(), "a version has no name");
        self.expect(first != second, "two versions have one name");
        if let Some(first) = first {
            let exact = ReadRequest { version: VersionRequest::Exact(first.clone()), ..request.clone() };
            self.expect_value(&exact, old.as_bytes(), "a version by its name");
            let named = self.read(&exact).ok().and_then(|r| r.metadata.version);
            self.expect(named == Some(first), "a version is answered under another name");
        }
        let only = self.fixture.plant("with-one-version", old.as_bytes());
        let request = ReadRequest { version: VersionRequest::Previous, ..only };
        self.expect_kind(&request, ErrorKind::NotFound, "the previous version of a secret with one");
    }

    fn threads(&mut self) {
        let values: Vec<String> = (30..34).map(|i| self.secret(i)).collect();
        let requests: Vec<ReadRequest> =
            values.iter().enumerate().map(|(i, v)| self.fixture.plant(&format!("thread-{i}"), v.as_bytes())).collect();
        let fixture = self.fixture;
        let failed = std::thread::scope(|scope| {
            let threads: Vec<_> = requests
                .iter()
                .zip(&values)
                .map(|(request, value)| {
                    scope.spawn(move || {
                        (0..8)
                            .filter(|_| match fixture.backend().read(std::slice::from_ref(request)).pop() {
                                Some(Ok(resolved)) => resolved.value.expose() != value.as_bytes(),
                                _ => true,
                            })
                            .count()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap_or(1)).sum::<usize>()
        });
        self.expect(failed == 0, format!("{failed} of 32 reads from four threads failed or were mixed up"));
    }

    fn writing(&mut self) {
        let backend = self.fixture.backend();
        let request = self.fixture.plant("written", b"before");
        let secret = self.secret(40);
        let written = backend.write(&request, &SecretValue::copy_of(secret.as_bytes()));
        match written {
            Err(error) => {
                self.shows_nothing(&error);
                let honest = !backend.capabilities().write && error.kind == ErrorKind::Unsupported;
                self.expect(honest, format!("writing fails: {error}"));
            }
            Ok(metadata) => {
                self.expect(backend.capabilities().write, "it writes and says that it cannot");
                self.expect_value(&request, secret.as_bytes(), "what was written");
                let read = self.read(&request).ok().and_then(|r| r.metadata.version);
                self.expect(read == metadata.version, "what was written has another version than writing said");
            }
        }
        if let Ok(metadata) = backend.describe(&request) {
            let read = self.read(&request).ok().and_then(|r| r.metadata.version);
            self.expect(metadata.version == read, "describing tells another version than reading");
        }
    }

    fn listing(&mut self) {
        let backend = self.fixture.backend();
        let request = self.fixture.plant("listed", b"x");
        let listed = backend.list("");
        self.expect(
            listed.is_some() == backend.capabilities().list,
            "it lists and says that it cannot, or the reverse",
        );
        match listed {
            None => {}
            Some(Err(error)) => self.wrong.push(format!("listing fails: {error}")),
            Some(Ok(names)) => {
                self.expect(names.contains(&request.location), "what is there is not listed");
                let distinct: BTreeSet<_> = names.iter().collect();
                self.expect(distinct.len() == names.len(), "a location is listed twice");
            }
        }
    }
}

/// SplitMix64's finaliser: text that only has to differ.
fn blend(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use crate::backend::{Capabilities, Metadata, select_field, split_location};

    /// A backend in memory that does one thing wrong.
    struct Fake {
        fault: Fault,
        versions: Mutex<BTreeMap<String, Vec<Vec<u8>>>>,
    }

    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        None,
        ShowsTheValue,
        SwapsAnswers,
        LosesBytes,
        CallsMissingDenied,
        ServesAnyVersion,
        ForgetsAnAnswer,
        ClaimsToList,
        SaysNoWayOut,
    }

    impl Fake {
        fn read_one(&self, request: &ReadRequest) -> Result<Resolved, BackendError> {
            let kind = if self.fault == Fault::CallsMissingDenied { ErrorKind::Denied } else { ErrorKind::NotFound };
            let fix = if self.fault == Fault::SaysNoWayOut { "" } else { "plant it" };
            let missing = |why: &str| BackendError::new(kind, "fake", &request.reference, why, fix);
            let (path, field) = split_location(&request.location);
            let versions = self.versions.lock().expect("unpoisoned");
            let versions = versions.get(path).ok_or_else(|| missing("not there"))?;
            let newest = versions.len();
            let at = match &request.version {
                VersionRequest::Current => newest,
                VersionRequest::Previous => newest - 1,
                VersionRequest::Exact(_) if self.fault == Fault::ServesAnyVersion => newest,
                VersionRequest::Exact(name) => name.parse().unwrap_or(0),
            };
            let bytes = at.checked_sub(1).and_then(|at| versions.get(at)).ok_or_else(|| missing("no such version"))?;
            let keep = if self.fault == Fault::LosesBytes { bytes.len().min(9) } else { bytes.len() };
            let value = SecretValue::copy_of(&bytes[..keep]);
            let value = match field {
                None => value,
                Some(field) => select_field(&value, field).map_err(|e| match self.fault {
                    Fault::ShowsTheValue => missing(value.expose_str().unwrap_or("")),
                    _ => missing(&e.to_string()),
                })?,
            };
            let metadata = Metadata { version: Some(at.to_string()), ..Metadata::default() };
            Ok(Resolved { value, metadata })
        }
    }

    impl Backend for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities { versions: true, list: self.fault == Fault::ClaimsToList, ..Capabilities::default() }
        }

        fn read(&self, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
            let mut answers: Vec<_> = requests.iter().map(|r| self.read_one(r)).collect();
            if self.fault == Fault::SwapsAnswers && answers.len() > 2 {
                answers.swap(1, 2);
            }
            if self.fault == Fault::ForgetsAnAnswer && answers.len() > 1 {
                answers.pop();
            }
            answers
        }
    }

    struct InMemory(Fake);

    impl Fixture for InMemory {
        fn backend(&self) -> &dyn Backend {
            &self.0
        }

        fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
            self.0.versions.lock().expect("unpoisoned").entry(name.into()).or_default().push(value.to_vec());
            request(name, name)
        }
    }

    #[test]
    fn a_good_backend_passes_and_each_fault_is_found() {
        let found = |fault| violations(&InMemory(Fake { fault, versions: Mutex::default() }));
        assert_eq!(found(Fault::None), Vec::<String>::new());
        for (fault, said) in [
            (Fault::ShowsTheValue, "shows secret material"),
            (Fault::SwapsAnswers, "belongs to another request"),
            (Fault::LosesBytes, "comes back changed"),
            (Fault::CallsMissingDenied, "instead of NotFound"),
            (Fault::ServesAnyVersion, "is answered with a value"),
            (Fault::ForgetsAnAnswer, "answers"),
            (Fault::ClaimsToList, "it lists and says that it cannot"),
            (Fault::SaysNoWayOut, "no way out"),
        ] {
            let wrong = found(fault);
            assert!(wrong.iter().any(|w| w.contains(said)), "{said}: {wrong:?}");
        }
    }
}
