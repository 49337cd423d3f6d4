//! Places: an object at a path, with the commits that brought it there, and which tips still have it there.

use bstr::BString;
use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};
use serde::{Deserialize, Serialize};

use super::super::tables::{Map, Set};
use super::graph::Commit;

/// How many directories are read to learn what tips have.
const MAX_STEPS: usize = 1_000_000;

/// The root of all paths.
pub(in crate::history) const ROOT: u64 = 0;

/// An object at a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::history) struct Place {
    #[serde(with = "super::saved::id")]
    pub(in crate::history) object: ObjectId,
    /// The path, as [`below`] has it: two paths may be shown alike.
    pub(in crate::history) path: u64,
    /// The path as it is shown.
    pub(in crate::history) shown: String,
    /// The commits that have it there and none of whose parents does.
    pub(super) commits: Vec<Commit>,
}

impl Place {
    pub(in crate::history) fn new(object: ObjectId, path: u64, shown: String) -> Place {
        Place { object, path, shown, commits: Vec::new() }
    }
}

/// Something that a commit has at a path and none of its parents.
pub(in crate::history) struct Introduced {
    pub(in crate::history) object: ObjectId,
    pub(in crate::history) path: u64,
    pub(in crate::history) shown: String,
    pub(in crate::history) commit: ObjectId,
}

/// What stands for the path of an entry of a directory: a digest, so that nothing of a name is kept.
pub(in crate::history) fn below(directory: u64, name: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&directory.to_le_bytes());
    hasher.update(name);
    let mut short = [0; 8];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(short)
}

/// Places by object and path.
pub(super) type Numbers = Map<(ObjectId, u64), u32>;

pub(super) fn numbers(places: &[Place]) -> Numbers {
    (0..).zip(places).map(|(number, place)| ((place.object, place.path), number)).collect()
}

/// Tells which places differ between two tips.
pub(super) struct Difference<'d> {
    pub(super) repository: &'d Repository,
    pub(super) numbers: &'d Numbers,
    /// The objects that have places.
    pub(super) wanted: &'d Set<ObjectId>,
    pub(super) lost: Set<u32>,
    pub(super) gained: Vec<u32>,
    steps: usize,
}

/// A directory, by name: whether an entry is a directory, and its id.
type Directory = Map<BString, (bool, ObjectId)>;

impl<'d> Difference<'d> {
    pub(super) fn new(repository: &'d Repository, numbers: &'d Numbers, wanted: &'d Set<ObjectId>) -> Self {
        Difference { repository, numbers, wanted, lost: Set::default(), gained: Vec::new(), steps: 0 }
    }

    /// Compares two commits' trees; the first may be none. Whether all was compared.
    pub(super) fn commits(&mut self, before: Option<ObjectId>, after: ObjectId) -> bool {
        let tree = |commit: ObjectId| Some(self.repository.find_commit(commit).ok()?.tree_id().ok()?.detach());
        let Some(after) = tree(after) else { return false };
        let mut open = vec![(before.and_then(tree), Some(after), ROOT)];
        while let Some((before, after, path)) = open.pop() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return false;
            }
            if before != after {
                self.directories(before, after, path, &mut open);
            }
        }
        true
    }

    fn directories(
        &mut self,
        before: Option<ObjectId>,
        after: Option<ObjectId>,
        path: u64,
        open: &mut Vec<(Option<ObjectId>, Option<ObjectId>, u64)>,
    ) {
        let before = before.and_then(|tree| self.directory(tree)).unwrap_or_default();
        let after = after.and_then(|tree| self.directory(tree)).unwrap_or_default();
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        for name in after.keys().chain(gone) {
            let (old, new) = (before.get(name).copied(), after.get(name).copied());
            if old == new {
                continue;
            }
            let file = |entry: Option<(bool, ObjectId)>| {
                entry.filter(|(is_tree, id)| !is_tree && self.wanted.contains(id)).map(|(_, id)| id)
            };
            let tree = |entry: Option<(bool, ObjectId)>| entry.filter(|(is_tree, _)| *is_tree).map(|(_, id)| id);
            let (old_tree, new_tree) = (tree(old), tree(new));
            let (old, new) = (file(old), file(new));
            if old.is_none() && new.is_none() && old_tree == new_tree {
                continue;
            }
            let path = below(path, name);
            let number = |id: ObjectId| self.numbers.get(&(id, path)).copied();
            let (lost, gained) = (old.and_then(number), new.and_then(number));
            self.lost.extend(lost);
            self.gained.extend(gained);
            if old_tree != new_tree {
                open.push((old_tree, new_tree, path));
            }
        }
    }

    fn directory(&self, tree: ObjectId) -> Option<Directory> {
        let tree = self.repository.find_tree(tree).ok()?;
        let entries = tree.iter().map_while(Result::ok).filter(|entry| entry.kind() != EntryKind::Commit);
        Some(entries.map(|entry| (entry.filename().to_owned(), (entry.mode().is_tree(), entry.object_id()))).collect())
    }
}

/// Gives each file in a tree, if it is one.
pub(super) fn files_of(repository: &Repository, tree: ObjectId, each: &mut dyn FnMut(ObjectId)) {
    let mut seen = Set::from_iter([tree]);
    let mut open = vec![tree];
    while let Some(tree) = open.pop().filter(|_| seen.len() < MAX_STEPS) {
        if !repository.try_find_header(tree).is_ok_and(|header| header.is_some_and(|header| header.kind().is_tree())) {
            continue;
        }
        let Ok(tree) = repository.find_tree(tree) else { continue };
        for entry in tree.iter().map_while(Result::ok) {
            match entry.kind() {
                EntryKind::Commit => {}
                EntryKind::Tree if seen.insert(entry.object_id()) => open.push(entry.object_id()),
                EntryKind::Tree => {}
                _ => each(entry.object_id()),
            }
        }
    }
}
