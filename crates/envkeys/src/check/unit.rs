//! What is deployed together, with what it takes in from other files.

use std::collections::BTreeSet;

use custody_contract::{Environment, Place};

use super::Context;
use super::survey::{DeploymentFile, deployed};
use crate::deploy::{DeployedKey, Format, Import, Imported, imported};
use crate::dotenv::Document;

/// Files that set one environment's keys together: a Compose file, a workflow, a dotenv file, or all manifests.
pub(super) struct Unit {
    /// How messages call it.
    pub(super) name: String,
    pub(super) place: Place,
    /// Each key with the file that its line is in.
    pub(super) keys: Vec<(DeployedKey, String)>,
    /// What it takes in that is not in the tree.
    pub(super) outside: Vec<String>,
    pub(super) environments: Vec<Environment>,
}

impl Unit {
    /// Whether it deploys what the contract speaks of: it sets at least one declared key.
    pub(super) fn takes_part(&self, context: &Context<'_>) -> bool {
        self.keys.iter().any(|(k, _)| context.key(&k.name).is_some())
    }

    /// The settings of a key, one per owner.
    pub(super) fn all<'u>(&'u self, name: &'u str) -> impl Iterator<Item = &'u (DeployedKey, String)> {
        self.keys.iter().filter(move |(k, _)| k.name == name)
    }

    /// Keys of owners that have something to do with the contract: a database beside the program is left alone.
    pub(super) fn relevant(&self, context: &Context<'_>) -> impl Iterator<Item = &(DeployedKey, String)> {
        let owners: BTreeSet<&str> =
            self.keys.iter().filter(|(k, _)| context.key(&k.name).is_some()).map(|(k, _)| k.owner.as_str()).collect();
        self.keys.iter().filter(move |(k, _)| owners.contains(k.owner.as_str()))
    }
}

/// The units of the files that the contract names as deployments of some environment.
pub(super) fn units(context: &Context<'_>) -> Vec<Unit> {
    let mut units = Vec::new();
    let named = || context.survey.deployments.iter().filter(|f| !f.environments.is_empty());
    for file in named() {
        // A Dockerfile builds an image and a pipeline's variables steer a pipeline: neither has to carry every key.
        if matches!(file.format, None | Some(Format::Compose | Format::Workflow)) {
            units.push(unit(context, file.path.clone(), &[file], file.environments.clone()));
        }
    }
    for environment in Environment::ALL {
        let is_manifest =
            |f: &&DeploymentFile| f.format == Some(Format::Kubernetes) && f.environments.contains(&environment);
        let files: Vec<&DeploymentFile> = named().filter(is_manifest).collect();
        match files.as_slice() {
            [] => {}
            [one] => units.push(unit(context, one.path.clone(), &files, vec![environment])),
            _ => {
                let name = format!("{} Kubernetes manifests of {environment}", files.len());
                units.push(unit(context, name, &files, vec![environment]));
            }
        }
    }
    units
}

fn unit(context: &Context<'_>, name: String, files: &[&DeploymentFile], environments: Vec<Environment>) -> Unit {
    let place = Place::file(files.first().map_or("", |f| f.path.as_str()));
    let mut unit = Unit { name, place, keys: Vec::new(), outside: Vec::new(), environments };
    for file in files {
        // What is imported comes first: what the file itself sets stands over it.
        for import in &file.deployment.imports {
            match resolve(context, file, files, import) {
                Some(keys) => unit.keys.extend(keys.into_iter().map(|k| (k, file.path.clone()))),
                None if import.optional => {}
                None => unit.outside.push(match &import.what {
                    Imported::File(path) => path.clone(),
                    Imported::ConfigMap(name) => format!("ConfigMap {name}"),
                    Imported::Secret(name) => format!("Secret {name}"),
                }),
            }
        }
        for key in &file.deployment.keys {
            unit.keys.retain(|(k, _)| k.name != key.name || k.owner != key.owner);
            unit.keys.push((key.clone(), file.path.clone()));
        }
    }
    unit
}

fn resolve(
    context: &Context<'_>,
    file: &DeploymentFile,
    files: &[&DeploymentFile],
    import: &Import,
) -> Option<Vec<DeployedKey>> {
    let (name, secret) = match &import.what {
        Imported::File(path) => return dotenv(context, &file.path, path, import),
        Imported::ConfigMap(name) => (name, false),
        Imported::Secret(name) => (name, true),
    };
    let mut sets = files.iter().flat_map(|f| &f.deployment.sets);
    let set = sets.find(|s| s.name == *name && s.secret == secret)?;
    Some(imported(&set.keys, secret, import))
}

/// The keys of a dotenv file, or of the template that stands beside it where the file itself is not in the tree.
fn dotenv(context: &Context<'_>, deployment: &str, path: &str, import: &Import) -> Option<Vec<DeployedKey>> {
    let path = joined(deployment, path)?;
    let keys = |document: &Document| imported(&deployed(document), false, import);
    if let Some(file) = context.survey.dotenv(&path) {
        return Some(keys(&file.document));
    }
    let paths = context.input.tree.paths();
    if paths.binary_search(&path).is_ok() {
        return Some(keys(&Document::parse(&context.input.tree.read(&path).ok()?)));
    }
    let template =
        ["example", "sample", "template", "dist"].iter().find_map(|s| context.survey.dotenv(&format!("{path}.{s}")));
    template.map(|file| keys(&file.document))
}

/// `path` as seen from the directory of `file`; `None` where it leaves the tree or is computed.
fn joined(file: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('$') {
        return None;
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
