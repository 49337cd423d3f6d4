//! Files that the real program sops wrote: every format, selection and kind of recipient that runs here; the key services
//! of Google Cloud and Azure by stubs.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::path::Path;
use std::process::{Command, Stdio};

use custody_contract::CredentialRef;
use custody_credential::backend::{Backend, BackendError, ErrorKind, ReadRequest, VersionRequest};
use custody_credential::{Context, Setup, kind};
use custody_testkit::servers::{self, Moto, Reply, Stub, tool};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

/// A folder with an age identity, in which sops runs.
struct Place {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder, variables: Vec::new() };
        place.identity("keys.txt");
        let home = place.path().display().to_string();
        place.with("HOME", &home).with("SOPS_AGE_KEY_FILE", &format!("{home}/keys.txt"))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(tool(program))
            .args(arguments)
            .current_dir(self.path())
            .env_remove("BAO_ADDR")
            .env_remove("VAULT_ADDR")
            .env("SOPS_DISABLE_VERSION_CHECK", "true")
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A new age identity in a file; its recipient.
    fn identity(&self, file: &str) -> String {
        let folder = self.path().join(file);
        let made = Command::new(tool("age-keygen")).arg("-o").arg(&folder).stderr(Stdio::null()).status().unwrap();
        assert!(made.success());
        let made = std::fs::read_to_string(folder).unwrap();
        made.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    }

    fn recipient(&self) -> String {
        let made = std::fs::read_to_string(self.path().join("keys.txt")).unwrap();
        made.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
    }

    /// Encrypts a file by sops; the ciphertext's name.
    fn encrypted(&self, name: &str, content: &[u8], arguments: &[&str]) -> String {
        std::fs::write(self.path().join(name), content).unwrap();
        let output = format!("enc-{name}");
        self.run("sops", &[&["encrypt", "--output", &output][..], arguments, &[name]].concat());
        output
    }

    fn for_age(&self, name: &str, content: &str) -> String {
        self.encrypted(name, content.as_bytes(), &["--age", &self.recipient()])
    }

    fn backend_with(&self, file: &str, mut settings: Value) -> Box<dyn Backend> {
        settings["file"] = file.into();
        let variables: std::collections::BTreeMap<_, _> = self.variables.iter().cloned().collect();
        let context = Context::process(self.path()).with_variables(variables);
        (kind("sops").unwrap().make)(&mut Setup::of_json("secrets", settings, &context)).unwrap()
    }

    fn backend(&self, file: &str) -> Box<dyn Backend> {
        self.backend_with(file, json!({}))
    }

    fn read(&self, file: &str, location: &str) -> Result<Vec<u8>, BackendError> {
        read(&*self.backend(file), location)
    }

    #[track_caller]
    fn reads(&self, file: &str, pairs: &[(&str, &str)]) {
        let backend = self.backend(file);
        for (location, value) in pairs {
            let found = read(&*backend, location).unwrap_or_else(|error| panic!("{file} {location}: {error}"));
            assert_eq!(String::from_utf8_lossy(&found), *value, "{file} {location}");
        }
    }
}

fn read(backend: &dyn Backend, location: &str) -> Result<Vec<u8>, BackendError> {
    let reference = CredentialRef::parse("cred://aws/production/readonly").unwrap();
    let request = ReadRequest { reference, location: location.to_owned(), version: VersionRequest::Current };
    Ok(backend.read(&[request]).remove(0)?.value.expose().to_vec())
}

const YAML: &str = "# a comment\naws:\n  user: finops # beside it\n  port: 5432\n  rate: 1.50\n  big: 1.5e+21\n  small: 0.000001\n  is_on: true\n  none: null\n  empty: \"\"\n  day: 2024-01-02\n  moment: 2024-01-02T03:04:05Z\n  list:\n  # of things\n  - a\n  - {k: v}\n  - [x, [y]]\n  text: |\n    line one\n    line two\n  \"odd key:\": \"1\"\n";

