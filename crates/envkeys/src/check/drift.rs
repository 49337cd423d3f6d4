//! ENV-2, drift: keys that only one side knows.

use std::collections::BTreeSet;

use custody_contract::{Diagnostic, Evaluation, Place};

use super::survey::DotenvFile;
use super::unit::units;
use super::{Context, list};
use crate::deploy::Format;
use crate::usage::is_standard;

const CODE: &str = "ENV-2";
/// How many undeclared reads are named one by one.
const MAX_NAMED: usize = 50;

pub(super) fn evaluate(context: &Context<'_>, evaluation: &mut Evaluation) {
    undeclared(context, evaluation);
    between_templates(context, evaluation);
    code(context, evaluation);
}

/// Keys in the contract's files that the contract does not declare.
fn undeclared(context: &Context<'_>, evaluation: &mut Evaluation) {
    let unknown = |name: &str| context.key(name).is_none() && !is_standard(name);
    let mut report = |place: Place, names: &BTreeSet<&str>| {
        if names.is_empty() {
            return;
        }
        let names: Vec<&str> = names.iter().copied().collect();
        let what = match names.as_slice() {
            [one] => format!("the contract does not declare {one}"),
            all => format!("the contract does not declare {} keys: {}", all.len(), list(all)),
        };
        let problem = Diagnostic::warning(CODE, what).at(place).why("what is not declared is not checked");
        evaluation.problems.push(problem.fix("declare it in custody.toml under [[key]], or remove it"));
    };
    // What a deployment takes in from a template is said there.
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for file in context.survey.templates.iter().filter(|f| !f.environments.is_empty()) {
        let entries: Vec<_> = file.document.entries().filter(|e| unknown(&e.key)).collect();
        let place = entries.first().map_or(Place::file(&file.path), |e| {
            let (line, column) = file.document.position(e.key_span.start);
            Place::at(&file.path, line, column)
        });
        let names: BTreeSet<&str> = entries.iter().map(|e| e.key.as_str()).collect();
        report(place, &names);
        named.extend(names);
    }
    for unit in units(context).iter().filter(|u| u.takes_part(context)) {
        let new = |name: &str| unknown(name) && !named.contains(name);
        let keys: Vec<_> = unit.relevant(context).filter(|(k, _)| new(&k.name)).collect();
        let place = keys.first().map_or(unit.place.clone(), |(k, file)| Place::at(file, k.line, 0));
        report(place, &keys.iter().map(|(k, _)| k.name.as_str()).collect());
    }
}

/// Keys in one template of the contract that another one lacks.
fn between_templates(context: &Context<'_>, evaluation: &mut Evaluation) {
    let survey = context.survey;
    let compared = |f: &&DotenvFile| !f.environments.is_empty() && survey.base_template(f).is_none();
    let templates: Vec<_> = survey.templates.iter().filter(compared).collect();
    let all: BTreeSet<&str> = templates.iter().flat_map(|f| f.document.entries()).map(|e| e.key.as_str()).collect();
    if templates.len() > 1 {
        evaluation.saw("templates compared", format!("{} files, {} keys", templates.len(), all.len()));
    }
    for file in &templates {
        let lacks: Vec<&str> = all.iter().copied().filter(|k| file.document.entry(k).is_none()).collect();
        if lacks.is_empty() {
            continue;
        }
        let problem =
            Diagnostic::warning(CODE, format!("the template lacks {}", list(&lacks))).at(Place::file(&file.path));
        let problem = problem.why("another template of the contract has them");
        evaluation.problems.push(problem.fix("add the keys, or remove them where they are not needed"));
    }
}

