use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use custody_contract::{Coverage, SkipReason, Surface};

use super::stream::{Scanned, Target, scan_reader};
use super::{Found, Worker};

/// Searches the file at `path`, which is shown as `name`, and enters it into `account`. Pipes, sockets and devices are
/// not opened; links are not followed, their text is searched.
pub(crate) fn scan_file(worker: &mut Worker<'_>, path: &Path, name: &str, account: &mut Coverage) {
    let surface = account.surface;
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => scan_regular(worker, path, name, account),
        Ok(metadata) if metadata.is_symlink() => scan_link(worker, path, name, account),
        Ok(metadata) => record_other(&metadata, name, account),
        Err(error) => account.record_skipped(name, unreadable(&error)),
    }
    debug_assert_eq!(surface, account.surface);
}

fn scan_regular(worker: &mut Worker<'_>, path: &Path, name: &str, account: &mut Coverage) {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return account.record_skipped(name, unreadable(&error)),
    };
    let mut found = Vec::new();
    let target = Target { path: Some(name), surface: account.surface };
    let (scanned, result) = scan_reader(worker, file, target, &mut |hit: Found| found.push(hit));
    for hit in found {
        worker.add(hit, account.surface, name);
    }
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

fn record_other(metadata: &Metadata, name: &str, account: &mut Coverage) {
    if metadata.is_dir() {
        let error = "a directory stands where a file is recorded".to_owned();
        account.record_skipped(name, SkipReason::Unreadable { error });
    } else {
        account.record_skipped(name, SkipReason::NotAFile);
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
