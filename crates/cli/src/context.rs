//! What most commands need first: the contract in force, the environment, the rules.

use std::path::{Path, PathBuf};

use custody_contract::file::GlobSet;
use custody_contract::{Contract, ContractOrigin, Diagnostic, Environment, EnvironmentSource, Place, Severity, Tool};
use custody_scan::engine::Engine;
use custody_scan::rules::RuleSet;
use custody_scan::source::BaseTree;

use crate::env_vars;
use crate::failure::Failure;
use crate::files::{read_text, rule_paths};

/// Today, in UTC: the same day for everyone who checks.
pub fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The contract in force and where it came from.
pub struct InForce {
    /// The contract.
    pub contract: Contract,
    /// Its text; empty where only the profile is in force.
    pub text: String,
    /// Where it came from.
    pub origin: ContractOrigin,
}

impl InForce {
    /// The repository's contract, another file's, or the base revision's; without a file, the default profile.
    ///
    /// A change cannot approve itself: with a base, a file of the repository comes from there, `--contract` or not.
    pub fn load(root: &Path, file: Option<&Path>, base: Option<&BaseTree>) -> Result<InForce, Failure> {
        let (text, name, revision) = match (base, file) {
            (Some(base), None) => {
                (of_base(base, Contract::FILE_NAME)?, Contract::FILE_NAME.to_owned(), Some(base.commit()))
            }
            (Some(base), Some(file)) => match guarded(root, file, base)? {
                Some((text, name)) => (Some(text), name, Some(base.commit())),
                None => (Some(read_text(file)?), file.display().to_string(), None),
            },
            (None, Some(file)) => (Some(read_text(file)?), file.display().to_string(), None),
            (None, None) => (own_file(root)?, Contract::FILE_NAME.to_owned(), None),
        };
        let contract = Contract::load(text.as_deref().unwrap_or(""), &name, today()).map_err(Failure::contract)?;
        let origin =
            ContractOrigin { profile: contract.profile.clone(), file: text.as_ref().map(|_| name), base: revision };
        Ok(InForce { contract, text: text.unwrap_or_default(), origin })
    }

    /// The default profile, without any file.
    pub fn profile() -> Result<InForce, Failure> {
        let contract = Contract::load("", Contract::FILE_NAME, today()).map_err(Failure::contract)?;
        let origin = ContractOrigin { profile: contract.profile.clone(), file: None, base: None };
        Ok(InForce { contract, text: String::new(), origin })
    }

    /// The environment to evaluate: `--env`, the contract's default, NODE_ENV, else the strictest.
    pub fn environment(&self, flag: Option<Environment>) -> Result<(Environment, EnvironmentSource), Failure> {
        if let Some(environment) = flag {
            return Ok((environment, EnvironmentSource::Flag));
        }
        if let Some(environment) = self.contract.default_environment {
            return Ok((environment, EnvironmentSource::Contract));
        }
        match std::env::var(env_vars::NODE_ENV) {
            Ok(name) if !name.is_empty() => match name.parse() {
                Ok(environment) => Ok((environment, EnvironmentSource::NodeEnv)),
                Err(error) => {
                    let unknown: custody_contract::UnknownEnvironment = error;
                    let diagnostic = Diagnostic::error("environment", "NODE_ENV names no environment");
                    let fix = "set it to one of these, or name the environment with --env";
                    Err(Failure::usage(diagnostic.why(unknown.to_string()).fix(fix)))
                }
            },
            _ => Ok((Environment::Prod, EnvironmentSource::Strictest)),
        }
    }

    /// What to say where nothing names the environment.
    pub fn assumed(source: EnvironmentSource) -> Option<Diagnostic> {
        let diagnostic = Diagnostic::note("environment", "prod is assumed, with the strictest rules");
        let why = "neither --env nor custody.toml nor NODE_ENV names the environment";
        let fix = "on a developer's machine: --env local, or default-environment = \"local\" in custody.toml";
        (source == EnvironmentSource::Strictest).then(|| diagnostic.why(why).fix(fix))
    }

