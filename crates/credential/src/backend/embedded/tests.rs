use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::disk::{Disk, RealDisk};
use super::store::{OBJECTS, STORE_FILE};
use super::*;
use crate::Context;
use crate::backend::conformance::{self, Fixture, request};

/// A store in a directory of its own.
pub(super) struct Place {
    directory: TempDir,
}

const CHEAP: PassphraseCost = PassphraseCost { memory_kib: 64, passes: 1, lanes: 1 };

impl Place {
    pub(super) fn new() -> Self {
        // In memory, where there is such a place: what waits for the disk is measured elsewhere (scripts/bench-store).
        let memory = Path::new("/dev/shm");
        let builder = || tempfile::Builder::new().prefix("custody-store-").to_owned();
        let directory = if memory.is_dir() { builder().tempdir_in(memory) } else { builder().tempdir() };
        Self { directory: directory.expect("a directory") }
    }

    pub(super) fn keys(&self) -> Keys {
        let context = Context::process(self.directory.path()).with_variables(BTreeMap::new());
        let mut keys = Keys::new(self.directory.path().join("keys"), &context);
        keys.passphrase_cost = CHEAP;
        keys
    }

    fn passphrase(&self, text: &str) -> Keys {
        Keys { passphrase: Some(secret(text)), ..self.keys() }
    }

    pub(super) fn store_with(&self, keys: Keys) -> Store {
        let context = Context::process(self.directory.path()).with_variables(BTreeMap::new());
        Store::new(self.directory.path().join("data"), keys, &context)
    }

    fn store(&self) -> Store {
        self.store_with(self.keys())
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("data").join(STORE_FILE)
    }

    fn objects(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path().join("data").join(OBJECTS)).expect("a directory");
        entries.map(|e| e.expect("an entry").path()).collect()
    }
}

pub(super) fn secret(text: &str) -> SecretValue {
    SecretValue::copy_of(text.as_bytes())
}

fn text_of(store: &Store, name: &str, which: Which) -> Result<String, StoreError> {
    let (value, _) = store.read(&[(name, which)])?.remove(0)?;
    Ok(value.expose_str().expect("UTF-8").to_owned())
}

pub(super) fn current(store: &Store, name: &str) -> Result<String, StoreError> {
    text_of(store, name, Which::Current)
}

impl Fixture for (Place, Embedded) {
    fn backend(&self) -> &dyn Backend {
        &self.1
    }

    fn plant(&self, name: &str, value: &[u8]) -> ReadRequest {
        self.0.store().put(name, &SecretValue::copy_of(value), None).expect("written");
        request(name, name)
    }
}

#[test]
fn it_conforms() {
    let place = Place::new();
    let backend = Embedded::new(place.store());
    conformance::check(&(place, backend));
}

#[test]
fn versions_grow_are_kept_and_can_be_put_in_force_again() {
    let place = Place::new();
    let store = place.store().keeping(3);
    for i in 1..=5 {
        assert_eq!(store.put("a", &secret(&format!("value {i}")), Some("rotated")).expect("written").number, i);
    }
    let numbers: Vec<u64> = store.history("a").expect("there").iter().map(|v| v.number).collect();
    assert_eq!(numbers, [3, 4, 5]);
    assert_eq!(place.objects().len(), 3, "what is not kept is removed");
    assert_eq!(text_of(&store, "a", Which::Previous).expect("there"), "value 4");
    assert!(store.activate("a", 3).expect("there").is_current);
    assert_eq!(current(&store, "a").expect("there"), "value 3");
    assert!(matches!(text_of(&store, "a", Which::Previous), Err(StoreError::NoVersion)));
    assert!(matches!(store.activate("a", 2), Err(StoreError::NoVersion)));
    store.delete("a").expect("deleted");
    assert!(matches!(current(&store, "a"), Err(StoreError::NoSecret)));
    assert!(store.names().expect("opens").is_empty() && place.objects().is_empty());
    assert_eq!(store.put("a", &secret("again"), None).expect("written").number, 6, "numbers are not used twice");
}

