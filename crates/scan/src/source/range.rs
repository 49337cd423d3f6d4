//! What commits bring that are reachable from one side and not from another: `A..B`.
//!
//! Decided by object ids. Each commit's tree is held beside those of all its parents, and what none of them has at the
//! same place is new: so content that only a merge adds is found, and attributes that hide a file from `git diff` hide
//! nothing. Commits are read oldest first, so that a finding names the first that has it. What the commits before the
//! range hold somewhere, under whatever name, is no finding; what only older ones held, as where a change is reverted,
//! is one. Files, messages, people, new paths, and tags are searched.

mod commits;
mod objects;
mod search;
mod spec;
mod starts;
mod texts;
mod trees;

use std::path::{Path, PathBuf};

use bstr::BString;
use custody_contract::Coverage;
use gix::ObjectId;
use gix::objs::Kind;

use self::commits::{Commits, Side};
use self::objects::{Objects, quarantine};
use self::search::{Range, Reader, SURFACE};
pub use self::spec::RefsOf;
use self::spec::Tip;
use self::starts::Starts;
use self::trees::Trees;
use super::{ScanOptions, Source, SourceError, Worker, open_repository};
use crate::collect::Collector;
use crate::engine::Engine;

/// In how many trees of the known side's ends what was found is looked for, besides those that the range comes from.
const MAX_ENDS: usize = 64;

/// Which annotated tags are searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TagRefs {
    /// Those that point into the range, and those that it is named by.
    #[default]
    InRange,
    /// Those that it is named by: a push brings no others.
    Named,
}

/// A range of commits.
pub struct RangeSource {
    path: PathBuf,
    revisions: Vec<String>,
    new: Vec<String>,
    known: Vec<String>,
    known_refs: Vec<RefsOf>,
    names: Vec<BString>,
    tags: TagRefs,
}

impl RangeSource {
    /// An empty range of the repository that `path` belongs to.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        RangeSource {
            path: path.into(),
            revisions: Vec::new(),
            new: Vec::new(),
            known: Vec::new(),
            known_refs: Vec::new(),
            names: Vec::new(),
            tags: TagRefs::InRange,
        }
    }

    /// Adds revisions in the words of `git rev-list`, such as `A..B`, `B`, `^A`, or `^A B`.
    #[must_use]
    pub fn revisions(mut self, revisions: impl Into<String>) -> Self {
        self.revisions.push(revisions.into());
        self
    }

    /// Adds an object, by its full id, with all that it reaches.
    #[must_use]
    pub fn new_object(mut self, id: impl Into<String>) -> Self {
        self.new.push(id.into());
        self
    }

    /// Leaves out what an object reaches, by its full id. One that this clone does not have leaves nothing out.
    #[must_use]
    pub fn known_object(mut self, id: impl Into<String>) -> Self {
        self.known.push(id.into());
        self
    }

    /// Leaves out what refs reach.
    #[must_use]
    pub fn known_refs(mut self, refs: RefsOf) -> Self {
        self.known_refs.push(refs);
        self
    }

    /// Adds the name of a ref that comes with the range.
    #[must_use]
    pub fn ref_name(mut self, name: impl Into<BString>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Which tags are searched.
    #[must_use]
    pub fn tags(mut self, tags: TagRefs) -> Self {
        self.tags = tags;
        self
    }

    fn tips(&self, repository: &gix::Repository, objects: &Objects) -> Result<Vec<Tip>, SourceError> {
        let mut tips = Vec::new();
        for revisions in &self.revisions {
            tips.extend(spec::resolve(repository, objects, revisions, &self.path)?);
        }
        for hex in &self.new {
            let id = ObjectId::from_hex(hex.as_bytes()).ok().filter(|id| id.kind() == objects.hash());
            let id = id.ok_or_else(|| SourceError::UnknownRevision { revision: hex.clone() })?;
            if !objects.has(id) {
                return Err(spec::not_fetched(repository, hex));
            }
            tips.push(Tip { id, side: Side::New });
        }
        let known = self.known.iter().filter_map(|hex| ObjectId::from_hex(hex.as_bytes()).ok());
        let refs = self.known_refs.iter().flat_map(|refs| spec::refs_of(repository, refs));
        tips.extend(known.chain(refs).map(|id| Tip { id, side: Side::Known }));
        // The known side first: what both name is known.
        tips.sort_by_key(|tip| tip.side == Side::New);
        Ok(tips)
    }
}

impl Source for RangeSource {
    fn scan_into(
        &self,
        engine: &Engine,
        options: &ScanOptions<'_>,
        collector: &mut Collector,
    ) -> Result<Vec<Coverage>, SourceError> {
        let mut repository = open_repository(&self.path)?;
        repository.objects.ignore_replacements = true;
        let directories = if is_here(&self.path) { quarantine() } else { Vec::new() };
        let objects = Objects::open(&repository, &directories);
        let graph = repository.commit_graph_if_enabled().ok().flatten();
        let mut starts = Starts::default();
        let mut commits = Commits::new(&objects, graph.as_ref());
        for tip in self.tips(&repository, &objects)? {
            starts.add(tip, &objects, &mut commits);
        }
        commits.walk();
        let ordered = commits.in_order();
        if self.tags == TagRefs::InRange && !ordered.is_empty() {
            starts.tags_into(&repository, &objects, &commits);
        }
        let mut range =
            Range { objects: &objects, worker: Worker::new(engine), account: Coverage::new(SURFACE, "objects") };
        let mut trees = Trees::new(&objects);
        trees.except(&starts.known);
        for commit in &ordered {
            range.text(commit.id, Kind::Commit);
            trees.commit(commit, &commits);
        }
        starts.tags.iter().for_each(|tag| range.text(*tag, Kind::Tag));
        starts.trees.iter().for_each(|tree| trees.tree(*tree));
        starts.blobs.iter().for_each(|blob| trees.blob(*blob));
        self.names.iter().for_each(|name| range.worker.collect(name, "ref name", SURFACE, None));
        range.paths(&trees);
        options.expect(SURFACE, trees.blobs.len() as u64);
        let before = commits.boundary().into_iter().chain(starts.ends.iter().copied().take(MAX_ENDS));
        let before: Vec<_> = before.filter_map(|id| commits.tree(id)).collect();
        range.blobs(
            &trees.blobs,
            &before,
            Reader { engine, options, repository: &repository, directories: &directories },
        );
        range.account(&trees, starts.unread.into_iter().chain(commits.unread()));
        collector.merge(range.worker.collector);
        Ok(vec![range.account])
    }
}

/// Whether the process runs in the directory: what git sets for its hooks is meant for that one.
fn is_here(path: &Path) -> bool {
    let here = std::env::current_dir().and_then(|current| current.canonicalize());
    path.canonicalize().is_ok_and(|path| here.is_ok_and(|here| here == path))
}
