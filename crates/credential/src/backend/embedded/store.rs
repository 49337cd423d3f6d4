//! The store: a directory with one file that says everything, and one file for each value.
//!
//! A change writes new files, waits until they are on the disk, and then gives the new `store` file the old one's name:
//! that moment is the change. Whoever reads sees the state before or after it; a crash leaves files that belong to
//! nobody, which the next change removes. Changes are one at a time (`lock`); readers need no lock.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::context::Clock;
use crate::{Context, SecretValue};

use super::crypt;
use super::disk::{Disk, RealDisk};
use super::error::StoreError;
use super::format::{
    Entry, Header, Id, Index, ObjectPlace, Version, decode_header, decode_index, decode_object, encode, encode_object,
};
use super::slot::{Keys, Slot, SlotKind, open_any};
use super::witness::Witness;

/// The one file that says everything.
pub(super) const STORE_FILE: &str = "store";
/// The directory of values.
pub(super) const OBJECTS: &str = "objects";
const LOCK_FILE: &str = "lock";
/// Largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Largest `store` file, in bytes.
pub(super) const MAX_STORE_BYTES: u64 = 64 << 20;
/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 1024;
/// Longest note, in bytes.
const MAX_NOTE_BYTES: usize = 1024;
/// How long a change waits for others.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// An encrypted store in a directory. Opening it costs nothing; it is made by the first write.
pub struct Store {
    pub(super) directory: PathBuf,
    pub(super) keys: Keys,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    /// How many versions of a secret are kept.
    keep_versions: usize,
    /// The way to the key that a new store gets.
    new_slot: SlotKind,
    project: Option<String>,
    /// The data key of a while ago; a store that got new keys refuses it.
    data_key: Mutex<Option<Arc<SecretValue>>>,
}

/// A store as it is at one moment.
pub(super) struct State {
    pub(super) header: Header,
    pub(super) index: Index,
    pub(super) key: Arc<SecretValue>,
}

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRecord {
    /// Its number; numbers of one secret grow and are not used twice.
    pub number: u64,
    /// When it was written.
    pub created: Timestamp,
    /// What its writer noted.
    pub note: Option<String>,
    /// Whether it is in force.
    pub is_current: bool,
}

/// What the store knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRecord {
    /// Its directory.
    pub directory: PathBuf,
    /// Its id.
    pub id: Id,
    /// The repository that it was made for.
    pub project: Option<String>,
    /// The ways to its key.
    pub slots: Vec<SlotKind>,
    /// How many secrets it holds.
    pub secrets: usize,
    /// How many changes it has seen.
    pub changes: u64,
    /// Whether a rollback would be noticed on this machine.
    pub is_witnessed: bool,
}

/// Which version of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one in force.
    Current,
    /// The newest older one.
    Previous,
    /// This one.
    Number(u64),
}

impl Store {
    /// A store in a directory.
    pub fn new(directory: PathBuf, keys: Keys, context: &Context) -> Self {
        Self {
            directory,
            keys,
            disk: Arc::new(RealDisk),
            clock: Arc::clone(&context.clock),
            keep_versions: 10,
            new_slot: SlotKind::KeyFile,
            project: None,
            data_key: Mutex::default(),
        }
    }

    /// Keeps so many versions of a secret, at least one.
    #[must_use]
    pub fn keeping(mut self, versions: usize) -> Self {
        self.keep_versions = versions.max(1);
        self
    }

    /// Where it does not exist, it is made with this way to its key.
    #[must_use]
    pub fn made_with(mut self, slot: SlotKind) -> Self {
        self.new_slot = slot;
        self
    }

    /// Where it does not exist, it is made for this repository.
    #[must_use]
    pub fn made_for(mut self, project: Option<String>) -> Self {
        self.project = project;
        self
    }

