//! Where the objects stand in which something was found: their paths, for each path the oldest commit that has it, and
//! all that follow no other; and which tips have it.
//!
//! Nothing of this is known while objects are searched, and it is not worth knowing for most. So it is found out
//! afterwards, from the [`links`](super::links) between trees: what cannot lead to the objects in question is dropped,
//! and of the rest each commit is held beside its parents, oldest first.

use std::rc::Rc;

use super::facts::Standing;
use super::links::{Entry, Links, Reaching, reaching};
use super::objects::{Marks, ObjectIndex, Store};
use super::reach::{Place, ROOT, below};
use super::tables::{Map, Set};
use super::visit::CommitRecord;

/// How many paths are given for one object.
pub(super) const MAX_PATHS: usize = 20;

/// How many directories, each counted once for each path it stands at, are walked. A repository made to multiply them
/// without end leaves some objects without a path.
const MAX_STEPS: usize = 20_000_000;

/// How deep directories are followed, as by git itself.
const MAX_DEPTH: usize = 2_048;

/// The names that stand in trees: as they may be shown, and for each thread's links the numbers by which they are known
/// here.
#[derive(Default)]
pub(super) struct Names {
    pub(super) numbers: Vec<Vec<u32>>,
    pub(super) shown: Vec<String>,
    /// Names that are not shown as they are.
    pub(super) hidden: Map<u32, Box<[u8]>>,
}

impl Names {
    fn raw(&self, number: u32) -> &[u8] {
        match self.hidden.get(&number) {
            Some(name) => name,
            None => self.shown[number as usize].as_bytes(),
        }
    }
}

/// Where objects stand.
#[derive(Default)]
pub(super) struct Attributed {
    pub(super) standings: Map<ObjectIndex, Vec<Standing>>,
    /// Each object and path, with the commits that brought it.
    pub(super) places: Vec<(Place, Vec<ObjectIndex>)>,
    /// For each tip that was asked for, its places.
    pub(super) tips: Vec<Vec<u32>>,
    /// Whether all was followed to its end.
    pub(super) is_whole: bool,
}

/// Commits with their ages, in the order of these; so none stands before one of its parents.
pub(super) fn in_order(mut commits: Vec<CommitRecord>) -> Vec<CommitRecord> {
    let places: Map<ObjectIndex, usize> = commits.iter().enumerate().map(|(at, commit)| (commit.commit, at)).collect();
    let mut waits = vec![0usize; commits.len()];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); commits.len()];
    for (at, commit) in commits.iter_mut().enumerate() {
        commit.age = age(commit.time, None);
        for parent in commit.parents.iter().filter_map(|parent| places.get(parent)) {
            children[*parent].push(at);
            waits[at] += 1;
        }
    }
    let mut open: Vec<usize> = (0..commits.len()).filter(|&at| waits[at] == 0).collect();
    while let Some(at) = open.pop() {
        for &child in &children[at] {
            commits[child].age = commits[child].age.max(age(0, Some(commits[at].age)));
            waits[child] -= 1;
            if waits[child] == 0 {
                open.push(child);
            }
        }
    }
    commits.sort_unstable_by_key(|commit| (commit.age, commit.commit));
    commits
}

/// The age of a commit of that time, the oldest of whose parents is so old.
pub(super) fn age(time: i64, parents: Option<u32>) -> u32 {
    let own = u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    parents.map_or(own, |parents| own.max(parents.saturating_add(1)))
}

/// Adds to what is known of an object's standings: of one path, the oldest commit counts.
pub(super) fn merge_standings(known: &mut Vec<Standing>, new: &[Standing]) {
    for standing in new {
        let age = |standing: &Standing| (standing.age, standing.commit);
        match known.iter_mut().find(|known| known.path == standing.path) {
            Some(known) if age(known) <= age(standing) => {}
            Some(known) => *known = standing.clone(),
            None => known.push(standing.clone()),
        }
    }
    known.sort_by_key(|standing| (standing.age, standing.commit));
    known.truncate(MAX_PATHS);
}

/// Finds out where the `wanted` objects stand by these commits, which are in order, and which of them these tips, which
/// are commits, have.
///
/// # Errors
///
/// When links that were written to a file cannot be read.
pub(super) fn attribute(
    store: &Store,
    wanted: &Set<ObjectIndex>,
    commits: Vec<CommitRecord>,
    tips: &[ObjectIndex],
    names: &Names,
    links: Vec<Links>,
) -> std::io::Result<Attributed> {
    if wanted.is_empty() {
        return Ok(Attributed { tips: vec![Vec::new(); tips.len()], is_whole: true, ..Attributed::default() });
    }
    let marked = Marks::new(store.table.len());
    wanted.iter().for_each(|&object| {
        marked.set(object);
    });
    let children = reaching(links, &names.numbers, &marked)?;
    let trees: Map<ObjectIndex, ObjectIndex> =
        commits.iter().filter_map(|commit| Some((commit.commit, commit.tree?))).collect();
    let mut descent = Descent {
        store,
        wanted,
        children: &children,
        names,
        paths: vec![(u32::MAX, u32::MAX, ROOT)],
        path_numbers: Map::default(),
        numbers: Map::default(),
        attributed: Attributed { is_whole: true, ..Attributed::default() },
        below: Map::default(),
        steps: 0,
    };
    for commit in &commits {
        descent.commit(commit, &trees);
    }
    for tip in tips {
        let mut has = trees.get(tip).map(|&tree| descent.has(tree, 0, 0).to_vec()).unwrap_or_default();
        has.sort_unstable();
        descent.attributed.tips.push(has);
    }
    Ok(descent.attributed)
}

