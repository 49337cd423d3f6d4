//! Any reader, searched in bounded memory: whole if it is small, else in windows that overlap by what the rules can
//! reach.

use std::io::{self, Read};

use custody_contract::Surface;

use super::cursor::{Cursor, Origin};
use super::encoding::{Wide, WideReader};
use super::format::{Format, HEAD};
use super::{Found, Worker};

/// Up to this size a file is searched whole.
const WINDOW: usize = 4 << 20;

/// What is searched, as far as the engine may know.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The path, as context for the rules.
    pub(crate) path: Option<&'a str>,
    /// The surface.
    pub(crate) surface: Surface,
}

/// How a reader was searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Bytes read.
    pub(crate) bytes: u64,
    /// Set if the bytes are of a format that hides text.
    pub(crate) format: Option<Format>,
}

/// Searches all that `reader` gives.
///
/// # Errors
///
/// When reading fails; what was read before has been searched.
pub(crate) fn scan_reader(
    worker: &mut Worker<'_>,
    reader: impl Read,
    target: Target<'_>,
    sink: &mut dyn FnMut(Found),
) -> (Scanned, io::Result<()>) {
    scan_sized(worker, reader, 0, target, sink)
}

/// [`scan_reader`] where the reader is thought to give `size` bytes: if it does, two calls suffice.
pub(super) fn scan_sized(
    worker: &mut Worker<'_>,
    reader: impl Read,
    size: u64,
    target: Target<'_>,
    sink: &mut dyn FnMut(Found),
) -> (Scanned, io::Result<()>) {
    let mut buffer = std::mem::take(&mut worker.buffer);
    buffer.clear();
    let mut reader = CountingReader { inner: reader, bytes: 0 };
    let filled = fill_first(&mut reader, &mut buffer, size);
    let format = Format::detect(&buffer[..buffer.len().min(HEAD)]);
    let mut windows = Windows { worker, target, sink };
    let result = match (Wide::detect(&buffer), filled) {
        (None, Ok(true)) => {
            windows.whole(&buffer);
            Ok(())
        }
        (None, Ok(false)) => windows.run(&mut reader, &mut buffer, Origin::Same),
        (Some(wide), filled) => {
            let mut text = Vec::new();
            let error = filled.err();
            let raw = std::mem::take(&mut buffer);
            let result = match error {
                Some(error) => windows.all(&mut WideReader::new(&raw[..], wide), &mut text, wide).and(Err(error)),
                None => windows.all(&mut WideReader::new((&raw[..]).chain(&mut reader), wide), &mut text, wide),
            };
            buffer = raw;
            result
        }
        (None, Err(error)) => {
            windows.whole(&buffer);
            Err(error)
        }
    };
    if buffer.capacity() <= 2 * WINDOW {
        worker.buffer = buffer;
    }
    (Scanned { bytes: reader.bytes, format }, result)
}

/// Searches what `reader` gives, as a part of something longer, and gives `sink` the matches that start at `own_from` or
/// later. Offsets count from the reader's start; lines and columns say nothing. Returns the bytes read.
pub(super) fn scan_piece(
    worker: &mut Worker<'_>,
    reader: impl Read,
    own_from: usize,
    target: Target<'_>,
    sink: &mut dyn FnMut(Found),
) -> (u64, io::Result<()>) {
    let mut buffer = std::mem::take(&mut worker.buffer);
    buffer.clear();
    let mut reader = CountingReader { inner: reader, bytes: 0 };
    let result = Windows { worker, target, sink }.run_from(&mut reader, &mut buffer, Origin::Same, own_from);
    worker.buffer = buffer;
    (reader.bytes, result)
}

struct Windows<'w, 'e, 's> {
    worker: &'w mut Worker<'e>,
    target: Target<'w>,
    sink: &'s mut dyn FnMut(Found),
}

