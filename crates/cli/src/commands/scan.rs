//! `custody scan`: a tree, a file, the index, the history, a range of commits or standard input.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custody_contract::{Diagnostic, Finding, Place, ReportKind};
use custody_scan::baseline::Baseline;
use custody_scan::history::HistorySource;
use custody_scan::source::{
    BaseTree, IgnoreRules, IndexExtent, IndexSource, Progress, RangeSource, ScanOptions, ScanOutcome, Source,
    SourceError, SourceErrorKind, StdinSource, TreeSource,
};

use crate::arguments::{ColourChoice, Scan};
use crate::cache;
use crate::context::{elapsed_ms, empty_report, tool};
use crate::failure::Failure;
use crate::memory;
use crate::output;
use crate::progress::Bar;
use crate::scope::{NamedBaseline, Scope, Trust, decide, read_baseline};

pub fn run(arguments: &Scan, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let started = jiff::Timestamp::now();
    let stdin = arguments.path == Path::new("-");
    let root = if stdin { PathBuf::from(".") } else { contract_root(&arguments.path) };
    let trust = match &arguments.base {
        None => Trust::WorkingTree,
        Some(revision) => {
            Trust::Base(Box::new(BaseTree::open(&root, revision).map_err(|error| base_failure(revision, &error))?))
        }
    };
    let scope = Scope::open(&root, arguments.contract.as_deref(), trust)?;
    let in_force = &scope.in_force;
    let outcome = search(arguments, stdin, &scope)?;
    let mut report = empty_report(ReportKind::Scan, &arguments.path, started);
    report.tool = tool(Some(&scope.engine));
    report.block_at = arguments.block_at.unwrap_or(in_force.contract.block_at);
    report.contract = in_force.origin.file.is_some().then(|| in_force.origin.clone());
    let is_incomplete = outcome.is_incomplete();
    report.findings = outcome.findings;
    report.coverage = outcome.coverage;
    let NamedBaseline { baseline, path, problem } = baseline(arguments, &scope)?;
    report.diagnostics.extend(problem);
    scope.judge(&mut report.findings, &baseline);
    // A part of the repository says nothing of the entries for the rest.
    let whole = !stdin && is_tree(arguments) && arguments.path.join(".git").exists();
    if whole && !baseline.is_empty() {
        report.diagnostics.extend(unmatched(&baseline, &report.findings, &path));
    }
    report.findings.retain(|f| f.severity >= arguments.min_severity);
    report.decision = decide(&report, is_incomplete);
    report.duration_ms = elapsed_ms(started);
    let status = output::emit(&report, &arguments.output, colour, (!stdin).then_some(root.as_path()));
    // The process ends here: of a long history, to take the report to pieces costs as much as to render it.
    std::mem::forget(report);
    status
}

/// Whether files are searched as they stand.
fn is_tree(arguments: &Scan) -> bool {
    !arguments.staged && !arguments.history && arguments.since.is_none() && arguments.range.is_empty()
}

/// The directory whose contract holds for a path: itself, or the closest one above with a contract file, up to the
/// repository's root.
fn contract_root(path: &Path) -> PathBuf {
    let start = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let directory = if start.is_dir() { start.as_path() } else { start.parent().unwrap_or(Path::new(".")) };
    for candidate in directory.ancestors() {
        if candidate.join(custody_contract::Contract::FILE_NAME).is_file() {
            return candidate.to_path_buf();
        }
        if candidate.join(".git").exists() {
            break;
        }
    }
    directory.to_path_buf()
}

