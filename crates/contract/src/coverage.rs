use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Surface;

/// The account of what a scan was to look at and what it did look at.
///
/// Nothing is clean that was not read: `expected == read + skipped_total`, always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// What was scanned.
    pub surface: Surface,
    /// What one item is: `files`, `objects`, `entries`.
    pub unit: Cow<'static, str>,
    /// Items that should have been looked at.
    pub expected: u64,
    /// Items whose content was searched whole.
    pub read: u64,
    /// Bytes searched.
    pub bytes: u64,
    /// Items that were not read or not wholly; `skipped_total` counts them all, this lists at most
    /// [`Coverage::MAX_LISTED`].
    pub skipped: Vec<Skipped>,
    /// How many items were skipped.
    pub skipped_total: u64,
    /// How many of the skipped items make the account incomplete (see [`SkipReason::is_incomplete`]).
    pub incomplete_total: u64,
    /// Items that were searched as raw bytes although their format hides text from such a search
    /// (images, archives, compressed data) and that stand outside the directories that the contract names.
    /// They count as read; this says how many there are.
    pub opaque: u64,
}

impl Coverage {
    /// How many skipped items are listed by name; all are counted.
    pub const MAX_LISTED: usize = 1_000;

    /// An empty account for one surface.
    pub fn new(surface: Surface, unit: impl Into<Cow<'static, str>>) -> Self {
        Coverage {
            surface,
            unit: unit.into(),
            expected: 0,
            read: 0,
            bytes: 0,
            skipped: Vec::new(),
            skipped_total: 0,
            incomplete_total: 0,
            opaque: 0,
        }
    }

    /// Records an item that was searched whole.
    pub fn record_read(&mut self, bytes: u64) {
        self.expected += 1;
        self.read += 1;
        self.bytes += bytes;
    }

    /// Records an item that was not, or not wholly, searched.
    pub fn record_skipped(&mut self, what: impl Into<String>, reason: SkipReason) {
        self.expected += 1;
        self.skipped_total += 1;
        self.incomplete_total += u64::from(reason.is_incomplete());
        if self.skipped.len() < Self::MAX_LISTED {
            self.skipped.push(Skipped { what: what.into(), reason });
        }
    }

    /// Adds another account of the same surface, as when threads each keep their own.
    pub fn merge(&mut self, other: Coverage) {
        self.expected += other.expected;
        self.read += other.read;
        self.bytes += other.bytes;
        self.skipped_total += other.skipped_total;
        self.incomplete_total += other.incomplete_total;
        self.opaque += other.opaque;
        let room = Self::MAX_LISTED.saturating_sub(self.skipped.len());
        self.skipped.extend(other.skipped.into_iter().take(room));
    }

    /// Whether something that should have been looked at was not.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete_total > 0
    }
}

/// One item that was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// Path or object id, safe to print (control characters escaped).
    pub what: String,
    /// Why it was not read.
    pub reason: SkipReason,
}

/// Why an item was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The operating system refused or failed.
    Unreadable {
        /// The system's error, without the path.
        error: String,
    },
    /// The object is named by the repository and is not there (partial or shallow clone, corruption).
    Missing,
    /// The object or container is there and damaged.
    Corrupt {
        /// What is wrong with it.
        error: String,
    },
    /// A format whose text this version cannot read, in a place that the contract names.
    UnsupportedFormat {
        /// The format's short name, such as `png` or `zip`.
        format: String,
    },
    /// A container, or something inside of one, that cannot be opened, in a place that the contract does not name: its
    /// raw bytes were searched. Does not make the account incomplete.
    Unopened {
        /// Why not.
        why: String,
    },
    /// Larger than the limit in force, in bytes.
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// A symbolic link that leads outside the scanned tree or in a circle; its target text was searched.
    SymlinkNotFollowed,
    /// A device, socket or pipe.
    NotAFile,
    /// Excluded by the contract, for the reason that it gives. Does not make the account incomplete.
    ExcludedByContract {
        /// The contract's reason.
        reason: String,
    },
    /// A submodule's content belongs to another repository. Does not make the account incomplete.
    Submodule,
    /// A limit on time or amount was reached, or the run was interrupted.
    Interrupted {
        /// Which limit.
        reason: String,
    },
}

impl SkipReason {
    /// Whether the item should have been looked at, so that "clean" cannot be claimed without it.
    pub fn is_incomplete(&self) -> bool {
        !matches!(
            self,
            SkipReason::ExcludedByContract { .. }
                | SkipReason::Submodule
                | SkipReason::Unopened { .. }
                | SkipReason::SymlinkNotFollowed
                | SkipReason::NotAFile
        )
    }
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SkipReason::Unreadable { error } => write!(f, "unreadable: {error}"),
            SkipReason::Missing => f.write_str("missing from the repository"),
            SkipReason::Corrupt { error } => write!(f, "corrupt: {error}"),
            SkipReason::Unopened { why } => write!(f, "not opened: {why}"),
            SkipReason::UnsupportedFormat { format } => write!(f, "{format} content cannot be read yet"),
            SkipReason::TooLarge { limit } => write!(f, "larger than {limit} bytes"),
            SkipReason::SymlinkNotFollowed => f.write_str("symbolic link, not followed"),
            SkipReason::NotAFile => f.write_str("not a regular file"),
            SkipReason::ExcludedByContract { reason } => write!(f, "excluded by the contract: {reason}"),
            SkipReason::Submodule => f.write_str("submodule"),
            SkipReason::Interrupted { reason } => write!(f, "interrupted: {reason}"),
        }
    }
}
