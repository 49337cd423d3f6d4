//! One process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::IncidentError;

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// An exclusive lock, held until dropped: an advisory lock of the system on a file of its own, so that a process that
/// dies holds nothing.
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    pub(super) fn take(path: PathBuf, shown: &str) -> Result<Lock, IncidentError> {
        let io = |error| IncidentError::Io { action: "lock", path: shown.to_owned(), error };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
            match file.try_lock() {
                // Whoever held it before may have removed the file that was just locked.
                Ok(()) if is_at(&file, &path) => return Ok(Lock { file, path }),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(IncidentError::Locked { path: shown.to_owned(), seconds: PATIENCE.as_secs() });
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is held, so that a repository is not littered; elsewhere than on Unix an open file cannot be
        // told from its replacement, so there it stays.
        if cfg!(unix) {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(held), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
