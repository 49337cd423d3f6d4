//! The table of all objects that a repository has, under whatever name and however often it has them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{self, AtomicU64};

use custody_contract::SkipReason;
use gix::odb::pack;
use gix::{ObjectId, oid};

use super::cache::{self, PackId, State};
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

    /// Whether the marks of the first `count` objects are all set.
    pub(super) fn all(&self, count: usize) -> bool {
        (0..).take(count).all(|object| self.is_set(object))
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

/// What an object directory and its alternates hold.
pub(super) struct Listing {
    kind: gix::hash::Kind,
    directories: Vec<PathBuf>,
    /// Packs by the path of their index, and what tells them from others, if they can be read.
    packs: Vec<(PathBuf, Option<PackId>)>,
    /// Loose objects, by their directory.
    loose: Vec<(u32, ObjectId)>,
    /// Containers that cannot be used.
    broken: Vec<(String, SkipReason)>,
}

impl Listing {
    /// Lists the packs and loose objects of an object directory and its alternates.
    pub(super) fn of(objects: &Path, kind: gix::hash::Kind) -> Listing {
        let mut listing = Listing {
            kind,
            packs: Vec::new(),
            loose: Vec::new(),
            directories: vec![objects.to_owned()],
            broken: Vec::new(),
        };
        let current = std::env::current_dir().unwrap_or_default();
        match gix::odb::alternate::resolve(objects.to_owned(), &current) {
            Ok(alternates) => listing.directories.extend(alternates),
            Err(_) => listing.breaks(&objects.join("info/alternates"), "the list of alternates cannot be followed"),
        }
        for (number, directory) in (0..).zip(listing.directories.clone()) {
            if directory.is_dir() {
                listing.packs_in(&directory);
                listing.loose_in(&directory, number);
            } else {
                listing.broken.push((shown(&directory), SkipReason::Missing));
            }
        }
        listing
    }

    /// Whether all that is known of is still there, and nothing has come of what was missing.
    pub(super) fn holds(&self, state: &State) -> bool {
        let here: HashSet<&PackId> = self.packs.iter().filter_map(|(_, pack)| pack.as_ref()).collect();
        if !self.broken.is_empty() || state.packs.iter().any(|pack| !here.contains(pack)) {
            return false;
        }
        let loose: HashSet<&[u8]> = self.loose.iter().map(|(_, id)| id.as_bytes()).collect();
        let new: Vec<_> = self.new_packs(Some(state)).filter_map(|(path, _)| self.index(path).ok()).collect();
        let packed = |id: &oid| new.iter().any(|index| index.lookup(id).is_some());
        cache::ids(&state.loose, self.kind).all(|id| loose.contains(id.as_bytes()) || packed(&id))
            && cache::ids(&state.missing, self.kind).all(|id| !loose.contains(id.as_bytes()) && !packed(&id))
    }

    /// The packs that are not known.
    fn new_packs<'l>(&'l self, state: Option<&'l State>) -> impl Iterator<Item = &'l (PathBuf, Option<PackId>)> {
        let known = move |pack: &PackId| state.is_some_and(|state| state.packs.contains(pack));
        self.packs.iter().filter(move |(_, pack)| !pack.as_ref().is_some_and(known))
    }

    fn index(&self, path: &Path) -> Result<pack::index::File, ()> {
        pack::index::File::at(path, self.kind).map_err(|_| ())
    }

    /// Writes down which packs and loose objects there are.
    pub(super) fn note(&self, state: &mut State) {
        state.packs = self.packs.iter().filter_map(|(_, pack)| pack.clone()).collect();
        let mut loose: Vec<&ObjectId> = self.loose.iter().map(|(_, id)| id).collect();
        loose.sort();
        loose.dedup();
        state.loose = loose.iter().flat_map(|id| id.as_bytes().iter().copied()).collect();
    }

    fn packs_in(&mut self, directory: &Path) {
        let directory = directory.join("pack");
        let mut names: Vec<String> = match names_in(&directory) {
            Ok(names) => names.into_iter().collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => return self.broken.push((shown(&directory), crate::source::unreadable(&error))),
        };
        names.sort_unstable();
        for name in names.iter().filter(|name| name.ends_with(".idx")) {
            let path = directory.join(name);
            let pack = PackId::of(&path.with_extension("pack"), self.kind);
            self.packs.push((path, pack));
        }
        for name in names.iter().filter(|name| name.ends_with(".pack")) {
            if names.binary_search(&name.replace(".pack", ".idx")).is_err() {
                self.breaks(&directory.join(name), "the pack has no index");
            }
        }
    }

    fn loose_in(&mut self, path: &Path, directory: u32) {
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
                if hex.len() == self.kind.len_in_hex()
                    && let Ok(id) = ObjectId::from_hex(hex.as_bytes())
                {
                    self.loose.push((directory, id));
                }
            }
        }
    }

    fn breaks(&mut self, path: &Path, error: &str) {
        self.broken.push((shown(path), SkipReason::Corrupt { error: error.to_owned() }));
    }
}

