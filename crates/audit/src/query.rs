//! Asking the log: events that match, read as a stream, with what could not be read told.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;
use memchr::memmem;
use serde::Serialize;

use crate::error::AuditError;
use crate::event::{Action, Class, RecordedEvent};
use crate::format::file::{FILE_HEADER_BYTES, FileHeader};
use crate::format::{Hash, Kind, LogId};
use crate::read::{Damage, DamageKind, Frame, Item, Scanner};
use crate::verify::snapshot::{Snapshot, SnapshotFile};

/// Which events are wanted. Everything that is set must match; of several actions, outcomes or classes, one.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Patterns of references; any of them.
    pub references: Vec<ReferencePattern>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Actions.
    pub actions: Vec<Action>,
    /// Names of outcomes.
    pub outcomes: Vec<String>,
    /// Classes of denial or failure.
    pub classes: Vec<Class>,
    /// Name of a backend.
    pub backend: Option<String>,
    /// Name of an environment.
    pub environment: Option<String>,
    /// A user's name or number, or the repository, actor or run of a CI job.
    pub principal: Option<String>,
    /// Id of a request.
    pub request_id: Option<String>,
    /// Keyed fingerprint of the material.
    pub fingerprint: Option<String>,
}

/// A pattern of references: `*` and `?` stay within a segment, `**` crosses segments.
#[derive(Debug, Clone)]
pub struct ReferencePattern {
    glob: GlobMatcher,
    /// What every match begins with.
    literal: String,
}

/// A text that is no pattern of references.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pattern of references: {why}; expected one such as cred://aws/**")]
pub struct InvalidReferencePattern {
    /// What is wrong with it.
    pub why: String,
}

impl std::str::FromStr for ReferencePattern {
    type Err = InvalidReferencePattern;

    fn from_str(text: &str) -> Result<Self, InvalidReferencePattern> {
        const LIMIT_BYTES: usize = 1024;
        let invalid = |why: String| InvalidReferencePattern { why };
        if text.len() > LIMIT_BYTES {
            return Err(invalid(format!("it has more than {LIMIT_BYTES} bytes")));
        }
        let scheme = custody_contract::CredentialRef::SCHEME;
        let text = if text.contains("://") { text.to_owned() } else { format!("{scheme}{text}") };
        let glob = GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
        let glob = glob.map_err(|error| invalid(error.kind().to_string()))?.compile_matcher();
        let literal = text.split(['*', '?', '[', ']', '{', '}', '\\']).next().unwrap_or_default().to_owned();
        Ok(ReferencePattern { glob, literal })
    }
}

impl Filter {
    fn covers(&self, moment: Timestamp) -> bool {
        self.since.is_none_or(|since| moment >= since) && self.until.is_none_or(|until| moment < until)
    }

    fn matches(&self, event: &RecordedEvent<'_>) -> bool {
        fn is(wanted: &Option<String>, text: &Option<std::borrow::Cow<'_, str>>) -> bool {
            wanted.as_deref().is_none_or(|wanted| text.as_deref() == Some(wanted))
        }
        fn one_of<'n>(names: impl ExactSizeIterator<Item = &'n str>, text: Option<&str>) -> bool {
            names.len() == 0 || names.into_iter().any(|name| Some(name) == text)
        }
        one_of(self.actions.iter().map(|action| action.as_str()), Some(&event.action))
            && one_of(self.outcomes.iter().map(String::as_str), Some(&event.outcome))
            && one_of(self.classes.iter().map(|class| class.as_str()), event.class.as_deref())
            && is(&self.backend, &event.backend)
            && is(&self.environment, &event.environment)
            && is(&self.request_id, &event.request_id)
            && is(&self.fingerprint, &event.fingerprint)
            && (self.references.is_empty()
                || event.reference.as_deref().is_some_and(|r| self.references.iter().any(|p| p.glob.is_match(r))))
            && self.principal.as_deref().is_none_or(|wanted| event.is_by(wanted))
    }
}

/// An event that matches.
#[derive(Debug, Clone, Serialize)]
pub struct Hit<'a> {
    /// Which record.
    pub sequence: u64,
    /// When.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: RecordedEvent<'a>,
    /// Hash of the record.
    pub hash: Hash,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QuerySummary {
    /// Whole records.
    pub records: u64,
    /// Events that match.
    pub matched: u64,
    /// Places that could not be read; the first hundred.
    pub damaged: Vec<String>,
    /// How many there are.
    pub damaged_count: u64,
}

impl QuerySummary {
    /// Whether everything that the log should hold was read.
    pub fn is_complete(&self) -> bool {
        self.damaged_count == 0
    }

    fn damage(&mut self, what: String) {
        const DETAILED: usize = 100;
        self.damaged_count += 1;
        if self.damaged.len() < DETAILED {
            self.damaged.push(what);
        }
    }
}

