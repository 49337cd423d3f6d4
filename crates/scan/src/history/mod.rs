//! A repository's whole history (ENV-5a): every object that it has, reachable or not, and what stands around them.
//!
//! Each object is decoded once ([`walk`], [`loose`]) and searched ([`visit`]); whatever refers to an object that is not
//! there is noticed on the way. Where a finding's object stands is found out afterwards ([`attribution`]), for those
//! objects only.

mod around;
mod attribution;
mod cache;
mod commit;
mod delta;
mod facts;
mod family;
mod genuine;
mod grown;
mod links;
mod listing;
mod loose;
mod objects;
mod pack;
mod reach;
mod table;
mod tree_entries;
mod visit;
mod walk;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use custody_contract::{Coverage, SkipReason, Surface};
use gix::ObjectId;

use self::attribution::{Names, attribute, in_order, merge_standings};
use self::cache::{Cache, Checksum, State};
#[cfg(test)]
pub(crate) use self::delta::Segments;
use self::facts::{Fact, Standing, Stands};
use self::grown::Grown;
use self::links::Links;
use self::listing::Listing;
use self::objects::{Marks, ObjectIndex, Store};
use self::reach::{Earlier, Learnt, Reachability, Refs, name_refs};
use self::visit::{Notes, Pending, Reading, Within};
use crate::collect::Collector;
use crate::engine::Engine;
use crate::source::{ScanOptions, Source, SourceError, Worker, escape, open_repository};

/// All objects of the git repository at a path: bare, mirror or with a working tree, in packs, in files of their own and
/// in alternates; commit and tag messages, authors, file and ref names, reflogs, configuration and hooks.
///
/// Its accounts are two: `objects`, and `repository files` for what is no object. A clone that lacks objects which its
/// own objects name, shallow or partial as it may be, is incomplete.
pub struct HistorySource {
    path: PathBuf,
    cache: Option<PathBuf>,
    verify: bool,
    verify_objects: bool,
}

impl HistorySource {
    /// The repository that `path` belongs to.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        HistorySource { path: path.into(), cache: None, verify: false, verify_objects: false }
    }

    /// The same, with a directory for what the next scan of the repository need not read again. Made if it is not there;
    /// that it cannot be used is no error.
    #[must_use]
    pub fn cache(self, directory: Option<PathBuf>) -> Self {
        HistorySource { cache: directory, ..self }
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
        let cache = self.cache.as_ref().filter(|_| !self.verify && !self.verify_objects);
        let cache = cache.and_then(|directory| Cache::new(directory, &objects, &engine.rules().digest()));
        let known = cache.as_ref().and_then(|cache| {
            let (state, checksum) = cache.load().filter(|(state, _)| listing.holds(state))?;
            Some((state, Earlier::load(cache, &checksum)?, checksum))
        });
        let store = Store::new(&listing, known.as_ref().map(|(state, ..)| state));
        let done = Marks::new(store.table.len());
        store.mark_known(&done);
        let keeps = cache.is_some();
        let history = History { engine, options, store: &store, done, verify: self.verify, keeps, refs: &refs };
        options.expect(Surface::History, store.table.len() as u64);
        let (mut worker, mut notes) = history.read(self.verify_objects);
        let (files, targets) = around::scan(&mut worker, &directories(&repository));
        name_refs(&refs, &mut worker);
        notes.missing.extend(targets.into_iter().filter(|id| store.lacks(id)));
        let is_new = known.is_none() || notes.read > 0;
        let versions = notes.versions.take();
        let is_whole = notes.unread.is_empty() && store.broken.is_empty() && history.done.all(store.table.len());
        let checksum = known.as_ref().map(|(.., checksum)| *checksum);
        let (mut state, mut reach) = history.learn(&mut worker, &mut notes, known, &repository);
        let is_complete = is_whole && refs.explains(cache::ids(&state.missing, listing.kind), &repository);
        let reached = reach.settle(&state.facts, is_complete, &mut |name| worker.search_name(name, Surface::History).0);
        state.facts.iter().for_each(|fact| fact.collect(engine.rules(), &reached, &mut worker.collector));
        collector.merge(worker.collector);
        let account = history.account(notes, &state);
        if let Some(cache) = cache.filter(|_| is_whole) {
            let checksum = if is_new {
                listing.note(&mut state);
                cache.store(&state)
            } else {
                checksum
            };
            reach.store(&cache, checksum, &reached);
        }
        Ok([account, files].into_iter().chain(versions).collect())
    }
}

