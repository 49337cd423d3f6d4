//! From where in a repository what was found can be reached: the tip of a branch, its history, a tag, a stash, a reflog.
//!
//! Objects never change and refs often do. So what follows from objects alone — which commit has which parents, where an
//! object stands and which commits brought it there, what the trees of tips have — is kept, and what follows from refs
//! is worked out anew whenever they have changed: each commit is claimed by the first ref that leads to it, those that make
//! most public coming first. An object can be reached from where one of the commits can that brought it.

mod around;
mod graph;
mod places;
mod refs;
mod routes;
mod saved;
mod settle;

use std::path::PathBuf;

use gix::{ObjectId, Repository};

pub(super) use self::around::name_refs;
use self::graph::Graph;
use self::places::{Difference, Numbers, numbers};
pub(super) use self::places::{Introduced, Place, ROOT, below};
pub(super) use self::refs::Refs;
use self::routes::{Packed, Routes};
pub(super) use self::saved::Reached;
use self::saved::{Bytes, Saved};
use self::settle::Times;
use super::attribution::Attributed;
use super::cache::{Cache, Checksum, write_atomically};
use super::facts::Fact;
use super::objects::{ObjectIndex, Store};
use super::state::Kept;
use super::tables::{Map, Set};
use super::visit::{CommitRecord, Pending, Within};

const MAGIC: &[u8; 16] = b"custody-reached\n";
/// How far the history of a new tip is followed to a tip of which all is known.
const NEAR: usize = 4_096;

/// What an earlier scan knew.
pub(super) struct Earlier {
    pub(super) reached: Reached,
    routes: Bytes,
    commits: PathBuf,
    file: PathBuf,
}

impl Earlier {
    /// What goes with the state that was read from there.
    pub(super) fn load(state: &Kept) -> Option<Earlier> {
        let file = state.file.with_extension("reach");
        let bytes = std::fs::read(&file).ok()?;
        let (link, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        let (checksum, body) = rest.split_first_chunk::<32>()?;
        if *link != state.checksum || blake3::hash(body).as_bytes() != checksum {
            return None;
        }
        let (graph, reached, routes): ([u8; 32], Reached, Bytes) = postcard::from_bytes(body).ok()?;
        let commits = state.file.with_extension("commits");
        Graph::is_there(&commits, &graph).then_some(Earlier { reached, routes, commits, file })
    }

    /// Whether what is said still holds, as far as refs go.
    pub(super) fn is_of(&self, refs: &Refs) -> bool {
        self.reached.refs == refs.digest
    }
}

/// What a scan has learnt of reachability.
#[derive(Default)]
pub(super) struct Learnt<'h> {
    pub(super) earlier: Option<Earlier>,
    /// None if all is as it was, or nothing was found that could be reached.
    pub(super) reachability: Option<Reachability<'h>>,
    times: Times,
}

impl From<Option<Earlier>> for Learnt<'_> {
    fn from(earlier: Option<Earlier>) -> Self {
        Learnt { earlier, ..Learnt::default() }
    }
}

impl<'h> Learnt<'h> {
    /// Notes when the commits were made in whose texts something was found.
    pub(super) fn times(&mut self, pending: &[Pending], commits: &[CommitRecord], store: &Store) {
        let texts = pending.iter().filter(|pending| pending.within != Within::Blob);
        let texts: Set<ObjectIndex> = texts.map(|pending| pending.object).collect();
        let found = commits.iter().filter(|commit| texts.contains(&commit.commit));
        let id = |commit: &CommitRecord| store.table.id(commit.commit).as_bytes().to_vec();
        self.times.extend(found.map(|commit| (id(commit), (commit.authored, commit.time))));
    }

    /// Adds to what was known these commits, parents first, and gives them their ages.
    pub(super) fn add_commits(
        &mut self,
        repository: &'h Repository,
        refs: &'h Refs,
        store: &Store,
        commits: &mut [CommitRecord],
    ) {
        let Some(earlier) = &self.earlier else { return };
        self.reachability = Reachability::of_grown(repository, refs, earlier, store, commits);
        if self.reachability.is_none() {
            // Damaged: the next scan reads all again.
            let _ = std::fs::remove_file(&earlier.file);
            self.earlier = None;
        }
    }

