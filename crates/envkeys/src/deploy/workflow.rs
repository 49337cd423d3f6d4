//! GitHub Actions workflows and composite actions: `env` of workflow, job, container, service and step; `with` of steps;
//! what steps write to `$GITHUB_ENV`; reusable workflows and actions of the same repository.

use std::sync::LazyLock;

use regex::Regex;

use super::yaml::{Node, NotRead, documents};
use super::{DeployedKey, Deployment, Link, Linked, Source};

pub(super) fn parse(text: &str) -> Result<Deployment, NotRead> {
    let mut deployment = Deployment::default();
    for document in documents(text)? {
        read(&document, "workflow", &mut deployment);
    }
    Ok(deployment)
}

fn read(node: &Node, owner: &str, deployment: &mut Deployment) {
    for (key, value) in node.entries() {
        match key.as_str() {
            "env" => deployment.keys.extend(settings(value, owner)),
            // `with` of a step or of a called workflow; its `secrets` are references by nature.
            "with" => deployment.values.extend(settings(value, owner)),
            "jobs" => value.entries().iter().for_each(|(name, job)| read(job, &format!("job {name}"), deployment)),
            "inputs" | "outputs" | "on" | "permissions" => {}
            "uses" => called(value, node, deployment),
            "run" => deployment.keys.extend(written(value, owner)),
            _ => read(value, owner, deployment),
        }
    }
    for (index, item) in node.items().iter().enumerate() {
        let name = item.text_at("name");
        let step = if name.is_empty() { format!("{owner} step {}", index + 1) } else { format!("{owner} step {name}") };
        read(item, &step, deployment);
    }
}

/// A reusable workflow, or an action; those of other repositories are not in the tree.
fn called(uses: &Node, caller: &Node, deployment: &mut Deployment) {
    let Some(path) = uses.text() else { return };
    if path.starts_with("./") || path.starts_with(".github/") {
        deployment.links.push(Link { to: Linked::Called(path.into()), line: uses.line });
    } else if path.contains("/.github/workflows/") {
        // A whole job runs elsewhere, with all secrets of this repository where it inherits them.
        let why = if caller.text_at("secrets") == "inherit" {
            "a workflow of another repository gets all secrets of this one, and is not followed"
        } else {
            "a workflow of another repository is not followed"
        };
        deployment.not_evaluated.push((uses.line, why));
    }
}

/// `echo "KEY=value" >> $GITHUB_ENV`: the steps behind get the key.
fn written(run: &Node, owner: &str) -> Vec<DeployedKey> {
    static WRITE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?m)["'\s]([A-Za-z_][A-Za-z0-9_]*)=([^\n]*?)["']?\s*(?:>>|\|\s*(?:tee|Out-File)\b[^\n$]*)\s*["']?\$(?:env:|\{)?GITHUB_ENV"#)
            .expect("constant")
    });
    let Some(text) = run.text().filter(|t| t.contains("GITHUB_ENV")) else { return Vec::new() };
    let key = |found: regex::Captures<'_>| {
        let source = match &found[2] {
            value if value.contains("${{") => source(value),
            value if value.contains(['$', '`']) => Source::Process { default: None },
            value => Source::Literal(value.into()),
        };
        DeployedKey { name: found[1].into(), source, line: run.line, owner: owner.into() }
    };
    WRITE.captures_iter(text).map(key).collect()
}

fn settings(node: &Node, owner: &str) -> Vec<DeployedKey> {
    let setting = |(name, value): &(String, Node)| {
        let source = if value.is_null() { Source::Literal(String::new()) } else { source(value.text()?) };
        Some(DeployedKey { name: name.clone(), source, line: value.line, owner: owner.into() })
    };
    node.entries().iter().filter_map(setting).collect()
}

/// `${{ secrets.X }}`, `${{ vars.X }}` and other expressions, alone or in text.
fn source(text: &str) -> Source {
    let trimmed = text.trim();
    let Some(inner) = trimmed.strip_prefix("${{").and_then(|t| t.strip_suffix("}}")).filter(|i| !i.contains("${{"))
    else {
        return if text.contains("${{") { Source::Mixed(text.into()) } else { Source::Literal(text.into()) };
    };
    // `${{ secrets.X || 'literal' }}`: the literal is a default that stands in the file.
    let default = inner.split_once("||").and_then(|(_, tail)| tail.trim().strip_prefix('\'')?.split('\'').next());
    match default {
        Some(default) => Source::Process { default: Some(default.into()) },
        None if inner.contains("secrets.") || inner.contains("github.token") => Source::Secret,
        None if inner.contains("vars.") => Source::Configuration,
        None => Source::Process { default: None },
    }
}
