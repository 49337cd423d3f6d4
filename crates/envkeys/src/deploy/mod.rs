//! Files that set keys for processes: Compose files, Kubernetes manifests, workflows, Dockerfiles, GitLab CI.
//!
//! Each format has a file that turns text into a [`Deployment`]. Nothing is followed from here: what a file takes in
//! from another one is an [`Import`] or a [`Link`], and the caller, who has the tree, resolves it.

mod compose;
mod dockerfile;
mod gitlab;
mod helm;
mod interpolation;
mod kubernetes;
mod kustomize;
mod values;
mod workflow;
mod yaml;

use std::collections::BTreeMap;

pub use values::Values;
pub use yaml::NotRead;

use crate::usage::KeyRead;
pub(crate) use interpolation::{interpolated, with_defaults};

/// A format of deployment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Docker Compose.
    Compose,
    /// Kubernetes manifests, kustomizations.
    Kubernetes,
    /// A template of a Helm chart, read without being rendered.
    Helm,
    /// GitHub Actions.
    Workflow,
    /// GitLab CI.
    GitLab,
    /// Dockerfile, Containerfile.
    Dockerfile,
}

impl Format {
    /// The format's name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::Compose => "Compose file",
            Format::Kubernetes => "Kubernetes manifest",
            Format::Helm => "Helm chart file",
            Format::Workflow => "GitHub Actions workflow",
            Format::GitLab => "GitLab CI file",
            Format::Dockerfile => "Dockerfile",
        }
    }
}

/// What a deployment file says.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    /// Keys that it sets for processes.
    pub keys: Vec<DeployedKey>,
    /// What it takes in from elsewhere.
    pub imports: Vec<Import>,
    /// Key sets with names (ConfigMaps, Secrets) that other objects may take in.
    pub sets: Vec<KeySet>,
    /// Values that it carries although no process gets them as an environment variable: `with:` of workflow steps, inline configs.
    pub values: Vec<DeployedKey>,
    /// Other files, and other parts of this one, whose keys belong to it.
    pub links: Vec<Link>,
    /// By service: the service that it takes over from ([`Linked::Extends`]).
    pub extends: BTreeMap<String, Link>,
    /// The services that a Compose file defines.
    pub services: Vec<String>,
    /// Keys that the file itself takes from the process environment: interpolation, shell in a Dockerfile.
    pub reads: Vec<KeyRead>,
    /// Files whose whole content is a secret, as a Compose file's `secrets` name them.
    pub secret_files: Vec<SecretFile>,
    /// What could not be evaluated, with lines.
    pub not_evaluated: Vec<(u32, &'static str)>,
}

/// A file whose whole content is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// The secret's name.
    pub name: String,
    /// Relative to the deployment file's directory.
    pub path: String,
    /// Line, 1-based.
    pub line: u32,
}

/// Something whose keys belong to a deployment as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What.
    pub to: Linked,
    /// Line, 1-based.
    pub line: u32,
}

/// What a deployment is linked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linked {
    /// Compose `include`: all services of a file, relative to the deployment file's directory.
    Include(String),
    /// Compose `extends`: a service takes over what another one sets.
    Extends {
        /// The file of the other one; `None` for the same file.
        file: Option<String>,
        /// The other service.
        base: String,
    },
    /// A reusable workflow or a composite action of the same repository, from the repository's root.
    Called(String),
    /// A kustomization's resource, component or patch: a file or a directory.
    Resource(String),
    /// Keys of a container that a chart's values hold at a dotted path.
    Values {
        /// The path, as in `.Values.app.env` without `.Values.`.
        path: String,
        /// The container, ConfigMap or Secret that gets them.
        owner: String,
    },
}

/// A key that a deployment file sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedKey {
    /// The key.
    pub name: String,
    /// How it gets its value.
    pub source: Source,
    /// Line of the value, 1-based; 0 where unknown.
    pub line: u32,
    /// The service, container or job that gets it.
    pub owner: String,
}

/// How a key gets its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file says it.
    Literal(String),
    /// The process environment of the tool that deploys; with the default that the file gives.
    Process {
        /// The default.
        default: Option<String>,
    },
    /// Text around references to the process environment.
    Mixed(String),
    /// Text that stands in the file and counts where a variable is set: `${NAME:+text}`.
    Alternative(String),
    /// What a chart's values hold at a dotted path.
    Values {
        /// The path.
        path: String,
        /// What the template itself gives where the values hold nothing.
        default: Option<String>,
    },
    /// A secret of the platform.
    Secret,
    /// A configuration object or variable of the platform.
    Configuration,
}

impl Source {
    /// How, in a word or two.
    pub fn describe(&self) -> &'static str {
        match self {
            Source::Literal(_) => "literal",
            Source::Process { default: None } => "from the process environment",
            Source::Process { default: Some(_) } => "from the process environment, with a default",
            Source::Mixed(_) => "literal with references to the process environment",
            Source::Alternative(_) => "literal, where a variable is set",
            Source::Values { .. } => "from the chart's values",
            Source::Secret => "from a secret",
            Source::Configuration => "from a configuration object",
        }
    }

    /// The text that stands in the file, if it can be judged by itself.
    pub fn text(&self) -> Option<&str> {
        match self {
            Source::Literal(text)
            | Source::Mixed(text)
            | Source::Alternative(text)
            | Source::Process { default: Some(text) }
            | Source::Values { default: Some(text), .. } => Some(text),
            _ => None,
        }
    }
}

/// Something that a deployment file takes keys from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// What.
    pub what: Imported,
    /// Line, 1-based.
    pub line: u32,
    /// Whether the deployment works without it.
    pub optional: bool,
    /// What is put in front of each key.
    pub prefix: String,
    /// The service or container that gets the keys.
    pub owner: String,
}

/// What is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// A dotenv file, relative to the deployment file's directory.
    File(String),
    /// A ConfigMap.
    ConfigMap(String),
    /// A Secret.
    Secret(String),
}

/// A named set of keys: a ConfigMap or Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// The object's name.
    pub name: String,
    /// Whether it is a Secret.
    pub secret: bool,
    /// Its keys.
    pub keys: Vec<DeployedKey>,
    /// Dotenv files whose keys it has as well, relative to the deployment file's directory.
    pub files: Vec<String>,
}

/// Reads a deployment file.
///
/// # Errors
///
/// [`NotRead`] says why it cannot be read, with a line where there is one.
pub fn parse(format: Format, text: &str) -> Result<Deployment, NotRead> {
    match format {
        Format::Compose => compose::parse(text),
        Format::Kubernetes => kubernetes::parse(text),
        Format::Helm => Ok(helm::parse(text)),
        Format::Workflow => workflow::parse(text),
        Format::GitLab => gitlab::parse(text),
        Format::Dockerfile => Ok(dockerfile::parse(text)),
    }
}

/// The keys of a set that is taken in, as those of `owner`.
pub(crate) fn imported(set: &[DeployedKey], secret: bool, import: &Import) -> Vec<DeployedKey> {
    let source = |key: &DeployedKey| if secret { Source::Secret } else { key.source.clone() };
    set.iter()
        .map(|key| DeployedKey {
            name: format!("{}{}", import.prefix, key.name),
            source: source(key),
            line: import.line,
            owner: import.owner.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
