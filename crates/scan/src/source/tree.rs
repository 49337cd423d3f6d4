mod large;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fs::FileType;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bstr::ByteSlice as _;
use custody_contract::{Coverage, SkipReason, Surface};
use ignore::{ParallelVisitor, ParallelVisitorBuilder, WalkBuilder, WalkState};

use self::large::Large;
use super::file::{open, record_result, scan_open, scan_other, unreadable};
use super::{ScanOptions, Source, SourceError, Worker, escape, repository};
use crate::collect::Collector;
use crate::engine::Engine;

/// Which files of a working tree are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IgnoreRules {
    /// Those that git does not ignore, and those that it tracks.
    #[default]
    Honour,
    /// All.
    Disregard,
}

/// Tells the surface that the contract gives a path, relative to the root and `/` between its parts.
pub type Classify<'a> = &'a (dyn Fn(&str) -> Option<Surface> + Sync);

/// Tells why the contract excludes a path, if it does.
pub type Exclude<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// A directory (or one file) as it stands on disk.
///
/// Links are not followed: their text is searched. Pipes, sockets and devices are never opened. `.git` is left out;
/// what it holds is the history's. File names are searched as well as contents.
pub struct TreeSource<'a> {
    root: PathBuf,
    ignore_rules: IgnoreRules,
    classify: Option<Classify<'a>>,
    exclude: Option<Exclude<'a>>,
}

impl<'a> TreeSource<'a> {
    /// The tree at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        TreeSource { root: root.into(), ignore_rules: IgnoreRules::Honour, classify: None, exclude: None }
    }

    /// Whether git's ignore rules hold.
    #[must_use]
    pub fn ignore_rules(mut self, ignore_rules: IgnoreRules) -> Self {
        self.ignore_rules = ignore_rules;
        self
    }

    /// Names the surface of files that stand in directories which the contract names. Such files are searched even if
    /// git ignores them: logs and evidence usually are.
    #[must_use]
    pub fn classify(mut self, classify: Classify<'a>) -> Self {
        self.classify = Some(classify);
        self
    }

    /// Leaves out files that the contract excludes; each is listed with the reason.
    #[must_use]
    pub fn exclude(mut self, exclude: Exclude<'a>) -> Self {
        self.exclude = Some(exclude);
        self
    }

    fn walk(&self, root: &Path, options: &ScanOptions<'_>, rules: IgnoreRules, in_git: bool) -> WalkBuilder {
        let honour = rules == IgnoreRules::Honour;
        let mut walk = WalkBuilder::new(root);
        walk.standard_filters(false)
            .git_ignore(honour)
            .git_exclude(honour)
            .git_global(honour)
            .parents(honour && in_git)
            .require_git(in_git)
            .follow_links(false)
            .threads(options.thread_count())
            .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
        walk
    }
}

impl Source for TreeSource<'_> {
    fn scan_into(
        &self,
        engine: &Engine,
        options: &ScanOptions<'_>,
        collector: &mut Collector,
    ) -> Result<Vec<Coverage>, SourceError> {
        let root = self.root.canonicalize().map_err(|error| SourceError::Open { path: self.root.clone(), error })?;
        let pass = Pass {
            source: self,
            engine,
            options,
            root: &root,
            hasher: RandomState::new(),
            seen: Mutex::default(),
            large: Mutex::default(),
            done: Mutex::default(),
        };
        let kind =
            root.symlink_metadata().map_err(|error| SourceError::Open { path: root.clone(), error })?.file_type();
        if !kind.is_dir() {
            let name = root.file_name().unwrap_or_default().as_encoded_bytes();
            pass.scan().file(&root, name, kind, Only::Any);
            return Ok(pass.finish(collector));
        }
        let repository = repository::open(&root).ok();
        let in_git = repository.is_some();
        self.walk(&root, options, self.ignore_rules, in_git)
            .build_parallel()
            .visit(&mut Visits { pass: &pass, only: Only::Any });
        if self.ignore_rules == IgnoreRules::Honour {
            if let Some(repository) = &repository {
                pass.tracked(repository);
            }
            if self.classify.is_some() {
                self.walk(&root, options, IgnoreRules::Disregard, in_git)
                    .build_parallel()
                    .visit(&mut Visits { pass: &pass, only: Only::Named });
            }
        }
        Ok(pass.finish(collector))
    }
}

/// Which files a walk takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    /// All that it meets.
    Any,
    /// Those with a named surface.
    Named,
}

/// One scan of a tree, shared by its threads.
struct Pass<'p> {
    source: &'p TreeSource<'p>,
    engine: &'p Engine,
    options: &'p ScanOptions<'p>,
    root: &'p Path,
    hasher: RandomState,
    /// Hashes of the relative paths that were looked at, so that later walks do not look again.
    seen: Mutex<HashSet<u64>>,
    /// Files that are searched in pieces once the walks are over.
    large: Mutex<Vec<Large>>,
    done: Mutex<(Option<Collector>, BTreeMap<Surface, Coverage>)>,
}

