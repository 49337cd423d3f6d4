use std::fs::{self, File, FileType};
use std::io;
use std::path::Path;

use custody_contract::{Coverage, SkipReason, Surface};

use super::stream::{Scanned, Target, scan_sized};
use super::{Found, Worker};

/// Searches the file at `path`, which is shown as `name`, and enters it into `account`. Pipes, sockets and devices are
/// not opened; links are not followed, their text is searched.
pub(crate) fn scan_file(worker: &mut Worker<'_>, path: &Path, name: &str, account: &mut Coverage) {
    match fs::symlink_metadata(path) {
        Ok(metadata) => scan_entry(worker, path, name, metadata.file_type(), account),
        Err(error) => account.record_skipped(name, unreadable(&error)),
    }
}

/// [`scan_file`] for what is of this kind.
fn scan_entry(worker: &mut Worker<'_>, path: &Path, name: &str, kind: FileType, account: &mut Coverage) {
    if kind.is_file() {
        match open(path) {
            Ok(opened) => scan_open(worker, opened, name, account),
            Err(error) => account.record_skipped(name, unreadable(&error)),
        }
    } else {
        scan_other(worker, path, name, kind, account);
    }
}

/// [`scan_file`] for what is no regular file.
pub(super) fn scan_other(worker: &mut Worker<'_>, path: &Path, name: &str, kind: FileType, account: &mut Coverage) {
    if kind.is_symlink() {
        scan_link(worker, path, name, account);
    } else if kind.is_dir() {
        let error = "a directory stands where a file is recorded".to_owned();
        account.record_skipped(name, SkipReason::Unreadable { error });
    } else {
        account.record_skipped(name, SkipReason::NotAFile);
    }
}

/// A file that is open, and what it is now.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) size: u64,
}

/// Opens what was a regular file a moment ago.
pub(super) fn open(path: &Path) -> io::Result<Opened> {
    let file = File::open(path)?;
    let now = file.metadata()?;
    if now.is_file() {
        Ok(Opened { size: now.len(), file })
    } else {
        Err(io::Error::other("is no regular file any more"))
    }
}

/// Searches a file from its beginning to its end.
pub(super) fn scan_open(worker: &mut Worker<'_>, opened: Opened, name: &str, account: &mut Coverage) {
    let mut found = Vec::new();
    let target = Target { path: Some(name), surface: account.surface };
    let (scanned, result) = scan_sized(worker, opened.file, opened.size, target, &mut |hit: Found| found.push(hit));
    for hit in found {
        worker.add(hit, account.surface, name);
    }
    record_result(scanned, result, name, account);
}

/// Enters a file into the account that was read up to its end, or to where reading failed.
pub(super) fn record_result(scanned: Scanned, result: io::Result<()>, name: &str, account: &mut Coverage) {
    match result {
        Ok(()) => record_scanned(scanned, name, account),
        Err(error) => {
            account.bytes += scanned.bytes;
            account.record_skipped(name, unreadable(&error));
        }
    }
}

fn scan_link(worker: &mut Worker<'_>, path: &Path, name: &str, account: &mut Coverage) {
    match fs::read_link(path) {
        Ok(target) => {
            worker.collect(target.as_os_str().as_encoded_bytes(), name, account.surface, Some(name));
            account.record_skipped(name, SkipReason::SymlinkNotFollowed);
        }
        Err(error) => account.record_skipped(name, unreadable(&error)),
    }
}

/// Enters an item into the account whose bytes were all searched. Where a contract names the place, a format that hides
/// text makes the account incomplete; elsewhere it is counted.
pub(super) fn record_scanned(scanned: Scanned, name: &str, account: &mut Coverage) {
    match scanned.format {
        Some(format) if hides_are_unread(account.surface) => {
            account.bytes += scanned.bytes;
            account.record_skipped(name, SkipReason::UnsupportedFormat { format: format.0.to_owned() });
        }
        format => {
            account.opaque += u64::from(format.is_some());
            account.record_read(scanned.bytes);
        }
    }
}

fn hides_are_unread(surface: Surface) -> bool {
    match surface {
        Surface::WorkingTree | Surface::Staged | Surface::History => false,
        Surface::Fixtures
        | Surface::Screenshots
        | Surface::Logs
        | Surface::Evidence
        | Surface::Stdin
        | Surface::Request => true,
    }
}

/// The reason of an I/O error, without the path.
pub(crate) fn unreadable(error: &io::Error) -> SkipReason {
    let error = match error.raw_os_error() {
        Some(_) => io::Error::from(error.kind()).to_string(),
        None => error.to_string(),
    };
    SkipReason::Unreadable { error }
}
