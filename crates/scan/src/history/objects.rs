//! The table of all objects that a repository has, under whatever name and however often it has them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use custody_contract::SkipReason;
use gix::odb::pack;
use gix::{ObjectId, oid};

use super::family::Families;
use super::pack::PackFile;

/// A position in the table.
pub(super) type ObjectIndex = u32;

const EMPTY: u32 = u32::MAX;

/// All ids, each once, with a hash index over them. 26 bytes per object in a SHA-1 repository.
pub(super) struct ObjectTable {
    kind: gix::hash::Kind,
    ids: Vec<u8>,
    slots: Vec<u32>,
    mask: usize,
}

impl ObjectTable {
    pub(super) fn new(kind: gix::hash::Kind) -> Self {
        ObjectTable { kind, ids: Vec::new(), slots: vec![EMPTY; 64], mask: 63 }
    }

    pub(super) fn kind(&self) -> gix::hash::Kind {
        self.kind
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len() / self.kind.len_in_bytes()
    }

    pub(super) fn id(&self, index: ObjectIndex) -> &oid {
        let length = self.kind.len_in_bytes();
        oid::from_bytes_unchecked(&self.ids[index as usize * length..][..length])
    }

    /// Makes room for `more` ids.
    pub(super) fn reserve(&mut self, more: usize) {
        let total = self.len() + more;
        self.ids.reserve_exact(more * self.kind.len_in_bytes());
        let slots = (total * 3 / 2).next_power_of_two();
        if slots > self.slots.len() {
            self.rehash(slots);
        }
    }

    /// The id's position; it is entered if it is new.
    pub(super) fn insert(&mut self, id: &oid) -> ObjectIndex {
        let slot = match self.find(id.as_bytes()) {
            Ok(index) => return index,
            Err(slot) => slot,
        };
        let index = u32::try_from(self.len()).expect("fewer than 4 billion objects, as in git's own pack index");
        self.ids.extend_from_slice(id.as_bytes());
        self.slots[slot] = index;
        if self.len() * 4 > self.slots.len() * 3 {
            self.rehash(self.slots.len() * 2);
        }
        index
    }

    /// The position of the id whose bytes these are, if it is known.
    pub(super) fn lookup(&self, id: &[u8]) -> Option<ObjectIndex> {
        self.find(id).ok()
    }

    /// The id's position, or the slot that it would take.
    fn find(&self, id: &[u8]) -> Result<ObjectIndex, usize> {
        let length = self.kind.len_in_bytes();
        debug_assert_eq!(id.len(), length);
        let mut slot = hash(id) & self.mask;
        loop {
            match self.slots[slot] {
                EMPTY => return Err(slot),
                // Compared as one word first: nearly all others differ there, and no function is called for them.
                index
                    if self.ids[index as usize * length..][..8] == id[..8]
                        && self.ids[index as usize * length..][..length] == *id =>
                {
                    return Ok(index);
                }
                _ => slot = (slot + 1) & self.mask,
            }
        }
    }

    fn rehash(&mut self, slots: usize) {
        self.mask = slots - 1;
        self.slots = vec![EMPTY; slots];
        for (index, id) in (0u32..).zip(self.ids.chunks_exact(self.kind.len_in_bytes())) {
            let mut slot = hash(id) & self.mask;
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & self.mask;
            }
            self.slots[slot] = index;
        }
    }
}

/// Ids are hashes: any part of them will do. The first byte is left out, since packs are sorted by it.
fn hash(id: &[u8]) -> usize {
    id[1..9].iter().fold(0, |hash, &byte| hash << 8 | usize::from(byte))
}

/// One bit per object, set by whichever thread is first.
pub(super) struct Marks(Vec<AtomicU64>);

