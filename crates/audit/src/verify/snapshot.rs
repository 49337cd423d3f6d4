//! The log at one moment: head and lengths of files belong together, although writers go on.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use crate::error::AuditError;
use crate::format::head::{HEAD_BYTES, HEAD_FILE, HeadFile, read_head_file};
use crate::lock::LockFile;
use crate::read::{LogFile, list_files};

const PATIENCE: Duration = Duration::from_secs(10);

/// Head and files of a log at one moment.
pub(crate) struct Snapshot {
    /// What the head file says; `None` if there is none.
    pub(crate) head: Option<HeadFile>,
    /// Files, oldest first.
    pub(crate) files: Vec<SnapshotFile>,
    /// Whether the head could be read under the lock, so that it belongs to the lengths.
    pub(crate) is_consistent: bool,
}

/// A file and how long it was.
pub(crate) struct SnapshotFile {
    pub(crate) file: LogFile,
    pub(crate) bytes: u64,
    pub(crate) is_newest: bool,
}

impl Snapshot {
    /// Takes it under the writers' lock, for as long as it takes to look at the directory. A copy of a log has no writers
    /// and perhaps no place for a lock: it is looked at without.
    pub(crate) fn take(directory: &Path) -> Result<Self, AuditError> {
        if !directory.try_exists().map_err(|error| AuditError::io("read", directory, &error))? {
            return Ok(Snapshot { head: None, files: Vec::new(), is_consistent: false });
        }
        let path = directory.join("lock");
        let mut lock = LockFile::new(path.clone(), PATIENCE);
        let held = if path.exists() { Some(lock.take()) } else { None };
        let held = match held {
            Some(Err(AuditError::Io { .. })) | None => None,
            Some(held) => Some(held?),
        };
        let head = read_head(directory)?;
        let mut files = Vec::new();
        for file in list_files(directory)? {
            let io = |error: io::Error| AuditError::io("read", &file.path, &error);
            let metadata = regular(&file.path).map_err(io)?;
            files.push(SnapshotFile { bytes: metadata.len(), file, is_newest: false });
        }
        if let Some(newest) = files.last_mut() {
            newest.is_newest = true;
        }
        Ok(Snapshot { head, files, is_consistent: held.is_some() })
    }
}

fn read_head(directory: &Path) -> Result<Option<HeadFile>, AuditError> {
    let path = directory.join(HEAD_FILE);
    let io = |error: io::Error| AuditError::io("read", &path, &error);
    let file = match regular(&path).and_then(|_| File::open(&path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io)?,
    };
    let mut bytes = Vec::with_capacity(HEAD_BYTES + 1);
    file.take(HEAD_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io)?;
    Ok(Some(read_head_file(&bytes)))
}

/// What is no regular file could be read for ever, or never.
fn regular(path: &Path) -> io::Result<fs::Metadata> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() { Ok(metadata) } else { Err(io::Error::other("it is not a regular file")) }
}
