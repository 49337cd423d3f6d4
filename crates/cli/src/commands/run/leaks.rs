//! What a command printed of the values that it got: told, recorded, and an incident (ROT-2).

use std::path::Path;

use custody_contract::{
    Confidence, Contract, CredentialRef, Diagnostic, Environment, Finding, FindingStatus, Occurrence, Reason, Redacted,
    Severity, Surface,
};
use custody_credential::inject::{Ended, Leaked, Secret};
use custody_incident::{DirectoryStore, Opening, Recorded, record};

use super::record::Recorder;
use crate::arguments::Run;
use crate::output;

/// Tells what was masked and what was too short for it; opens an incident for each value, unless told not to.
pub fn report(ended: &Ended, arguments: &Run, root: &Path, contract: &Contract, recorder: &Recorder) {
    let mut diagnostics: Vec<Diagnostic> = ended.unmasked.iter().map(too_short).collect();
    let mut findings: Vec<Finding> = Vec::new();
    for secret in distinct(&ended.leaks) {
        let places: Vec<&Leaked> = ended.leaks.iter().filter(|l| l.secret == *secret).collect();
        diagnostics.push(masked(secret, &places, recorder.environment()));
        findings.push(finding(secret, &places, arguments, recorder.environment()));
        if let Some(reference) = reference(secret)
            && let Err(failure) = recorder.masked(&reference)
        {
            diagnostics.extend(failure.diagnostics);
        }
    }
    if ended.uncounted > 0 {
        let what = format!("{} more places were masked", ended.uncounted);
        diagnostics.push(Diagnostic::warning("ROT-2", what));
    }
    if !arguments.no_incident && !findings.is_empty() {
        diagnostics.extend(open_incidents(&findings, root, contract));
    }
    output::print_diagnostics(&diagnostics);
}

fn distinct(leaks: &[Leaked]) -> Vec<&Secret> {
    let mut secrets: Vec<&Secret> = Vec::new();
    for leaked in leaks {
        if !secrets.contains(&&leaked.secret) {
            secrets.push(&leaked.secret);
        }
    }
    secrets
}

fn reference(secret: &Secret) -> Option<CredentialRef> {
    CredentialRef::parse(secret.label.split('#').next()?).ok()
}

fn too_short(secret: &Secret) -> Diagnostic {
    let what = format!("the value of {} is too short to be masked", secret.key);
    let why = format!("`{}` has fewer than 4 bytes, which would be found everywhere", secret.label);
    Diagnostic::warning("ENV-5d", what).why(why).fix("use a longer secret")
}

fn masked(secret: &Secret, places: &[&Leaked], environment: Environment) -> Diagnostic {
    let times = match places.len() {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    let what = format!("the command printed the value of {} {times}; it was masked", secret.key);
    let first: Vec<String> = places
        .iter()
        .take(5)
        .map(|l| {
            let part = if l.leak.is_whole { "" } else { ", a part of it" };
            format!("{} line {} (byte {}, {}{part})", l.stream, l.leak.line, l.leak.offset, l.leak.writing)
        })
        .collect();
    let why = format!("`{}` stood in {}{}", secret.label, first.join(", "), if places.len() > 5 { ", …" } else { "" });
    let fix = "let the command not print it: what reads the output without custody would have it";
    match environment.is_release() {
        true => Diagnostic::error("ROT-2", what).why(why).fix(fix),
        false => Diagnostic::warning("ROT-2", what).why(why).fix(fix),
    }
}

/// The finding of one value, or of a part of one: ROT-2 makes no difference. In `local` it is Medium, which opens no
/// incident by itself: it was masked, and what a developer's own terminal would have shown has reached nobody.
fn finding(secret: &Secret, places: &[&Leaked], arguments: &Run, environment: Environment) -> Finding {
    let severity = if environment.is_release() { Severity::High } else { Severity::Medium };
    let program = arguments.command.first().map(|p| Path::new(p).file_name().unwrap_or_default().to_string_lossy());
    let program = program.map_or_else(String::new, |p| p.escape_debug().to_string());
    let occurrence = |l: &&Leaked| Occurrence {
        surface: Surface::Logs,
        path: format!("{} of {program}", l.stream),
        line: u32::try_from(l.leak.line).unwrap_or(u32::MAX),
        column: 1,
        end_column: 1,
        offset: l.leak.offset,
        object: None,
        commit: None,
        encoding: match l.leak.writing {
            custody_credential::mask::Writing::Text => Vec::new(),
            other => vec![other.to_string()],
        },
        allowed: None,
        authored: None,
        committed: None,
        reach: None,
    };
    Finding {
        rule: "injected-value".into(),
        title: format!("Value of {} in the output of a command", secret.key).into(),
        severity,
        confidence: Confidence {
            score: 100,
            reasons: vec![Reason { what: "it is the value that custody injected".into(), weight: 100 }],
        },
        fingerprint: secret.fingerprint,
        redacted: Redacted { prefix: "".into(), length: secret.length as u64 },
        occurrences: places.iter().map(occurrence).collect(),
        status: FindingStatus::Open,
        references: Vec::new(),
        remedy: "It was masked here. Find out where else the output goes, and rotate it if anybody may have seen it."
            .into(),
    }
}

fn open_incidents(findings: &[Finding], root: &Path, contract: &Contract) -> Vec<Diagnostic> {
    let store = DirectoryStore::new(root, contract.incident_directory.clone());
    let opening = Opening { by: "custody run", now: jiff::Timestamp::now(), owner: &|_| None };
    match record(&store, findings, opening) {
        Err(error) => {
            let diagnostic = Diagnostic::error("ROT-2", "no incident could be recorded");
            vec![diagnostic.why(error.to_string()).fix("record it by hand, and repair the directory of records")]
        }
        Ok(recorded) => recorded
            .iter()
            .filter_map(|recorded| {
                let verb = match recorded {
                    Recorded::Opened(_) => "opened",
                    Recorded::Reopened(_) => "opened again",
                    Recorded::Joined { .. } => return None,
                };
                let id = &recorded.incident().id;
                let fix = format!("custody incident show {id}");
                Some(Diagnostic::note("ROT-2", format!("incident {id} was {verb}")).fix(fix))
            })
            .collect(),
    }
}
