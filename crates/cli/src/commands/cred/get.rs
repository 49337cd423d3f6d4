//! `custody cred get`.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use custody_audit::{Class, Outcome};
use custody_credential::backend::{ErrorKind, Metadata, Resolved, VersionRequest};
use custody_credential::{Query, ResolveError};
use jiff::Timestamp;

use super::audit::{self, Action, Event, Step};
use super::session::{Session, age, denied, may_ask, resolve_failure, shown, usage};
use super::{doctor, proof};
use crate::arguments::{CredGet, DataFormat};
use crate::failure::Failure;
use crate::output;

pub fn run(arguments: &CredGet) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    if arguments.reveal {
        return reveal(arguments, &session);
    }
    let reference = &arguments.reference;
    let place = session.resolver.place(reference).map_err(|e| resolve_failure(&e))?;
    let metadata = metadata(arguments, &session)?;
    let now = Timestamp::now();
    let item = session.resolver.registered(reference);
    let window = item.map(|item| doctor::window(item, now));
    let proof = proof::of(&session, reference);
    if arguments.place.format == DataFormat::Json {
        let json = serde_json::json!({
            "reference": reference.as_str(),
            "environment": session.environment.as_str(),
            "backend": place.backend,
            "location": place.location,
            "version": metadata.version,
            "created": metadata.created.map(|t| t.to_string()),
            "expires": metadata.expires.map(|t| t.to_string()),
            "registered": item.is_some(),
            "resolves": session.resolver.permitted(reference).is_ok(),
            "owner": item.and_then(|i| i.owner.as_deref()),
            "contact": item.and_then(|i| i.contact.as_deref()),
            "window": item.and_then(|i| i.window).map(|w| w.to_string()),
            "rotation": window,
            "readOnly": proof,
        });
        output::print(&format!("{json:#}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![
        ("backend", format!("{} at {}", place.backend, shown(&place.location))),
        ("version", metadata.version.map_or_else(|| "-".to_owned(), |v| shown(&v))),
        ("created", metadata.created.map_or_else(|| "-".to_owned(), |t| format!("{t:.0} ({} ago)", age(t, now)))),
    ];
    rows.extend(metadata.expires.map(|t| ("expires", format!("{t:.0}"))));
    rows.push(("owner", item.and_then(|i| i.owner.as_deref()).map_or_else(|| "-".to_owned(), shown)));
    rows.push(("rotation", window.unwrap_or_else(|| "not registered in custody.toml".to_owned())));
    rows.push(("read-only", proof));
    let mut text = format!("{reference} in {}\n", session.environment);
    for (name, value) in rows {
        text.push_str(&format!("  {name:10} {value}\n"));
    }
    output::print(&text)?;
    if let Err(error) = session.resolver.permitted(reference) {
        output::print_diagnostics(&resolve_failure(&error).diagnostics);
    }
    Ok(ExitCode::SUCCESS)
}

fn version(name: &str) -> VersionRequest {
    match name {
        "current" => VersionRequest::Current,
        "previous" => VersionRequest::Previous,
        name => VersionRequest::Exact(name.to_owned()),
    }
}

/// What is known without the value; where the backend can only tell by reading, it is read and shown to nobody.
fn metadata(arguments: &CredGet, session: &Session) -> Result<Metadata, Failure> {
    let is_plain = arguments.version_name == "current" && arguments.field.is_none();
    match session.resolver.describe(&arguments.reference) {
        Ok(metadata) if is_plain => return Ok(metadata),
        Err(ResolveError::Backend(error)) if error.kind != ErrorKind::Unsupported => {
            return Err(resolve_failure(&ResolveError::Backend(error)));
        }
        _ => {}
    }
    resolve(arguments, session, Action::Resolve).map(|resolved| resolved.metadata)
}

fn resolve(arguments: &CredGet, session: &Session, action: Action) -> Result<Resolved, Failure> {
    let query = Query {
        reference: arguments.reference.clone(),
        field: arguments.field.clone(),
        version: version(&arguments.version_name),
    };
    let resolved = session.resolver.answer(&[query]).pop();
    let backend = session.resolver.place(&arguments.reference).map(|p| p.backend).unwrap_or_default();
    let version = match &resolved {
        Some(Ok(resolved)) => resolved.metadata.version.clone(),
        _ => None,
    };
    audit::record(&Event {
        action,
        reference: Some(&arguments.reference),
        backend: &backend,
        version: version.as_deref(),
        reason: arguments.reason.as_deref(),
        environment: Some(session.environment),
        step: match &resolved {
            Some(Err(error)) => Step::Not(audit::outcome(error)),
            _ => Step::Done,
        },
    })?;
    match resolved {
        Some(Ok(resolved)) => Ok(resolved),
        Some(Err(error)) => Err(resolve_failure(&error)),
        None => Err(usage("there is no answer", "the resolver gave none", "report this as a fault of custody")),
    }
}

fn reveal(arguments: &CredGet, session: &Session) -> Result<ExitCode, Failure> {
    if !may_ask() || !io::stdout().is_terminal() {
        return Err(denied(
            "secrets are revealed at a terminal only",
            "output that goes to a file, a pipe or a CI log would keep the secret",
            "let the program that needs it get it: custody run -- PROGRAM",
        ));
    }
    if arguments.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        return Err(usage("there is no reason", "what is revealed is recorded with a reason", "give --reason TEXT"));
    }
    let rule = proof::rule(&session.in_force.contract, session.environment, &session.root);
    if let Some(refusal) = proof::refusal(&rule, &arguments.reference, false) {
        audit::record(&Event {
            action: Action::Reveal,
            reference: Some(&arguments.reference),
            backend: &session.resolver.place(&arguments.reference).map(|p| p.backend).unwrap_or_default(),
            version: None,
            reason: arguments.reason.as_deref(),
            environment: Some(session.environment),
            step: Step::Not(Outcome::Denied(Class::Policy)),
        })?;
        return Err(proof::refused(vec![refusal]));
    }
    let resolved = resolve(arguments, session, Action::Reveal)?;
    let mut out = io::stdout().lock();
    let text = resolved.value.expose_str();
    let written = match text.filter(|t| !t.chars().any(|c| c.is_control() && c != '\n' && c != '\t')) {
        Some(text) => out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")),
        // What would steer the terminal is shown byte by byte.
        None => {
            let digits = resolved.value.expose().iter().try_for_each(|byte| write!(out, "{byte:02x}"));
            digits.and_then(|()| writeln!(out, "  (hexadecimal: the secret has bytes that are no text)"))
        }
    };
    written.and_then(|()| out.flush()).map_err(|e| Failure::unwritable("the terminal", &e))?;
    Ok(ExitCode::SUCCESS)
}
