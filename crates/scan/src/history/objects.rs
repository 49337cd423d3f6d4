//! Where the objects are that are to be read.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use custody_contract::SkipReason;
use gix::odb::pack;
use gix::{ObjectId, oid};

use super::budget::Budget;
use super::cache;
use super::family::Families;
use super::listing::{Listing, shown};
use super::pack::PackFile;
use super::state::State;
pub(super) use super::table::{Marks, ObjectIndex, ObjectTable};

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

/// Which objects of a pack are to be decoded; their bases are, too.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'w> {
    All,
    /// Those that are not marked.
    New(&'w Marks),
    /// Those that are not marked as old, those that are to be read again, and all that refers to others.
    Structure {
        old: &'w Marks,
        again: &'w Marks,
    },
}

impl Wanted<'_> {
    /// Whether the object is wanted, if it is or is not a file.
    pub(super) fn takes(self, object: ObjectIndex, is_blob: bool) -> bool {
        match self {
            Wanted::All => true,
            Wanted::New(old) => !old.is_set(object),
            Wanted::Structure { old, again } => !is_blob || !old.is_set(object) || again.is_set(object),
        }
    }

    fn may_take(self, object: ObjectIndex) -> bool {
        self.takes(object, false)
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
    /// How much memory may be taken.
    pub(super) budget: Budget,
    /// Packs that are to be walked, until their objects are related.
    opened: Vec<(pack::index::File, Result<PackFile, &'static str>)>,
    /// What is known from before: the indexes of packs, opened when they are needed, and loose objects in order.
    known: Vec<(PathBuf, OnceLock<Option<pack::index::File>>)>,
    known_loose: Vec<ObjectId>,
}

impl Store {
    /// What is listed and no part of `state`.
    pub(super) fn new(listing: &Listing, state: Option<&State>) -> Store {
        let kind = listing.kind;
        let mut store = Store {
            table: ObjectTable::new(kind, Vec::new()),
            packs: Vec::new(),
            loose: Vec::new(),
            directories: listing.directories.clone(),
            broken: listing.broken.clone(),
            corrupt: Mutex::default(),
            budget: Budget::of(usize::MAX, usize::MAX, usize::MAX, 1),
            opened: Vec::new(),
            known: Vec::new(),
            known_loose: state.map_or_else(Vec::new, |state| cache::ids(&state.loose, kind).collect()),
        };
        if state.is_some() {
            let new: HashSet<&PathBuf> = listing.new_packs(state).map(|(path, _)| path).collect();
            let known = listing.packs.iter().filter(|(path, _)| !new.contains(path));
            store.known = known.map(|(path, _)| (path.clone(), OnceLock::new())).collect();
        }
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
            store.opened.push((index, file));
        }
        let packed = store.opened.iter().flat_map(|(index, _)| index.iter().map(|entry| entry.oid));
        let loose: Vec<_> = listing.loose.iter().filter(|(_, id)| !store.knows_loose(id)).collect();
        store.table = ObjectTable::new(kind, packed.chain(loose.iter().map(|(_, id)| *id)).collect());
        let placed = loose
            .into_iter()
            .filter_map(|&(directory, id)| Some(Loose { directory, object: store.table.lookup(id.as_bytes())? }));
        store.loose = placed.collect();
        store
    }

    /// Finds out how the wanted objects in packs depend on others. To be called once, before packs are walked.
    pub(super) fn relate(&mut self, wanted: Wanted<'_>) {
        for (index, file) in std::mem::take(&mut self.opened) {
            let objects: Vec<_> = (0..index.num_objects())
                .filter_map(|at| self.table.lookup(index.oid_at_index(at).as_bytes()))
                .collect();
            match file {
                Ok(file) if objects.iter().any(|&object| wanted.may_take(object)) => {
                    let corrupt = |object, error| self.note_corrupt(object, error);
                    let families = Families::read(&file, &index, &objects, wanted, corrupt);
                    self.packs.push(Pack { file, families });
                }
                Ok(_) => {}
                // Unless they are found elsewhere, its objects are reported one by one.
                Err(reason) => objects.into_iter().for_each(|object| self.note_corrupt(object, reason)),
            }
        }
    }

    /// Whether the object was read before.
    pub(super) fn knows(&self, id: &oid) -> bool {
        let kind = self.table.kind();
        let has = |(path, index): &(PathBuf, OnceLock<Option<pack::index::File>>)| {
            let index = index.get_or_init(|| pack::index::File::at(path, kind).ok());
            index.as_ref().is_some_and(|index| index.lookup(id).is_some())
        };
        self.knows_loose(id) || self.known.iter().any(has)
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

    /// The size in bytes up to which an object is held in memory.
    pub(super) fn most(&self) -> u64 {
        super::walk::MAX_IN_MEMORY.min(self.budget.large as u64)
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
