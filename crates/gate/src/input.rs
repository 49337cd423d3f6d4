use std::collections::BTreeMap;
use std::path::Path;

use custody_contract::{Contract, ContractOrigin, Environment, EnvironmentSource, FileTree};
use custody_incident::{IncidentError, IncidentMode};
use custody_scan::engine::Engine;
use custody_scan::source::{Progress, SourceError};

use jiff::{Timestamp, civil::Date};

use crate::base::Base;

/// What the gate evaluates.
#[derive(Clone, Copy)]
pub struct GateInput<'a> {
    /// The repository's root on disk.
    pub root: &'a Path,
    /// The same as the user named it, for the report.
    pub target: &'a str,
    /// The contract in force: the base revision's where there is a base.
    pub contract: &'a Contract,
    /// Its text, for places in messages; empty where only the profile is in force.
    pub contract_text: &'a str,
    /// Where it came from.
    pub contract_origin: &'a ContractOrigin,
    /// The environment to evaluate.
    pub environment: Environment,
    /// Where its name came from.
    pub environment_source: EnvironmentSource,
    /// The rules in force: built-in ones and the rule files of the contract (the base revision's where there is a
    /// base), without those that the contract disables.
    pub engine: &'a Engine,
    /// The repository's files as they are now.
    pub tree: &'a dyn FileTree,
    /// The day on which waivers and rotation windows are judged.
    pub today: Date,
    /// The moment of the check.
    pub now: Timestamp,
    /// What the change is measured against.
    pub base: Option<&'a Base>,
    /// The live process environment, where it is to be checked.
    pub process: Option<&'a BTreeMap<String, String>>,
    /// Whether incident records are written.
    pub incidents: IncidentMode,
    /// Whether history is searched.
    pub history: HistoryMode<'a>,
    /// Memory that the search of history may take, in bytes; none takes the default.
    pub max_memory: Option<u64>,
    /// Number of threads; 0 takes one for each core.
    pub threads: usize,
    /// Told of what is done as it is done.
    pub progress: Option<&'a dyn Progress>,
}

impl GateInput<'_> {
    /// What the contract file is called in messages.
    pub(crate) fn contract_file(&self) -> &str {
        self.contract_origin.file.as_deref().unwrap_or(Contract::FILE_NAME)
    }
}

/// Whether git history is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryMode<'a> {
    /// It is.
    Scan,
    /// It is, and what the scan before read whole is taken from this directory.
    Cached(&'a Path),
    /// It is not, for this reason; ENV-5a is then incomplete.
    Skip(&'a str),
}

/// Why the gate could not evaluate at all. What it can evaluate in part is no error: it is in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// The repository cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Incident records cannot be read as a whole, locked or written.
    #[error(transparent)]
    Incident(#[from] IncidentError),
    /// The change's base is known and cannot be used.
    #[error(transparent)]
    Base(#[from] BaseProblem),
}

/// Why a base revision cannot be used. The working tree's contract is never taken instead: the change could have
/// written it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the base revision of this change, {revision} (from {from}), cannot be read: {why}; {fix}, or name another one with --base REV"
)]
pub struct BaseProblem {
    /// The revision.
    pub revision: String,
    /// What named it.
    pub from: &'static str,
    /// What went wrong.
    pub why: String,
    /// What to do.
    pub fix: &'static str,
}