#[test]
fn every_format_that_sops_writes_opens_with_the_values_it_had() {
    let place = Place::new();
    place.reads(
        &place.for_age("a.yaml", YAML),
        &[
            ("aws/user", "finops"),
            ("aws/port", "5432"),
            ("aws/rate", "1.5"),
            ("aws/big", "1500000000000000000000"),
            ("aws/small", "0.000001"),
            ("aws/is_on", "true"),
            ("aws/empty", ""),
            ("aws/day", "2024-01-02T00:00:00Z"),
            ("aws/moment", "2024-01-02T03:04:05Z"),
            ("aws/list/0", "a"),
            ("aws/list/1/k", "v"),
            ("aws/list/2/1/0", "y"),
            ("aws/text", "line one\nline two\n"),
            ("aws/odd key:", "1"),
        ],
    );
    let two = place.for_age("two.yaml", "a: first\n---\n# another\na: second\nb: [x]\n");
    place.reads(&two, &[("0/a", "first"), ("1/a", "second"), ("1/b/0", "x")]);
    let json = r#"{"a": {"b": 1.0, "c": [1, "x", null, true, 12345678901]}, "e": "", "é\"": "ü\n"}"#;
    let json = place.for_age("b.json", json);
    place.reads(&json, &[("a/b", "1"), ("a/c/1", "x"), ("a/c/3", "true"), ("a/c/4", "12345678901"), ("é\"", "ü\n")]);
    let dotenv = place.for_age("c.env", "A=b=c\n# comment\nQ=\"quoted\"\nE=\nM=a\\nb\n");
    place.reads(&dotenv, &[("A", "b=c"), ("Q", "\"quoted\""), ("E", ""), ("M", "a\nb")]);
    let ini = place.for_age("d.ini", "; c\ntop=1\n[s]\na = b\nq = \"x y\"\n[t.u]\nk=v # w\n");
    place.reads(&ini, &[("DEFAULT/top", "1"), ("s/a", "b"), ("s/q", "x y"), ("t.u/k", "v")]);
    let bytes: Vec<u8> = (0..=255).collect();
    let binary = place.encrypted("e.bin", &bytes, &["--age", &place.recipient()]);
    assert_eq!(place.read(&binary, "data").unwrap(), bytes);
    // The identity as text, and none at all.
    let mut other = Place::new();
    let key = std::fs::read_to_string(place.path().join("keys.txt")).unwrap();
    std::fs::copy(place.path().join(&json), other.path().join(&json)).unwrap();
    assert_eq!(other.read(&json, "a/b").unwrap_err().kind, ErrorKind::Sealed);
    other = other.with("SOPS_AGE_KEY", &key);
    assert_eq!(other.read(&json, "a/b").unwrap(), b"1");
}

#[test]
fn every_selection_of_values_opens_and_what_is_in_the_clear_is_covered_too() {
    let place = Place::new();
    let recipient = place.recipient();
    let content = "secret_part:\n  word: hidden\nplain_part:\n  word: visible\n  number: 7\n  rate: 2.50\n  is_on: true\n# sops:enc\nafter: hidden too\n";
    for (name, selection) in [
        ("a", ["encrypted_regex", "^secret_"]),
        ("b", ["unencrypted_regex", "^plain_"]),
        ("c", ["encrypted_suffix", "_part"]),
        ("d", ["unencrypted_suffix", "word"]),
        ("e", ["encrypted_comment_regex", "sops:enc"]),
        ("f", ["unencrypted_comment_regex", "sops:enc"]),
    ] {
        for (only, suffix) in [(false, "all"), (true, "only")] {
            let rule = format!(
                "creation_rules:\n- age: {recipient}\n  mac_only_encrypted: {only}\n  {}: '{}'\n",
                selection[0], selection[1]
            );
            std::fs::write(place.path().join(".sops.yaml"), rule).unwrap();
            let file = place.encrypted(&format!("{name}-{suffix}.yaml"), content.as_bytes(), &[]);
            place.reads(
                &file,
                &[
                    ("secret_part/word", "hidden"),
                    ("plain_part/word", "visible"),
                    ("plain_part/number", "7"),
                    ("plain_part/rate", "2.5"),
                    ("plain_part/is_on", "true"),
                    ("after", "hidden too"),
                ],
            );
            let written = std::fs::read_to_string(place.path().join(&file)).unwrap();
            if !only && written.contains("visible") {
                let changed = written.replace("visible", "altered");
                std::fs::write(place.path().join("changed.yaml"), changed).unwrap();
                assert_eq!(place.read("changed.yaml", "after").unwrap_err().kind, ErrorKind::Malformed, "{file}");
            }
            // An encrypted value that somebody without the key puts a plain one in place of.
            let line = written.lines().find(|line| line.contains("ENC[") && !line.trim_start().starts_with("mac"));
            let (key, _) =
                line.filter(|line| !line.trim_start().starts_with('#')).unwrap_or("none: x").split_once(':').unwrap();
            let changed = written.replacen(line.unwrap(), &format!("{key}: forged"), 1);
            std::fs::write(place.path().join("changed.yaml"), changed).unwrap();
            if key != "none" {
                assert_eq!(place.read("changed.yaml", "after").unwrap_err().kind, ErrorKind::Malformed, "{file}");
            }
        }
    }
}

