//! From findings to records: one incident per secret.

use custody_contract::{Finding, FindingStatus, Severity};
use jiff::{Timestamp, tz::TimeZone};

use crate::record::one_line;
use crate::{Incident, IncidentError, IncidentId, Records, State, Store};

/// From which severity a finding opens an incident, whatever the contract blocks at (ROT-2).
pub const OWN_THRESHOLD: Severity = Severity::High;

/// Who opens incidents, and what is known of the credentials that leaked.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// Goes into `opened-by`, such as `custody check`.
    pub by: &'a str,
    /// When.
    pub now: Timestamp,
    /// Who answers for the credential that a finding shows, where that is known.
    pub owner: &'a dyn Fn(&Finding) -> Option<String>,
}

/// What became of one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It opened an incident.
    Opened(Incident),
    /// It belongs to an incident that is not closed.
    Joined {
        /// The incident.
        incident: Incident,
        /// How many places are new.
        new_places: usize,
    },
    /// It opened a closed incident again.
    Reopened(Incident),
}

impl Recorded {
    /// The incident as it is now.
    pub fn incident(&self) -> &Incident {
        match self {
            Recorded::Opened(incident) | Recorded::Joined { incident, .. } | Recorded::Reopened(incident) => incident,
        }
    }
}

/// Whether a finding opens or joins an incident: it counts, and is High or Critical.
pub fn opens(finding: &Finding) -> bool {
    finding.status == FindingStatus::Open && finding.severity >= OWN_THRESHOLD
}

/// Says what becomes of each finding that [`opens`], without writing anything.
///
/// Findings that are baselined, waived or allowed open nothing, and reopen nothing: that is how a rotated secret that
/// stays in history lets its incident stay closed.
pub fn plan(records: &Records, findings: &[Finding], opening: Opening<'_>) -> Vec<Recorded> {
    let mut planned: Vec<Recorded> = Vec::new();
    for finding in findings.iter().filter(|f| opens(f)) {
        // The one that is not closed, else the latest: two branches may each have opened one.
        let same = records.incidents.iter().filter(|i| i.fingerprint == finding.fingerprint);
        let known = same.max_by_key(|i| (i.state.is_unresolved(), i.opened));
        if planned.iter().any(|p| p.incident().fingerprint == finding.fingerprint) {
            continue;
        }
        planned.push(match known {
            None => Recorded::Opened(open(records, &planned, finding, opening)),
            Some(known) if known.state == State::Closed => Recorded::Reopened(again(known, finding, opening)),
            Some(known) => join(known, finding, opening),
        });
    }
    planned
}

/// Opens, joins and reopens incidents, and writes those records that change.
///
/// # Errors
///
/// Where records cannot be read as a whole, locked or written.
pub fn record(store: &dyn Store, findings: &[Finding], opening: Opening<'_>) -> Result<Vec<Recorded>, IncidentError> {
    let mut planned = Vec::new();
    if !findings.iter().any(opens) {
        return Ok(planned);
    }
    store.update(&mut |records| {
        planned = plan(records, findings, opening);
        let changed = planned.iter().map(Recorded::incident).filter(|i| records.get(i.id.as_str()) != Some(i));
        Ok(changed.cloned().collect())
    })?;
    Ok(planned)
}

fn open(records: &Records, planned: &[Recorded], finding: &Finding, opening: Opening<'_>) -> Incident {
    let day = opening.now.to_zoned(TimeZone::UTC).date();
    let taken = |id: &IncidentId| {
        let on_disk = |u: &crate::Unreadable| u.place.file.ends_with(&id.file_name());
        records.get(id.as_str()).is_some()
            || planned.iter().any(|p| p.incident().id == *id)
            || records.unreadable.iter().any(on_disk)
    };
    let id = (8..=32)
        .step_by(4)
        .map(|digits| IncidentId::new(day, &finding.fingerprint, digits))
        .find(|id| !taken(id))
        .unwrap_or_else(|| IncidentId::new(day, &finding.fingerprint, 32));
    let mut incident = Incident {
        id,
        state: State::Open,
        severity: finding.severity,
        title: title(finding),
        rule: one_line(&finding.rule),
        fingerprint: finding.fingerprint,
        opened: opening.now,
        opened_by: one_line(opening.by),
        first_seen: opening.now,
        last_seen: opening.now,
        owner: (opening.owner)(finding).map(|o| one_line(&o)),
        occurrences: Vec::new(),
        timeline: Vec::new(),
        closed: None,
    };
    incident.see(&finding.occurrences);
    let places = places(finding.occurrences.len());
    incident.happened(opening.now, format!("opened by {}: {} in {places}", incident.opened_by, incident.rule));
    incident
}

