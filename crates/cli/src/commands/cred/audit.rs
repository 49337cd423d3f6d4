//! The one place where what is done with credentials is recorded. No answer without its record: where recording fails,
//! the command ends before it answers.

use custody_contract::{CredentialRef, Diagnostic};

use crate::exit;
use crate::failure::Failure;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The material was read and shown to nobody.
    Resolve,
    /// The material was shown to a person.
    Reveal,
    /// A new version was written.
    Write,
    /// Another version was put in force.
    Activate,
    /// All versions were removed.
    Delete,
    /// The store got new keys, or other ways to them.
    Rekey,
    /// A backup was written.
    Backup,
    /// A backup was put in place.
    Restore,
}

/// One thing that was done. Holds no secret material.
#[derive(Debug)]
#[expect(dead_code, reason = "read by the sink that records it, once one is connected")]
pub struct Event<'a> {
    /// What.
    pub action: Action,
    /// With which credential; `None` for the store as a whole.
    pub reference: Option<&'a CredentialRef>,
    /// In which backend.
    pub backend: &'a str,
    /// Which version, as the backend writes it.
    pub version: Option<&'a str>,
    /// Why, as the person said.
    pub reason: Option<&'a str>,
    /// Whether it was allowed and done.
    pub is_done: bool,
}

/// Where events are recorded.
pub trait Sink {
    /// Records an event for good.
    ///
    /// # Errors
    /// Why it could not: then nothing is answered.
    fn record(&self, event: &Event<'_>) -> Result<(), String>;
}

/// Nowhere, until a log is connected.
struct Nowhere;

impl Sink for Nowhere {
    fn record(&self, _: &Event<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// Records an event.
///
/// # Errors
/// It could not be recorded.
pub fn record(event: &Event<'_>) -> Result<(), Failure> {
    sink().record(event).map_err(|why| Failure {
        diagnostics: vec![
            Diagnostic::error("audit", "cannot record what is asked for, so it is not done")
                .why(why)
                .fix("see docs/audit.md"),
        ],
        code: exit::UNAVAILABLE,
    })
}

fn sink() -> Box<dyn Sink> {
    Box::new(Nowhere)
}
