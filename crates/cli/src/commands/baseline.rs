//! `custody baseline`: accept findings, remove stale entries.

use std::path::Path;
use std::process::ExitCode;

use custody_contract::{Diagnostic, Finding, FindingStatus};
use custody_scan::baseline::Baseline;
use custody_scan::engine::Engine;
use custody_scan::history::HistorySource;
use custody_scan::source::{ScanOptions, Source, SourceError, TreeSource, scan_all};

use crate::arguments::{BaselineAdd, BaselineCommand};
use crate::commands::scan::failure;
use crate::context::{InForce, root_of, today};
use crate::failure::Failure;
use crate::memory;
use crate::output;
use crate::scope::{judge, read_baseline};

pub fn run(command: &BaselineCommand) -> Result<ExitCode, Failure> {
    match command {
        BaselineCommand::Add(arguments) => add(arguments),
        BaselineCommand::Prune(arguments) => prune(&arguments.path),
    }
}

fn add(arguments: &BaselineAdd) -> Result<ExitCode, Failure> {
    let root = root_of(&arguments.repository)?;
    let in_force = InForce::load(&root, None, None)?;
    if arguments.reason.trim().is_empty() {
        return Err(Failure::usage(
            Diagnostic::error("usage", "the reason is empty").fix("say why these findings are accepted"),
        ));
    }
    let mut baseline = read(&root, &in_force)?;
    let mut findings = search(&root, &in_force, &in_force.engine(&root, None)?, arguments.history)?;
    judge(&mut findings, &baseline, &in_force);
    findings.retain(|f| f.status == FindingStatus::Open);
    if !arguments.fingerprints.is_empty() {
        let missing =
            arguments.fingerprints.iter().find(|f| !findings.iter().any(|finding| finding.fingerprint == **f));
        if let Some(missing) = missing {
            let diagnostic = Diagnostic::error("usage", format!("no open finding has fingerprint {missing}"));
            return Err(Failure::usage(
                diagnostic.fix("`custody scan --format json` lists fingerprints; --history searches history too"),
            ));
        }
        findings.retain(|f| arguments.fingerprints.contains(&f.fingerprint));
    }
    let added = baseline.accept(&findings, today(), &arguments.reason);
    write(&root, &in_force, &baseline)?;
    output::print(&format!("Accepted {added} findings in {}.\n", in_force.contract.baseline))?;
    Ok(ExitCode::SUCCESS)
}

fn prune(path: &Path) -> Result<ExitCode, Failure> {
    let root = root_of(path)?;
    let in_force = InForce::load(&root, None, None)?;
    let mut baseline = read(&root, &in_force)?;
    let mut findings = search(&root, &in_force, &in_force.engine(&root, None)?, true)?;
    let stale = baseline.apply(&mut findings);
    for entry in &stale {
        baseline.remove(&entry.fingerprint);
    }
    if !stale.is_empty() {
        write(&root, &in_force, &baseline)?;
    }
    output::print(&format!("Removed {} stale entries from {}.\n", stale.len(), in_force.contract.baseline))?;
    Ok(ExitCode::SUCCESS)
}

/// Findings of the working tree and, if asked, of history. An incomplete search removes nothing.
fn search(root: &Path, in_force: &InForce, engine: &Engine, history: bool) -> Result<Vec<Finding>, Failure> {
    let contract = &in_force.contract;
    let classify = |path: &str| contract.surface_of(path);
    let exclude = |path: &str| contract.exclusion(path).map(str::to_owned);
    let tree = TreeSource::new(root).classify(&classify).exclude(&exclude);
    let objects = HistorySource::new(root).max_memory(memory::most(None)?);
    let options = ScanOptions::default();
    let outcome = if history {
        scan_all(&[&tree as &dyn Source, &objects], engine, &options)
    } else {
        tree.scan(engine, &options)
    };
    match outcome {
        Err(SourceError::NotARepository { .. }) => tree.scan(engine, &options),
        other => other,
    }
    .map(|outcome| outcome.findings)
    .map_err(|error| failure(&error))
}

fn read(root: &Path, in_force: &InForce) -> Result<Baseline, Failure> {
    let path = root.join(&in_force.contract.baseline);
    if path.symlink_metadata().is_err() {
        Ok(Baseline::new())
    } else {
        read_baseline(&path, &in_force.contract.baseline)
    }
}

fn write(root: &Path, in_force: &InForce, baseline: &Baseline) -> Result<(), Failure> {
    let path = root.join(&in_force.contract.baseline);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|e| Failure::unwritable(&directory.display().to_string(), &e))?;
    }
    output::write_file(&path, baseline.to_string().as_bytes())
}
