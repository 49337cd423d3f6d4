//! What trees hold, noted while they are read: each as what it adds to the tree that it is stored as a version of, and
//! what it takes away.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use super::objects::{Marks, ObjectIndex};

const NONE: ObjectIndex = ObjectIndex::MAX;

/// An entry of a tree: the object, and the number of its name.
pub(super) type Entry = (ObjectIndex, u32);

/// What one thread has noted of trees. Names are numbered as they come.
#[derive(Default)]
pub(super) struct Links {
    pub(super) names: HashMap<Box<[u8]>, u32, RandomState>,
    trees: Vec<Tree>,
    added: Vec<Entry>,
    removed: Vec<u32>,
    last: (Vec<u8>, u32),
}

/// A tree, with the ends of what was noted of it.
struct Tree {
    tree: ObjectIndex,
    base: ObjectIndex,
    added: u32,
    removed: u32,
}

impl Links {
    /// The number of a name.
    pub(super) fn name(&mut self, name: &[u8]) -> u32 {
        // What a tree has anew, it mostly loses, too.
        if self.last.0 == name && !self.names.is_empty() {
            return self.last.1;
        }
        let number = self.look_up(name);
        self.last.0.clear();
        self.last.0.extend_from_slice(name);
        self.last.1 = number;
        number
    }

    fn look_up(&mut self, name: &[u8]) -> u32 {
        if let Some(&number) = self.names.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.insert(name.into(), number);
        number
    }

    /// Notes an entry of the tree at hand.
    pub(super) fn add(&mut self, child: ObjectIndex, name: u32) {
        self.added.push((child, name));
    }

    /// Notes that the tree at hand lacks an entry of its base, or has another of that name.
    pub(super) fn remove(&mut self, name: u32) {
        // An entry of that name stands in its place.
        if self.added.last().is_none_or(|&(_, added)| added != name) || self.is_first() {
            self.removed.push(name);
        }
    }

    /// Whether nothing was noted of the tree at hand so far.
    fn is_first(&self) -> bool {
        self.trees.last().map_or(0, |tree| tree.added) as usize == self.added.len()
    }

    /// Ends the tree at hand.
    pub(super) fn end(&mut self, tree: ObjectIndex, base: Option<ObjectIndex>) {
        let narrow = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.trees.push(Tree {
            tree,
            base: base.unwrap_or(NONE),
            added: narrow(self.added.len()),
            removed: narrow(self.removed.len()),
        });
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (&Tree, &[Entry], &[u32])> {
        (0..self.trees.len()).map(|at| self.nth(at))
    }

    fn nth(&self, at: usize) -> (&Tree, &[Entry], &[u32]) {
        let tree = &self.trees[at];
        let (added, removed) =
            at.checked_sub(1).map_or((0, 0), |before| (self.trees[before].added, self.trees[before].removed));
        (tree, &self.added[added as usize..tree.added as usize], &self.removed[removed as usize..tree.removed as usize])
    }
}

/// The entries through which marked objects can be reached, by tree. Marks the trees that have any. `numbers` gives for
/// each of `links` the numbers by which its names are known to all.
pub(super) fn reaching(
    links: &[Links],
    numbers: &[Vec<u32>],
    marked: &Marks,
) -> HashMap<ObjectIndex, Vec<Entry>, RandomState> {
    spread(links, marked);
    let mut places: HashMap<ObjectIndex, (usize, usize), RandomState> = HashMap::default();
    for (thread, links) in links.iter().enumerate() {
        let trees = links.trees.iter().enumerate().filter(|(_, tree)| marked.is_set(tree.tree));
        places.extend(trees.map(|(at, tree)| (tree.tree, (thread, at))));
    }
    let mut entries: HashMap<ObjectIndex, Vec<Entry>, RandomState> = HashMap::default();
    let mut chain = Vec::new();
    for &tree in places.keys() {
        // From the tree to the first base of which all is known, and back.
        let mut next = tree;
        while let Some(&place) = places.get(&next).filter(|_| !entries.contains_key(&next)) {
            chain.push((next, place));
            next = links[place.0].trees[place.1].base;
            if chain.len() > places.len() {
                break; // bases in a circle: a repository made to deceive
            }
        }
        while let Some((tree, (thread, at))) = chain.pop() {
            let links = &links[thread];
            let (known, added, removed) = links.nth(at);
            let mut own: Vec<Entry> = entries.get(&known.base).cloned().unwrap_or_default();
            let number = |name: u32| numbers[thread][name as usize];
            let gone: HashSet<u32, RandomState> = match own.is_empty() {
                true => HashSet::default(),
                false => removed.iter().copied().chain(added.iter().map(|&(_, name)| name)).map(number).collect(),
            };
            own.retain(|&(_, name)| !gone.contains(&name));
            own.extend(
                added.iter().filter(|(child, _)| marked.is_set(*child)).map(|&(child, name)| (child, number(name))),
            );
            entries.insert(tree, own);
        }
    }
    entries
}

/// Marks every tree from which a marked object can be reached, and some more: what a tree takes away from its base is
/// not looked at.
fn spread(links: &[Links], marked: &Marks) {
    loop {
        let mut changed = false;
        let mut mark = |(tree, added, _): (&Tree, &[Entry], &[u32])| {
            if !marked.is_set(tree.tree)
                && (tree.base != NONE && marked.is_set(tree.base)
                    || added.iter().any(|&(child, _)| marked.is_set(child)))
            {
                changed |= marked.set(tree.tree);
            }
        };
        links.iter().for_each(|links| links.iter().for_each(&mut mark));
        links.iter().rev().for_each(|links| links.iter().rev().for_each(&mut mark));
        if !changed {
            return;
        }
    }
}