#[test]
fn nothing_readable_is_on_the_disk_and_nobody_else_may_read_it() {
    let place = Place::new();
    place.store().put("aws/production/readonly", &secret("swordfish-swordfish"), Some("a note")).expect("written");
    let mut stack = vec![place.directory.path().to_owned()];
    let mut seen = 0;
    while let Some(path) = stack.pop() {
        let metadata = path.metadata().expect("there");
        #[cfg(unix)]
        if path != place.directory.path() && !path.ends_with("store.lock") {
            let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
            let is_lock = path.extension().is_some_and(|e| e == "lock");
            assert!(is_lock || mode & 0o077 == 0, "{} {mode:o}", path.display());
        }
        if metadata.is_dir() {
            stack.extend(std::fs::read_dir(&path).expect("there").map(|e| e.expect("an entry").path()));
        } else {
            let bytes = std::fs::read(&path).expect("there");
            for word in ["swordfish", "production", "a note"] {
                assert!(!bytes.windows(word.len()).any(|w| w == word.as_bytes()), "{word} in {}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 4, "store, object, key and witness");
}

#[test]
fn every_changed_or_missing_byte_is_noticed() {
    let place = Place::new();
    place.store().put("a", &secret("one"), None).expect("written");
    place.store().put("b", &secret("two"), None).expect("written");
    std::fs::remove_dir_all(place.directory.path().join("keys").join("none")).ok();
    let files: Vec<PathBuf> = place.objects().into_iter().chain([place.file()]).collect();
    for path in files {
        let good = std::fs::read(&path).expect("there");
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 0x20;
            for bad in [changed, good[..at].to_vec()] {
                std::fs::write(&path, &bad).expect("written");
                let store = place.store();
                let failed = ["a", "b"].iter().filter(|n| current(&store, n).is_err()).count();
                assert!(failed >= 1, "byte {at} of {}", path.display());
            }
        }
        std::fs::write(&path, [&good[..], b"x"].concat()).expect("written");
        assert!(["a", "b"].iter().any(|n| current(&place.store(), n).is_err()), "trailing byte");
        std::fs::write(&path, &good).expect("written");
    }
    assert_eq!(current(&place.store(), "a").expect("whole again"), "one");
}

#[test]
fn a_value_opens_only_where_it_belongs() {
    let place = Place::new();
    place.store().put("a", &secret("one"), None).expect("written");
    place.store().put("b", &secret("two"), None).expect("written");
    let [first, second] = place.objects().try_into().expect("two objects");
    let (one, two) = (std::fs::read(&first).expect("there"), std::fs::read(&second).expect("there"));
    std::fs::write(&first, two).expect("written");
    std::fs::write(&second, one).expect("written");
    for name in ["a", "b"] {
        assert!(matches!(current(&place.store(), name), Err(StoreError::Damaged(_))));
    }
    std::fs::remove_file(first).expect("removed");
    let missing = ["a", "b"].map(|n| current(&place.store(), n).expect_err("gone").to_string());
    assert!(missing.iter().any(|m| m.contains("missing")), "{missing:?}");
}

#[test]
fn a_store_that_was_put_back_is_noticed_and_can_be_accepted() {
    let place = Place::new();
    place.store().put("a", &secret("old"), None).expect("written");
    let old: BTreeMap<PathBuf, Vec<u8>> = place
        .objects()
        .into_iter()
        .chain([place.file()])
        .map(|p| (p.clone(), std::fs::read(p).expect("there")))
        .collect();
    place.store().put("a", &secret("new"), None).expect("written");
    place.store().put("a", &secret("newest"), None).expect("written");
    old.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).expect("written"));
    assert!(matches!(current(&place.store(), "a"), Err(StoreError::RolledBack { found: 1, seen: 3 })));
    assert!(matches!(place.store().put("a", &secret("x"), None), Err(StoreError::RolledBack { .. })));
    place.store().accept_rollback().expect("accepted");
    assert_eq!(current(&place.store(), "a").expect("accepted"), "old");
    place.store().rekey().expect("new keys");
    assert_eq!(current(&place.store(), "a").expect("accepted"), "old");
}

#[test]
fn new_keys_shut_out_the_old_ones() {
    let place = Place::new();
    let store = place.store();
    store.put("a", &secret("one"), None).expect("written");
    store.put("a", &secret("two"), None).expect("written");
    let key_files = || {
        let entries = std::fs::read_dir(place.directory.path().join("keys")).expect("there");
        entries.map(|e| e.expect("an entry").path()).filter(|p| p.extension().is_some_and(|e| e == "key"))
    };
    let old_key = key_files().next().expect("a key file");
    let old_line = std::fs::read(&old_key).expect("there");
    // Another process, with the old data key in its memory.
    let other = place.store();
    assert_eq!(current(&other, "a").expect("opens"), "two");
    store.rekey().expect("new keys");
    assert_eq!(current(&store, "a").expect("opens"), "two");
    assert_eq!(text_of(&other, "a", Which::Previous).expect("opens"), "one");
    let new_line = std::fs::read(&old_key).expect("there");
    assert_eq!(new_line.iter().filter(|&&b| b == b'\n').count(), 1, "the old key is gone");
    std::fs::write(&old_key, old_line).expect("written");
    assert!(matches!(current(&place.store(), "a"), Err(StoreError::Locked(_))));
    std::fs::write(&old_key, new_line).expect("written");
    assert_eq!(place.objects().len(), 2);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let place = Place::new();
    place.store().put("a", &secret("one"), None).expect("written");
    let entries = std::fs::read_dir(place.directory.path().join("keys")).expect("there");
    let key = entries.map(|e| e.expect("an entry").path()).find(|p| p.extension().is_some_and(|e| e == "key"));
    let key = key.expect("a key file");
    #[cfg(unix)]
    {
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o640)).expect("changed");
        let error = current(&place.store(), "a").expect_err("refused").to_string();
        assert!(error.contains("others may use it"), "{error}");
    }
}

