//! One walk over the tree: each file that matters is read once.

use std::collections::{BTreeMap, HashMap};
use std::io;

use custody_contract::{Contract, Coverage, Environment, FileTree, Place, SkipReason, Surface};
use memchr::memmem;

use super::follow;
use crate::deploy::{self, DeployedKey, Deployment, Format, Linked, Source, Values};
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

/// A values file of a Helm chart.
pub(crate) struct ChartValues {
    pub(crate) path: String,
    /// The chart's directory, with a slash at its end.
    pub(crate) chart: String,
    pub(crate) values: Values,
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
    /// Where in `deployments` each path is.
    by_path: HashMap<String, usize>,
    pub(crate) unread: Vec<Unread>,
    /// First place that reads each key.
    pub(crate) reads: BTreeMap<String, Place>,
    /// First place at which a deployment file takes each key from the process environment, and whether some place needs
    /// it: gives nothing in its stead.
    pub(crate) taken: BTreeMap<String, (Place, bool)>,
    pub(crate) values: Vec<ChartValues>,
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
            by_path: HashMap::new(),
            unread: Vec::new(),
            reads: BTreeMap::new(),
            taken: BTreeMap::new(),
            values: Vec::new(),
            dynamic: Vec::new(),
            code_files: 0,
            large_code: Vec::new(),
            coverage: Coverage::new(Surface::WorkingTree, "files"),
        };
        for path in tree.paths() {
            survey.visit(contract, tree, path);
        }
        survey.close(contract, tree);
        survey.take_values();
        survey.take_references();
        survey
    }

    /// Reads the files that deployment files are linked to and that no name told apart.
    fn close(&mut self, contract: &Contract, tree: &dyn FileTree) {
        let mut at = 0;
        while let Some(file) = self.deployments.get(at) {
            at += 1;
            let format = match file.format {
                Some(format @ (Format::Compose | Format::Kubernetes)) => format,
                _ => continue,
            };
            let linked: Vec<String> =
                follow::links(&file.deployment).filter_map(|l| follow::target(&file.path, &l.to, tree)).collect();
            let environments = file.environments.clone();
            for path in linked {
                let known = self.by_path.contains_key(&path) || self.unread.iter().any(|u| u.path == path);
                if known || contract.exclusion(&path).is_some() {
                    continue;
                }
                if let Ok(bytes) = tree.read(&path) {
                    self.coverage.record_read(bytes.len() as u64);
                    let before = self.deployments.len();
                    self.deploy(&path, format, FileKind::Deployment(format), &bytes, environments.clone(), tree);
                    // What is linked is no deployment by itself.
                    self.deployments[before..].iter_mut().for_each(|f| f.environments.clear());
                }
            }
        }
    }

    /// Keys of charts that stand in values files become keys of those files, so that they are judged like others.
    fn take_values(&mut self) {
        let values = std::mem::take(&mut self.values);
        for file in &values {
            let mut keys: Vec<DeployedKey> = Vec::new();
            for template in self.deployments.iter().filter(|f| f.format == Some(Format::Helm)) {
                if !template.path.starts_with(&file.chart) || template.path == file.path {
                    continue;
                }
                let sets = template.deployment.sets.iter().flat_map(|s| &s.keys);
                for key in template.deployment.keys.iter().chain(sets) {
                    let Source::Values { path, .. } = &key.source else { continue };
                    if let Some((text, line)) = file.values.text(path) {
                        let (name, owner) = (key.name.clone(), key.owner.clone());
                        keys.push(DeployedKey { name, source: Source::Literal(text.into()), line, owner });
                    }
                }
                for link in &template.deployment.links {
                    if let Linked::Values { path, owner } = &link.to {
                        keys.extend(file.values.keys(path, owner));
                    }
                }
            }
            keys.sort_by(|a, b| (a.line, &a.name).cmp(&(b.line, &b.name)));
            keys.dedup_by(|a, b| a.line == b.line && a.name == b.name);
            self.push(DeploymentFile {
                path: file.path.clone(),
                format: Some(Format::Helm),
                deployment: Deployment { keys, ..Deployment::default() },
                environments: file.environments.clone(),
                tracked: file.tracked,
            });
        }
        self.values = values;
    }

    fn take_references(&mut self) {
        for file in &self.deployments {
            for read in file.deployment.reads.iter().filter(|read| usage::is_key(&read.key)) {
                let place = || (Place::at(&file.path, read.line, read.column), false);
                let entry = self.taken.entry(read.key.clone()).or_insert_with(place);
                if !read.default && !entry.1 {
                    *entry = (Place::at(&file.path, read.line, read.column), true);
                }
            }
        }
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
                    self.push(DeploymentFile { path: path.into(), format: None, deployment, environments, tracked });
                }
                if tree.is_tracked(path) {
                    self.carriers.push(DotenvFile { path: path.into(), document, environments });
                }
            }
            FileKind::Deployment(format) => self.deploy(path, format, kind, bytes, environments, tree),
            FileKind::Yaml => {
                let has = |what: &str| memmem::find(bytes, what.as_bytes()).is_some();
                if let Some(chart) = follow::chart_of(path, tree) {
                    self.take_chart_file(path, chart, kind, bytes, environments, tree);
                    return;
                }
                let manifest = has("kind") && has("apiVersion");
                let compose = !environments.is_empty() && !manifest && has("services:");
                if manifest || compose {
                    let format = if compose { Format::Compose } else { Format::Kubernetes };
                    self.deploy(path, format, kind, bytes, environments, tree);
                } else if !environments.is_empty() {
                    // The contract names it: that nothing was found in it has to be said.
                    let deployment = Deployment {
                        not_evaluated: vec![(
                            0,
                            "neither a Compose file nor a Kubernetes manifest nor a file of a chart",
                        )],
                        ..Deployment::default()
                    };
                    let (path, format, tracked) = (path.into(), Some(Format::Kubernetes), tree.is_tracked(path));
                    self.push(DeploymentFile { path, format, deployment, environments, tracked });
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

    /// A file of a Helm chart: values, or a template.
    fn take_chart_file(
        &mut self,
        path: &str,
        chart: follow::Chart,
        kind: FileKind,
        bytes: &[u8],
        environments: Vec<Environment>,
        tree: &dyn FileTree,
    ) {
        let follow::Chart { directory, values } = chart;
        if !values {
            self.deploy(path, Format::Helm, kind, bytes, environments, tree);
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        match Values::parse(text.strip_prefix('\u{feff}').unwrap_or(&text)) {
            Ok(values) => {
                let tracked = tree.is_tracked(path);
                self.values.push(ChartValues { path: path.into(), chart: directory, values, environments, tracked });
            }
            Err(error) => {
                let why = error.why.into();
                self.unread.push(Unread { path: path.into(), line: error.line, kind, environments, why });
            }
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
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let parsed = deploy::parse(format, text).or_else(|error| {
            // A template of something else than a chart: what can be told of it without rendering is better than nothing.
            let read = || deploy::parse(Format::Helm, text).ok().filter(|d| !d.keys.is_empty() || !d.sets.is_empty());
            let read = (format == Format::Kubernetes && text.contains("{{")).then(read).flatten();
            read.map(|mut deployment| {
                deployment.not_evaluated.push((error.line, "a template, read line by line without being rendered"));
                deployment
            })
            .ok_or(error)
        });
        match parsed {
            Ok(deployment) => {
                let path = path.into();
                self.push(DeploymentFile { path, format: Some(format), deployment, environments, tracked });
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

    fn push(&mut self, file: DeploymentFile) {
        self.by_path.entry(file.path.clone()).or_insert(self.deployments.len());
        self.deployments.push(file);
    }

    /// The deployment file at `path`, if the survey has it.
    pub(crate) fn deployment(&self, path: &str) -> Option<&DeploymentFile> {
        self.by_path.get(path).and_then(|&at| self.deployments.get(at))
    }

    /// The dotenv file at `path`, if the survey has it.
    pub(crate) fn dotenv(&self, path: &str) -> Option<&DotenvFile> {
        self.templates.iter().chain(&self.carriers).find(|f| f.path == path)
    }

    /// The template that another one is laid over: `.env.example` for `.env.local.example`, of the same environment.
    pub(crate) fn base_template(&self, file: &DotenvFile) -> Option<&DotenvFile> {
        let (directory, name) =
            file.path.rsplit_once('/').map_or(("", file.path.as_str()), |(d, n)| (&file.path[..=d.len()], n));
        let base = format!("{directory}.env.{}", name.strip_prefix(".env.local.")?);
        let shares = |f: &&DotenvFile| f.environments.iter().any(|e| file.environments.contains(e));
        self.templates.iter().filter(shares).find(|f| f.path == base)
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
