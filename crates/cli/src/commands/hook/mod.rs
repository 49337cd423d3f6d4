//! `custody hook`: git hooks, from their installation to what they run.

mod git;
mod install;
mod run;
mod script;
mod updates;

use std::process::ExitCode;

use crate::arguments::{ColourChoice, HookCommand};
use crate::failure::Failure;

pub fn run(command: &HookCommand, colour: ColourChoice) -> Result<ExitCode, Failure> {
    match command {
        HookCommand::Install(arguments) => install::install(arguments),
        HookCommand::Uninstall(arguments) => install::uninstall(arguments),
        HookCommand::Status(place) => install::status(place),
        HookCommand::Run(arguments) => run::run(arguments, colour),
    }
}
