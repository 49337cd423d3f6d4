//! What is known of a repository: what was read, and what was found in it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use custody_contract::Fingerprint;
use foldhash::fast::RandomState;
use gix::ObjectId;
use serde::{Deserialize, Serialize};

use super::facts::{Fact, PathOf};
use super::reach::Reached;
use crate::collect::Collector;
use crate::rules::{RuleIndex, RuleSet};

/// What is known of a repository, by one set of rules.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct State {
    /// The rules' ids and digests, in order of the ids.
    pub(super) rules: Vec<(String, u64)>,
    pub(super) packs: Vec<PackId>,
    /// Ids of loose objects, one after the other, in order.
    pub(super) loose: Vec<u8>,
    /// How many objects were read, and their size.
    pub(super) totals: Totals,
    /// Ids that an object refers to and that were not there.
    pub(super) missing: Vec<u8>,
    pub(super) submodules: Vec<String>,
    pub(super) facts: Vec<Fact>,
    /// Each place of each fact, in the order of the report.
    pub(super) rows: Vec<Row>,
    /// Ids of objects, in order, in which what one rule finds depends on the others.
    pub(super) entangled: Vec<u8>,
    /// The same of names.
    pub(super) names_entangled: bool,
    pub(super) files: Vec<CleanFile>,
    /// Objects read since the [`ids`](super::ids) were written.
    pub(super) recent: Vec<u8>,
    /// The file that it was read from.
    pub(super) kept: Option<Kept>,
}

/// A file in which a state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) file: PathBuf,
    /// Of what it holds.
    pub(super) checksum: [u8; 32],
}

/// A place of a fact, as the fact's number and the place's.
pub(super) type Row = (u32, u32);

/// How much was read.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) read: u64,
    pub(super) bytes: u64,
    pub(super) opaque: u64,
}

impl std::ops::Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        Totals {
            read: self.read + other.read,
            bytes: self.bytes.saturating_add(other.bytes),
            opaque: self.opaque + other.opaque,
        }
    }
}

/// Tells a pack from any other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct PackId {
    pub(super) length: u64,
    /// The checksum at its end.
    pub(super) trailer: Vec<u8>,
}

/// A large file beside the objects in which nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CleanFile {
    /// As it is shown.
    pub(super) name: String,
    /// BLAKE3 of its content.
    pub(super) content: [u8; 32],
    /// Ids that it names and that were not there.
    pub(super) lacking: Vec<ObjectId>,
}

impl State {
    /// A state in which nothing is known yet, for these rules.
    pub(super) fn new(rules: &RuleSet) -> State {
        State { rules: rules.iter().map(|rule| (rule.id.to_string(), rule.digest)).collect(), ..State::default() }
    }

    /// Puts the places of all facts into the order of the report, so that no later scan has to.
    pub(super) fn arrange(&mut self, rules: &RuleSet) {
        let mut groups: HashMap<Fingerprint, (Rank, Vec<Row>), RandomState> = HashMap::default();
        for (number, fact) in (0u32..).zip(&self.facts) {
            let rank = rules.get(&fact.rule).map(|rule| (!rule.generic, rule.severity, fact.confidence.score));
            let group = groups.entry(fact.fingerprint).or_default();
            group.0 = group.0.max(rank);
            group.1.extend((0u32..).take(fact.places()).map(|place| (number, place)));
        }
        let order = |one: &Row, other: &Row| self.compare(*one, *other);
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.iter_mut().for_each(|(_, rows)| rows.sort_unstable_by(order));
        groups.sort_by(|(one, rows), (other, others)| {
            let worth = |rank: &Rank| rank.map(|(_, severity, score)| (severity, score));
            worth(other).cmp(&worth(one)).then_with(|| order(&rows[0], &others[0]))
        });
        self.rows = groups.into_iter().flat_map(|(_, rows)| rows).collect();
    }

    /// As occurrences are ordered.
    fn compare(&self, one: Row, other: Row) -> Ordering {
        let (a, b) = (&self.facts[one.0 as usize], &self.facts[other.0 as usize]);
        let ((path, commit), (other_path, other_commit)) = (a.place(one.1 as usize), b.place(other.1 as usize));
        let paths = match (path, other_path) {
            (PathOf::Text(path), PathOf::Text(other)) => path.cmp(other),
            (path, other) => path.to_string().cmp(&other.to_string()),
        };
        let place = |fact: &Fact| (fact.line, fact.column, fact.end_column, fact.offset, fact.object);
        paths
            .then_with(|| a.inside.cmp(&b.inside))
            .then_with(|| place(a).cmp(&place(b)))
            .then_with(|| commit.cmp(&other_commit))
    }

    /// Adds all that is known to the collector, in the order of the report. Facts of other rules are left out.
    pub(super) fn collect(&self, rules: &RuleSet, reached: &Reached, collector: &mut Collector) {
        // Facts share the names of their rules.
        let mut last: Option<(&Arc<str>, Option<RuleIndex>)> = None;
        let mut index = |rule| match last {
            Some((known, index)) if Arc::ptr_eq(known, rule) => index,
            _ => last.insert((rule, rules.index(rule))).1,
        };
        let fact = |row: &Row| &self.facts[row.0 as usize];
        for rows in self.rows.chunk_by(|one, other| fact(one).fingerprint == fact(other).fingerprint) {
            let mut matches = Vec::with_capacity(rows.len());
            let mut occurrences = Vec::with_capacity(rows.len());
            for row in rows {
                let fact = fact(row);
                if let Some(rule) = index(&fact.rule) {
                    matches.push((rule, fact.length, &*fact.confidence));
                    occurrences.push(fact.occurrence(row.1 as usize, reached));
                }
            }
            if let Some(first) = rows.first().filter(|_| !occurrences.is_empty()) {
                collector.add_secret(rules, fact(first).fingerprint, matches.into_iter(), occurrences);
            }
        }
    }
}

/// Whether the rule knows its format, its severity, and how sure it is.
type Rank = Option<(bool, custody_contract::Severity, u8)>;
