//! The keys of the audit log in an embedded store: wrapped by whatever unlocks the store (a passphrase, a TPM, a token),
//! instead of in files that their owner can read.

use custody_audit::{AuditError, KeyStore};
use zeroize::Zeroizing;

use crate::SecretValue;
use crate::backend::embedded::{Store, StoreError, Which};

/// An embedded store as the place of a log's keys. It should hold nothing else; of each entry the newest version is kept
/// only, so that a signing key that was changed is gone.
pub struct StoreKeys(Store);

impl StoreKeys {
    /// Keys in this store, which is made when the first key is.
    pub fn new(store: Store) -> Self {
        Self(store.keeping(1))
    }

    fn error(&self, error: &StoreError) -> AuditError {
        AuditError::Key { path: self.0.directory().display().to_string(), why: error.to_string() }
    }
}

impl KeyStore for StoreKeys {
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AuditError> {
        match self.0.read(&[(name, Which::Current)]).and_then(|mut answers| answers.remove(0)) {
            Ok((value, _)) => Ok(Some(Zeroizing::new(value.expose().to_vec()))),
            Err(StoreError::NoStore(_) | StoreError::NoSecret) => Ok(None),
            Err(error) => Err(self.error(&error)),
        }
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<(), AuditError> {
        self.0.put(name, &SecretValue::copy_of(value), None).map(drop).map_err(|error| self.error(&error))
    }

    fn remove(&self, name: &str) -> Result<(), AuditError> {
        match self.0.delete(name) {
            Err(StoreError::NoStore(_) | StoreError::NoSecret) | Ok(()) => Ok(()),
            Err(error) => Err(self.error(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use custody_audit::verify::{Trust, Verdict, verify};
    use custody_audit::{Action, AuditLog, DirectoryKeys, Event, Options, Outcome, Principal, Text, move_keys};

    use super::*;
    use crate::Context;
    use crate::backend::embedded::{Keys, PassphraseCost, SlotKind};

    /// A store that a passphrase opens.
    fn keys(directory: &Path, passphrase: &str) -> StoreKeys {
        let context = Context::process(directory).with_variables(BTreeMap::new());
        let mut keys = Keys::new(directory.join("witness"), &context);
        keys.passphrase = Some(SecretValue::copy_of(passphrase.as_bytes()));
        keys.passphrase_cost = PassphraseCost { memory_kib: 64, passes: 1, lanes: 1 };
        StoreKeys::new(Store::new(directory.join("store"), keys, &context).made_with(SlotKind::Passphrase))
    }

    #[test]
    fn a_log_signs_with_keys_of_a_store_and_its_changed_key_is_gone() {
        let place = tempfile::tempdir().expect("a directory");
        let (log, words) = (place.path().join("log"), "correct horse");
        let open = |words| AuditLog::open(&log, keys(place.path(), words), Options::default()).expect("opens");
        let event = || Event::new(Action::Reveal, Outcome::Allowed, Principal::current());
        let audit = open(words);
        audit.record(&event()).expect("recorded");
        let before = keys(place.path(), words).read("signing-key").expect("opens").expect("there");
        audit.rotate_key(Text::new("a test")).expect("changed");
        audit.record(&event()).expect("recorded");
        let after = keys(place.path(), words).read("signing-key").expect("opens").expect("there");
        assert_ne!(before, after);
        let versions = keys(place.path(), words).0.history("signing-key").expect("there");
        assert_eq!(versions.len(), 1, "the old key is gone");
        let report = verify(&log, &Trust::default().with_keys(keys(place.path(), words))).expect("verified");
        assert_eq!(report.verdict, Verdict::Intact, "{report:?}");
        // Locked: nothing is recorded, and the reason is told.
        let error = open("wrong").record(&event()).expect_err("locked").to_string();
        assert!(error.contains("the passphrase is wrong"), "{error}");
        assert!(!log.parent().expect("a parent").join("log-keys").exists());
    }

    #[test]
    fn keys_move_from_files_into_a_store_and_back() {
        let place = tempfile::tempdir().expect("a directory");
        let log = place.path().join("log");
        let files = || DirectoryKeys::new(&place.path().join("files"));
        let event = || Event::new(Action::Reveal, Outcome::Allowed, Principal::current());
        AuditLog::open(&log, files(), Options::default()).expect("opens").record(&event()).expect("recorded");
        let store = || keys(place.path(), "correct horse");
        let moved = move_keys(&files(), &store()).expect("moved");
        assert!(moved >= 3, "{moved}");
        assert!(move_keys(&files(), &store()).is_err(), "nothing is replaced");
        AuditLog::open(&log, store(), Options::default()).expect("opens").record(&event()).expect("recorded");
        assert!(AuditLog::open(&log, files(), Options::default()).expect("opens").record(&event()).is_err());
        assert_eq!(move_keys(&store(), &files()).expect("moved back"), moved);
        AuditLog::open(&log, files(), Options::default()).expect("opens").record(&event()).expect("recorded");
        let report = verify(&log, &Trust::default().with_keys(files())).expect("verified");
        assert_eq!(report.verdict, Verdict::Intact, "{report:?}");
    }
}
