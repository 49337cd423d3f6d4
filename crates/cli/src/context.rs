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
    pub fn load(root: &Path, file: Option<&Path>, base: Option<&BaseTree>) -> Result<InForce, Failure> {
        let (text, name, revision) = match (file, base) {
            (Some(file), _) => (Some(read_text(file)?), file.display().to_string(), None),
            (None, Some(base)) => {
                let read = base.read(Contract::FILE_NAME).map_err(|error| {
                    Failure::incomplete(
                        "cannot read the base revision's contract",
                        error.to_string(),
                        "fetch the base revision",
                    )
                })?;
                let text = read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                (text, Contract::FILE_NAME.to_owned(), Some(base.commit().to_string()))
            }
            (None, None) => {
                let path = root.join(Contract::FILE_NAME);
                let text = if path.symlink_metadata().is_ok() { Some(read_text(&path)?) } else { None };
                (text, Contract::FILE_NAME.to_owned(), None)
            }
        };
        let contract = Contract::load(text.as_deref().unwrap_or(""), &name, today()).map_err(Failure::contract)?;
        let origin =
            ContractOrigin { profile: contract.profile.clone(), file: text.as_ref().map(|_| name), base: revision };
        Ok(InForce { contract, text: text.unwrap_or_default(), origin })
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
