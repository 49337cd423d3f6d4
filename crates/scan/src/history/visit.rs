//! What is done with each object of a repository: its text is searched, and what it refers to is noted.

use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;

use custody_contract::{Coverage, SkipReason, Surface};
use gix::ObjectId;
use gix::objs::Kind;

use super::History;
use super::commit::{self, Headed};
use super::earlier::Review;
use super::genuine::{ALTERED, Hashing, is_genuine};
use super::ids::{Weight, Weights};
use super::links::{Links, Spill};
use super::loose::{Inflating, LooseVisitor};
use super::objects::{Marks, ObjectIndex, Store};
use super::tables::Set;
use super::tree_entries::{self, Change, Mode, TreeEntry};
use super::walk::{From, STREAM_FROM, Visitor};
use crate::decode;
use crate::engine::Trace;
use crate::extract::{self, Content};
use crate::source::{Format, Found, ScanOptions, Target, Wide, Worker, open_inside, scan_once, scan_reader};

/// Something that was found in an object; where that object stands is found out later.
pub(super) struct Pending {
    pub(super) object: ObjectIndex,
    pub(super) within: Within,
    pub(super) found: Found,
}

/// What in the object it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// A file's content.
    Blob,
    /// A text of a commit, such as `commit message`.
    Commit(&'static str),
    /// A text of an annotated tag.
    Tag(&'static str),
}

/// What attribution needs to know of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommitRecord {
    /// When it was committed, in seconds since 1970.
    pub(super) time: i64,
    /// When it was authored.
    pub(super) authored: i64,
    pub(super) commit: ObjectIndex,
    /// If it is to be read.
    pub(super) tree: Option<ObjectIndex>,
    /// Those of its parents that are to be read.
    pub(super) parents: Parents,
    /// The others: read before, or missing.
    pub(super) older: Box<[ObjectId]>,
    /// By which commits are put in order: when it was committed, but later than any of its parents.
    pub(super) age: u32,
}

/// A commit's parents; most have one or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parents {
    None,
    One([ObjectIndex; 1]),
    Two([ObjectIndex; 2]),
    Many(Box<[ObjectIndex]>),
}

impl std::ops::Deref for Parents {
    type Target = [ObjectIndex];

    fn deref(&self) -> &[ObjectIndex] {
        match self {
            Parents::None => &[],
            Parents::One(parents) => parents,
            Parents::Two(parents) => parents,
            Parents::Many(parents) => parents,
        }
    }
}

impl FromIterator<ObjectIndex> for Parents {
    fn from_iter<I: IntoIterator<Item = ObjectIndex>>(parents: I) -> Self {
        let mut parents = parents.into_iter();
        match (parents.next(), parents.next(), parents.next()) {
            (None, ..) => Parents::None,
            (Some(one), None, _) => Parents::One([one]),
            (Some(one), Some(other), None) => Parents::Two([one, other]),
            (Some(one), Some(other), Some(third)) => {
                Parents::Many([one, other, third].into_iter().chain(parents).collect())
            }
        }
    }
}

/// What one thread has noted.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) read: u64,
    pub(super) bytes: u64,
    /// Objects in which what one rule finds depends on the others.
    pub(super) entangled: Vec<ObjectIndex>,
    /// Objects read before of which all that was known does not hold any more.
    pub(super) renewed: Vec<ObjectIndex>,
    pub(super) pending: Vec<Pending>,
    pub(super) commits: Vec<CommitRecord>,
    /// What trees hold, by the thread that read them.
    pub(super) links: Vec<Links>,
    pub(super) submodules: Set<Box<[u8]>>,
    /// What is referred to and not there.
    pub(super) missing: Set<ObjectId>,
    /// Objects that were decoded and could not be read whole.
    pub(super) unread: Vec<(ObjectIndex, &'static str)>,
    /// Why it is not known where files stand, if it is not.
    pub(super) lost: Option<SkipReason>,
    /// How many versions were searched whole for comparison, and those for which the outcome differs.
    pub(super) versions: Option<Coverage>,
}

