//! Docker Compose files: `environment`, `env_file`, `build.args`, `configs`, `secrets` (Compose Specification).

use super::yaml::{Node, NotRead, Yaml, documents};
use super::{DeployedKey, Deployment, Import, Imported, Source, interpolated};

pub(super) fn parse(text: &str) -> Result<Deployment, NotRead> {
    let mut deployment = Deployment::default();
    for document in documents(text)? {
        for (service, node) in document.get("services").map_or(&[][..], Node::entries) {
            read_service(service, node, &mut deployment);
        }
        if let Some(include) = document.get("include") {
            deployment.not_evaluated.push((include.line, "include: the included files are not followed"));
        }
        for (name, config) in document.get("configs").map_or(&[][..], Node::entries) {
            if let Some(content) = config.get("content")
                && let Some(text) = content.text()
            {
                let key = DeployedKey {
                    name: name.clone(),
                    source: interpolated(text),
                    line: content.line,
                    owner: "configs".into(),
                };
                deployment.values.push(key);
            }
        }
    }
    Ok(deployment)
}

fn read_service(service: &str, node: &Node, deployment: &mut Deployment) {
    if let Some(environment) = node.get("environment") {
        deployment.keys.extend(variables(environment, service));
    }
    if let Some(arguments) = node.at(&["build", "args"]) {
        deployment.values.extend(variables(arguments, service));
    }
    if let Some(files) = node.get("env_file") {
        deployment.imports.extend(env_files(files, service));
    }
    if let Some(extends) = node.get("extends")
        && extends.get("file").is_some()
    {
        deployment.not_evaluated.push((extends.line, "extends: the other file is not followed"));
    }
    let command = node.get("command").into_iter().chain(node.get("entrypoint"));
    for node in command.flat_map(|n| std::iter::once(n).chain(n.items())) {
        if let Some(text) = node.text() {
            let key = DeployedKey {
                name: "command".into(),
                source: interpolated(text),
                line: node.line,
                owner: service.into(),
            };
            deployment.values.push(key);
        }
    }
}

/// A mapping, or a list of `KEY=value` and `KEY`.
pub(super) fn variables(node: &Node, owner: &str) -> Vec<DeployedKey> {
    let key = |name: &str, source, line| DeployedKey { name: name.into(), source, line, owner: owner.into() };
    let from_map = node.entries().iter().map(|(name, value)| {
        let source = match &value.value {
            // An empty entry takes the variable over from the process environment.
            Yaml::Null => Source::Process { default: None },
            Yaml::Scalar(text) => interpolated(text),
            _ => Source::Mixed(String::new()),
        };
        key(name, source, value.line)
    });
    let from_list = node.items().iter().filter_map(|item| {
        let text = item.text()?;
        Some(match text.split_once('=') {
            Some((name, value)) => key(name, interpolated(value), item.line),
            None => key(text, Source::Process { default: None }, item.line),
        })
    });
    from_map.chain(from_list).collect()
}

fn env_files(node: &Node, owner: &str) -> Vec<Import> {
    let one = |node: &Node| {
        let path = node.text().or_else(|| node.get("path").and_then(Node::text))?;
        Some(Import {
            what: Imported::File(path.into()),
            line: node.line,
            optional: node.text_at("required") == "false",
            prefix: String::new(),
            owner: owner.into(),
        })
    };
    if node.items().is_empty() {
        one(node).into_iter().collect()
    } else {
        node.items().iter().filter_map(one).collect()
    }
}
