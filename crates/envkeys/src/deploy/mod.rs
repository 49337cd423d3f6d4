//! Files that set keys for processes: Compose files, Kubernetes manifests, workflows, Dockerfiles, GitLab CI.
//!
//! Each format has a file that turns text into a [`Deployment`]. Nothing is followed from here: what a file takes in
//! from another one is an [`Import`], and the caller, who has the tree, resolves it.

mod compose;
mod dockerfile;
mod gitlab;
mod kubernetes;
mod workflow;
mod yaml;

pub use yaml::NotRead;

/// A format of deployment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Docker Compose.
    Compose,
    /// Kubernetes manifests, kustomizations.
    Kubernetes,
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
    /// What could not be evaluated, with lines.
    pub not_evaluated: Vec<(u32, &'static str)>,
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
            Source::Secret => "from a secret",
            Source::Configuration => "from a configuration object",
        }
    }

    /// The text that stands in the file, if it can be judged by itself.
    pub fn text(&self) -> Option<&str> {
        match self {
            Source::Literal(text) | Source::Mixed(text) | Source::Process { default: Some(text) } => Some(text),
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
        Format::Workflow => workflow::parse(text),
        Format::GitLab => gitlab::parse(text),
        Format::Dockerfile => Ok(dockerfile::parse(text)),
    }
}

/// A value in which `$NAME`, `${NAME}` and `${NAME:-default}` refer to the process environment.
pub(crate) fn interpolated(value: &str) -> Source {
    let plain = value.replace("$$", "\0");
    if !plain.contains('$') {
        return Source::Literal(plain.replace('\0', "$"));
    }
    let name = |s: &str| {
        !s.is_empty()
            && !s.starts_with(|c: char| c.is_ascii_digit())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if value.strip_prefix('$').is_some_and(name) {
        return Source::Process { default: None };
    }
    let Some(body) = value.strip_prefix("${").and_then(|v| v.strip_suffix('}')) else {
        return Source::Mixed(value.into());
    };
    let end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let (variable, operator) = body.split_at(end);
    if !name(variable) || balance(body) != Some(0) {
        return Source::Mixed(value.into());
    }
    let operator = operator.strip_prefix(':').unwrap_or(operator);
    match operator.strip_prefix('-') {
        Some("") => Source::Process { default: None },
        Some(default) => match interpolated(default) {
            Source::Literal(text) => Source::Process { default: Some(text) },
            Source::Process { default } => Source::Process { default },
            other => other,
        },
        None if operator.is_empty() || operator.starts_with(['?', '+']) => Source::Process { default: None },
        None => Source::Mixed(value.into()),
    }
}

/// Open minus closed braces; `None` where one closes that was not opened.
fn balance(text: &str) -> Option<i32> {
    text.bytes().try_fold(0i32, |open, b| match b {
        b'{' => Some(open + 1),
        b'}' => (open > 0).then(|| open - 1),
        _ => Some(open),
    })
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
