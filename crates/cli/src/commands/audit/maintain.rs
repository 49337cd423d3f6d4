//! `custody audit checkpoint`, `rotate-key`, `prune`, `repair`, `succeed` and `move-keys`.

use std::process::ExitCode;

use custody_audit::{AuditLog, Options, Principal, Pruning, Text};

use crate::arguments::{AuditMoveKeys, AuditPlace, AuditPrune, AuditReason};
use crate::audit_log::{Layout, failure};
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
    let (_, aside) = AuditLog::succeed(&layout.log, layout.key_store()?, Options::default(), &reason)
        .map_err(|error| failure(&error))?;
    say(&format!("A new log begins. The old one is kept in {}.\n", aside.display()))
}

pub fn move_keys(arguments: &AuditMoveKeys) -> Result<ExitCode, Failure> {
    let layout = arguments.place.existing()?;
    let new = Layout::with_keys(layout.log.clone(), &arguments.to);
    let moved = custody_audit::move_keys(&*layout.key_store()?, &*new.key_store()?).map_err(|error| failure(&error))?;
    // What is there can be used: the next record is signed with it.
    new.open()?.checkpoint().map_err(|error| failure(&error))?;
    let to = arguments.to.display();
    say(&format!("Moved {moved} entries. From now on: --keys {to}, or CUSTODY_AUDIT_KEYS={to}.\n"))
}

fn say(text: &str) -> Result<ExitCode, Failure> {
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}