fn again(known: &Incident, finding: &Finding, opening: Opening<'_>) -> Incident {
    let mut incident = known.clone();
    let new = incident.see(&finding.occurrences);
    let reason = match new {
        0 => "found again where it was, and neither baselined nor waived".to_owned(),
        new => format!("found again, in {new} new {}", if new == 1 { "place" } else { "places" }),
    };
    incident.severity = incident.severity.max(finding.severity);
    incident.last_seen = opening.now;
    // Closed becomes open; name and reason are not empty.
    let _ = incident.advance(State::Open, opening.by, &reason, opening.now);
    incident
}

fn join(known: &Incident, finding: &Finding, opening: Opening<'_>) -> Recorded {
    let mut incident = known.clone();
    let new_places = incident.see(&finding.occurrences);
    let day = |t: Timestamp| t.to_zoned(TimeZone::UTC).date();
    if new_places > 0 {
        incident.happened(opening.now, format!("seen in {new_places} more {}", plural(new_places, "place")));
        if incident.state == State::Contained {
            let _ = incident.advance(State::Open, opening.by, "seen in new places", opening.now);
        }
    }
    if new_places > 0 || day(opening.now) > day(incident.last_seen) {
        incident.last_seen = incident.last_seen.max(opening.now);
    }
    incident.severity = incident.severity.max(finding.severity);
    Recorded::Joined { incident, new_places }
}

fn title(finding: &Finding) -> String {
    match finding.occurrences.first() {
        Some(first) => one_line(&format!("{} in {}", finding.title, first.path)),
        None => one_line(&finding.title),
    }
}

fn places(n: usize) -> String {
    format!("{n} {}", plural(n, "place"))
}

fn plural(n: usize, one: &str) -> String {
    if n == 1 { one.to_owned() } else { format!("{one}s") }
}

#[cfg(test)]
pub(crate) mod tests {
    use custody_contract::{Confidence, Fingerprint, Occurrence, Redacted, Surface};

    use super::*;
    use crate::{MemoryStore, change};

    pub(crate) fn finding(seed: &str, severity: Severity, paths: &[&str]) -> Finding {
        Finding {
            rule: "some-key".into(),
            title: "Some key".into(),
            severity,
            confidence: Confidence { score: 90, reasons: Vec::new() },
            fingerprint: Fingerprint::of(seed.as_bytes()),
            redacted: Redacted { prefix: "".into(), length: 20 },
            occurrences: paths
                .iter()
                .map(|path| Occurrence {
                    surface: Surface::WorkingTree,
                    path: (*path).into(),
                    line: 1,
                    column: 1,
                    end_column: 2,
                    offset: 0,
                    object: None,
                    commit: None,
                    encoding: Vec::new(),
                    allowed: None,
                    authored: None,
                    committed: None,
                    reach: None,
                })
                .collect(),
            status: FindingStatus::Open,
            references: Vec::new(),
            remedy: String::new(),
        }
    }

