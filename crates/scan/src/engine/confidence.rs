//! How sure it is that a candidate is real: a sum of weighted reasons, each of which a person can read.

use std::borrow::Cow;

use custody_contract::{Confidence, Reason, Surface};
use regex_automata::Span;

use super::context::{self, FileKind};
use super::placeholder::{self, Placeholder};
use super::{Examples, Input, entropy, value};
use crate::rules::checksum::{self, Verdict};
use crate::rules::{Checksum, Rule};

/// Candidates with a lower score are no findings.
pub const THRESHOLD: u8 = 30;

/// How far beside a candidate its weighing looks, in bytes.
pub(super) const AROUND: usize = 80;

/// How far on a generic rule's candidate's own line its weighing looks.
pub(super) const LINE: usize = super::CONTEXT / 2;

/// A candidate and where it stands.
pub(super) struct Subject<'a> {
    pub(super) rule: &'a Rule,
    pub(super) input: &'a Input<'a>,
    /// The whole match.
    pub(super) whole: Span,
    /// The secret in it.
    pub(super) secret: Span,
}

impl<'a> Subject<'a> {
    pub(super) fn secret(&self) -> &'a [u8] {
        &self.input.bytes[self.secret.start..self.secret.end]
    }
}

/// The outcome for a candidate that counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assessment {
    pub(super) score: u8,
    reasons: Vec<(&'static str, i8)>,
}

impl Assessment {
    pub(super) fn into_confidence(mut self) -> Confidence {
        self.reasons.sort_by_key(|(_, weight)| -i32::from(weight.unsigned_abs()));
        let reasons = self.reasons.into_iter().map(|(what, weight)| Reason { what: Cow::Borrowed(what), weight });
        Confidence { score: self.score, reasons: reasons.collect() }
    }
}

/// A running sum of reasons.
pub(super) struct Tally {
    score: i32,
    reasons: Vec<(&'static str, i8)>,
}

impl Tally {
    pub(super) fn add(&mut self, what: &'static str, weight: i8) {
        self.score += i32::from(weight);
        self.reasons.push((what, weight));
    }
}

/// Weighs a candidate; `None` if it is not to be reported.
pub(super) fn assess(subject: &Subject<'_>) -> Option<Assessment> {
    let (rule, secret) = (subject.rule, subject.secret());
    if rule.generic && value::is_ruled_out(subject) {
        return None;
    }
    let base = i8::try_from(rule.confidence).unwrap_or(100);
    let mut tally = Tally { score: 0, reasons: Vec::with_capacity(4) };
    tally.add("what the rule's pattern alone is worth", base);
    if rule.entropy > 0.0 && entropy::shannon(secret) < rule.entropy {
        return None;
    }
    if let Some(checksum) = rule.checksum {
        match checksum::verify(checksum, &rule.prefix, secret) {
            Verdict::Confirmed => tally.add("its checksum or structure holds", 15),
            Verdict::Refuted => return None,
            Verdict::Unknown => {}
        }
    }
    if rule.placeholders && is_placeholder(subject, secret) {
        return None;
    }
    if rule.checksum == Some(Checksum::Userinfo) {
        value::weigh_userinfo(subject, &mut tally);
    }
    if rule.generic {
        value::weigh(subject, &mut tally)?;
    }
    weigh_place(subject, &mut tally);
    let score = u8::try_from(tally.score.clamp(0, 100)).unwrap_or(100);
    (score >= THRESHOLD).then_some(Assessment { score, reasons: tally.reasons })
}

fn is_placeholder(subject: &Subject<'_>, secret: &[u8]) -> bool {
    let keep = subject.input.examples == Examples::Keep && !subject.rule.generic;
    match placeholder::recognise(secret, &subject.rule.prefix, subject.rule.generic) {
        None => false,
        Some(Placeholder::Template) => true,
        Some(Placeholder::Documentation | Placeholder::Filler) => !keep,
    }
}

fn weigh_place(subject: &Subject<'_>, tally: &mut Tally) {
    // On the other surfaces test data is what was asked for.
    let code = matches!(subject.input.surface, Surface::WorkingTree | Surface::Staged | Surface::History);
    let Some(path) = subject.input.path.filter(|_| code) else { return };
    let generic = subject.rule.generic;
    if context::is_for_tests(path) {
        tally.add("the path is one of tests, examples or documentation", if generic { -15 } else { -10 });
    }
    match context::file_kind(path) {
        FileKind::Lock if generic => tally.add("a package manager's lock file is full of digests", -50),
        FileKind::Generated if generic => tally.add("the file was made by a tool", -25),
        FileKind::Prose if generic => tally.add("the file is prose", -10),
        _ => {}
    }
}
