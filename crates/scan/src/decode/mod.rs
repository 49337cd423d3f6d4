//! Secrets in other clothes: layers of encoding, taken off one by one, with the way back to the encoded text.
//!
//! Nested to depth 3, bounded in total. What is decoded is wiped from memory when it is dropped.

use std::collections::HashSet;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::engine::{Decoding, Engine, Input, Match, Scratch};

mod embedded;
mod escapes;
mod runs;
mod wide;

pub(crate) use embedded::{Embedded, embedded, has_embedded};

/// Deepest nesting that is followed.
pub const MAX_DEPTH: usize = 3;
/// Shortest run of base64 that is looked into at little cost.
const CHEAP_RUN: usize = 24;
/// Most bytes that are decoded of one input, over all layers.
const MAX_TOTAL: usize = 64 << 20;

/// Text that was decoded.
///
/// # Security
///
/// Holds what may be secret material: no `Debug`, wiped on drop.
pub struct Variant {
    /// The decoded text.
    pub text: Zeroizing<Vec<u8>>,
    /// How it was encoded, outermost first, such as `base64`, `utf-16le`.
    pub encoding: Vec<&'static str>,
    /// Where its encoded form stands in the bytes that were given.
    pub span: Range<usize>,
}

/// Every text that `bytes` hold in an encoding that is known: base64 and base64url (padded or not, wrapped), base32,
/// hexadecimal, percent-encoding, backslash escapes of JSON and JavaScript, HTML character references, UTF-16 and
/// quoted-printable; nested.
pub fn variants(bytes: &[u8]) -> impl Iterator<Item = Variant> {
    let mut out = Vec::new();
    let mut budget = budget(bytes);
    collect(bytes, &[], &|span| span, &mut budget, &mut out);
    out.into_iter()
}

fn collect(
    bytes: &[u8],
    chain: &[&'static str],
    to_root: &dyn Fn(Range<usize>) -> Range<usize>,
    budget: &mut usize,
    out: &mut Vec<Variant>,
) {
    if chain.len() >= MAX_DEPTH {
        return;
    }
    for_each_layer(bytes, &mut |layer| {
        if !spend(budget, layer.text.len()) {
            return;
        }
        let encoding: Vec<_> = chain.iter().copied().chain([layer.encoding]).collect();
        let back = |span: Range<usize>| to_root(layer.to_source(span));
        collect(layer.decoded(), &encoding, &|span| back(span.start + layer.lead..span.end + layer.lead), budget, out);
        let span = back(layer.lead..layer.text.len());
        out.push(Variant { text: Zeroizing::new(layer.decoded().to_vec()), encoding, span });
    });
}

/// Plain search and all layers of encoding: what CRED-1 asks for.
pub fn scan_decoded(engine: &Engine, scratch: &mut Scratch, input: &Input<'_>, matches: &mut Vec<Match>) {
    engine.scan(scratch, &input.decoding(Decoding::Full), matches);
}

/// Adds what the layers of `input` hold to its plain matches, which are `matches[first..]`.
pub(crate) fn scan_layers(
    engine: &Engine,
    scratch: &mut Scratch,
    input: &Input<'_>,
    first: usize,
    matches: &mut Vec<Match>,
) {
    if input.decoding == Decoding::Off {
        return;
    }
    let mut found = Vec::new();
    let mut walk = Walk { engine, scratch, input, budget: budget(input.bytes), found: &mut found };
    walk.descend(input.bytes, &[], &|span| span);
    if !found.is_empty() {
        join(engine, found, first, matches);
    }
}

/// The same for text that its byte order mark says to be UTF-16, and for nothing else.
pub(crate) fn scan_marked(
    engine: &Engine,
    scratch: &mut Scratch,
    input: &Input<'_>,
    first: usize,
    matches: &mut Vec<Match>,
) {
    let Some(units) = wide::detect(input.bytes, wide::Marks::Required) else { return };
    let mut found = Vec::new();
    let mut walk = Walk { engine, scratch, input, budget: budget(input.bytes), found: &mut found };
    walk.layer(&wide::decode(input.bytes, units), &[], &|span| span);
    if !found.is_empty() {
        join(engine, found, first, matches);
    }
}

/// What was found in a run of base64.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layered {
    /// The run, with all that could be taken for its beginning or its continuation.
    pub(crate) chain: Range<usize>,
    pub(crate) matched: Match,
}

impl Layered {
    /// The same in a copy that starts elsewhere.
    pub(crate) fn moved(&self, from: usize, to: usize) -> Layered {
        let moved = |at: usize| at - from + to;
        let matched = Match { start: moved(self.matched.start), end: moved(self.matched.end), ..self.matched.clone() };
        Layered { chain: moved(self.chain.start)..moved(self.chain.end), matched }
    }
}

/// Searches the runs of base64 within a part of the text that cuts none of them, and what they hold.
pub(crate) fn layered(
    engine: &Engine,
    scratch: &mut Scratch,
    input: &Input<'_>,
    within: Range<usize>,
    out: &mut Vec<Layered>,
) {
    runs::base64(input.bytes, within, CHEAP_RUN, &mut |layer| {
        let mut found = Vec::new();
        let mut walk = Walk { engine, scratch, input, budget: budget(&layer.text), found: &mut found };
        walk.layer(&layer, &[], &|span| span);
        out.extend(found.into_iter().map(|matched| {
            let chain = runs::chain(input.bytes, matched.start..matched.end);
            Layered { chain, matched }
        }));
    });
}

/// Adds to `zones`, which are in order and apart, what [`layered`] has to search anew where a version of a text
/// differs from the one before at `changed`: all runs for which anything can be different.
pub(crate) fn extend_zones(bytes: &[u8], changed: Range<usize>, zones: &mut Vec<Range<usize>>) {
    runs::extend_zones(bytes, changed, zones);
}