impl<'p> Pass<'p> {
    fn scan(&'p self) -> Scan<'p> {
        Scan { pass: self, worker: Some(Worker::new(self.engine)), accounts: BTreeMap::new() }
    }

    /// Looks at the files that git tracks and that no walk has met: ignored, and committed all the same.
    fn tracked(&'p self, repository: &gix::Repository) {
        let Some(workdir) = repository.workdir().and_then(|workdir| workdir.canonicalize().ok()) else { return };
        let Ok(index) = repository.index_or_empty() else { return };
        let mut scan = self.scan();
        for entry in index.entries() {
            if entry.mode.is_submodule() || entry.mode.is_sparse() {
                continue;
            }
            let Ok(relative) = gix::path::from_bstr(entry.path(&index)) else { continue };
            let path = workdir.join(relative);
            if !path.starts_with(self.root) {
                continue;
            }
            match path.symlink_metadata().map(|found| found.file_type()) {
                Ok(kind) if !kind.is_dir() => scan.path(&path, kind, Only::Any),
                _ => {}
            }
        }
    }

    fn finish(self, collector: &mut Collector) -> Vec<Coverage> {
        let large = std::mem::take(&mut *self.large.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if !large.is_empty() {
            let mut scan = self.scan();
            for (file, outcome) in large::search(&large, self.engine, self.options.thread_count()) {
                scan.large(file, outcome);
            }
        }
        let (found, mut accounts) = self.done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = found {
            collector.merge(found);
        }
        accounts.entry(Surface::WorkingTree).or_insert_with(|| Coverage::new(Surface::WorkingTree, "files"));
        for account in accounts.values_mut() {
            account.skipped.sort_by(|one, other| one.what.cmp(&other.what));
        }
        accounts.into_values().collect()
    }
}

/// What one thread does.
struct Scan<'p> {
    pass: &'p Pass<'p>,
    worker: Option<Worker<'p>>,
    accounts: BTreeMap<Surface, Coverage>,
}

impl Scan<'_> {
    fn path(&mut self, path: &Path, kind: FileType, only: Only) {
        let relative = path.strip_prefix(self.pass.root).unwrap_or(path).as_os_str().as_encoded_bytes();
        let relative = match std::path::MAIN_SEPARATOR {
            '/' => Cow::Borrowed(relative),
            _ => Cow::Owned(relative.replace([b'\\'], b"/")),
        };
        self.file(path, &relative, kind, only);
    }

    fn file(&mut self, path: &Path, relative: &[u8], kind: FileType, only: Only) {
        let source = self.pass.source;
        let text = relative.to_str_lossy();
        let named = source.classify.and_then(|classify| classify(&text));
        if (only == Only::Named && named.is_none()) || !self.is_first(relative) {
            return;
        }
        let surface = named.unwrap_or(Surface::WorkingTree);
        let account = self.accounts.entry(surface).or_insert_with(|| Coverage::new(surface, "files"));
        let Some(worker) = &mut self.worker else { return };
        let bytes_before = account.bytes;
        let name = worker.name(relative, surface);
        match source.exclude.and_then(|exclude| exclude(&text)) {
            Some(reason) => account.record_skipped(name, SkipReason::ExcludedByContract { reason }),
            None if !kind.is_file() => scan_other(worker, path, &name, kind, account),
            None => match open(path) {
                Ok(mut opened) => match Large::of(&mut opened, path, &name, surface, self.pass.options) {
                    Some(large) => {
                        return self.pass.large.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(large);
                    }
                    None => scan_open(worker, opened, &name, account),
                },
                Err(error) => account.record_skipped(name, unreadable(&error)),
            },
        }
        self.pass.options.advance(surface, 1, account.bytes - bytes_before);
    }

    /// Enters a file that was searched in pieces.
    fn large(&mut self, file: &Large, outcome: large::Outcome) {
        let account = self.accounts.entry(file.surface).or_insert_with(|| Coverage::new(file.surface, "files"));
        let Some(worker) = &mut self.worker else { return };
        for found in outcome.found {
            worker.add(found, file.surface, &file.name);
        }
        record_result(outcome.scanned, outcome.inside, outcome.result, &file.name, account);
        self.pass.options.advance(file.surface, 1, outcome.scanned.bytes);
    }

    fn is_first(&self, relative: &[u8]) -> bool {
        let hash = self.pass.hasher.hash_one(relative);
        self.pass.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(hash)
    }

    /// Enters something into the account that the walk could not get at, once.
    fn failed(&mut self, error: &ignore::Error) {
        let path = path_of(error);
        let relative = path.map(|path| path.strip_prefix(self.pass.root).unwrap_or(path).to_owned());
        let name = relative.as_deref().unwrap_or(Path::new("")).as_os_str().as_encoded_bytes();
        let name = if name.is_empty() { b"." } else { name };
        if !self.is_first(name) {
            return;
        }
        let reason = match error.io_error() {
            Some(error) => unreadable(error),
            None => SkipReason::Unreadable { error: "the directory cannot be walked".to_owned() },
        };
        let surface = Surface::WorkingTree;
        let account = self.accounts.entry(surface).or_insert_with(|| Coverage::new(surface, "files"));
        account.record_skipped(escape(name), reason);
    }
}

impl Drop for Scan<'_> {
    /// A walk gives its threads no other moment to hand over what they found.
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else { return };
        let mut done = self.pass.done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        done.0.get_or_insert_with(Collector::new).merge(worker.collector);
        for (surface, account) in std::mem::take(&mut self.accounts) {
            done.1.entry(surface).or_insert_with(|| Coverage::new(surface, "files")).merge(account);
        }
    }
}

/// Makes the visitor of each thread.
struct Visits<'p> {
    pass: &'p Pass<'p>,
    only: Only,
}

impl<'p> ParallelVisitorBuilder<'p> for Visits<'p> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 'p> {
        Box::new(Visit { scan: self.pass.scan(), only: self.only })
    }
}

struct Visit<'p> {
    scan: Scan<'p>,
    only: Only,
}

impl ParallelVisitor for Visit<'_> {
    fn visit(&mut self, entry: Result<ignore::DirEntry, ignore::Error>) -> WalkState {
        match entry {
            Ok(entry) => match entry.file_type() {
                Some(kind) if !kind.is_dir() => self.scan.path(entry.path(), kind, self.only),
                _ => {}
            },
            Err(error) => self.scan.failed(&error),
        }
        WalkState::Continue
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of),
        _ => None,
    }
}
