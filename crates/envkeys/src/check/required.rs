//! ENV-1: every required key is present, non-empty and well-formed.

use custody_contract::file::KeyItem;
use custody_contract::{Diagnostic, Environment, Evaluation, Level, Place};

use super::survey::DotenvFile;
use super::unit::{Unit, units};
use super::{Context, diagnostic, list};
use crate::deploy::{Source, interpolated};
use crate::dotenv::Quote;
use crate::key::validate;
use crate::template::{Class, classify};

const CODE: &str = "ENV-1";
const FIX: &str = "add it; `custody env example` writes a complete template";

pub(super) fn evaluate(context: &Context<'_>) -> Evaluation {
    let selected = context.input.environment;
    let mut evaluation = Evaluation::default();
    let mut looked_at = 0;
    for file in &context.survey.templates {
        for &environment in &file.environments {
            let mine = environment == selected;
            // What is wrong here stands under the selected environment already.
            if !mine && file.environments.contains(&selected) {
                continue;
            }
            let level = if mine { Level::Error } else { Level::Warning };
            let problems = template(context, file, environment, level);
            if mine {
                looked_at += 1;
                saw(context, &mut evaluation, &file.path, problems.len());
            }
            evaluation.problems.extend(problems);
        }
    }
    for unit in units(context) {
        let mine = unit.environments.contains(&selected);
        if !unit.takes_part(context) {
            if mine {
                let note = format!("{} sets none of the contract's keys", unit.name);
                let note = Diagnostic::note(CODE, note).at(unit.place.clone());
                evaluation.problems.push(note.why("it is not counted as a deployment of what the contract speaks of"));
            }
            continue;
        }
        let environment = if mine { selected } else { *unit.environments.first().unwrap_or(&selected) };
        let problems = deployment(context, &unit, environment, context.level(&unit.environments));
        if mine {
            looked_at += 1;
            saw(context, &mut evaluation, &unit.name, problems.len());
        }
        evaluation.problems.extend(problems);
    }
    for unread in context.survey.unread.iter().filter(|u| u.environments.contains(&selected)) {
        evaluation.incomplete.push(format!("{} was not read: {}", Place::at(&unread.path, unread.line, 0), unread.why));
        looked_at += 1;
    }
    if looked_at == 0 {
        fall_back(context, &mut evaluation);
    }
    evaluation
}

fn saw(context: &Context<'_>, evaluation: &mut Evaluation, what: &str, missing: usize) {
    let all = context.required(context.input.environment).len();
    evaluation
        .saw(what, format!("{} of {all} required keys of {}", all.saturating_sub(missing), context.input.environment));
}

/// Neither template nor deployment of the selected environment: the local templates at least have to name the keys.
fn fall_back(context: &Context<'_>, evaluation: &mut Evaluation) {
    let selected = context.input.environment;
    let required = context.required(selected);
    if required.is_empty() {
        evaluation.saw("contract", format!("no key is required in {selected}"));
        return;
    }
    let base: Vec<&DotenvFile> = context.survey.templates_of(Environment::Local).collect();
    if base.is_empty() || selected == Environment::Local {
        let names: Vec<&str> = required.iter().map(|k| k.name.as_str()).collect();
        evaluation.saw("templates and deployment files", format!("none of {selected}"));
        evaluation.problems.push(
            Diagnostic::error(CODE, format!("no file declares the keys of environment {selected}"))
                .why(format!("the contract requires {}, and there is no template and no deployment file", list(&names)))
                .fix("write a template with `custody env example`, or name the files under [environments] in custody.toml"),
        );
        return;
    }
    let paths: Vec<&str> = base.iter().map(|f| f.path.as_str()).collect();
    evaluation
        .saw(list(&paths), format!("names of {} required keys, in place of a template of {selected}", required.len()));
    evaluation.problems.push(
        Diagnostic::warning(CODE, format!("environment {selected} has no template and no deployment file of its own"))
            .at(Place::file(paths[0]))
            .why("the local template stands in for it: only the names of its keys can be checked")
            .fix(format!("write one: custody env example --env {selected}")),
    );
    for key in required {
        if !base.iter().any(|f| f.document.entry(&key.name).is_some()) {
            evaluation.problems.push(missing(Level::Error, key, Place::file(paths[0]), selected));
        }
    }
}

