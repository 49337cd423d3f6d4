//! What is done with credentials is recorded here. No answer without its record: where recording fails, the command ends
//! before it answers.

pub use custody_audit::Action;
use custody_audit::{AuditLog, Outcome, Principal, Text};
use custody_contract::{CredentialRef, Environment};

pub use crate::audit_log::outcome;
use crate::audit_log::{self, Layout};
use crate::failure::Failure;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is about to be done: what is changed is recorded before and after.
    Begun,
    /// It is done.
    Done,
    /// It was not done.
    Not(Outcome),
}

/// One thing that was done. Holds no secret material.
#[derive(Debug)]
pub struct Event<'a> {
    /// What.
    pub action: Action,
    /// With which credential; `None` for the store as a whole.
    pub reference: Option<&'a CredentialRef>,
    /// In which backend.
    pub backend: &'a str,
    /// Which version, as the backend writes it.
    pub version: Option<&'a str>,
    /// In which environment, where it matters.
    pub environment: Option<Environment>,
    /// Why, as the person said.
    pub reason: Option<&'a str>,
    /// How far it has come.
    pub step: Step,
}

/// An open log.
pub struct Recorder(AuditLog);

impl Recorder {
    /// Opens the user's log.
    ///
    /// # Errors
    /// The log cannot be used.
    pub fn open() -> Result<Recorder, Failure> {
        Ok(Recorder(Layout::find(None, None)?.open()?))
    }

    /// Records an event for good.
    ///
    /// # Errors
    /// It could not be recorded: then nothing is answered.
    pub fn record(&self, event: &Event<'_>) -> Result<(), Failure> {
        let (outcome, purpose) = match event.step {
            Step::Begun => (Outcome::Allowed, "custody cred, begun"),
            Step::Done => (Outcome::Allowed, "custody cred"),
            Step::Not(outcome) => (outcome, "custody cred"),
        };
        let mut record = custody_audit::Event::new(event.action, outcome, Principal::current())
            .backend(event.backend)
            .purpose(Text::new(purpose));
        if let Some(reference) = event.reference {
            record = record.reference(reference);
        }
        if let Some(version) = event.version {
            record = record.version(version);
        }
        if let Some(environment) = event.environment {
            record = record.environment(environment);
        }
        if let Some(reason) = event.reason {
            record = record.reason(Text::new(reason));
        }
        self.0.record(&record).map(|_| ()).map_err(|error| audit_log::failure(&error))
    }
}

/// Records one event.
///
/// # Errors
/// It could not be recorded.
pub fn record(event: &Event<'_>) -> Result<(), Failure> {
    Recorder::open()?.record(event)
}
