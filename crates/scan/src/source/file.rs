use std::collections::HashSet;
use std::fs::{self, File, FileType};
use std::io::{self, Read, Seek as _};
use std::path::Path;

use custody_contract::{Coverage, Fingerprint, SkipReason, Surface};

use super::format::{Format, HEAD};
use super::stream::{CountingReader, Scanned, Target, scan_reader, scan_sized};
use super::{Found, Worker};
use crate::extract::{self, Content, INSIDE, Opened as Inside};

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
    let mut file = opened.file;
    let (scanned, result) = scan_sized(worker, &file, opened.size, target, &mut |hit: Found| found.push(hit));
    let inside = match result {
        Ok(()) => open_file(worker, scanned, &mut file, target, &mut found),
        Err(_) => None,
    };
    for hit in found {
        worker.add(hit, account.surface, name);
    }
    record_result(scanned, inside, result, name, account);
}

/// Searches what stands inside of a file whose raw bytes were searched, if it is a container that can be opened.
pub(super) fn open_file(
    worker: &mut Worker<'_>,
    scanned: Scanned,
    file: &mut File,
    target: Target<'_>,
    found: &mut Vec<Found>,
) -> Option<Inside> {
    file.rewind().ok()?;
    open_inside(worker, scanned, Content::Random(file), target, found)
}

/// The same for any content. Of what was `found` in the raw bytes that stays which was not found inside.
pub(crate) fn open_inside(
    worker: &mut Worker<'_>,
    scanned: Scanned,
    content: Content<'_>,
    target: Target<'_>,
    found: &mut Vec<Found>,
) -> Option<Inside> {
    let format = scanned.format.filter(|&format| extract::opens(format))?;
    let mut within = Vec::new();
    let inside = extract::search(worker, format, content, target, &mut |hit| within.push(hit));
    let known: HashSet<Fingerprint> = within.iter().map(|hit: &Found| hit.matched.fingerprint).collect();
    found.retain(|hit| !known.contains(&hit.matched.fingerprint));
    found.append(&mut within);
    Some(inside)
}

/// Searches what a reader gives that can be read only once: what stands inside, if it is a container that can be
/// opened, and otherwise its bytes.
pub(crate) fn scan_once(
    worker: &mut Worker<'_>,
    mut reader: impl Read,
    target: Target<'_>,
    sink: &mut dyn FnMut(Found),
) -> (Scanned, Option<Inside>, io::Result<()>) {
    let mut head = Vec::new();
    let started = (&mut reader).take(HEAD as u64).read_to_end(&mut head);
    let format = Format::detect(&head).filter(|&format| extract::opens(format));
    let mut reader = CountingReader { inner: io::Cursor::new(head).chain(reader), bytes: 0 };
    match (started, format) {
        (Ok(_), Some(format)) => {
            let inside = extract::search(worker, format, Content::Stream(&mut reader), target, sink);
            let rest = io::copy(&mut reader, &mut io::sink());
            (Scanned { bytes: reader.bytes, format: Some(format) }, Some(inside), rest.map(|_| ()))
        }
        (started, _) => {
            let (scanned, result) = scan_reader(worker, &mut reader, target, sink);
            (scanned, None, started.map(|_| ()).and(result))
        }
    }
}

/// Enters a file into the account that was read up to its end, or to where reading failed.
pub(super) fn record_result(
    scanned: Scanned,
    inside: Option<Inside>,
    result: io::Result<()>,
    name: &str,
    account: &mut Coverage,
) {
    match result {
        Ok(()) => record_scanned(scanned, inside, name, account),
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
pub(super) fn record_scanned(scanned: Scanned, inside: Option<Inside>, name: &str, account: &mut Coverage) {
    if let Some(inside) = inside {
        return record_inside(scanned.bytes, inside, name, account);
    }
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

/// The same for a container that was opened. One of which a part was not read is itself not read whole, and that part
/// stands for it.
fn record_inside(bytes: u64, inside: Inside, name: &str, account: &mut Coverage) {
    let strict = hides_are_unread(account.surface);
    let mut unread = inside.unread;
    if inside.unlisted > 0 {
        let reason = format!("{} more of its members were not read either", inside.unlisted);
        unread.push((String::new(), SkipReason::Interrupted { reason }));
    }
    let mut is_listed = false;
    for (member, reason) in unread {
        let hides = matches!(reason, SkipReason::UnsupportedFormat { .. });
        if hides && !strict {
            account.opaque += 1;
            continue;
        }
        is_listed = true;
        let what = if member.is_empty() { name.to_owned() } else { format!("{name}{INSIDE}{member}") };
        let reason = if strict { reason } else { SkipReason::Unopened { why: reason.to_string() } };
        account.record_skipped(what, reason);
    }
    account.bytes += bytes + inside.bytes;
    if !is_listed {
        account.expected += 1;
        account.read += 1;
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