impl Notes {
    pub(super) fn merge(&mut self, other: Notes) {
        self.read += other.read;
        self.bytes += other.bytes;
        self.entangled.extend(other.entangled);
        self.renewed.extend(other.renewed);
        self.pending.extend(other.pending);
        self.commits.extend(other.commits);
        self.links.extend(other.links);
        self.submodules.extend(other.submodules);
        self.missing.extend(other.missing);
        self.unread.extend(other.unread);
        match (&mut self.versions, other.versions) {
            (Some(versions), Some(other)) => versions.merge(other),
            (versions, other) => *versions = versions.take().or(other),
        }
    }
}

/// One thread's reading of all objects.
pub(super) struct Reading<'h> {
    store: &'h Store,
    options: &'h ScanOptions<'h>,
    /// The objects that some thread has read.
    done: &'h Marks,
    weights: &'h Weights,
    review: Option<&'h Review>,
    /// Searches by the rules that are new, where others were searched for before.
    added: Option<Worker<'h>>,
    pub(super) worker: Worker<'h>,
    pub(super) notes: Notes,
    reported: (u64, u64),
    spare: Vec<Trace>,
    pub(super) links: Links,
    /// Whether each object is held to its id.
    pub(super) verifies_objects: bool,
}

const SURFACE: Surface = Surface::History;

/// Whether a file is not searched as it stands: what is known of a large one could be larger still, one in UTF-16 is
/// decoded, and a container is opened.
fn is_apart(data: &[u8]) -> bool {
    data.len() as u64 > STREAM_FROM || Wide::detect(data).is_some() || Format::detect(data).is_some_and(extract::opens)
}

impl<'h> Reading<'h> {
    pub(super) fn new(history: &'h History<'h>, spill: Arc<Spill>) -> Self {
        let versions = history.verify.then(|| Coverage::new(SURFACE, "versions"));
        Reading {
            store: history.store,
            options: history.options,
            done: &history.done,
            weights: history.weights,
            review: history.review,
            added: history.review.and_then(|review| review.added.as_ref()).map(Worker::new),
            worker: Worker::new(history.engine),
            notes: Notes { versions, ..Notes::default() },
            reported: (0, 0),
            spare: Vec::new(),
            links: Links::new(spill),
            verifies_objects: history.verify_objects,
        }
    }

    /// Notes an object, one copy of it that is, if it is not what its id says.
    fn verify(&mut self, object: ObjectIndex, kind: Kind, data: &[u8]) {
        if self.verifies_objects && !is_genuine(self.store.table.id(object), kind, data) {
            self.notes.unread.push((object, ALTERED));
        }
    }

    /// Whether nothing is known of the object that would spare a search.
    fn is_due(&self, object: ObjectIndex) -> bool {
        self.review.is_none_or(|review| review.is_due(object))
    }

    fn read(&mut self, object: ObjectIndex, kind: Kind, data: &[u8], base: Option<(ObjectIndex, &[u8])>) {
        if !self.done.set(object) {
            return;
        }
        match kind {
            Kind::Blob => return self.blob(object, data),
            Kind::Tree => self.tree(object, data, base),
            Kind::Commit => self.commit(object, data),
            Kind::Tag => self.tag(object, data),
        }
        self.count(object, data.len() as u64, false);
    }

    /// A file's content that no version is based on.
    fn blob(&mut self, object: ObjectIndex, data: &[u8]) {
        if self.is_due(object) || self.is_touched(data) {
            let trace = self.trace(data, None);
            self.conclude(object, data, trace.as_ref());
            if let Some(trace) = trace {
                self.take_back(trace);
            }
        }
    }

    /// Whether the rules that are new make anything of a text that was searched before.
    fn is_touched(&mut self, data: &[u8]) -> bool {
        let Some(added) = &mut self.added else { return false };
        if is_apart(data) || decode::has_embedded(data) {
            return true;
        }
        let mut trace = self.spare.pop().unwrap_or_default();
        added.trace(data, SURFACE, None, &mut trace);
        let touched = !trace.is_empty();
        self.take_back(trace);
        touched
    }

