//! The files of a log, in their order.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::AuditError;
use crate::format::file::first_of_name;

/// A file of the log, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// Sequence number of its first record.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
    pub(crate) name: String,
}

/// The files in a directory whose names are those of log files, oldest first.
pub(crate) fn list_files(directory: &Path) -> Result<Vec<LogFile>, AuditError> {
    let io = |error: std::io::Error| AuditError::io("list", directory, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if let Some(first) = first_of_name(&name) {
            files.push(LogFile { first, path: entry.path(), name });
        }
    }
    files.sort_by_key(|file| file.first);
    Ok(files)
}
