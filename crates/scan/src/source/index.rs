use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bstr::{BString, ByteSlice as _};
use custody_contract::{Coverage, SkipReason, Surface};
use gix::ObjectId;
use gix::index::entry::{Flags, Mode};

use super::file::record_scanned;
use super::repository::failed;
use super::tree::Exclude;
use super::{Found, ScanOptions, Source, SourceError, Target, Worker, open_inside, open_repository, scan_reader};
use crate::collect::Collector;
use crate::engine::Engine;
use crate::extract::Content;

/// Larger staged files are not read.
const MAX_BYTES: u64 = 512 << 20;

/// How much of the index is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndexExtent {
    /// What the next commit would change: entries that `HEAD` does not have so.
    #[default]
    Changed,
    /// All entries.
    Whole,
}

/// The git index: what the next commit would hold.
///
/// Contents are read from the object database, as `git add` put them there, not from the working tree. Of a file in
/// conflict all stages are read.
pub struct IndexSource<'a> {
    path: PathBuf,
    extent: IndexExtent,
    exclude: Option<Exclude<'a>>,
}

impl<'a> IndexSource<'a> {
    /// The index of the repository that `path` belongs to.
    pub fn new(path: impl Into<PathBuf>, extent: IndexExtent) -> Self {
        IndexSource { path: path.into(), extent, exclude: None }
    }

    /// Leaves out files that the contract excludes; each is listed with the reason.
    #[must_use]
    pub fn exclude(mut self, exclude: Exclude<'a>) -> Self {
        self.exclude = Some(exclude);
        self
    }

    fn entries(&self, repository: &gix::Repository) -> Result<Vec<Staged>, SourceError> {
        let index = repository.index_or_empty().map_err(|error| failed("read the index", &self.path, &error))?;
        let head = match self.extent {
            IndexExtent::Whole => HashMap::new(),
            IndexExtent::Changed => head_entries(repository, &index),
        };
        let unchanged = |path: &BString, mode: Mode, id: ObjectId| head.get(path) == Some(&(mode, id));
        let mut staged = Vec::new();
        for entry in index.entries() {
            let path = entry.path(&index).to_owned();
            if entry.mode.is_sparse() {
                let directory = path.trim_end_with(|c| c == '/').to_owned();
                for (below, mode, id) in files_below(repository, entry.id).unwrap_or_default() {
                    let path: BString = [&directory[..], b"/", &below[..]].concat().into();
                    if !unchanged(&path, mode, id) {
                        staged.push(Staged { path, mode, id, intent_to_add: false });
                    }
                }
            } else if entry.stage_raw() != 0 || !unchanged(&path, entry.mode, entry.id) {
                let intent_to_add = entry.flags.contains(Flags::INTENT_TO_ADD);
                staged.push(Staged { path, mode: entry.mode, id: entry.id, intent_to_add });
            }
        }
        Ok(staged)
    }
}

impl Source for IndexSource<'_> {
    fn scan_into(
        &self,
        engine: &Engine,
        options: &ScanOptions<'_>,
        collector: &mut Collector,
    ) -> Result<Vec<Coverage>, SourceError> {
        let repository = open_repository(&self.path)?;
        let staged = self.entries(&repository)?;
        options.expect(Surface::Staged, staged.len() as u64);
        let threads = options.thread_count().min(staged.len().div_ceil(16)).max(1);
        let repository = repository.into_sync();
        let (next, done) = (AtomicUsize::new(0), Mutex::new((collector, Coverage::new(Surface::Staged, "entries"))));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let repository = repository.to_thread_local();
                    let mut worker = Worker::new(engine);
                    let mut account = Coverage::new(Surface::Staged, "entries");
                    while let Some(staged) = staged.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let before = account.bytes;
                        scan_entry(&mut worker, &repository, staged, self.exclude, &mut account);
                        options.advance(Surface::Staged, 1, account.bytes - before);
                    }
                    let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    done.0.merge(worker.collector);
                    done.1.merge(account);
                });
            }
        });
        let (_, mut account) = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        account.skipped.sort_by(|one, other| one.what.cmp(&other.what));
        Ok(vec![account])
    }
}