impl Marks {
    pub(super) fn new(objects: usize) -> Self {
        Marks((0..objects.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets the mark; whether it was not set before.
    pub(super) fn set(&self, index: ObjectIndex) -> bool {
        let bit = 1 << (index % 64);
        self.0[index as usize / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    pub(super) fn is_set(&self, index: ObjectIndex) -> bool {
        self.0[index as usize / 64].load(Ordering::Relaxed) & 1 << (index % 64) != 0
    }
}

/// A pack and how its objects depend on each other.
pub(super) struct Pack {
    pub(super) file: PackFile,
    pub(super) families: Families,
}

/// An object in a file of its own.
pub(super) struct Loose {
    pub(super) directory: u32,
    pub(super) object: ObjectIndex,
}

/// Where all objects are.
pub(super) struct Store {
    pub(super) table: ObjectTable,
    pub(super) packs: Vec<Pack>,
    pub(super) loose: Vec<Loose>,
    pub(super) directories: Vec<PathBuf>,
    /// Containers that cannot be used, with the number of objects in them where that is known.
    pub(super) broken: Vec<(String, SkipReason)>,
    /// Objects that cannot be decoded where they were met; sound copies elsewhere make up for it.
    pub(super) corrupt: Mutex<BTreeMap<ObjectIndex, &'static str>>,
}

impl Store {
    /// Lists the packs and loose objects of an object directory and its alternates.
    pub(super) fn open(objects: &Path, kind: gix::hash::Kind) -> Store {
        let mut store = Store {
            table: ObjectTable::new(kind),
            packs: Vec::new(),
            loose: Vec::new(),
            directories: vec![objects.to_owned()],
            broken: Vec::new(),
            corrupt: Mutex::default(),
        };
        let current = std::env::current_dir().unwrap_or_default();
        match gix::odb::alternate::resolve(objects.to_owned(), &current) {
            Ok(alternates) => store.directories.extend(alternates),
            Err(_) => store.breaks(&objects.join("info/alternates"), "the list of alternates cannot be followed"),
        }
        let mut packs = Vec::new();
        for directory in store.directories.clone() {
            if !directory.is_dir() {
                store.broken.push((shown(&directory), SkipReason::Missing));
                continue;
            }
            packs.extend(store.packs_in(&directory));
        }
        store.table.reserve(packs.iter().map(|(index, _)| index.num_objects() as usize).sum());
        for (index, file) in packs {
            let objects: Vec<_> =
                (0..index.num_objects()).map(|at| store.table.insert(index.oid_at_index(at))).collect();
            let families = Families::read(&file, &index, &objects, |object, error| store.note_corrupt(object, error));
            store.packs.push(Pack { file, families });
        }
        for directory in 0..store.directories.len() {
            store.loose_in(directory);
        }
        store
    }

    fn packs_in(&mut self, directory: &Path) -> Vec<(pack::index::File, PackFile)> {
        let directory = directory.join("pack");
        let names = match names_in(&directory) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.broken.push((shown(&directory), crate::source::unreadable(&error)));
                return Vec::new();
            }
        };
        let kind = self.table.kind();
        let mut packs = Vec::new();
        for name in names.iter().filter(|name| name.ends_with(".idx")) {
            let path = directory.join(name);
            let data_path = path.with_extension("pack");
            let Ok(index) = pack::index::File::at(&path, kind) else {
                self.breaks(&path, "the pack index cannot be read");
                continue;
            };
            match PackFile::open(&data_path, kind) {
                Ok(file) => packs.push((index, file)),
                Err(_) => self.unusable(&data_path, &index),
            }
        }
        for name in names.iter().filter(|name| name.ends_with(".pack")) {
            if !names.contains(&name.replace(".pack", ".idx")) {
                self.breaks(&directory.join(name), "the pack has no index");
            }
        }
        packs
    }

    /// Enters the objects of a pack of which only the index can be used: unless they are found elsewhere, they are
    /// reported one by one.
    fn unusable(&mut self, data_path: &Path, index: &pack::index::File) {
        let reason = if data_path.exists() { "its pack cannot be read" } else { "its pack is missing" };
        for at in 0..index.num_objects() {
            let object = self.table.insert(index.oid_at_index(at));
            self.note_corrupt(object, reason);
        }
        self.breaks(data_path, if data_path.exists() { "the pack cannot be read" } else { "the pack is missing" });
    }

    fn loose_in(&mut self, directory: usize) {
        let path = self.directories[directory].clone();
        let Ok(fans) = names_in(&path) else { return };
        let mut hex = String::new();
        for fan in fans.iter().filter(|fan| fan.len() == 2 && is_hex(fan)) {
            let names = match names_in(&path.join(fan)) {
                Ok(names) => names,
                Err(error) => {
                    self.broken.push((shown(&path.join(fan)), crate::source::unreadable(&error)));
                    continue;
                }
            };
            for name in names {
                hex.clear();
                hex.push_str(fan);
                hex.push_str(&name);
                if hex.len() == self.table.kind().len_in_hex()
                    && let Ok(id) = ObjectId::from_hex(hex.as_bytes())
                {
                    let object = self.table.insert(&id);
                    self.loose.push(Loose { directory: u32::try_from(directory).unwrap_or(u32::MAX), object });
                }
            }
        }
    }

    fn breaks(&mut self, path: &Path, error: &str) {
        self.broken.push((shown(path), SkipReason::Corrupt { error: error.to_owned() }));
    }

    /// Whether the id is of the repository's kind and names nothing that is there.
    pub(super) fn lacks(&self, id: &ObjectId) -> bool {
        id.kind() == self.table.kind() && !id.is_null() && self.table.lookup(id.as_bytes()).is_none()
    }

    pub(super) fn note_corrupt(&self, object: ObjectIndex, error: &'static str) {
        self.corrupt.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(object).or_insert(error);
    }
}

/// The names in a directory that are UTF-8, as all of git's own are.
fn names_in(directory: &Path) -> std::io::Result<HashSet<String>> {
    std::fs::read_dir(directory)?
        .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
        .collect()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A path within the repository, by its last three parts.
fn shown(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(3).collect();
    let path: PathBuf = parts.into_iter().rev().collect();
    crate::source::escape(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_entered_once_and_found() {
        let mut table = ObjectTable::new(gix::hash::Kind::Sha1);
        let ids: Vec<_> = (0..5_000u32)
            .map(|number| {
                let mut bytes = [0; 20];
                bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
                ObjectId::from_bytes_or_panic(&bytes)
            })
            .collect();
        for (at, id) in (0u32..).zip(&ids).chain((0u32..).zip(&ids)) {
            assert_eq!(table.insert(id), at);
        }
        assert_eq!(table.len(), ids.len());
        assert_eq!(table.lookup(ids[77].as_bytes()), Some(77));
        assert_eq!(table.lookup(&[0xff; 20]), None);
    }

    #[test]
    fn a_mark_is_set_once() {
        let marks = Marks::new(65);
        assert!(marks.set(64));
        assert!(!marks.set(64));
        assert!(marks.is_set(64) && !marks.is_set(0));
    }
}
