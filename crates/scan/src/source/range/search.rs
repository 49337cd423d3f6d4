//! Searching what a range brings, and the account of it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use custody_contract::{Coverage, Occurrence, SkipReason, Surface};
use gix::ObjectId;
use gix::objs::Kind;

use super::objects::{Objects, Unread};
use super::texts::headers;
use super::trees::{NewBlob, Trees, standing};
use crate::engine::Engine;
use crate::extract::Content;
use crate::source::file::record_scanned;
use crate::source::name::redact;
use crate::source::{Found, ScanOptions, Target, Worker, escape, open_inside, scan_reader};

pub(super) const SURFACE: Surface = Surface::History;

/// One scan of a range.
pub(super) struct Range<'r> {
    pub(super) objects: &'r Objects,
    pub(super) worker: Worker<'r>,
    pub(super) account: Coverage,
}

/// What threads that read files need.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r> {
    pub(super) engine: &'r Engine,
    pub(super) options: &'r ScanOptions<'r>,
    pub(super) repository: &'r gix::Repository,
    pub(super) directories: &'r [PathBuf],
}

impl Range<'_> {
    /// Searches what people wrote in a commit or tag.
    pub(super) fn text(&mut self, id: ObjectId, kind: Kind) {
        let mut buffer = Vec::new();
        let data = match self.objects.read_as(id, kind, &mut buffer) {
            Ok(data) => data,
            Err(unread) => return self.account.record_skipped(id.to_hex().to_string(), unread.reason()),
        };
        self.account.record_read(data.len() as u64);
        for (what, at) in headers(data, kind).texts {
            let mut found = Vec::new();
            self.worker.search(&data[at.clone()], None, SURFACE, &mut |hit| found.push(hit));
            for mut hit in found {
                hit.place.offset += at.start as u64;
                let commit = (kind == Kind::Commit).then_some(id);
                self.add(hit, what, Some(id), commit);
            }
        }
    }

    /// Searches the paths that are new.
    pub(super) fn paths(&mut self, trees: &Trees<'_>) {
        for new in &trees.paths {
            let found = self.in_name(&new.path);
            if !found.is_empty() {
                let shown = redacted(&new.path, &found);
                for hit in found {
                    self.add(hit, &shown, None, new.commit);
                }
            }
        }
        let mut submodules: Vec<String> = trees.submodules.iter().map(|path| self.shown(path)).collect();
        submodules.sort_unstable();
        submodules.dedup();
        for path in submodules {
            self.account.record_skipped(path, SkipReason::Submodule);
        }
    }

    fn in_name(&mut self, path: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        self.worker.search(path, None, SURFACE, &mut |hit| found.push(hit));
        found
    }

    /// A path as it may be shown: without secrets, also where it is not new.
    fn shown(&mut self, path: &[u8]) -> String {
        let found = self.in_name(path);
        redacted(path, &found)
    }

    fn add(&mut self, found: Found, path: &str, object: Option<ObjectId>, commit: Option<ObjectId>) {
        let hex = |id: ObjectId| id.to_hex().to_string();
        let occurrence =
            Occurrence { object: object.map(hex), commit: commit.map(hex), ..found.occurrence(SURFACE, path) };
        self.worker.collector.add(self.worker.engine.rules(), found.matched, occurrence);
    }

    /// Searches the files' contents. What is found in one that the commits before the range have is left out.
    pub(super) fn blobs(&mut self, blobs: &[NewBlob], before: &[ObjectId], reader: Reader<'_>) {
        let (next, done) = (AtomicUsize::new(0), Mutex::new((Vec::new(), Coverage::new(SURFACE, "objects"))));
        let threads = reader.options.thread_count().min(blobs.len().div_ceil(16)).max(1);
        let read = |objects: &Objects| {
            let mut worker = Worker::new(reader.engine);
            let (mut found, mut account) = (Vec::new(), Coverage::new(SURFACE, "objects"));
            let mut buffer = Vec::new();
            while let Some((at, blob)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, blobs.get(at)?)))
            {
                let bytes = account.bytes;
                scan_blob(&mut worker, objects, blob, &mut buffer, &mut account, &mut |hit| found.push((at, hit)));
                reader.options.advance(SURFACE, 1, account.bytes - bytes);
            }
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            done.0.append(&mut found);
            done.1.merge(account);
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                let repository = reader.repository.clone().into_sync();
                scope.spawn(move || read(&Objects::open(&repository.to_thread_local(), reader.directories)));
            }
            read(self.objects);
        });
        let (mut found, account) = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.account.merge(account);
        found.sort_by_key(|(at, hit)| (*at, hit.place.offset));
        let wanted: HashSet<_> = found.iter().map(|(at, _)| blobs[*at].id).collect();
        let old = if wanted.is_empty() { HashSet::new() } else { standing(self.objects, before, &wanted) };
        // Later versions of a file that hold the same secret in the same way say nothing new.
        let mut first: HashMap<_, usize> = HashMap::new();
        for (at, hit) in found {
            let blob = &blobs[at];
            let what = (hit.matched.fingerprint, hit.matched.allowed.is_some(), &blob.path);
            if !old.contains(&blob.id) && *first.entry(what).or_insert(at) == at {
                let shown = self.shown(&blob.path);
                self.add(hit, &shown, Some(blob.id), blob.commit);
            }
        }
    }

    /// Completes the account: trees, and what could not be read.
    pub(super) fn account(&mut self, trees: &Trees<'_>, unread: impl Iterator<Item = (ObjectId, Unread)>) {
        self.account.read += trees.read.0;
        self.account.expected += trees.read.0;
        self.account.bytes += trees.read.1;
        for (id, unread) in trees.unread.iter().copied().chain(unread) {
            self.account.record_skipped(id.to_hex().to_string(), unread.reason());
        }
        self.account.skipped.sort_by(|one, other| one.what.cmp(&other.what));
    }
}

fn redacted(path: &[u8], found: &[Found]) -> String {
    let secrets: Vec<_> = found.iter().map(|hit| (hit.matched.start, hit.matched.end)).collect();
    redact(path, &secrets)
}

fn scan_blob(
    worker: &mut Worker<'_>,
    objects: &Objects,
    blob: &NewBlob,
    buffer: &mut Vec<u8>,
    account: &mut Coverage,
    sink: &mut dyn FnMut(Found),
) {
    let name = escape(&blob.path);
    match objects.read_as(blob.id, Kind::Blob, buffer) {
        Ok(data) => {
            let target = Target { path: Some(&name), surface: SURFACE };
            let mut found = Vec::new();
            let (scanned, _) = scan_reader(worker, data, target, &mut |hit| found.push(hit));
            let content = Content::Random(&mut std::io::Cursor::new(data));
            let inside = open_inside(worker, scanned, content, target, &mut found);
            found.into_iter().for_each(sink);
            record_scanned(scanned, inside, &name, account);
        }
        Err(unread) => account.record_skipped(format!("{} ({})", blob.id.to_hex(), name), unread.reason()),
    }
}
