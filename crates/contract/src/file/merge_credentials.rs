//! What may be wrong with backends and with what feeds a key.

use std::collections::BTreeMap;

use crate::CredentialRef;
use crate::file::merge::Merge;
use crate::file::{BackendItem, KeyItem, KeyType, Source};

/// Settings that would hold secret material. In a contract file, which is committed, they hold a reference.
const SECRET_SETTINGS: [&str; 12] = [
    "token",
    "password",
    "passphrase",
    "secret",
    "secret-id",
    "secret-key",
    "secret-access-key",
    "api-key",
    "apikey",
    "client-secret",
    "access-token",
    "private-key",
];

impl Merge<'_> {
    pub(super) fn check_backends(&mut self, backends: &BTreeMap<String, BackendItem>) {
        for (name, backend) in backends {
            let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if name.len() > 64 || !name.split('-').all(word) {
                let why = "a backend's name is made of lower-case words joined by hyphens";
                self.problem(&["backends", name], "a backend's name cannot be used", why, "rename it");
            }
            for (setting, value) in &backend.settings {
                let is_reference = value.as_str().is_some_and(|v| CredentialRef::parse(v).is_ok());
                if SECRET_SETTINGS.contains(&setting.to_ascii_lowercase().replace('_', "-").as_str()) && !is_reference {
                    let what = format!("backend {name}: {setting} is not a reference");
                    let why = "the contract file is committed, so it holds no secret material (ENV-4)";
                    let fix = format!("name a cred:// reference, or use {setting}-file or {setting}-env");
                    self.problem(&["backends", name, setting], what, why, fix);
                }
            }
            if backend.attempts.is_some_and(|a| !(1..=10).contains(&a)) {
                let why = "a request is sent at least once and at most ten times";
                self.problem(&["backends", name, "attempts"], "attempts cannot be used", why, "give 1 to 10");
            }
        }
    }

    /// Checks the file's own keys against all keys in force.
    pub(super) fn check_feeds(&mut self, keys: &[KeyItem], own: &[KeyItem]) {
        for (i, key) in own.iter().enumerate() {
            let at = i.to_string();
            let Some(feed) = &key.from else {
                if key.field.is_some() {
                    let why = "field says which part of the credential named by from is meant";
                    self.problem(&["key", &at, "field"], "a field without from", why, "add from, or remove field");
                }
                continue;
            };
            if key.kind == KeyType::CredentialRef {
                let why = "a key of type credential-ref holds the reference itself and is not resolved";
                let fix = "declare the key that gets the real value, with from = the name of this one";
                self.problem(&["key", &at, "from"], format!("key {} is a reference", key.name), why, fix);
            }
            if key.example.as_ref().is_some_and(|e| !e.is_empty()) {
                let why = "a template leaves a secret's value empty (ENV-3)";
                let what = format!("key {} is fed and has an example", key.name);
                self.problem(&["key", &at, "example"], what, why, "remove the example");
            }
            for source in feed.sources() {
                let Source::Key(name) = source else { continue };
                match keys.iter().find(|k| k.name == *name) {
                    Some(known) if known.kind == KeyType::CredentialRef => {}
                    Some(_) => {
                        let fix = format!("give key {name} type = \"credential-ref\"");
                        let why = "only a key of that type holds a reference";
                        self.problem(
                            &["key", &at, "from"],
                            format!("key {} is fed by a key of another type", key.name),
                            why,
                            fix,
                        );
                    }
                    None => {
                        let near = keys.iter().filter(|k| k.kind == KeyType::CredentialRef).map(|k| k.name.as_str());
                        let near = near.min_by_key(|k| strsim::damerau_levenshtein(k, name));
                        let near = near.filter(|k| strsim::damerau_levenshtein(k, name) <= 4);
                        let fix = near.map_or_else(
                            || "declare it with type = \"credential-ref\"".to_owned(),
                            |k| format!("did you mean {k}?"),
                        );
                        let what = format!("key {} is fed by a key that is not declared", key.name);
                        self.problem(&["key", &at, "from"], what, "no key has this name", fix);
                    }
                }
            }
        }
    }
}
