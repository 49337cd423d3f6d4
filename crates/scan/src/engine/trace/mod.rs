//! What is known of a text: its keywords and what came of each. Enough to search another version of the text at the
//! cost of what is new in it.
//!
//! A version that is stored as copies from a base and inserted bytes has the base's keywords wherever it has a copy of
//! them, and new ones only in inserted bytes and across seams. What came of a keyword depends on the text in its
//! [`Scope`] alone; where that lies within one copy, it is the same. So the outcome is that of searching the whole
//! text, which [`Engine::trace_version`]'s tests and `--verify-delta` hold it to.

use std::ops::Range;

use memchr::memchr;

use super::confidence::LINE;
use super::keywords::{HEAD, Keyword, Scope};
use super::matcher::{Candidate, Trial};
use super::prefilter::Hit;
use super::{Engine, Input, Match, Scratch};
use crate::decode::{self, Layered};

/// What is known of a text.
///
/// # Security
///
/// Holds positions and fingerprints, no text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Trace {
    /// All keywords, in order.
    hits: Vec<Hit>,
    /// What their rules found, in the keywords' order; overlaps are not settled.
    pub(super) candidates: Vec<Candidate>,
    /// What was found in runs of base64, in their order.
    pub(super) layered: Vec<Layered>,
}

impl Trace {
    pub(crate) fn clear(&mut self) {
        self.hits.clear();
        self.candidates.clear();
        self.layered.clear();
    }

    /// Memory that it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.hits.capacity() * size_of::<Hit>()
            + self.candidates.capacity() * size_of::<Candidate>()
            + self.layered.capacity() * size_of::<Layered>()
    }
}

/// A part of a version: a copy from its base, or inserted bytes. They follow one another, and of two neighbours at most
/// one is inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Where the copy starts in the base.
    pub(crate) source: Option<usize>,
}

impl Engine {
    /// Searches a whole text and keeps what is known of it.
    pub(crate) fn trace(&self, scratch: &mut Scratch, input: &Input<'_>, trace: &mut Trace) {
        trace.clear();
        self.trace_plain(scratch, input, trace);
        decode::layered(self, scratch, input, 0..input.bytes.len(), &mut trace.layered);
    }

    /// The same, without runs of base64.
    pub(super) fn trace_plain(&self, scratch: &mut Scratch, input: &Input<'_>, trace: &mut Trace) {
        scratch.attach(&self.identity, self.rules.len());
        let Trace { hits, candidates, .. } = trace;
        self.prefilter.search(input.bytes, 0..input.bytes.len(), hits);
        order(hits);
        let mut trial = self.trial(scratch, input);
        hits.iter().for_each(|&hit| trial.keyword(hit, candidates));
    }

    fn trial<'a, 's>(&'a self, scratch: &'s mut Scratch, input: &'a Input<'a>) -> Trial<'a, 's> {
        Trial { matchers: &self.matchers, rules: &self.rules, prefilter: &self.prefilter, input, scratch }
    }

    /// Searches a version of a text of which all is known: the outcome is that of [`Engine::trace`]. Neither may be
    /// UTF-16 by its byte order mark.
    pub(crate) fn trace_version(
        &self,
        scratch: &mut Scratch,
        input: &Input<'_>,
        segments: &[Segment],
        base: (&Trace, usize),
        trace: &mut Trace,
    ) {
        trace.clear();
        scratch.attach(&self.identity, self.rules.len());
        let mut due = std::mem::take(&mut scratch.due);
        due.clear();
        let mut version = Version {
            engine: self,
            bytes: input.bytes,
            base: base.0,
            base_length: base.1,
            at_hit: 0,
            at_candidate: 0,
            due: &mut due,
            trace,
        };
        version.segments(segments);
        // A keyword that goes on beyond a seam is found after those of the copy in which it starts.
        order(&mut trace.hits);
        let mut trial = self.trial(scratch, input);
        due.iter().for_each(|&hit| trial.keyword(hit, &mut trace.candidates));
        if trace.candidates.len() > 1 {
            // Stable: a keyword's candidates stay in the order in which they were found.
            trace.candidates.sort_by_key(|candidate| candidate.hit);
        }
        scratch.due = due;
        self.layers_of_version(scratch, input, segments, base.0, trace);
    }

