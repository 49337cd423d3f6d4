//! `custody cred doctor`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use custody_contract::file::CredentialItem;
use custody_contract::{CredentialRef, Diagnostic};
use custody_credential::backend::{ErrorKind, Metadata};
use custody_credential::{FailureKind, Place, Resolver};
use jiff::Timestamp;

use super::audit::{self, Action, Event, Recorder, Step};
use super::session::{Session, age, config_failure, exit_code, resolve_failure, shown, store_failure, table};
use super::{list, proof};
use crate::arguments::{CredDoctor, DataFormat};
use crate::failure::Failure;
use crate::{exit, output};

/// What was found of one credential.
struct Examined<'s> {
    reference: CredentialRef,
    place: Option<Place>,
    metadata: Option<Metadata>,
    item: Option<&'s CredentialItem>,
    failure: Option<(FailureKind, Diagnostic)>,
}

pub fn run(arguments: &CredDoctor) -> Result<ExitCode, Failure> {
    let session = Session::open(&arguments.place)?;
    if arguments.accept_rollback {
        let (name, store) = session.store(None)?;
        store.accept_rollback().map_err(|e| store_failure(&e))?;
        output::print(&format!("The store of {name} is taken for the newest state.\n"))?;
    }
    let references = match arguments.references.is_empty() {
        true => list::references(&session)?,
        false => arguments.references.clone(),
    };
    let examined = examine(&session, &references)?;
    let backends = backends(&session, &examined);
    let now = Timestamp::now();
    match arguments.place.format {
        DataFormat::Json => print_json(&session, &examined, &backends, now)?,
        DataFormat::Table => print_table(&session, &examined, &backends, now)?,
    }
    let failures = examined.iter().filter_map(|e| e.failure.as_ref()).map(|(kind, _)| exit_code(*kind));
    let store_fails = backends.iter().any(|b| b.problem.is_some());
    let code = failures.min_by_key(|code| match *code {
        exit::DENIED => 0,
        exit::UNAVAILABLE => 1,
        _ => 2,
    });
    Ok(ExitCode::from(code.unwrap_or(if store_fails { exit::UNAVAILABLE } else { exit::OK })))
}

/// Resolves each credential, all of a backend at once; the values are dropped at once.
fn examine<'s>(session: &'s Session, references: &[CredentialRef]) -> Result<Vec<Examined<'s>>, Failure> {
    let answers = session.resolver.resolve(references);
    let log = Recorder::open()?;
    let mut examined = Vec::new();
    let rule = proof::rule(&session.in_force.contract, session.environment, &session.root);
    for (reference, answer) in references.iter().zip(answers) {
        let place = session.resolver.place(reference).ok();
        let (metadata, failure, step) = match answer {
            Ok(resolved) => (Some(resolved.metadata), None, Step::Done),
            Err(error) => {
                let diagnostic = resolve_failure(&error).diagnostics.swap_remove(0);
                (None, Some((error.kind(), diagnostic)), Step::Not(audit::outcome(&error)))
            }
        };
        log.record(&Event {
            action: Action::Resolve,
            reference: Some(reference),
            backend: place.as_ref().map_or("", |p| &p.backend),
            version: metadata.as_ref().and_then(|m| m.version.as_deref()),
            reason: Some("custody cred doctor"),
            environment: Some(session.environment),
            step,
        })?;
        let item = session.resolver.registered(reference);
        let refusal = || proof::refusal(&rule, reference, false).map(|d| (FailureKind::Denied, d));
        let failure = failure.or_else(refusal);
        examined.push(Examined { reference: reference.clone(), place, metadata, item, failure });
    }
    Ok(examined)
}

/// What was found of one backend.
struct Backend {
    name: String,
    what: String,
    problem: Option<Diagnostic>,
}

