//! `custody rules import`: other scanners' configuration as a rule file.

use std::path::Path;
use std::process::ExitCode;

use custody_contract::{Diagnostic, Place};
use custody_scan::rules::import;

use crate::arguments::{ImportFrom, RulesImport};
use crate::failure::Failure;
use crate::files::read_text;
use crate::{exit, output};

pub(super) fn run(arguments: &RulesImport) -> Result<ExitCode, Failure> {
    let path = &arguments.file;
    let text = read_text(path)?;
    let from = arguments.from.unwrap_or_else(|| told_by_name(path));
    let is_python = path.extension().is_some_and(|e| e == "py");
    let imported = match from {
        ImportFrom::Gitleaks => import::gitleaks(&text, &arguments.provider),
        ImportFrom::DetectSecrets if is_python => import::detect_secrets_plugin(&text, &arguments.provider),
        ImportFrom::DetectSecrets => import::detect_secrets_baseline(&text),
    };
    let imported = imported.map_err(|error| {
        let shown = path.display().to_string();
        let diagnostic = Diagnostic::error("rule-import", format!("cannot import {shown}")).at(Place::file(shown));
        Failure::usage(diagnostic.why(error.to_string()).fix("name the tool with --from"))
    })?;
    output::print(&imported.text)?;
    let notes =
        imported.notes.iter().map(|why| Diagnostic::warning("rule-import", "carried over otherwise").why(why.clone()));
    let left =
        imported.left_out.iter().map(|why| Diagnostic::warning("rule-import", "not carried over").why(why.clone()));
    let all: Vec<Diagnostic> = notes.chain(left).collect();
    output::print_diagnostics(&all);
    Ok(ExitCode::from(if imported.left_out.is_empty() { exit::OK } else { exit::INCOMPLETE }))
}

fn told_by_name(path: &Path) -> ImportFrom {
    match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => ImportFrom::Gitleaks,
        _ => ImportFrom::DetectSecrets,
    }
}