    #[cfg(test)]
    pub(super) fn on(mut self, disk: Arc<dyn Disk>) -> Self {
        self.keys.disk = Arc::clone(&disk);
        self.disk = disk;
        self
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether there is one.
    pub fn exists(&self) -> bool {
        self.directory.join(STORE_FILE).exists()
    }

    /// Reads several secrets from one state of the store: one answer for each, in their order.
    ///
    /// # Errors
    /// As a whole, where the store cannot be opened; for each, that it is missing or damaged.
    #[expect(clippy::type_complexity, reason = "one answer for each, or one for all")]
    pub fn read(
        &self,
        wanted: &[(&str, Which)],
    ) -> Result<Vec<Result<(SecretValue, VersionRecord), StoreError>>, StoreError> {
        // A value that was removed while we read belongs to an older state: look again.
        for _ in 0..16 {
            let state = self.state()?;
            let answers: Vec<_> = wanted.iter().map(|(name, which)| self.read_one(&state, name, *which)).collect();
            let gone = |answer: &Result<_, StoreError>| matches!(answer, Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound);
            if !answers.iter().any(gone) {
                return Ok(answers);
            }
            if self.state()?.index.change == state.index.change {
                let damaged =
                    |answer| if gone(&answer) { Err(StoreError::damaged("a value's file is missing")) } else { answer };
                return Ok(answers.into_iter().map(damaged).collect());
            }
        }
        Err(StoreError::Busy)
    }

    fn read_one(&self, state: &State, name: &str, which: Which) -> Result<(SecretValue, VersionRecord), StoreError> {
        let entry = state.index.secrets.get(name).filter(|e| e.current.is_some()).ok_or(StoreError::NoSecret)?;
        let version = pick(entry, which).ok_or(StoreError::NoVersion)?;
        let value = self.open_object(state, name, version)?;
        Ok((value, record(entry, version)))
    }

    pub(super) fn open_object(&self, state: &State, name: &str, version: &Version) -> Result<SecretValue, StoreError> {
        let path = self.object_path(version.object);
        let limit = MAX_VALUE_BYTES as u64 + 1024;
        let bytes = self.disk.read(&path, limit).map_err(StoreError::io("read", &path))?;
        let place = ObjectPlace { store: state.header.store, object: version.object, name, version: version.number };
        decode_object(&bytes, &place, &state.key)
            .map_err(|_| StoreError::damaged(format!("version {} of {name} was changed or cut off", version.number)))
    }

    /// What is known of a version without opening it.
    ///
    /// # Errors
    /// As reading.
    pub fn describe(&self, name: &str, which: Which) -> Result<VersionRecord, StoreError> {
        let state = self.state()?;
        let entry = state.index.secrets.get(name).filter(|e| e.current.is_some()).ok_or(StoreError::NoSecret)?;
        pick(entry, which).map(|version| record(entry, version)).ok_or(StoreError::NoVersion)
    }

    /// The versions that are kept, oldest first.
    ///
    /// # Errors
    /// As reading.
    pub fn history(&self, name: &str) -> Result<Vec<VersionRecord>, StoreError> {
        let state = self.state()?;
        let entry = state.index.secrets.get(name).filter(|e| e.current.is_some()).ok_or(StoreError::NoSecret)?;
        Ok(entry.versions.iter().map(|version| record(entry, version)).collect())
    }

    /// The names of all secrets, sorted.
    ///
    /// # Errors
    /// The store cannot be opened; one that does not exist has none.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        match self.state() {
            Ok(state) => {
                Ok(state.index.secrets.into_iter().filter(|(_, e)| e.current.is_some()).map(|(n, _)| n).collect())
            }
            Err(StoreError::NoStore(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// What the store knows of itself.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub fn record(&self) -> Result<StoreRecord, StoreError> {
        let state = self.state()?;
        let witness = Witness::read(&self.witness_path(state.header.store), &*self.disk);
        Ok(StoreRecord {
            directory: self.directory.clone(),
            id: state.header.store,
            project: state.index.project.clone(),
            slots: state.header.slots.iter().map(Slot::kind).collect(),
            secrets: state.index.secrets.values().filter(|e| e.current.is_some()).count(),
            changes: state.index.change,
            is_witnessed: witness.is_some_and(|w| w.change() == state.index.change),
        })
    }

    /// Writes a new version, which is in force from then on. When this returns it is on the disk.
    ///
    /// # Errors
    /// A name or value that the store does not take; no room; the store cannot be opened. Then nothing has changed.
    pub fn put(&self, name: &str, value: &SecretValue, note: Option<&str>) -> Result<VersionRecord, StoreError> {
        check_name(name)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(StoreError::Refused(format!("a value has at most {MAX_VALUE_BYTES} bytes")));
        }
        if note.is_some_and(|note| note.len() > MAX_NOTE_BYTES) {
            return Err(StoreError::Refused(format!("a note has at most {MAX_NOTE_BYTES} bytes")));
        }
        let _lock = self.lock()?;
        let mut state = self.state_or_new()?;
        let mut entry = state.index.secrets.get(name).cloned().unwrap_or_default();
        let object = Id::random().map_err(StoreError::io("name a file in", &self.directory))?;
        let number = entry.last + 1;
        let place = ObjectPlace { store: state.header.store, object, name, version: number };
        self.write_object(value, &place, &state.key)?;
        entry.versions.push(Version { number, object, created: self.clock.now(), note: note.map(str::to_owned) });
        entry.last = number;
        entry.current = Some(number);
        while entry.versions.len() > self.keep_versions {
            entry.versions.remove(0);
        }
        let written = entry.versions.last().map(|version| record(&entry, version)).ok_or(StoreError::NoVersion)?;
        state.index.secrets.insert(name.to_owned(), entry);
        self.commit(&mut state)?;
        Ok(written)
    }

    /// Puts another version that is kept in force.
    ///
    /// # Errors
    /// There is none of that number; the store cannot be changed.
    pub fn activate(&self, name: &str, number: u64) -> Result<VersionRecord, StoreError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        let entry = state.index.secrets.get_mut(name).filter(|e| e.current.is_some()).ok_or(StoreError::NoSecret)?;
        if entry.version(number).is_none() {
            return Err(StoreError::NoVersion);
        }
        entry.current = Some(number);
        let activated = entry.version(number).map(|version| record(entry, version)).ok_or(StoreError::NoVersion)?;
        self.commit(&mut state)?;
        Ok(activated)
    }