    /// The built-in rules and the repository's own, without those that the contract disables.
    pub fn engine(&self, root: &Path, base: Option<&BaseTree>) -> Result<Engine, Failure> {
        let rules = RuleSet::builtin();
        if self.contract.rule_files.is_empty() && self.contract.disabled_rules.is_empty() {
            return Ok(Engine::new(rules));
        }
        let mut rules = rules;
        for (path, text) in rule_texts(root, &self.contract.rule_files, base)? {
            let own = RuleSet::from_toml(&text, &path).map_err(|error| {
                let place = Place::at(path.clone(), error.line, error.column);
                Failure::usage(
                    Diagnostic::error("rule-file", format!("cannot use {path}"))
                        .at(place)
                        .why(error.problem)
                        .fix("see docs/rules.md"),
                )
            })?;
            rules.extend(own);
        }
        for (index, id) in self.contract.disabled_rules.iter().enumerate() {
            if rules.get(id).is_none() {
                let place = custody_contract::file::locate(
                    &self.text,
                    Contract::FILE_NAME,
                    &["scan", "disabled-rules", &index.to_string()],
                );
                let closest = closest_rule(&rules, id).map_or_else(String::new, |c| format!("did you mean {c}?"));
                return Err(Failure::usage(
                    Diagnostic::error("contract-file", "a disabled rule does not exist")
                        .at(place)
                        .why("no rule has this id")
                        .fix(closest),
                ));
            }
        }
        Ok(Engine::new(rules.without(&self.contract.disabled_rules)))
    }
}

/// The base's text of a file that a change of the repository could alter, and its name; `None` for a file that stands
/// elsewhere by its name and by where its links lead.
fn guarded(root: &Path, file: &Path, base: &BaseTree) -> Result<Option<(String, String)>, Failure> {
    let read = |directory: &Path, path: &str| match directory == root {
        true => of_base(base, path),
        // The repository's top, above the directory that is checked.
        false => BaseTree::open(directory, &base.commit())
            .map_err(|error| Failure::incomplete("cannot read the base revision's contract", error.to_string(), FETCH))
            .and_then(|base| of_base(&base, path)),
    };
    let top = root.ancestors().find(|directory| directory.join(".git").exists()).unwrap_or(root);
    for directory in [root, top] {
        if let Some(path) = below(directory, file) {
            let name = if directory == root { path.clone() } else { file.display().to_string() };
            return match read(directory, &path)? {
                Some(text) => Ok(Some((text, name))),
                None => Err(not_at_base(&name)),
            };
        }
    }
    Ok(None)
}

const FETCH: &str = "fetch the base revision";

/// The path of `file` relative to `directory`, if it stands below it by its name or by where links lead.
fn below(directory: &Path, file: &Path) -> Option<String> {
    let real = file.canonicalize().ok();
    let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = parent.canonicalize().ok().and_then(|parent| Some(parent.join(file.file_name()?)));
    let path = [named, real].into_iter().flatten().find_map(|p| Some(p.strip_prefix(directory).ok()?.to_owned()))?;
    Some(path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"))
}

fn of_base(base: &BaseTree, name: &str) -> Result<Option<String>, Failure> {
    let read = base
        .read(name)
        .map_err(|error| Failure::incomplete("cannot read the base revision's contract", error.to_string(), FETCH))?;
    Ok(read.map(|bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
    }))
}

fn not_at_base(name: &str) -> Failure {
    let diagnostic = Diagnostic::error("base-revision", "the base revision does not have the contract file");
    let diagnostic = diagnostic.at(Place::file(name)).why("a change cannot bring the contract that it is held to");
    Failure::usage(diagnostic.fix("merge the file first, name one outside the repository, or check with --base none"))
}

