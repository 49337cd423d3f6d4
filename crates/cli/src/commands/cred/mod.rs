//! `custody cred`: what references stand for.

mod audit;
mod doctor;
mod get;
mod import;
mod keep;
mod list;
pub mod proof;
mod put;
mod session;

use std::process::ExitCode;

pub use session::prompt;

use crate::arguments::CredCommand;
use crate::failure::Failure;

pub fn run(command: &CredCommand) -> Result<ExitCode, Failure> {
    custody_credential::protect_process();
    crate::ALLOCATOR.start();
    match command {
        CredCommand::Put(arguments) => put::run(arguments),
        CredCommand::Get(arguments) => get::run(arguments),
        CredCommand::List(arguments) => list::run(arguments),
        CredCommand::Doctor(arguments) => doctor::run(arguments),
        CredCommand::Import(arguments) => import::run(arguments),
        CredCommand::History(arguments) => keep::history(arguments),
        CredCommand::Activate { credential, number } => keep::activate(credential, *number),
        CredCommand::Delete { credential, yes } => keep::delete(credential, *yes),
        CredCommand::Rekey(place) => keep::rekey(place),
        CredCommand::Unlock(arguments) => keep::unlock(arguments),
        CredCommand::Backup(arguments) => keep::backup(arguments),
        CredCommand::Restore(arguments) => keep::restore(arguments),
        CredCommand::Prove(arguments) => super::cred_prove::run(arguments),
    }
}
