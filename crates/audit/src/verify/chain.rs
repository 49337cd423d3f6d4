//! Following the chain, record by record.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::keys::Timeline;
use super::problem::{Note, Problem, ProblemKind};
use super::snapshot::{Snapshot, SnapshotFile};
use super::{FileSummary, Pinned, SCHEMA, Trust, Verdict, VerifyReport};
use crate::clock::Moment;
use crate::error::AuditError;
use crate::format::entry::{Lost, PruneStatement};
use crate::format::file::{FILE_HEADER_BYTES, FileHeader};
use crate::format::head::HeadId;
use crate::format::{Hash, Kind, PublicKey, root_of};
use crate::keys::{Pin, Witness};
use crate::read::{Damage, DamageKind, Frame, Item, Scanner};

/// A point of the chain that something elsewhere speaks of.
pub(super) struct Watched {
    pub(super) sequence: u64,
    pub(super) found: Option<Hash>,
}

/// What follows the record that was read last.
#[derive(Clone, Copy)]
enum Link {
    /// Exactly this hash.
    Hash(Hash),
    /// One of two: the record before carries another hash than it should.
    Either(Hash, Hash),
    /// Nothing is known: there is a gap.
    Unknown,
}

/// The state of a verification.
pub(super) struct Chain<'t> {
    pub(super) key: Option<PublicKey>,
    pub(super) expected_heads: &'t [HeadId],
    pub(super) pin: Option<Pin>,
    pub(super) witness: Option<Witness>,
    pub(super) report: VerifyReport,
    pub(super) keys: Timeline,
    pub(super) watched: Vec<Watched>,
    pub(super) statements: Vec<(u64, PruneStatement)>,
    pub(super) lost: Vec<(u64, Lost)>,
    /// What the first record that is there is chained to, if that is not the root.
    pub(super) start: Option<(u64, Hash)>,
    pub(super) expected: u64,
    link: Link,
    moment: Option<Moment>,
    /// Whether the last record closes its file.
    pub(super) is_closed: bool,
    /// Records from here on stand in a place whose damage was told.
    damaged_from: Option<u64>,
    pub(super) file: String,
}

impl<'t> Chain<'t> {
    pub(super) fn new(trust: &'t Trust, snapshot: &Snapshot, directory: &Path) -> Result<Self, AuditError> {
        let (pin, witness) = match &trust.ring {
            Some(ring) => (ring.pin()?, ring.witness()?),
            None => (None, None),
        };
        Ok(Self::with(trust.key, &trust.expected, pin, witness, snapshot, directory))
    }

    /// A verification that rests on the log alone.
    pub(super) fn without_keys(snapshot: &Snapshot) -> Self {
        Self::with(None, &[], None, None, snapshot, Path::new("-"))
    }

    fn with(
        key: Option<PublicKey>,
        expected_heads: &'t [HeadId],
        pin: Option<Pin>,
        witness: Option<Witness>,
        snapshot: &Snapshot,
        directory: &Path,
    ) -> Self {
        let head = snapshot.head.and_then(|head| head.newest);
        let points = head.map(|head| head.sequence).into_iter().chain(witness.map(|witness| witness.sequence));
        let points = points.chain(expected_heads.iter().map(|head| head.sequence));
        let report = VerifyReport {
            schema: SCHEMA,
            verified: jiff::Timestamp::now(),
            directory: directory.display().to_string(),
            verdict: Verdict::Intact,
            log: None,
            head: None,
            first: 0,
            records: 0,
            events: 0,
            signatures: 0,
            files: Vec::new(),
            first_key: None,
            key: None,
            pinned: match (key, pin) {
                (Some(_), _) => Pinned::Given,
                (None, Some(_)) => Pinned::KeyStore,
                (None, None) => Pinned::Nowhere,
            },
            expected_heads: 0,
            problems: Vec::new(),
            problem_count: 0,
            notes: Vec::new(),
            key_certificates: Vec::new(),
        };
        Chain {
            key,
            expected_heads,
            pin,
            witness,
            report,
            keys: Timeline::default(),
            watched: points.map(|sequence| Watched { sequence, found: None }).collect(),
            statements: Vec::new(),
            lost: Vec::new(),
            start: None,
            expected: 0,
            link: Link::Unknown,
            moment: None,
            is_closed: true,
            damaged_from: None,
            file: String::new(),
        }
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.report.problem_count += 1;
        if self.report.problems.len() < VerifyReport::MAX_PROBLEMS {
            self.report.problems.push(problem);
        }
    }

