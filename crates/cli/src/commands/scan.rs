//! `custody scan`: a tree, a file, the index, the history or standard input.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custody_contract::{Decision, Diagnostic, Finding, FindingStatus, Place, Report, ReportKind, Severity};
use custody_scan::baseline::Baseline;
use custody_scan::engine::Engine;
use custody_scan::history::HistorySource;
use custody_scan::source::{
    IgnoreRules, IndexExtent, IndexSource, Progress, ScanOptions, ScanOutcome, Source, SourceError, SourceErrorKind,
    StdinSource, TreeSource,
};

use crate::arguments::{ColourChoice, Scan};
use crate::cache;
use crate::context::{InForce, elapsed_ms, empty_report, today, tool};
use crate::failure::Failure;
use crate::files::read_text;
use crate::output;
use crate::progress::Bar;

pub fn run(arguments: &Scan, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let started = jiff::Timestamp::now();
    let stdin = arguments.path == Path::new("-");
    let root = if stdin { PathBuf::from(".") } else { contract_root(&arguments.path) };
    let in_force = InForce::load(&root, arguments.contract.as_deref(), None)?;
    let engine = in_force.engine(&root, None)?;
    let outcome = search(arguments, stdin, &in_force, &engine)?;
    let mut report = empty_report(ReportKind::Scan, &arguments.path, started);
    report.tool = tool(Some(&engine));
    report.block_at = arguments.block_at.unwrap_or(in_force.contract.block_at);
    report.contract = in_force.origin.file.is_some().then(|| in_force.origin.clone());
    let is_incomplete = outcome.is_incomplete();
    report.findings = outcome.findings;
    report.coverage = outcome.coverage;
    let (baseline, path) = baseline(arguments, &in_force, &root)?;
    judge(&mut report.findings, &baseline, &in_force);
    // A part of the repository says nothing of the entries for the rest.
    let whole = !stdin && !arguments.staged && !arguments.history && arguments.path.join(".git").exists();
    if whole && !baseline.is_empty() {
        report.diagnostics.extend(unmatched(&baseline, &report.findings, &path));
    }
    report.findings.retain(|f| f.severity >= arguments.min_severity);
    report.decision = decide(&report, is_incomplete);
    report.duration_ms = elapsed_ms(started);
    output::emit(&report, &arguments.output, colour, (!stdin).then_some(root.as_path()))
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

fn search(arguments: &Scan, stdin: bool, in_force: &InForce, engine: &Engine) -> Result<ScanOutcome, Failure> {
    let contract = &in_force.contract;
    let bar = if stdin { None } else { Bar::new() };
    let progress = bar.as_ref().map(|b| b as &dyn Progress);
    let options = ScanOptions { threads: arguments.threads.map_or(0, usize::from), progress };
    let exclude = |path: &str| contract.exclusion(path).map(str::to_owned);
    let classify = |path: &str| contract.surface_of(path);
    let result = if stdin {
        if arguments.history || arguments.staged {
            let diagnostic = Diagnostic::error("usage", "standard input has no history and no index");
            return Err(Failure::usage(diagnostic.fix("name a repository, or leave out --history and --staged")));
        }
        StdinSource::process().scan(engine, &options)
    } else if arguments.history {
        HistorySource::new(&arguments.path)
            .cache(if arguments.no_cache { None } else { cache::directory() })
            .verify(arguments.verify_delta)
            .scan(engine, &options)
    } else if arguments.staged {
        IndexSource::new(&arguments.path, IndexExtent::Changed).exclude(&exclude).scan(engine, &options)
    } else {
        let rules = if arguments.no_ignore { IgnoreRules::Disregard } else { IgnoreRules::Honour };
        let tree = TreeSource::new(&arguments.path).ignore_rules(rules);
        // Surfaces are named by the repository's contract; elsewhere a file is just a file.
        if in_force.origin.file.is_some() {
            tree.classify(&classify).exclude(&exclude).scan(engine, &options)
        } else {
            tree.scan(engine, &options)
        }
    };
    result.map_err(|error| failure(&error))
}

pub fn failure(error: &SourceError) -> Failure {
    match error.kind() {
        SourceErrorKind::Usage => {
            let diagnostic = Diagnostic::error("usage", "cannot scan what was named");
            Failure::usage(
                diagnostic.why(error.to_string()).fix("check the path; --history and --staged need a git repository"),
            )
        }
        _ => Failure::incomplete(
            "the scan could not be done",
            error.to_string(),
            "nothing was found clean; mend the cause and scan again",
        ),
    }
}

fn baseline(arguments: &Scan, in_force: &InForce, root: &Path) -> Result<(Baseline, String), Failure> {
    if arguments.no_baseline {
        return Ok((Baseline::new(), String::new()));
    }
    let path = arguments.baseline.clone().unwrap_or_else(|| root.join(&in_force.contract.baseline));
    let shown =
        arguments.baseline.as_ref().map_or_else(|| in_force.contract.baseline.clone(), |p| p.display().to_string());
    if arguments.baseline.is_none() && path.symlink_metadata().is_err() {
        return Ok((Baseline::new(), shown));
    }
    read_baseline(&path, &shown).map(|baseline| (baseline, shown))
}

/// Reads a baseline; all wrong lines are reported.
pub fn read_baseline(path: &Path, shown: &str) -> Result<Baseline, Failure> {
    Baseline::parse(&read_text(path)?).map_err(|errors| {
        let diagnostic = |line: u32, problem: String| {
            Diagnostic::error("baseline", format!("cannot use baseline {shown}"))
                .at(Place::at(shown, line, 1))
                .why(problem)
        };
        Failure::contract(errors.iter().map(|e| diagnostic(e.line, e.problem.to_string())).collect())
    })
}

/// Sets each finding's status by baseline and waivers.
pub fn judge(findings: &mut [Finding], baseline: &Baseline, in_force: &InForce) {
    baseline.apply(findings);
    for finding in findings.iter_mut().filter(|f| f.status == FindingStatus::Open) {
        let waiver =
            in_force.contract.valid_waivers(today()).find(|w| w.clause.is_none() && custody_gate::covers(w, finding));
        if let Some(waiver) = waiver {
            finding.status = FindingStatus::Waived { waiver: waiver.id.clone() };
        }
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

fn decide(report: &Report, is_incomplete: bool) -> Decision {
    let blocks = |threshold: Severity| report.findings.iter().any(|f| f.blocks(threshold));
    if blocks(report.block_at) {
        Decision::Blocked
    } else if is_incomplete {
        Decision::Incomplete
    } else {
        Decision::MayRelease
    }
}
