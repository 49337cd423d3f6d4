//! Where the objects stand in which something was found: their paths, and for each path the oldest commit that has it.
//!
//! Nothing of this is known while objects are searched, and it is not worth knowing for most. So it is found out
//! afterwards, from the [`links`](super::links) between trees: what cannot lead to the objects in question is dropped,
//! and the rest is walked from the commits, oldest first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::facts::Standing;
use super::links::{Links, Reaching, reaching};
use super::objects::{Marks, ObjectIndex, Store};
use super::visit::CommitRecord;

/// How many paths are given for one object.
pub(super) const MAX_PATHS: usize = 20;

/// How many directories, each counted once for each path it stands at, are walked. A repository made to multiply them
/// without end leaves some objects without a path.
const MAX_STEPS: usize = 20_000_000;

/// The names that stand in trees: as they may be shown, and for each thread's links the numbers by which they are known
/// here.
pub(super) struct Names {
    pub(super) numbers: Vec<Vec<u32>>,
    pub(super) shown: Vec<String>,
}

/// Commits, none before one of its parents, the oldest first otherwise.
pub(super) fn in_order(mut commits: Vec<CommitRecord>) -> Vec<CommitRecord> {
    const NONE: u32 = u32::MAX;
    let number = |at: usize| u32::try_from(at).unwrap_or(NONE);
    let mut places: Vec<(ObjectIndex, u32)> = (0..).zip(&commits).map(|(at, commit)| (commit.commit, at)).collect();
    places.sort_unstable();
    let mut waits = vec![0u32; commits.len()];
    // A commit's children, each with the one before it.
    let mut last_child = vec![NONE; commits.len()];
    let mut children: Vec<(u32, u32)> = Vec::new();
    for (at, commit) in commits.iter().enumerate() {
        let place = |parent: &ObjectIndex| places.binary_search_by_key(parent, |&(commit, _)| commit).ok();
        for parent in commit.parents.iter().filter_map(place).map(|at| places[at].1 as usize) {
            children.push((number(at), last_child[parent]));
            last_child[parent] = number(children.len() - 1);
            waits[at] += 1;
        }
    }
    drop(places);
    let ready = |at: usize| Reverse((commits[at].time, commits[at].commit, at));
    let mut open: BinaryHeap<_> = (0..commits.len()).filter(|&at| waits[at] == 0).map(ready).collect();
    // The place of each in the order; what waits for itself has none.
    let mut order = vec![NONE; commits.len()];
    let mut next = 0;
    while let Some(Reverse((_, _, at))) = open.pop() {
        order[at] = next;
        next += 1;
        let mut child = last_child[at];
        while let Some(&(at, before)) = children.get(child as usize) {
            waits[at as usize] -= 1;
            if waits[at as usize] == 0 {
                open.push(ready(at as usize));
            }
            child = before;
        }
    }
    let mut at = 0;
    commits.retain(|_| {
        at += 1;
        order[at - 1] != NONE
    });
    order.retain(|&place| place != NONE);
    // Each goes to its place, in exchange for the one that stands there.
    for at in 0..commits.len() {
        while order[at] as usize != at {
            let place = order[at] as usize;
            commits.swap(at, place);
            order.swap(at, place);
        }
    }
    commits
}

/// Adds to what is known of an object's standings: of one path, the oldest commit counts.
pub(super) fn merge_standings(known: &mut Vec<Standing>, new: &[Standing]) {
    for standing in new {
        let age = |standing: &Standing| (standing.time, standing.commit);
        match known.iter_mut().find(|known| known.path == standing.path) {
            Some(known) if age(known) <= age(standing) => {}
            Some(known) => *known = standing.clone(),
            None => known.push(standing.clone()),
        }
    }
    known.sort_by_key(|standing| (standing.time, standing.commit));
    known.truncate(MAX_PATHS);
}

/// Finds out where the `wanted` objects stand.
///
/// # Errors
///
/// When links that were written to a file cannot be read.
pub(super) fn attribute(
    store: &Store,
    wanted: &HashSet<ObjectIndex>,
    commits: Vec<CommitRecord>,
    names: &Names,
    links: Vec<Links>,
) -> std::io::Result<HashMap<ObjectIndex, Vec<Standing>>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let marked = Marks::new(store.table.len());
    wanted.iter().for_each(|&object| {
        marked.set(object);
    });
    let children = reaching(links, &names.numbers, &marked)?;
    let mut descent = Descent {
        store,
        wanted,
        children,
        names,
        paths: vec![(u32::MAX, u32::MAX)],
        path_numbers: HashMap::default(),
        visited: HashSet::default(),
        standings: HashMap::new(),
    };
    for commit in in_order(commits) {
        descent.commit(&commit);
    }
    Ok(descent.standings)
}

/// The walk from the commits down.
struct Descent<'a> {
    store: &'a Store,
    wanted: &'a HashSet<ObjectIndex>,
    children: Reaching,
    names: &'a Names,
    /// Each path as its directory's number and its name; the first is the root.
    paths: Vec<(u32, u32)>,
    path_numbers: HashMap<(u32, u32), u32, RandomState>,
    /// Trees, with the path that they stood at, that an older commit has led to already.
    visited: HashSet<(ObjectIndex, u32), RandomState>,
    standings: HashMap<ObjectIndex, Vec<Standing>>,
}

impl Descent<'_> {
    fn commit(&mut self, commit: &CommitRecord) {
        let mut open: Vec<_> = commit.tree.map(|tree| (tree, 0)).into_iter().collect();
        while let Some((tree, path)) = open.pop() {
            let Some(entries) = self.children.range(tree) else { continue };
            if self.visited.len() >= MAX_STEPS || !self.visited.insert((tree, path)) {
                continue;
            }
            for number in entries {
                let Some((child, name)) = self.children.entry(number) else { break };
                let path = self.number(path, name);
                if self.wanted.contains(&child) {
                    self.stands(child, path, commit);
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

    fn stands(&mut self, object: ObjectIndex, path: u32, commit: &CommitRecord) {
        if self.standings.get(&object).is_some_and(|standings| standings.len() >= MAX_PATHS) {
            return;
        }
        let path: Arc<str> = self.path(path).into();
        let standings = self.standings.entry(object).or_default();
        if standings.iter().all(|standing| standing.path != path) {
            let id = self.store.table.id(commit.commit).to_owned();
            standings.push(Standing { path, time: commit.time, commit: id });
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
