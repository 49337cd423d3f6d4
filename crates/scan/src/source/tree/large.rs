//! Large files, searched in pieces by all threads at once, so that one file does not leave the others idle.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use custody_contract::Surface;

use crate::engine::Engine;
use crate::extract::Opened as Inside;
use crate::source::cursor::{Cursor, Origin};
use crate::source::encoding::Wide;
use crate::source::file::{Opened, open_file};
use crate::source::format::{Format, HEAD};
use crate::source::stream::{Scanned, Target, boundary, scan_piece};
use crate::source::{Found, ScanOptions, Worker};

/// From this size on a file is searched in pieces.
const LARGE: u64 = 16 << 20;

/// Bytes in which a match of one piece starts.
const PIECE: u64 = 8 << 20;

/// Bytes that tell a file's encoding.
const SAMPLE: usize = 1024;

/// A file that is searched in pieces.
pub(super) struct Large {
    path: PathBuf,
    pub(super) name: String,
    pub(super) surface: Surface,
    size: u64,
    format: Option<Format>,
}

/// What came of searching it.
pub(super) struct Outcome {
    pub(super) found: Vec<Found>,
    pub(super) scanned: Scanned,
    pub(super) result: io::Result<()>,
    /// What stands inside of it, if it is a container.
    pub(super) inside: Option<Inside>,
}

impl Large {
    /// The file, if it is one that is searched in pieces: large, and of an encoding in which any byte can be a start.
    /// Otherwise it stands at its beginning still.
    pub(super) fn of(
        opened: &mut Opened,
        path: &Path,
        name: &str,
        surface: Surface,
        options: &ScanOptions<'_>,
    ) -> Option<Large> {
        if opened.size < LARGE || options.thread_count() < 2 {
            return None;
        }
        let mut head = Vec::new();
        let read = (&mut opened.file).take(SAMPLE as u64).read_to_end(&mut head);
        opened.file.rewind().ok()?;
        if read.is_err() || Wide::detect(&head).is_some() {
            return None;
        }
        let format = Format::detect(&head[..head.len().min(HEAD)]);
        Some(Large { path: path.to_owned(), name: name.to_owned(), surface, size: opened.size, format })
    }

    /// The starts of its pieces.
    fn pieces(&self) -> impl Iterator<Item = u64> {
        (0..self.size.div_ceil(PIECE)).map(|number| number * PIECE)
    }

    /// Searches the piece that starts at `from`: bytes of it that were read, and its matches with their offsets in the
    /// file. Of the last piece all is read, should the file have grown.
    fn search(&self, worker: &mut Worker<'_>, from: u64) -> (u64, Vec<Found>, io::Result<()>) {
        let reach = worker.engine.reach() as u64;
        let start = from.saturating_sub(reach);
        let to = if from + PIECE >= self.size { u64::MAX } else { from + PIECE };
        let opened = File::open(&self.path).and_then(|mut file| file.seek(SeekFrom::Start(start)).map(|_| file));
        let file = match opened {
            Ok(file) => file,
            Err(error) => return (0, Vec::new(), Err(error)),
        };
        let reader = file.take(to.saturating_add(reach) - start);
        let own_from = usize::try_from(from - start).unwrap_or(usize::MAX);
        let target = Target { path: Some(&self.name), surface: self.surface };
        let mut found = Vec::new();
        let (bytes, result) = scan_piece(worker, reader, own_from, target, &mut |mut hit: Found| {
            hit.place.offset += start;
            if hit.place.offset < to {
                found.push(hit);
            }
        });
        (bytes.saturating_sub(from - start).min(to - from), found, result)
    }

    /// Finds out lines and columns, in one pass over the file.
    fn locate(&self, found: &mut [Found]) -> io::Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|hit| hit.place.offset);
        let mut position =
            Position { file: File::open(&self.path)?, cursor: Cursor::new(Origin::Same), at: 0, buffer: Vec::new() };
        for hit in found {
            position.advance(hit.place.offset)?;
            let length = hit.matched.end - hit.matched.start;
            position.fill(length)?;
            let matched = &position.buffer[..length.min(position.buffer.len())];
            hit.place = crate::source::Place { offset: hit.place.offset, ..position.cursor.place(matched) };
        }
        Ok(())
    }
}

/// Where in a file its lines are counted.
struct Position {
    file: File,
    cursor: Cursor,
    at: u64,
    /// What follows, as far as it is read.
    buffer: Vec<u8>,
}

impl Position {
    fn advance(&mut self, to: u64) -> io::Result<()> {
        loop {
            let left = usize::try_from(to - self.at).unwrap_or(usize::MAX);
            if left <= self.buffer.len() {
                self.pass(left);
                return Ok(());
            }
            // Characters are counted whole.
            self.pass(self.buffer.len().checked_sub(1).map_or(0, |last| boundary(&self.buffer, last)));
            if self.fill(left.min(1 << 20))? {
                self.pass(self.buffer.len().min(left));
                return Ok(());
            }
        }
    }

    fn pass(&mut self, bytes: usize) {
        self.cursor.advance(&self.buffer[..bytes]);
        self.buffer.drain(..bytes);
        self.at += bytes as u64;
    }

    /// Reads until so many bytes follow; whether the file ended before.
    fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        let wanted = bytes.saturating_sub(self.buffer.len());
        let read = (&mut self.file).take(wanted as u64).read_to_end(&mut self.buffer)?;
        Ok(read < wanted)
    }
}

/// Searches the files with that many threads.
pub(super) fn search<'l>(files: &'l [Large], engine: &Engine, threads: usize) -> Vec<(&'l Large, Outcome)> {
    let pieces: Vec<_> =
        files.iter().enumerate().flat_map(|(file, large)| large.pieces().map(move |from| (file, from))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(pieces.len()) {
            scope.spawn(|| {
                let mut worker = Worker::new(engine);
                while let Some(&(file, from)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = files[file].search(&mut worker, from);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((file, outcome));
                }
            });
        }
    });
    let none = |large: &Large| Outcome {
        found: Vec::new(),
        scanned: Scanned { bytes: 0, format: large.format },
        result: Ok(()),
        inside: None,
    };
    let mut outcomes: Vec<_> = files.iter().map(|large| (large, none(large))).collect();
    for (file, (bytes, found, result)) in done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        let outcome = &mut outcomes[file].1;
        outcome.scanned.bytes += bytes;
        outcome.found.extend(found);
        outcome.result = std::mem::replace(&mut outcome.result, Ok(())).and(result);
    }
    let mut worker = Worker::new(engine);
    for (large, outcome) in &mut outcomes {
        let located = large.locate(&mut outcome.found);
        outcome.result = std::mem::replace(&mut outcome.result, Ok(())).and(located);
        if outcome.result.is_ok()
            && let Ok(mut file) = File::open(&large.path)
        {
            let target = Target { path: Some(&large.name), surface: large.surface };
            outcome.inside = open_file(&mut worker, outcome.scanned, &mut file, target, &mut outcome.found);
        }
    }
    outcomes
}
