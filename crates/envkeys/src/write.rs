//! A safe template, and a table of the keys.

use std::fmt::Write;

use custody_contract::file::{KeyItem, KeyType};
use custody_contract::{Contract, Environment, FileTree};

use crate::check::Survey;
use crate::key::is_secret_name;
use crate::usage::is_standard;

/// A commented template of all declared keys and of what the code reads beyond them. It holds no secret and passes
/// ENV-1 and ENV-3 itself.
pub fn example(contract: &Contract, environment: Environment, tree: &dyn FileTree) -> String {
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
    let declared = |name: &str| contract.keys.iter().any(|k| k.name == name);
    let undeclared: Vec<_> = survey.reads.iter().filter(|(name, _)| !declared(name) && !is_standard(name)).collect();
    if !undeclared.is_empty() {
        out.push_str("\n# --- Read by the code, not declared in custody.toml ---\n\n");
        for (name, place) in undeclared {
            let _ = writeln!(out, "# {place}\n{name}=");
        }
    }
    out
}

/// A Markdown table: each key with type, where it is required, where it is set and where it is read.
pub fn markdown(contract: &Contract, tree: &dyn FileTree) -> String {
    let survey = Survey::of(contract, tree);
    let mut out = String::from(
        "| key | type | required in | secret | example | description | set in | read in |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let set_in = |name: &str| {
        let templates = survey.templates.iter().filter(|f| f.document.entry(name).is_some()).map(|f| f.path.as_str());
        let deployments = survey.deployments.iter().filter(|f| {
            let sets = f.deployment.sets.iter().flat_map(|s| &s.keys);
            f.deployment.keys.iter().chain(sets).any(|k| k.name == name)
        });
        let mut paths: Vec<&str> = templates.chain(deployments.map(|f| f.path.as_str())).collect();
        paths.sort_unstable();
        paths.dedup();
        paths.iter().map(|p| format!("`{}`", cell(p))).collect::<Vec<_>>().join(", ")
    };
    let read_in =
        |name: &str| survey.reads.get(name).map(|p| format!("`{}:{}`", cell(&p.file), p.line)).unwrap_or_default();
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
    for name in survey.reads.keys().filter(|n| !declared(n) && !is_standard(n)) {
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
