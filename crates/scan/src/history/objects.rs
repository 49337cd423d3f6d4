//! The table of all objects that a repository has, under whatever name and however often it has them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{self, AtomicU64};

use custody_contract::SkipReason;
use gix::odb::pack;
use gix::{ObjectId, oid};

use super::family::Families;
use super::pack::PackFile;

/// A position in the table.
pub(super) type ObjectIndex = u32;

/// All ids, each once, in order. 20 bytes per object in a SHA-1 repository.
pub(super) struct ObjectTable {
    kind: gix::hash::Kind,
    ids: Vec<u8>,
    /// Where the ids start whose first two bytes are these.
    fan: Vec<u32>,
}

impl ObjectTable {
    /// The table of these ids, which may be in any order, and more than once there.
    ///
    /// # Panics
    ///
    /// If there are 4 billion or more: git's own pack index cannot hold so many.
    pub(super) fn new(kind: gix::hash::Kind, mut all: Vec<ObjectId>) -> Self {
        // Merges what is sorted already, as each pack's ids are.
        all.sort();
        all.dedup();
        assert!(u32::try_from(all.len()).is_ok_and(|count| count < u32::MAX), "fewer than 4 billion objects");
        let mut fan = vec![0u32; (1 << 16) + 1];
        let mut ids = Vec::with_capacity(all.len() * kind.len_in_bytes());
        for id in &all {
            fan[prefix(id.as_bytes()) + 1] += 1;
            ids.extend_from_slice(id.as_bytes());
        }
        for at in 1..fan.len() {
            fan[at] += fan[at - 1];
        }
        ObjectTable { kind, ids, fan }
    }

    pub(super) fn kind(&self) -> gix::hash::Kind {
        self.kind
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len() / self.kind.len_in_bytes()
    }

    pub(super) fn id(&self, index: ObjectIndex) -> &oid {
        oid::from_bytes_unchecked(self.bytes(index as usize))
    }

    fn bytes(&self, at: usize) -> &[u8] {
        let length = self.kind.len_in_bytes();
        &self.ids[at * length..][..length]
    }

    /// The position of the id whose bytes these are, if it is known.
    pub(super) fn lookup(&self, id: &[u8]) -> Option<ObjectIndex> {
        debug_assert_eq!(id.len(), self.kind.len_in_bytes());
        let prefix = prefix(id);
        let (mut from, mut to) = (self.fan[prefix] as usize, self.fan[prefix + 1] as usize);
        // Ids are evenly spread: it stands near where its next bytes say. A few steps narrow the range to that place.
        let share = u64::from(u32::from_be_bytes([id[2], id[3], id[4], id[5]]));
        let mut at = from + (((to - from) as u64 * share) >> 32) as usize;
        for _ in 0..8 {
            if from >= to {
                return None;
            }
            match id.cmp(self.bytes(at)) {
                Ordering::Equal => return Some(at as ObjectIndex),
                Ordering::Less => {
                    to = at;
                    at = at.saturating_sub(1).max(from);
                }
                Ordering::Greater => {
                    from = at + 1;
                    at = from.min(to.saturating_sub(1));
                }
            }
        }
        while from < to {
            let middle = from.midpoint(to);
            match id.cmp(self.bytes(middle)) {
                Ordering::Equal => return Some(middle as ObjectIndex),
                Ordering::Less => to = middle,
                Ordering::Greater => from = middle + 1,
            }
        }
        None
    }
}

fn prefix(id: &[u8]) -> usize {
    usize::from(id[0]) << 8 | usize::from(id[1])
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
        self.0[index as usize / 64].fetch_or(bit, atomic::Ordering::Relaxed) & bit == 0
    }

    pub(super) fn is_set(&self, index: ObjectIndex) -> bool {
        self.0[index as usize / 64].load(atomic::Ordering::Relaxed) & 1 << (index % 64) != 0
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
            table: ObjectTable::new(kind, Vec::new()),
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
        let mut loose = Vec::new();
        for (number, directory) in store.directories.clone().iter().enumerate() {
            if directory.is_dir() {
                packs.extend(store.packs_in(directory));
                store.loose_in(directory, &mut |id| loose.push((number, id)));
            } else {
                store.broken.push((shown(directory), SkipReason::Missing));
            }
        }
        let packed = packs.iter().flat_map(|(index, _)| index.iter().map(|entry| entry.oid));
        store.table = ObjectTable::new(kind, packed.chain(loose.iter().map(|(_, id)| *id)).collect());
        for (index, file) in packs {
            let objects: Vec<_> = (0..index.num_objects())
                .filter_map(|at| store.table.lookup(index.oid_at_index(at).as_bytes()))
                .collect();
            match file {
                Ok(file) => {
                    let corrupt = |object, error| store.note_corrupt(object, error);
                    let families = Families::read(&file, &index, &objects, corrupt);
                    store.packs.push(Pack { file, families });
                }
                // Unless they are found elsewhere, its objects are reported one by one.
                Err(reason) => objects.into_iter().for_each(|object| store.note_corrupt(object, reason)),
            }
        }
        let placed = loose.iter().filter_map(|(directory, id)| {
            let directory = u32::try_from(*directory).ok()?;
            Some(Loose { directory, object: store.table.lookup(id.as_bytes())? })
        });
        store.loose = placed.collect();
        store
    }

    /// The packs in a directory; for those that cannot be read, why.
    fn packs_in(&mut self, directory: &Path) -> Vec<(pack::index::File, Result<PackFile, &'static str>)> {
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
                Ok(file) => packs.push((index, Ok(file))),
                Err(_) if data_path.exists() => {
                    self.breaks(&data_path, "the pack cannot be read");
                    packs.push((index, Err("its pack cannot be read")));
                }
                Err(_) => {
                    self.breaks(&data_path, "the pack is missing");
                    packs.push((index, Err("its pack is missing")));
                }
            }
        }
        for name in names.iter().filter(|name| name.ends_with(".pack")) {
            if !names.contains(&name.replace(".pack", ".idx")) {
                self.breaks(&directory.join(name), "the pack has no index");
            }
        }
        packs
    }

    fn loose_in(&mut self, path: &Path, found: &mut dyn FnMut(ObjectId)) {
        let Ok(fans) = names_in(path) else { return };
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
                    found(id);
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
        let mut ids: Vec<_> = (0..5_000u32)
            .map(|number| {
                let mut bytes = [0; 20];
                bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
                bytes[10..14].copy_from_slice(&number.to_be_bytes());
                ObjectId::from_bytes_or_panic(&bytes)
            })
            // Such as no hash gives: many that start alike.
            .chain((0..200u8).map(|number| ObjectId::from_bytes_or_panic(&[&[7; 19][..], &[number]].concat())))
            .collect();
        ids.extend_from_within(..100);
        let table = ObjectTable::new(gix::hash::Kind::Sha1, ids.clone());
        assert_eq!(table.len(), 5_200);
        for id in &ids {
            assert_eq!(table.lookup(id.as_bytes()).map(|at| table.id(at)), Some(&**id));
        }
        for byte in [0, 7, 0xff] {
            assert_eq!(table.lookup(&[byte; 20]), None);
        }
        assert_eq!(ObjectTable::new(gix::hash::Kind::Sha1, Vec::new()).lookup(&[7; 20]), None);
    }

    #[test]
    fn a_mark_is_set_once() {
        let marks = Marks::new(65);
        assert!(marks.set(64));
        assert!(!marks.set(64));
        assert!(marks.is_set(64) && !marks.is_set(0));
    }
}
