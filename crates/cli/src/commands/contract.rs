//! `custody contract`: schemas, and whether the contract file can be used.

use std::process::ExitCode;

use crate::arguments::ContractCommand;
use crate::context::{InForce, root_of};
use crate::failure::Failure;
use crate::output;

pub fn run(command: &ContractCommand) -> Result<ExitCode, Failure> {
    match command {
        ContractCommand::Schema => print_json(&custody_contract::file::contract_schema())?,
        ContractCommand::ReportSchema => print_json(&custody_report::report_schema())?,
        ContractCommand::Check(arguments) => {
            let root = root_of(&arguments.path)?;
            let in_force = InForce::load(&root, None, None)?;
            in_force.engine(&root, None)?;
            let contract = &in_force.contract;
            output::print_diagnostics(&contract.notes);
            output::print(&format!(
                "{} over profile {}: {} clauses, {} keys, {} credentials, {} waivers, {} exclusions.\n",
                in_force.origin.file.as_deref().unwrap_or("No contract file; nothing"),
                contract.profile,
                contract.clauses.len(),
                contract.keys.len(),
                contract.credentials.len(),
                contract.waivers.len(),
                contract.surfaces.exclusions.len(),
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    output::print(&format!("{value:#}\n"))
}
