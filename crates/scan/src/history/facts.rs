//! What was found in a history, in a form that outlasts the scan: positions and fingerprints, never text.

use std::sync::Arc;

use custody_contract::{Confidence, Fingerprint, Occurrence, Surface};
use gix::ObjectId;

use super::reach::Reached;
use crate::extract::INSIDE;
use crate::rules::RuleSet;
use crate::source::Found;

/// One match, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fact {
    /// The rule's id.
    pub(super) rule: Arc<str>,
    pub(super) length: u64,
    pub(super) fingerprint: Fingerprint,
    pub(super) confidence: Arc<Confidence>,
    pub(super) encoding: Arc<[Arc<str>]>,
    pub(super) allowed: Option<Arc<str>>,
    pub(super) offset: u64,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) end_column: u32,
    /// The object; none for a name.
    pub(super) object: Option<ObjectId>,
    pub(super) within: Stands,
    /// Where inside of a file that is a container.
    pub(super) inside: Option<Arc<str>>,
}

/// In what it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stands {
    /// In a file's name, which is shown so.
    Name(Arc<str>),
    /// In such a text of a commit.
    Commit(Arc<str>),
    /// In such a text of an annotated tag.
    Tag(Arc<str>),
    /// In a file's content.
    Blob(Vec<Standing>),
}

/// A path of a file, and the oldest commit that has it there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub(super) path: Arc<str>,
    /// When it was committed, in seconds since 1970.
    pub(super) time: i64,
    /// When it was authored.
    pub(super) authored: i64,
    /// By which commits are put in order.
    pub(super) age: u32,
    pub(super) commit: ObjectId,
}

impl Fact {
    pub(super) fn new(rules: &RuleSet, found: Found, object: Option<ObjectId>, within: Stands) -> Fact {
        let Found { matched, place, inside } = found;
        Fact {
            rule: Arc::from(&*rules.rule(matched.rule).id),
            length: matched.length,
            fingerprint: matched.fingerprint,
            confidence: Arc::new(matched.confidence),
            encoding: matched.encoding.iter().map(|&encoding| Arc::from(encoding)).collect(),
            allowed: matched.allowed.map(Arc::from),
            offset: place.offset,
            line: place.line,
            column: place.column,
            end_column: place.end_column,
            object,
            within,
            inside,
        }
    }

    /// Whether it was found in the content of a file.
    pub(super) fn is_of_blob(&self) -> bool {
        matches!(self.within, Stands::Blob(_))
    }

    /// At how many places it stands.
    pub(super) fn places(&self) -> usize {
        match &self.within {
            Stands::Blob(standings) => standings.len().max(1),
            _ => 1,
        }
    }

    /// What is shown as the path of one of its places, and the commit that is named.
    pub(super) fn place(&self, at: usize) -> (PathOf<'_>, Option<ObjectId>) {
        match &self.within {
            Stands::Name(path) | Stands::Tag(path) => (PathOf::Text(path), None),
            Stands::Commit(what) => (PathOf::Text(what), self.object),
            Stands::Blob(standings) => match standings.get(at) {
                Some(standing) => (PathOf::Text(&standing.path), Some(standing.commit)),
                None => (PathOf::Object(self.object), None),
            },
        }
    }

    /// The occurrence at one of its places.
    pub(super) fn occurrence(&self, at: usize, reached: &Reached) -> Occurrence {
        let (path, commit) = self.place(at);
        let known = self.object.as_ref().map(|object| reached.of(object.as_bytes())).unwrap_or_default();
        let (authored, committed) = match &self.within {
            Stands::Blob(standings) => standings.get(at).map(|standing| (standing.authored, standing.time)),
            _ => known.times,
        }
        .unzip();
        // A tag has one time only.
        let authored = authored.filter(|_| !matches!(self.within, Stands::Tag(_)));
        Occurrence {
            surface: Surface::History,
            path: match &self.inside {
                Some(inside) => format!("{path}{INSIDE}{inside}"),
                None => path.to_string(),
            },
            line: self.line,
            column: self.column,
            end_column: self.end_column,
            offset: self.offset,
            object: self.object.map(hex),
            commit: commit.map(hex),
            encoding: self.encoding.iter().map(|encoding| encoding.to_string()).collect(),
            allowed: self.allowed.as_deref().map(str::to_owned),
            authored: authored.and_then(moment),
            committed: committed.and_then(moment),
            reach: known.reach(at),
        }
    }
}

/// A time in seconds since 1970, if it is one that a commit could have been made at.
fn moment(seconds: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(seconds).ok().filter(|_| seconds != 0)
}

/// What is shown as a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathOf<'f> {
    Text(&'f str),
    /// A file that no commit leads to.
    Object(Option<ObjectId>),
}

impl std::fmt::Display for PathOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PathOf::Text(text) => f.write_str(text),
            PathOf::Object(object) => write!(f, "object {}", object.map(hex).unwrap_or_default()),
        }
    }
}

fn hex(id: ObjectId) -> String {
    id.to_hex().to_string()
}
