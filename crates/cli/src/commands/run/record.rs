//! The records of a run in the audit log: no value reaches the command without one.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use custody_audit::{Action, AuditLog, Class, Event, Outcome, Principal, Text};
use custody_contract::{CredentialRef, Environment};
use custody_credential::ResolveError;
use custody_credential::backend::Resolved;

use crate::audit_log::{self, Layout};
use crate::failure::Failure;

/// Writes records of one run.
#[derive(Clone)]
pub struct Recorder {
    log: Option<Arc<AuditLog>>,
    environment: Environment,
    purpose: Text,
    principal: Principal,
}

impl Recorder {
    /// Opens the log, if there is anything to record.
    pub fn new(environment: Environment, program: &OsStr, is_needed: bool) -> Result<Recorder, Failure> {
        let log = if is_needed { Some(Arc::new(Layout::find(None, None)?.open()?)) } else { None };
        // The program's name alone: its directory and its arguments say too much.
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
        let purpose = Text::new(&format!("custody run {name}"));
        Ok(Recorder { log, environment, purpose, principal: Principal::current() })
    }

    /// The same with the log opened anew.
    pub fn reopened(self) -> Result<Recorder, Failure> {
        let log = if self.log.is_some() { Some(Arc::new(Layout::find(None, None)?.open()?)) } else { None };
        Ok(Recorder { log, ..self })
    }

    /// The environment of the run.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// Records that a value is given to the command, or why not. Without the record it is not given.
    pub fn injected(
        &self,
        reference: &CredentialRef,
        backend: &str,
        answer: Result<&Resolved, &ResolveError>,
    ) -> Result<(), Failure> {
        let Some(log) = &self.log else { return Ok(()) };
        let outcome = match answer {
            Ok(_) => Outcome::Allowed,
            Err(error) => audit_log::outcome(error),
        };
        let mut event = self.event(Action::Inject, outcome).reference(reference).backend(backend);
        if let Ok(resolved) = answer {
            let fingerprinter = log.fingerprinter().map_err(|error| audit_log::failure(&error))?;
            event = event.fingerprint(&fingerprinter.fingerprint(resolved.value.expose()));
            if let Some(version) = &resolved.metadata.version {
                event = event.version(version);
            }
        }
        log.record(&event).map(|_| ()).map_err(|error| audit_log::failure(&error))
    }

    /// Records that a value is not given, because its credential is not proven read-only.
    pub fn refused(&self, reference: &CredentialRef, backend: &str) -> Result<(), Failure> {
        let Some(log) = &self.log else { return Ok(()) };
        let event = self.event(Action::Inject, Outcome::Denied(Class::Policy)).reference(reference).backend(backend);
        log.record(&event).map(|_| ()).map_err(|error| audit_log::failure(&error))
    }

    /// Records that the command printed a value, which was masked.
    pub fn masked(&self, reference: &CredentialRef) -> Result<(), Failure> {
        let Some(log) = &self.log else { return Ok(()) };
        let event = self.event(Action::Mask, Outcome::Allowed).reference(reference);
        log.record(&event).map(|_| ()).map_err(|error| audit_log::failure(&error))
    }

    fn event(&self, action: Action, outcome: Outcome) -> Event {
        let event = Event::new(action, outcome, self.principal.clone());
        event.environment(self.environment).purpose(self.purpose.clone())
    }
}
