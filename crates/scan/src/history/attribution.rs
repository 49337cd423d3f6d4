//! Where the objects stand in which something was found: their paths, and for each path the oldest commit that has it.
//!
//! Nothing of this is known while objects are searched, and it is not worth knowing for most. So it is found out
//! afterwards, in one more pass over the trees alone, which notes the links between directories and those to the objects
//! in question. What cannot lead to them is dropped, and the rest is walked from the commits, oldest first.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use foldhash::fast::RandomState;
use gix::objs::Kind;

use super::loose::{LooseVisitor, walk_loose};
use super::objects::{Marks, ObjectIndex, Store};
use super::tree_entries::{self, Mode};
use super::visit::CommitRecord;
use super::walk::{From, Visitor, walk_pack};

/// How many paths are given for one object.
pub(super) const MAX_PATHS: usize = 20;

/// How many directories, each counted once for each path it stands at, are walked. A repository made to multiply them
/// without end leaves some objects without a path.
const MAX_STEPS: usize = 20_000_000;

/// One place of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) path: String,
    pub(super) commit: ObjectIndex,
}

/// The names that stand in trees: as they may be shown, and by which number they are known here.
pub(super) struct Names {
    pub(super) numbers: HashMap<Box<[u8]>, u32, RandomState>,
    pub(super) shown: Vec<String>,
}

/// Finds out where the `wanted` objects stand.
pub(super) fn attribute(
    store: &Store,
    wanted: &HashSet<ObjectIndex>,
    mut commits: Vec<CommitRecord>,
    names: &Names,
    threads: usize,
) -> HashMap<ObjectIndex, Vec<Standing>> {
    if wanted.is_empty() {
        return HashMap::new();
    }
    let reaching = Marks::new(store.table.len());
    wanted.iter().for_each(|&object| {
        reaching.set(object);
    });
    let filter = PrefixFilter::new(store, wanted);
    let seen = Marks::new(store.table.len());
    let mut threads: Vec<_> = (0..threads)
        .map(|_| Linking { store, names, wanted: &reaching, filter: &filter, seen: &seen, links: Links::default() })
        .collect();
    for pack in &store.packs {
        walk_pack(store, pack, |kind| kind == Kind::Tree, &mut threads);
    }
    walk_loose(store, &mut threads);
    let links: Vec<Links> = threads.into_iter().map(|thread| thread.links).collect();
    spread(&links, &reaching);
    let mut descent = Descent {
        wanted,
        children: children(&links, &reaching),
        names,
        paths: vec![(u32::MAX, u32::MAX)],
        path_numbers: HashMap::new(),
        visited: HashSet::new(),
        standings: HashMap::new(),
    };
    drop(links);
    commits.sort_unstable();
    for commit in commits {
        descent.commit(commit);
    }
    descent.standings
}

/// Links from trees to what is in them.
#[derive(Default)]
struct Links {
    /// Each tree with the end of its links.
    trees: Vec<(ObjectIndex, usize)>,
    /// Object and number of the name.
    entries: Vec<(ObjectIndex, u32)>,
}

impl Links {
    fn iter(&self) -> impl DoubleEndedIterator<Item = (ObjectIndex, &[(ObjectIndex, u32)])> {
        self.trees.iter().enumerate().map(|(at, &(tree, end))| {
            let start = at.checked_sub(1).map_or(0, |before| self.trees[before].1);
            (tree, &self.entries[start..end])
        })
    }
}

/// Marks every tree from which a marked object can be reached.
fn spread(links: &[Links], reaching: &Marks) {
    loop {
        let mut changed = false;
        let mut mark = |(tree, entries): (ObjectIndex, &[(ObjectIndex, u32)])| {
            if !reaching.is_set(tree) && entries.iter().any(|&(child, _)| reaching.is_set(child)) {
                changed |= reaching.set(tree);
            }
        };
        links.iter().for_each(|links| links.iter().for_each(&mut mark));
        links.iter().rev().for_each(|links| links.iter().rev().for_each(&mut mark));
        if !changed {
            return;
        }
    }
}

fn children(links: &[Links], reaching: &Marks) -> HashMap<ObjectIndex, Vec<(ObjectIndex, u32)>> {
    let relevant = |entries: &[(ObjectIndex, u32)]| {
        entries.iter().copied().filter(|&(child, _)| reaching.is_set(child)).collect::<Vec<_>>()
    };
    links
        .iter()
        .flat_map(Links::iter)
        .filter(|&(tree, _)| reaching.is_set(tree))
        .map(|(tree, entries)| (tree, relevant(entries)))
        .collect()
}

/// Tells for most ids that they are not wanted, without looking them up.
struct PrefixFilter(Vec<u64>);

