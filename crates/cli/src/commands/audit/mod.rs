//! `custody audit`: verify, query, export and maintain the audit log.

mod export;
mod maintain;
mod query;
mod verify;

use std::process::ExitCode;

use custody_audit::Filter;
use custody_contract::Diagnostic;

use crate::arguments::{AuditCommand, AuditFilter, AuditPlace};
use crate::audit_log::Layout;
use crate::failure::Failure;
use crate::{exit, output};

pub fn run(command: &AuditCommand) -> Result<ExitCode, Failure> {
    match command {
        AuditCommand::Verify(arguments) => verify::run(arguments),
        AuditCommand::Query(arguments) => query::run(arguments),
        AuditCommand::Export(arguments) => export::run(arguments),
        AuditCommand::Checkpoint(place) => maintain::checkpoint(place),
        AuditCommand::RotateKey(arguments) => maintain::rotate_key(arguments),
        AuditCommand::Prune(arguments) => maintain::prune(arguments),
        AuditCommand::Repair(place) => maintain::repair(place),
        AuditCommand::Succeed(arguments) => maintain::succeed(arguments),
        AuditCommand::MoveKeys(arguments) => maintain::move_keys(arguments),
    }
}

impl AuditPlace {
    fn layout(&self) -> Result<Layout, Failure> {
        Layout::find(self.log.as_deref(), self.keys.as_deref())
    }

    /// A log that is there, or was once.
    fn existing(&self) -> Result<Layout, Failure> {
        let layout = self.layout()?;
        if layout.log.exists() || layout.keys.join(if layout.in_store { "store" } else { "pin" }).exists() {
            return Ok(layout);
        }
        let diagnostic = Diagnostic::error("audit", "there is no audit log");
        let why = format!("{} does not exist: nothing has been recorded yet", layout.log.display());
        Err(Failure::usage(diagnostic.why(why).fix("name another with --log")))
    }
}

impl AuditFilter {
    fn filter(&self) -> Filter {
        Filter {
            references: self.references.clone(),
            since: self.since,
            until: self.until,
            actions: self.action.clone(),
            outcomes: self.outcome.clone(),
            classes: self.class.clone(),
            backend: self.backend.clone(),
            environment: self.env.map(|environment| environment.as_str().to_owned()),
            principal: self.principal.clone(),
            request_id: self.request.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }
}

/// The exit status of an answer, with what could not be read told.
fn settle(summary: &custody_audit::QuerySummary) -> ExitCode {
    if summary.is_complete() {
        return ExitCode::SUCCESS;
    }
    let told =
        |what: &String| Diagnostic::error("audit", "a part of the audit log could not be read").why(what.clone());
    let mut diagnostics: Vec<_> = summary.damaged.iter().take(10).map(told).collect();
    let more = summary.damaged_count.saturating_sub(diagnostics.len() as u64);
    if more > 0 {
        diagnostics.push(Diagnostic::error("audit", format!("{more} more parts could not be read")));
    }
    if let Some(last) = diagnostics.last_mut() {
        last.fix = "the answer is incomplete; `custody audit verify` says what was done to the log".to_owned();
    }
    output::print_diagnostics(&diagnostics);
    ExitCode::from(exit::INCOMPLETE)
}

/// Text from a record, safe to show: a record of a forged log may hold anything.
fn shown(text: &str) -> String {
    custody_audit::Text::new(text).to_string()
}