#[test]
fn a_passphrase_opens_and_a_wrong_one_does_not() {
    let place = Place::new();
    let store = place.store_with(place.passphrase("correct horse")).made_with(SlotKind::Passphrase);
    store.put("a", &secret("one"), None).expect("written");
    assert_eq!(current(&place.store_with(place.passphrase("correct horse")), "a").expect("opens"), "one");
    let wrong = current(&place.store_with(place.passphrase("correct house")), "a").expect_err("refused");
    assert_eq!(wrong.kind(), ErrorKind::Sealed);
    assert!(wrong.to_string().contains("the passphrase is wrong") && !wrong.to_string().contains("hou"));
    let nobody = current(&place.store(), "a").expect_err("nobody to ask").to_string();
    assert!(nobody.contains("nobody to ask"), "{nobody}");
    // A second way in, and the first one taken away.
    store.add_slot(SlotKind::KeyFile).expect("added");
    store.remove_slot(SlotKind::Passphrase).expect("removed");
    assert!(matches!(store.remove_slot(SlotKind::KeyFile), Err(StoreError::Refused(_))));
    assert_eq!(current(&place.store(), "a").expect("opens"), "one");
}

#[test]
fn age_identities_open_what_is_wrapped_for_their_recipients() {
    use age::secrecy::ExposeSecret;
    let place = Place::new();
    let identity = age::x25519::Identity::generate();
    let file = place.directory.path().join("identity.txt");
    std::fs::write(&file, identity.to_string().expose_secret()).expect("written");
    let keys = || Keys {
        identity_file: Some(file.clone()),
        recipients: vec![identity.to_public().to_string()],
        ..place.keys()
    };
    let store = place.store_with(keys()).made_with(SlotKind::Age);
    store.put("a", &secret("one"), None).expect("written");
    assert_eq!(current(&place.store_with(keys()), "a").expect("opens"), "one");
    store.rekey().expect("new keys");
    assert_eq!(current(&place.store_with(keys()), "a").expect("opens"), "one");
    let other = age::x25519::Identity::generate();
    std::fs::write(&file, other.to_string().expose_secret()).expect("written");
    assert_eq!(current(&place.store_with(keys()), "a").expect_err("refused").kind(), ErrorKind::Sealed);
}

