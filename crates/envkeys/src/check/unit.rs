//! What is deployed together, with what it takes in from other files.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use custody_contract::{Environment, Place};

use super::survey::{DeploymentFile, deployed};
use super::{Context, charts, follow};
use crate::deploy::{DeployedKey, Format, Import, Imported, Source, imported};
use crate::dotenv::Document;
use crate::template::{Class, classify};

/// Files that set one environment's keys together: a Compose file, a workflow, a dotenv file, or all manifests.
pub(super) struct Unit {
    /// How messages call it.
    pub(super) name: String,
    pub(super) place: Place,
    /// Each key with the file that its line is in.
    pub(super) keys: Vec<(DeployedKey, String)>,
    /// Where in `keys` each name and owner is.
    index: HashMap<(String, String), usize>,
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
    let overridden: HashMap<&str, Vec<Environment>> = named()
        .filter_map(|f| Some((follow::overridden(context, f)?.path.as_str(), f.environments.clone())))
        .fold(HashMap::new(), |mut all, (path, environments)| {
            all.entry(path).or_insert_with(Vec::new).extend(environments);
            all
        });
    for file in named() {
        // A Dockerfile builds an image and a pipeline's variables steer a pipeline: neither has to carry every key.
        if !matches!(file.format, None | Some(Format::Compose | Format::Workflow)) {
            continue;
        }
        // Where an override of the same environments is named too, the two are one.
        let overrides = overridden.get(file.path.as_str());
        let has_override = overrides.is_some_and(|of| of.iter().any(|e| file.environments.contains(e)));
        if has_override || (file.format.is_none() && is_taken_in(context, file)) {
            continue;
        }
        match follow::overridden(context, file) {
            Some(base) => {
                let name = format!("{} over {}", file.path, base.path);
                units.push(unit(context, name, &[base, file], file.environments.clone()));
                if let Some(unit) = units.last_mut() {
                    unit.place = Place::file(&file.path);
                }
            }
            None => units.push(unit(context, file.path.clone(), &[file], file.environments.clone())),
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
        units.extend(charts::units(context, environment));
    }
    units
}

/// Whether another deployment file of the same environment takes a dotenv file in: then it is a part of that one.
fn is_taken_in(context: &Context<'_>, file: &DeploymentFile) -> bool {
    let takes = |other: &DeploymentFile, path: &str| follow::joined(&other.path, path).as_deref() == Some(&file.path);
    context.survey.deployments.iter().any(|other| {
        let deployment = &other.deployment;
        let imports = deployment.imports.iter().any(|i| matches!(&i.what, Imported::File(path) if takes(other, path)));
        let shared = other.environments.iter().any(|e| file.environments.contains(e));
        shared && (imports || deployment.sets.iter().flat_map(|s| &s.files).any(|path| takes(other, path)))
    })
}

fn unit(context: &Context<'_>, name: String, named: &[&DeploymentFile], environments: Vec<Environment>) -> Unit {
    let place = Place::file(named.first().map_or("", |f| f.path.as_str()));
    let mut unit = Unit::new(name, place, environments);
    let files = follow::closure(context, named);
    for file in &files {
        unit.outside.extend(follow::outside(context, file));
        let generated = file.deployment.sets.iter().flat_map(|set| &set.files);
        unit.outside.extend(generated.filter(|path| dotenv(context, &file.path, path).is_none()).cloned());
        // What is imported comes first: what the file itself sets stands over it.
        for import in &file.deployment.imports {
            unit.import(context, file, &files, import);
        }
        for (service, inherited) in inherited(context, file) {
            for (base, name) in &inherited {
                for import in base.deployment.imports.iter().filter(|i| i.owner == *name) {
                    let import = Import { owner: service.clone(), ..import.clone() };
                    unit.import(context, base, &files, &import);
                }
            }
            for (base, name) in &inherited {
                for key in base.deployment.keys.iter().filter(|k| k.owner == *name) {
                    unit.set(DeployedKey { owner: service.clone(), ..key.clone() }, &base.path);
                }
            }
        }
        // A workflow that is called has its own jobs and steps, whatever their names.
        let called = file.format == Some(Format::Workflow) && !named.iter().any(|f| f.path == file.path);
        for key in &file.deployment.keys {
            let owner = if called { format!("{} {}", file.path, key.owner) } else { key.owner.clone() };
            unit.set(DeployedKey { owner, ..key.clone() }, &file.path);
        }
    }
    unit
}

/// Each service of a file that extends others, with those others.
fn inherited<'a>(context: &Context<'a>, file: &'a DeploymentFile) -> Vec<(String, Vec<(&'a DeploymentFile, &'a str)>)> {
    file.deployment.extends.keys().map(|service| (service.clone(), follow::bases(context, file, service))).collect()
}

