//! `custody incident`: list, show and close records.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use custody_contract::Diagnostic;
use custody_incident::{DirectoryStore, IncidentError, close, list, render, show};

use crate::arguments::IncidentCommand;
use crate::context::{InForce, root_of};
use crate::failure::Failure;
use crate::{exit, output};

pub fn run(command: &IncidentCommand) -> Result<ExitCode, Failure> {
    let path = match command {
        IncidentCommand::List(arguments) => &arguments.path,
        IncidentCommand::Show(arguments) => &arguments.repository,
        IncidentCommand::Close(arguments) => &arguments.incident.repository,
    };
    let store = store(path)?;
    match command {
        IncidentCommand::List(_) => list_all(&store),
        IncidentCommand::Show(arguments) => {
            let incident = show(&store, &arguments.id).map_err(|e| failure(&e))?;
            output::print(&render(&incident))?;
            Ok(ExitCode::SUCCESS)
        }
        IncidentCommand::Close(arguments) => {
            let now = jiff::Timestamp::now();
            let incident = close(&store, &arguments.incident.id, &arguments.by, &arguments.reason, now)
                .map_err(|e| failure(&e))?;
            output::print(&format!("Closed {}.\n", incident.id))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn store(path: &Path) -> Result<DirectoryStore, Failure> {
    let root = root_of(path)?;
    let in_force = InForce::load(&root, None, None)?;
    Ok(DirectoryStore::new(root, in_force.contract.incident_directory))
}

fn list_all(store: &DirectoryStore) -> Result<ExitCode, Failure> {
    let records = list(store).map_err(|e| failure(&e))?;
    let mut text = String::new();
    for incident in &records.incidents {
        let _ = writeln!(
            text,
            "{}  {:9}  {:8}  {}",
            incident.id,
            incident.state.to_string(),
            incident.severity,
            incident.title
        );
    }
    if records.incidents.is_empty() && records.unreadable.is_empty() {
        text.push_str("No incidents.\n");
    }
    output::print(&text)?;
    let unreadable = |u: &custody_incident::Unreadable| {
        let diagnostic = Diagnostic::error("ROT-2", "an incident record cannot be read and counts as open");
        diagnostic.at(u.place.clone()).why(u.why.clone()).fix("correct the record")
    };
    output::print_diagnostics(&records.unreadable.iter().map(unreadable).collect::<Vec<_>>());
    Ok(if records.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::INCOMPLETE) })
}

fn failure(error: &IncidentError) -> Failure {
    Failure::usage(
        Diagnostic::error("incident", "cannot do this with the incident")
            .why(error.to_string())
            .fix("`custody incident list` lists all records"),
    )
}