    /// Adds what these commits bring.
    pub(super) fn add_places(&mut self, introduced: Vec<Introduced>) {
        if let Some(reachability) = &mut self.reachability {
            reachability.add_places(introduced);
        }
    }

    /// From where the objects of these facts can be reached.
    pub(super) fn settle(
        &mut self,
        facts: &[Fact],
        is_complete: bool,
        shown: &mut dyn FnMut(&[u8]) -> String,
    ) -> Reached {
        match &mut self.reachability {
            Some(reachability) => reachability.settle(facts, &self.times, self.earlier.as_ref(), is_complete, shown),
            None => self.earlier.take().map(|earlier| earlier.reached).unwrap_or_default(),
        }
    }

    /// Keeps it beside the state of this checksum.
    pub(super) fn store(&mut self, cache: &Cache, state: Option<Checksum>, reached: &Reached) {
        if let (Some(reachability), Some(state)) = (&mut self.reachability, state) {
            reachability.store(cache, &state, reached);
        }
    }
}

/// All that follows from objects alone, and what refs lead to.
pub(super) struct Reachability<'h> {
    repository: &'h Repository,
    refs: &'h Refs,
    graph: Graph,
    /// The file that the graph was read from, and its digest.
    file: Option<(PathBuf, [u8; 32])>,
    routes: Routes<'h>,
    places: Vec<Place>,
    /// Commits, with the places that their trees have.
    tips: Vec<(ObjectId, Vec<u32>)>,
    is_whole: bool,
}

impl<'h> Reachability<'h> {
    /// Of a history that is read as a whole; where things stand is to be added.
    pub(super) fn new(repository: &'h Repository, refs: &'h Refs, store: &Store, commits: &[CommitRecord]) -> Self {
        let graph = Graph::of(store, commits);
        let routes = Routes::new(repository, refs, &graph, Packed::default());
        Reachability {
            repository,
            refs,
            graph,
            file: None,
            routes,
            places: Vec::new(),
            tips: Vec::new(),
            is_whole: true,
        }
    }

    /// The commits whose trees matter.
    pub(super) fn tips(&self, store: &Store) -> Vec<ObjectIndex> {
        let tips = self.routes.tips().into_iter();
        tips.filter_map(|tip| store.table.lookup(self.graph.id(tip).as_bytes())).collect()
    }

    /// Adds where things stand, with what these tips have.
    pub(super) fn stands(&mut self, attributed: Attributed, tips: &[ObjectIndex], store: &Store) {
        self.is_whole = attributed.is_whole;
        let places = attributed.places.into_iter().map(|(mut place, commits)| {
            place.commits = commits.iter().filter_map(|&commit| self.graph.find(store.table.id(commit))).collect();
            place
        });
        self.places = places.collect();
        self.tips = tips.iter().map(|&tip| store.table.id(tip).to_owned()).zip(attributed.tips).collect();
    }

    /// Of a history of which most is known, with the commits that are new, parents first.
    fn of_grown(
        repository: &'h Repository,
        refs: &'h Refs,
        earlier: &Earlier,
        store: &Store,
        commits: &mut [CommitRecord],
    ) -> Option<Self> {
        let saved = Saved::read(&earlier.routes)?;
        let mut graph = Graph::read(&earlier.commits, &saved.graph, repository.object_hash(), saved.others)?;
        let mut known = saved.places.iter().flat_map(|place| &place.commits);
        if known.any(|&commit| commit as usize >= graph.len()) || !saved.packed.is_below(graph.len()) {
            return None;
        }
        for commit in commits {
            let new = commit.parents.iter().map(|&parent| store.table.id(parent).to_owned());
            let parents = new.chain(commit.older.iter().copied());
            commit.age = graph.add(store.table.id(commit.commit).to_owned(), commit.time, parents);
        }
        let routes = Routes::new(repository, refs, &graph, saved.packed);
        let tips = saved.tips.into_iter().filter_map(|(id, has)| Some((ObjectId::try_from(&id[..]).ok()?, has)));
        Some(Reachability {
            repository,
            refs,
            graph,
            file: Some((earlier.commits.clone(), saved.graph)),
            routes,
            places: saved.places,
            tips: tips.collect(),
            is_whole: saved.is_whole,
        })
    }

