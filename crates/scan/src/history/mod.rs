//! A repository's whole history (ENV-5a): every object that it has, reachable or not, and what stands around them.
//!
//! Each object is decoded once ([`walk`], [`loose`]) and searched ([`visit`]); whatever refers to an object that is not
//! there is noticed on the way. Where a finding's object stands is found out afterwards ([`attribution`]), for those
//! objects only.

mod around;
mod attribution;
mod budget;
mod cache;
mod commit;
mod delta;
mod earlier;
mod facts;
mod family;
mod genuine;
mod grown;
mod ids;
mod links;
mod listing;
mod loose;
mod objects;
mod pack;
mod packed;
mod reach;
mod state;
mod table;
mod tables;
mod tree_entries;
mod visit;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use custody_contract::{Coverage, SkipReason, Surface};
use gix::ObjectId;

use self::attribution::{Attributed, Names, attribute, in_order, merge_standings};
use self::budget::Budget;
pub use self::budget::LEAST_MEMORY;
use self::cache::{Cache, Checksum, IdsName};
#[cfg(test)]
pub(crate) use self::delta::Segments;
use self::earlier::{Basis, Beginning, Novelty, Review};
use self::facts::{Fact, Standing, Stands};
use self::grown::Grown;
use self::ids::Weights;
use self::links::{Links, Spill};
use self::listing::Listing;
use self::objects::{Marks, ObjectIndex, Pack, Store};
use self::reach::{Learnt, Reachability, Refs, name_refs};
use self::state::State;
use self::tables::{Map, Set};
use self::visit::{Notes, Pending, Reading, Within};
use crate::collect::Collector;
use crate::engine::Engine;
use crate::source::{ScanOptions, Source, SourceError, Worker, escape, open_repository, unreadable};

/// Ids of objects that were read since the list of ids was written are kept with the rest up to this size, in bytes.
const MOST_RECENT: usize = 1 << 20;

/// All objects of the git repository at a path: bare, mirror or with a working tree, in packs, in files of their own and
/// in alternates; commit and tag messages, authors, file and ref names, reflogs, configuration and hooks.
///
/// Its accounts are two: `objects`, and `repository files` for what is no object. A clone that lacks objects which its
/// own objects name, shallow or partial as it may be, is incomplete.
pub struct HistorySource {
    path: PathBuf,
    cache: Option<PathBuf>,
    memory: Option<u64>,
    shares: Option<[usize; 3]>,
    verify: bool,
    verify_objects: bool,
}

impl HistorySource {
    /// The repository that `path` belongs to.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        HistorySource {
            path: path.into(),
            cache: None,
            memory: None,
            shares: None,
            verify: false,
            verify_objects: false,
        }
    }

    /// The same, with a directory for what the next scan of the repository need not read again. Made if it is not there;
    /// that it cannot be used is no error.
    #[must_use]
    pub fn cache(self, directory: Option<PathBuf>) -> Self {
        HistorySource { cache: directory, ..self }
    }

    /// The same, with the memory that the process may take, in bytes, [`LEAST_MEMORY`] at least; 512 MiB without, or what
    /// the table of a very large repository's objects leaves no other choice but to take.
    #[must_use]
    pub fn max_memory(self, most: Option<u64>) -> Self {
        HistorySource { memory: most, ..self }
    }

    /// The same, with shares of the memory in bytes: for links between trees, for bases, for the largest objects.
    #[doc(hidden)]
    #[must_use]
    pub fn shares(self, links: usize, bases: usize, large: usize) -> Self {
        HistorySource { shares: Some([links, bases, large]), ..self }
    }

    /// The same, with every version searched whole, too, and what is found compared: a third account, `versions`, tells
    /// how many were, and lists as skipped those for which it differs.
    #[must_use]
    pub fn verify(self, verify: bool) -> Self {
        HistorySource { verify, ..self }
    }

    /// The same, with every object held to its id, wherever it is stored: one that was altered and can still be decoded is
    /// corrupt. Nothing is taken over from an earlier scan, and nothing kept.
    #[must_use]
    pub fn verify_objects(self, verify_objects: bool) -> Self {
        HistorySource { verify_objects, ..self }
    }
}