/// Keys that code reads and no template declares, and the other way round.
fn code(context: &Context<'_>, evaluation: &mut Evaluation) {
    let survey = context.survey;
    let reads = survey.reads.iter().filter(|(name, _)| !is_standard(name));
    evaluation.saw("code", format!("{} files, {} keys read", survey.code_files, reads.clone().count()));
    let in_templates: BTreeSet<&str> =
        survey.templates.iter().flat_map(|f| f.document.entries()).map(|e| e.key.as_str()).collect();
    // Where there is no template, the contract is where a key is declared.
    let is_declared = |name: &str| context.key(name).is_some();
    let suffices = |name: &str| survey.templates.is_empty() && is_declared(name);
    let missing: Vec<_> = reads.filter(|(name, _)| !in_templates.contains(name.as_str()) && !suffices(name)).collect();
    for (name, place) in missing.iter().take(MAX_NAMED) {
        let problem = Diagnostic::warning(CODE, format!("code reads {name}, and no template declares it"));
        let problem = problem.at((*place).clone()).why("whoever sets up an environment has to know of it");
        let fix = match (survey.templates.is_empty(), is_declared(name)) {
            (true, _) => format!("declare it in custody.toml, or write a template with {name}="),
            (false, false) => format!("declare it in custody.toml, and add {name}= to the template"),
            (false, true) => format!("add {name}= to the template"),
        };
        evaluation.problems.push(problem.fix(fix));
    }
    if missing.len() > MAX_NAMED {
        let names: Vec<&str> = missing[MAX_NAMED..].iter().map(|(n, _)| n.as_str()).collect();
        let what = format!("code reads {} more keys that no template declares: {}", names.len(), list(&names));
        evaluation.problems.push(Diagnostic::warning(CODE, what));
    }
    taken(context, &in_templates, evaluation);
    if survey.reads.is_empty() {
        return;
    }
    for file in survey.templates.iter().filter(|f| !f.environments.is_empty()) {
        let unread = |key: &str| {
            // Frameworks and libraries read NODE_ENV by themselves.
            let read = survey.reads.contains_key(key) || survey.taken.contains_key(key) || key == "NODE_ENV";
            !read && !is_standard(key)
        };
        let names: BTreeSet<&str> = file.document.entries().map(|e| e.key.as_str()).filter(|k| unread(k)).collect();
        let names: Vec<&str> = names.into_iter().collect();
        if !names.is_empty() {
            let note = Diagnostic::note(CODE, format!("no code reads {} by name", list(&names)));
            evaluation
                .problems
                .push(note.at(Place::file(&file.path)).why("it may be left over, or read by a dependency"));
        }
    }
}

/// Keys that deployment files themselves take from the process environment, without a fallback.
fn taken(context: &Context<'_>, in_templates: &BTreeSet<&str>, evaluation: &mut Evaluation) {
    let survey = context.survey;
    let missing: Vec<_> = survey
        .taken
        .iter()
        .filter(|(name, (_, needed))| {
            *needed && !is_standard(name) && !in_templates.contains(name.as_str()) && !survey.reads.contains_key(*name)
        })
        .collect();
    for (name, (place, _)) in missing.iter().take(MAX_NAMED) {
        let format = survey.deployment(&place.file).and_then(|f| f.format);
        let kind = format.map_or("file", Format::name);
        // What a Dockerfile's shell reads comes from its own instructions, or from whoever starts the container.
        let (what, fix) = if format == Some(Format::Dockerfile) {
            let what = format!("the Dockerfile reads {name}, and neither it nor a template declares it");
            (what, format!("declare it with ARG or ENV, or add {name}= to the template"))
        } else {
            let what = format!("the {kind} takes {name} from the process environment, and no template declares it");
            (what, format!("add {name}= to the template, or give a fallback where it is taken"))
        };
        let problem = Diagnostic::warning(CODE, what).at(place.clone());
        evaluation.problems.push(problem.why("whoever sets up an environment has to know of it").fix(fix));
    }
    if missing.len() > MAX_NAMED {
        let names: Vec<&str> = missing[MAX_NAMED..].iter().map(|(n, _)| n.as_str()).collect();
        let what =
            format!("deployment files take {} more keys that no template declares: {}", names.len(), list(&names));
        evaluation.problems.push(Diagnostic::warning(CODE, what));
    }
}