    fn layers_of_version(
        &self,
        scratch: &mut Scratch,
        input: &Input<'_>,
        segments: &[Segment],
        base: &Trace,
        trace: &mut Trace,
    ) {
        let mut zones = std::mem::take(&mut scratch.zones);
        zones.clear();
        let mut previous: Option<&Segment> = None;
        for segment in segments {
            match (segment.source, previous.map(|previous| previous.source)) {
                (None, _) => decode::extend_zones(input.bytes, segment.start..segment.end, &mut zones),
                (Some(_), Some(Some(_))) => {
                    decode::extend_zones(input.bytes, segment.start..segment.start, &mut zones);
                }
                (Some(source), None) if source > 0 => decode::extend_zones(input.bytes, 0..0, &mut zones),
                _ => {}
            }
            previous = Some(segment);
        }
        decode::extend_zones(input.bytes, input.bytes.len()..input.bytes.len(), &mut zones);
        let copies = segments.iter().filter_map(|segment| Some((segment, segment.source?)));
        for (segment, source) in copies.filter(|_| !base.layered.is_empty()) {
            let span = source..source + (segment.end - segment.start);
            let from = base.layered.partition_point(|layered| layered.chain.start < span.start);
            let within = base.layered[from..].iter().take_while(|layered| layered.chain.start < span.end);
            for layered in within.filter(|layered| layered.chain.end <= span.end) {
                let moved = layered.moved(source, segment.start);
                let next = zones.partition_point(|zone| zone.end <= moved.chain.start);
                if zones.get(next).is_none_or(|zone| moved.chain.end <= zone.start) {
                    trace.layered.push(moved);
                }
            }
        }
        let carried = trace.layered.len();
        for zone in &zones {
            decode::layered(self, scratch, input, zone.clone(), &mut trace.layered);
        }
        if carried > 0 && carried < trace.layered.len() {
            trace.layered.sort_by_key(|layered| layered.chain.start);
        }
        scratch.zones = zones;
    }

    /// What a text of which all is known holds: its candidates settled, and joined with what base64 hides.
    pub(crate) fn conclude(&self, scratch: &mut Scratch, input: &Input<'_>, trace: &Trace, matches: &mut Vec<Match>) {
        let first = matches.len();
        if !trace.candidates.is_empty() {
            scratch.settled.clone_from(&trace.candidates);
            self.settle(scratch, input, matches);
        }
        if !trace.layered.is_empty() {
            let layered = trace.layered.iter().map(|layered| layered.matched.clone()).collect();
            decode::join(self, layered, first, matches);
        }
    }
}

fn order(hits: &mut [Hit]) {
    if !hits.is_sorted() {
        hits.sort_unstable();
    }
}

/// A version whose keywords are gathered.
struct Version<'v> {
    engine: &'v Engine,
    bytes: &'v [u8],
    base: &'v Trace,
    base_length: usize,
    /// Where the base's keywords and candidates were last needed: copies mostly go forward.
    at_hit: usize,
    at_candidate: usize,
    /// Keywords whose rules are to be tried.
    due: &'v mut Vec<Hit>,
    trace: &'v mut Trace,
}

impl<'v> Version<'v> {
    fn segments(&mut self, segments: &[Segment]) {
        let mut before = 0;
        for segment in segments {
            // Keywords that start in the copy before and go on in this segment.
            let from = before.max(segment.start.saturating_sub(HEAD - 1));
            let to = if segment.source.is_some() { segment.start } else { segment.end };
            if from < to {
                self.search(from..to, segment.start);
            }
            match segment.source {
                Some(source) => {
                    self.copy(segment, source);
                    before = segment.start;
                }
                // All that start in inserted bytes are known by then.
                None => before = segment.end,
            }
        }
    }

