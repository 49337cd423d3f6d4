//! Kubernetes manifests: containers' `env` and `envFrom`, ConfigMaps, Secrets; kustomizations' generators.

use super::compose::variables;
use super::yaml::{Node, NotRead, documents};
use super::{DeployedKey, Deployment, Import, Imported, KeySet, Source};

pub(super) fn parse(text: &str) -> Result<Deployment, NotRead> {
    let mut deployment = Deployment::default();
    for document in documents(text)? {
        read_object(&document, &mut deployment);
    }
    Ok(deployment)
}

fn read_object(object: &Node, deployment: &mut Deployment) {
    match object.text_at("kind") {
        "List" => {
            for item in object.get("items").map_or(&[][..], Node::items) {
                read_object(item, deployment);
            }
        }
        "ConfigMap" => deployment.sets.push(config_map(object)),
        "Secret" => deployment.sets.push(secret(object)),
        "Kustomization" | "Component" => read_generators(object, deployment),
        kind => {
            let name = object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("");
            let owner = if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") };
            read_containers(object, &owner, deployment);
        }
    }
}

/// Containers at any depth: pod templates stand in many kinds of objects, custom ones among them.
fn read_containers(node: &Node, owner: &str, deployment: &mut Deployment) {
    for (key, value) in node.entries() {
        if matches!(key.as_str(), "containers" | "initContainers" | "ephemeralContainers") {
            for container in value.items() {
                let owner = format!("{owner}/{}", container.text_at("name"));
                read_container(container, &owner, deployment);
            }
        } else {
            read_containers(value, owner, deployment);
        }
    }
    for item in node.items() {
        read_containers(item, owner, deployment);
    }
}

fn read_container(container: &Node, owner: &str, deployment: &mut Deployment) {
    for variable in container.get("env").map_or(&[][..], Node::items) {
        let name = variable.text_at("name");
        if name.is_empty() {
            continue;
        }
        let from = variable.get("valueFrom");
        let value = variable.get("value");
        let source = match (from, value.and_then(Node::text)) {
            (Some(from), _) if from.get("secretKeyRef").is_some() => Source::Secret,
            (Some(_), _) => Source::Configuration,
            // `$(NAME)` refers to a variable that is set above.
            (None, Some(text)) if text.contains("$(") => Source::Mixed(text.into()),
            (None, text) => Source::Literal(text.unwrap_or("").into()),
        };
        let line = value.or(from).map_or(variable.line, |n| n.line);
        deployment.keys.push(DeployedKey { name: name.into(), source, line, owner: owner.into() });
    }
    for from in container.get("envFrom").map_or(&[][..], Node::items) {
        let prefix = from.text_at("prefix");
        for (kind, what) in
            [("configMapRef", Imported::ConfigMap as fn(String) -> Imported), ("secretRef", Imported::Secret)]
        {
            let Some(reference) = from.get(kind) else { continue };
            deployment.imports.push(Import {
                what: what(reference.text_at("name").into()),
                line: reference.line,
                optional: reference.text_at("optional") == "true",
                prefix: prefix.into(),
                owner: owner.into(),
            });
        }
    }
    for argument in ["command", "args"].iter().filter_map(|k| container.get(k)).flat_map(Node::items) {
        if let Some(text) = argument.text() {
            let source = Source::Literal(text.into());
            deployment.values.push(DeployedKey {
                name: "args".into(),
                source,
                line: argument.line,
                owner: owner.into(),
            });
        }
    }
}

fn config_map(object: &Node) -> KeySet {
    let name = object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("").to_owned();
    let owner = format!("ConfigMap {name}");
    let keys = object.get("data").map_or(&[][..], Node::entries).iter();
    let keys = keys.map(|(key, value)| literal(key, value.text().unwrap_or(""), value.line, &owner)).collect();
    KeySet { name, secret: false, keys }
}

/// `data` is Base64; what does not decode stays as it is (templates put text there).
fn secret(object: &Node) -> KeySet {
    let name = object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("").to_owned();
    let owner = format!("Secret {name}");
    let mut keys = Vec::new();
    for (key, value) in object.get("data").map_or(&[][..], Node::entries) {
        let text = value.text().unwrap_or("");
        let packed: String = text.split_whitespace().collect();
        let decoded = data_encoding::BASE64.decode(packed.as_bytes());
        let decoded = decoded.map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_else(|_| text.into());
        keys.push(literal(key, &decoded, value.line, &owner));
    }
    for (key, value) in object.get("stringData").map_or(&[][..], Node::entries) {
        keys.push(literal(key, value.text().unwrap_or(""), value.line, &owner));
    }
    KeySet { name, secret: true, keys }
}

fn read_generators(object: &Node, deployment: &mut Deployment) {
    for (field, secret) in [("configMapGenerator", false), ("secretGenerator", true)] {
        for generator in object.get(field).map_or(&[][..], Node::items) {
            let name = generator.text_at("name").to_owned();
            let owner = format!("{field} {name}");
            let literals = generator.get("literals").map(|l| variables(l, &owner)).unwrap_or_default();
            let keys = literals
                .into_iter()
                .map(|k| DeployedKey { source: Source::Literal(k.source.text().unwrap_or("").into()), ..k })
                .collect();
            deployment.sets.push(KeySet { name, secret, keys });
            let files = generator.get("envs").map_or(&[][..], Node::items).iter().chain(generator.get("env"));
            for file in files {
                let Some(path) = file.text() else { continue };
                let what = Imported::File(path.into());
                deployment.imports.push(Import {
                    what,
                    line: file.line,
                    optional: false,
                    prefix: String::new(),
                    owner: owner.clone(),
                });
            }
        }
    }
}

fn literal(name: &str, value: &str, line: u32, owner: &str) -> DeployedKey {
    DeployedKey { name: name.into(), source: Source::Literal(value.into()), line, owner: owner.into() }
}