fn search(arguments: &Scan, stdin: bool, scope: &Scope) -> Result<ScanOutcome, Failure> {
    let (contract, engine) = (&scope.in_force.contract, &scope.engine);
    let bar = if stdin { None } else { Bar::new() };
    let progress = bar.as_ref().map(|b| b as &dyn Progress);
    let options = ScanOptions { threads: arguments.threads.map_or(0, usize::from), progress };
    let exclude = |path: &str| contract.exclusion(path).map(str::to_owned);
    let classify = |path: &str| contract.surface_of(path);
    let result = if stdin {
        if !is_tree(arguments) || arguments.base.is_some() {
            let diagnostic = Diagnostic::error("usage", "standard input has no history and no index");
            let fix = "name a repository, or leave out --history, --staged, --since, --range and --base";
            return Err(Failure::usage(diagnostic.fix(fix)));
        }
        StdinSource::process().scan(engine, &options)
    } else if arguments.history {
        HistorySource::new(&arguments.path)
            .cache(if arguments.no_cache { None } else { cache::directory() })
            .max_memory(memory::most(arguments.max_memory)?)
            .verify(arguments.verify_delta)
            .verify_objects(arguments.verify_objects)
            .scan(engine, &options)
    } else if let Some(range) = range(arguments) {
        range.scan(engine, &options)
    } else if arguments.staged {
        IndexSource::new(&arguments.path, IndexExtent::Changed).exclude(&exclude).scan(engine, &options)
    } else {
        let rules = if arguments.no_ignore { IgnoreRules::Disregard } else { IgnoreRules::Honour };
        let tree = TreeSource::new(&arguments.path).ignore_rules(rules);
        // Surfaces are named by the repository's contract; elsewhere a file is just a file.
        if scope.in_force.origin.file.is_some() {
            tree.classify(&classify).exclude(&exclude).scan(engine, &options)
        } else {
            tree.scan(engine, &options)
        }
    };
    result.map_err(|error| failure(&error))
}

/// The range that is asked for, if one is.
fn range(arguments: &Scan) -> Option<RangeSource> {
    let source = RangeSource::new(&arguments.path);
    match &arguments.since {
        Some(since) => Some(source.revisions(format!("^{since}")).revisions("HEAD")),
        None if arguments.range.is_empty() => None,
        None => Some(arguments.range.iter().fold(source, RangeSource::revisions)),
    }
}

pub fn failure(error: &SourceError) -> Failure {
    match error.kind() {
        SourceErrorKind::Usage => {
            let diagnostic = Diagnostic::error("usage", "cannot scan what was named");
            let fix = match error {
                SourceError::UnknownRevision { .. } => "check its spelling, or fetch it",
                SourceError::Memory { .. } => "give it more with --max-memory or CUSTODY_MAX_MEMORY",
                _ => "check the path; --history, --staged, --since and --range need a git repository",
            };
            Failure::usage(diagnostic.why(error.to_string()).fix(fix))
        }
        _ => Failure::incomplete(
            "the scan could not be done",
            error.to_string(),
            "nothing was found clean; mend the cause and scan again",
        ),
    }
}

fn base_failure(revision: &str, error: &SourceError) -> Failure {
    let revision: String = revision.escape_default().take(200).collect();
    let diagnostic = Diagnostic::error("base-revision", format!("cannot use base revision {revision}"));
    Failure::usage(diagnostic.why(error.to_string()).fix("fetch it, or name another one with --base REV"))
}

fn baseline(arguments: &Scan, scope: &Scope) -> Result<NamedBaseline, Failure> {
    let named = |baseline, path| NamedBaseline { baseline, path, problem: None };
    match &arguments.baseline {
        _ if arguments.no_baseline => Ok(named(Baseline::new(), String::new())),
        Some(file) => {
            let shown = file.display().to_string();
            read_baseline(file, &shown).map(|baseline| named(baseline, shown))
        }
        None => scope.baseline(),
    }
}

/// A note on baseline entries that this scan did not meet: their secrets may still stand in history.
fn unmatched(baseline: &Baseline, findings: &[Finding], path: &str) -> Option<Diagnostic> {
    let met = |fingerprint| findings.iter().any(|f| f.fingerprint == fingerprint);
    let count = baseline.entries().filter(|entry| !met(entry.fingerprint)).count();
    (count > 0).then(|| {
        Diagnostic::note("stale-baseline", format!("{count} baseline entries match nothing in the working tree"))
            .at(Place::file(path))
            .why("their secrets are gone from the tree; they may still stand in history")
            .fix("`custody baseline prune` removes what is gone from both")
    })
}
