//! One file a subcommand; no logic beyond asking the crates and printing what they say.

mod audit;
mod baseline;
mod billing;
mod check;
mod contract;
mod cred;
mod cred_prove;
mod env;
mod explain;
mod hook;
mod incident;
mod init;
mod rules;
mod run;
mod scan;

use std::process::ExitCode;

pub use cred::prompt as cred_prompt;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;

/// Runs the command that was asked for.
pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let colour = arguments.color;
    match arguments.command {
        Command::Init(init) => init::run(&init),
        Command::Check(check) => check::run(&check, colour),
        Command::Scan(scan) => scan::run(&scan, colour),
        Command::Hook(command) => hook::run(&command, colour),
        Command::Cred(command) => cred::run(&command),
        Command::Env(command) => env::run(&command, colour),
        Command::Billing(command) => billing::run(&command, colour),
        Command::Explain(explain) => explain::run(&explain),
        Command::Baseline(command) => baseline::run(&command),
        Command::Run(arguments) => run::run(&arguments),
        Command::Incident(command) => incident::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Rules(command) => rules::run(&command),
        Command::Contract(command) => contract::run(&command),
    }
}