/// Adds what was found in layers to the plain matches, `matches[first..]`, which are in order and apart. One secret is
/// one match: what was found further out stays, unless it was a guess of a generic rule and the inner one is not.
pub(crate) fn join(engine: &Engine, mut layered: Vec<Match>, first: usize, matches: &mut Vec<Match>) {
    let generic = |m: &Match| engine.rules().rule(m.rule).generic;
    let mut plain: Vec<Option<Match>> = matches.drain(first..).map(Some).collect();
    let spans: Vec<Range<usize>> = plain.iter().flatten().map(|m| m.start..m.end).collect();
    let mut seen = HashSet::new();
    layered.sort_by_key(|m| (m.encoding.len(), m.start));
    layered.retain(|inner| {
        let from = spans.partition_point(|s| s.end <= inner.start);
        let to = spans.partition_point(|s| s.start < inner.end).max(from);
        let outer = &mut plain[from..to];
        if outer.iter().flatten().any(|m| generic(inner) || !generic(m))
            || !seen.insert((inner.fingerprint, inner.start))
        {
            return false;
        }
        outer.fill(None);
        true
    });
    matches.extend(plain.into_iter().flatten());
    matches.append(&mut layered);
}

struct Walk<'a> {
    engine: &'a Engine,
    scratch: &'a mut Scratch,
    input: &'a Input<'a>,
    budget: usize,
    found: &'a mut Vec<Match>,
}

impl Walk<'_> {
    fn descend(&mut self, bytes: &[u8], chain: &[&'static str], to_root: &dyn Fn(Range<usize>) -> Range<usize>) {
        let goes_on = match self.input.decoding {
            Decoding::Off => false,
            Decoding::Full => chain.len() < MAX_DEPTH,
            // PowerShell's `-EncodedCommand` is base64 of UTF-16.
            Decoding::Cheap => chain == ["base64"] && wide::detect(bytes, wide::Marks::Optional).is_some(),
        };
        if goes_on {
            for_each_layer(bytes, &mut |layer| self.layer(&layer, chain, to_root));
        }
    }

    fn layer(&mut self, layer: &Layer, chain: &[&'static str], to_root: &dyn Fn(Range<usize>) -> Range<usize>) {
        if !spend(&mut self.budget, layer.text.len()) {
            return;
        }
        let encoding: Vec<_> = chain.iter().copied().chain([layer.encoding]).collect();
        let back = |span: Range<usize>| to_root(layer.to_source(span));
        self.search(layer, &encoding, &back);
        self.descend(layer.decoded(), &encoding, &|span| back(span.start + layer.lead..span.end + layer.lead));
    }

    fn search(&mut self, layer: &Layer, encoding: &[&'static str], back: &dyn Fn(Range<usize>) -> Range<usize>) {
        let first = self.found.len();
        let input = Input { bytes: &layer.text, ..*self.input };
        self.engine.scan_plain(self.scratch, &input, self.found);
        self.scratch.in_layers |= self.found.len() > first;
        let mut at = 0;
        self.found.retain_mut(|matched| {
            at += 1;
            if at <= first {
                return true;
            }
            if matched.start < layer.lead {
                return false;
            }
            let span = back(matched.start..matched.end);
            (matched.start, matched.end) = (span.start, span.end);
            matched.encoding = encoding.to_vec();
            true
        });
    }
}

/// One layer of encoding taken off.
struct Layer {
    /// What stands before the encoded text in its line, as context, then the decoded text.
    text: Zeroizing<Vec<u8>>,
    /// Length of that context.
    lead: usize,
    encoding: &'static str,
    origin: OriginMap,
}

enum OriginMap {
    /// The whole text comes from there.
    Run(Range<usize>),
    /// Pairs of offsets, decoded and source, ascending; between two pairs both advance alike.
    Points(Vec<(usize, usize)>),
    /// Each unit of so many bytes became one character; the characters' starts, in units.
    Units(wide::Units),
}

impl Layer {
    fn decoded(&self) -> &[u8] {
        &self.text[self.lead..]
    }

    /// Where a span of `text` comes from.
    fn to_source(&self, span: Range<usize>) -> Range<usize> {
        match &self.origin {
            OriginMap::Run(range) => range.clone(),
            OriginMap::Points(points) => {
                let map = |at: usize| {
                    let next = points.partition_point(|(decoded, _)| *decoded <= at);
                    next.checked_sub(1).map_or(at, |i| points[i].1 + (at - points[i].0))
                };
                map(span.start)..map(span.end)
            }
            OriginMap::Units(units) => units.to_source(&self.text, span),
        }
    }
}

/// Takes off one layer in every way that applies.
fn for_each_layer(bytes: &[u8], layer: &mut dyn FnMut(Layer)) {
    if let Some(units) = wide::detect(bytes, wide::Marks::Optional) {
        layer(wide::decode(bytes, units));
    }
    runs::base64(bytes, 0..bytes.len(), 16, layer);
    runs::hexadecimal(bytes, layer);
    runs::base32(bytes, layer);
    [escapes::percent, escapes::backslash, escapes::html, escapes::quoted_printable]
        .into_iter()
        .filter_map(|decode| decode(bytes))
        .for_each(layer);
}

fn budget(bytes: &[u8]) -> usize {
    bytes.len().saturating_mul(8).saturating_add(1 << 20).min(MAX_TOTAL.max(bytes.len().saturating_mul(2)))
}

fn spend(budget: &mut usize, amount: usize) -> bool {
    match budget.checked_sub(amount) {
        Some(rest) => {
            *budget = rest;
            true
        }
        None => false,
    }
}
