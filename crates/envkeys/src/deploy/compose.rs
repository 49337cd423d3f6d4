//! Docker Compose files: `environment`, `env_file`, `build.args`, `configs`, `secrets`, `include`, `extends`
//! (Compose Specification).

use super::interpolation::{interpolated, references};
use super::yaml::{Node, NotRead, Yaml, documents};
use super::{DeployedKey, Deployment, Import, Imported, Link, Linked, SecretFile, Source};
use crate::usage::KeyRead;

pub(super) fn parse(text: &str) -> Result<Deployment, NotRead> {
    let mut deployment = Deployment::default();
    for document in documents(text)? {
        for (service, node) in document.get("services").map_or(&[][..], Node::entries) {
            deployment.services.push(service.clone());
            read_service(service, node, &mut deployment);
        }
        if let Some(include) = document.get("include") {
            read_includes(include, &mut deployment);
        }
        for section in ["configs", "secrets"] {
            for (name, node) in document.get(section).map_or(&[][..], Node::entries) {
                read_object(section, name, node, &mut deployment);
            }
        }
        read_references(&document, &mut deployment.reads);
    }
    Ok(deployment)
}

/// A list of paths, or of mappings whose `path` is one or several.
fn read_includes(node: &Node, deployment: &mut Deployment) {
    let entries = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
    for entry in entries {
        let path = entry.get("path").unwrap_or(entry);
        let paths = if path.items().is_empty() { std::slice::from_ref(path) } else { path.items() };
        for path in paths {
            match path.text() {
                Some(text) => deployment.links.push(Link { to: Linked::Include(text.into()), line: path.line }),
                None => deployment.not_evaluated.push((path.line, "include: an entry without a path")),
            }
        }
    }
}

/// A top-level config or secret: inline, from a variable, or from a file.
fn read_object(section: &str, name: &str, node: &Node, deployment: &mut Deployment) {
    if let Some(content) = node.get("content")
        && let Some(text) = content.text()
    {
        let source = interpolated(text);
        deployment.values.push(DeployedKey { name: name.into(), source, line: content.line, owner: section.into() });
    }
    if let Some(variable) = node.get("environment")
        && let Some(key) = variable.text()
    {
        deployment.reads.push(KeyRead { key: key.into(), line: variable.line, column: 0, default: false });
    }
    if section == "secrets"
        && let Some(file) = node.get("file")
        && let Some(path) = file.text()
    {
        deployment.secret_files.push(SecretFile { name: name.into(), path: path.into(), line: file.line });
    }
}

/// The variables that Compose puts in anywhere in the file.
fn read_references(node: &Node, reads: &mut Vec<KeyRead>) {
    match &node.value {
        Yaml::Null => {}
        Yaml::Scalar(text) => references(text, &mut |name, default| {
            reads.push(KeyRead { key: name.into(), line: node.line, column: 0, default });
        }),
        Yaml::List(items) => items.iter().for_each(|item| read_references(item, reads)),
        Yaml::Map(entries) => entries.iter().for_each(|(_, value)| read_references(value, reads)),
    }
}

fn read_service(service: &str, node: &Node, deployment: &mut Deployment) {
    if let Some(environment) = node.get("environment") {
        let keys = variables(environment, service);
        // An entry without a value is taken over from the process environment.
        let handed_on = |k: &&DeployedKey| {
            k.source == Source::Process { default: None } && !environment_text(environment, &k.name).contains('$')
        };
        let reads = keys.iter().filter(handed_on);
        let read = |k: &DeployedKey| KeyRead { key: k.name.clone(), line: k.line, column: 0, default: false };
        deployment.reads.extend(reads.map(read));
        deployment.keys.extend(keys);
    }
    if let Some(arguments) = node.at(&["build", "args"]) {
        deployment.values.extend(variables(arguments, service));
    }
    if let Some(files) = node.get("env_file") {
        deployment.imports.extend(env_files(files, service));
    }
    if let Some(extends) = node.get("extends") {
        let base = extends.get("service").unwrap_or(extends);
        match base.text() {
            Some(base) => {
                let file = extends.get("file").and_then(Node::text).map(str::to_owned);
                let to = Linked::Extends { file, base: base.into() };
                deployment.extends.insert(service.into(), Link { to, line: extends.line });
            }
            None => deployment.not_evaluated.push((extends.line, "extends: no service is named")),
        }
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

/// The text that stands for a key in a mapping; empty where there is none.
fn environment_text<'n>(environment: &'n Node, name: &str) -> &'n str {
    let listed =
        environment.items().iter().filter_map(Node::text).find_map(|t| t.strip_prefix(name)?.strip_prefix('='));
    environment.get(name).and_then(Node::text).or(listed).unwrap_or("")
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
