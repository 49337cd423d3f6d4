//! What can be wrong, and where.

use std::fmt;

use serde::Serialize;

/// What is wrong with a record, a file or the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// A record is complete, but its content does not have its hash.
    Altered,
    /// A record has its own hash, but is not the one that the next record was chained to.
    Replaced,
    /// Bytes that are no record, where one should be.
    Damaged,
    /// Records are not there.
    Missing,
    /// A record stands twice.
    Duplicated,
    /// A record stands where another belongs.
    OutOfOrder,
    /// The log ends before its head says that it does.
    Truncated,
    /// A file belongs to another log, or not to this place.
    ForeignFile,
    /// A file's header does not hold.
    FileHeader,
    /// The head is missing or does not hold.
    Head,
    /// A signature does not hold, or is by a key that does not sign here.
    Signature,
    /// The log is not the one that it should be.
    Pin,
    /// A head or checkpoint that was kept elsewhere does not stand in the log.
    ExpectedHead,
    /// Wall clock and time since boot disagree, and no record says so.
    Clock,
    /// A record cannot be understood.
    Malformed,
    /// The disk has failed to flush.
    SyncFailed,
    /// Something could not be read.
    Unreadable,
}

impl ProblemKind {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemKind::Altered => "altered",
            ProblemKind::Replaced => "replaced",
            ProblemKind::Damaged => "damaged",
            ProblemKind::Missing => "missing",
            ProblemKind::Duplicated => "duplicated",
            ProblemKind::OutOfOrder => "out-of-order",
            ProblemKind::Truncated => "truncated",
            ProblemKind::ForeignFile => "foreign-file",
            ProblemKind::FileHeader => "file-header",
            ProblemKind::Head => "head",
            ProblemKind::Signature => "signature",
            ProblemKind::Pin => "pin",
            ProblemKind::ExpectedHead => "expected-head",
            ProblemKind::Clock => "clock",
            ProblemKind::Malformed => "malformed",
            ProblemKind::SyncFailed => "sync-failed",
            ProblemKind::Unreadable => "unreadable",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// Which record; the first one, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The last record, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<u64>,
    /// In which file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// At which byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// In words.
    pub what: String,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, what: impl Into<String>) -> Self {
        Problem { kind, sequence: None, through: None, file: None, offset: None, what: what.into() }
    }

    pub(super) fn at(mut self, file: &str, offset: u64) -> Self {
        self.file = Some(file.to_owned());
        self.offset = Some(offset);
        self
    }

    pub(super) fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    pub(super) fn record(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    pub(super) fn records(mut self, sequence: u64, through: u64) -> Self {
        self.sequence = Some(sequence);
        self.through = (through > sequence).then_some(through);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.sequence, self.through) {
            (Some(first), Some(last)) => write!(f, "records {first} to {last}")?,
            (Some(sequence), None) => write!(f, "record {sequence}")?,
            _ => f.write_str("the log")?,
        }
        if let Some(file) = &self.file {
            write!(f, " ({file}")?;
            if let Some(offset) = self.offset {
                write!(f, ", byte {offset}")?;
            }
            f.write_str(")")?;
        }
        write!(f, ": {}: {}", self.kind.as_str(), self.what)
    }
}

/// Something that is not wrong and should be known: a repair, a clock that was set, a change of key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Which record says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// In words.
    pub what: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "record {sequence}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}