fn missing(level: Level, key: &KeyItem, place: Place, environment: Environment) -> Diagnostic {
    diagnostic(level, CODE, format!("{} is missing", key.name))
        .at(place)
        .why(format!("the contract requires it in {environment}"))
        .fix(FIX)
}

fn template(context: &Context<'_>, file: &DotenvFile, environment: Environment, level: Level) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let base = context.survey.base_template(file);
    for key in context.required(environment) {
        let Some(entry) = file.document.entry(&key.name) else {
            if base.is_some_and(|base| base.document.entry(&key.name).is_some()) {
                continue;
            }
            problems.push(missing(level, key, Place::file(&file.path), environment));
            continue;
        };
        let (line, column) = file.document.position(entry.key_span.start);
        let place = Place::at(&file.path, line, column);
        let value = entry.value.as_deref().unwrap_or("");
        let source = if entry.quote == Quote::Single { Source::Literal(value.into()) } else { interpolated(value) };
        // A template leaves the value of a secret empty.
        let may_be_empty = key.secret && entry.value.is_some();
        problems.extend(
            judge(context, key, &source, environment, may_be_empty).map(|p| p.into_diagnostic(level, key, place)),
        );
    }
    problems
}

fn deployment(context: &Context<'_>, unit: &Unit, environment: Environment, level: Level) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for key in context.required(environment) {
        if unit.all(&key.name).next().is_none() {
            let mut problem = missing(level, key, unit.place.clone(), environment);
            if !unit.outside.is_empty() {
                problem.why = format!(
                    "{}; it may come from {}, which is not in the tree, so nothing proves it",
                    problem.why,
                    list(&unit.outside)
                );
                problem.fix = "set it here, or take it by name from a Secret or ConfigMap".into();
            }
            problems.push(problem);
        }
        for (set, file) in unit.all(&key.name) {
            let place = Place::at(file, set.line, 0);
            let found = judge(context, key, &set.source, environment, false);
            let placeholder = match set.source.text() {
                Some(text) if !text.contains("{{") => {
                    let class =
                        classify(&context.setting(&key.name, text, Some(environment)), context.input.recogniser);
                    (class == Class::Placeholder).then_some(Fault::Placeholder)
                }
                _ => None,
            };
            problems.extend(found.or(placeholder).map(|p| p.into_diagnostic(level, key, place)));
        }
    }
    problems
}

enum Fault {
    Empty,
    Placeholder,
    Malformed(String),
}

impl Fault {
    fn into_diagnostic(self, level: Level, key: &KeyItem, place: Place) -> Diagnostic {
        let name = &key.name;
        let (what, why, fix) = match self {
            Fault::Empty => (format!("{name} is empty"), "the contract wants a value".into(), "give it a value"),
            Fault::Placeholder => {
                (format!("{name} is still a placeholder"), "a deployment needs the real value".into(), "set the value")
            }
            Fault::Malformed(why) => (format!("{name} is not well-formed"), why, "correct the value"),
        };
        diagnostic(level, CODE, what).at(place).why(why).fix(fix)
    }
}

/// What is wrong with the value of a required key. A placeholder and what only a run decides count as well-formed.
fn judge(
    context: &Context<'_>,
    key: &KeyItem,
    source: &Source,
    environment: Environment,
    may_be_empty: bool,
) -> Option<Fault> {
    let text = match source {
        Source::Literal(text) => text.as_str(),
        Source::Process { default: Some(text) } if !text.is_empty() => text.as_str(),
        _ => return None,
    };
    if text.trim().is_empty() {
        return (!may_be_empty).then_some(Fault::Empty);
    }
    let class = classify(&context.setting(&key.name, text, Some(environment)), context.input.recogniser);
    if class == Class::Placeholder {
        return None;
    }
    validate(key, text, context.input.recogniser).err().map(|breach| Fault::Malformed(breach.to_string()))
}
