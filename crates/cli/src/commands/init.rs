//! `custody init`: a commented contract file from what the repository holds.

use std::process::ExitCode;

use custody_contract::{Contract, Diagnostic, Place};
use custody_scan::engine::Engine;

use crate::arguments::Init;
use crate::context::{root_of, today};
use crate::failure::Failure;
use crate::files::working_tree;
use crate::output;

pub fn run(arguments: &Init) -> Result<ExitCode, Failure> {
    let root = root_of(&arguments.path)?;
    let text = custody_gate::propose(&working_tree(&root)?, &Engine::builtin());
    if arguments.print {
        output::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = root.join(Contract::FILE_NAME);
    if path.symlink_metadata().is_ok() && !arguments.force {
        let diagnostic =
            Diagnostic::error("exists", "custody.toml is already there").at(Place::file(path.display().to_string()));
        return Err(Failure::usage(
            diagnostic.why("it is not replaced unasked").fix("look with --print, or replace it with --force"),
        ));
    }
    let contract = Contract::load(&text, Contract::FILE_NAME, today()).map_err(Failure::contract)?;
    output::write_file(&path, text.as_bytes())?;
    let next = if contract.credentials.is_empty() { "Look it over" } else { "Fill in owners and windows" };
    output::print(&format!(
        "Wrote {} over profile {}, with {} keys and {} credentials. {next}, then run `custody check`.\n",
        Contract::FILE_NAME,
        contract.profile,
        contract.keys.len(),
        contract.credentials.len(),
    ))?;
    Ok(ExitCode::SUCCESS)
}