impl PrefixFilter {
    fn new(store: &Store, wanted: &HashSet<ObjectIndex>) -> Self {
        let mut bits = vec![0; 1 << 10];
        for &object in wanted {
            let at = Self::position(store.table.id(object).as_bytes());
            bits[at / 64] |= 1 << (at % 64);
        }
        PrefixFilter(bits)
    }

    fn may_hold(&self, id: &[u8]) -> bool {
        let at = Self::position(id);
        self.0[at / 64] & 1 << (at % 64) != 0
    }

    fn position(id: &[u8]) -> usize {
        usize::from(id[0]) << 8 | usize::from(id[1])
    }
}

/// One thread of the pass over the trees.
struct Linking<'a> {
    store: &'a Store,
    names: &'a Names,
    wanted: &'a Marks,
    filter: &'a PrefixFilter,
    seen: &'a Marks,
    links: Links,
}

impl Linking<'_> {
    fn tree(&mut self, object: ObjectIndex, data: &[u8]) {
        if !self.seen.set(object) {
            return;
        }
        let before = self.links.entries.len();
        tree_entries::for_each(data, self.store.table.kind().len_in_bytes(), |entry| {
            let child = match entry.mode {
                Mode::Tree => self.store.table.lookup(entry.id),
                Mode::Blob if self.filter.may_hold(entry.id) => {
                    self.store.table.lookup(entry.id).filter(|&object| self.wanted.is_set(object))
                }
                Mode::Blob | Mode::Gitlink => None,
            };
            if let (Some(child), Some(&name)) = (child, self.names.numbers.get(entry.name)) {
                self.links.entries.push((child, name));
            }
        });
        if self.links.entries.len() > before {
            self.links.trees.push((object, self.links.entries.len()));
        }
    }
}

impl Visitor for Linking<'_> {
    type Kept = ();
    const SEGMENTS: bool = false;

    fn object(&mut self, object: ObjectIndex, kind: Kind, data: &[u8], _: Option<From<'_, ()>>, _: bool) -> Option<()> {
        if kind == Kind::Tree {
            self.tree(object, data);
        }
        None
    }

    fn take_back(&mut self, (): ()) {}

    fn stream(&mut self, _: ObjectIndex, _: &mut dyn Read, _: u64) {}
}

impl LooseVisitor for Linking<'_> {
    fn wants(&mut self, object: ObjectIndex) -> bool {
        !self.seen.is_set(object)
    }

    fn loose(&mut self, object: ObjectIndex, kind: Kind, data: &[u8]) {
        if kind == Kind::Tree {
            self.tree(object, data);
        }
    }

    fn loose_stream(&mut self, _: ObjectIndex, _: &mut dyn Read, _: u64) {}
}

/// The walk from the commits down.
struct Descent<'a> {
    wanted: &'a HashSet<ObjectIndex>,
    children: HashMap<ObjectIndex, Vec<(ObjectIndex, u32)>>,
    names: &'a Names,
    /// Each path as its directory's number and its name; the first is the root.
    paths: Vec<(u32, u32)>,
    path_numbers: HashMap<(u32, u32), u32>,
    /// Trees, with the path that they stood at, that an older commit has led to already.
    visited: HashSet<(ObjectIndex, u32)>,
    standings: HashMap<ObjectIndex, Vec<Standing>>,
}

impl Descent<'_> {
    fn commit(&mut self, commit: CommitRecord) {
        let mut open = vec![(commit.tree, 0)];
        while let Some((tree, path)) = open.pop() {
            if self.visited.len() >= MAX_STEPS
                || !self.children.contains_key(&tree)
                || !self.visited.insert((tree, path))
            {
                continue;
            }
            for (child, name) in self.children[&tree].clone() {
                let path = self.number(path, name);
                if self.wanted.contains(&child) {
                    self.stands(child, path, commit.commit);
                } else {
                    open.push((child, path));
                }
            }
        }
    }

    fn number(&mut self, directory: u32, name: u32) -> u32 {
        *self.path_numbers.entry((directory, name)).or_insert_with(|| {
            self.paths.push((directory, name));
            u32::try_from(self.paths.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn stands(&mut self, object: ObjectIndex, path: u32, commit: ObjectIndex) {
        if self.standings.get(&object).is_some_and(|standings| standings.len() >= MAX_PATHS) {
            return;
        }
        let path = self.path(path);
        let standings = self.standings.entry(object).or_default();
        if standings.iter().all(|standing| standing.path != path) {
            standings.push(Standing { path, commit });
        }
    }

    fn path(&self, mut number: u32) -> String {
        let mut parts = Vec::new();
        while number != 0 {
            let Some(&(directory, name)) = self.paths.get(number as usize) else { break };
            parts.push(self.names.shown[name as usize].as_str());
            number = directory;
        }
        parts.reverse();
        parts.join("/")
    }
}
