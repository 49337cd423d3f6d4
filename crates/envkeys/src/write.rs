//! A safe template, and a table of the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use custody_contract::file::{KeyItem, KeyType};
use custody_contract::{Contract, Environment, FileTree, Place, SecretRecogniser};

use crate::check::Survey;
use crate::key::is_secret_name;
use crate::usage::{is_key, is_standard};

/// A commented template of all declared keys and of what the code reads beyond them. It holds no secret and passes
/// ENV-1 and ENV-3 itself.
pub fn example(
    contract: &Contract,
    environment: Environment,
    tree: &dyn FileTree,
    recogniser: &dyn SecretRecogniser,
) -> String {
    let survey = Survey::of(contract, tree);
    let mut out = format!(
        "# Environment keys of {environment}. Written by `custody env example`.\n\
         # Never put a real secret here: secrets come from the runtime environment or a secret manager.\n"
    );
    let (required, optional): (Vec<&KeyItem>, Vec<&KeyItem>) =
        contract.keys.iter().partition(|k| k.required.applies_to(environment));
    for (title, keys, wanted) in [("Required", &required, true), ("Optional", &optional, false)] {
        if keys.is_empty() {
            continue;
        }
        let _ = write!(out, "\n# --- {title} ---\n");
        for key in keys {
            let _ = write!(out, "\n# {}\n", about(key));
            let _ = writeln!(out, "{}={}", key.name, quoted(&value(key, environment, wanted)));
        }
    }
    undeclared(contract, environment, &survey, recogniser, &mut out);
    out
}

/// What the code reads, deployment files take, and templates have beyond the declared keys.
fn undeclared(
    contract: &Contract,
    environment: Environment,
    survey: &Survey,
    recogniser: &dyn SecretRecogniser,
    out: &mut String,
) {
    // A name can itself be a secret that somebody pasted there; nothing of it is shown then.
    let declared = |name: &str| {
        contract.keys.iter().any(|k| k.name == name) || is_standard(name) || recogniser.recognise(name).is_some()
    };
    let shown = |place: &str| if recogniser.recognise(place).is_some() { MASKED.to_owned() } else { place.to_owned() };
    let read = survey.reads.iter().filter(|(name, _)| !declared(name)).map(|(name, place)| (name.as_str(), place));
    let taken = survey
        .taken
        .iter()
        .filter(|(name, (_, needed))| *needed && !declared(name) && !survey.reads.contains_key(*name));
    let taken = taken.map(|(name, (place, _))| (name.as_str(), place));
    let sections: [(&str, Vec<(&str, &Place)>); 2] = [
        ("Read by the code, not declared in custody.toml", read.collect()),
        ("Taken by deployment files, not declared in custody.toml", taken.collect()),
    ];
    for (title, keys) in sections.iter().filter(|(_, keys)| !keys.is_empty()) {
        let _ = write!(out, "\n# --- {title} ---\n\n");
        for (name, place) in keys {
            let _ = writeln!(out, "# {}\n{name}=", shown(&place.to_string()));
        }
    }
    let entries = survey.templates_of(environment).flat_map(|f| f.document.entries().map(move |e| (f, e)));
    let left: BTreeMap<&str, &str> = entries
        .map(|(file, entry)| (entry.key.as_str(), file.path.as_str()))
        .filter(|(name, _)| is_key(name) && !declared(name) && !survey.reads.contains_key(*name))
        .filter(|(name, _)| !survey.taken.get(*name).is_some_and(|(_, needed)| *needed))
        .collect();
    if !left.is_empty() {
        out.push_str("\n# --- In a template today, read by no code by name ---\n\n");
        for (name, path) in left {
            let _ = writeln!(out, "# {}\n{name}=", shown(path));
        }
    }
}

/// What stands for a path that holds secret material.
const MASKED: &str = "a name that holds secret material (not shown)";

