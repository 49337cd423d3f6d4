//! Backups: one file with everything, as encrypted as the store itself, that opens without this machine's keys.
//!
//! `custody-backup1\n`, then for each part its length (8 bytes, little-endian) and its bytes: the `store` file with its
//! own ways to the key, then the objects, each after the 16 bytes of its id.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::SecretValue;

use super::error::StoreError;
use super::format::{Header, Id, ObjectPlace, decode_header, decode_index, decode_object, encode};
use super::slot::{Keys, Slot, SlotKind, open_any};
use super::store::{State, Store};

const MAGIC: &[u8; 16] = b"custody-backup1\n";
/// Largest backup, in bytes.
const MAX_BYTES: u64 = 4 << 30;

/// What a restore did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// How many secrets there are now.
    pub secrets: usize,
    /// How many versions of them.
    pub versions: usize,
}

impl Store {
    /// Writes a backup to a new file, for whoever `keys` says; every value is opened once, so that a damaged store does
    /// not become a damaged backup. The answer is how many secrets it has.
    ///
    /// # Errors
    /// The store cannot be opened, a value is damaged, or the file exists or cannot be written.
    pub fn back_up(&self, file: &Path, kind: SlotKind, keys: &Keys) -> Result<usize, StoreError> {
        if !matches!(kind, SlotKind::Passphrase | SlotKind::Age) {
            return Err(StoreError::Refused("a backup opens by passphrase or age identity".to_owned()));
        }
        let _lock = self.lock()?;
        let state = self.state()?;
        let slot = Slot::make(kind, state.header.store, keys, &state.key)?;
        let header = Header { store: state.header.store, slots: vec![slot] };
        let mut bytes = MAGIC.to_vec();
        part(&mut bytes, &[&encode(&header, &state.index, &state.key)?]);
        for (name, entry) in &state.index.secrets {
            for version in &entry.versions {
                self.open_object(&state, name, version)?;
                let path = self.object_path(version.object);
                let object = self.disk.read(&path, MAX_BYTES).map_err(StoreError::io("read", &path))?;
                part(&mut bytes, &[&version.object.0, &object]);
            }
        }
        self.disk.create(file, &bytes).map_err(StoreError::io("write", file))?;
        let directory = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.disk.sync_directory(directory).map_err(StoreError::io("write", directory))?;
        Ok(state.index.secrets.values().filter(|e| e.current.is_some()).count())
    }

    /// Takes a backup's state for the store's, with the ways to the key that a new store gets. Every value is opened
    /// before anything changes. A store that is there is replaced only with `replace`.
    ///
    /// # Errors
    /// The backup is no backup, damaged, or does not open with `keys`; there is a store already; nothing can be written.
    pub fn restore(&self, file: &Path, keys: &Keys, replace: Replace) -> Result<Restored, StoreError> {
        let bytes = self.disk.read(file, MAX_BYTES).map_err(StoreError::io("read", file))?;
        let cut = || StoreError::damaged("the backup is cut off or was changed");
        let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(|| StoreError::damaged("it is no backup of a store"))?;
        let store = next_part(&mut rest).ok_or_else(cut)?;
        let (header, start) = decode_header(store)?;
        let key = Arc::new(open_any(&header.slots, header.store, keys)?);
        let index = decode_index(store, start, &key)?;
        let mut objects: BTreeMap<Id, &[u8]> = BTreeMap::new();
        while !rest.is_empty() {
            let part = next_part(&mut rest).ok_or_else(cut)?;
            let (id, object) = part.split_first_chunk::<16>().ok_or_else(cut)?;
            objects.insert(Id(*id), object);
        }
        let mut versions = 0;
        for (name, entry) in &index.secrets {
            for version in &entry.versions {
                let place = ObjectPlace { store: header.store, object: version.object, name, version: version.number };
                let object = objects.get(&version.object).ok_or_else(cut)?;
                let _: SecretValue = decode_object(object, &place, &key).map_err(|_| cut())?;
                versions += 1;
            }
        }
        let _lock = self.lock()?;
        let change = match self.state() {
            _ if replace == Replace::No && self.exists() => {
                return Err(StoreError::Refused(
                    "there is a store already; --replace puts the backup in its place".to_owned(),
                ));
            }
            Ok(state) => state.index.change,
            Err(_) => 0,
        };
        for (id, object) in &objects {
            let path = self.object_path(*id);
            match self.disk.create(&path, object) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                    // Of the same store: the same id has the same bytes, unless it was damaged.
                    self.disk.remove(&path).map_err(StoreError::io("replace", &path))?;
                    self.disk.create(&path, object).map_err(StoreError::io("write", &path))?;
                }
                result => result.map_err(StoreError::io("write", &path))?,
            }
        }
        let slots = vec![Slot::make(self.slot_of_new(), header.store, &self.keys, &key)?];
        let secrets = index.secrets.values().filter(|e| e.current.is_some()).count();
        let mut state = State { header: Header { store: header.store, slots }, index, key };
        // Ahead of what was seen of either, so that the restored state is the newest.
        state.index.change = state.index.change.max(change).max(self.seen(header.store));
        self.commit(&mut state)?;
        Ok(Restored { secrets, versions })
    }
}

/// Whether a store that is there may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and the restore fails.
    No,
    /// The backup takes its place.
    Yes,
}

fn part(bytes: &mut Vec<u8>, pieces: &[&[u8]]) {
    let length: usize = pieces.iter().map(|p| p.len()).sum();
    bytes.extend_from_slice(&(length as u64).to_le_bytes());
    pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
}

fn next_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (part, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(part)
}