    /// Finds keywords that start within `starts` and end behind `seam`.
    fn search(&mut self, starts: Range<usize>, seam: usize) {
        let hits = &mut self.trace.hits;
        let first = hits.len();
        self.engine.prefilter.search(self.bytes, starts, hits);
        if first == hits.len() {
            return;
        }
        let keywords = &self.engine.prefilter.keywords;
        let mut kept = first;
        for at in first..hits.len() {
            let hit = hits[at];
            if hit.at as usize + keywords[hit.keyword as usize].span() > seam {
                hits[kept] = hit;
                kept += 1;
            }
        }
        hits.truncate(kept);
        self.due.extend_from_slice(&hits[first..]);
    }

    /// Takes over the keywords of a copy, and what came of those whose scope lies within it.
    fn copy(&mut self, segment: &Segment, source: usize) {
        let end = source + (segment.end - segment.start);
        let base = self.base;
        self.at_hit = seek(&base.hits, self.at_hit, source, |hit| hit.at);
        let copy = Copy {
            bytes: self.bytes,
            segment,
            opens: source > 0 || segment.start > 0,
            closes: end < self.base_length || segment.end < self.bytes.len(),
        };
        let moved = |hit: Hit| Hit { at: (hit.at as usize - source + segment.start) as u32, ..hit };
        for &hit in base.hits[self.at_hit..].iter().take_while(|hit| (hit.at as usize) < end) {
            let keyword = self.keyword(hit);
            if hit.at as usize + keyword.span() > end {
                continue;
            }
            let hit = moved(hit);
            self.trace.hits.push(hit);
            if !copy.holds(hit, keyword.scope) {
                self.due.push(hit);
            }
        }
        if base.candidates.is_empty() {
            return;
        }
        self.at_candidate = seek(&base.candidates, self.at_candidate, source, |candidate| candidate.hit.at);
        for candidate in base.candidates[self.at_candidate..].iter().take_while(|c| (c.hit.at as usize) < end) {
            let keyword = self.keyword(candidate.hit);
            let hit = moved(candidate.hit);
            if candidate.hit.at as usize + keyword.span() <= end && copy.holds(hit, keyword.scope) {
                self.trace.candidates.push(Candidate {
                    hit,
                    start: candidate.start - source + segment.start,
                    end: candidate.end - source + segment.start,
                    ..candidate.clone()
                });
            }
        }
    }

    fn keyword(&self, hit: Hit) -> &'v Keyword {
        &self.engine.prefilter.keywords[hit.keyword as usize]
    }
}

/// A copy in a version.
struct Copy<'c> {
    bytes: &'c [u8],
    segment: &'c Segment,
    /// Another text than in the base may stand before it.
    opens: bool,
    /// Another text than in the base may stand behind it.
    closes: bool,
}

impl Copy<'_> {
    /// Whether all that decides about the keyword is part of the copy.
    fn holds(&self, hit: Hit, scope: Scope) -> bool {
        let Segment { start, end, .. } = *self.segment;
        let from = (hit.at as usize).saturating_sub(scope.before as usize);
        let to = (hit.at as usize).saturating_add(scope.after as usize);
        if self.opens && from <= start || self.closes && to >= end {
            return false;
        }
        let ends = |text: &[u8]| text.len() > LINE || memchr(b'\n', text).is_some();
        !scope.line || (!self.opens || ends(&self.bytes[start..from])) && (!self.closes || ends(&self.bytes[to..end]))
    }
}

/// The first of `items`, which are in order, that is not before `wanted`; tried first from `from` on.
fn seek<T>(items: &[T], from: usize, wanted: usize, at: impl Fn(&T) -> u32) -> usize {
    let before = |item: &T| (at(item) as usize) < wanted;
    if from > 0 && !before(&items[from - 1]) {
        return items[..from].partition_point(before);
    }
    let near = items.len().min(from + 16);
    match items[from..near].iter().position(|item| !before(item)) {
        Some(steps) => from + steps,
        None => near + items[near..].partition_point(before),
    }
}

#[cfg(test)]
mod tests;