/// The walk from the commits down.
struct Descent<'a> {
    store: &'a Store,
    wanted: &'a Set<ObjectIndex>,
    /// The entries of trees that lead to wanted objects, by name.
    children: &'a Reaching,
    names: &'a Names,
    /// Each path as its directory's number, its name, and what stands for it; the first is the root.
    paths: Vec<(u32, u32, u64)>,
    path_numbers: Map<(u32, u32), u32>,
    /// The places by object and path.
    numbers: Map<(ObjectIndex, u32), u32>,
    attributed: Attributed,
    /// The places in trees, by path.
    below: Map<(ObjectIndex, u32), Rc<[u32]>>,
    steps: usize,
}

/// A tree that is held beside those of a commit's parents at the same path.
struct Compared {
    tree: ObjectIndex,
    path: u32,
    first: Option<ObjectIndex>,
    others: Vec<ObjectIndex>,
}

impl Compared {
    fn befores(&self) -> impl Iterator<Item = ObjectIndex> {
        self.first.iter().chain(&self.others).copied()
    }
}

impl Descent<'_> {
    /// Notes what the commit has and none of its parents.
    fn commit(&mut self, commit: &CommitRecord, trees: &Map<ObjectIndex, ObjectIndex>) {
        let Some(tree) = commit.tree else { return };
        let mut parents = commit.parents.iter().filter_map(|parent| trees.get(parent).copied());
        let mut open = vec![Compared { tree, path: 0, first: parents.next(), others: parents.collect() }];
        let children = self.children;
        while let Some(at) = open.pop() {
            let Some(entries) = children.entries(at.tree).filter(|_| at.befores().all(|before| before != at.tree))
            else {
                continue;
            };
            self.steps += 1;
            if self.steps > MAX_STEPS {
                self.attributed.is_whole = false;
                return;
            }
            let first = at.first.map_or(&[][..], |tree| entries_of(children, tree));
            let others: Vec<&[Entry]> = at.others.iter().map(|&tree| entries_of(children, tree)).collect();
            for &(child, name) in entries {
                let mut befores = named(first, name).chain(others.iter().flat_map(|entries| named(entries, name)));
                if befores.clone().any(|known| known == child) {
                    continue;
                }
                let path = self.number(at.path, name);
                if self.wanted.contains(&child) {
                    self.introduces(child, path, commit);
                } else {
                    open.push(Compared { tree: child, path, first: befores.next(), others: befores.collect() });
                }
            }
        }
    }

    fn introduces(&mut self, object: ObjectIndex, path: u32, commit: &CommitRecord) {
        let (number, is_new) = self.place(object, path);
        self.attributed.places[number as usize].1.push(commit.commit);
        let standings = self.attributed.standings.entry(object).or_default();
        if !is_new || standings.len() >= MAX_PATHS {
            return;
        }
        let shown = &self.attributed.places[number as usize].0.shown;
        if standings.iter().all(|standing| *standing.path != **shown) {
            let id = self.store.table.id(commit.commit).to_owned();
            let CommitRecord { time, authored, age, .. } = *commit;
            standings.push(Standing { path: shown.as_str().into(), time, authored, age, commit: id });
        }
    }

    /// The number of a place, and whether it is new.
    fn place(&mut self, object: ObjectIndex, path: u32) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(&(object, path)) {
            return (number, false);
        }
        let number = u32::try_from(self.attributed.places.len()).unwrap_or(u32::MAX);
        self.numbers.insert((object, path), number);
        let id = self.store.table.id(object).to_owned();
        let place = Place::new(id, self.paths[path as usize].2, self.path(path));
        self.attributed.places.push((place, Vec::new()));
        (number, true)
    }

    fn number(&mut self, directory: u32, name: u32) -> u32 {
        if let Some(&number) = self.path_numbers.get(&(directory, name)) {
            return number;
        }
        let number = u32::try_from(self.paths.len()).unwrap_or(u32::MAX);
        let digest = below(self.paths[directory as usize].2, self.names.raw(name));
        self.paths.push((directory, name, digest));
        self.path_numbers.insert((directory, name), number);
        number
    }

    fn path(&self, mut number: u32) -> String {
        let mut parts = Vec::new();
        while number != 0 {
            let Some(&(directory, name, _)) = self.paths.get(number as usize) else { break };
            parts.push(self.names.shown[name as usize].as_str());
            number = directory;
        }
        parts.reverse();
        parts.join("/")
    }

    /// The places in a tree that stands at a path. Tips have most of their trees in common.
    fn has(&mut self, tree: ObjectIndex, path: u32, depth: usize) -> Rc<[u32]> {
        if let Some(known) = self.below.get(&(tree, path)) {
            return Rc::clone(known);
        }
        self.steps += 1;
        let mut has = Vec::new();
        if self.steps > MAX_STEPS || depth > MAX_DEPTH {
            self.attributed.is_whole = false;
        } else {
            let children = self.children;
            for &(child, name) in entries_of(children, tree) {
                let path = self.number(path, name);
                if self.wanted.contains(&child) {
                    has.push(self.place(child, path).0);
                } else if children.entries(child).is_some() {
                    has.extend_from_slice(&self.has(child, path, depth + 1));
                }
            }
        }
        let has: Rc<[u32]> = has.into();
        self.below.insert((tree, path), Rc::clone(&has));
        has
    }
}

/// The entries of a tree that lead to wanted objects.
fn entries_of(children: &Reaching, tree: ObjectIndex) -> &[Entry] {
    children.entries(tree).unwrap_or_default()
}

/// Those of this name.
fn named(entries: &[Entry], name: u32) -> impl Iterator<Item = ObjectIndex> + Clone {
    let from = entries.partition_point(|&(_, known)| known < name);
    entries[from..].iter().take_while(move |&&(_, known)| known == name).map(|&(child, _)| child)
}
