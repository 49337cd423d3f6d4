//! One stream of output, masked as it comes.

use std::sync::Arc;

use super::form::{Outcome, Output, Point};
use super::{MARK, Masker, Writing};

/// A value that was found in the output and masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// Which value, by its index in [`Masker::new`].
    pub value: usize,
    /// How it was written.
    pub writing: Writing,
    /// Byte of the stream at which it begins.
    pub offset: u64,
    /// Line of the stream in which it begins, 1-based.
    pub line: u64,
    /// The whole value; otherwise the stream ended, or paused, in the middle of it.
    pub is_whole: bool,
}

/// A stream of output that is being masked.
///
/// Bytes are handed on as soon as they can be no part of a value. What might become one is held: the caller asks
/// [`MaskStream::is_holding`], and calls [`MaskStream::release`] when it has waited long enough (50 ms in `custody run`).
/// Then a beginning of up to 6 bytes (of values below 14 bytes less than half, or 3) is let through, since so little may be anything;
/// a longer one is masked. Either way the rest of the value is masked when it comes.
#[derive(Debug)]
pub struct MaskStream {
    masker: Arc<Masker>,
    /// The output from `base` on.
    buffer: Vec<u8>,
    /// Place of the buffer's first byte in the stream; all that is called a place below counts from the stream's start.
    base: u64,
    /// Places before it were searched for beginnings.
    searched: u64,
    /// Places before it were handed on or masked.
    handed: u64,
    /// Places before it are masked.
    masked: u64,
    /// Where the masked range that was handed on last begins.
    group: u64,
    /// Line breaks before `base`.
    lines: u64,
    open: Vec<Open>,
    found: Vec<Found>,
    leaks: Vec<Leak>,
    uncounted: u64,
}

/// A form that matches so far.
#[derive(Debug)]
struct Open {
    form: u32,
    start: u64,
    points: Vec<Point>,
    /// What matched up to here is masked already.
    masked: Option<u64>,
}

/// A range to mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    start: u64,
    end: u64,
    form: u32,
    is_whole: bool,
    /// It goes on with a range that was masked before.
    continues: bool,
}

/// More leaks are counted, not listed.
const MOST_LEAKS: usize = 256;

impl MaskStream {
    pub(super) fn new(masker: Arc<Masker>) -> Self {
        MaskStream {
            masker,
            buffer: Vec::new(),
            base: 0,
            searched: 0,
            handed: 0,
            masked: 0,
            group: 0,
            lines: 0,
            open: Vec::new(),
            found: Vec::new(),
            leaks: Vec::new(),
            uncounted: 0,
        }
    }