    fn at(time: &str) -> Opening<'_> {
        Opening { by: "custody check", now: time.parse().expect("valid"), owner: &|_| Some("finops".into()) }
    }

    const DAY_1: &str = "2026-11-24T08:00:00Z";
    const DAY_1_LATER: &str = "2026-11-24T20:00:00Z";
    const DAY_2: &str = "2026-11-25T08:00:00Z";

    #[test]
    fn a_secret_opens_one_incident_and_joins_it_afterwards() {
        let store = MemoryStore::default();
        let found = [finding("a", Severity::High, &["x"]), finding("b", Severity::Critical, &["y"])];
        let opened = record(&store, &found, at(DAY_1)).expect("recorded");
        assert!(opened.iter().all(|r| matches!(r, Recorded::Opened(i) if i.owner.as_deref() == Some("finops"))));
        let first = store.load().expect("loaded");
        assert_eq!(first.incidents.len(), 2);
        let joined = record(&store, &found, at(DAY_1_LATER)).expect("recorded");
        assert!(joined.iter().all(|r| matches!(r, Recorded::Joined { new_places: 0, .. })));
        assert_eq!(store.load().expect("loaded"), first, "a second check on the same day changes no record");
        let found = [finding("a", Severity::High, &["x", "z"])];
        let joined = record(&store, &found, at(DAY_2)).expect("recorded");
        assert!(matches!(&joined[0], Recorded::Joined { new_places: 1, incident } if incident.occurrences.len() == 2));
    }

    #[test]
    fn only_what_counts_and_is_severe_opens_an_incident() {
        let mut allowed = finding("a", Severity::Critical, &["x"]);
        allowed.status = FindingStatus::Allowed { reason: "r".into() };
        let found = [allowed, finding("b", Severity::Medium, &["x"])];
        assert_eq!(plan(&Records::default(), &found, at(DAY_1)), []);
    }

    #[test]
    fn a_closed_incident_is_reopened_only_by_a_finding_that_counts() {
        let store = MemoryStore::default();
        let mut found = [finding("a", Severity::High, &["x"])];
        let id = record(&store, &found, at(DAY_1)).expect("recorded")[0].incident().id.clone();
        change::close(&store, id.as_str(), "ana", "rotated", at(DAY_1).now).expect("closed");
        found[0].status = FindingStatus::Baselined { reason: "rotated".into() };
        assert_eq!(record(&store, &found, at(DAY_2)).expect("recorded"), []);
        found[0].status = FindingStatus::Open;
        let again = record(&store, &found, at(DAY_2)).expect("recorded");
        let Recorded::Reopened(incident) = &again[0] else { panic!("{again:?}") };
        assert_eq!((incident.state, &incident.closed, &incident.id), (State::Open, &None, &id));
        assert!(incident.timeline.last().is_some_and(|t| t.what.contains("reopened")));
    }

    #[test]
    fn a_contained_incident_opens_again_where_the_secret_spreads() {
        let store = MemoryStore::default();
        let id = record(&store, &[finding("a", Severity::High, &["x"])], at(DAY_1)).expect("recorded")[0]
            .incident()
            .id
            .clone();
        change::contain(&store, id.as_str(), "ana", "revoked", at(DAY_1).now).expect("contained");
        record(&store, &[finding("a", Severity::High, &["x"])], at(DAY_2)).expect("recorded");
        assert_eq!(store.load().expect("loaded").incidents[0].state, State::Contained);
        record(&store, &[finding("a", Severity::High, &["y"])], at(DAY_2)).expect("recorded");
        assert_eq!(store.load().expect("loaded").incidents[0].state, State::Open);
    }

    #[test]
    fn ids_that_collide_take_more_digits() {
        let first = plan(&Records::default(), &[finding("a", Severity::High, &["x"])], at(DAY_1));
        let mut other = first[0].incident().clone();
        other.fingerprint = Fingerprint::of(b"other");
        let records = Records { incidents: vec![other], unreadable: Vec::new() };
        let second = plan(&records, &[finding("a", Severity::High, &["x"])], at(DAY_1));
        assert_eq!(second[0].incident().id.as_str().len(), "INC-20261124-".len() + 12);
    }

    #[test]
    fn a_record_lists_at_most_so_many_places_and_does_not_change_after_that() {
        let paths: Vec<String> = (0..500).map(|n| format!("f{n}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let store = MemoryStore::default();
        record(&store, &[finding("a", Severity::High, &paths)], at(DAY_1)).expect("recorded");
        let before = store.load().expect("loaded");
        assert_eq!(before.incidents[0].occurrences.len(), Incident::MAX_SIGHTINGS);
        record(&store, &[finding("a", Severity::High, &paths)], at(DAY_1_LATER)).expect("recorded");
        assert_eq!(store.load().expect("loaded"), before);
    }
}
