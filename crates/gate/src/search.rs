//! One search of tree and history: a secret in both is one finding.

use std::path::Path;

use custody_contract::{Coverage, Finding, SkipReason, Surface};
use custody_scan::collect::Collector;
use custody_scan::history::HistorySource;
use custody_scan::source::{ScanOptions, Source, SourceError, TreeSource};

use crate::context;
use crate::input::{GateInput, HistoryMode};
use crate::parts::merge_findings;

/// What tree and history hold.
pub(crate) struct Searched {
    pub findings: Vec<Finding>,
    pub coverage: Vec<Coverage>,
    pub history: HistorySeen,
}

/// What became of the history.
pub(crate) enum HistorySeen {
    /// It was searched; its accounts are in the coverage.
    Searched,
    /// There is none.
    NoRepository,
    /// It was not searched.
    Not(String),
}

pub(crate) fn search(input: &GateInput<'_>) -> Result<Searched, SourceError> {
    let contract = input.contract;
    let options = ScanOptions { threads: input.threads, progress: input.progress };
    let classify = |path: &str| contract.surface_of(path);
    let exclude = |path: &str| contract.exclusion(path).map(str::to_owned);
    let tree = TreeSource::new(input.root).classify(&classify).exclude(&exclude);
    let mut collector = Collector::new();
    let mut coverage = tree.scan_into(input.engine, &options, &mut collector)?;
    let cache = if let HistoryMode::Cached(directory) = input.history { Some(directory) } else { None };
    let history = match input.history {
        HistoryMode::Skip(reason) => HistorySeen::Not(format!("history was not searched: {reason}")),
        HistoryMode::Scan | HistoryMode::Cached(_) => match HistorySource::new(input.root)
            .cache(cache.map(Path::to_owned))
            .max_memory(input.max_memory)
            .scan_into(input.engine, &options, &mut collector)
        {
            Ok(accounts) => {
                coverage.extend(accounts);
                HistorySeen::Searched
            }
            Err(SourceError::NotARepository { .. }) => HistorySeen::NoRepository,
            Err(error) => HistorySeen::Not(error.to_string()),
        },
    };
    let mut findings = collector.into_findings(input.engine.rules());
    let public = [Surface::Logs, Surface::Evidence, Surface::Screenshots];
    // Walking the tree once more is for those who have such files.
    if coverage.iter().any(|c| public.contains(&c.surface) && c.expected > 0) {
        let context = context::search(input.root, input.tree, contract, input.engine);
        for (surface, what) in context.unread {
            let known = coverage.iter_mut().find(|c| c.surface == surface);
            let Some(account) = known else { continue };
            // The scan counted the file; that it was not searched for context makes it not wholly read.
            if !account.skipped.iter().any(|s| what.starts_with(&s.what)) {
                let error = "its text was not searched for reference context".to_owned();
                account.read = account.read.saturating_sub(1);
                account.expected = account.expected.saturating_sub(1);
                account.record_skipped(what, SkipReason::Unreadable { error });
            }
        }
        merge_findings(&mut findings, context.findings);
    }
    coverage.sort_by_key(|c| c.surface);
    Ok(Searched { findings, coverage, history })
}