fn backends(session: &Session, examined: &[Examined<'_>]) -> Vec<Backend> {
    let mut names: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    names.insert(session.resolver.default_backend().to_owned(), (0, 0));
    for one in examined {
        if let Some(place) = &one.place {
            let counts = names.entry(place.backend.clone()).or_default();
            counts.0 += usize::from(one.failure.is_none());
            counts.1 += 1;
        }
    }
    names.into_iter().map(|(name, (good, all))| backend(&session.resolver, name, good, all)).collect()
}

fn backend(resolver: &Resolver, name: String, good: usize, all: usize) -> Backend {
    let resolve = format!("{good} of {all} resolve");
    let store = match resolver.store(&name) {
        Ok(None) => {
            let problem = resolver.backend(&name).err().map(|e| config_failure(&e).diagnostics.swap_remove(0));
            return Backend { name, what: resolve, problem };
        }
        Ok(Some(store)) => store,
        Err(error) => {
            let problem = Some(config_failure(&error).diagnostics.swap_remove(0));
            return Backend { name, what: resolve, problem };
        }
    };
    let directory = store.directory().display().to_string();
    match store.record() {
        Ok(record) => {
            let ways: Vec<&str> = record.slots.iter().map(|s| s.as_str()).collect();
            let what = format!("{resolve}; {} secrets in {directory}, unlocked by {}", record.secrets, ways.join(", "));
            let problem = (!record.is_witnessed).then(|| {
                let diagnostic =
                    Diagnostic::warning("store", format!("a rollback of the store of {name} would not be noticed"));
                let why = "there is no record of its newest state on this machine";
                diagnostic.why(why).fix("custody cred doctor --accept-rollback")
            });
            Backend { name, what, problem: problem.filter(|_| record.secrets > 0) }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Backend { name, what: format!("{resolve}; no store yet in {directory}"), problem: None }
        }
        Err(error) => {
            let problem = store_failure(&error).diagnostics.swap_remove(0);
            Backend { name, what: resolve, problem: Some(problem) }
        }
    }
}

/// Where a credential is in its rotation window, in words.
pub fn window(item: &CredentialItem, now: Timestamp) -> String {
    let (Some(window), Some(last)) = (item.window, item.last_rotation) else {
        return match (item.window, item.last_rotation) {
            (None, _) => "no window".to_owned(),
            _ => "never rotated".to_owned(),
        };
    };
    let Ok(start) = last.0.to_zoned(jiff::tz::TimeZone::UTC) else { return "no window".to_owned() };
    let left = (start.timestamp().duration_since(now) + window.duration()).as_hours() as f64 / 24.0;
    if left < 0.0 { format!("overdue by {:.0} d", -left) } else { format!("due in {left:.0} d") }
}

fn print_table(
    session: &Session,
    examined: &[Examined<'_>],
    backends: &[Backend],
    now: Timestamp,
) -> Result<(), Failure> {
    let head = ["", "REFERENCE", "BACKEND", "AGE", "OWNER", "ROTATION", "READ-ONLY"].map(str::to_owned).to_vec();
    let rows = examined.iter().map(|e| {
        vec![
            if e.failure.is_none() { "✔" } else { "✘" }.to_owned(),
            e.reference.to_string(),
            e.place.as_ref().map_or_else(|| "?".to_owned(), |p| p.backend.clone()),
            e.metadata.as_ref().and_then(|m| m.created).map_or_else(|| "-".to_owned(), |t| age(t, now)),
            e.item.and_then(|i| i.owner.as_deref()).map_or_else(|| "-".to_owned(), shown),
            e.item.map_or_else(|| "not registered".to_owned(), |item| window(item, now)),
            proof::of(session, &e.reference),
        ]
    });
    let mut text = format!("Credentials in {}\n\n", session.environment);
    for backend in backends {
        text.push_str(&format!("  {}: {}\n", backend.name, backend.what));
    }
    text.push('\n');
    if !examined.is_empty() {
        text.push_str(&table(&[head].into_iter().chain(rows).collect::<Vec<_>>()));
    }
    output::print(&text)?;
    let failures = examined.iter().filter_map(|e| e.failure.as_ref()).map(|(_, d)| d.clone());
    output::print_diagnostics(&failures.chain(backends.iter().filter_map(|b| b.problem.clone())).collect::<Vec<_>>());
    Ok(())
}

fn print_json(
    session: &Session,
    examined: &[Examined<'_>],
    backends: &[Backend],
    now: Timestamp,
) -> Result<(), Failure> {
    let credentials: Vec<_> = examined
        .iter()
        .map(|e| {
            serde_json::json!({
                "reference": e.reference.as_str(),
                "backend": e.place.as_ref().map(|p| &p.backend),
                "resolves": e.failure.is_none(),
                "problem": e.failure.as_ref().map(|(_, d)| d),
                "version": e.metadata.as_ref().and_then(|m| m.version.clone()),
                "created": e.metadata.as_ref().and_then(|m| m.created).map(|t| t.to_string()),
                "owner": e.item.and_then(|i| i.owner.clone()),
                "rotation": e.item.map(|i| window(i, now)),
                "readOnly": proof::of(session, &e.reference),
            })
        })
        .collect();
    let backends: Vec<_> =
        backends.iter().map(|b| serde_json::json!({ "name": b.name, "state": b.what, "problem": b.problem })).collect();
    let environment = session.environment.as_str();
    let json = serde_json::json!({ "environment": environment, "backends": backends, "credentials": credentials });
    output::print(&format!("{json:#}\n"))
}
