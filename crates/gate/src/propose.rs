//! What `custody init` writes: a contract file made from what the repository holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use custody_contract::{Contract, CredentialRef, Environment, FileTree, SecretRecogniser, Surface};
use regex::bytes::Regex;

/// Larger files are not looked into for references.
const MAX_BYTES: usize = 1 << 20;

/// A commented `custody.toml` for the repository: environments, keys, surfaces and credentials that were found in it.
///
/// What the profile knows already is not repeated. Owners, windows and dates are left for people to fill in: ROT-1
/// fails until they do. A path, key or reference in which `recogniser` sees secret material is left out.
pub fn propose(tree: &dyn FileTree, recogniser: &dyn SecretRecogniser) -> String {
    let found = Found::look(tree, recogniser);
    let mut text = String::from(HEAD);
    found.write_environments(&mut text);
    found.write_keys(&mut text);
    found.write_surfaces(&mut text);
    found.write_credentials(&mut text);
    text.push_str(TAIL);
    text
}

const HEAD: &str = "\
#:schema https://custody.dev/schemas/custody.schema.json
# The contract that this repository is held to: `custody check` evaluates it, `custody explain` says what a clause means.
# It adds to the built-in profile; `custody contract schema` prints everything that may stand here.

contract = \"ficecal\"

# What `custody check` evaluates unless --env says otherwise: local, stage or prod.
default-environment = \"prod\"
";

const TAIL: &str = "
# --- Decisions ------------------------------------------------------------------------------------------------------
# A finding or clause that need not block for a while. Without owner, reason and expiry it does not count.
# [[waiver]]
# id = \"rotated-sandbox-key\"
# fingerprint = \"…\"            # or rule = \"…\", or clause = \"ENV-5c\"
# owner = \"platform\"
# reason = \"rotated on 2026-01-31, stays in history\"
# expires = 2026-12-31
";

/// What was found in a repository.
struct Found {
    profile: Contract,
    templates: BTreeMap<Environment, BTreeSet<String>>,
    deployments: BTreeMap<Environment, BTreeSet<String>>,
    keys: BTreeMap<String, BTreeSet<String>>,
    surfaces: BTreeMap<Surface, BTreeSet<String>>,
    references: BTreeMap<CredentialRef, BTreeSet<Environment>>,
}

impl Found {
    fn look(tree: &dyn FileTree, recogniser: &dyn SecretRecogniser) -> Found {
        let mut found = Found {
            profile: Contract::builtin(),
            templates: BTreeMap::new(),
            deployments: BTreeMap::new(),
            keys: BTreeMap::new(),
            surfaces: BTreeMap::new(),
            references: BTreeMap::new(),
        };
        let reference = Regex::new(r"(?i)\bcred://[A-Za-z0-9._/-]+").expect("the pattern is constant");
        for path in tree.paths().iter().filter(|path| recogniser.recognise(path).is_none()) {
            found.surface(path);
            let template = is_template(path);
            let deployment = is_deployment(path);
            let Some(content) = tree.read(path).ok().filter(|c| c.len() <= MAX_BYTES && !c.contains(&0)) else {
                continue;
            };
            let environment = environment_of(path, template.then_some(content.as_slice()));
            if template {
                found.templates.entry(environment).or_default().insert(path.clone());
                found.template_keys(path, &content, recogniser);
            } else if deployment {
                found.deployments.entry(environment).or_default().insert(path.clone());
            }
            // Prose and tests name references that nobody resolves.
            if path.ends_with(".md") || path.contains("test/") || path.contains(".test.") {
                continue;
            }
            for hit in reference.find_iter(&content) {
                let text = String::from_utf8_lossy(hit.as_bytes());
                if let Ok(reference) = CredentialRef::parse_with(text.trim_end_matches(['.', '/', '-']), recogniser) {
                    // Code and requests run anywhere; templates and deployments say where.
                    let environments = found.references.entry(reference).or_default();
                    environments.extend((template || deployment).then_some(environment));
                }
            }
        }
        found
    }

