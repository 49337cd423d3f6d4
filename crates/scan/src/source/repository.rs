//! Finding and opening the git repository that a path belongs to.

use std::path::Path;

use gix::ThreadSafeRepository;

use super::SourceError;

/// Opens the repository that holds `path`: a directory of its working tree, its `.git` directory or a bare repository.
///
/// `GIT_DIR`, `GIT_INDEX_FILE` and the like, which git sets for its hooks, are honoured where they are meant: if `path`
/// is the directory that the process runs in. Elsewhere they would lead to another repository than the one named.
pub(crate) fn open(path: &Path) -> Result<gix::Repository, SourceError> {
    let directory = path.canonicalize().map_err(|error| SourceError::Open { path: path.to_owned(), error })?;
    let here = std::env::current_dir().ok().and_then(|current| current.canonicalize().ok());
    let opened = if here.as_deref() == Some(&*directory) {
        ThreadSafeRepository::discover_with_environment_overrides(&directory)
    } else {
        ThreadSafeRepository::discover(&directory)
    };
    match opened {
        Ok(repository) => Ok(repository.to_thread_local()),
        Err(_) if !has_git_entry(&directory) => Err(SourceError::NotARepository { path: path.to_owned() }),
        Err(error) => Err(failed("open the files", path, &error)),
    }
}

/// Whether git would take the directory, or one above it, for a repository, sound or not.
fn has_git_entry(directory: &Path) -> bool {
    directory.ancestors().any(|ancestor| ancestor.join(".git").exists())
        || (directory.join("HEAD").is_file() && directory.join("objects").is_dir())
}

/// The error of something that was tried on a repository.
pub(crate) fn failed(action: &'static str, path: &Path, error: &dyn std::fmt::Display) -> SourceError {
    SourceError::Repository { action, path: path.to_owned(), error: super::escape(error.to_string().as_bytes()) }
}
