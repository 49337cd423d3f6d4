use std::sync::Arc;

use custody_contract::{Occurrence, Surface};

use super::cursor::{Cursor, Origin};
use super::name::redact;
use crate::collect::Collector;
use crate::decode;
use crate::engine::{Engine, Input, Match, Scratch, Segment, Trace};
use crate::extract::INSIDE;

/// Where in a file or object a match stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Byte offset in the original bytes.
    pub(crate) offset: u64,
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column in characters, from 1.
    pub(crate) column: u32,
    /// Column after the last character.
    pub(crate) end_column: u32,
}

/// A match and where it stands.
pub(crate) struct Found {
    pub(crate) matched: Match,
    pub(crate) place: Place,
    /// Where inside of the file, if that is a container: names, from the outermost to the one that it stands in.
    pub(crate) inside: Option<Arc<str>>,
}

impl Found {
    /// The occurrence in `path`.
    pub(crate) fn occurrence(&self, surface: Surface, path: &str) -> Occurrence {
        Occurrence {
            surface,
            path: self.inside.as_ref().map_or_else(|| path.to_owned(), |inside| format!("{path}{INSIDE}{inside}")),
            line: self.place.line,
            column: self.place.column,
            end_column: self.place.end_column,
            offset: self.place.offset,
            object: None,
            commit: None,
            encoding: self.matched.encoding.iter().map(|&encoding| encoding.to_owned()).collect(),
            allowed: self.matched.allowed.clone(),
            authored: None,
            committed: None,
            reach: None,
        }
    }
}

/// What one thread searches with: the engine, its scratch space and what was found so far.
pub(crate) struct Worker<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) collector: Collector,
    /// A buffer for whole small files, kept for its allocation.
    pub(crate) buffer: Vec<u8>,
    scratch: Scratch,
    matches: Vec<Match>,
}

