//! Looking a repository over for what belongs into its contract.

use std::collections::{BTreeMap, BTreeSet};

use custody_contract::file::{KeyItem, KeyType};
use custody_contract::{Contract, CredentialRef, Environment, FileTree, SecretRecogniser, Surface};
use custody_envkeys::dotenv::Document;
use custody_envkeys::{is_secret_name, validate};

use crate::references::{self, MAX_BYTES, is_aside};

/// A key of a template that the profile does not know.
pub(super) struct FoundKey {
    /// The templates that it stands in.
    pub(super) paths: BTreeSet<String>,
    /// What its name says, as long as every value agrees.
    pub(super) kind: KeyType,
    pub(super) secret: bool,
}

/// A credential reference.
#[derive(Default)]
pub(super) struct FoundReference {
    /// The files that name it.
    pub(super) paths: BTreeSet<String>,
    /// The environments of the templates and deployment files that name it: code and requests run anywhere.
    pub(super) environments: BTreeSet<Environment>,
}

/// What was found in a repository.
pub(super) struct Found {
    /// The profile that fits.
    pub(super) profile: Contract,
    pub(super) templates: BTreeMap<Environment, BTreeSet<String>>,
    pub(super) deployments: BTreeMap<Environment, BTreeSet<String>>,
    pub(super) keys: BTreeMap<String, FoundKey>,
    pub(super) surfaces: BTreeMap<Surface, BTreeSet<String>>,
    pub(super) references: BTreeMap<CredentialRef, FoundReference>,
}

impl Found {
    pub(super) fn look(tree: &dyn FileTree, recogniser: &dyn SecretRecogniser) -> Found {
        let mut found = Found {
            profile: Contract::builtin(),
            templates: BTreeMap::new(),
            deployments: BTreeMap::new(),
            keys: BTreeMap::new(),
            surfaces: BTreeMap::new(),
            references: BTreeMap::new(),
        };
        let mut ficecal = false;
        for path in tree.paths().iter().filter(|path| recogniser.recognise(path).is_none()) {
            ficecal |= is_path_of_ficecal(path);
            found.surface(path);
            let Some(content) = tree.read(path).ok().filter(|c| c.len() <= MAX_BYTES && !c.contains(&0)) else {
                continue;
            };
            ficecal |= !is_prose(path) && content.windows(FICECAL_KEY.len()).any(|window| window == FICECAL_KEY);
            found.file(path, &content, recogniser);
        }
        if !ficecal {
            found.profile = Contract::of_profile("custody").expect("the profile is built in");
        }
        found.keys.retain(|name, _| !found.profile.keys.iter().any(|k| k.name == *name));
        found
    }

    fn file(&mut self, path: &str, content: &[u8], recogniser: &dyn SecretRecogniser) {
        // Billing requests are fixtures to everyone but to the contract.
        let request = path.ends_with(".json") && path.split('/').any(is_billing_tool);
        if is_aside(path) && !request {
            return;
        }
        let template = is_template(path);
        let deployment = !template && is_deployment(path);
        let environment = environment_of(path, template.then_some(content));
        if template {
            self.templates.entry(environment).or_default().insert(path.to_owned());
            self.template_keys(path, content, recogniser);
        } else if deployment {
            self.deployments.entry(environment).or_default().insert(path.to_owned());
        }
        for (reference, _) in references::named_in(content, recogniser) {
            let known = self.references.entry(reference).or_default();
            known.paths.insert(path.to_owned());
            known.environments.extend((template || deployment).then_some(environment));
        }
    }

    fn surface(&mut self, path: &str) {
        if self.profile.surface_of(path).is_some() {
            return;
        }
        let mut directory = String::new();
        for part in path.rsplit_once('/').map_or("", |(directories, _)| directories).split('/') {
            directory.push_str(part);
            let surface = match part.to_ascii_lowercase().as_str() {
                "fixture" | "samples" | "mocks" | "__mocks__" | "golden" | "goldens" | "vcr" => Some(Surface::Fixtures),
                "screens" | "screen-captures" => Some(Surface::Screenshots),
                "proof" | "proofs" | "artifacts" | "audit-artifacts" => Some(Surface::Evidence),
                _ => None,
            };
            if let Some(surface) = surface {
                self.surfaces.entry(surface).or_default().insert(directory);
                return;
            }
            directory.push('/');
        }
    }

    fn template_keys(&mut self, path: &str, content: &[u8], recogniser: &dyn SecretRecogniser) {
        for entry in Document::parse(content).entries() {
            if !is_key(&entry.key) || recogniser.recognise(&entry.key).is_some() {
                continue;
            }
            let known = self.keys.entry(entry.key.clone()).or_insert_with(|| FoundKey {
                paths: BTreeSet::new(),
                kind: kind_of(&entry.key),
                secret: is_secret_name(&entry.key),
            });
            known.paths.insert(path.to_owned());
            let value = entry.value.as_deref().unwrap_or_default();
            if !value.is_empty()
                && validate(&KeyItem { kind: known.kind, ..KeyItem::default() }, value, recogniser).is_err()
            {
                known.kind = KeyType::String;
            }
        }
    }
}

/// What every key of FiceCal's starts with.
const FICECAL_KEY: &[u8] = b"FICECAL_";

fn is_path_of_ficecal(path: &str) -> bool {
    path.starts_with("scripts/validate-billing-") || path.split('/').any(is_billing_tool)
}

/// `billing.aws.ingest` and its like.
fn is_billing_tool(part: &str) -> bool {
    part.strip_prefix("billing.")
        .and_then(|rest| rest.strip_suffix(".ingest"))
        .is_some_and(|provider| !provider.is_empty())
}

fn is_prose(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    [".md", ".mdx", ".rst", ".adoc", ".txt", ".html"].iter().any(|end| lower.ends_with(end))
}

fn is_template(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    name.contains(".env")
        && [".example", ".sample", ".template", ".dist", ".defaults"].iter().any(|s| name.ends_with(s))
        || name == "env.example"
}

fn is_deployment(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    let yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    let compose = name.starts_with("docker-compose") || name.starts_with("compose.");
    let manifest = ["k8s/", "kubernetes/", "deploy/", "manifests/"]
        .iter()
        .any(|d| lower.starts_with(d) || lower.contains(&format!("/{d}")));
    yaml && (compose || manifest)
}

/// By `NODE_ENV` in a template, else by the words of the path.
fn environment_of(path: &str, template: Option<&[u8]>) -> Environment {
    let declared = template.and_then(|content| {
        let document = Document::parse(content);
        document.entry("NODE_ENV").and_then(|e| e.value.as_deref()?.parse().ok())
    });
    let words = || path.split(['/', '.', '-', '_']).map(str::to_ascii_lowercase).collect::<Vec<_>>();
    declared.unwrap_or_else(|| match words() {
        words if words.iter().any(|w| w == "live" || w.parse() == Ok(Environment::Prod)) => Environment::Prod,
        words if words.iter().any(|w| w.parse() == Ok(Environment::Stage)) => Environment::Stage,
        _ => Environment::Local,
    })
}

fn is_key(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn kind_of(name: &str) -> KeyType {
    let name = name.to_ascii_uppercase();
    match name.rsplit('_').next().unwrap_or_default() {
        "URL" | "ENDPOINT" => KeyType::Url,
        "PORT" => KeyType::Port,
        "DEBUG" | "ENABLED" => KeyType::Boolean,
        "REF" if name.ends_with("CREDENTIAL_REF") => KeyType::CredentialRef,
        _ => KeyType::String,
    }
}
