use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bstr::{BString, ByteSlice as _};
use gix::ObjectId;
use gix::index::entry::Mode;

use super::index::files_below;
use super::repository::failed;
use super::{SourceError, escape, open_repository};

/// The files of a repository as they stand at a revision: what a change is measured against, and cannot have changed.
pub struct BaseTree {
    repository: gix::Repository,
    revision: String,
    commit: ObjectId,
    tree: ObjectId,
    /// From the repository's top to the directory that paths are relative to; empty, or ending in `/`.
    prefix: BString,
    directory: PathBuf,
}

/// A path at which the base and what is compared with it differ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangedPath {
    /// The path, relative to the directory that the base tree was opened for, safe to print.
    pub path: String,
    /// Whether the base has a file there.
    pub in_base: bool,
    /// Whether the other side has one.
    pub in_head: bool,
}

impl BaseTree {
    /// The tree of `revision`, in anything that `git rev-parse` accepts, of the repository that `directory` belongs to.
    /// Paths are relative to `directory`.
    ///
    /// # Errors
    ///
    /// Without a repository, where the revision is unknown, or its commit and tree are not in this clone.
    pub fn open(directory: &Path, revision: &str) -> Result<BaseTree, SourceError> {
        let repository = open_repository(directory)?;
        let commit = commit_of(&repository, revision)?;
        BaseTree::of_commit(repository, directory, revision, commit)
    }

    /// The tree of the best common ancestor of `revision` and `HEAD`: where a change that is to go into `revision`
    /// began.
    ///
    /// # Errors
    ///
    /// As [`BaseTree::open`], and where there is no common ancestor in this clone.
    pub fn at_merge_base(directory: &Path, revision: &str) -> Result<BaseTree, SourceError> {
        let repository = open_repository(directory)?;
        let one = commit_of(&repository, revision)?;
        let head = commit_of(&repository, "HEAD")?;
        let base = repository.merge_base(one, head).map(|base| base.map(gix::Id::detach));
        match base {
            Ok(Some(base)) => BaseTree::of_commit(repository, directory, revision, base),
            Ok(None) if !is_shallow(&repository) => {
                Err(SourceError::NoMergeBase { one: revision.to_owned(), other: "HEAD".to_owned() })
            }
            Ok(None) | Err(_) => Err(not_fetched(&repository, revision)),
        }
    }

    fn of_commit(
        repository: gix::Repository,
        directory: &Path,
        revision: &str,
        commit: ObjectId,
    ) -> Result<BaseTree, SourceError> {
        let tree = repository
            .find_commit(commit)
            .ok()
            .and_then(|commit| commit.tree_id().ok().map(gix::Id::detach))
            .filter(|&tree| repository.find_tree(tree).is_ok())
            .ok_or_else(|| not_fetched(&repository, revision))?;
        let directory =
            directory.canonicalize().map_err(|error| SourceError::Open { path: directory.to_owned(), error })?;
        let prefix = prefix(&repository, &directory);
        Ok(BaseTree { repository, revision: revision.to_owned(), commit, tree, prefix, directory })
    }

    /// The commit's id.
    pub fn commit(&self) -> String {
        self.commit.to_hex().to_string()
    }