impl Source for HistorySource {
    fn scan_into(
        &self,
        engine: &Engine,
        options: &ScanOptions<'_>,
        collector: &mut Collector,
    ) -> Result<Vec<Coverage>, SourceError> {
        let mut repository = open_repository(&self.path)?;
        // Objects are read as they are stored.
        repository.objects.ignore_replacements = true;
        repository.objects.refresh_never();
        let objects = repository.objects.store_ref().path().to_owned();
        let listing = Listing::of(&objects, repository.object_hash());
        let refs = Refs::read(&directories(&repository));
        let directory = self.cache.as_ref().filter(|_| !self.verify && !self.verify_objects);
        let digest = engine.rules().digest();
        let cache = |objects: &PathBuf| Cache::new(directory?, objects, listing.kind, &digest);
        let alternates: Vec<Cache> = listing.directories.iter().skip(1).filter_map(cache).collect();
        let cache = cache(&objects);
        let Beginning { mut store, done, weights, basis, reach, ids } =
            earlier::begin(cache.as_ref(), &alternates, &listing, engine);
        let threads = options.thread_count();
        store.budget = match self.shares {
            Some([links, bases, large]) => Budget::of(links, bases, large, threads),
            None => Budget::new(self.memory, store.table.len(), listing.kind, threads)?,
        };
        let packs = std::mem::take(&mut store.packs);
        let before = done.copy();
        let (grown, review) = match basis {
            Basis::Nothing => (None, None),
            Basis::Grown(state, novelty) => (Some((state, novelty)), None),
            Basis::Reviewed(state, review) => (None, Some((state, review))),
        };
        let (old, review) = review.map_or((None, None), |(state, review)| (Some(state), Some(*review)));
        let history = History {
            engine,
            options,
            store: &store,
            done,
            weights: &weights,
            review: review.as_ref(),
            verify: self.verify,
            verify_objects: self.verify_objects,
            keeps: cache.is_some(),
            refs: &refs,
        };
        options.expect(Surface::History, store.table.len() as u64);
        let (mut worker, mut notes) = history.read(packs);
        let known_files = grown.as_ref().map_or(&[][..], |(state, _)| &state.files);
        let around = around::scan(&mut worker, &directories(&repository), known_files, &|id| store.lacks(id));
        name_refs(&refs, &mut worker);
        let versions = notes.versions.take();
        let mut is_new = notes.read > 0 || around.files != *known_files;
        let has_grown = grown.is_some();
        let mut learnt = Learnt::from(reach);
        let mut state = match grown {
            Some((state, novelty)) => {
                is_new |= novelty == Novelty::New;
                let known = Known { state: *state, before: &before, novelty };
                history.grow(&mut worker, &mut notes, known, &repository, &mut learnt)
            }
            None => {
                is_new = true;
                history.place(&mut worker, &mut notes, old, &repository, &mut learnt)
            }
        };
        let is_whole = notes.unread.is_empty()
            && notes.lost.is_none()
            && store.broken.is_empty()
            && history.unreached().next().is_none();
        let is_complete = is_whole && refs.explains(cache::ids(&state.missing, listing.kind), &repository);
        let account = history.account(notes, &state, around.lacking);
        is_new |= listing.note(&mut state);
        state.files = around.files;
        let cache = cache.filter(|_| is_whole);
        let keep = || history.keep(cache.as_ref()?, &state, has_grown.then_some(&before), ids);
        let (reached, kept) = while_kept(cache.is_some() && is_new, keep, || {
            let reached =
                learnt.settle(&state.facts, is_complete, &mut |name| worker.search_name(name, Surface::History).0);
            state.collect(engine.rules(), &reached, &mut worker.collector);
            reached
        });
        let kept = if is_new { kept } else { state.kept.map(|kept| kept.checksum) };
        collector.merge(worker.collector);
        if let Some(cache) = cache {
            learnt.store(&cache, kept, &reached);
        }
        Ok([account, around.account].into_iter().chain(versions).collect())
    }
}

