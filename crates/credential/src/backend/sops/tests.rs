//! Files written by these tests as the published format says (getsops/sops, `sops.go`, `aes/cipher.go`, `stores/`); those
//! that the program itself writes are in `tests/sops.rs`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;

use age::secrecy::ExposeSecret;
use sha2::{Digest, Sha512};
use tempfile::TempDir;

use super::*;
use crate::Setup;
use crate::backend::conformance::{self, Fixture, Limits, request};

const MODIFIED: &str = "2026-11-01T10:00:00Z";

/// What a file of sops is made of.
struct Made {
    directory: TempDir,
    key: SecretValue,
    wrapped: String,
}

fn made() -> Made {
    let directory = TempDir::new().expect("a directory");
    let identity = age::x25519::Identity::generate();
    std::fs::write(directory.path().join("keys.txt"), identity.to_string().expose_secret()).expect("written");
    let key = SecretValue::fill(32, |out| getrandom::fill(out).map(|()| 32)).expect("random");
    let mut sealed = Vec::new();
    let armored = age::armor::ArmoredWriter::wrap_output(&mut sealed, age::armor::Format::AsciiArmor).expect("armor");
    let recipient = identity.to_public();
    let encryptor = age::Encryptor::with_recipients([&recipient as &dyn age::Recipient].into_iter()).expect("one");
    let mut writer = encryptor.wrap_output(armored).expect("a header");
    writer.write_all(key.expose()).expect("written");
    writer.finish().and_then(|w| w.finish()).expect("finished");
    Made { directory, key, wrapped: String::from_utf8(sealed).expect("text") }
}

impl Made {
    fn value(&self, path: &str, plain: &str, kind: &str) -> String {
        cipher::encrypt(&self.key, path, plain.as_bytes(), kind)
    }

    fn mac(&self, values: &[&str]) -> String {
        let mut hash = Sha512::new();
        values.iter().for_each(|value| hash.update(value));
        self.value(MODIFIED, &data_encoding::HEXUPPER.encode(&hash.finalize()), "str")
    }

    fn backend(&self, name: &str, content: &str) -> Box<dyn Backend> {
        std::fs::write(self.directory.path().join(name), content).expect("written");
        let context = Context::process(self.directory.path()).with_variables(BTreeMap::new());
        let settings = serde_json::json!({ "file": name, "identity-file": "keys.txt" });
        (KIND.make)(&mut Setup::of_json("secrets", settings, &context)).expect("valid")
    }

    /// A YAML file with one value of each type, some of them in the clear.
    fn yaml(&self) -> String {
        let indented = self.wrapped.trim_end().replace('\n', "\n        ");
        let (user, port) = (self.value("aws:production:user:", "finops", "str"), self.value("db:port:", "5432", "int"));
        let (tls, list) = (self.value("db:tls:", "True", "bool"), self.value("list:", "item", "str"));
        let mac = self.mac(&["finops", "5432", "True", "item", "visible", "True", "1.5"]);
        format!(
            "aws:\n  production:\n    user: {user}\ndb:\n  port: {port}\n  tls: {tls}\n  none: null\nlist:\n- {list}\nnote_unencrypted: visible\nflag_unencrypted: true\nrate_unencrypted: 1.5\nsops:\n  age:\n  - recipient: age1\n    enc: |\n        {indented}\n  lastmodified: \"{MODIFIED}\"\n  mac: {mac}\n  unencrypted_suffix: _unencrypted\n  version: 3.13.1\n"
        )
    }
}

fn text(backend: &dyn Backend, location: &str) -> Result<String, BackendError> {
    let resolved = backend.read(&[request("x", location)]).remove(0)?;
    Ok(resolved.value.expose_str().expect("UTF-8").to_owned())
}

#[test]
fn yaml_with_values_of_all_types_opens() {
    let made = made();
    let backend = made.backend("prod.enc.yaml", &made.yaml());
    for (location, value) in [
        ("aws/production/user", "finops"),
        ("aws/production#user", "finops"),
        ("db/port", "5432"),
        ("db/tls", "true"),
        ("list/0", "item"),
        ("note_unencrypted", "visible"),
        ("rate_unencrypted", "1.5"),
    ] {
        assert_eq!(text(&*backend, location).as_deref(), Ok(value), "{location}");
    }
    for location in ["aws", "aws/production", "db/none", "nothing", "list/7", "sops/mac"] {
        assert_eq!(text(&*backend, location).expect_err(location).kind, ErrorKind::NotFound, "{location}");
    }
}