    /// Takes output, and appends to `out` what may be handed on.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if self.masker.is_empty() {
            self.handed += input.len() as u64;
            out.extend_from_slice(input);
            return;
        }
        self.take_in(input);
        self.advance();
        self.search(false);
        let until = self.decided();
        self.hand_on(until, out);
        self.shrink();
    }

    /// Appends to the buffer; one that is outgrown may hold a value, and is overwritten.
    fn take_in(&mut self, input: &[u8]) {
        let needed = self.buffer.len() + input.len();
        if needed > self.buffer.capacity() {
            let mut larger = Vec::with_capacity(needed.max(2 * self.buffer.capacity()).next_power_of_two());
            larger.extend_from_slice(&self.buffer);
            self.buffer.fill(0);
            self.buffer = larger;
        }
        self.buffer.extend_from_slice(input);
    }

    /// Whether output is held back.
    pub fn is_holding(&self) -> bool {
        self.handed < self.end()
    }

    /// Hands on what is held, masked where it shows too much of a value already.
    pub fn release(&mut self, out: &mut Vec<u8>) {
        if !self.is_holding() {
            return;
        }
        for open in &mut self.open {
            let form = &self.masker.forms[open.form as usize];
            let symbols = open.points.iter().map(|p| p.0).max().unwrap_or(0);
            if open.masked.is_none() && form.shown(symbols) >= form.telling() {
                let end = open.points.iter().map(|p| p.1).max().unwrap_or(open.start);
                let start = open.start.max(self.handed);
                if end > start {
                    let found = Found { start, end, form: open.form, is_whole: false, continues: false };
                    self.found.push(found);
                }
                open.masked = Some(end);
            }
        }
        self.hand_on(self.end(), out);
        self.shrink();
    }

    /// Ends the stream: hands on what is left.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.search(true);
        self.release(out);
        self.open.clear();
        self.buffer.fill(0);
        self.buffer.clear();
    }

    /// What was found since the last call, and how many more there were than are listed.
    pub fn take_leaks(&mut self) -> (Vec<Leak>, u64) {
        (std::mem::take(&mut self.leaks), std::mem::take(&mut self.uncounted))
    }

    fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// Follows the open forms through what has come.
    fn advance(&mut self) {
        let masker = Arc::clone(&self.masker);
        let output = Output { bytes: &self.buffer, base: self.base };
        let (handed, found) = (self.handed, &mut self.found);
        self.open.retain_mut(|open| {
            let outcome = masker.forms[open.form as usize].follow(&masker.vault, &open.points, output);
            let end = match &outcome {
                Outcome::Dead => return false,
                Outcome::Matched(end) => *end,
                Outcome::Live(points) => points.iter().map(|p| p.1).min().unwrap_or(open.start),
            };
            let is_whole = matches!(outcome, Outcome::Matched(_));
            // Of what was masked already, the rest is masked as it comes; else only the whole.
            if open.masked.is_some() || is_whole {
                let start = open.masked.unwrap_or(open.start).max(handed);
                if end > start {
                    let continues = open.masked.is_some();
                    found.push(Found { start, end, form: open.form, is_whole, continues });
                }
                open.masked = open.masked.map(|m| m.max(end));
            }
            match outcome {
                Outcome::Live(points) => {
                    open.points = points;
                    true
                }
                _ => false,
            }
        });
    }

    /// Searches for beginnings. The last byte waits for the next one, unless the stream ends with it.
    fn search(&mut self, is_last: bool) {
        let masker = Arc::clone(&self.masker);
        let mut at = usize::try_from(self.searched - self.base).unwrap_or(usize::MAX);
        let bytes = &self.buffer[..];
        while let Some(offset) = next_head(&masker, bytes, at) {
            at = offset;
            let start = self.base + at as u64;
            let head = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            for &form in masker.lists.get(usize::from(masker.heads[head])).into_iter().flatten() {
                let first = masker.forms[form as usize].first;
                let output = Output { bytes, base: self.base };
                match masker.forms[form as usize].follow(&masker.vault, &[(first, start)], output) {
                    Outcome::Dead => {}
                    Outcome::Matched(end) => {
                        let start = start.max(self.handed);
                        self.found.push(Found { start, end, form, is_whole: true, continues: false });
                    }
                    Outcome::Live(points) => self.open.push(Open { form, start, points, masked: None }),
                }
            }
            at += 1;
        }
        let waits = !is_last && bytes.last().is_some_and(|&b| masker.firsts[usize::from(b)]);
        self.searched = self.end() - u64::from(waits);
    }

    /// The place up to which all is decided.
    fn decided(&self) -> u64 {
        let open = self.open.iter().map(|open| match open.masked {
            Some(masked) => masked,
            None => open.start,
        });
        open.fold(self.searched, u64::min).max(self.handed)
    }

    /// Hands on or masks everything before `until`.
    fn hand_on(&mut self, until: u64, out: &mut Vec<u8>) {
        if !self.found.is_empty() {
            self.found.sort_unstable();
        }
        let mut rest = Vec::new();
        for found in std::mem::take(&mut self.found) {
            if found.start >= until {
                rest.push(found);
                continue;
            }
            self.copy(found.start, out);
            let is_new = found.start >= self.masked && !(found.continues && found.start == self.masked);
            if is_new {
                out.extend_from_slice(MARK.as_bytes());
                self.group = found.start;
            }
            if is_new || found.is_whole {
                self.note(found);
            }
            self.masked = self.masked.max(found.end);
            self.handed = self.handed.max(self.masked.min(until)).max(found.start.min(until));
        }
        self.found = rest;
        self.copy(until, out);
    }

    /// Copies what is not masked up to `until`.
    fn copy(&mut self, until: u64, out: &mut Vec<u8>) {
        let from = self.handed.max(self.masked.min(until));
        if from < until {
            let at = |place: u64| usize::try_from(place - self.base).unwrap_or(usize::MAX);
            out.extend_from_slice(&self.buffer[at(from)..at(until)]);
        }
        self.handed = self.handed.max(until);
    }

    fn note(&mut self, found: Found) {
        let form = &self.masker.forms[found.form as usize];
        let before = usize::try_from(found.start.saturating_sub(self.base)).unwrap_or(0).min(self.buffer.len());
        let line = self.lines + memchr::memchr_iter(b'\n', &self.buffer[..before]).count() as u64 + 1;
        for &value in &self.masker.owners[form.pattern as usize] {
            let leak = Leak { value, writing: form.writing(), offset: found.start, line, is_whole: found.is_whole };
            // One place counts once, in however many forms and parts it is found: as the whole, if that is among them.
            let same = self.leaks.iter_mut().rev().find(|l| l.value == value && l.offset >= self.group);
            if let Some(same) = same {
                same.is_whole |= leak.is_whole;
            } else if self.leaks.len() < MOST_LEAKS {
                self.leaks.push(leak);
            } else {
                self.uncounted += 1;
            }
        }
    }

    /// Drops what is no longer needed from the buffer.
    fn shrink(&mut self) {
        let open = self.open.iter().flat_map(|open| open.points.iter().map(|p| p.1));
        let keep = open.fold(self.handed.min(self.searched), u64::min);
        let drop = usize::try_from(keep - self.base).unwrap_or(0);
        if drop == 0 {
            return;
        }
        self.lines += memchr::memchr_iter(b'\n', &self.buffer[..drop]).count() as u64;
        let left = self.buffer.len() - drop;
        self.buffer.copy_within(drop.., 0);
        self.buffer[left..].fill(0);
        self.buffer.truncate(left);
        self.base = keep;
    }
}

impl Drop for MaskStream {
    fn drop(&mut self) {
        self.buffer.fill(0);
    }
}

/// The next place at or after `at` whose two bytes begin some form.
#[inline]
fn next_head(masker: &Masker, bytes: &[u8], at: usize) -> Option<usize> {
    let heads: &[u16; 1 << 16] = masker.heads.as_slice().try_into().ok()?;
    let mut previous = usize::from(*bytes.get(at)?);
    for (offset, &byte) in bytes[at + 1..].iter().enumerate() {
        let head = previous << 8 | usize::from(byte);
        if heads[head] != 0 {
            return Some(at + offset);
        }
        previous = usize::from(byte);
    }
    None
}