/// Puts a report together while what is known is kept on another thread, if it is to be.
fn while_kept<R>(
    is_kept: bool,
    keep: impl FnOnce() -> Option<Checksum> + Send,
    report: impl FnOnce() -> R,
) -> (R, Option<Checksum>) {
    std::thread::scope(|scope| {
        let keeping = is_kept.then(|| std::thread::Builder::new().spawn_scoped(scope, keep));
        let report = report();
        (report, keeping.and_then(|keeping| keeping.ok()?.join().ok().flatten()))
    })
}

/// Where the repository keeps what is no object.
fn directories(repository: &gix::Repository) -> Vec<PathBuf> {
    let shared = repository.common_dir().to_owned();
    let own = repository.git_dir();
    // A linked working tree's own directory lies within the shared one, whatever way leads there.
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if whole(own).starts_with(whole(&shared)) { vec![shared] } else { vec![shared, own.to_owned()] }
}

/// Searches the names in trees, each once, and adds what is found to `state`. A name that holds a secret is shown
/// without it from here on.
fn search_names(worker: &mut Worker<'_>, links: &[Links], state: &mut State) -> Names {
    let mut names: Vec<&[u8]> = links.iter().flat_map(|links| links.names.keys().map(|name| &**name)).collect();
    names.sort_unstable();
    names.dedup();
    let mut shown = Vec::with_capacity(names.len());
    for name in &names {
        let (name, found) = worker.search_name(name, Surface::History);
        state.names_entangled |= worker.in_layers();
        for hit in found {
            let fact = Fact::new(worker.engine.rules(), hit, None, Stands::Name(Arc::from(&*name)));
            if !state.facts.contains(&fact) {
                state.facts.push(fact);
            }
        }
        shown.push(name);
    }
    let numbers = links.iter().map(|links| {
        let mut numbers = vec![0; links.names.len()];
        for (name, &own) in &links.names {
            let at = names.binary_search(&&**name).unwrap_or_default();
            numbers[own as usize] = narrow(at);
        }
        numbers
    });
    let numbers = numbers.collect();
    let is_hidden = |&(number, name): &(usize, &&[u8])| shown[number].as_bytes() != *name;
    let hidden = names.iter().map(|name| &**name).enumerate();
    let hidden = hidden.filter(|(number, name)| is_hidden(&(*number, name)));
    let hidden = hidden.map(|(number, name)| (narrow(number), name.into())).collect();
    Names { numbers, shown, hidden }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// One scan of a history.
struct History<'h> {
    engine: &'h Engine,
    options: &'h ScanOptions<'h>,
    store: &'h Store,
    done: Marks,
    weights: &'h Weights,
    /// How what is known has to be seen to, if not all of it holds.
    review: Option<&'h Review>,
    verify: bool,
    verify_objects: bool,
    /// Whether what is learnt is kept for the next scan.
    keeps: bool,
    refs: &'h Refs,
}

/// What is known, all of which holds.
struct Known<'k> {
    state: State,
    /// The objects that were read.
    before: &'k Marks,
    novelty: Novelty,
}