/// A Markdown table: each key with type, where it is required, where it is set and where it is read.
pub fn markdown(contract: &Contract, tree: &dyn FileTree, recogniser: &dyn SecretRecogniser) -> String {
    let survey = Survey::of(contract, tree);
    let mut out = String::from(
        "| key | type | required in | secret | example | description | set in | read in |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    // A path or a name can itself be a secret that somebody pasted there; nothing of it is shown then.
    fn shown_as<'t>(text: &'t str, recogniser: &dyn SecretRecogniser) -> &'t str {
        if recogniser.recognise(text).is_some() { MASKED } else { text }
    }
    let shown = |text| shown_as(text, recogniser);
    let set_in = |name: &str| {
        let templates = survey.templates.iter().filter(|f| f.document.entry(name).is_some()).map(|f| f.path.as_str());
        let deployments = survey.deployments.iter().filter(|f| {
            let sets = f.deployment.sets.iter().flat_map(|s| &s.keys);
            f.deployment.keys.iter().chain(sets).any(|k| k.name == name)
        });
        let mut paths: Vec<&str> = templates.chain(deployments.map(|f| f.path.as_str())).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.iter().map(|p| format!("`{}`", cell(shown(p)))).collect::<Vec<_>>().join(", ")
    };
    let read_in = |name: &str| {
        let place = survey.reads.get(name).or_else(|| survey.taken.get(name).map(|(place, _)| place));
        place.map(|p| format!("`{}:{}`", cell(shown(&p.file)), p.line)).unwrap_or_default()
    };
    for key in &contract.keys {
        let required: Vec<&str> = key.required.environments().map(Environment::as_str).collect();
        let example =
            key.example.as_deref().filter(|_| !key.secret).map(|e| format!("`{}`", cell(e))).unwrap_or_default();
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {example} | {} | {} | {} |",
            cell(&key.name),
            cell(&kind(key)),
            if required.is_empty() { "optional".into() } else { required.join(", ") },
            if key.secret { "yes" } else { "no" },
            cell(key.description.as_deref().unwrap_or("")),
            set_in(&key.name),
            read_in(&key.name),
        );
    }
    let declared = |name: &str| contract.keys.iter().any(|k| k.name == name);
    let in_templates = survey.templates.iter().filter(|f| !f.environments.is_empty());
    let in_templates = in_templates.flat_map(|f| f.document.entries()).map(|e| e.key.as_str());
    let found: BTreeSet<&str> =
        survey.reads.keys().chain(survey.taken.keys()).map(String::as_str).chain(in_templates).collect();
    let listed =
        |name: &str| is_key(name) && !declared(name) && !is_standard(name) && recogniser.recognise(name).is_none();
    for name in found.into_iter().filter(|n| listed(n)) {
        let secret = if is_secret_name(name) { "by its name" } else { "" };
        let _ = writeln!(
            out,
            "| `{}` | not declared | | {secret} | | | {} | {} |",
            cell(name),
            set_in(name),
            read_in(name)
        );
    }
    out
}

fn kind(key: &KeyItem) -> String {
    let name = serde_json::to_value(key.kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    if key.kind == KeyType::Enum { format!("one of {}", key.values.join(", ")) } else { name }
}

fn about(key: &KeyItem) -> String {
    let mut text = key.description.clone().unwrap_or_default();
    if !text.is_empty() && !text.ends_with('.') {
        text.push('.');
    }
    if !text.is_empty() {
        text.push(' ');
    }
    let _ = write!(text, "({}{})", kind(key), if key.secret { ", secret: inject it at run time" } else { "" });
    text.replace(['\n', '\r'], " ")
}

/// A value for the template: the example, one that fits the environment, a placeholder for what is required, or nothing.
fn value(key: &KeyItem, environment: Environment, required: bool) -> String {
    if key.secret || (is_secret_name(&key.name) && !required) {
        return String::new();
    }
    let example = key.example.clone().unwrap_or_default();
    let placeholder = || if required { format!("<{}>", kind_word(key)) } else { String::new() };
    if key.kind == KeyType::Enum {
        let named = |e: Environment| key.values.iter().find(|v| v.parse() == Ok(e)).cloned();
        let strict = key.values.iter().find(|v| *v == "strict").filter(|_| environment.is_release()).cloned();
        let fitting = named(environment).or_else(|| named(Environment::Prod).filter(|_| environment.is_release()));
        let first = || key.values.first().cloned().filter(|_| required);
        return fitting
            .or(strict)
            .or_else(|| Some(example).filter(|e| !e.is_empty()))
            .or_else(first)
            .unwrap_or_default();
    }
    // What is local by its looks belongs into local files only.
    let local = example.contains("local") && environment.is_release();
    if example.is_empty() || local { placeholder() } else { example }
}

fn kind_word(key: &KeyItem) -> String {
    match key.kind {
        KeyType::String => key.name.to_ascii_lowercase().replace('_', "-"),
        _ => kind(key),
    }
}

/// `value` so that all dialects read it alike, as far as that can be had.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if value.chars().all(plain) {
        value.into()
    } else if !value.contains(['"', '\\', '$', '`']) {
        format!("\"{value}\"")
    } else {
        format!("'{}'", value.replace('\'', ""))
    }
}

/// Text that stays within a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r', '`'], " ")
}
