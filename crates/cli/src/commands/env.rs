//! `custody env`: check keys, write a template, write documentation.

use std::process::ExitCode;

use custody_contract::{
    Contract, Decision, Diagnostic, Environment, Evaluation, FileTree, ReportKind, SecretRecogniser,
};
use custody_envkeys::{EnvCheck, check, example, markdown};
use custody_gate::{decide, judge};

use crate::arguments::{ColourChoice, EnvCheck as EnvCheckArguments, EnvCommand, EnvWrite};
use crate::context::{InForce, elapsed_ms, empty_report, process_environment, root_of, today, tool};
use crate::failure::Failure;
use crate::files::working_tree;
use crate::output;

pub fn run(command: &EnvCommand, colour: ColourChoice) -> Result<ExitCode, Failure> {
    match command {
        EnvCommand::Check(arguments) => run_check(arguments, colour),
        EnvCommand::Example(arguments) => {
            write(arguments, |contract, environment, tree, secrets| example(contract, environment, tree, secrets))
        }
        EnvCommand::Doc(arguments) => write(arguments, |contract, _, tree, secrets| markdown(contract, tree, secrets)),
    }
}

fn run_check(arguments: &EnvCheckArguments, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let started = jiff::Timestamp::now();
    let root = root_of(&arguments.path)?;
    let in_force = InForce::load(&root, arguments.contract.contract.as_deref(), None)?;
    let (environment, source) = in_force.environment(arguments.contract.env)?;
    let engine = in_force.engine(&root, None)?;
    let tree = working_tree(&root)?;
    let process = arguments.process.then(process_environment);
    let contract = &in_force.contract;
    let outcome =
        check(&EnvCheck { contract, environment, tree: &tree, recogniser: &engine, process: process.as_ref() });
    let mut report = empty_report(ReportKind::EnvCheck, &arguments.path, started);
    report.tool = tool(Some(&engine));
    report.environment = Some(environment);
    report.environment_source = Some(source);
    report.contract = Some(in_force.origin.clone());
    report.coverage = vec![outcome.coverage];
    let mut cred4 = Evaluation { problems: outcome.cred4, ..Evaluation::default() };
    cred4.saw("templates and deployment files", format!("{} credential references", outcome.references.len()));
    let evaluations: [(&str, Evaluation); 5] = [
        ("CRED-4", cred4),
        ("ENV-1", outcome.env1),
        ("ENV-2", outcome.env2),
        ("ENV-3", outcome.env3),
        ("ENV-4", outcome.env4),
    ];
    let mut judged = Vec::new();
    for (id, evaluation) in evaluations {
        let Some(clause) = contract.clause(id) else { continue };
        let waivers: Vec<_> = contract.valid_waivers(today()).filter(|w| w.waives(clause.id.as_str())).collect();
        report.diagnostics.extend(evaluation.problems.iter().cloned());
        for what in &evaluation.incomplete {
            let problem = Diagnostic::error(id, what.clone()).why("what was not read cannot be called clean");
            if !report.diagnostics.iter().any(|d| d.what == *what) {
                report.diagnostics.push(problem.fix("make it readable, or exclude it with a reason in custody.toml"));
            }
        }
        judged.push(judge(clause, evaluation, &waivers, Vec::new()));
    }
    report.decision = decide(&judged);
    report.diagnostics.extend(outcome.notices);
    if report.coverage.iter().any(|c| c.is_incomplete()) && report.decision == Decision::MayRelease {
        report.decision = Decision::Incomplete;
    }
    report.duration_ms = elapsed_ms(started);
    output::emit(&report, &arguments.output, colour, Some(&root))
}

fn write(
    arguments: &EnvWrite,
    render: impl Fn(&Contract, Environment, &dyn FileTree, &dyn SecretRecogniser) -> String,
) -> Result<ExitCode, Failure> {
    let root = root_of(&arguments.path)?;
    let in_force = InForce::load(&root, arguments.contract.contract.as_deref(), None)?;
    let (environment, _) = in_force.environment(arguments.contract.env)?;
    let engine = in_force.engine(&root, None)?;
    let text = render(&in_force.contract, environment, &working_tree(&root)?, &engine);
    match &arguments.output {
        None => output::print(&text)?,
        Some(path) if path.exists() && !arguments.force => {
            let diagnostic = Diagnostic::error("exists", format!("{} exists", path.display()));
            return Err(Failure::usage(
                diagnostic.why("it may hold what nobody else has").fix("use --force to replace it"),
            ));
        }
        Some(path) => output::write_file(path, text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