#[test]
fn systemd_creds_opens_on_this_host() {
    let place = Place::new();
    let store = place.store().made_with(SlotKind::SystemdCreds);
    store.put("a", &secret("one"), None).expect("systemd-creds is there");
    assert_eq!(current(&place.store(), "a").expect("opens"), "one");
    store.rekey().expect("new keys");
    assert_eq!(store.record().expect("opens").slots, [SlotKind::SystemdCreds]);
    assert_eq!(current(&place.store(), "a").expect("opens"), "one");
}

#[test]
fn a_backup_restores_everything_elsewhere_without_the_old_keys() {
    let (here, there) = (Place::new(), Place::new());
    let store = here.store();
    for i in 0..4 {
        store.put(&format!("name/{}", i % 3), &secret(&format!("value {i}")), None).expect("written");
    }
    let file = here.directory.path().join("backup");
    let keys = here.passphrase("correct horse");
    assert!(store.back_up(&file, SlotKind::KeyFile, &keys).is_err(), "a backup does not hang on this machine");
    assert_eq!(store.back_up(&file, SlotKind::Passphrase, &keys).expect("written"), 3);
    assert!(store.back_up(&file, SlotKind::Passphrase, &keys).is_err(), "a file that is there is not replaced");
    let wrong = there.store().restore(&file, &here.passphrase("wrong"), Replace::No).expect_err("locked");
    assert_eq!(wrong.kind(), ErrorKind::Sealed);
    let restored = there.store().restore(&file, &keys, Replace::No).expect("restored");
    assert_eq!(restored, Restored { secrets: 3, versions: 4 });
    assert_eq!(current(&there.store(), "name/0").expect("there"), "value 3");
    assert_eq!(text_of(&there.store(), "name/0", Which::Previous).expect("there"), "value 0");
    assert!(there.store().restore(&file, &keys, Replace::No).is_err(), "a store that is there stays");
    // Back to the state of the backup, on purpose.
    store.put("name/0", &secret("newer"), None).expect("written");
    store.restore(&file, &keys, Replace::Yes).expect("restored");
    assert_eq!(current(&here.store(), "name/0").expect("there"), "value 3");
    let good = std::fs::read(&file).expect("there");
    for at in (0..good.len()).step_by(7) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        for bad in [changed, good[..at].to_vec()] {
            std::fs::write(&file, bad).expect("written");
            assert!(Place::new().store().restore(&file, &keys, Replace::No).is_err(), "byte {at}");
        }
    }
}

#[test]
fn names_and_values_have_limits() {
    let place = Place::new();
    let store = place.store();
    for name in ["", "a#b", "a\nb", &"x".repeat(1025)] {
        assert!(matches!(store.put(name, &secret("x"), None), Err(StoreError::Refused(_))), "{name:?}");
    }
    let large = SecretValue::new(vec![b'x'; MAX_VALUE_BYTES + 1]);
    assert!(matches!(store.put("a", &large, None), Err(StoreError::Refused(_))));
    store.put("a", &SecretValue::new(vec![b'x'; MAX_VALUE_BYTES]), None).expect("just fits");
    assert_eq!(
        store.read(&[("a", Which::Current)]).expect("opens")[0].as_ref().expect("there").0.len(),
        MAX_VALUE_BYTES
    );
}