    fn surface(&mut self, path: &str) {
        if self.profile.surface_of(path).is_some() {
            return;
        }
        let mut directory = String::new();
        for part in path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
            directory.push_str(part);
            let surface = match part.to_ascii_lowercase().as_str() {
                "fixture" | "samples" | "mocks" | "__mocks__" | "golden" | "goldens" | "vcr" => Some(Surface::Fixtures),
                "screens" | "screen-captures" => Some(Surface::Screenshots),
                "proof" | "proofs" | "artifacts" | "audit-artifacts" => Some(Surface::Evidence),
                _ => None,
            };
            if let Some(surface) = surface {
                self.surfaces.entry(surface).or_default().insert(directory.clone());
                return;
            }
            directory.push('/');
        }
    }

    fn template_keys(&mut self, path: &str, content: &[u8], recogniser: &dyn SecretRecogniser) {
        let document = custody_envkeys::dotenv::Document::parse(content);
        for entry in document.entries() {
            if !self.profile.keys.iter().any(|k| k.name == entry.key)
                && is_key(&entry.key)
                && recogniser.recognise(&entry.key).is_none()
            {
                self.keys.entry(entry.key.clone()).or_default().insert(path.to_owned());
            }
        }
    }

    fn write_environments(&self, text: &mut String) {
        text.push_str("\n# --- Environments: where each one's keys are set (ENV-1, ENV-2) ---\n");
        for environment in Environment::ALL {
            let known = self.profile.environments.get(environment);
            let own = |found: &BTreeMap<Environment, BTreeSet<String>>,
                       known: Option<&custody_contract::file::GlobSet>| {
                let paths = found.get(&environment)?;
                // Naming one file replaces the profile's list, so all or none are named.
                let covered = known.is_some_and(|globs| paths.iter().all(|p| globs.is_match(p)));
                (!covered).then(|| list(paths.iter()))
            };
            let templates = own(&self.templates, known.map(|k| &k.templates));
            let deployments = own(&self.deployments, known.map(|k| &k.deployments));
            if templates.is_none() && deployments.is_none() {
                let seen = self.templates.get(&environment).map_or("no template found".to_owned(), |t| list(t.iter()));
                let _ = writeln!(text, "# [environments.{environment}]: {seen}");
                continue;
            }
            let _ = writeln!(text, "[environments.{environment}]");
            for (name, value) in [("templates", templates), ("deployments", deployments)] {
                if let Some(value) = value {
                    let _ = writeln!(text, "{name} = {value}");
                }
            }
        }
    }

    fn write_keys(&self, text: &mut String) {
        text.push_str("\n# --- Keys beyond the profile's: give type, required and secret (ENV-1, ENV-2) ---\n");
        if self.keys.is_empty() {
            text.push_str(
                "# [[key]]\n# name = \"STRIPE_API_KEY\"\n# required = [\"stage\", \"prod\"]\n# secret = true\n",
            );
        }
        for (name, paths) in &self.keys {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let _ = writeln!(text, "[[key]]  # in {}\nname = {}", paths.join(", "), quoted(name));
            if looks_secret(name) {
                text.push_str("secret = true\n");
            }
            text.push_str("# required = [\"stage\", \"prod\"]\n# description = \"\"\n\n");
        }
    }

    fn write_surfaces(&self, text: &mut String) {
        text.push_str("\n# --- Surfaces beyond the profile's (ENV-5b to ENV-5e) ---\n[surfaces]\n");
        for (name, surface) in [
            ("fixtures", Surface::Fixtures),
            ("screenshots", Surface::Screenshots),
            ("logs", Surface::Logs),
            ("evidence", Surface::Evidence),
        ] {
            match self.surfaces.get(&surface) {
                Some(paths) => {
                    let _ = writeln!(text, "{name} = {}", list(paths.iter()));
                }
                None => {
                    let _ = writeln!(text, "# {name} = []");
                }
            }
        }
        text.push_str(
            "# [[surfaces.exclude]]\n# paths = [\"third_party\"]\n# reason = \"vendored, scanned upstream\"\n",
        );
    }

    fn write_credentials(&self, text: &mut String) {
        text.push_str("\n# --- Credentials: owner, contact, window, procedure and last rotation are for you to fill in (ROT-1) ---\n");
        if self.references.is_empty() {
            text.push_str("# [[credential]]\n# reference = \"cred://aws/production/readonly\"\n");
            text.push_str(FILL_IN);
        }
        for (reference, environments) in &self.references {
            let names: Vec<String> = environments.iter().map(ToString::to_string).collect();
            let _ =
                writeln!(text, "[[credential]]\nreference = \"{reference}\"\nenvironments = {}", list(names.iter()));
            text.push_str(FILL_IN);
            text.push('\n');
        }
    }
}

const FILL_IN: &str = "\
# owner = \"team-platform\"
# contact = \"platform@example.com\"
# window = \"90d\"
# grace = \"7d\"
# procedure = \"docs/rotation.md\"
# last-rotation = 2026-01-31
# backend = \"openbao\"
";

fn is_template(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    name.contains(".env")
        && [".example", ".sample", ".template", ".dist", ".defaults"].iter().any(|s| name.ends_with(s))
        || name.ends_with(".env.example")
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
        let document = custody_envkeys::dotenv::Document::parse(content);
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

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY"]
        .iter()
        .any(|word| name.ends_with(word))
}

fn list<'s>(items: impl Iterator<Item = &'s String>) -> String {
    let items: Vec<String> = items.map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML basic string; JSON's escapes are a subset of TOML's but for DEL, which is escaped here too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use custody_contract::MemoryTree;
    use custody_scan::engine::Engine;
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_proposal_is_a_valid_contract_that_names_what_was_found() {
        let tree = MemoryTree::new([
            (".env.example", "NODE_ENV=development\nSTRIPE_API_KEY=\nFICECAL_API_BASE=http://localhost:3000\n"),
            ("config/live.env.example", "NODE_ENV=production\nREGION=eu\n"),
            ("src/a.ts", "const ref = 'cred://aws/production/readonly';"),
            ("deploy/production/api.yaml", "kind: Deployment"),
            ("golden/\"odd\".json", "{}"),
        ]);
        let text = propose(&tree, &Engine::builtin());
        let contract = Contract::load(&text, "custody.toml", date(2026, 1, 1)).expect(&text);
        assert_eq!(contract.credentials.len(), 1);
        assert!(contract.keys.iter().any(|k| k.name == "STRIPE_API_KEY" && k.secret));
        assert!(
            contract.environments.get(Environment::Prod).expect("named").templates.is_match("config/live.env.example")
        );
        assert_eq!(contract.surface_of("golden/x"), Some(Surface::Fixtures));
    }

    #[test]
    fn an_empty_repository_gets_a_valid_contract_too() {
        let text = propose(&MemoryTree::default(), &Engine::builtin());
        assert!(Contract::load(&text, "custody.toml", date(2026, 1, 1)).is_ok(), "{text}");
    }
}
