//! What refs lead to.

use std::borrow::Cow;

use custody_contract::ReachedFrom;
use gix::objs::Kind;
use gix::{ObjectId, Repository};
use serde::{Deserialize, Serialize};

use super::super::tables::{Map, Set};
use super::graph::{Commit, Graph};
use super::refs::{Refs, Target, short};

/// How long a chain of tags is followed.
const MAX_TAGS: usize = 64;

/// A way into a history.
pub(super) struct Route<'r> {
    pub(super) name: Cow<'r, [u8]>,
    pub(super) from: ReachedFrom,
    pub(super) commit: Option<Commit>,
}

/// The ways into a history, those that make most public first.
pub(super) struct Routes<'r> {
    pub(super) list: Vec<Route<'r>>,
    /// Objects that are no commits and that refs name, by way of tags or not, with the number of the route.
    pub(super) direct: Map<ObjectId, u32>,
    /// Those of them that are trees.
    pub(super) trees: Vec<(ObjectId, u32)>,
    /// Commits behind which nothing is reached.
    pub(super) cut: Set<Commit>,
    pub(super) packed: Packed,
}

/// To which commits packed refs lead.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Packed {
    digest: [u8; 32],
    /// By the number of the line, from 1; 0 if it leads to none.
    pub(super) commits: Vec<Commit>,
    /// Objects that are no commits, with the number of their line, in order of lines.
    others: Vec<(Vec<u8>, u32)>,
}

impl<'r> Routes<'r> {
    /// Resolves all refs. What is known of packed refs is taken over if they are the same.
    pub(super) fn new(repository: &Repository, refs: &'r Refs, graph: &Graph, known: Packed) -> Routes<'r> {
        let cut = refs.shallow().filter_map(|id| graph.find(&id)).collect();
        let (list, direct, trees) = (Vec::new(), Map::default(), Vec::new());
        let mut routes = Routes { list, direct, trees, cut, packed: Packed::default() };
        routes.packed = if known.digest == refs.packed_digest() && !known.commits.is_empty() {
            known
        } else {
            Packed::resolve(repository, refs, graph)
        };
        let others: Map<u32, ObjectId> = routes.packed.others();
        for found in refs.list() {
            let has_log = || refs.logs.iter().any(|(name, _)| name == b"refs/stash");
            let name = match found.name {
                b"refs/stash" if has_log() => Cow::Borrowed(&b"stash@{0}"[..]),
                name => Cow::Borrowed(short(name)),
            };
            let number = routes.push(name, found.from);
            match found.target {
                Target::Object(id) => routes.lead(number, id, repository, graph),
                Target::Tag(tag, peeled) => {
                    routes.direct.entry(tag).or_insert(number);
                    routes.lead(number, peeled, repository, graph);
                }
                Target::Known(line) => {
                    let commit = routes.packed.commits.get(line).and_then(|commit| commit.checked_sub(1));
                    routes.list[number as usize].commit = commit;
                    if let Some(&other) = u32::try_from(line).ok().and_then(|line| others.get(&line)) {
                        routes.direct.entry(other).or_insert(number);
                        if commit.is_none() {
                            routes.lead(number, other, repository, graph);
                        }
                    }
                }
            }
        }
        routes
    }

    /// Adds a route, and gives its number.
    pub(super) fn push(&mut self, name: Cow<'r, [u8]>, from: ReachedFrom) -> u32 {
        self.list.push(Route { name, from, commit: None });
        u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX)
    }

    /// Notes that a route leads to an object, and from there on where that is a tag.
    pub(super) fn lead(&mut self, number: u32, id: ObjectId, repository: &Repository, graph: &Graph) {
        let mut id = id;
        for _ in 0..MAX_TAGS {
            if let Some(commit) = graph.find(&id) {
                self.list[number as usize].commit = Some(commit);
                return;
            }
            let object = repository.try_find_header(id).ok().flatten().map(|header| header.kind());
            self.direct.entry(id).or_insert(number);
            if object == Some(Kind::Tree) {
                self.trees.push((id, number));
            }
            if object != Some(Kind::Tag) {
                return;
            }
            let tag = repository.find_tag(id).ok();
            let Some(target) = tag.and_then(|tag| tag.target_id().ok().map(|id| id.detach())) else { return };
            id = target;
        }
    }

    /// Adds the tags that lie between the one that a ref names and what it leads to.
    pub(super) fn tags_of_tags(&mut self, repository: &Repository, graph: &Graph) {
        let mut named: Vec<(ObjectId, u32)> = self.direct.iter().map(|(&id, &number)| (id, number)).collect();
        named.sort_by_key(|&(_, number)| number);
        for (id, number) in named {
            let is_tag = repository.try_find_header(id).ok().flatten().is_some_and(|header| header.kind() == Kind::Tag);
            let target = is_tag.then(|| repository.find_tag(id).ok()?.target_id().ok().map(gix::Id::detach)).flatten();
            if let Some(target) = target.filter(|target| graph.find(target).is_none()) {
                self.lead(number, target, repository, graph);
            }
        }
    }

    /// The tips of branches, and what is checked out, each once.
    pub(super) fn tips(&self) -> Vec<Commit> {
        let branches = self.list.iter().take_while(|route| route.from == ReachedFrom::BranchTip);
        let mut seen = Set::default();
        branches.filter_map(|route| route.commit).filter(|&commit| seen.insert(commit)).collect()
    }
}

impl Packed {
    /// Finds out to which commits the packed refs lead.
    fn resolve(repository: &Repository, refs: &Refs, graph: &Graph) -> Packed {
        let mut packed = Packed { digest: refs.packed_digest(), ..Packed::default() };
        packed.commits = vec![0; refs.packed_lines()];
        for (line, target) in refs.packed_targets() {
            let (first, last) = match target {
                Target::Tag(tag, peeled) => (Some(tag), peeled),
                Target::Object(id) => (None, id),
                Target::Known(_) => continue,
            };
            let commit = graph.find(&last).or_else(|| peel(repository, graph, last));
            packed.commits[line] = commit.map_or(0, |commit| commit + 1);
            let other = first.or_else(|| graph.find(&last).is_none().then_some(last));
            if let (Some(other), Ok(line)) = (other, u32::try_from(line)) {
                packed.others.push((other.as_bytes().to_vec(), line));
            }
        }
        packed
    }

    /// Takes up new numbers of commits.
    pub(super) fn renumber(&mut self, numbers: &[Commit]) {
        let known = self.commits.iter_mut().filter(|commit| **commit > 0);
        known.for_each(|commit| *commit = numbers[*commit as usize - 1] + 1);
    }

    /// The commits, as they are numbered here: one more than elsewhere.
    pub(super) fn is_below(&self, end: usize) -> bool {
        self.commits.iter().all(|&commit| commit as usize <= end)
    }

    fn others(&self) -> Map<u32, ObjectId> {
        self.others.iter().filter_map(|(id, line)| Some((*line, ObjectId::try_from(&id[..]).ok()?))).collect()
    }
}

/// The commit that a tag leads to.
fn peel(repository: &Repository, graph: &Graph, id: ObjectId) -> Option<Commit> {
    let is_tag =
        |id: ObjectId| repository.try_find_header(id).ok().flatten().is_some_and(|header| header.kind() == Kind::Tag);
    let mut id = id;
    for _ in 0..MAX_TAGS {
        if let Some(commit) = graph.find(&id) {
            return Some(commit);
        }
        id = is_tag(id).then(|| Some(repository.find_tag(id).ok()?.target_id().ok()?.detach())).flatten()?;
    }
    None
}
