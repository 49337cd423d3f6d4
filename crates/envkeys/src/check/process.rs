//! The live process environment: required keys are there, references are references. Values are never shown.

use std::collections::BTreeMap;

use custody_contract::file::KeyType;
use custody_contract::{CredentialRef, Diagnostic, RefProblem};

use super::{Context, EnvOutcome};
use crate::key::validate;

pub(super) fn check(context: &Context<'_>, process: &BTreeMap<String, String>, outcome: &mut EnvOutcome) {
    let environment = context.input.environment;
    let recogniser = context.input.recogniser;
    let required = context.required(environment);
    let present = required.iter().filter(|k| process.get(&k.name).is_some_and(|v| !v.trim().is_empty())).count();
    outcome.env1.saw("process environment", format!("{present} of {} required keys of {environment}", required.len()));
    outcome.env2.saw("process environment", format!("{} variables", process.len()));
    outcome.env4.saw("process environment", format!("{} variables", process.len()));
    for key in &context.input.contract.keys {
        let wanted = key.required.applies_to(environment);
        let (code, into) = if wanted { ("ENV-1", &mut outcome.env1) } else { ("ENV-2", &mut outcome.env2) };
        let problem = |what: &str| Diagnostic::error(code, format!("{} {what} in the process environment", key.name));
        let Some(value) = process.get(&key.name).map(String::as_str).filter(|v| !v.trim().is_empty()) else {
            if wanted {
                let problem = problem("is missing or empty").why(format!("the contract requires it in {environment}"));
                into.problems.push(problem.fix("set it where the process is started"));
            }
            continue;
        };
        if let Err(breach) = validate(key, value, recogniser) {
            into.problems.push(problem("is not well-formed").why(breach.to_string()).fix("correct the value"));
        }
        for other in &key.requires {
            if process.get(other).is_none_or(|v| v.trim().is_empty()) {
                let problem = Diagnostic::error(
                    "ENV-2",
                    format!("{} is set without {other} in the process environment", key.name),
                );
                outcome
                    .env2
                    .problems
                    .push(problem.why("the contract says that it needs it").fix(format!("set {other}")));
            }
        }
        if key.kind == KeyType::CredentialRef {
            reference(context, &key.name, value, outcome);
        }
    }
}

fn reference(context: &Context<'_>, name: &str, value: &str, outcome: &mut EnvOutcome) {
    match CredentialRef::parse_with(value, context.input.recogniser) {
        Ok(reference) => {
            let place = custody_contract::Place::file("process environment");
            outcome.references.push((reference, place));
        }
        Err(error) => {
            let what = format!("{name} holds no credential reference in the process environment");
            let cred4 = Diagnostic::error("CRED-4", what).why(error.to_string());
            outcome.cred4.push(cred4.fix("set it to cred://provider/scope/access"));
            if matches!(error.problem, RefProblem::SecretMaterial { .. }) {
                let what = format!("{name} holds a raw secret in the process environment");
                let env4 = Diagnostic::error("ENV-4", what).why(error.to_string());
                outcome.env4.problems.push(env4.fix("set a cred:// reference instead, and rotate the secret"));
            }
        }
    }
}