/// An entry that is looked at.
struct Staged {
    path: BString,
    mode: Mode,
    id: ObjectId,
    intent_to_add: bool,
}

fn scan_entry(
    worker: &mut Worker<'_>,
    repository: &gix::Repository,
    staged: &Staged,
    exclude: Option<Exclude<'_>>,
    account: &mut Coverage,
) {
    let name = worker.name(&staged.path, Surface::Staged);
    if let Some(reason) = exclude.and_then(|exclude| exclude(&staged.path.to_str_lossy())) {
        return account.record_skipped(name, SkipReason::ExcludedByContract { reason });
    }
    if staged.mode.is_submodule() {
        return account.record_skipped(name, SkipReason::Submodule);
    }
    if staged.intent_to_add {
        // Announced, not staged: there is no content yet that a commit would hold.
        return account.record_read(0);
    }
    match repository.try_find_header(staged.id) {
        Ok(Some(header)) if header.size() > MAX_BYTES => {
            return account.record_skipped(name, SkipReason::TooLarge { limit: MAX_BYTES });
        }
        Ok(Some(_)) => {}
        Ok(None) => return account.record_skipped(name, SkipReason::Missing),
        Err(_) => return account.record_skipped(name, damaged()),
    }
    let object = match repository.try_find_object(staged.id) {
        Ok(Some(object)) if object.kind == gix::objs::Kind::Blob => object,
        Ok(None) => return account.record_skipped(name, SkipReason::Missing),
        Ok(Some(_)) | Err(_) => return account.record_skipped(name, damaged()),
    };
    let mut found = Vec::new();
    let target = Target { path: Some(&name), surface: Surface::Staged };
    let (scanned, _) = scan_reader(worker, &object.data[..], target, &mut |hit: Found| found.push(hit));
    let content = Content::Random(&mut std::io::Cursor::new(&object.data[..]));
    let inside = open_inside(worker, scanned, content, target, &mut found);
    for hit in found {
        let mut occurrence = hit.occurrence(Surface::Staged, &name);
        occurrence.object = Some(staged.id.to_hex().to_string());
        worker.collector.add(worker.engine.rules(), hit.matched, occurrence);
    }
    record_scanned(scanned, inside, &name, account);
}

fn damaged() -> SkipReason {
    SkipReason::Corrupt { error: "the staged object cannot be decoded".to_owned() }
}

/// What `HEAD` holds. Where there is no `HEAD` yet, or its trees cannot be read, nothing: then every entry counts as
/// changed.
fn head_entries(repository: &gix::Repository, index: &gix::index::File) -> HashMap<BString, (Mode, ObjectId)> {
    let Ok(tree) = repository.head_tree_id() else { return HashMap::new() };
    let untouched = index.tree().is_some_and(|cached| cached.num_entries.is_some() && cached.id == tree.detach());
    if untouched {
        return index.entries().iter().map(|entry| (entry.path(index).to_owned(), (entry.mode, entry.id))).collect();
    }
    let files = files_below(repository, tree.detach()).unwrap_or_default();
    files.into_iter().map(|(path, mode, id)| (path, (mode, id))).collect()
}

/// All files of a tree with their paths, submodules included; `None` if the trees cannot all be read.
pub(super) fn files_below(repository: &gix::Repository, tree: ObjectId) -> Option<Vec<(BString, Mode, ObjectId)>> {
    let tree = repository.find_tree(tree).ok()?;
    let files = tree.traverse().breadthfirst.files().ok()?;
    Some(
        files
            .into_iter()
            .filter(|file| !file.mode.is_tree())
            .map(|file| (file.filepath, Mode::from(file.mode), file.oid))
            .collect(),
    )
}
