//! Bytes in, matches out: a pure function without I/O.
//!
//! One pass finds the keywords of all rules ([`prefilter`]); around each, the rule's own pattern is tried
//! ([`matcher`]); what it matches is weighed ([`confidence`]); overlapping candidates are settled ([`overlap`]).
//!
//! # Security
//!
//! A [`Match`] holds position, length and fingerprint of a secret, never its bytes. Types that see candidates' bytes
//! have no `Debug`.

use std::sync::Arc;

use custody_contract::{Confidence, Fingerprint, Surface};

use crate::rules::{RuleIndex, RuleSet};
use crate::{allow, decode};

mod confidence;
mod context;
mod entropy;
mod gate;
mod keywords;
mod matcher;
mod overlap;
mod placeholder;
mod prefilter;
#[cfg(test)]
mod tests;
mod trace;
mod value;
mod vocabulary;

pub use confidence::THRESHOLD;
pub(crate) use entropy::shannon;
use matcher::Matchers;
pub use matcher::Scratch;
pub(crate) use matcher::compile;
use prefilter::Prefilter;
pub(crate) use trace::{Segment, Trace};
pub(crate) use value::looks_random;

/// How far beside a match the engine looks for names, comments and allowances, in bytes.
pub(crate) const CONTEXT: usize = 2_048;

/// Applies a set of rules to bytes. Share one between threads; give each its own [`Scratch`].
pub struct Engine {
    rules: RuleSet,
    prefilter: Prefilter,
    matchers: Matchers,
    reach: usize,
    /// Tells a scratch space of this engine from one of another.
    identity: Arc<()>,
}

/// What is searched.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Their path, as context: it raises or lowers confidence.
    pub path: Option<&'a str>,
    /// Where they come from.
    pub surface: Surface,
    /// Which encodings are looked into.
    pub decoding: Decoding,
    /// What becomes of well-known documentation examples.
    pub examples: Examples,
}

impl<'a> Input<'a> {
    /// Input with the defaults for trees and histories: cheap decoding, documentation examples dropped.
    pub fn new(bytes: &'a [u8], path: Option<&'a str>, surface: Surface) -> Self {
        Input { bytes, path, surface, decoding: Decoding::Cheap, examples: Examples::Drop }
    }

    /// The same input, decoded so.
    #[must_use]
    pub fn decoding(self, decoding: Decoding) -> Self {
        Input { decoding, ..self }
    }

    /// The same input, with documentation examples treated so.
    #[must_use]
    pub fn examples(self, examples: Examples) -> Self {
        Input { examples, ..self }
    }
}

/// Which encodings are looked into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Decoding {
    /// None: the bytes as they are.
    Off,
    /// Runs of base64 that decode to text, and UTF-16 with a byte order mark: costs next to nothing.
    #[default]
    Cheap,
    /// All that [`decode::variants`] knows, nested.
    Full,
}

/// What becomes of well-known documentation examples, such as the keys in a provider's manual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Examples {
    /// They are no findings.
    #[default]
    Drop,
    /// They are findings: where a reference belongs, even an example key is wrong.
    Keep,
}

/// A secret that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The rule that recognised it.
    pub rule: RuleIndex,
    /// Where it, or its encoded form, starts in the input.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Length of the secret itself, in bytes.
    pub length: u64,
    /// Identifies the secret.
    pub fingerprint: Fingerprint,
    /// How sure it is.
    pub confidence: Confidence,
    /// How it is encoded in the input, outermost first.
    pub encoding: Vec<&'static str>,
    /// The reason of an inline allowance, if there is one.
    pub allowed: Option<String>,
}

impl Engine {
    /// An engine for these rules. Patterns are compiled when they are first needed.
    pub fn new(rules: RuleSet) -> Self {
        let prefilter = Prefilter::new(&rules);
        let matchers = Matchers::new(rules.len());
        let reach = rules.iter().map(|r| r.reach as usize).max().unwrap_or(0) + CONTEXT;
        Engine { rules, prefilter, matchers, reach, identity: Arc::new(()) }
    }

    /// An engine for the built-in rules.
    pub fn builtin() -> Self {
        Self::new(RuleSet::builtin())
    }

    /// The rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// How many bytes before and after the start of a match decide about it: a match is exact in a window of a longer
    /// text if its start has this much on both sides, or as much as there is.
    pub fn reach(&self) -> usize {
        self.reach
    }

    /// Searches `input` and adds what it finds to `matches`, in order of position for each layer of encoding.
    ///
    /// # Panics
    ///
    /// If the input is of 4 GiB or more.
    pub fn scan(&self, scratch: &mut Scratch, input: &Input<'_>, matches: &mut Vec<Match>) {
        let first = matches.len();
        if input.decoding != Decoding::Cheap {
            self.scan_plain(scratch, input, matches);
            decode::scan_layers(self, scratch, input, first, matches);
            return;
        }
        let mut trace = std::mem::take(&mut scratch.trace);
        self.trace(scratch, input, &mut trace);
        self.conclude(scratch, input, &trace, matches);
        scratch.trace = trace;
        decode::scan_marked(self, scratch, input, first, matches);
    }

    /// Searches the bytes as they are.
    pub(crate) fn scan_plain(&self, scratch: &mut Scratch, input: &Input<'_>, matches: &mut Vec<Match>) {
        let mut trace = std::mem::take(&mut scratch.trace);
        trace.clear();
        self.trace_plain(scratch, input, &mut trace);
        std::mem::swap(&mut scratch.settled, &mut trace.candidates);
        self.settle(scratch, input, matches);
        scratch.trace = trace;
    }

    /// Settles the candidates in `scratch.settled` and turns them into matches.
    fn settle(&self, scratch: &mut Scratch, input: &Input<'_>, matches: &mut Vec<Match>) {
        overlap::settle(&self.rules, &mut scratch.settled);
        matches.extend(scratch.settled.drain(..).map(|candidate| {
            let secret = &input.bytes[candidate.start..candidate.end];
            let rule = self.rules.rule(candidate.rule);
            Match {
                rule: candidate.rule,
                start: candidate.start,
                end: candidate.end,
                length: secret.len() as u64,
                fingerprint: Fingerprint::of(secret),
                confidence: candidate.assessment.into_confidence(),
                encoding: Vec::new(),
                allowed: allow::reason_at(input.bytes, candidate.start, candidate.end, &rule.id),
            }
        }));
    }
}
