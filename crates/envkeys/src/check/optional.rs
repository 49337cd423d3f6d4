//! ENV-2: optional keys have values of their type where present, and are consistent with each other.

use custody_contract::{Diagnostic, Environment, Evaluation, Level, Place};

use super::survey::{DotenvFile, deployed};
use super::unit::{Unit, units};
use super::{Context, diagnostic};
use crate::deploy::{DeployedKey, Source};
use crate::key::validate;
use crate::template::{Class, classify};

const CODE: &str = "ENV-2";
/// Names of the contract's secret-indirection keys and of its adapter resolution.
const BACKEND: &str = "FICECAL_CREDENTIALS_BACKEND";
const ENDPOINT: &str = "FICECAL_SECRET_RESOLVER_ENDPOINT";
const RESOLUTION: &str = "BILLING_ADAPTER_RESOLUTION_MODE";
const LOCAL_BACKEND: &str = "local-dev";

pub(super) fn evaluate(context: &Context<'_>) -> Evaluation {
    let mut evaluation = Evaluation::default();
    let selected = context.input.environment;
    for file in context.survey.templates.iter().filter(|f| !f.environments.is_empty()) {
        let set = Set::of_template(file);
        let optional = judge(context, &set, &mut evaluation.problems);
        if file.environments.contains(&selected) {
            evaluation.saw(&file.path, format!("{optional} optional keys"));
        }
    }
    for unit in units(context).iter().filter(|u| u.takes_part(context)) {
        let set = Set::of_unit(unit);
        let optional = judge(context, &set, &mut evaluation.problems);
        if unit.environments.contains(&selected) {
            evaluation.saw(&unit.name, format!("{optional} optional keys"));
        }
    }
    if evaluation.evidence.is_empty() {
        evaluation.saw("templates and deployment files", format!("none of {selected}"));
    }
    evaluation
}

/// The keys that a file or unit sets.
struct Set {
    place: Place,
    environments: Vec<Environment>,
    keys: Vec<(DeployedKey, String)>,
}

impl Set {
    fn of_template(file: &DotenvFile) -> Set {
        let mut keys: Vec<(DeployedKey, String)> = Vec::new();
        for key in deployed(&file.document) {
            keys.retain(|(k, _)| k.name != key.name);
            keys.push((key, file.path.clone()));
        }
        Set { place: Place::file(&file.path), environments: file.environments.clone(), keys }
    }

    fn of_unit(unit: &Unit) -> Set {
        Set { place: unit.place.clone(), environments: unit.environments.clone(), keys: unit.keys.clone() }
    }

    /// The setting of a key with something in it.
    fn filled(&self, name: &str) -> Option<&(DeployedKey, String)> {
        self.keys.iter().find(|(k, _)| k.name == name && k.source.text().is_none_or(|t| !t.trim().is_empty()))
    }

    fn literal(&self, name: &str) -> Option<(&str, Place)> {
        self.filled(name).and_then(|(k, file)| match &k.source {
            Source::Literal(text) => Some((text.as_str(), Place::at(file, k.line, 0))),
            _ => None,
        })
    }
}

/// Gives the number of optional keys that were looked at.
fn judge(context: &Context<'_>, set: &Set, problems: &mut Vec<Diagnostic>) -> usize {
    let level = context.level(&set.environments);
    let mut looked_at = 0;
    for (setting, file) in &set.keys {
        let Some(key) = context.key(&setting.name) else { continue };
        if set.environments.iter().all(|&e| key.required.applies_to(e)) {
            continue;
        }
        looked_at += 1;
        let text = match &setting.source {
            Source::Literal(text) | Source::Process { default: Some(text) } => text.trim(),
            _ => continue,
        };
        let environment = set.environments.first().copied();
        let class = classify(&context.setting(&setting.name, text, environment), context.input.recogniser);
        if matches!(class, Class::Empty | Class::Placeholder) {
            continue;
        }
        if let Err(breach) = validate(key, text, context.input.recogniser) {
            let problem = diagnostic(level, CODE, format!("{} is not well-formed", setting.name));
            let problem = problem.at(Place::at(file, setting.line, 0)).why(breach.to_string());
            problems.push(problem.fix("correct the value, or leave the optional key out"));
        }
    }
    for (setting, file) in &set.keys {
        let Some(key) = context.key(&setting.name).filter(|k| set.filled(&k.name).is_some()) else { continue };
        for other in key.requires.iter().filter(|o| set.filled(o).is_none()) {
            let problem = diagnostic(level, CODE, format!("{} is set without {other}", setting.name));
            let problem =
                problem.at(Place::at(file, setting.line, 0)).why(format!("the contract says that it needs {other}"));
            problems.push(problem.fix(format!("set {other} as well, or leave {} out", setting.name)));
        }
    }
    consistency(context, set, level, problems);
    looked_at
}

/// What the contract's own keys have to do with each other and with the environment.
fn consistency(context: &Context<'_>, set: &Set, level: Level, problems: &mut Vec<Diagnostic>) {
    let release = set.environments.iter().any(|e| e.is_release());
    let declared = |name: &str| context.key(name).is_some();
    if declared(BACKEND)
        && declared(ENDPOINT)
        && set.filled(ENDPOINT).is_none()
        && let Some((backend, place)) = set.literal(BACKEND)
        && backend != LOCAL_BACKEND
    {
        let level = if release { level } else { Level::Warning };
        let problem = diagnostic(level, CODE, format!("{BACKEND} is set without {ENDPOINT}")).at(place);
        let problem = problem.why("only the backend local-dev resolves without an endpoint");
        problems.push(problem.fix(format!("set {ENDPOINT}")));
    }
    if release
        && declared(RESOLUTION)
        && let Some((mode, place)) = set.literal(RESOLUTION)
        && mode != "strict"
    {
        let problem = Diagnostic::warning(CODE, format!("{RESOLUTION} is not strict")).at(place);
        let problem = problem.why("in stage and prod an unknown adapter id should be an error, not another adapter");
        problems.push(problem.fix(format!("{RESOLUTION}=strict")));
    }
    if let Some((name, place)) = set.literal("NODE_ENV")
        && let Ok(named) = name.parse::<Environment>()
        && !set.environments.is_empty()
        && set.environments.iter().all(|e| e.is_release() != named.is_release())
    {
        let what = format!("NODE_ENV names environment {named} in a file of {}", set.environments[0]);
        let problem = Diagnostic::warning(CODE, what).at(place.clone());
        problems.push(problem.why("programs take their rules from it").fix("set it to the file's own environment"));
    }
    if set.keys.is_empty() {
        problems.push(Diagnostic::note(CODE, "the file sets no key").at(set.place.clone()));
    }
}
