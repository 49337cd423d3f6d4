//! One walk over the tree: each file that matters is read once.

use std::collections::BTreeMap;
use std::io;

use custody_contract::{Contract, Coverage, Environment, FileTree, Place, SkipReason, Surface};
use memchr::memmem;

use crate::deploy::{self, DeployedKey, Deployment, Format, Source};
use crate::dotenv::Document;
use crate::files::FileKind;
use crate::usage;

/// A dotenv file.
pub(crate) struct DotenvFile {
    pub(crate) path: String,
    pub(crate) document: Document,
    /// The environments whose templates or deployments the contract finds it among.
    pub(crate) environments: Vec<Environment>,
}

/// A deployment file.
pub(crate) struct DeploymentFile {
    pub(crate) path: String,
    /// `None` for a dotenv file that the contract names as deployment.
    pub(crate) format: Option<Format>,
    pub(crate) deployment: Deployment,
    pub(crate) environments: Vec<Environment>,
    pub(crate) tracked: bool,
}

/// A file that could not be read or understood.
pub(crate) struct Unread {
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) kind: FileKind,
    pub(crate) environments: Vec<Environment>,
    pub(crate) why: String,
}

/// What the tree holds.
pub(crate) struct Survey {
    pub(crate) templates: Vec<DotenvFile>,
    /// Dotenv files for use that version control tracks.
    pub(crate) carriers: Vec<DotenvFile>,
    pub(crate) deployments: Vec<DeploymentFile>,
    pub(crate) unread: Vec<Unread>,
    /// First place that reads each key.
    pub(crate) reads: BTreeMap<String, Place>,
    pub(crate) dynamic: Vec<Place>,
    pub(crate) code_files: usize,
    /// Code above the size up to which a person writes it.
    pub(crate) large_code: Vec<String>,
    pub(crate) coverage: Coverage,
}

impl Survey {
    pub(crate) fn of(contract: &Contract, tree: &dyn FileTree) -> Survey {
        let mut survey = Survey {
            templates: Vec::new(),
            carriers: Vec::new(),
            deployments: Vec::new(),
            unread: Vec::new(),
            reads: BTreeMap::new(),
            dynamic: Vec::new(),
            code_files: 0,
            large_code: Vec::new(),
            coverage: Coverage::new(Surface::WorkingTree, "files"),
        };
        for path in tree.paths() {
            survey.visit(contract, tree, path);
        }
        survey
    }

    fn visit(&mut self, contract: &Contract, tree: &dyn FileTree, path: &str) {
        let mut kind = FileKind::of(path);
        let named = |deployments: bool| -> Vec<Environment> {
            let globs = Environment::ALL.into_iter().filter_map(|e| Some((e, contract.environments.get(e)?)));
            let globs = globs.map(|(e, item)| (e, if deployments { &item.deployments } else { &item.templates }));
            globs.filter(|(_, set)| set.is_match(path)).map(|(e, _)| e).collect()
        };
        let as_template = named(false);
        let as_deployment = if as_template.is_empty() { named(true) } else { Vec::new() };
        if !as_template.is_empty() {
            kind = FileKind::Template;
        } else if !as_deployment.is_empty() && kind == FileKind::Other && path.ends_with(".json") {
            kind = FileKind::Yaml;
        }
        let named = !as_template.is_empty() || !as_deployment.is_empty();
        // Test data is a surface of its own (ENV-5b): it configures nothing.
        let test_data = !named && contract.surface_of(path) == Some(Surface::Fixtures);
        if kind == FileKind::Other || (test_data && kind != FileKind::Template) {
            return;
        }
        if kind == FileKind::Environment && as_deployment.is_empty() && !tree.is_tracked(path) {
            return;
        }
        if let Some(reason) = contract.exclusion(path) {
            let reason = SkipReason::ExcludedByContract { reason: reason.into() };
            self.coverage.record_skipped(path, reason);
            return;
        }
        let environments = if as_template.is_empty() { as_deployment } else { as_template };
        match tree.read(path) {
            Ok(bytes) => {
                self.coverage.record_read(bytes.len() as u64);
                self.take(path, kind, &bytes, environments, tree);
            }
            Err(error) => {
                let reason = match error.kind() {
                    io::ErrorKind::FileTooLarge => SkipReason::TooLarge { limit: 0 },
                    io::ErrorKind::NotFound => SkipReason::Missing,
                    _ => SkipReason::Unreadable { error: error.kind().to_string() },
                };
                // A file that is too large is no code that a person wrote.
                if !(matches!(kind, FileKind::Code) && matches!(reason, SkipReason::TooLarge { .. })) {
                    let why = error.kind().to_string();
                    self.unread.push(Unread { path: path.into(), line: 0, kind, environments, why });
                    self.coverage.record_skipped(path, reason);
                }
            }
        }
    }

