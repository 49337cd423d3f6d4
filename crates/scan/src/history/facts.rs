//! What was found in a history, in a form that outlasts the scan: positions and fingerprints, never text.

use custody_contract::{Confidence, Fingerprint, Occurrence, Surface};
use gix::ObjectId;
use serde::{Deserialize, Serialize};

use super::reach::Reached;
use crate::collect::Collector;
use crate::engine::Match;
use crate::rules::RuleSet;
use crate::source::Found;

/// One match, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Fact {
    rule: String,
    length: u64,
    fingerprint: Fingerprint,
    confidence: Confidence,
    encoding: Vec<String>,
    allowed: Option<String>,
    offset: u64,
    line: u32,
    column: u32,
    end_column: u32,
    /// The object's id; empty for a name.
    pub(super) object: Vec<u8>,
    pub(super) within: Stands,
}

/// In what it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Stands {
    /// In a file's name, which is shown so.
    Name(String),
    /// In such a text of a commit.
    Commit(String),
    /// In such a text of an annotated tag.
    Tag(String),
    /// In a file's content.
    Blob(Vec<Standing>),
}

/// A path of a file, and the oldest commit that has it there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) path: String,
    /// When it was committed, in seconds since 1970.
    pub(super) time: i64,
    /// When it was authored.
    pub(super) authored: i64,
    /// By which commits are put in order.
    pub(super) age: u32,
    pub(super) commit: Vec<u8>,
}

impl Fact {
    pub(super) fn new(rules: &RuleSet, found: Found, object: &[u8], within: Stands) -> Fact {
        let Found { matched, place } = found;
        Fact {
            rule: rules.rule(matched.rule).id.to_string(),
            length: matched.length,
            fingerprint: matched.fingerprint,
            confidence: matched.confidence,
            encoding: matched.encoding.iter().map(|&encoding| encoding.to_owned()).collect(),
            allowed: matched.allowed,
            offset: place.offset,
            line: place.line,
            column: place.column,
            end_column: place.end_column,
            object: object.to_vec(),
            within,
        }
    }

    /// Adds it to the collector, at each place where it stands. A fact of other rules is left out.
    pub(super) fn collect(&self, rules: &RuleSet, reached: &Reached, collector: &mut Collector) {
        let Some(rule) = rules.index(&self.rule) else { return };
        let matched = || Match {
            rule,
            start: 0,
            end: 0,
            length: self.length,
            fingerprint: self.fingerprint,
            confidence: self.confidence.clone(),
            encoding: Vec::new(),
            allowed: self.allowed.clone(),
        };
        let object = (!self.object.is_empty()).then(|| hex(&self.object));
        let known = reached.of(&self.object);
        let at = |path: &str, commit: Option<String>| Occurrence {
            surface: Surface::History,
            path: path.to_owned(),
            line: self.line,
            column: self.column,
            end_column: self.end_column,
            offset: self.offset,
            object: object.clone(),
            commit,
            encoding: self.encoding.clone(),
            allowed: self.allowed.clone(),
            authored: known.times.and_then(|(authored, _)| moment(authored)),
            committed: known.times.and_then(|(_, committed)| moment(committed)),
            reach: known.reach(0),
        };
        match &self.within {
            Stands::Name(path) => collector.add(rules, matched(), at(path, None)),
            Stands::Commit(what) => collector.add(rules, matched(), at(what, object.clone())),
            Stands::Tag(what) => collector.add(rules, matched(), Occurrence { authored: None, ..at(what, None) }),
            Stands::Blob(standings) if standings.is_empty() => {
                let path = format!("object {}", object.as_deref().unwrap_or_default());
                collector.add(rules, matched(), at(&path, None));
            }
            Stands::Blob(standings) => {
                for (place, standing) in standings.iter().enumerate() {
                    let occurrence = Occurrence {
                        authored: moment(standing.authored),
                        committed: moment(standing.time),
                        reach: known.reach(place),
                        ..at(&standing.path, Some(hex(&standing.commit)))
                    };
                    collector.add(rules, matched(), occurrence);
                }
            }
        }
    }
}

/// A time in seconds since 1970, if it is one that a commit could have been made at.
fn moment(seconds: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(seconds).ok().filter(|_| seconds != 0)
}

fn hex(id: &[u8]) -> String {
    ObjectId::try_from(id).map(|id| id.to_hex().to_string()).unwrap_or_default()
}