#[test]
fn pgp_opens_by_the_real_gpg() {
    // A socket's path is short.
    let home = tempfile::TempDir::with_prefix_in("g", "/tmp").unwrap();
    std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let place = Place::new().with("GNUPGHOME", &home.path().display().to_string());
    place.run("gpg", &["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "custody@test", "rsa2048", "encr"]);
    let listed = place.run("gpg", &["--batch", "--with-colons", "--list-keys"]);
    let print = listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned();
    let file = place.encrypted("a.yaml", b"word: by gpg\n", &["--pgp", &print]);
    place.reads(&file, &[("word", "by gpg")]);
    // Without the key.
    let nobody = tempfile::TempDir::with_prefix_in("g", "/tmp").unwrap();
    let backend = place.backend_with(&file, json!({ "gnupg-home": nobody.path() }));
    let error = read(&*backend, "word").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Sealed);
    assert!(error.why.contains("pgp:") && error.why.contains(&print), "{error}");
    for home in [home.path(), nobody.path()] {
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", home).status();
    }
}

#[test]
fn transit_of_a_real_openbao_opens_and_no_token_goes_elsewhere() {
    let server = servers::OpenBao::start();
    server.api("POST", "sys/mounts/crypt/sops", json!({"type": "transit"}));
    server.api("POST", "crypt/sops/keys/first", json!({}));
    let place = Place::new().with("VAULT_ADDR", &server.address()).with("VAULT_TOKEN", server.root_token());
    let key = format!("{}/v1/crypt/sops/keys/first", server.address());
    let file = place.encrypted("a.json", br#"{"word": "by transit"}"#, &["--hc-vault-transit", &key]);
    place.reads(&file, &[("word", "by transit")]);
    // A file that names another server gets no token.
    let thief = Stub::start(|_| Reply::json(200, &json!({"data": {"plaintext": ""}})));
    let written = std::fs::read_to_string(place.path().join(&file)).unwrap();
    std::fs::write(place.path().join("b.json"), written.replace(&server.address(), &thief.address())).unwrap();
    let error = place.read("b.json", "word").unwrap_err();
    assert!(error.why.contains("to which no login is sent"), "{error}");
    assert!(thief.received().is_empty());
    let refused = json!({"vault": {"address": server.address(), "login": {"method": "token", "file": "/nowhere"}}});
    assert!(read(&*place.backend_with(&file, refused), "word").is_err());
}

#[test]
fn the_key_service_of_aws_opens_on_a_real_moto() {
    let server = Moto::start();
    let made = server.call("kms", "TrentService.CreateKey", json!({}));
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let place = Place::new()
        .with("AWS_ENDPOINT_URL", &server.address())
        .with("AWS_ACCESS_KEY_ID", "mock")
        .with("AWS_SECRET_ACCESS_KEY", "mock");
    let file =
        place.encrypted("a.env", b"WORD=by kms\n", &["--kms", &arn, "--encryption-context", "App:custody,Stage:test"]);
    place.reads(&file, &[("WORD", "by kms")]);
    // Another context: the service refuses.
    let written = std::fs::read_to_string(place.path().join(&file)).unwrap();
    assert!(written.contains("custody"), "{written}");
    std::fs::write(place.path().join("b.env"), written.replace("=custody", "=other")).unwrap();
    let error = place.read("b.env", "WORD").unwrap_err();
    assert!(error.why.contains("kms:"), "{error}");
}

#[test]
fn a_data_key_that_is_split_among_groups_is_put_together() {
    let place = Place::new();
    let recipients = [place.recipient(), place.identity("second"), place.identity("third")];
    let rules = format!(
        "creation_rules:\n- shamir_threshold: 2\n  key_groups:\n  - age: [{}]\n  - age: [{}]\n  - age: [{}]\n",
        recipients[0], recipients[1], recipients[2]
    );
    std::fs::write(place.path().join(".sops.yaml"), rules).unwrap();
    for (name, content, location) in [
        ("a.yaml", "word: together\n", "word"),
        ("a.env", "word=together\n", "word"),
        ("a.ini", "[s]\nword=together\n", "s/word"),
    ] {
        let file = place.encrypted(name, content.as_bytes(), &[]);
        let error = place.read(&file, location).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Sealed);
        assert!(error.why.contains("2 groups of recipients are needed, 1 opened: group 1: age:"), "{error}");
        let all = ["keys.txt", "third"].map(|file| std::fs::read_to_string(place.path().join(file)).unwrap()).concat();
        std::fs::write(place.path().join("both"), all).unwrap();
        let backend = place.backend_with(&file, json!({"identity-file": "both"}));
        assert_eq!(read(&*backend, location).unwrap(), b"together", "{name}");
    }
}

/// A file of sops whose recipient is replaced by another kind, and its data key.
fn readdressed(place: &Place, kind: &str, recipient: Value) -> Vec<u8> {
    let file = place.for_age("a.json", r#"{"word": "by a stub"}"#);
    let mut written: Value = serde_json::from_slice(&std::fs::read(place.path().join(file)).unwrap()).unwrap();
    let sealed = written["sops"]["age"][0]["enc"].as_str().unwrap().to_owned();
    std::fs::write(place.path().join("sealed"), sealed).unwrap();
    let opened = Command::new(tool("age"))
        .args(["--decrypt", "-i", "keys.txt", "sealed"])
        .current_dir(place.path())
        .output()
        .unwrap();
    written["sops"]["age"] = Value::Null;
    written["sops"][kind] = json!([recipient]);
    std::fs::write(place.path().join("b.json"), written.to_string()).unwrap();
    assert_eq!(opened.stdout.len(), 32);
    opened.stdout
}

#[test]
fn the_key_service_of_google_opens_by_a_stub() {
    let place = Place::new();
    let name = "projects/p/locations/global/keyRings/r/cryptoKeys/k";
    let key = readdressed(&place, "gcp_kms", json!({"resource_id": name, "enc": "c2VhbGVk"}));
    let stub = Stub::start(move |request| {
        if request.path.ends_with("/token") {
            let token = json!({"access_token": "gcp", "expires_in": 3599});
            return Reply::json(200, &token).with("Metadata-Flavor", "Google");
        }
        assert_eq!(request.header("authorization"), Some("Bearer gcp"));
        assert_eq!(request.path, format!("/v1/{name}:decrypt"));
        assert_eq!(request.json(), json!({"ciphertext": "c2VhbGVk"}));
        Reply::json(200, &json!({"plaintext": BASE64.encode(&key)}))
    });
    let place = place.with("GCE_METADATA_HOST", stub.address().trim_start_matches("http://"));
    let backend = place.backend_with("b.json", json!({"gcp": {"endpoint": stub.address()}}));
    assert_eq!(read(&*backend, "word").unwrap(), b"by a stub");
}

#[test]
fn key_vault_opens_by_a_stub_and_no_token_goes_elsewhere() {
    let place = Place::new();
    let key = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let answer = std::sync::Arc::clone(&key);
    let stub = Stub::start(move |request| {
        if request.path.starts_with("/metadata/identity") {
            return Reply::json(200, &json!({"access_token": "azure", "expires_in": "3599"}));
        }
        assert_eq!(request.header("authorization"), Some("Bearer azure"));
        assert_eq!(request.path, "/keys/k/v1/decrypt?api-version=7.4");
        assert_eq!(request.json(), json!({"alg": "RSA-OAEP-256", "value": "c2VhbGVk"}));
        Reply::json(200, &json!({"value": BASE64URL_NOPAD.encode(&answer.lock().unwrap())}))
    });
    let recipient = json!({"vault_url": stub.address(), "name": "k", "version": "v1", "enc": "c2VhbGVk"});
    *key.lock().unwrap() = readdressed(&place, "azure_kv", recipient);
    let place = place.with("AZURE_POD_IDENTITY_AUTHORITY_HOST", &stub.address());
    let backend = place.backend_with("b.json", json!({"azure": {"vault": stub.address()}}));
    assert_eq!(read(&*backend, "word").unwrap(), b"by a stub");
    let before = stub.received().len();
    let error = place.read("b.json", "word").unwrap_err();
    assert!(error.why.contains("none of Azure's"), "{error}");
    assert_eq!(stub.received().len(), before);
}

#[test]
fn the_seeds_of_the_fuzzer_are_files_that_open() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/sops");
    for (format, name) in [
        ("yaml", "yaml"),
        ("yaml", "documents"),
        ("json", "json"),
        ("dotenv", "dotenv"),
        ("ini", "ini"),
        ("binary", "binary"),
    ] {
        let seed = std::fs::read_to_string(seeds.join(name)).unwrap();
        assert_eq!(custody_credential::backend::sops::open_hostile(format, &seed[1..]), 2, "{name}");
    }
}
