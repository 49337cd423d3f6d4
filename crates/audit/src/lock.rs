//! One writer at a time, in whatever process.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::AuditError;

/// A file that is locked for as long as a [`Held`] lives. The lock is the system's, so that a process that dies holds
/// nothing; the file is never removed.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    file: Option<File>,
    patience: Duration,
}

/// The lock, until dropped.
pub(crate) struct Held<'a>(&'a File);

impl LockFile {
    pub(crate) fn new(path: PathBuf, patience: Duration) -> Self {
        Self { path, file: None, patience }
    }

    /// Waits for the lock, but not for ever: a stopped process that holds it must not stop everybody silently.
    pub(crate) fn take(&mut self) -> Result<Held<'_>, AuditError> {
        let io = |error: std::io::Error| AuditError::io("lock", &self.path, &error);
        let deadline = Instant::now() + self.patience;
        let mut pause = Duration::from_micros(50);
        loop {
            let file = match self.file.take() {
                Some(file) => file,
                None => open(&self.path).map_err(io)?,
            };
            match file.try_lock() {
                Ok(()) if is_at(&file, &self.path) => return Ok(Held(self.file.insert(file))),
                // Somebody removed the file or put another in its place.
                Ok(()) => drop(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    self.file = Some(file);
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    let (path, seconds) = (self.path.display().to_string(), self.patience.as_secs());
                    return Err(AuditError::Locked { path, seconds });
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the open file is still the one that the path names.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(held), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

/// Elsewhere an open file cannot be removed, so it is there.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_another_holds_is_waited_for_and_then_given_up() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("lock");
        let mut first = LockFile::new(path.clone(), Duration::from_millis(5));
        let mut second = LockFile::new(path, Duration::from_millis(5));
        let held = first.take().expect("free");
        assert!(matches!(second.take(), Err(AuditError::Locked { .. })));
        drop(held);
        drop(second.take().expect("free again"));
    }

    #[test]
    fn a_lock_file_that_was_removed_is_made_again() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("lock");
        let mut lock = LockFile::new(path.clone(), Duration::from_millis(5));
        drop(lock.take().expect("free"));
        std::fs::remove_file(&path).expect("removed");
        drop(lock.take().expect("made again"));
        assert!(path.exists());
    }
}
