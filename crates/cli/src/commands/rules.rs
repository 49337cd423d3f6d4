//! `custody rules`: list rules, run their cases.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use custody_contract::{Diagnostic, Place, Surface};
use custody_scan::engine::{Engine, Input, Scratch};
use custody_scan::rules::cases::{CaseKind, expand};
use custody_scan::rules::{Rule, RuleSet};

use crate::arguments::RulesCommand;
use crate::failure::Failure;
use crate::files::read_text;
use crate::{exit, output};

pub fn run(command: &RulesCommand) -> Result<ExitCode, Failure> {
    match command {
        RulesCommand::List => {
            let rules = RuleSet::builtin();
            let mut text = String::new();
            for rule in rules.iter() {
                let _ = writeln!(text, "{:40} {:8} {} ({})", rule.id, rule.severity, rule.name, rule.provider_name);
            }
            let _ = writeln!(text, "{} rules, digest {}", rules.len(), rules.digest());
            output::print(&text)?;
            Ok(ExitCode::SUCCESS)
        }
        RulesCommand::Test { files } => test(files),
    }
}

fn test(files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let mut rules = RuleSet::builtin();
    let mut own: Vec<String> = Vec::new();
    for path in files {
        let shown = path.display().to_string();
        let loaded = RuleSet::from_toml(&read_text(path)?, &shown).map_err(|error| {
            let place = Place::at(shown.clone(), error.line, error.column);
            Failure::usage(
                Diagnostic::error("rule-file", format!("cannot use {shown}"))
                    .at(place)
                    .why(error.problem)
                    .fix("see docs/rules.md"),
            )
        })?;
        own.extend(loaded.iter().map(|r| r.id.to_string()));
        rules.extend(loaded);
    }
    let engine = Engine::new(rules);
    let tested: Vec<&Rule> =
        engine.rules().iter().filter(|r| files.is_empty() || own.iter().any(|id| *id == *r.id)).collect();
    let (mut cases, mut problems) = (0_usize, Vec::new());
    for rule in &tested {
        for (kind, list) in [(CaseKind::Example, &rule.examples), (CaseKind::Negative, &rule.negatives)] {
            for (index, case) in list.iter().enumerate() {
                cases += 1;
                problems.extend(run_case(&engine, rule, kind, index, case));
            }
        }
    }
    output::print(&format!("{} rules, {cases} cases, {} failed.\n", tested.len(), problems.len()))?;
    output::print_diagnostics(&problems);
    Ok(ExitCode::from(if problems.is_empty() { exit::OK } else { exit::BLOCKED }))
}

fn run_case(engine: &Engine, rule: &Rule, kind: CaseKind, index: usize, case: &str) -> Option<Diagnostic> {
    let name = if kind == CaseKind::Example { "example" } else { "negative" };
    let fault = |why: String| {
        Some(
            Diagnostic::error(
                "rule-case",
                format!(
                    "{} {name} {} of rule {}",
                    if kind == CaseKind::Example { "missed" } else { "found" },
                    index + 1,
                    rule.id
                ),
            )
            .why(why),
        )
    };
    let text = match expand(&rule.id, kind, index, case) {
        Ok(text) => text,
        Err(error) => return fault(error.to_string()),
    };
    let mut matches = Vec::new();
    engine.scan(&mut Scratch::default(), &Input::new(text.as_bytes(), None, Surface::Stdin), &mut matches);
    let found = matches.iter().any(|m| engine.rules().rule(m.rule).id == rule.id);
    match (kind, found) {
        (CaseKind::Example, false) => fault("the rule gives no finding, or another rule takes it".into()),
        (CaseKind::Negative, true) => fault("the rule gives a finding where it must not".into()),
        _ => None,
    }
}
