//! Where the bytes come from: one file per source, all feeding the same engine.
//!
//! A [`Source`] opens what it names, hands every byte of it to [`Engine`] exactly once, and keeps a
//! [`Coverage`] account. It knows nothing of rules; the engine knows nothing of files. What a source cannot read
//! it reports as skipped, with the reason, never as clean.

mod cursor;
mod encoding;
mod error;
mod file;
mod format;
mod index;
mod name;
mod range;
mod repository;
mod revision;
mod stdin;
mod stream;
mod tree;
mod worker;
mod working_tree;

pub use error::{SourceError, SourceErrorKind};
pub use index::{IndexExtent, IndexSource};
pub use name::escape;
pub use range::{RangeSource, RefsOf, TagRefs};
pub use revision::{BaseTree, ChangedPath};
pub use stdin::StdinSource;
pub use tree::{Classify, Exclude, IgnoreRules, TreeSource};
pub use working_tree::WorkingTree;

pub(crate) use encoding::Wide;
pub(crate) use file::{open_inside, scan_file, scan_once, unreadable};
pub(crate) use format::{Format, HEAD};
pub(crate) use repository::open as open_repository;
pub(crate) use stream::{Target, scan_reader};
pub(crate) use worker::{Found, Place, Worker};

use custody_contract::{Coverage, Finding, Surface};

use crate::collect::Collector;
use crate::engine::Engine;

/// Something that can be scanned.
pub trait Source {
    /// Searches everything that the source holds, adds what is found to `collector` and returns the account of
    /// what was looked at, one per surface.
    ///
    /// # Errors
    ///
    /// When the source as a whole cannot be opened. A part that cannot be read is no error: it is skipped, and the
    /// account says so.
    fn scan_into(
        &self,
        engine: &Engine,
        options: &ScanOptions<'_>,
        collector: &mut Collector,
    ) -> Result<Vec<Coverage>, SourceError>;

    /// Searches this source alone.
    ///
    /// # Errors
    ///
    /// As [`Source::scan_into`].
    fn scan(&self, engine: &Engine, options: &ScanOptions<'_>) -> Result<ScanOutcome, SourceError> {
        let mut collector = Collector::new();
        let coverage = self.scan_into(engine, options, &mut collector)?;
        Ok(ScanOutcome { findings: collector.into_findings(engine.rules()), coverage })
    }
}

/// Searches several sources; a secret that stands in more than one of them gives one finding.
///
/// # Errors
///
/// The first error of any source.
pub fn scan_all(
    sources: &[&dyn Source],
    engine: &Engine,
    options: &ScanOptions<'_>,
) -> Result<ScanOutcome, SourceError> {
    let mut collector = Collector::new();
    let mut coverage: Vec<Coverage> = Vec::new();
    for source in sources {
        for account in source.scan_into(engine, options, &mut collector)? {
            match coverage.iter_mut().find(|known| known.surface == account.surface && known.unit == account.unit) {
                Some(known) => known.merge(account),
                None => coverage.push(account),
            }
        }
    }
    coverage.sort_by_key(|account| account.surface);
    Ok(ScanOutcome { findings: collector.into_findings(engine.rules()), coverage })
}

/// What a scan found, and what it looked at.
#[derive(Debug, Clone, Default)]
pub struct ScanOutcome {
    /// One finding per secret, with all its occurrences.
    pub findings: Vec<Finding>,
    /// One account per surface.
    pub coverage: Vec<Coverage>,
}

impl ScanOutcome {
    /// Whether something that should have been looked at was not.
    pub fn is_incomplete(&self) -> bool {
        self.coverage.iter().any(Coverage::is_incomplete)
    }
}

/// How to scan.
#[derive(Clone, Copy, Default)]
pub struct ScanOptions<'a> {
    /// Number of threads; 0 takes one for each core.
    pub threads: usize,
    /// Told of what is done as it is done.
    pub progress: Option<&'a dyn Progress>,
}

impl ScanOptions<'_> {
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }

    pub(crate) fn expect(&self, surface: Surface, items: u64) {
        if let Some(progress) = self.progress {
            progress.expect(surface, items);
        }
    }

    pub(crate) fn advance(&self, surface: Surface, items: u64, bytes: u64) {
        if let Some(progress) = self.progress {
            progress.advance(surface, items, bytes);
        }
    }
}

/// A port for whoever shows progress: counts only, called from several threads.
pub trait Progress: Sync {
    /// `items` more are to be looked at on `surface`.
    fn expect(&self, surface: Surface, items: u64);
    /// `items` more have been looked at, `bytes` in all.
    fn advance(&self, surface: Surface, items: u64, bytes: u64);
}