#[test]
fn several_processes_write_and_read_at_once() {
    let place = Place::new();
    place.store().put("shared", &secret("0"), None).expect("written");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let place = &place;
            scope.spawn(move || {
                for i in 0..10 {
                    // A store of its own each time, as another process has it.
                    place.store().put(&format!("own/{writer}"), &secret(&format!("{i}")), None).expect("written");
                    place.store().put("shared", &secret(&format!("{writer}.{i}")), None).expect("written");
                    assert_eq!(current(&place.store(), &format!("own/{writer}")).expect("there"), i.to_string());
                }
            });
        }
        scope.spawn(|| place.store().rekey().expect("new keys"));
        let reader = place.store();
        for _ in 0..200 {
            current(&reader, "shared").expect("always there");
        }
    });
    assert_eq!(place.store().history("shared").expect("there").last().expect("some").number, 41);
    assert_eq!(place.store().names().expect("opens").len(), 5);
}

/// A disk on which one operation fails, or is the last one before the machine stops.
struct FaultyDisk {
    operations: AtomicUsize,
    at: usize,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// The operation fails; the next ones do not.
    Error(io::ErrorKind),
    /// Nothing happens from this operation on.
    StopsBefore,
    /// A file is written in part, then nothing happens any more.
    StopsWithin,
}

impl FaultyDisk {
    /// Whether the operation is done; else what happens instead.
    fn operation(&self, partly: impl FnOnce()) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Error(kind) if number == self.at => Err(kind.into()),
            Fault::StopsBefore if number >= self.at => Err(io::ErrorKind::Other.into()),
            Fault::StopsWithin if number == self.at => {
                partly();
                Err(io::ErrorKind::Other.into())
            }
            Fault::StopsWithin if number > self.at => Err(io::ErrorKind::Other.into()),
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        RealDisk.read(path, limit)
    }

    fn create(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.operation(|| RealDisk.create(path, &content[..content.len() / 2]).unwrap_or_default())?;
        RealDisk.create(path, content)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation(|| ())?;
        RealDisk.rename(from, to)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.operation(|| ())?;
        RealDisk.sync_directory(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation(|| ())?;
        RealDisk.remove(path)
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        self.operation(|| ())?;
        RealDisk.names(path)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.operation(|| ())?;
        RealDisk.make_directory(path)
    }
}

/// Every change, with a fault at each of its operations: afterwards the store opens, nothing that was acknowledged is
/// lost, and the change is there whole or not at all. The answer is how many faults were tried.
fn with_every_fault(fault: Fault, change: impl Fn(&Store) -> Result<(), StoreError>) -> usize {
    for at in 0.. {
        let place = Place::new();
        let store = place.store();
        store.put("a", &secret("a1"), None).expect("written");
        store.put("a", &secret("a2"), None).expect("written");
        store.put("b", &secret("b1"), None).expect("written");
        let faulty = Arc::new(FaultyDisk { operations: AtomicUsize::new(0), at, fault });
        let acknowledged = change(&place.store().on(Arc::clone(&faulty) as Arc<dyn Disk>)).is_ok();
        if faulty.operations.load(Ordering::SeqCst) <= at {
            return at;
        }
        let context = format!("{fault:?} at operation {at}, acknowledged: {acknowledged}");
        let store = place.store();
        let a = current(&store, "a").unwrap_or_else(|e| panic!("{context}: {e}"));
        let b = current(&store, "b").unwrap_or_else(|e| panic!("{context}: {e}"));
        assert!(["a1", "a2", "a3"].contains(&a.as_str()) && b == "b1", "{context}: {a} {b}");
        for version in store.history("a").expect("there") {
            let text = text_of(&store, "a", Which::Number(version.number)).unwrap_or_else(|e| panic!("{context}: {e}"));
            assert_eq!(text, format!("a{}", version.number), "{context}");
        }
        // The next change works, and leaves nothing behind.
        store.put("c", &secret("c1"), None).unwrap_or_else(|e| panic!("{context}: {e}"));
        let expected: usize = ["a", "b", "c"].iter().map(|n| store.history(n).expect("there").len()).sum();
        assert_eq!(place.objects().len(), expected, "{context}");
        if acknowledged {
            change_is_there(&store, &a, &context);
        }
    }
    unreachable!("the change ends")
}

