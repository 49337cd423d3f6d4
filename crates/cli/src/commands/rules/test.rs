//! `custody rules test`: every case of every rule, against all rules.

use std::process::ExitCode;

use custody_contract::{Diagnostic, Surface};
use custody_scan::engine::{Engine, Input, Scratch};
use custody_scan::rules::Rule;
use custody_scan::rules::cases::{CaseKind, expand};

use super::Loaded;
use crate::failure::Failure;
use crate::{exit, output};

pub(super) fn run(loaded: &Loaded) -> Result<ExitCode, Failure> {
    let (mut rules, mut cases, mut problems) = (0_usize, 0_usize, Vec::new());
    for rule in loaded.rules() {
        rules += 1;
        for (kind, list) in [(CaseKind::Example, &rule.examples), (CaseKind::Negative, &rule.negatives)] {
            for (index, case) in list.iter().enumerate() {
                cases += 1;
                problems.extend(run_case(&loaded.engine, rule, kind, index, case));
            }
        }
    }
    output::print(&format!("{rules} rules, {cases} cases, {} failed.\n", problems.len()))?;
    output::print_diagnostics(&problems);
    Ok(ExitCode::from(if problems.is_empty() { exit::OK } else { exit::BLOCKED }))
}

fn run_case(engine: &Engine, rule: &Rule, kind: CaseKind, index: usize, case: &str) -> Option<Diagnostic> {
    let (what, name) = if kind == CaseKind::Example { ("missed", "example") } else { ("found", "negative") };
    let fault = |why: String| {
        let message = format!("{what} {name} {} of rule {}", index + 1, rule.id);
        Some(Diagnostic::error("rule-case", message).why(why))
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