    /// Removes all versions of a secret.
    ///
    /// # Errors
    /// There is none of that name; the store cannot be changed.
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        let entry = state.index.secrets.get_mut(name).filter(|e| e.current.is_some()).ok_or(StoreError::NoSecret)?;
        // The name stays, so that numbers of versions are not used twice.
        entry.current = None;
        entry.versions.clear();
        self.commit(&mut state)
    }

    /// Gives the store new keys: a new data key under which every value is written anew, and new keys of the ways to it.
    ///
    /// # Errors
    /// The store cannot be opened or changed. Then it opens as before.
    pub fn rekey(&self) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        let old_slots = state.header.slots.clone();
        let new_key = Arc::new(crypt::new_key().map_err(StoreError::io("make a key for", &self.directory))?);
        let mut index = state.index.clone();
        for (name, entry) in &mut index.secrets {
            for version in &mut entry.versions {
                let value = self.open_object(&state, name, version)?;
                version.object = Id::random().map_err(StoreError::io("name a file in", &self.directory))?;
                let place =
                    ObjectPlace { store: state.header.store, object: version.object, name, version: version.number };
                self.write_object(&value, &place, &new_key)?;
            }
        }
        let store = state.header.store;
        let remake = |slot: &Slot| slot.remake(store, &self.keys, &new_key);
        state.header.slots = old_slots.iter().map(remake).collect::<Result<_, _>>()?;
        state.index = index;
        state.key = new_key;
        self.commit(&mut state)?;
        old_slots.iter().for_each(|slot| slot.retire(store, &self.keys));
        Ok(())
    }

    /// Adds a way to the store's key, in place of one of the same kind.
    ///
    /// # Errors
    /// The way cannot be made, or the store cannot be changed.
    pub fn add_slot(&self, kind: SlotKind) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let mut state = self.state_or_new()?;
        let slot = Slot::make(kind, state.header.store, &self.keys, &state.key)?;
        state.header.slots.retain(|slot| slot.kind() != kind);
        state.header.slots.push(slot);
        self.commit(&mut state)
    }

    /// Removes a way to the store's key; the last one stays.
    ///
    /// # Errors
    /// There is no such way, or it is the last.
    pub fn remove_slot(&self, kind: SlotKind) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        let (removed, kept): (Vec<Slot>, Vec<Slot>) =
            state.header.slots.drain(..).partition(|slot| slot.kind() == kind);
        if removed.is_empty() {
            return Err(StoreError::Refused(format!("the store is not unlocked by {}", kind.as_str())));
        }
        if kept.is_empty() {
            return Err(StoreError::Refused("it is the last way to the store's key".to_owned()));
        }
        state.header.slots = kept;
        self.commit(&mut state)
    }

    /// Takes the store as it is for the newest state, after it was restored on purpose.
    ///
    /// # Errors
    /// The store cannot be opened, or the record of its state cannot be written.
    pub fn accept_rollback(&self) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let bytes = self.store_bytes()?;
        let state = self.open_bytes(&bytes)?;
        let path = self.witness_path(state.header.store);
        let witness = Witness::of(state.index.change, &bytes, &state.key);
        witness.write(&path, &*self.disk).map_err(StoreError::io("write", &path))
    }

    /// The store as it is now.
    pub(super) fn state(&self) -> Result<State, StoreError> {
        let mut bytes = self.store_bytes()?;
        loop {
            // The witness is read first: it is written last, so it is never ahead of the store that is read after it.
            let id = decode_header(&bytes)?.0.store;
            let witness = Witness::read(&self.witness_path(id), &*self.disk);
            bytes = self.store_bytes()?;
            let state = self.open_bytes(&bytes).and_then(|state| match witness {
                Some(witness) if state.header.store == id => {
                    witness.check(state.index.change, &bytes, &state.key).map(|()| state)
                }
                _ => Ok(state),
            });
            if state.is_ok() {
                return state;
            }
            // Another process may have given it new keys between reading the file and opening it.
            let now = self.store_bytes()?;
            if now == bytes {
                return state;
            }
            bytes = now;
        }
    }

    pub(super) fn store_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let path = self.directory.join(STORE_FILE);
        self.disk.read(&path, MAX_STORE_BYTES).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StoreError::NoStore(self.directory.clone()),
            _ => StoreError::io("read", &path)(error),
        })
    }

    pub(super) fn open_bytes(&self, bytes: &[u8]) -> Result<State, StoreError> {
        let (header, start) = decode_header(bytes)?;
        let mut known = self.data_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known
            && let Ok(index) = decode_index(bytes, start, key)
        {
            return Ok(State { header, index, key: Arc::clone(key) });
        }
        let key = Arc::new(open_any(&header.slots, header.store, &self.keys)?);
        let index = decode_index(bytes, start, &key)?;
        *known = Some(Arc::clone(&key));
        Ok(State { header, index, key })
    }

    fn state_or_new(&self) -> Result<State, StoreError> {
        match self.state() {
            Err(StoreError::NoStore(_)) => {}
            other => return other,
        }
        let failed = |e| StoreError::io("make a key for", &self.directory)(e);
        let store = Id::random().map_err(failed)?;
        let key = Arc::new(crypt::new_key().map_err(failed)?);
        let slots = vec![Slot::make(self.new_slot, store, &self.keys, &key)?];
        let index = Index { change: 0, project: self.project.clone(), secrets: Default::default() };
        Ok(State { header: Header { store, slots }, index, key })
    }

    fn write_object(&self, value: &SecretValue, place: &ObjectPlace<'_>, key: &SecretValue) -> Result<(), StoreError> {
        let path = self.object_path(place.object);
        let bytes = encode_object(value, place, key).map_err(StoreError::io("encrypt", &path))?;
        self.disk.create(&path, &bytes).map_err(StoreError::io("write", &path))
    }

    /// Makes a changed state the one in force, and removes what belongs to no state.
    pub(super) fn commit(&self, state: &mut State) -> Result<(), StoreError> {
        state.index.change += 1;
        let bytes = encode(&state.header, &state.index, &state.key)?;
        if bytes.len() as u64 > MAX_STORE_BYTES {
            return Err(StoreError::Refused("the store has no room for more secrets".to_owned()));
        }
        let objects = self.directory.join(OBJECTS);
        self.disk.sync_directory(&objects).map_err(StoreError::io("write", &objects))?;
        let path = self.directory.join(STORE_FILE);
        let new = self.directory.join("store.new");
        // Left by a process that ended in the middle; we hold the lock.
        let _ = self.disk.remove(&new);
        self.disk.create(&new, &bytes).map_err(StoreError::io("write", &new))?;
        if let Err(error) = self.disk.rename(&new, &path) {
            let _ = self.disk.remove(&new);
            return Err(StoreError::io("write", &path)(error));
        }
        self.disk.sync_directory(&self.directory).map_err(StoreError::io("write", &self.directory))?;
        *self.data_key.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&state.key));
        // The change is made. What follows can be made up for later: `custody cred doctor` says what is missing.
        let witness = Witness::of(state.index.change, &bytes, &state.key);
        let _ = witness.write(&self.witness_path(state.header.store), &*self.disk);
        self.remove_unused(&state.index);
        Ok(())
    }

    fn remove_unused(&self, index: &Index) {
        let directory = self.directory.join(OBJECTS);
        let used: BTreeSet<Id> = index.secrets.values().flat_map(|e| e.versions.iter().map(|v| v.object)).collect();
        for name in self.disk.names(&directory).unwrap_or_default() {
            if Id::parse(&name).is_some_and(|id| !used.contains(&id)) {
                let _ = self.disk.remove(&directory.join(name));
            }
        }
    }

    pub(super) fn slot_of_new(&self) -> SlotKind {
        self.new_slot
    }

    /// The newest change of a store that was seen here.
    pub(super) fn seen(&self, store: Id) -> u64 {
        Witness::read(&self.witness_path(store), &*self.disk).map_or(0, |w| w.change())
    }

    pub(super) fn object_path(&self, object: Id) -> PathBuf {
        self.directory.join(OBJECTS).join(object.to_string())
    }

    fn witness_path(&self, store: Id) -> PathBuf {
        self.keys.directory.join(format!("{store}.seen"))
    }

    /// Waits for others that change the store; makes its directory.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        let objects = self.directory.join(OBJECTS);
        self.disk.make_directory(&objects).map_err(StoreError::io("make the directory", &objects))?;
        let path = self.directory.join(LOCK_FILE);
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(StoreError::io("open", &path))?;
        let start = self.clock.elapsed();
        let mut pause = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
                Err(TryLockError::WouldBlock) if self.clock.elapsed().saturating_sub(start) > LOCK_PATIENCE => {
                    return Err(StoreError::Busy);
                }
                Err(TryLockError::WouldBlock) => {
                    self.clock.sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
            }
        }
    }
}

fn pick(entry: &Entry, which: Which) -> Option<&Version> {
    match which {
        Which::Current => entry.version(entry.current?),
        Which::Previous => entry.previous(),
        Which::Number(number) => entry.version(number),
    }
}

fn record(entry: &Entry, version: &Version) -> VersionRecord {
    VersionRecord {
        number: version.number,
        created: version.created,
        note: version.note.clone(),
        is_current: entry.current == Some(version.number),
    }
}

fn check_name(name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(StoreError::Refused(format!("a name has 1 to {MAX_NAME_BYTES} bytes")));
    }
    if name.chars().any(|c| c.is_control() || c == '#') {
        return Err(StoreError::Refused("a name has no control characters and no #".to_owned()));
    }
    Ok(())
}