    fn take(&mut self, path: &str, kind: FileKind, bytes: &[u8], environments: Vec<Environment>, tree: &dyn FileTree) {
        match kind {
            FileKind::Template => {
                let document = Document::parse(bytes);
                self.templates.push(DotenvFile { path: path.into(), document, environments });
            }
            FileKind::Environment => {
                let document = Document::parse(bytes);
                if !environments.is_empty() {
                    let deployment = Deployment { keys: deployed(&document), ..Deployment::default() };
                    let environments = environments.clone();
                    let tracked = tree.is_tracked(path);
                    self.deployments.push(DeploymentFile {
                        path: path.into(),
                        format: None,
                        deployment,
                        environments,
                        tracked,
                    });
                }
                if tree.is_tracked(path) {
                    self.carriers.push(DotenvFile { path: path.into(), document, environments });
                }
            }
            FileKind::Deployment(format) => self.deploy(path, format, kind, bytes, environments, tree),
            FileKind::Yaml => {
                let has = |what: &str| memmem::find(bytes, what.as_bytes()).is_some();
                let manifest = has("kind") && has("apiVersion");
                let compose = !environments.is_empty() && !manifest && has("services:");
                if manifest || compose {
                    let format = if compose { Format::Compose } else { Format::Kubernetes };
                    self.deploy(path, format, kind, bytes, environments, tree);
                }
            }
            FileKind::Code => {
                let found = usage::read_keys(path, bytes);
                if found.unread {
                    self.large_code.push(path.into());
                    return;
                }
                self.code_files += 1;
                for read in found.reads {
                    let place = || Place::at(path, read.line, read.column);
                    self.reads.entry(read.key).or_insert_with(place);
                }
                self.dynamic.extend(found.dynamic.into_iter().map(|(line, column)| Place::at(path, line, column)));
            }
            FileKind::Other => {}
        }
    }

    fn deploy(
        &mut self,
        path: &str,
        format: Format,
        kind: FileKind,
        bytes: &[u8],
        environments: Vec<Environment>,
        tree: &dyn FileTree,
    ) {
        let text = String::from_utf8_lossy(bytes);
        let tracked = tree.is_tracked(path);
        match deploy::parse(format, text.strip_prefix('\u{feff}').unwrap_or(&text)) {
            Ok(deployment) => {
                let path = path.into();
                self.deployments.push(DeploymentFile { path, format: Some(format), deployment, environments, tracked });
            }
            Err(error) => {
                self.unread.push(Unread {
                    path: path.into(),
                    line: error.line,
                    kind,
                    environments,
                    why: error.why.into(),
                });
            }
        }
    }

    /// The dotenv file at `path`, if the survey has it.
    pub(crate) fn dotenv(&self, path: &str) -> Option<&DotenvFile> {
        self.templates.iter().chain(&self.carriers).find(|f| f.path == path)
    }

    /// The templates of an environment.
    pub(crate) fn templates_of(&self, environment: Environment) -> impl Iterator<Item = &DotenvFile> {
        self.templates.iter().filter(move |f| f.environments.contains(&environment))
    }
}

/// A dotenv file's entries as keys that it sets.
pub(crate) fn deployed(document: &Document) -> Vec<DeployedKey> {
    let key = |entry: &crate::dotenv::Entry| {
        let value = entry.value.clone()?;
        let source = match entry.quote {
            crate::dotenv::Quote::Single => Source::Literal(value),
            _ => deploy::interpolated(&value),
        };
        let line = document.position(entry.key_span.start).0;
        Some(DeployedKey { name: entry.key.clone(), source, line, owner: String::new() })
    };
    document.entries().filter_map(key).collect()
}
