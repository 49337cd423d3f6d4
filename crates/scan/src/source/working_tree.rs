//! The files of a working tree as the gate's other parts see them: listed and read, not scanned.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use custody_contract::FileTree;
use ignore::WalkBuilder;

use super::{SourceError, repository};

/// A directory on disk as a [`FileTree`].
///
/// Lists what git does not ignore and what it tracks; without a repository, everything. Reads any regular file below the
/// root, ignored or not, up to [`WorkingTree::MAX_BYTES`]; a link that leads out of the root is refused.
pub struct WorkingTree {
    root: PathBuf,
    paths: Vec<String>,
    tracked: Option<HashSet<String>>,
}

impl WorkingTree {
    /// Larger files are not read whole.
    pub const MAX_BYTES: u64 = 32 << 20;

    /// Lists the files below `root`.
    ///
    /// # Errors
    ///
    /// [`SourceError::Open`] if the directory cannot be opened.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let given = root.into();
        let root = given.canonicalize().map_err(|error| SourceError::Open { path: given.clone(), error })?;
        let tracked = repository::open(&root).ok().and_then(|repository| tracked(&repository, &root));
        let mut walk = WalkBuilder::new(&root);
        walk.standard_filters(false)
            .git_ignore(true)
            .git_exclude(true)
            .git_global(true)
            .parents(tracked.is_some())
            .require_git(tracked.is_some())
            .follow_links(false)
            .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
        let mut paths: Vec<String> = walk
            .build()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_some_and(|kind| !kind.is_dir()))
            .filter_map(|entry| relative(&root, entry.path()))
            .collect();
        if let Some(tracked) = &tracked {
            paths.extend(tracked.iter().filter(|path| root.join(path).symlink_metadata().is_ok()).cloned());
        }
        paths.sort_unstable();
        paths.dedup();
        Ok(WorkingTree { root, paths, tracked })
    }

    /// The canonical root.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn tracked(repository: &gix::Repository, root: &Path) -> Option<HashSet<String>> {
    let workdir = repository.workdir()?.canonicalize().ok()?;
    let index = repository.index_or_empty().ok()?;
    let of_entry = |entry: &gix::index::Entry| {
        let path = gix::path::from_bstr(entry.path(&index)).ok()?;
        (!entry.mode.is_submodule()).then(|| relative(root, &workdir.join(path))).flatten()
    };
    Some(index.entries().iter().filter_map(of_entry).collect())
}

/// Relative to the root with `/` between parts; `None` for names that are not UTF-8 and for what lies outside. Such
/// names are scanned all the same, by [`super::TreeSource`].
fn relative(root: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/")).filter(|path| !path.is_empty())
}

impl FileTree for WorkingTree {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn is_tracked(&self, path: &str) -> bool {
        self.tracked.as_ref().is_none_or(|tracked| tracked.contains(path))
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let full = self.root.join(path).canonicalize()?;
        if !full.starts_with(&self.root) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "leads out of the repository"));
        }
        let kind = full.metadata()?;
        if !kind.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        if kind.len() > Self::MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut content = Vec::with_capacity(usize::try_from(kind.len()).unwrap_or(0));
        std::fs::File::open(&full)?.take(Self::MAX_BYTES + 1).read_to_end(&mut content)?;
        if content.len() as u64 > Self::MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(content) }
    }
}