    /// The content of the file at `path`; `None` if there is no file.
    ///
    /// # Errors
    ///
    /// Where the path exists at the revision and cannot be read, as in a partial clone.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let full = format!("{}{path}", self.prefix.to_str_lossy());
        let parts = full.split('/').filter(|part| !part.is_empty() && *part != ".");
        let tree = self.repository.find_tree(self.tree).map_err(|_| not_fetched(&self.repository, &self.revision))?;
        let entry =
            tree.lookup_entry(parts.map(str::as_bytes)).map_err(|_| not_fetched(&self.repository, &self.revision))?;
        let Some(entry) = entry.filter(|entry| entry.mode().is_blob_or_symlink()) else { return Ok(None) };
        match self.repository.find_object(entry.object_id()) {
            Ok(mut object) => Ok(Some(std::mem::take(&mut object.data))),
            Err(_) => Err(not_fetched(&self.repository, &self.revision)),
        }
    }

    /// All files at the revision, safe to print, in order.
    ///
    /// # Errors
    ///
    /// Where a tree is not in this clone.
    pub fn paths(&self) -> Result<Vec<String>, SourceError> {
        Ok(self.files(self.tree)?.into_keys().map(|path| escape(&path)).collect())
    }

    /// Where the tree of `HEAD` differs from the base.
    ///
    /// # Errors
    ///
    /// Where `HEAD` or a tree is not in this clone.
    pub fn changed_in_head(&self) -> Result<Vec<ChangedPath>, SourceError> {
        let head = self.repository.head_tree_id().map_err(|_| not_fetched(&self.repository, "HEAD"))?.detach();
        if head == self.tree {
            return Ok(Vec::new());
        }
        Ok(differences(&self.files(self.tree)?, &self.files(head)?))
    }

    /// Where the working tree differs from the base, among the files that the base or the index knows. Files whose
    /// recorded size and time are those on disk are not read.
    ///
    /// # Errors
    ///
    /// Without a working tree, or where the index or a tree cannot be read.
    pub fn changed_in_working_tree(&self) -> Result<Vec<ChangedPath>, SourceError> {
        let base = self.files(self.tree)?;
        let index =
            self.repository.index_or_empty().map_err(|error| failed("read the index", &self.directory, &error))?;
        let mut now = BTreeMap::new();
        for entry in index.entries().iter().filter(|entry| entry.stage_raw() == 0 && !entry.mode.is_sparse()) {
            let Some(path) = entry.path(&index).strip_prefix(self.prefix.as_bytes()) else { continue };
            let unread = entry.mode.is_submodule() || entry.flags.contains(gix::index::entry::Flags::SKIP_WORKTREE);
            let current = match unread {
                true => Some((entry.mode, entry.id)),
                false => self.on_disk(path, entry.mode, Some((&entry.stat, entry.id))),
            };
            now.extend(current.map(|current| (BString::from(path), current)));
        }
        for (path, &(mode, _)) in base.iter().filter(|(path, _)| !now.contains_key(*path)).collect::<Vec<_>>() {
            now.extend(self.on_disk(path, mode, None).map(|current| (path.clone(), current)));
        }
        Ok(differences(&base, &now))
    }

    /// Mode and id of a file as it stands on disk; `None` if it is not there or cannot be read.
    fn on_disk(
        &self,
        path: &[u8],
        mode: Mode,
        known: Option<(&gix::index::entry::Stat, ObjectId)>,
    ) -> Option<(Mode, ObjectId)> {
        let full = self.directory.join(gix::path::from_bstr(path.as_bstr()).ok()?);
        let metadata = gix::index::fs::Metadata::from_path_no_follow(&full).ok()?;
        if let Some((stat, id)) = known
            && gix::index::entry::Stat::from_fs(&metadata).is_ok_and(|found| found.matches(stat, Default::default()))
        {
            return Some((mode, id));
        }
        let content = if metadata.is_symlink() {
            gix::path::into_bstr(std::fs::read_link(&full).ok()?).ok()?.into_owned().into()
        } else if metadata.is_file() {
            std::fs::read(&full).ok()?
        } else {
            return None;
        };
        let kind = self.repository.object_hash();
        Some((mode, gix::objs::compute_hash(kind, gix::objs::Kind::Blob, &content).ok()?))
    }

    /// The files of a tree below the prefix, by path relative to it.
    fn files(&self, tree: ObjectId) -> Result<BTreeMap<BString, (Mode, ObjectId)>, SourceError> {
        let files = files_below(&self.repository, tree).ok_or_else(|| not_fetched(&self.repository, &self.revision))?;
        Ok(files
            .into_iter()
            .filter_map(|(path, mode, id)| Some((path.strip_prefix(self.prefix.as_bytes())?.into(), (mode, id))))
            .collect())
    }
}

fn differences(
    base: &BTreeMap<BString, (Mode, ObjectId)>,
    head: &BTreeMap<BString, (Mode, ObjectId)>,
) -> Vec<ChangedPath> {
    let gone_or_changed = base.iter().filter(|(path, file)| head.get(*path) != Some(*file)).map(|(path, _)| path);
    let added = head.keys().filter(|path| !base.contains_key(*path));
    let mut changed: Vec<_> = gone_or_changed
        .chain(added)
        .map(|path| ChangedPath {
            path: escape(path),
            in_base: base.contains_key(path),
            in_head: head.contains_key(path),
        })
        .collect();
    changed.sort();
    changed
}

fn prefix(repository: &gix::Repository, directory: &Path) -> BString {
    let below = repository
        .workdir()
        .and_then(|top| top.canonicalize().ok())
        .and_then(|top| Some(directory.strip_prefix(top).ok()?.to_owned()))
        .filter(|below| !below.as_os_str().is_empty());
    match below {
        Some(below) => {
            let below = gix::path::into_bstr(below).map(std::borrow::Cow::into_owned).unwrap_or_default();
            let mut prefix = gix::path::to_unix_separators_on_windows(below).into_owned();
            prefix.push(b'/');
            prefix
        }
        None => BString::default(),
    }
}

fn commit_of(repository: &gix::Repository, revision: &str) -> Result<ObjectId, SourceError> {
    let unknown = || SourceError::UnknownRevision { revision: revision.to_owned() };
    // git allows options where revisions may stand; a revision is never one.
    if revision.starts_with('-') || revision.is_empty() {
        return Err(unknown());
    }
    let id = match repository.rev_parse_single(revision.as_bytes().as_bstr()) {
        Ok(id) => id.detach(),
        Err(_) if ObjectId::from_hex(revision.as_bytes()).is_ok() => return Err(not_fetched(repository, revision)),
        Err(_) => return Err(unknown()),
    };
    let object = repository.find_object(id).map_err(|_| not_fetched(repository, revision))?;
    object.peel_to_kind(gix::objs::Kind::Commit).map(|commit| commit.id).map_err(|_| unknown())
}

fn is_shallow(repository: &gix::Repository) -> bool {
    repository.is_shallow().unwrap_or(false)
}

fn not_fetched(repository: &gix::Repository, revision: &str) -> SourceError {
    let config = repository.config_snapshot();
    let partial = config.string("extensions.partialClone").is_some();
    let clone = if is_shallow(repository) {
        "shallow"
    } else if partial {
        "partial"
    } else {
        "damaged or incomplete"
    };
    SourceError::RevisionNotFetched { revision: revision.to_owned(), clone }
}
