//! ROT-2: leaked material or reference context triggers incident response.

use custody_contract::{Diagnostic, Evaluation, Finding, Place, Severity};

use crate::plan::OWN_THRESHOLD;
use crate::{Incident, Records, opens};

/// Whether findings may open incident records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentMode {
    /// They do.
    Record,
    /// Nothing is written; the verdict is the same.
    DryRun,
}

/// What ROT-2 is evaluated on.
#[derive(Clone, Copy)]
pub struct IncidentReview<'a> {
    /// All records, after [`record`](crate::record) in mode [`IncidentMode::Record`].
    pub records: &'a Records,
    /// All findings of the run.
    pub findings: &'a [Finding],
    /// Whether records were written.
    pub mode: IncidentMode,
    /// Directory of the records, for messages.
    pub directory: &'a str,
    /// Where a record is.
    pub place_of: &'a dyn Fn(&Incident) -> String,
}

/// Evaluates ROT-2: an incident of High or Critical severity that is not closed stands against it, as does a record that
/// cannot be read, and, in a dry run, a finding that would open one.
pub fn evaluate(review: IncidentReview<'_>) -> Evaluation {
    let mut evaluation = Evaluation::default();
    let unresolved = || review.records.incidents.iter().filter(|i| i.state.is_unresolved());
    for incident in unresolved() {
        evaluation.problems.push(problem(incident, (review.place_of)(incident)));
    }
    evaluation.problems.extend(review.records.unreadable.iter().map(|u| u.diagnostic()));
    let severe: Vec<&Finding> = review.findings.iter().filter(|f| opens(f)).collect();
    for finding in &severe {
        evaluation.findings.push(finding.fingerprint);
        let recorded = unresolved().any(|i| i.fingerprint == finding.fingerprint);
        if !recorded {
            evaluation.problems.push(unrecorded(finding, review.mode));
        }
    }
    let (all, open) = (review.records.incidents.len(), unresolved().count());
    let unreadable = review.records.unreadable.len();
    evaluation.saw(
        format!("incident records in {}", review.directory),
        format!("{all} {}, {open} not closed, {unreadable} unreadable", if all == 1 { "record" } else { "records" }),
    );
    evaluation.saw("open findings of High or Critical severity", severe.len().to_string());
    evaluation
}

fn problem(incident: &Incident, place: String) -> Diagnostic {
    let what = format!("incident {} ({}) is {}: {}", incident.id, incident.severity, incident.state, incident.title);
    let diagnostic = if incident.severity >= OWN_THRESHOLD {
        Diagnostic::error("ROT-2", what)
    } else {
        Diagnostic::warning("ROT-2", what)
    };
    let why = match &incident.owner {
        Some(owner) => format!("an incident that is not closed blocks; {owner} answers for the credential"),
        None => "an incident that is not closed blocks".to_owned(),
    };
    let why =
        if incident.severity >= Severity::High { why } else { "it is not closed; its severity does not block".into() };
    let fix = format!("rotate and purge, then: custody incident close {} --reason \"what was done\"", incident.id);
    diagnostic.at(Place::file(place)).why(why).fix(fix)
}

fn unrecorded(finding: &Finding, mode: IncidentMode) -> Diagnostic {
    let what = match mode {
        IncidentMode::DryRun => format!("{} would open an incident ({})", finding.title, finding.severity),
        IncidentMode::Record => format!("no incident could be recorded for {} ({})", finding.title, finding.severity),
    };
    let place = finding.occurrences.first().map(|o| Place::at(o.path.clone(), o.line, o.column));
    let diagnostic = Diagnostic::error("ROT-2", what)
        .why(format!("rule {}, fingerprint {}", finding.rule, finding.fingerprint))
        .fix("rotate the secret and remove it");
    match place {
        Some(place) => diagnostic.at(place),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::finding;
    use crate::text::tests::sample;
    use crate::{State, Unreadable};

    fn review(records: &Records, findings: &[Finding], mode: IncidentMode) -> Evaluation {
        let place_of = |i: &Incident| format!("d/{}", i.id.file_name());
        evaluate(IncidentReview { records, findings, mode, directory: "d", place_of: &place_of })
    }

    fn with(state: State, severity: Severity) -> Records {
        let mut incident = sample("a");
        incident.severity = severity;
        if state != State::Open {
            incident.advance(state, "ana", "x", incident.opened).expect("allowed");
        }
        Records { incidents: vec![incident], unreadable: Vec::new() }
    }

    #[test]
    fn an_incident_blocks_by_state_and_severity() {
        for (state, severity, fails) in [
            (State::Open, Severity::Critical, true),
            (State::Open, Severity::High, true),
            (State::Open, Severity::Medium, false),
            (State::Contained, Severity::High, true),
            (State::Closed, Severity::Critical, false),
        ] {
            let evaluation = review(&with(state, severity), &[], IncidentMode::Record);
            assert_eq!(evaluation.fails(), fails, "{state} {severity}");
            assert!(!evaluation.evidence.is_empty());
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_blocks() {
        let unreadable = vec![Unreadable { place: Place::file("d/INC.toml"), why: "it is not UTF-8".into() }];
        assert!(review(&Records { incidents: Vec::new(), unreadable }, &[], IncidentMode::Record).fails());
    }

    #[test]
    fn a_dry_run_blocks_on_what_would_open_an_incident() {
        let found = [finding("z", Severity::High, &["x"])];
        let evaluation = review(&Records::default(), &found, IncidentMode::DryRun);
        assert!(evaluation.fails() && evaluation.problems[0].what.contains("would open"));
        assert!(!review(&Records::default(), &[], IncidentMode::DryRun).fails());
    }
}