    fn add_places(&mut self, introduced: Vec<Introduced>) {
        let mut known = numbers(&self.places);
        for new in introduced {
            let Some(commit) = self.graph.find(&new.commit) else { continue };
            let number = *known.entry((new.object, new.path)).or_insert_with(|| {
                self.places.push(Place::new(new.object, new.path, new.shown));
                u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
            });
            self.places[number as usize].commits.push(commit);
        }
        self.find_tips(&known);
    }

    /// Finds out what the tips of now have, from what those of before had.
    fn find_tips(&mut self, numbers: &Numbers) {
        let before: Map<ObjectId, Vec<u32>> = std::mem::take(&mut self.tips).into_iter().collect();
        let wanted: Set<ObjectId> = self.places.iter().map(|place| place.object).collect();
        let mut tips: Vec<(ObjectId, Vec<u32>)> = Vec::new();
        for tip in self.routes.tips() {
            let id = self.graph.id(tip).to_owned();
            if let Some(has) = before.get(&id) {
                tips.push((id, has.clone()));
                continue;
            }
            let base = self.nearest(tip, &before);
            let mut difference = Difference::new(self.repository, numbers, &wanted);
            let base_id = base.map(|(id, _)| *id);
            self.is_whole &= difference.commits(base_id, id);
            let mut has = base.map_or_else(Vec::new, |(_, has)| has.clone());
            has.retain(|place| !difference.lost.contains(place));
            has.extend(difference.gained);
            has.sort_unstable();
            has.dedup();
            tips.push((id, has));
        }
        self.tips = tips;
    }

    /// A tip of which all is known, as near in history as can be.
    fn nearest<'t>(
        &self,
        tip: graph::Commit,
        known: &'t Map<ObjectId, Vec<u32>>,
    ) -> Option<(&'t ObjectId, &'t Vec<u32>)> {
        let mut seen = Set::from_iter([tip]);
        let mut open = std::collections::VecDeque::from([tip]);
        while let Some(commit) = open.pop_front().filter(|_| seen.len() < NEAR) {
            if let Some(found) = known.get_key_value(self.graph.id(commit)) {
                return Some(found);
            }
            open.extend(self.graph.parents(commit).filter(|&parent| seen.insert(parent)));
        }
        known.iter().min_by_key(|(id, _)| **id)
    }

    /// Keeps what is known beside the state of this checksum.
    pub(super) fn store(&mut self, cache: &Cache, state: &Checksum, reached: &Reached) {
        let _ = self.try_store(cache, state, reached);
    }

    fn try_store(&mut self, cache: &Cache, state: &Checksum, reached: &Reached) -> Option<()> {
        let file = cache.beside("commits");
        let kept = self.file.take().filter(|(known, _)| *known == file && !self.graph.is_loose());
        let graph = match kept {
            Some((_, graph)) => {
                // Files that are not written for long are removed.
                let opened = std::fs::File::options().append(true).open(&file);
                let _ = opened.and_then(|file| file.set_modified(std::time::SystemTime::now()));
                graph
            }
            None => {
                if !self.graph.others().is_empty() {
                    let numbers = self.graph.join();
                    let commits = self.places.iter_mut().flat_map(|place| place.commits.iter_mut());
                    commits.for_each(|commit| *commit = numbers[*commit as usize]);
                    self.routes.packed.renumber(&numbers);
                }
                self.graph.write(&file)?
            }
        };
        let saved = Saved {
            graph,
            others: self.graph.others().to_vec(),
            places: std::mem::take(&mut self.places),
            packed: std::mem::take(&mut self.routes.packed),
            tips: self.tips.iter().map(|(id, has)| (id.as_bytes().to_vec(), has.clone())).collect(),
            is_whole: self.is_whole,
        };
        let body = postcard::to_stdvec(&(graph, reached, saved.bytes())).ok()?;
        write_atomically(&cache.beside("reach"), &[MAGIC, state, blake3::hash(&body).as_bytes(), &body])
    }
}
