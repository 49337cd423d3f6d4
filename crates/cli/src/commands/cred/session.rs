//! What each command on credentials needs: contract, environment, resolver.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use custody_contract::{CredentialRef, Diagnostic, Environment};
use custody_credential::backend::embedded::{Store, StoreError};
use custody_credential::{
    BACKEND_VARIABLE, ConfigError, Context, FailureKind, NoPrompt, ProcessVariables, Prompt, ResolveError, Resolver,
    SecretValue, TerminalPrompt, Variables,
};

use crate::arguments::CredPlace;
use crate::context::{InForce, root_of};
use crate::failure::Failure;
use crate::{env_vars, exit};

/// What a command works with.
pub struct Session {
    pub root: PathBuf,
    pub in_force: InForce,
    pub environment: Environment,
    pub resolver: Resolver,
}

/// The process's variables with another default backend.
struct Chosen(String);

impl Variables for Chosen {
    fn get(&self, name: &str) -> Option<std::ffi::OsString> {
        if name == BACKEND_VARIABLE { Some(self.0.clone().into()) } else { ProcessVariables.get(name) }
    }

    fn names(&self) -> Vec<String> {
        ProcessVariables.names()
    }
}

impl Session {
    pub fn open(place: &CredPlace) -> Result<Session, Failure> {
        let root = root_of(&place.repository)?;
        let mut in_force = InForce::load(&root, place.contract.as_deref(), None)?;
        let (environment, source) = in_force.environment(place.env)?;
        // Most who use these commands are at their own machine, and prod denies what local allows.
        crate::output::print_diagnostics(&InForce::assumed(source).into_iter().collect::<Vec<_>>());
        let mut context = Context::process(&root);
        if let Some(backend) = &place.backend {
            // The one that is asked for, wherever the contract puts a credential.
            for credential in &mut in_force.contract.credentials {
                let mut placement = credential.placement(environment);
                if placement.backend.as_deref() != Some(backend) {
                    placement = custody_contract::file::Placement::default();
                }
                let slot = match environment {
                    Environment::Local => &mut credential.local,
                    Environment::Stage => &mut credential.stage,
                    Environment::Prod => &mut credential.prod,
                };
                *slot = Some(custody_contract::file::Placement { backend: Some(backend.clone()), ..placement });
            }
            context = context.with_variables(Chosen(backend.clone()));
        }
        context.prompt = prompt().into();
        let resolver = Resolver::new(&in_force.contract, environment, context).map_err(|e| config_failure(&e))?;
        Ok(Session { root, in_force, environment, resolver })
    }

    /// The embedded store of a credential, or of the default backend.
    pub fn store(&self, reference: Option<&CredentialRef>) -> Result<(String, Store), Failure> {
        let name = match reference {
            Some(reference) => self.resolver.place(reference).map_err(|e| resolve_failure(&e))?.backend,
            None => self.resolver.default_backend().to_owned(),
        };
        match self.resolver.store(&name).map_err(|e| config_failure(&e))? {
            Some(store) => Ok((name, store)),
            None => {
                let diagnostic = Diagnostic::error("usage", format!("backend {name} is no embedded store"));
                let why = "only the embedded store keeps history, keys and backups of its own";
                Err(Failure::usage(diagnostic.why(why).fix("use the backend's own tools, or --backend embedded")))
            }
        }
    }
}

/// Who can be asked: nobody in CI, and nobody without a terminal.
pub fn prompt() -> Box<dyn Prompt> {
    if may_ask() { Box::new(TerminalPrompt) } else { Box::new(NoPrompt) }
}

pub fn may_ask() -> bool {
    let is_ci = std::env::var_os(env_vars::CI).is_some_and(|v| !v.is_empty() && v != "false" && v != "0");
    !is_ci && io::stderr().is_terminal() && io::stdin().is_terminal()
}

/// A secret from a file, without the newline at its end.
pub fn secret_file(path: &std::path::Path) -> Result<SecretValue, Failure> {
    let value = SecretValue::read_file(path, 1 << 20);
    value.map(SecretValue::without_final_newline).map_err(|e| Failure::unreadable(&path.display().to_string(), &e))
}

pub fn resolve_failure(error: &ResolveError) -> Failure {
    let what = format!("cannot resolve `{}`", error.reference());
    let diagnostic = Diagnostic::error(error.code(), what).why(error.why()).fix(error.fix());
    Failure { diagnostics: vec![diagnostic], code: exit_code(error.kind()) }
}

pub fn exit_code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Denied => exit::DENIED,
        FailureKind::Unavailable => exit::UNAVAILABLE,
        _ => exit::USAGE,
    }
}

pub fn config_failure(error: &ConfigError) -> Failure {
    let diagnostic = Diagnostic::error("backend", format!("backend `{}` cannot be used", error.backend));
    Failure::usage(diagnostic.why(error.why.clone()).fix(error.fix.clone()))
}

pub fn store_failure(error: &StoreError) -> Failure {
    use custody_credential::backend::ErrorKind;
    let code = match error.kind() {
        ErrorKind::Unsupported | ErrorKind::Configuration => exit::USAGE,
        ErrorKind::Denied => exit::DENIED,
        _ => exit::UNAVAILABLE,
    };
    let diagnostic = Diagnostic::error("store", "the embedded store does not do this");
    Failure { diagnostics: vec![diagnostic.why(error.to_string()).fix(error.fix())], code }
}

/// Ends a command that policy does not allow.
pub fn denied(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Failure {
    let diagnostic = Diagnostic::error("ENV-4", what).why(why).fix(fix);
    Failure { diagnostics: vec![diagnostic], code: exit::DENIED }
}

/// Wrong use.
pub fn usage(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Failure {
    Failure::usage(Diagnostic::error("usage", what).why(why).fix(fix))
}

/// Text from outside in one line without control characters.
pub fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A table with aligned columns; the first row is its head.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// How long ago, in the largest unit that is at least one.
pub fn age(since: jiff::Timestamp, now: jiff::Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
