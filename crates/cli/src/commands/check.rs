//! `custody check`: every clause, one verdict each, and the release decision.

use std::process::ExitCode;

use custody_contract::Diagnostic;
use custody_gate::{
    Base, BaseSpec, GateError, GateInput, HistoryMode, IncidentMode, ci_system, detect_base, evaluate, open_base,
};
use custody_scan::source::{Progress, SourceErrorKind};

use crate::arguments::{Check, ColourChoice};
use crate::cache;
use crate::context::{InForce, elapsed_ms, process_environment, root_of, today};
use crate::failure::Failure;
use crate::files::working_tree;
use crate::memory;
use crate::progress::Bar;
use crate::{exit, output};

pub fn run(arguments: &Check, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let started = jiff::Timestamp::now();
    let root = root_of(&arguments.path)?;
    let base = base(arguments, &root)?;
    let in_force_tree = base.as_ref().map(Base::in_force);
    let in_force = InForce::load(&root, arguments.contract.contract.as_deref(), in_force_tree)?;
    let (environment, environment_source) = in_force.environment(arguments.contract.env)?;
    // The working tree's own contract must be usable too, even where the base's is in force.
    if base.is_some() {
        InForce::load(&root, None, None)?;
        if in_force.origin.base.is_some() && arguments.contract.contract.is_some() {
            InForce::load(&root, arguments.contract.contract.as_deref(), None)?;
        }
    }
    let engine = in_force.engine(&root, in_force_tree)?;
    let tree = working_tree(&root)?;
    let process = arguments.process.then(process_environment);
    let bar = Bar::new();
    let target = arguments.path.display().to_string();
    let cache = if arguments.no_cache { None } else { cache::directory() };
    let history = match &cache {
        _ if arguments.no_history => HistoryMode::Skip("--no-history was given"),
        Some(directory) => HistoryMode::Cached(directory),
        None => HistoryMode::Scan,
    };
    let input = GateInput {
        root: &root,
        target: &target,
        contract: &in_force.contract,
        contract_text: &in_force.text,
        contract_origin: &in_force.origin,
        environment,
        environment_source,
        engine: &engine,
        tree: &tree,
        today: today(),
        now: started,
        base: base.as_ref(),
        process: process.as_ref(),
        incidents: if arguments.no_incident { IncidentMode::DryRun } else { IncidentMode::Record },
        history,
        max_memory: memory::most(arguments.max_memory)?,
        threads: arguments.threads.map_or(0, usize::from),
        progress: bar.as_ref().map(|b| b as &dyn Progress),
    };
    let mut report = evaluate(&input).map_err(failure)?;
    drop(bar);
    report.duration_ms = elapsed_ms(started);
    report.diagnostics.extend(unguarded(arguments, base.is_some()));
    output::emit(&report, &arguments.output, colour, Some(&root))
}

/// In CI, a check that found no base is said to be one: a change could have brought its own waivers.
fn unguarded(arguments: &Check, has_base: bool) -> Option<Diagnostic> {
    let system = ci_system(&variable).filter(|_| !has_base && arguments.base.is_none())?;
    let what = format!("{system} names no base revision for this build");
    Some(
        Diagnostic::note("base-revision", what)
            .why("contract, waivers and baseline are those of the revision that is checked")
            .fix("for a change, name what it is to go into: --base origin/main; for others, --base none"),
    )
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The revision that the change is measured against: the one named, else what the CI system says.
fn base(arguments: &Check, root: &std::path::Path) -> Result<Option<Base>, Failure> {
    let spec = match arguments.base.as_deref() {
        Some("none") => None,
        Some(revision) => Some(BaseSpec::named(revision)),
        None => detect_base(&variable),
    };
    // Git's own words, without colons in a row, are what people look for.
    spec.map(|spec| open_base(root, &spec)).transpose().map_err(|problem| {
        let diagnostic = Diagnostic::error(
            "base-revision",
            format!("cannot use base revision {} ({})", problem.revision, problem.from),
        );
        let diagnostic =
            diagnostic.why(problem.why.clone()).fix(format!("{}; or name another one with --base REV", problem.fix));
        Failure { diagnostics: vec![diagnostic], code: exit::USAGE }
    })
}

fn failure(error: GateError) -> Failure {
    match error {
        GateError::Source(source) if source.kind() == SourceErrorKind::Usage => {
            let diagnostic = Diagnostic::error("usage", "cannot check this repository");
            Failure::usage(diagnostic.why(source.to_string()).fix("check the path"))
        }
        other => Failure::incomplete(
            "cannot evaluate the contract",
            other.to_string(),
            "see the reason; nothing was decided",
        ),
    }
}