impl PackId {
    fn of(path: &Path, kind: gix::hash::Kind) -> Option<PackId> {
        let mut file = std::fs::File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let start = length.checked_sub(kind.len_in_bytes() as u64)?;
        file.seek(std::io::SeekFrom::Start(start)).ok()?;
        let mut trailer = Vec::new();
        file.read_to_end(&mut trailer).ok()?;
        let name = crate::source::escape(path.as_os_str().as_encoded_bytes());
        Some(PackId { name, length, trailer })
    }
}

/// Where all objects are that are to be read.
pub(super) struct Store {
    /// What is new.
    pub(super) table: ObjectTable,
    pub(super) packs: Vec<Pack>,
    pub(super) loose: Vec<Loose>,
    pub(super) directories: Vec<PathBuf>,
    /// Containers that cannot be used, with the number of objects in them where that is known.
    pub(super) broken: Vec<(String, SkipReason)>,
    /// Objects that cannot be decoded where they were met; sound copies elsewhere make up for it.
    pub(super) corrupt: Mutex<BTreeMap<ObjectIndex, &'static str>>,
    /// What is known from before: the indexes of packs, and loose objects in order.
    known: Vec<pack::index::File>,
    known_loose: Vec<ObjectId>,
}

impl Store {
    /// What is listed and not known.
    pub(super) fn new(listing: &Listing, state: Option<&State>) -> Store {
        let kind = listing.kind;
        let mut store = Store {
            table: ObjectTable::new(kind, Vec::new()),
            packs: Vec::new(),
            loose: Vec::new(),
            directories: listing.directories.clone(),
            broken: listing.broken.clone(),
            corrupt: Mutex::default(),
            known: Vec::new(),
            known_loose: state.map_or_else(Vec::new, |state| cache::ids(&state.loose, kind).collect()),
        };
        if state.is_some() {
            let new: HashSet<&PathBuf> = listing.new_packs(state).map(|(path, _)| path).collect();
            let known = listing.packs.iter().filter(|(path, _)| !new.contains(path));
            store.known = known.filter_map(|(path, _)| listing.index(path).ok()).collect();
        }
        let mut packs = Vec::new();
        for (path, _) in listing.new_packs(state) {
            let Ok(index) = listing.index(path) else {
                store.breaks(path, "the pack index cannot be read");
                continue;
            };
            let data_path = path.with_extension("pack");
            let file = PackFile::open(&data_path, kind).map_err(|_| {
                let missing = !data_path.exists();
                store.breaks(&data_path, if missing { "the pack is missing" } else { "the pack cannot be read" });
                if missing { "its pack is missing" } else { "its pack cannot be read" }
            });
            packs.push((index, file));
        }
        let packed = packs.iter().flat_map(|(index, _)| index.iter().map(|entry| entry.oid));
        let loose: Vec<_> = listing.loose.iter().filter(|(_, id)| !store.knows_loose(id)).collect();
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
        let placed = loose
            .into_iter()
            .filter_map(|&(directory, id)| Some(Loose { directory, object: store.table.lookup(id.as_bytes())? }));
        store.loose = placed.collect();
        store
    }

    /// Whether the object was read before.
    pub(super) fn knows(&self, id: &oid) -> bool {
        self.known.iter().any(|index| index.lookup(id).is_some()) || self.knows_loose(id)
    }

    fn knows_loose(&self, id: &oid) -> bool {
        self.known_loose.binary_search_by(|known| (**known).cmp(id)).is_ok()
    }

    /// Marks what was read before, so that it is not searched and counted again.
    pub(super) fn mark_known(&self, done: &Marks) {
        if self.known.is_empty() && self.known_loose.is_empty() {
            return;
        }
        for object in (0..).take(self.table.len()).filter(|&object| self.knows(self.table.id(object))) {
            done.set(object);
        }
    }

    fn breaks(&mut self, path: &Path, error: &str) {
        self.broken.push((shown(path), SkipReason::Corrupt { error: error.to_owned() }));
    }

    /// Whether the id is of the repository's kind and names nothing that is there.
    pub(super) fn lacks(&self, id: &ObjectId) -> bool {
        id.kind() == self.table.kind() && !id.is_null() && self.table.lookup(id.as_bytes()).is_none() && !self.knows(id)
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
        for byte in [1, 8, 0xff] {
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