    fn count(&mut self, object: ObjectIndex, bytes: u64, opaque: bool) {
        self.weights.set(object, Weight { bytes, opaque });
        self.notes.read += 1;
        self.notes.bytes += bytes;
        if self.notes.read.is_multiple_of(256) {
            self.report();
        }
    }

    /// Tells the progress of what was done since it was last told.
    pub(super) fn report(&mut self) {
        let (read, bytes) = (self.notes.read, self.notes.bytes);
        self.options.advance(SURFACE, read - self.reported.0, bytes - self.reported.1);
        self.reported = (read, bytes);
    }

    /// Searches a file's content, of which what is known of the one it is a version of may be taken over. `None` if it
    /// is not searched as it stands.
    fn trace(&mut self, data: &[u8], from: Option<From<'_, Trace>>) -> Option<Trace> {
        if is_apart(data) {
            return None;
        }
        let mut trace = self.spare.pop().unwrap_or_default();
        let base = from.and_then(|from| Some((from.segments, (from.kept?, from.data.len()))));
        self.worker.trace(data, SURFACE, base, &mut trace);
        Some(trace)
    }

    /// Searches a version whole and compares, if that is wanted.
    fn compare(&mut self, object: ObjectIndex, data: &[u8], trace: &Trace) {
        let Some(versions) = &mut self.notes.versions else { return };
        let mut whole = Trace::default();
        self.worker.trace(data, SURFACE, None, &mut whole);
        if whole == *trace {
            versions.record_read(data.len() as u64);
        } else {
            let error = "what is found by its changes differs from what is found in the whole".to_owned();
            versions.record_skipped(self.store.table.id(object).to_hex().to_string(), SkipReason::Corrupt { error });
        }
    }

    /// Notes what a file's content holds.
    fn conclude(&mut self, object: ObjectIndex, data: &[u8], trace: Option<&Trace>) {
        self.renew(object);
        let opaque = match trace {
            None => {
                self.notes.entangled.push(object);
                self.content(object, data)
            }
            Some(trace) => {
                if trace.in_layers() {
                    self.notes.entangled.push(object);
                }
                let pending = &mut self.notes.pending;
                self.worker.conclude(data, SURFACE, trace, &mut |found| {
                    pending.push(Pending { object, within: Within::Blob, found });
                });
                Format::detect(data).is_some()
            }
        };
        self.count(object, data.len() as u64, opaque);
    }

    /// Notes that an object is searched whole, whatever was known of it.
    fn renew(&mut self, object: ObjectIndex) {
        if self.review.is_some_and(|review| review.old.is_set(object)) {
            self.notes.renewed.push(object);
        }
    }

    /// Searches a file's content that is not searched as it stands. Whether some of it remains hidden.
    fn content(&mut self, object: ObjectIndex, content: &[u8]) -> bool {
        let mut found = Vec::new();
        let target = Target { path: None, surface: SURFACE };
        let (scanned, _) = scan_reader(&mut self.worker, content, target, &mut |hit| found.push(hit));
        let random = Content::Random(&mut Cursor::new(content));
        let inside = open_inside(&mut self.worker, scanned, random, target, &mut found);
        let found = found.into_iter().map(|found| Pending { object, within: Within::Blob, found });
        self.notes.pending.extend(found);
        inside.map_or(scanned.format.is_some(), |inside| inside.hides())
    }

    /// The same for content that is read once, and its size.
    fn content_once(&mut self, object: ObjectIndex, content: impl Read) -> (u64, bool) {
        let pending = &mut self.notes.pending;
        let target = Target { path: None, surface: SURFACE };
        let (scanned, inside, _) = scan_once(&mut self.worker, content, target, &mut |found| {
            pending.push(Pending { object, within: Within::Blob, found });
        });
        (scanned.bytes, inside.map_or(scanned.format.is_some(), |inside| inside.hides()))
    }

    fn streamed(&mut self, object: ObjectIndex, content: impl Read, size: u64) {
        if !self.verifies_objects {
            return self.search_stream(object, content, size);
        }
        let id = self.store.table.id(object);
        let mut content = Hashing::new(content, id, size);
        self.search_stream(object, &mut content, size);
        let rest = std::io::copy(&mut content, &mut std::io::sink());
        if rest.is_err() || !content.matches(id) {
            self.notes.unread.push((object, ALTERED));
        }
    }