    pub(super) fn note(&mut self, sequence: Option<u64>, what: impl Into<String>) {
        if self.report.notes.len() < VerifyReport::MAX_PROBLEMS {
            self.report.notes.push(Note { sequence, what: what.into() });
        }
    }

    /// Reads one file.
    pub(super) fn file(&mut self, file: &SnapshotFile) {
        self.file.clone_from(&file.file.name);
        let read = File::open(&file.file.path).and_then(|reader| self.read(reader, file));
        if let Err(error) = read {
            let what = format!("it cannot be read: {error}");
            self.problem(Problem::new(ProblemKind::Unreadable, what).in_file(&file.file.name));
            self.link = Link::Unknown;
        }
    }

    /// Reads one file from wherever its bytes are.
    pub(super) fn read(&mut self, mut reader: impl Read + Seek, file: &SnapshotFile) -> io::Result<()> {
        self.file.clone_from(&file.file.name);
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES);
        (&mut reader).take((FILE_HEADER_BYTES as u64).min(file.bytes)).read_to_end(&mut bytes)?;
        if !self.enter(file, FileHeader::read(&bytes)) {
            return Ok(());
        }
        let start = FILE_HEADER_BYTES as u64;
        reader.seek(SeekFrom::Start(start))?;
        let mut scanner = Scanner::new(reader.take(file.bytes.saturating_sub(start)), start);
        while let Some(item) = scanner.next()? {
            match item {
                Item::Record(frame) => self.record(&frame),
                Item::Damage(damage) => self.damage(damage, file),
            }
        }
        let hash = if let Link::Hash(hash) = self.link { Some(hash) } else { None };
        self.report.files.push(FileSummary {
            name: file.file.name.clone(),
            bytes: file.bytes,
            first: file.file.first,
            last: self.expected.saturating_sub(1),
            hash,
            until: self.moment.map(Moment::timestamp),
        });
        Ok(())
    }

    /// Looks at a file's header. Whether its records are to be read.
    fn enter(&mut self, file: &SnapshotFile, header: Option<FileHeader>) -> bool {
        let name = file.file.name.clone();
        let Some(header) = header else {
            let what = "the file's header does not hold";
            self.problem(Problem::new(ProblemKind::FileHeader, what).in_file(&name));
            if self.expected == 0 {
                self.expected = file.file.first;
            }
            return true;
        };
        let log = *self.report.log.get_or_insert(self.pin.map_or(header.log, |pin| pin.log));
        if header.log != log {
            let what = format!("the file belongs to log {}, this is log {log}", header.log);
            self.problem(Problem::new(ProblemKind::ForeignFile, what).in_file(&name));
            return false;
        }
        if header.first != file.file.first {
            let what = format!("by its header, the file begins with record {}", header.first);
            self.problem(Problem::new(ProblemKind::ForeignFile, what).in_file(&name));
        }
        if self.expected == 0 {
            self.expected = header.first;
            self.link = Link::Hash(header.previous);
            if header.first == 1 && header.previous != root_of(log) {
                let what = "the first file is not chained to the log's id";
                self.problem(Problem::new(ProblemKind::ForeignFile, what).in_file(&name));
            }
            if header.first != 1 {
                self.start = Some((header.first, header.previous));
            }
            return true;
        }
        if !self.is_closed && header.first == self.expected {
            let what = "the file before was not closed";
            self.problem(Problem::new(ProblemKind::Missing, what).in_file(&name));
        }
        if header.first == self.expected && !self.follows(header.previous) {
            let what = format!("the file does not follow record {}", self.expected - 1);
            self.problem(Problem::new(ProblemKind::ForeignFile, what).in_file(&name));
            self.link = Link::Hash(header.previous);
        }
        true
    }

    fn follows(&self, previous: Hash) -> bool {
        match self.link {
            Link::Hash(hash) => hash == previous,
            Link::Either(one, other) => one == previous || other == previous,
            Link::Unknown => true,
        }
    }

    fn record(&mut self, frame: &Frame<'_>) {
        let sequence = frame.header.sequence;
        self.report.records += 1;
        if !self.take_place(sequence, frame.offset) {
            return;
        }
        if !self.follows(frame.header.previous) {
            let what = format!("it is not the record that record {sequence} was chained to");
            let replaced = Problem::new(ProblemKind::Replaced, what).record(sequence.saturating_sub(1));
            let file = self.file.clone();
            self.problem(replaced.at(&file, frame.offset));
        }
        self.clock(frame);
        self.content(frame);
        for watched in self.watched.iter_mut().filter(|watched| watched.sequence == sequence) {
            watched.found = Some(frame.hash);
        }
        self.link = Link::Hash(frame.hash);
        self.moment = Some(frame.header.moment);
        self.is_closed = frame.header.kind == Kind::Closed;
        if let Some(log) = self.report.log {
            self.report.head = Some(HeadId { log, sequence, hash: frame.hash });
        }
    }

    /// Whether the record with this number is the next one, or stands after a gap, which is told.
    fn take_place(&mut self, sequence: u64, offset: u64) -> bool {
        let file = self.file.clone();
        if sequence < self.expected {
            let (kind, what) = if sequence + 1 == self.expected {
                (ProblemKind::Duplicated, "it stands here once more".to_owned())
            } else {
                (ProblemKind::OutOfOrder, format!("it stands after record {}", self.expected - 1))
            };
            self.problem(Problem::new(kind, what).record(sequence).at(&file, offset));
            return false;
        }
        if self.report.first == 0 {
            self.report.first = self.expected;
        }
        if sequence > self.expected {
            let what = match self.damaged_from {
                Some(_) => "they stood in the damaged place before this one",
                None => "the next record that is there is a later one",
            };
            let missing = Problem::new(ProblemKind::Missing, what).records(self.expected, sequence - 1);
            self.problem(missing.at(&file, offset));
            self.link = Link::Unknown;
            self.moment = None;
        }
        self.damaged_from = None;
        self.expected = sequence + 1;
        true
    }

    fn damage(&mut self, damage: Damage, file: &SnapshotFile) {
        let name = file.file.name.clone();
        match damage.kind {
            DamageKind::Altered { sequence, stored, computed, .. } => {
                let what = "its content does not have its hash";
                self.problem(Problem::new(ProblemKind::Altered, what).record(sequence).at(&name, damage.offset));
                if self.take_place(sequence, damage.offset) {
                    self.link = Link::Either(stored, computed);
                    self.moment = None;
                    self.is_closed = true; // what it was cannot be told
                }
            }
            DamageKind::Header => {
                let what = format!("{} bytes that are no record", damage.bytes);
                self.problem(Problem::new(ProblemKind::Damaged, what).record(self.expected).at(&name, damage.offset));
                self.damaged_from = Some(self.expected);
                self.link = Link::Unknown;
                self.moment = None;
            }
            DamageKind::Torn if file.is_newest => {
                let what = format!("the file ends inside it, after {} bytes; it was never acknowledged", damage.bytes);
                self.note(Some(self.expected), what);
            }
            DamageKind::Torn => {
                let what = "the file ends inside it";
                self.problem(Problem::new(ProblemKind::Truncated, what).record(self.expected).at(&name, damage.offset));
                self.damaged_from = Some(self.expected);
                self.link = Link::Unknown;
                self.moment = None;
            }
        }
    }

    /// A clock that was set must have been recorded as set.
    fn clock(&mut self, frame: &Frame<'_>) {
        let Some(earlier) = self.moment else { return };
        if frame.header.kind == Kind::ClockJumped {
            return;
        }
        if let Some(jump) = frame.header.moment.jump_since(earlier) {
            let what =
                format!("the clock was moved by {} s since the record before, and no record says so", seconds(jump));
            let file = self.file.clone();
            self.problem(Problem::new(ProblemKind::Clock, what).record(frame.header.sequence).at(&file, frame.offset));
        }
    }
}

pub(super) fn seconds(ns: i64) -> i64 {
    ns / 1_000_000_000
}
