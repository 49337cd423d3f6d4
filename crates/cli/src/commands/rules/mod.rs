//! `custody rules`: list, explain and test rules, and help to write them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use custody_contract::{Diagnostic, Place};
use custody_scan::engine::Engine;
use custody_scan::rules::{RULE_FILE_SCHEMA, Rule, RuleSet, lint};

use crate::arguments::{RulesCommand, RulesExplain};
use crate::context::closest_rule;
use crate::failure::Failure;
use crate::files::read_text;
use crate::{exit, output};

mod import;
mod new;
mod test;

pub fn run(command: &RulesCommand) -> Result<ExitCode, Failure> {
    match command {
        RulesCommand::List => list(),
        RulesCommand::Test(arguments) => test::run(&Loaded::read(&arguments.files)?),
        RulesCommand::Lint(arguments) => lint(&Loaded::read(&arguments.files)?),
        RulesCommand::New(arguments) => new::run(arguments),
        RulesCommand::Explain(arguments) => explain(arguments),
        RulesCommand::Schema => output::print(RULE_FILE_SCHEMA).map(|()| ExitCode::SUCCESS),
        RulesCommand::Import(arguments) => import::run(arguments),
    }
}

/// All rules in force, and which of them were asked for.
struct Loaded {
    engine: Engine,
    /// Ids of the files' rules; all if no file was named.
    asked: Option<Vec<String>>,
}

impl Loaded {
    fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut rules = RuleSet::builtin();
        let mut own: Vec<String> = Vec::new();
        for path in files {
            let loaded = load(path)?;
            own.extend(loaded.iter().map(|r| r.id.to_string()));
            rules.extend(loaded);
        }
        Ok(Loaded { engine: Engine::new(rules), asked: (!files.is_empty()).then_some(own) })
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        let asked = |rule: &&Rule| self.asked.as_ref().is_none_or(|ids| ids.iter().any(|id| *id == *rule.id));
        self.engine.rules().iter().filter(asked)
    }
}

fn load(path: &Path) -> Result<RuleSet, Failure> {
    let shown = path.display().to_string();
    RuleSet::from_toml(&read_text(path)?, &shown).map_err(|error| {
        let place = Place::at(shown.clone(), error.line, error.column);
        Failure::usage(
            Diagnostic::error("rule-file", format!("cannot use {shown}"))
                .at(place)
                .why(error.problem)
                .fix("see docs/rules.md, or `custody rules schema`"),
        )
    })
}

fn list() -> Result<ExitCode, Failure> {
    let rules = RuleSet::builtin();
    let mut text = String::new();
    for rule in rules.iter() {
        let _ = writeln!(text, "{:40} {:8} {} ({})", rule.id, rule.severity, rule.name, rule.provider_name);
    }
    let providers: std::collections::BTreeSet<&str> = rules.iter().map(|r| &*r.provider).collect();
    let _ = writeln!(text, "{} rules of {} providers, digest {}", rules.len(), providers.len(), rules.digest());
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn explain(arguments: &RulesExplain) -> Result<ExitCode, Failure> {
    let loaded = Loaded::read(&arguments.files)?;
    let rules = loaded.engine.rules();
    let Some(rule) = rules.get(&arguments.id) else {
        let closest = closest_rule(rules, &arguments.id).unwrap_or("private-key-pem");
        let diagnostic = Diagnostic::error("usage", "no rule has this id");
        let fix = format!("did you mean {closest}? `custody rules list` lists all");
        return Err(Failure::usage(diagnostic.fix(fix)));
    };
    let mut text = super::explain::rule_text(rule);
    if !rule.revoke.is_empty() {
        let _ = writeln!(text, "Revoke at    {}", rule.revoke);
    }
    for (name, cases) in [("Finds", &rule.examples), ("Does not", &rule.negatives)] {
        let lines: Vec<String> = cases.iter().map(|case| case.replace('\n', "\\n")).collect();
        let _ = writeln!(text, "{name:12} {}", lines.join("\n             "));
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn lint(loaded: &Loaded) -> Result<ExitCode, Failure> {
    let mut problems = Vec::new();
    let mut count = 0;
    for rule in loaded.rules() {
        count += 1;
        for fault in lint::rule(rule, &loaded.engine) {
            problems.push(Diagnostic::warning("rule-lint", format!("rule {}", rule.id)).why(fault));
        }
    }
    output::print(&format!("{count} rules, {} remarks.\n", problems.len()))?;
    output::print_diagnostics(&problems);
    Ok(ExitCode::from(if problems.is_empty() { exit::OK } else { exit::BLOCKED }))
}