    fn search_stream(&mut self, object: ObjectIndex, content: impl Read, size: u64) {
        if !self.done.set(object) {
            return;
        }
        // A large file is searched with all rules if any of them is new.
        if !self.is_due(object) && self.added.is_none() {
            return;
        }
        self.renew(object);
        let (bytes, opaque) = self.content_once(object, content);
        self.notes.entangled.push(object);
        if bytes != size {
            self.notes.unread.push((object, "its deflated data is damaged"));
        }
        self.count(object, bytes, opaque);
    }

    fn tree(&mut self, object: ObjectIndex, data: &[u8], base: Option<(ObjectIndex, &[u8])>) {
        let id_length = self.store.table.kind().len_in_bytes();
        let sound = match base {
            Some((_, base)) => tree_entries::for_each_change(base, data, id_length, |change| match change {
                Change::Has(entry) => self.entry(entry),
                Change::Lost(name) => {
                    let name = self.links.name(name);
                    self.links.remove(name);
                }
            }),
            None => tree_entries::for_each(data, id_length, |entry| self.entry(entry)),
        };
        self.links.end(object, base.map(|(base, _)| base));
        if !sound {
            self.notes.unread.push((object, "the tree is not well-formed"));
        }
    }

    fn entry(&mut self, entry: TreeEntry<'_>) {
        let name = self.links.name(entry.name);
        if entry.mode == Mode::Gitlink {
            if !self.notes.submodules.contains(entry.name) {
                self.notes.submodules.insert(entry.name.into());
            }
        } else if let Some(child) = self.refer(entry.id) {
            self.links.add(child, name);
        }
    }

    /// Notes a reference, so that what is missing is known.
    fn refer(&mut self, id: &[u8]) -> Option<ObjectIndex> {
        let found = self.store.table.lookup(id);
        if found.is_none()
            && let Ok(id) = ObjectId::try_from(id)
            && !id.is_empty_tree()
            && !self.notes.missing.contains(&id)
            && !self.store.knows(&id)
        {
            self.notes.missing.insert(id);
        }
        found
    }

    /// Notes what it refers to; those that are to be read, in order.
    fn references(&mut self, headed: &Headed<'_>) -> Vec<Option<ObjectIndex>> {
        let kind = self.store.table.kind();
        let ids = headed.references().filter_map(|hex| ObjectId::from_hex(hex).ok()).filter(|id| id.kind() == kind);
        ids.map(|id| self.refer(id.as_bytes())).collect()
    }

    fn is_older(&self, id: &ObjectId) -> bool {
        id.kind() == self.store.table.kind() && self.store.table.lookup(id.as_bytes()).is_none()
    }

    fn commit(&mut self, object: ObjectIndex, data: &[u8]) {
        let headed = Headed::new(data);
        if let Some((tree, parents)) = self.references(&headed).split_first() {
            let older: Box<[ObjectId]> = match parents.contains(&None) {
                true => headed.parents().filter(|id| self.is_older(id)).collect(),
                false => Box::default(),
            };
            let (time, authored) = (headed.time(), headed.authored());
            let parents = parents.iter().flatten().copied().collect();
            self.notes.commits.push(CommitRecord {
                time,
                authored,
                commit: object,
                tree: *tree,
                parents,
                older,
                age: 0,
            });
        }
        self.texts(object, data, headed.texts(&commit::COMMIT), Within::Commit);
    }

    fn tag(&mut self, object: ObjectIndex, data: &[u8]) {
        let headed = Headed::new(data);
        self.references(&headed);
        self.texts(object, data, headed.texts(&commit::TAG), Within::Tag);
    }

