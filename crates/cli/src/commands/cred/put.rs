//! `custody cred put`.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use custody_contract::{CredentialRef, Diagnostic};
use custody_credential::backend::embedded::MAX_VALUE_BYTES;
use custody_credential::{Prompt as _, SecretValue, TerminalPrompt};

use super::audit::{self, Action, Event, Step};
use super::session::{Session, may_ask, resolve_failure, store_failure, usage};
use crate::arguments::{CredPut, DataFormat};
use crate::failure::Failure;
use crate::output;

pub fn run(arguments: &CredPut) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    let engine = session.in_force.engine(&session.root, None)?;
    // A secret in the place of a reference is refused, and not shown.
    let reference = CredentialRef::parse_with(&arguments.reference, &engine).map_err(|error| {
        let diagnostic = Diagnostic::error("CRED-4", "this is no credential reference").why(error.to_string());
        Failure::usage(diagnostic.fix("name it cred://provider/scope/access, and give the secret itself when asked"))
    })?;
    let place = session.resolver.place(&reference).map_err(|e| resolve_failure(&e))?;
    let value = read_value(arguments, &reference)?;
    if value.is_empty() && !arguments.allow_empty {
        return Err(usage("the secret is empty", "nothing was typed or read", "try again, or give --allow-empty"));
    }
    let event = |version, step| Event {
        action: Action::Put,
        reference: Some(&reference),
        backend: &place.backend,
        version,
        reason: arguments.note.as_deref(),
        environment: Some(session.environment),
        step,
    };
    audit::record(&event(None, Step::Begun))?;
    let (version, created) = match &arguments.note {
        Some(note) => {
            let (_, store) = session.store(Some(&reference))?;
            let record = store.put(&place.location, &value, Some(note)).map_err(|e| store_failure(&e))?;
            (Some(record.number.to_string()), Some(record.created))
        }
        None => {
            let written = session.resolver.put(&reference, &value).map_err(|e| resolve_failure(&e))?;
            (written.version, written.created)
        }
    };
    drop(value);
    audit::record(&event(version.as_deref(), Step::Done))?;
    match arguments.place.format {
        DataFormat::Json => output::print(&format!(
            "{:#}\n",
            serde_json::json!({
                "reference": reference.as_str(), "backend": place.backend, "location": place.location,
                "version": version, "created": created.map(|c| c.to_string()),
            })
        ))?,
        DataFormat::Table => {
            let version = version.map_or_else(String::new, |v| format!(" as version {v}"));
            output::print(&format!("Stored {reference}{version} in {}.\n", place.backend))?;
            if session.resolver.permitted(&reference).is_err() {
                let diagnostic =
                    Diagnostic::note("ROT-1", format!("{reference} does not resolve in {} yet", session.environment));
                let why = "stage and prod resolve credentials only that the contract registers for them";
                let fix = "add a [[credential]] entry with owner, contact, window and procedure to custody.toml";
                output::print_diagnostics(&[diagnostic.why(why).fix(fix)]);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_value(arguments: &CredPut, reference: &CredentialRef) -> Result<SecretValue, Failure> {
    if io::stdin().is_terminal() {
        if !may_ask() {
            let fix = "give the secret on standard input: custody cred put REFERENCE < FILE";
            return Err(usage("nobody can be asked for the secret", "this is CI, or not a terminal", fix));
        }
        let asked = TerminalPrompt.secret(&format!("Secret of {reference} (not shown): "));
        return asked.ok_or_else(|| usage("no secret was given", "the question was not answered", "try again"));
    }
    let value = SecretValue::read_from(io::stdin().lock(), MAX_VALUE_BYTES)
        .map_err(|e| Failure::unreadable("standard input", &e))?;
    Ok(if arguments.keep_newline { value } else { value.without_final_newline() })
}
