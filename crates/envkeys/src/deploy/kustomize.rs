//! Kustomizations: generators, resources, components and patches.

use super::compose::variables;
use super::kubernetes::{read_container, read_containers, read_object, read_variable};
use super::yaml::{Node, documents};
use super::{DeployedKey, Deployment, KeySet, Link, Linked, Source};

/// Whether an object without a kind is a kustomization, going by its fields.
pub(super) fn looks_like_one(object: &Node) -> bool {
    let fields = ["resources", "configMapGenerator", "secretGenerator", "patches", "patchesStrategicMerge", "bases"];
    object.get("spec").is_none() && fields.iter().any(|f| object.get(f).is_some())
}

pub(super) fn read(object: &Node, deployment: &mut Deployment) {
    let link = |path: &Node, deployment: &mut Deployment| {
        // A patch may stand in the list itself.
        if let Some(text) = path.text().filter(|t| !t.contains('\n')) {
            deployment.links.push(Link { to: Linked::Resource(text.into()), line: path.line });
        } else if let Some(text) = path.text() {
            read_patch(text, path.line, deployment);
        }
    };
    for field in ["bases", "resources", "components", "patchesStrategicMerge"] {
        for path in object.get(field).map_or(&[][..], Node::items) {
            link(path, deployment);
        }
    }
    for field in ["patches", "patchesJson6902"] {
        for entry in object.get(field).map_or(&[][..], Node::items) {
            if let Some(path) = entry.get("path") {
                link(path, deployment);
            }
            if let Some(patch) = entry.get("patch")
                && let Some(text) = patch.text()
            {
                read_patch(text, patch.line, deployment);
            }
        }
    }
    for (field, secret) in [("configMapGenerator", false), ("secretGenerator", true)] {
        for generator in object.get(field).map_or(&[][..], Node::items) {
            deployment.sets.push(generated(generator, field, secret));
        }
    }
}

fn generated(generator: &Node, field: &str, secret: bool) -> KeySet {
    let name = generator.text_at("name").to_owned();
    let owner = format!("{field} {name}");
    let literals = generator.get("literals").map(|l| variables(l, &owner)).unwrap_or_default();
    // A literal is taken as it stands: kustomize puts nothing in.
    let plain =
        |item: &Node, name: &str| item.text().and_then(|t| t.strip_prefix(name)?.strip_prefix('=')).map(unquoted);
    let texts = generator.get("literals").map_or(&[][..], Node::items);
    let mut keys: Vec<DeployedKey> = literals
        .into_iter()
        .map(|key| {
            let text = texts.iter().find_map(|item| plain(item, &key.name)).unwrap_or_default();
            DeployedKey { source: Source::Literal(text), ..key }
        })
        .collect();
    for file in generator.get("files").map_or(&[][..], Node::items) {
        let Some(text) = file.text() else { continue };
        let name = text.split_once('=').map_or_else(|| text.rsplit('/').next().unwrap_or(text), |(name, _)| name);
        keys.push(DeployedKey {
            name: name.into(),
            source: Source::Configuration,
            line: file.line,
            owner: owner.clone(),
        });
    }
    let listed = generator.get("envs").map_or(&[][..], Node::items).iter().chain(generator.get("env"));
    let files = listed.filter_map(Node::text).map(str::to_owned).collect();
    KeySet { name, secret, keys, files }
}

fn unquoted(text: &str) -> String {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text).to_owned()
}

/// A patch that stands in the kustomization: an object, or a list of operations.
fn read_patch(text: &str, line: u32, deployment: &mut Deployment) {
    let Ok(patches) = documents(text) else {
        deployment.not_evaluated.push((line, "a patch that is no YAML"));
        return;
    };
    let mut found = Deployment::default();
    for patch in &patches {
        if patch.items().is_empty() {
            read_object(patch, &mut found);
        } else {
            read_operations(patch, "patch", &mut found);
        }
    }
    // The patch's own lines count from its first one, on which the node stands.
    let placed = |key: DeployedKey| DeployedKey { line: line.saturating_add(key.line).saturating_sub(1), ..key };
    deployment.keys.extend(found.keys.into_iter().map(placed));
    deployment.values.extend(found.values.into_iter().map(placed));
    deployment.imports.extend(found.imports);
    deployment.sets.extend(found.sets);
}

/// Operations of a JSON patch (RFC 6902) that add or replace variables.
pub(super) fn read_operations(operations: &Node, owner: &str, deployment: &mut Deployment) {
    for operation in operations.items() {
        let (path, Some(value)) = (operation.text_at("path"), operation.get("value")) else { continue };
        if !matches!(operation.text_at("op"), "add" | "replace") {
            continue;
        }
        let last = path.rsplit('/').next().unwrap_or("");
        if last == "env" {
            value.items().iter().for_each(|v| read_variable(v, owner, deployment));
        } else if path.contains("/env/") {
            read_variable(value, owner, deployment);
        } else if path.contains("ontainers/") && value.get("name").is_some() {
            read_container(value, owner, deployment);
        } else {
            read_containers(value, owner, deployment);
        }
    }
}