    fn texts(
        &mut self,
        object: ObjectIndex,
        data: &[u8],
        texts: Vec<(&'static str, std::ops::Range<usize>)>,
        within: fn(&'static str) -> Within,
    ) {
        if !self.is_due(object) {
            let Some(added) = &mut self.added else { return };
            let touched = texts.iter().any(|(_, at)| {
                let mut found = false;
                added.search(&data[at.clone()], None, SURFACE, &mut |_| found = true);
                found || added.in_layers()
            });
            if !touched {
                return;
            }
        }
        self.renew(object);
        for (what, at) in texts {
            let start = at.start as u64;
            let pending = &mut self.notes.pending;
            self.worker.search(&data[at], None, SURFACE, &mut |mut found| {
                found.place.offset += start;
                pending.push(Pending { object, within: within(what), found });
            });
            if self.worker.in_layers() {
                self.notes.entangled.push(object);
            }
        }
    }

    /// A file's content where rules are new: what they make of versions is carried along, and where they make anything of
    /// one, it is searched whole with all rules.
    fn added(&mut self, object: ObjectIndex, data: &[u8], from: Option<From<'_, Trace>>, base: bool) -> Option<Trace> {
        let first = self.done.set(object);
        if !first && !base {
            return None;
        }
        let mut trace = None;
        if !is_apart(data) {
            let mut known = self.spare.pop().unwrap_or_default();
            let base = from.and_then(|from| Some((from.segments, (from.kept?, from.data.len()))));
            if let Some(added) = &mut self.added {
                added.trace(data, SURFACE, base, &mut known);
            }
            trace = Some(known);
        }
        if first && (self.is_due(object) || trace.as_ref().is_none_or(|trace| !trace.is_empty())) {
            let whole = self.trace(data, None);
            self.conclude(object, data, whole.as_ref());
            if let Some(whole) = whole {
                self.take_back(whole);
            }
        }
        if base {
            return trace;
        }
        if let Some(trace) = trace {
            self.take_back(trace);
        }
        None
    }
}

impl Visitor for Reading<'_> {
    type Kept = Trace;
    const SEGMENTS: bool = true;

    fn object(
        &mut self,
        object: ObjectIndex,
        kind: Kind,
        data: &[u8],
        from: Option<From<'_, Trace>>,
        base: bool,
    ) -> Option<Trace> {
        self.verify(object, kind, data);
        if kind != Kind::Blob {
            self.read(object, kind, data, from.map(|from| (from.object, from.data)));
            return None;
        }
        if self.added.is_some() {
            return self.added(object, data, from, base);
        }
        let new = self.done.set(object) && self.is_due(object);
        if !new && !base {
            return None;
        }
        let is_version = from.as_ref().is_some_and(|from| from.kept.is_some());
        let trace = self.trace(data, from);
        if let Some(trace) = trace.as_ref().filter(|_| is_version) {
            self.compare(object, data, trace);
        }
        if new {
            self.conclude(object, data, trace.as_ref());
        }
        if base {
            return trace;
        }
        if let Some(trace) = trace {
            self.take_back(trace);
        }
        None
    }

    fn again(&mut self, kind: Kind, data: &[u8]) -> Option<Trace> {
        if kind != Kind::Blob || is_apart(data) {
            return None;
        }
        let mut trace = self.spare.pop().unwrap_or_default();
        self.added.as_mut().unwrap_or(&mut self.worker).trace(data, SURFACE, None, &mut trace);
        Some(trace)
    }

    fn size(trace: &Trace) -> usize {
        trace.size()
    }

    fn take_back(&mut self, trace: Trace) {
        if self.spare.len() < 64 && trace.size() <= self.store.budget.spare {
            self.spare.push(trace);
        }
    }

    fn stream(&mut self, object: ObjectIndex, deflated: &mut dyn Read, size: u64) {
        self.streamed(object, Inflating::new(BufReader::new(deflated)), size);
    }
}

impl LooseVisitor for Reading<'_> {
    fn wants(&mut self, object: ObjectIndex) -> bool {
        self.verifies_objects || !self.done.is_set(object)
    }

    fn wants_blob(&mut self, object: ObjectIndex) -> bool {
        self.added.is_some() || self.is_due(object)
    }

    fn loose(&mut self, object: ObjectIndex, kind: Kind, data: &[u8]) {
        self.verify(object, kind, data);
        self.read(object, kind, data, None);
    }

    fn loose_stream(&mut self, object: ObjectIndex, content: &mut dyn Read, size: u64) {
        self.streamed(object, content, size);
    }
}
