//! Kubernetes manifests: containers' `env` and `envFrom`, ConfigMaps, Secrets.

use super::kustomize;
use super::yaml::{Node, NotRead, documents};
use super::{DeployedKey, Deployment, Import, Imported, KeySet, Source};

pub(super) fn parse(text: &str) -> Result<Deployment, NotRead> {
    let mut deployment = Deployment::default();
    for document in documents(text)? {
        read_object(&document, &mut deployment);
    }
    Ok(deployment)
}

pub(super) fn read_object(object: &Node, deployment: &mut Deployment) {
    match object.text_at("kind") {
        // `List`, `ConfigMapList` …, and OpenShift's templates.
        kind if (kind.ends_with("List") && object.get("items").is_some()) || kind == "Template" => {
            let field = if kind == "Template" { "objects" } else { "items" };
            for item in object.get(field).map_or(&[][..], Node::items) {
                read_object(item, deployment);
            }
        }
        "ConfigMap" => deployment.sets.push(config_map(object)),
        "Secret" => deployment.sets.push(secret(object)),
        "Kustomization" | "Component" => kustomize::read(object, deployment),
        // A kustomization may leave its kind out, and a patch may be a list of operations.
        "" if kustomize::looks_like_one(object) => kustomize::read(object, deployment),
        "" if !object.items().is_empty() => kustomize::read_operations(object, "patch", deployment),
        kind => {
            let name = object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("");
            let owner = if name.is_empty() { kind.to_owned() } else { format!("{kind} {name}") };
            read_containers(object, &owner, deployment);
        }
    }
}

/// Containers at any depth: pod templates stand in many kinds of objects, custom ones among them.
pub(super) fn read_containers(node: &Node, owner: &str, deployment: &mut Deployment) {
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

pub(super) fn read_container(container: &Node, owner: &str, deployment: &mut Deployment) {
    for variable in container.get("env").map_or(&[][..], Node::items) {
        read_variable(variable, owner, deployment);
    }
    read_env_from(container, owner, deployment);
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

/// An entry of `env`.
pub(super) fn read_variable(variable: &Node, owner: &str, deployment: &mut Deployment) {
    let name = variable.text_at("name");
    if name.is_empty() {
        return;
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

/// `envFrom` of a container.
fn read_env_from(container: &Node, owner: &str, deployment: &mut Deployment) {
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
}

fn config_map(object: &Node) -> KeySet {
    let name = object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("").to_owned();
    let owner = format!("ConfigMap {name}");
    let keys = object.get("data").map_or(&[][..], Node::entries).iter();
    let keys = keys.map(|(key, value)| literal(key, value.text().unwrap_or(""), value.line, &owner)).collect();
    KeySet { name, secret: false, keys, files: Vec::new() }
}

fn secret(object: &Node) -> KeySet {
    let name = object.at(&["metadata", "name"]).and_then(Node::text).unwrap_or("").to_owned();
    let owner = format!("Secret {name}");
    let mut keys = Vec::new();
    for (key, value) in object.get("data").map_or(&[][..], Node::entries) {
        let text = value.text().unwrap_or("");
        keys.push(literal(key, &decoded(text), value.line, &owner));
    }
    for (key, value) in object.get("stringData").map_or(&[][..], Node::entries) {
        keys.push(literal(key, value.text().unwrap_or(""), value.line, &owner));
    }
    KeySet { name, secret: true, keys, files: Vec::new() }
}

/// Base64 undone; what does not decode stays as it is (templates put text there).
pub(super) fn decoded(text: &str) -> String {
    let packed: String = text.split_whitespace().collect();
    let bytes = data_encoding::BASE64.decode(packed.as_bytes());
    bytes.map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_else(|_| text.into())
}

fn literal(name: &str, value: &str, line: u32, owner: &str) -> DeployedKey {
    DeployedKey { name: name.into(), source: Source::Literal(value.into()), line, owner: owner.into() }
}
