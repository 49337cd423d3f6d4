//! A repository's whole history (ENV-5a): every object that it has, reachable or not, and what stands around them.
//!
//! Each object is decoded once ([`walk`], [`loose`]) and searched ([`visit`]); whatever refers to an object that is not
//! there is noticed on the way. Where a finding's object stands is found out afterwards ([`attribution`]), for those
//! objects only.

mod around;
mod attribution;
mod commit;
mod delta;
mod family;
mod links;
mod loose;
mod objects;
mod pack;
mod tree_entries;
mod visit;
mod walk;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use custody_contract::{Coverage, Occurrence, SkipReason, Surface};
use gix::ObjectId;

use self::attribution::{Names, Standing, attribute};
#[cfg(test)]
pub(crate) use self::delta::Segments;
use self::links::Links;
use self::objects::{Marks, ObjectIndex, Store};
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
}

impl HistorySource {
    /// The repository that `path` belongs to.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        HistorySource { path: path.into() }
    }
}

impl Source for HistorySource {
    fn scan_into(
        &self,
        engine: &Engine,
        options: &ScanOptions<'_>,
        collector: &mut Collector,
    ) -> Result<Vec<Coverage>, SourceError> {
        let repository = open_repository(&self.path)?;
        let objects = repository.objects.store_ref().path().to_owned();
        let store = Store::open(&objects, repository.object_hash());
        let history = History { engine, options, store: &store, done: Marks::new(store.table.len()) };
        options.expect(Surface::History, store.table.len() as u64);
        let (mut worker, mut notes) = history.read();
        let (files, targets) = around::scan(&mut worker, &directories(&repository));
        notes.missing.extend(targets.into_iter().filter(|id| store.lacks(id)));
        let names = search_names(&mut worker, &notes.links);
        history.attribute(&mut worker, &mut notes, &names);
        collector.merge(worker.collector);
        Ok(vec![history.account(notes), files])
    }
}

/// Where the repository keeps what is no object.
fn directories(repository: &gix::Repository) -> Vec<PathBuf> {
    let shared = repository.common_dir().to_owned();
    let own = repository.git_dir();
    // A linked working tree's own directory lies within the shared one.
    if own.starts_with(&shared) { vec![shared] } else { vec![shared, own.to_owned()] }
}

/// Searches the names in trees, each once. A name that holds a secret is shown without it from here on.
fn search_names(worker: &mut Worker<'_>, links: &[Links]) -> Names {
    let mut names: Vec<&[u8]> = links.iter().flat_map(|links| links.names.keys().map(|name| &**name)).collect();
    names.sort_unstable();
    names.dedup();
    let shown = names.iter().map(|name| worker.name(name, Surface::History)).collect();
    let numbers = links.iter().map(|links| {
        let mut numbers = vec![0; links.names.len()];
        for (name, &own) in &links.names {
            let at = names.binary_search(&&**name).unwrap_or_default();
            numbers[own as usize] = u32::try_from(at).unwrap_or(u32::MAX);
        }
        numbers
    });
    Names { numbers: numbers.collect(), shown }
}

/// One scan of a history.
struct History<'h> {
    engine: &'h Engine,
    options: &'h ScanOptions<'h>,
    store: &'h Store,
    done: Marks,
}

impl History<'_> {
    /// Decodes and searches all objects.
    fn read(&self) -> (Worker<'_>, Notes) {
        let threads = self.options.thread_count();
        let mut readings: Vec<_> =
            (0..threads).map(|_| Reading::new(self.engine, self.store, self.options, &self.done)).collect();
        for pack in &self.store.packs {
            walk::walk_pack(self.store, pack, |_| true, &mut readings);
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
        (worker, notes)
    }

    /// Adds what was found to the collector, at each place where it stands.
    fn attribute(&self, worker: &mut Worker<'_>, notes: &mut Notes, names: &Names) {
        let blobs = notes.pending.iter().filter(|pending| pending.within == Within::Blob);
        let wanted: HashSet<_> = blobs.map(|pending| pending.object).collect();
        let commits = std::mem::take(&mut notes.commits);
        let links = std::mem::take(&mut notes.links);
        let standings = attribute(self.store, &wanted, commits, names, links);
        for pending in std::mem::take(&mut notes.pending) {
            for occurrence in self.occurrences(&pending, &standings) {
                worker.collector.add(self.engine.rules(), pending.found.matched.clone(), occurrence);
            }
        }
    }

    fn occurrences(&self, pending: &Pending, standings: &HashMap<ObjectIndex, Vec<Standing>>) -> Vec<Occurrence> {
        let id = |object| self.store.table.id(object).to_hex().to_string();
        let object = id(pending.object);
        let at = |path: &str, commit: Option<String>| Occurrence {
            object: Some(object.clone()),
            commit,
            ..pending.found.occurrence(Surface::History, path)
        };
        match pending.within {
            Within::Commit(what) => vec![at(what, Some(object.clone()))],
            Within::Tag(what) => vec![at(what, None)],
            Within::Blob => match standings.get(&pending.object) {
                Some(standings) => {
                    standings.iter().map(|standing| at(&standing.path, Some(id(standing.commit)))).collect()
                }
                None => vec![at(&format!("object {object}"), None)],
            },
        }
    }

    /// The account: each object is counted once, as read or as skipped.
    fn account(&self, notes: Notes) -> Coverage {
        let mut account = Coverage::new(Surface::History, "objects");
        account.read = notes.read - notes.unread.len() as u64;
        account.expected = account.read;
        account.bytes = notes.bytes;
        account.opaque = notes.opaque;
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
        let mut missing: Vec<ObjectId> = notes.missing.into_iter().collect();
        missing.sort_unstable();
        for id in missing {
            account.record_skipped(id.to_hex().to_string(), SkipReason::Missing);
        }
        let mut submodules: Vec<_> = notes.submodules.into_iter().collect();
        submodules.sort_unstable();
        for name in submodules {
            account.record_skipped(escape(&name), SkipReason::Submodule);
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
