//! Where the user's audit log lies, and how its errors are told.

use std::path::{Path, PathBuf};

use custody_audit::{AuditError, AuditLog, Class, DirectoryKeys, KeyStore, Options, Outcome};
use custody_contract::file::BackendItem;
use custody_contract::{Diagnostic, Place};
use custody_credential::backend::{ErrorKind, embedded};
use custody_credential::{Context, ResolveError, Setup, StoreKeys};
use etcetera::BaseStrategy as _;

use crate::failure::Failure;
use crate::{env_vars, exit};

/// The directories of a log and of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Of the log.
    pub log: PathBuf,
    /// Of its keys.
    pub keys: PathBuf,
    /// Whether that is an embedded store.
    pub in_store: bool,
}

/// What stands before the directory of an embedded store that holds a log's keys.
const STORE: &str = "store:";

impl Layout {
    /// The user's own log, unless another is named.
    pub fn find(log: Option<&Path>, keys: Option<&Path>) -> Result<Layout, Failure> {
        let log = match (log, std::env::var_os(env_vars::CUSTODY_AUDIT_DIR).filter(|value| !value.is_empty())) {
            (Some(log), _) => log.to_owned(),
            (None, Some(directory)) => PathBuf::from(directory),
            (None, None) => data_directory()?.join("custody").join("audit"),
        };
        // As seen from anywhere: what is recorded about it must not depend on the current directory.
        let log = std::path::absolute(&log).map_err(|error| Failure::unreadable(&log.display().to_string(), &error))?;
        let beside = || {
            let name = log.file_name().map_or_else(|| "audit".into(), |name| name.to_string_lossy().into_owned());
            log.with_file_name(format!("{name}-keys"))
        };
        let variable = std::env::var_os(env_vars::CUSTODY_AUDIT_KEYS).filter(|value| !value.is_empty());
        let keys = keys.map(Path::to_owned).or_else(|| variable.map(PathBuf::from)).unwrap_or_else(beside);
        Ok(Layout::with_keys(log, &keys))
    }

    /// A log whose keys are in a directory, or in a store: `store:DIR`.
    pub fn with_keys(log: PathBuf, keys: &Path) -> Layout {
        match keys.to_str().and_then(|text| text.strip_prefix(STORE)) {
            Some(store) => Layout { log, keys: PathBuf::from(store), in_store: true },
            None => Layout { log, keys: keys.to_owned(), in_store: false },
        }
    }

    /// Opens the log for appending, and makes it if there is none.
    pub fn open(&self) -> Result<AuditLog, Failure> {
        AuditLog::open(&self.log, self.key_store()?, Options::default()).map_err(|error| failure(&error))
    }

    /// The log's keys.
    pub fn key_store(&self) -> Result<Box<dyn KeyStore>, Failure> {
        if !self.in_store {
            return Ok(Box::new(DirectoryKeys::new(&self.keys)));
        }
        let directory = std::path::absolute(&self.keys)
            .map_err(|error| Failure::unreadable(&self.keys.display().to_string(), &error))?;
        let settings = serde_json::Map::from_iter([("path".to_owned(), directory.display().to_string().into())]);
        let item = BackendItem { kind: "embedded".to_owned(), prefix: None, timeout: None, attempts: None, settings };
        let mut context = Context::process(&directory);
        context.prompt = crate::commands::cred_prompt().into();
        let mut setup =
            Setup::new("audit-keys", Some(&item), &context, &|_| Err("there is no other backend".to_owned()));
        let store = embedded::open(&mut setup).map_err(|error| {
            let diagnostic = Diagnostic::error("audit", "the store of the audit log's keys cannot be used");
            Failure::usage(diagnostic.why(error.why.clone()).fix(error.fix.clone()))
        })?;
        Ok(Box::new(StoreKeys::new(store)))
    }
}

fn data_directory() -> Result<PathBuf, Failure> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        let diagnostic = Diagnostic::error("audit", "there is no place for the audit log");
        Failure::usage(diagnostic.why("the user has no home directory").fix("name one with CUSTODY_AUDIT_DIR"))
    })?;
    Ok(strategy.data_dir())
}

/// An error of the log as what ends a command: 1 where the log is not what was written, 3 where it could not be asked.
pub fn failure(error: &AuditError) -> Failure {
    let what =
        if error.is_tampering() { "the audit log is not what was written" } else { "the audit log cannot be used" };
    let mut diagnostic = Diagnostic::error("audit", what).why(error.to_string()).fix(error.fix());
    if let AuditError::Io { path, .. } | AuditError::Altered { path, .. } | AuditError::Truncated { path, .. } = error {
        diagnostic = diagnostic.at(Place::file(path));
    }
    let code = match error {
        error if error.is_tampering() => exit::BLOCKED,
        AuditError::Io { .. } | AuditError::Locked { .. } | AuditError::SyncFailed { .. } => exit::INCOMPLETE,
        _ => exit::USAGE,
    };
    Failure { diagnostics: vec![diagnostic], code }
}

/// The outcome of a credential that did not resolve.
pub fn outcome(error: &ResolveError) -> Outcome {
    let Some(error) = error.backend() else { return Outcome::Denied(Class::Policy) };
    match error.kind {
        ErrorKind::Denied => Outcome::Denied(Class::Denied),
        ErrorKind::Unauthenticated => Outcome::Denied(Class::Unauthenticated),
        ErrorKind::NotFound => Outcome::Failed(Class::NotFound),
        ErrorKind::RateLimited => Outcome::Failed(Class::RateLimited),
        ErrorKind::Unreachable => Outcome::Failed(Class::Unreachable),
        ErrorKind::Malformed => Outcome::Failed(Class::Malformed),
        ErrorKind::Sealed => Outcome::Failed(Class::Sealed),
        _ => Outcome::Failed(Class::Configuration),
    }
}
