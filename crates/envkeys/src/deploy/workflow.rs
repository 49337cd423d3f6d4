//! GitHub Actions workflows and composite actions: `env` of workflow, job, container, service and step; `with` of steps.

use super::yaml::{Node, NotRead, documents};
use super::{DeployedKey, Deployment, Source};

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
            _ => read(value, owner, deployment),
        }
    }
    for (index, item) in node.items().iter().enumerate() {
        let name = item.text_at("name");
        let step = if name.is_empty() { format!("{owner} step {}", index + 1) } else { format!("{owner} step {name}") };
        read(item, &step, deployment);
    }
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