/// Reads the log in a directory from its beginning and gives each event that matches to `found`, which may end it.
///
/// Every record's own hash and the sequence numbers are checked, up to where the head says that the log ends; links and
/// signatures are what [`crate::verify`] is for. Memory is bounded, whatever the log's size.
///
/// # Errors
/// [`AuditError::Io`] if the directory cannot be read at all. A file that cannot be read is told in the summary.
pub fn query(
    directory: &Path,
    filter: &Filter,
    mut found: impl FnMut(&Hit<'_>) -> ControlFlow<()>,
) -> Result<QuerySummary, AuditError> {
    let snapshot = Snapshot::take(directory)?;
    let mut reading = Reading { filter, glance: Glance::new(filter), summary: QuerySummary::default(), next: None };
    for file in &snapshot.files {
        match reading.file(file, &mut found) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return Ok(reading.summary),
            Err(error) => reading.summary.damage(format!("{} cannot be read: {error}", file.file.name)),
        }
    }
    match snapshot.head.and_then(|head| head.newest) {
        Some(head) if reading.next.unwrap_or(1) <= head.sequence => {
            let what = format!("records {} to {} are missing at the end", reading.next.unwrap_or(1), head.sequence);
            reading.summary.damage(what);
        }
        Some(_) => {}
        None => reading.summary.damage("the head is gone; where the log ends cannot be told".to_owned()),
    }
    Ok(reading.summary)
}

/// Which log lies in a directory, as its head says; `None` where there is no head that holds.
///
/// # Errors
/// [`AuditError::Io`] if the directory cannot be read.
pub fn log_id(directory: &Path) -> Result<Option<LogId>, AuditError> {
    Ok(Snapshot::take(directory)?.head.and_then(|head| head.newest).map(|head| head.log))
}

/// A look at the bytes of an event that spares most of those that do not match from being parsed: texts of which at least
/// one must stand in it, for each field that is asked for.
struct Glance(Vec<Vec<memmem::Finder<'static>>>);

impl Glance {
    fn new(filter: &Filter) -> Self {
        let quoted = |text: &str| format!("\"{text}\"");
        let exact = [&filter.backend, &filter.environment, &filter.request_id, &filter.fingerprint];
        let mut fields: Vec<Vec<String>> = exact.into_iter().flatten().map(|text| vec![quoted(text)]).collect();
        fields.push(filter.actions.iter().map(|action| quoted(action.as_str())).collect());
        fields.push(filter.outcomes.iter().map(|outcome| quoted(outcome)).collect());
        fields.push(filter.classes.iter().map(|class| quoted(class.as_str())).collect());
        fields.push(filter.references.iter().map(|reference| format!("\"{}", reference.literal)).collect());
        // A text that JSON writes with an escape is not to be found in this way.
        fields
            .retain(|texts| !texts.is_empty() && texts.iter().all(|text| text.trim_matches('"').bytes().all(is_plain)));
        let finder = |text: &String| memmem::Finder::new(text.as_bytes()).into_owned();
        Glance(fields.iter().map(|texts| texts.iter().map(finder).collect()).collect())
    }

    fn may_match(&self, payload: &[u8]) -> bool {
        self.0.iter().all(|finders| finders.iter().any(|finder| finder.find(payload).is_some()))
            || memchr::memchr(b'\\', payload).is_some()
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".:/_-".contains(&byte)
}

struct Reading<'f> {
    filter: &'f Filter,
    glance: Glance,
    summary: QuerySummary,
    /// The sequence number that comes next; where the log begins after pruning is its own matter.
    next: Option<u64>,
}

impl Reading<'_> {
    fn file(
        &mut self,
        file: &SnapshotFile,
        found: &mut impl FnMut(&Hit<'_>) -> ControlFlow<()>,
    ) -> io::Result<ControlFlow<()>> {
        let mut reader = File::open(&file.file.path)?.take(file.bytes);
        let mut header = Vec::with_capacity(FILE_HEADER_BYTES);
        (&mut reader).take(FILE_HEADER_BYTES as u64).read_to_end(&mut header)?;
        if FileHeader::read(&header).is_none() {
            self.summary.damage(format!("{}: the file's header does not hold", file.file.name));
        }
        let mut scanner = Scanner::new(reader, FILE_HEADER_BYTES as u64);
        while let Some(item) = scanner.next()? {
            match item {
                Item::Record(frame) => {
                    if self.record(&frame, &file.file.name, found).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                // Torn at the very end: it was never acknowledged.
                Item::Damage(Damage { kind: DamageKind::Torn, .. }) if file.is_newest => {}
                Item::Damage(damage) => {
                    if let DamageKind::Altered { sequence, .. } = damage.kind {
                        self.next = Some(sequence + 1);
                    }
                    let Damage { offset, bytes, .. } = damage;
                    self.summary.damage(format!("{}: {bytes} bytes from byte {offset} on", file.file.name));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn record(
        &mut self,
        frame: &Frame<'_>,
        file: &str,
        found: &mut impl FnMut(&Hit<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let sequence = frame.header.sequence;
        if let Some(next) = self.next.filter(|next| *next != sequence) {
            self.summary.damage(format!("{file}: record {sequence} stands where record {next} belongs"));
        }
        self.next = Some(sequence + 1);
        self.summary.records += 1;
        let time = frame.header.moment.timestamp();
        if frame.header.kind != Kind::Event || !self.filter.covers(time) {
            return ControlFlow::Continue(());
        }
        if !self.glance.may_match(frame.payload) {
            return ControlFlow::Continue(());
        }
        let Ok(event) = serde_json::from_slice::<RecordedEvent<'_>>(frame.payload) else {
            self.summary.damage(format!("{file}: record {sequence} cannot be understood"));
            return ControlFlow::Continue(());
        };
        if !self.filter.matches(&event) {
            return ControlFlow::Continue(());
        }
        self.summary.matched += 1;
        found(&Hit { sequence, time, event, hash: frame.hash })
    }
}