/// Where the repository keeps what is no object.
fn directories(repository: &gix::Repository) -> Vec<PathBuf> {
    let shared = repository.common_dir().to_owned();
    let own = repository.git_dir();
    // A linked working tree's own directory lies within the shared one, whatever way leads there.
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if whole(own).starts_with(whole(&shared)) { vec![shared] } else { vec![shared, own.to_owned()] }
}

/// Searches the names in trees, each once, and adds what is found to `facts`. A name that holds a secret is shown
/// without it from here on.
fn search_names(worker: &mut Worker<'_>, links: &[Links], facts: &mut Vec<Fact>) -> Names {
    let mut names: Vec<&[u8]> = links.iter().flat_map(|links| links.names.keys().map(|name| &**name)).collect();
    names.sort_unstable();
    names.dedup();
    let mut shown = Vec::with_capacity(names.len());
    for name in &names {
        let (name, found) = worker.search_name(name, Surface::History);
        for hit in found {
            let fact = Fact::new(worker.engine.rules(), hit, &[], Stands::Name(name.clone()));
            if !facts.contains(&fact) {
                facts.push(fact);
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
    verify: bool,
    /// Whether what is learnt is kept for the next scan.
    keeps: bool,
    refs: &'h Refs,
}

impl<'h> History<'h> {
    /// Decodes and searches all objects.
    fn read(&self, verify_objects: bool) -> (Worker<'_>, Notes) {
        let threads = self.options.thread_count();
        let mut readings: Vec<_> = (0..threads)
            .map(|_| Reading::new(self.engine, self.store, self.options, &self.done, self.verify))
            .collect();
        readings.iter_mut().for_each(|reading| reading.verifies_objects = verify_objects);
        for pack in &self.store.packs {
            walk::walk_pack(self.store, pack, &mut readings);
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

    /// Adds what was found to what is known, with where it stands.
    fn learn<'r>(
        &self,
        worker: &mut Worker<'_>,
        notes: &mut Notes,
        known: Option<(State, Earlier, Checksum)>,
        repository: &'r gix::Repository,
    ) -> (State, Learnt<'r>)
    where
        'h: 'r,
    {
        let has_grown = known.is_some();
        let (mut state, earlier) = known.map_or_else(Default::default, |(state, earlier, _)| (state, Some(earlier)));
        let mut learnt = Learnt::from(earlier);
        let kind = self.store.table.kind();
        let links = std::mem::take(&mut notes.links);
        let names = if notes.read > 0 { search_names(worker, &links, &mut state.facts) } else { Names::default() };
        if has_grown {
            drop(links);
            self.place_new(worker, notes, &mut state, repository, &mut learnt);
        } else if notes.read > 0 {
            self.place_all(notes, &mut state, &names, links, repository, &mut learnt);
        }
        state.read += notes.read - notes.unread.len() as u64;
        state.bytes += notes.bytes;
        state.opaque += notes.opaque;
        let missing = cache::ids(&state.missing, kind).chain(std::mem::take(&mut notes.missing));
        let missing: BTreeSet<ObjectId> = missing.collect();
        state.missing = missing.iter().flat_map(|id| id.as_bytes().iter().copied()).collect();
        let submodules = notes.submodules.iter().map(|name| escape(name)).chain(std::mem::take(&mut state.submodules));
        state.submodules = submodules.collect::<BTreeSet<_>>().into_iter().collect();
        (state, learnt)
    }

    /// Of a history that is read as a whole.
    fn place_all<'r>(
        &self,
        notes: &mut Notes,
        state: &mut State,
        names: &Names,
        links: Vec<Links>,
        repository: &'r gix::Repository,
        learnt: &mut Learnt<'r>,
    ) where
        'h: 'r,
    {
        let pending = std::mem::take(&mut notes.pending);
        let blobs = pending.iter().filter(|pending| pending.within == Within::Blob);
        let wanted: HashSet<_> = blobs.map(|pending| pending.object).collect();
        let commits = in_order(std::mem::take(&mut notes.commits));
        learnt.times(&pending, &commits, self.store);
        let mut reachability =
            (self.keeps || !pending.is_empty()).then(|| Reachability::new(repository, self.refs, self.store, &commits));
        let tips = reachability.as_ref().map_or_else(Vec::new, |reachability| reachability.tips(self.store));
        let mut found = attribute(self.store, &wanted, commits, &tips, names, links);
        let standings = std::mem::take(&mut found.standings);
        if let Some(reachability) = &mut reachability {
            reachability.stands(found, &tips, self.store);
        }
        learnt.reachability = reachability;
        self.add(pending, state, &mut |object| standings.get(&object).cloned().unwrap_or_default());
    }

    /// Of what is new in a history: what is known may stand in other places, too.
    fn place_new<'r>(
        &self,
        worker: &mut Worker<'_>,
        notes: &mut Notes,
        state: &mut State,
        repository: &'r gix::Repository,
        learnt: &mut Learnt<'r>,
    ) where
        'h: 'r,
    {
        let is_same = learnt.earlier.as_ref().is_some_and(|earlier| earlier.is_of(self.refs));
        if notes.read == 0 && is_same {
            return;
        }
        let pending = std::mem::take(&mut notes.pending);
        let id = |object| self.store.table.id(object).as_bytes().to_vec();
        let new = pending.iter().filter(|pending| pending.within == Within::Blob).map(|pending| id(pending.object));
        let old = state.facts.iter().filter(|fact| matches!(fact.within, Stands::Blob(_)));
        let wanted: HashSet<_> = new.chain(old.map(|fact| fact.object.clone())).collect();
        let mut grown = Grown {
            repository,
            wanted: &wanted,
            shown: &mut |name| worker.search_name(name, Surface::History).0,
            standings: HashMap::new(),
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
        for fact in &mut state.facts {
            if let (Stands::Blob(known), Some(new)) = (&mut fact.within, standings.get(&fact.object)) {
                merge_standings(known, new);
            }
        }
        self.add(pending, state, &mut |object| {
            let mut all = Vec::new();
            merge_standings(&mut all, standings.get(&id(object)).map_or(&[], Vec::as_slice));
            all
        });
    }

    fn add(&self, pending: Vec<Pending>, state: &mut State, standings: &mut dyn FnMut(ObjectIndex) -> Vec<Standing>) {
        for Pending { object, within, found } in pending {
            let within = match within {
                Within::Commit(what) => Stands::Commit(what.to_owned()),
                Within::Tag(what) => Stands::Tag(what.to_owned()),
                Within::Blob => Stands::Blob(standings(object)),
            };
            let id = self.store.table.id(object).as_bytes();
            state.facts.push(Fact::new(self.engine.rules(), found, id, within));
        }
    }

    /// The account: each object is counted once, as read or as skipped.
    fn account(&self, notes: Notes, state: &State) -> Coverage {
        let mut account = Coverage::new(Surface::History, "objects");
        account.read = state.read;
        account.expected = account.read;
        account.bytes = state.bytes;
        account.opaque = state.opaque;
        for (what, reason) in &self.store.broken {
            account.record_skipped(what, reason.clone());
        }
        let hex = |object| self.store.table.id(object).to_hex().to_string();
        for (object, error) in &notes.unread {
            account.record_skipped(hex(*object), corrupt(error));
        }
        let noted = self.store.corrupt.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for object in (0..).take(self.store.table.len()).filter(|&object| !self.done.is_set(object)) {
            account
                .record_skipped(hex(object), corrupt(noted.get(&object).unwrap_or(&"its delta bases form a circle")));
        }
        for id in cache::ids(&state.missing, self.store.table.kind()) {
            account.record_skipped(id.to_hex().to_string(), SkipReason::Missing);
        }
        for name in &state.submodules {
            account.record_skipped(name.clone(), SkipReason::Submodule);
        }
        account
    }
}

fn corrupt(error: &str) -> SkipReason {
    if error == walk::TOO_LARGE {
        SkipReason::TooLarge { limit: walk::MAX_IN_MEMORY }
    } else {
        SkipReason::Corrupt { error: error.to_owned() }
    }
}
