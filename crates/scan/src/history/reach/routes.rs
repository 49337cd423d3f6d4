//! What refs lead to.

use std::collections::{HashMap, HashSet};

use custody_contract::ReachedFrom;
use gix::objs::Kind;
use gix::{ObjectId, Repository};

use super::graph::{Commit, Graph};
use super::refs::{Refs, short};

/// How long a chain of tags is followed.
const MAX_TAGS: usize = 64;

/// A way into a history.
pub(super) struct Route {
    pub(super) name: Vec<u8>,
    pub(super) from: ReachedFrom,
    pub(super) commit: Option<Commit>,
}

/// The ways into a history, those that make most public first.
pub(super) struct Routes {
    pub(super) list: Vec<Route>,
    /// Objects that are no commits and that refs name, by way of tags or not, with the number of the route.
    pub(super) direct: HashMap<ObjectId, u32>,
    /// Commits behind which nothing is reached.
    pub(super) cut: HashSet<Commit>,
}

impl Routes {
    pub(super) fn new(repository: &Repository, refs: &Refs, graph: &Graph) -> Routes {
        let cut = refs.shallow().filter_map(|id| graph.find(&id)).collect();
        let mut routes = Routes { list: Vec::new(), direct: HashMap::new(), cut };
        for found in refs.list() {
            let name = if found.name == b"refs/stash" && refs.logs.iter().any(|(name, _)| name == b"refs/stash") {
                b"stash@{0}".to_vec()
            } else {
                short(&found.name).to_vec()
            };
            let number = routes.push(name, found.from);
            if let Some(peeled) = found.peeled {
                routes.direct.entry(found.target).or_insert(number);
                routes.lead(number, peeled, repository, graph);
            } else {
                routes.lead(number, found.target, repository, graph);
            }
        }
        routes
    }

    /// Adds a route, and gives its number.
    pub(super) fn push(&mut self, name: Vec<u8>, from: ReachedFrom) -> u32 {
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
        let mut seen = HashSet::new();
        branches.filter_map(|route| route.commit).filter(|&commit| seen.insert(commit)).collect()
    }
}