impl<'e> Worker<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Worker {
            engine,
            collector: Collector::new(),
            buffer: Vec::new(),
            scratch: Scratch::default(),
            matches: Vec::new(),
        }
    }

    /// Searches `text` whole and gives each match to `sink`, in order.
    pub(crate) fn search(&mut self, text: &[u8], path: Option<&str>, surface: Surface, sink: &mut dyn FnMut(Found)) {
        let end = text.len();
        self.search_window(text, path, surface, &mut Cursor::new(Origin::Same), 0..end, sink);
    }

    /// Finds out all that there is to know of a text, where it is a version of another from what is known of that.
    pub(crate) fn trace(
        &mut self,
        text: &[u8],
        surface: Surface,
        base: Option<(&[Segment], (&Trace, usize))>,
        trace: &mut Trace,
    ) {
        let input = Input::new(text, None, surface);
        match base {
            Some((segments, base)) => self.engine.trace_version(&mut self.scratch, &input, segments, base, trace),
            None => self.engine.trace(&mut self.scratch, &input, trace),
        }
    }

    /// Whether anything was found in a layer of encoding of the text that was searched last, be it dropped or not.
    pub(crate) fn in_layers(&self) -> bool {
        self.scratch.in_layers
    }

    /// Gives `sink` each match in a text of which all is known, in order.
    pub(crate) fn conclude(&mut self, text: &[u8], surface: Surface, trace: &Trace, sink: &mut dyn FnMut(Found)) {
        self.matches.clear();
        self.engine.conclude(&mut self.scratch, &Input::new(text, None, surface), trace, &mut self.matches);
        self.give(text, &mut Cursor::new(Origin::Same), 0..text.len(), sink);
        self.search_embedded((text, &Cursor::new(Origin::Same)), None, surface, 0..text.len(), sink);
    }

    /// Searches a window of a longer text and gives `sink` those matches that start within `own`. `cursor` stands at the
    /// window's start and is left at the last match.
    pub(super) fn search_window(
        &mut self,
        window: &[u8],
        path: Option<&str>,
        surface: Surface,
        cursor: &mut Cursor,
        own: std::ops::Range<usize>,
        sink: &mut dyn FnMut(Found),
    ) {
        self.matches.clear();
        self.engine.scan(&mut self.scratch, &Input::new(window, path, surface), &mut self.matches);
        let start = cursor.clone();
        self.give(window, cursor, own.clone(), sink);
        self.search_embedded((window, &start), path, surface, own, sink);
    }

    /// Searches what stands in UTF-16 in a window which is not, for matches that start within `own`. `start` stands at the
    /// window's start.
    fn search_embedded(
        &mut self,
        (window, start): (&[u8], &Cursor),
        path: Option<&str>,
        surface: Surface,
        own: std::ops::Range<usize>,
        sink: &mut dyn FnMut(Found),
    ) {
        // With a byte order mark it is all UTF-16, and was searched as such.
        if matches!(window, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return;
        }
        let mut seen = Vec::new();
        decode::embedded(window, &mut |string| {
            self.matches.clear();
            self.engine.scan(&mut self.scratch, &Input::new(&string.text, path, surface), &mut self.matches);
            self.matches.retain(|matched| own.contains(&(string.start + 2 * matched.start)));
            // One string may be given in two readings.
            self.matches.retain(|matched| !seen.contains(&(matched.fingerprint, string.run)));
            seen.extend(self.matches.iter().map(|matched| (matched.fingerprint, string.run)));
            if !self.matches.is_empty() {
                self.give_embedded(window, start, &string, sink);
            }
        });
    }

    fn give_embedded(&mut self, window: &[u8], start: &Cursor, string: &decode::Embedded, sink: &mut dyn FnMut(Found)) {
        self.matches.sort_by_key(|matched| matched.start);
        let mut before = start.clone();
        before.advance(&window[..string.start]);
        let before = before.place(b"");
        let mut cursor = Cursor::new(Origin::Utf16);
        let mut at = 0;
        for mut matched in self.matches.drain(..) {
            cursor.advance(&string.text[at..matched.start]);
            at = matched.start;
            let mut place = cursor.place(&string.text[matched.start..matched.end]);
            if place.line == 1 {
                place.column += before.column - 1;
                place.end_column += before.column - 1;
            }
            place.line += before.line - 1;
            place.offset += before.offset;
            matched.encoding.insert(0, string.encoding);
            (matched.start, matched.end) = (string.start + 2 * matched.start, string.start + 2 * matched.end);
            sink(Found { matched, place, inside: None });
        }
    }

    fn give(&mut self, window: &[u8], cursor: &mut Cursor, own: std::ops::Range<usize>, sink: &mut dyn FnMut(Found)) {
        if self.matches.is_empty() {
            return;
        }
        self.matches.sort_by_key(|matched| matched.start);
        let mut at = 0;
        for matched in self.matches.drain(..).filter(|matched| own.contains(&matched.start)) {
            cursor.advance(&window[at..matched.start]);
            at = matched.start;
            let place = cursor.place(&window[matched.start..matched.end]);
            sink(Found { matched, place, inside: None });
        }
    }

    /// Searches `text` and adds what is found to the collector, at `path`.
    pub(crate) fn collect(&mut self, text: &[u8], path: &str, surface: Surface, engine_path: Option<&str>) {
        let mut found = Vec::new();
        self.search(text, engine_path, surface, &mut |hit| found.push(hit));
        for hit in found {
            self.add(hit, surface, path);
        }
    }

    /// Adds one match to the collector, at `path`.
    pub(crate) fn add(&mut self, found: Found, surface: Surface, path: &str) {
        let occurrence = found.occurrence(surface, path);
        self.collector.add(self.engine.rules(), found.matched, occurrence);
    }

    /// Searches a file's name, which is a place for secrets too, and returns the name as it may be shown: escaped, and
    /// without what was found in it.
    pub(crate) fn name(&mut self, name: &[u8], surface: Surface) -> String {
        let (shown, found) = self.search_name(name, surface);
        for hit in found {
            self.add(hit, surface, &shown);
        }
        shown
    }

    /// The same, without adding to the collector.
    pub(crate) fn search_name(&mut self, name: &[u8], surface: Surface) -> (String, Vec<Found>) {
        let mut found = Vec::new();
        self.search(name, None, surface, &mut |hit| found.push(hit));
        let secrets: Vec<_> = found.iter().map(|hit| (hit.matched.start, hit.matched.end)).collect();
        (redact(name, &secrets), found)
    }
}