/// The contract file at the root; `None` without one.
fn own_file(root: &Path) -> Result<Option<String>, Failure> {
    let path = root.join(Contract::FILE_NAME);
    if path.symlink_metadata().is_ok() {
        return read_text(&path).map(Some);
    }
    // Another spelling would leave the repository with the default profile, and nobody would notice.
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let other = entries.map(|entry| entry.file_name()).find(|name| name.eq_ignore_ascii_case(Contract::FILE_NAME));
    match other {
        None => Ok(None),
        Some(other) => {
            let diagnostic = Diagnostic::error("contract-file", "the contract file's name is spelled in another way");
            let diagnostic = diagnostic.at(Place::file(other.to_string_lossy())).why("it would not be read");
            Err(Failure::usage(diagnostic.fix(format!("rename it to {}", Contract::FILE_NAME))))
        }
    }
}

fn rule_texts(root: &Path, globs: &GlobSet, base: Option<&BaseTree>) -> Result<Vec<(String, String)>, Failure> {
    if globs.is_empty() {
        return Ok(Vec::new());
    }
    match base {
        None => rule_paths(root, globs)?.into_iter().map(|p| Ok((p.clone(), read_text(&root.join(&p))?))).collect(),
        Some(base) => {
            let failed = |e: custody_scan::source::SourceError| {
                Failure::incomplete(
                    "cannot read the base revision's rule files",
                    e.to_string(),
                    "fetch the base revision",
                )
            };
            let mut texts = Vec::new();
            for path in base.paths().map_err(failed)? {
                if globs.is_match(&path)
                    && path.ends_with(".toml")
                    && let Some(bytes) = base.read(&path).map_err(failed)?
                {
                    texts.push((path, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
            Ok(texts)
        }
    }
}

/// The rule whose id is closest to `id`, if one is close.
pub fn closest_rule<'r>(rules: &'r RuleSet, id: &str) -> Option<&'r str> {
    let distance = |rule: &&'r str| strsim::damerau_levenshtein(rule, id);
    rules.iter().map(|rule| &*rule.id).min_by_key(distance).filter(|rule| distance(rule) <= 4)
}

/// Name and version of this program and of its rules.
pub fn tool(engine: Option<&Engine>) -> Tool {
    Tool {
        name: "custody".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        rules: engine.map_or(0, |e| u32::try_from(e.rules().len()).unwrap_or(u32::MAX)),
        rules_digest: engine.map_or_else(String::new, |e| e.rules().digest()).into(),
    }
}

/// A report with nothing in it yet.
pub fn empty_report(
    kind: custody_contract::ReportKind,
    target: &Path,
    started: jiff::Timestamp,
) -> custody_contract::Report {
    custody_contract::Report {
        schema: custody_contract::Report::SCHEMA.into(),
        kind,
        tool: tool(None),
        started,
        duration_ms: 0,
        target: target.display().to_string(),
        environment: None,
        environment_source: None,
        contract: None,
        decision: custody_contract::Decision::MayRelease,
        block_at: Severity::High,
        clauses: Vec::new(),
        findings: Vec::new(),
        diagnostics: Vec::new(),
        coverage: Vec::new(),
        incidents: Vec::new(),
    }
}

/// Milliseconds since `started`.
pub fn elapsed_ms(started: jiff::Timestamp) -> u64 {
    u64::try_from(jiff::Timestamp::now().duration_since(started).as_millis()).unwrap_or(0)
}

/// The repository that a command is pointed at: the directory itself. Its parents are not searched, so that a command
/// never evaluates more than it was given.
pub fn root_of(path: &Path) -> Result<PathBuf, Failure> {
    let shown = path.display().to_string();
    let root = path.canonicalize().map_err(|e| Failure::unreadable(&shown, &e))?;
    if root.is_dir() {
        Ok(root)
    } else {
        let diagnostic = Diagnostic::error("usage", format!("{shown} is not a directory"));
        Err(Failure::usage(diagnostic.why("this command takes a repository").fix("name the repository's root")))
    }
}

/// The live process environment; what is not UTF-8 is kept with replacement characters.
pub fn process_environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os().map(|(k, v)| (k.to_string_lossy().into_owned(), v.to_string_lossy().into_owned())).collect()
}