fn change_is_there(store: &Store, a: &str, context: &str) {
    // Each change below leaves `a` at another value, or the store with new keys.
    let record = store.record().expect("opens");
    assert!(a != "a2" || record.changes > 4, "{context}: acknowledged and lost");
}

#[test]
fn no_fault_of_the_disk_and_no_crash_tears_a_change() {
    let faults = [
        Fault::Error(io::ErrorKind::StorageFull),
        Fault::Error(io::ErrorKind::Other),
        Fault::StopsBefore,
        Fault::StopsWithin,
    ];
    let mut tried = 0;
    for fault in faults {
        tried += with_every_fault(fault, |store| store.put("a", &secret("a3"), None).map(drop));
        tried += with_every_fault(fault, |store| store.activate("a", 1).map(drop));
        tried += with_every_fault(fault, Store::rekey);
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn a_crash_while_the_store_is_made_leaves_none_or_a_good_one() {
    for fault in [Fault::StopsBefore, Fault::StopsWithin, Fault::Error(io::ErrorKind::StorageFull)] {
        for at in 0.. {
            let place = Place::new();
            let faulty = Arc::new(FaultyDisk { operations: AtomicUsize::new(0), at, fault });
            let written = place.store().on(Arc::clone(&faulty) as Arc<dyn Disk>).put("a", &secret("a1"), None);
            if faulty.operations.load(Ordering::SeqCst) <= at {
                break;
            }
            match current(&place.store(), "a") {
                Ok(text) => assert_eq!(text, "a1"),
                Err(StoreError::NoStore(_)) => assert!(written.is_err(), "{fault:?} at {at}: acknowledged and lost"),
                Err(error) => panic!("{fault:?} at {at}: {error}"),
            }
            place.store().put("a", &secret("again"), None).expect("written");
            assert_eq!(current(&place.store(), "a").expect("there"), "again");
        }
    }
}

#[test]
fn repositories_have_stores_of_their_own_and_work_trees_share_one() {
    let home = TempDir::new().expect("a directory");
    let (one, two, tree) = (home.path().join("one"), home.path().join("two"), home.path().join("tree"));
    for directory in [&one, &two, &tree, &one.join(".git/worktrees/tree")] {
        std::fs::create_dir_all(directory).expect("made");
    }
    std::fs::write(tree.join(".git"), format!("gitdir: {}\n", one.join(".git/worktrees/tree").display()))
        .expect("written");
    std::fs::write(one.join(".git/worktrees/tree/commondir"), "../..\n").expect("written");
    let directory = |root: &Path| {
        let variables = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
        let context = Context::process(root).with_variables(variables);
        let store = open(&mut Setup::of_json("embedded", serde_json::json!({}), &context)).expect("opens");
        store.directory().to_owned()
    };
    assert_ne!(directory(&one), directory(&two));
    assert_eq!(directory(&one), directory(&tree));
    assert!(directory(&one).starts_with(home.path().join(".local/share/custody/stores")));
    let nowhere = Context::process(&one).with_variables(BTreeMap::new());
    assert!(open(&mut Setup::of_json("embedded", serde_json::json!({}), &nowhere)).is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_in_place_of_a_store_are_an_error(bytes: Vec<u8>, at in 0usize..400, tail: Vec<u8>) {
        let place = Place::new();
        place.store().put("a", &secret("one"), None).expect("written");
        let good = std::fs::read(place.file()).expect("there");
        std::fs::write(place.file(), &bytes).expect("written");
        proptest::prop_assert!(current(&place.store(), "a").is_err());
        let spliced = [&good[..at.min(good.len())], &tail].concat();
        std::fs::write(place.file(), &spliced).expect("written");
        proptest::prop_assert!(spliced == good || current(&place.store(), "a").is_err());
    }
}