impl<'h> History<'h> {
    /// Decodes and searches all objects that are to be read.
    fn read(&self, packs: Vec<Pack>) -> (Worker<'_>, Notes) {
        let spill = Arc::new(Spill::new(self.store.budget.links));
        let threads = self.options.thread_count();
        let mut readings: Vec<_> = (0..threads).map(|_| Reading::new(self, Arc::clone(&spill))).collect();
        for pack in packs {
            walk::walk_pack(self.store, &pack, &mut readings);
        }
        loose::walk_loose(self.store, &mut readings);
        let mut worker = Worker::new(self.engine);
        let mut notes = Notes::default();
        for mut reading in readings {
            reading.report();
            worker.collector.merge(reading.worker.collector);
            reading.notes.links.push(reading.links);
            notes.merge(reading.notes);
        }
        // An object can be stored several times, and wrong in several ways.
        notes.unread.sort_unstable();
        notes.unread.dedup_by_key(|(object, _)| *object);
        (worker, notes)
    }

    /// What is known where all of it was found anew, but what of an `earlier` state holds of files, commits and tags.
    fn place<'r>(
        &self,
        worker: &mut Worker<'_>,
        notes: &mut Notes,
        earlier: Option<Box<State>>,
        repository: &'r gix::Repository,
        learnt: &mut Learnt<'r>,
    ) -> State
    where
        'h: 'r,
    {
        let mut state = State::new(self.engine.rules());
        let links = std::mem::take(&mut notes.links);
        let names = search_names(worker, &links, &mut state);
        let kept = self.still_true(notes, earlier, &mut state);
        let pending = std::mem::take(&mut notes.pending);
        let blobs = pending.iter().filter(|pending| pending.within == Within::Blob).map(|pending| pending.object);
        let old = kept.iter().filter(|(_, fact)| fact.is_of_blob()).map(|(object, _)| *object);
        let wanted: Set<_> = blobs.chain(old).collect();
        let commits = in_order(std::mem::take(&mut notes.commits));
        learnt.times(&pending, &commits, self.store);
        let is_of_use = self.keeps || !pending.is_empty() || !kept.is_empty();
        let mut reachability = is_of_use.then(|| Reachability::new(repository, self.refs, self.store, &commits));
        let tips = reachability.as_ref().map_or_else(Vec::new, |reachability| reachability.tips(self.store));
        let mut found = attribute(self.store, &wanted, commits, &tips, &names, links).unwrap_or_else(|error| {
            notes.lost = Some(unreadable(&error));
            Attributed { tips: vec![Vec::new(); tips.len()], ..Attributed::default() }
        });
        let standings = std::mem::take(&mut found.standings);
        if let Some(reachability) = &mut reachability {
            reachability.stands(found, &tips, self.store);
        }
        learnt.reachability = reachability;
        let mut places = |object| standings.get(&object).cloned().unwrap_or_default();
        for (object, mut fact) in kept {
            if let Stands::Blob(known) = &mut fact.within {
                *known = places(object);
            }
            state.facts.push(fact);
        }
        self.add(pending, &mut state, &mut places);
        self.note_rest(notes, &mut state);
        let (objects, count) = (&self.store.table, |object: ObjectIndex| self.is_read(object));
        state.totals = self.weights.totals(objects, count);
        state.arrange(self.engine.rules());
        state
    }

    /// The facts of an earlier state that hold, with their objects.
    fn still_true(&self, notes: &Notes, earlier: Option<Box<State>>, state: &mut State) -> Vec<(ObjectIndex, Fact)> {
        let (Some(earlier), Some(review)) = (earlier, self.review) else { return Vec::new() };
        let renewed: Set<ObjectIndex> = notes.renewed.iter().copied().collect();
        let holds = |id: &ObjectId| {
            let object = self.store.table.lookup(id.as_bytes())?;
            (!review.is_due(object) && !renewed.contains(&object)).then_some(object)
        };
        let entangled = cache::ids(&earlier.entangled, self.store.table.kind()).filter(|id| holds(id).is_some());
        state.entangled = entangled.flat_map(|id| id.as_bytes().to_vec()).collect();
        earlier.facts.into_iter().filter_map(|fact| Some((holds(&fact.object?)?, fact))).collect()
    }

    /// Adds what was found to what is known, all of which holds.
    fn grow<'r>(
        &self,
        worker: &mut Worker<'_>,
        notes: &mut Notes,
        known: Known<'_>,
        repository: &'r gix::Repository,
        learnt: &mut Learnt<'r>,
    ) -> State
    where
        'h: 'r,
    {
        let Known { mut state, before, novelty } = known;
        if notes.read == 0 {
            if novelty == Novelty::New || learnt.earlier.as_ref().is_none_or(|earlier| !earlier.is_of(self.refs)) {
                self.place_new(worker, notes, &mut state, repository, learnt);
            }
            return state;
        }
        let facts = state.facts.len();
        search_names(worker, &std::mem::take(&mut notes.links), &mut state);
        let moved = self.place_new(worker, notes, &mut state, repository, learnt);
        self.note_rest(notes, &mut state);
        let is_new = |object: ObjectIndex| !before.is_set(object) && self.is_read(object);
        let new = self.weights.totals(&self.store.table, is_new);
        state.totals = state.totals + new;
        if moved || state.facts.len() > facts {
            state.arrange(self.engine.rules());
        }
        state
    }

    /// Adds to a state what is no fact.
    fn note_rest(&self, notes: &mut Notes, state: &mut State) {
        let kind = self.store.table.kind();
        let bytes = |ids: BTreeSet<ObjectId>| ids.iter().flat_map(|id| id.as_bytes().iter().copied()).collect();
        state.missing = bytes(cache::ids(&state.missing, kind).chain(std::mem::take(&mut notes.missing)).collect());
        let entangled = notes.entangled.iter().map(|&object| self.store.table.id(object).to_owned());
        state.entangled = bytes(cache::ids(&state.entangled, kind).chain(entangled).collect());
        let submodules = notes.submodules.iter().map(|name| escape(name)).chain(std::mem::take(&mut state.submodules));
        state.submodules = submodules.collect::<BTreeSet<_>>().into_iter().collect();
    }

    /// Of what is new in a history: what is known may stand in other places, too. Whether any of it does.
    fn place_new<'r>(
        &self,
        worker: &mut Worker<'_>,
        notes: &mut Notes,
        state: &mut State,
        repository: &'r gix::Repository,
        learnt: &mut Learnt<'r>,
    ) -> bool
    where
        'h: 'r,
    {
        let pending = std::mem::take(&mut notes.pending);
        let id = |object| self.store.table.id(object).to_owned();
        let new = pending.iter().filter(|pending| pending.within == Within::Blob).map(|pending| id(pending.object));
        let old = state.facts.iter().filter(|fact| fact.is_of_blob()).filter_map(|fact| fact.object);
        let wanted: Set<_> = new.chain(old).collect();
        let mut grown = Grown {
            repository,
            wanted: &wanted,
            shown: &mut |name| worker.search_name(name, Surface::History).0,
            standings: Map::default(),
            introduced: Vec::new(),
            steps: 0,
        };
        learnt.times(&pending, &notes.commits, self.store);
        let mut commits = in_order(std::mem::take(&mut notes.commits));
        learnt.add_commits(repository, self.refs, self.store, &mut commits);
        for commit in &commits {
            grown.commit(self.store.table.id(commit.commit).to_owned(), commit);
        }
        let Grown { standings, introduced, .. } = grown;
        learnt.add_places(introduced);
        let mut moved = false;
        for fact in state.facts.iter_mut().filter(|_| !standings.is_empty()) {
            if let (Stands::Blob(known), Some(new)) =
                (&mut fact.within, fact.object.and_then(|object| standings.get(&object)))
            {
                moved = true;
                merge_standings(known, new);
            }
        }
        self.add(pending, state, &mut |object| {
            let mut all = Vec::new();
            merge_standings(&mut all, standings.get(&id(object)).map_or(&[], Vec::as_slice));
            all
        });
        moved
    }

    fn add(&self, pending: Vec<Pending>, state: &mut State, standings: &mut dyn FnMut(ObjectIndex) -> Vec<Standing>) {
        for Pending { object, within, found } in pending {
            let within = match within {
                Within::Commit(what) => Stands::Commit(Arc::from(what)),
                Within::Tag(what) => Stands::Tag(Arc::from(what)),
                Within::Blob => Stands::Blob(standings(object)),
            };
            let id = self.store.table.id(object).to_owned();
            state.facts.push(Fact::new(self.engine.rules(), found, Some(id), within));
        }
    }

    /// Keeps for the next scan what is known and which objects were read; those known `before` are in the list `ids` and
    /// among the state's recent ones.
    fn keep(&self, cache: &Cache, state: &State, before: Option<&Marks>, mut ids: Option<IdsName>) -> Option<Checksum> {
        let table = &self.store.table;
        let is_new = |object| self.is_read(object) && before.is_none_or(|before| !before.is_set(object));
        let mut recent = Vec::new();
        if before.is_none() {
            ids = cache.write_ids(|sink| self.weights.list(table, is_new, sink));
        } else {
            let mut new = Vec::new();
            self.weights.list(table, is_new, &mut |piece| new.extend_from_slice(piece));
            recent = ids::merge(&state.recent, &new, table.kind());
            if recent.len() > MOST_RECENT {
                let list = ids.and_then(|ids| cache.ids(&ids));
                ids = list.and_then(|list| cache.store_ids(&ids::merge(&list, &recent, table.kind())));
                recent.clear();
            }
        }
        cache.store(state, &recent, ids)
    }

    /// Whether the object was read, now or before.
    fn is_read(&self, object: ObjectIndex) -> bool {
        self.done.is_set(object)
            || self.review.is_some_and(|review| review.old.is_set(object)) && !self.corrupt().contains_key(&object)
    }

    /// The objects that should have been read and were not.
    fn unreached(&self) -> impl Iterator<Item = ObjectIndex> {
        (0..).take(self.store.table.len()).filter(|&object| !self.is_read(object))
    }

    fn corrupt(&self) -> std::sync::MutexGuard<'_, BTreeMap<ObjectIndex, &'static str>> {
        self.store.corrupt.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Why an object is not read.
    fn skipped(&self, error: &str) -> SkipReason {
        if error == walk::TOO_LARGE {
            SkipReason::TooLarge { limit: self.store.most() }
        } else {
            SkipReason::Corrupt { error: error.to_owned() }
        }
    }

    /// The account: each object is counted once, as read or as skipped.
    fn account(&self, notes: Notes, state: &State, lacking: Vec<ObjectId>) -> Coverage {
        let mut account = Coverage::new(Surface::History, "objects");
        account.read = state.totals.read - notes.unread.len() as u64;
        account.expected = account.read;
        account.bytes = state.totals.bytes;
        account.opaque = state.totals.opaque;
        for (what, reason) in &self.store.broken {
            account.record_skipped(what, reason.clone());
        }
        let hex = |object| self.store.table.id(object).to_hex().to_string();
        for (object, error) in &notes.unread {
            account.record_skipped(hex(*object), self.skipped(error));
        }
        if let Some(reason) = notes.lost {
            account.record_skipped("where files stand", reason);
        }
        for object in self.unreached() {
            let error = self.corrupt().get(&object).copied();
            account.record_skipped(hex(object), self.skipped(error.unwrap_or("its delta bases form a circle")));
        }
        let missing: BTreeSet<ObjectId> = cache::ids(&state.missing, self.store.table.kind()).chain(lacking).collect();
        for id in missing {
            account.record_skipped(id.to_hex().to_string(), SkipReason::Missing);
        }
        for name in &state.submodules {
            account.record_skipped(name.clone(), SkipReason::Submodule);
        }
        account
    }
}