impl Windows<'_, '_, '_> {
    fn whole(&mut self, text: &[u8]) {
        self.worker.search(text, self.target.path, self.target.surface, self.sink);
    }

    /// Fills `buffer` and goes on from there.
    fn all(&mut self, reader: &mut dyn Read, buffer: &mut Vec<u8>, wide: Wide) -> io::Result<()> {
        let filled = fill(reader, buffer, WINDOW);
        match filled {
            Ok(false) => self.run(reader, buffer, wide.origin()),
            Ok(true) => {
                self.last(buffer, &mut Cursor::new(wide.origin()), 0);
                Ok(())
            }
            Err(error) => {
                self.last(buffer, &mut Cursor::new(wide.origin()), 0);
                Err(error)
            }
        }
    }

    /// Searches windows until the reader ends. `buffer` holds the first.
    ///
    /// Each start of a match belongs to exactly one window: the one in which it has at least the rules' reach on both
    /// sides, or as much as there is.
    fn run(&mut self, reader: &mut dyn Read, buffer: &mut Vec<u8>, origin: Origin) -> io::Result<()> {
        self.run_from(reader, buffer, origin, 0)
    }

    /// [`Windows::run`] without the matches that start before `own_from`.
    fn run_from(
        &mut self,
        reader: &mut dyn Read,
        buffer: &mut Vec<u8>,
        origin: Origin,
        mut own_from: usize,
    ) -> io::Result<()> {
        let reach = self.worker.engine.reach().max(1);
        let size = WINDOW.max(reach.saturating_mul(8));
        let mut cursor = Cursor::new(origin);
        loop {
            let at_end = match fill(reader, buffer, size) {
                Ok(at_end) => at_end,
                Err(error) => {
                    self.last(buffer, &mut cursor, own_from);
                    return Err(error);
                }
            };
            if at_end {
                self.last(buffer, &mut cursor, own_from);
                return Ok(());
            }
            let own_to = buffer.len() - reach;
            self.window(buffer, &mut cursor.clone(), own_from..own_to);
            let keep_from = boundary(buffer, own_to - reach);
            cursor.advance(&buffer[..keep_from]);
            buffer.copy_within(keep_from.., 0);
            buffer.truncate(buffer.len() - keep_from);
            own_from = own_to - keep_from;
        }
    }

    fn last(&mut self, buffer: &[u8], cursor: &mut Cursor, own_from: usize) {
        self.window(buffer, cursor, own_from..buffer.len());
    }

    fn window(&mut self, buffer: &[u8], cursor: &mut Cursor, own: std::ops::Range<usize>) {
        self.worker.search_window(buffer, self.target.path, self.target.surface, cursor, own, self.sink);
    }
}

/// The nearest position at or before `at` that is no UTF-8 continuation byte.
pub(super) fn boundary(text: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at).rev().find(|&at| text[at] & 0xc0 != 0x80).unwrap_or(at)
}

/// Reads until `buffer` holds `size` bytes; whether the reader came to its end before.
fn fill(reader: &mut dyn Read, buffer: &mut Vec<u8>, size: usize) -> io::Result<bool> {
    let wanted = size.saturating_sub(buffer.len());
    let read = reader.take(wanted as u64).read_to_end(buffer)?;
    Ok(read < wanted)
}

/// [`fill`] for the first window of what is thought to have `size` bytes.
fn fill_first(reader: &mut dyn Read, buffer: &mut Vec<u8>, size: u64) -> io::Result<bool> {
    match usize::try_from(size) {
        Ok(size) if (1..WINDOW).contains(&size) => {
            buffer.resize(size + 1, 0);
            let read = reader.read(buffer);
            buffer.truncate(*read.as_ref().unwrap_or(&0));
            match read {
                // A file that ends where it is said to end.
                Ok(read) if read == size => Ok(true),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
                _ => fill(reader, buffer, WINDOW),
            }
        }
        _ => fill(reader, buffer, WINDOW),
    }
}

pub(super) struct CountingReader<R> {
    pub(super) inner: R,
    pub(super) bytes: u64,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