impl Unit {
    pub(super) fn new(name: String, place: Place, environments: Vec<Environment>) -> Unit {
        Unit { name, place, keys: Vec::new(), index: HashMap::new(), outside: Vec::new(), environments }
    }

    /// Sets a key; an earlier setting for the same owner is gone.
    pub(super) fn set(&mut self, key: DeployedKey, file: &str) {
        match self.index.entry((key.name.clone(), key.owner.clone())) {
            Entry::Occupied(at) => self.keys[*at.get()] = (key, file.to_owned()),
            Entry::Vacant(at) => {
                at.insert(self.keys.len());
                self.keys.push((key, file.to_owned()));
            }
        }
    }

    fn import(&mut self, context: &Context<'_>, file: &DeploymentFile, files: &[&DeploymentFile], import: &Import) {
        match resolve(context, file, files, import) {
            Some(keys) => keys.into_iter().for_each(|key| self.set(key, &file.path)),
            None if import.optional => {}
            None => self.outside.push(match &import.what {
                Imported::File(path) => path.clone(),
                Imported::ConfigMap(name) => format!("ConfigMap {name}"),
                Imported::Secret(name) => format!("Secret {name}"),
            }),
        }
    }
}

fn resolve(
    context: &Context<'_>,
    file: &DeploymentFile,
    files: &[&DeploymentFile],
    import: &Import,
) -> Option<Vec<DeployedKey>> {
    let (name, secret) = match &import.what {
        Imported::File(path) => {
            return dotenv(context, &file.path, path).map(|keys| imported(&keys, false, import));
        }
        Imported::ConfigMap(name) => (name, false),
        Imported::Secret(name) => (name, true),
    };
    let mut keys = None;
    // A base and what is merged into it have the same name.
    for (file, set) in files.iter().flat_map(|f| f.deployment.sets.iter().map(move |s| (f, s))) {
        if set.name != *name || set.secret != secret {
            continue;
        }
        let keys: &mut Vec<DeployedKey> = keys.get_or_insert_default();
        for path in &set.files {
            let found = dotenv(context, &file.path, path).unwrap_or_default();
            keys.extend(imported(&found, secret, import));
        }
        keys.extend(imported(&set.keys, secret, import));
    }
    keys
}

/// The keys of a dotenv file, or of the template that stands beside it where the file itself is not in the tree.
fn dotenv(context: &Context<'_>, deployment: &str, path: &str) -> Option<Vec<DeployedKey>> {
    let path = follow::joined(deployment, path)?;
    if let Some(file) = context.survey.dotenv(&path) {
        return Some(deployed(&file.document));
    }
    let paths = context.input.tree.paths();
    if paths.binary_search(&path).is_ok() {
        return Some(deployed(&Document::parse(&context.input.tree.read(&path).ok()?)));
    }
    let template =
        ["example", "sample", "template", "dist"].iter().find_map(|s| context.survey.dotenv(&format!("{path}.{s}")));
    let mut keys = deployed(&template?.document);
    for key in &mut keys {
        // What the template leaves open is filled in in the file itself.
        let setting = context.setting(&key.name, key.source.text().unwrap_or(""), None);
        if matches!(classify(&setting, context.input.recogniser), Class::Empty | Class::Placeholder) {
            key.source = Source::Process { default: None };
        }
    }
    Some(keys)
}