#[test]
fn dotenv_and_ini_open_with_their_flat_metadata() {
    let made = made();
    let wrapped = made.wrapped.trim_end().replace('\n', "\\n");
    let (value, mac) = (made.value("API_KEY:", "one\ntwo", "str"), made.mac(&["one\ntwo", "plain"]));
    let dotenv = format!(
        "#a comment\nAPI_KEY={value}\nMODE_unencrypted=plain\nsops_lastmodified={MODIFIED}\nsops_mac={mac}\nsops_age__list_0__map_enc={wrapped}\nsops_age__list_0__map_recipient=age1\nsops_unencrypted_suffix=_unencrypted\nsops_version=3.13.1\n"
    );
    assert_eq!(text(&*made.backend(".env.prod", &dotenv), "API_KEY").as_deref(), Ok("one\ntwo"));
    let (value, mac) = (made.value("aws:key:", "value", "str"), made.mac(&["value"]));
    let ini = format!(
        "[aws]\nkey = {value}\n\n[sops]\nlastmodified = {MODIFIED}\nmac = {mac}\nage__list_0__map_enc = {wrapped}\nunencrypted_suffix = _unencrypted\n"
    );
    assert_eq!(text(&*made.backend("prod.ini", &ini), "aws/key").as_deref(), Ok("value"));
}

#[test]
fn whatever_is_changed_without_the_key_is_noticed() {
    let made = made();
    let good = made.yaml();
    let kind = |content: &str| text(&*made.backend("prod.yaml", content), "db/port").err().map(|e| e.kind);
    assert_eq!(kind(&good), None);
    for (from, to) in [
        ("visible", "altered"),
        ("flag_unencrypted: true", "flag_unencrypted: false"),
        ("rate_unencrypted: 1.5\n", ""),
        ("list:\n", "added_unencrypted: x\nlist:\n"),
        ("  tls: ENC", "  moved: ENC"),
        (MODIFIED, "2026-11-02T10:00:00Z"),
        ("unencrypted_suffix: _unencrypted", "unencrypted_suffix: _other"),
    ] {
        assert!(good.contains(from), "{from}");
        assert_eq!(kind(&good.replacen(from, to, 1)), Some(ErrorKind::Malformed), "{from}");
    }
    let line = good.lines().find(|l| l.contains("port")).expect("there");
    assert_eq!(kind(&good.replace(line, "  port: 5432")), Some(ErrorKind::Malformed), "a value in the clear");
    assert_eq!(kind("a: b\n"), Some(ErrorKind::Malformed));
    assert_eq!(kind("\0"), Some(ErrorKind::Malformed));
    assert_eq!(kind(&"[".repeat(100_000)), Some(ErrorKind::Malformed));
    let other = age::x25519::Identity::generate();
    std::fs::write(made.directory.path().join("keys.txt"), other.to_string().expose_secret()).expect("written");
    assert_eq!(kind(&good), Some(ErrorKind::Sealed));
}

/// A JSON file of sops, written anew for each secret that is planted.
struct Planted {
    made: Made,
    backend: Box<dyn Backend>,
    values: Mutex<BTreeMap<String, String>>,
}

impl Fixture for Planted {
    fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    fn limits(&self) -> Limits {
        Limits { binary: false, ..Limits::default() }
    }

    fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
        let mut values = self.values.lock().expect("unpoisoned");
        values.insert(name.to_owned(), String::from_utf8(value.to_vec()).expect("text"));
        let plain: Vec<&str> = values.values().map(String::as_str).collect();
        let mut file = serde_json::Map::new();
        for (name, value) in &*values {
            file.insert(name.clone(), self.made.value(&format!("{name}:"), value, "str").into());
        }
        let sops = serde_json::json!({
            "age": [{ "recipient": "age1", "enc": self.made.wrapped }], "kms": null, "lastmodified": MODIFIED,
            "mac": self.made.mac(&plain), "unencrypted_suffix": "_unencrypted", "version": "3.13.1"
        });
        file.insert("sops".into(), sops);
        let path = self.made.directory.path().join("new.json");
        std::fs::write(&path, serde_json::to_vec(&file).expect("JSON")).expect("written");
        std::fs::rename(path, self.made.directory.path().join("secrets.json")).expect("renamed");
        request(name, name)
    }
}

#[test]
fn a_json_file_written_by_this_test_conforms() {
    let made = made();
    let backend = made.backend("secrets.json", "{}");
    conformance::check(&Planted { made, backend, values: Mutex::default() });
}
