//! What commits bring: the files that none of their parents has at the same place, by id.

use std::collections::{HashMap, HashSet};

use bstr::BString;
use gix::ObjectId;
use gix::objs::{Kind, TreeRefIter};

use super::commits::{Commit, Commits};
use super::objects::{Objects, Unread};

/// A file's content that the range brings, with its first place.
pub(super) struct NewBlob {
    pub(super) id: ObjectId,
    pub(super) path: BString,
    pub(super) commit: Option<ObjectId>,
}

/// A path that the range brings.
pub(super) struct NewPath {
    pub(super) path: BString,
    pub(super) commit: Option<ObjectId>,
}

/// Collects what commits and trees bring; give it commits in order.
pub(super) struct Trees<'t> {
    objects: &'t Objects,
    seen: HashSet<ObjectId>,
    pub(super) blobs: Vec<NewBlob>,
    pub(super) paths: Vec<NewPath>,
    pub(super) submodules: Vec<BString>,
    pub(super) unread: Vec<(ObjectId, Unread)>,
    /// Trees read, and their bytes.
    pub(super) read: (u64, u64),
    named: HashSet<BString>,
}

/// A directory to look into, beside those at the same place in the parents.
struct Directory {
    tree: ObjectId,
    parents: Vec<ObjectId>,
    /// Its path, empty or ending in `/`.
    path: BString,
}

impl<'t> Trees<'t> {
    pub(super) fn new(objects: &'t Objects) -> Self {
        Trees {
            objects,
            seen: HashSet::new(),
            blobs: Vec::new(),
            paths: Vec::new(),
            submodules: Vec::new(),
            unread: Vec::new(),
            read: (0, 0),
            named: HashSet::new(),
        }
    }

    /// Leaves out trees and files that are known to be there.
    pub(super) fn except(&mut self, known: &HashSet<ObjectId>) {
        self.seen.extend(known);
    }

    /// Notes what `commit` brings that no parent of it has.
    pub(super) fn commit(&mut self, commit: &Commit, commits: &Commits<'_>) {
        let Some(tree) = commit.tree else {
            return self.unread.push((commit.id, Unread::Corrupt("the commit names no tree")));
        };
        let parents: Vec<_> = commit.parents.iter().filter_map(|parent| commits.tree(*parent)).collect();
        if !parents.contains(&tree) {
            self.below(Directory { tree, parents, path: BString::default() }, Some(commit.id));
        }
    }

    /// Notes all that a tree holds that no commit leads to.
    pub(super) fn tree(&mut self, tree: ObjectId) {
        self.below(Directory { tree, parents: Vec::new(), path: BString::default() }, None);
    }

    /// Notes a file's content that no tree leads to.
    pub(super) fn blob(&mut self, id: ObjectId) {
        if self.seen.insert(id) {
            self.blobs.push(NewBlob { id, path: format!("object {id}").into(), commit: None });
        }
    }

    fn below(&mut self, top: Directory, commit: Option<ObjectId>) {
        let mut open = vec![top];
        let mut buffer = Vec::new();
        while let Some(directory) = open.pop() {
            if !self.seen.insert(directory.tree) {
                continue;
            }
            let data = match self.objects.read_as(directory.tree, Kind::Tree, &mut buffer) {
                Ok(data) => data,
                Err(unread) => {
                    self.unread.push((directory.tree, unread));
                    continue;
                }
            };
            self.read = (self.read.0 + 1, self.read.1 + data.len() as u64);
            let known: Vec<Listing> = directory.parents.iter().map(|tree| Listing::read(self.objects, *tree)).collect();
            self.entries(&directory, data, &known, commit, &mut open);
        }
    }

    fn entries(
        &mut self,
        directory: &Directory,
        data: &[u8],
        known: &[Listing],
        commit: Option<ObjectId>,
        open: &mut Vec<Directory>,
    ) {
        let known: Vec<_> = known.iter().map(|listing| listing.entries(self.objects.hash())).collect();
        let first = open.len();
        for entry in TreeRefIter::from_bytes(data, self.objects.hash()) {
            let Ok(entry) = entry else {
                let malformed = Unread::Corrupt("the tree is not well-formed");
                self.unread.push((directory.tree, malformed));
                break;
            };
            let name: &[u8] = entry.filename;
            let beside: Vec<_> = known.iter().filter_map(|entries| entries.get(name)).collect();
            if beside.iter().any(|(_, id)| **id == *entry.oid) {
                continue;
            }
            let path = || BString::from([&directory.path[..], name].concat());
            let id = entry.oid.to_owned();
            if entry.mode.is_tree() {
                let parents = beside.iter().filter(|(tree, _)| *tree).map(|(_, id)| (*id).to_owned()).collect();
                let mut path = path();
                path.push(b'/');
                open.push(Directory { tree: id, parents, path });
                continue;
            }
            if beside.iter().all(|(tree, _)| *tree) && self.named.insert(path()) {
                self.paths.push(NewPath { path: path(), commit });
            }
            if entry.mode.is_commit() {
                self.submodules.push(path());
            } else if self.seen.insert(id) {
                self.blobs.push(NewBlob { id, path: path(), commit });
            }
        }
        // Directories are looked into in their order, whatever the stack's.
        open[first..].reverse();
    }
}

/// A directory of a parent. One that cannot be read counts as empty: more is searched then, not less.
struct Listing(Vec<u8>);

impl Listing {
    fn read(objects: &Objects, tree: ObjectId) -> Self {
        let mut buffer = Vec::new();
        Listing(objects.read_as(tree, Kind::Tree, &mut buffer).map(<[u8]>::to_vec).unwrap_or_default())
    }

    fn entries(&self, hash: gix::hash::Kind) -> HashMap<&[u8], (bool, &gix::oid)> {
        let entries = TreeRefIter::from_bytes(&self.0, hash).map_while(Result::ok);
        entries.map(|entry| (&**entry.filename, (entry.mode.is_tree(), entry.oid))).collect()
    }
}

/// Those of `wanted` that stand somewhere in one of `trees`.
pub(super) fn standing(objects: &Objects, trees: &[ObjectId], wanted: &HashSet<ObjectId>) -> HashSet<ObjectId> {
    let (mut seen, mut found) = (HashSet::new(), HashSet::new());
    let mut open = trees.to_vec();
    let mut buffer = Vec::new();
    while let Some(tree) = open.pop() {
        if found.len() == wanted.len() {
            break;
        }
        if !seen.insert(tree) {
            continue;
        }
        let Ok(data) = objects.read_as(tree, Kind::Tree, &mut buffer) else { continue };
        for entry in TreeRefIter::from_bytes(data, objects.hash()).map_while(Result::ok) {
            let id = entry.oid.to_owned();
            if entry.mode.is_tree() {
                open.push(id);
            } else if wanted.contains(&id) {
                found.insert(id);
            }
        }
    }
    found
}
