//! `custody audit checkpoint`, `rotate-key`, `prune`, `repair` and `succeed`.

use std::process::ExitCode;

use custody_audit::{AuditLog, Options, Principal, Pruning, Text};

use crate::arguments::{AuditPlace, AuditPrune, AuditReason};
use crate::audit_log::failure;
use crate::failure::Failure;
use crate::output;

pub fn checkpoint(place: &AuditPlace) -> Result<ExitCode, Failure> {
    let head = place.existing()?.open()?.checkpoint().map_err(|error| failure(&error))?;
    say(&format!("{head}\n"))
}

pub fn rotate_key(arguments: &AuditReason) -> Result<ExitCode, Failure> {
    let log = arguments.place.existing()?.open()?;
    let key = log.rotate_key(Text::new(&arguments.reason)).map_err(|error| failure(&error))?;
    say(&format!("From here on {key} signs. The old key is destroyed.\n"))
}

pub fn prune(arguments: &AuditPrune) -> Result<ExitCode, Failure> {
    let log = arguments.why.place.existing()?.open()?;
    let by = Text::new(&Principal::current().label());
    let pruning = Pruning { before: arguments.before, by, reason: Text::new(&arguments.why.reason) };
    let report = log.prune(&pruning).map_err(|error| failure(&error))?;
    match report.files.len() {
        0 => say("No file is old enough; nothing was removed.\n"),
        count => say(&format!("Removed {count} files with the records up to {}.\n", report.through)),
    }
}

pub fn repair(place: &AuditPlace) -> Result<ExitCode, Failure> {
    let head = place.existing()?.open()?.repair().map_err(|error| failure(&error))?;
    say(&format!("The log goes on after {head}.\n"))
}

pub fn succeed(arguments: &AuditReason) -> Result<ExitCode, Failure> {
    let layout = arguments.place.existing()?;
    let reason = Text::new(&arguments.reason);
    let (_, aside) = AuditLog::succeed(&layout.log, layout.key_store(), Options::default(), &reason)
        .map_err(|error| failure(&error))?;
    say(&format!("A new log begins. The old one is kept in {}.\n", aside.display()))
}

fn say(text: &str) -> Result<ExitCode, Failure> {
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}
