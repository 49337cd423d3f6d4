//! Records as text: TOML, one statement per line, in a fixed order, so that changes show up as small diffs.

use custody_contract::{Fingerprint, Severity, Surface};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Closure, Incident, IncidentId, Sighting, State, TimelineEntry};

const SCHEMA: &str = "custody.incident/1";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RecordText {
    schema: String,
    id: IncidentId,
    state: State,
    severity: Severity,
    title: String,
    rule: String,
    fingerprint: Fingerprint,
    opened: Moment,
    opened_by: String,
    first_seen: Moment,
    last_seen: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<ClosureText>,
    #[serde(default, rename = "occurrence", skip_serializing_if = "Vec::is_empty")]
    occurrences: Vec<SightingText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    timeline: Vec<EntryText>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SightingText {
    surface: Surface,
    path: String,
    line: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct EntryText {
    at: Moment,
    what: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ClosureText {
    at: Moment,
    by: String,
    reason: String,
}

/// A point in time, written as a string; TOML's own form is read as well, since people edit records.
struct Moment(Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(datetime) => datetime.to_string(),
            _ => String::new(),
        };
        let expected = "expected a time with its zone, such as \"2026-12-31T08:30:00Z\"";
        text.parse().map(Moment).map_err(|_| D::Error::custom(expected))
    }
}

/// Why text is not a record, with the byte at which it goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Byte offset, where it is known.
    pub offset: Option<usize>,
    /// What is wrong; holds no value of the file.
    pub why: String,
}

impl Fault {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Fault { offset: None, why: why.into() }
    }
}

/// Reads a record.
///
/// # Errors
///
/// [`Fault`] where the text is not TOML, has unknown or missing fields, another schema, or contradicts itself. Whatever
/// is not understood makes the record unreadable: an unreadable record counts as open.
pub fn parse(text: &str) -> Result<Incident, Fault> {
    #[derive(Deserialize)]
    struct SchemaOnly {
        schema: Option<String>,
    }
    // Asked first: a later version's record should be called that, not a list of unknown fields.
    if let Ok(SchemaOnly { schema: Some(schema) }) = toml::from_str(text)
        && schema != SCHEMA
    {
        return Err(Fault::new(format!("its schema is not {SCHEMA}; another version of custody wrote it")));
    }
    let record: RecordText = toml::from_str(text)
        .map_err(|e| Fault { offset: e.span().map(|s| s.start), why: without_values(e.message()) })?;
    let incident = Incident {
        id: record.id,
        state: record.state,
        severity: record.severity,
        title: record.title,
        rule: record.rule,
        fingerprint: record.fingerprint,
        opened: record.opened.0,
        opened_by: record.opened_by,
        first_seen: record.first_seen.0,
        last_seen: record.last_seen.0,
        owner: record.owner,
        occurrences: record
            .occurrences
            .into_iter()
            .map(|s| Sighting { surface: s.surface, path: s.path, line: s.line, commit: s.commit })
            .collect(),
        timeline: record.timeline.into_iter().map(|t| TimelineEntry { at: t.at.0, what: t.what }).collect(),
        closed: record.closed.map(|c| Closure { at: c.at.0, by: c.by, reason: c.reason }),
    };
    consistent(incident)
}

fn consistent(incident: Incident) -> Result<Incident, Fault> {
    let unsigned = incident.closed.as_ref().is_some_and(|c| c.by.trim().is_empty() || c.reason.trim().is_empty());
    match (incident.state, &incident.closed) {
        (State::Closed, None) => Err(Fault::new("its state is closed and there is no [closed] with at, by and reason")),
        (State::Open | State::Contained, Some(_)) => Err(Fault::new("it has [closed] and its state is not closed")),
        _ if unsigned => Err(Fault::new("[closed] names nobody, or gives no reason")),
        _ => Ok(incident),
    }
}

/// Renders a record.
pub fn render(incident: &Incident) -> String {
    let record = RecordText {
        schema: SCHEMA.into(),
        id: incident.id.clone(),
        state: incident.state,
        severity: incident.severity,
        title: incident.title.clone(),
        rule: incident.rule.clone(),
        fingerprint: incident.fingerprint,
        opened: Moment(incident.opened),
        opened_by: incident.opened_by.clone(),
        first_seen: Moment(incident.first_seen),
        last_seen: Moment(incident.last_seen),
        owner: incident.owner.clone(),
        closed: incident.closed.as_ref().map(|c| ClosureText {
            at: Moment(c.at),
            by: c.by.clone(),
            reason: c.reason.clone(),
        }),
        occurrences: incident
            .occurrences
            .iter()
            .map(|s| SightingText { surface: s.surface, path: s.path.clone(), line: s.line, commit: s.commit.clone() })
            .collect(),
        timeline: incident.timeline.iter().map(|t| EntryText { at: Moment(t.at), what: t.what.clone() }).collect(),
    };
    let body = toml::to_string(&record).expect("a record is tables of strings and numbers");
    let id = &incident.id;
    format!(
        "# Incident record, kept by custody; add what is done to the timeline.\n# Close it with: custody incident close {id}\n{body}"
    )
}

/// Serde quotes offending values; a person may have pasted a secret into a record.
fn without_values(message: &str) -> String {
    let quotes = message.starts_with("invalid") || message.starts_with("unknown variant");
    match message.rfind("expected ") {
        Some(at) if quotes => message[at..].to_owned(),
        _ if quotes => "a value has another form than expected".to_owned(),
        _ => message.lines().next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn sample(seed: &str) -> Incident {
        let now: Timestamp = "2026-11-24T08:30:00Z".parse().expect("valid");
        let fingerprint = Fingerprint::of(seed.as_bytes());
        Incident {
            id: IncidentId::new(jiff::civil::date(2026, 11, 24), &fingerprint, 8),
            state: State::Open,
            severity: Severity::Critical,
            title: "Some key in \"config\"/app.env".into(),
            rule: "some-key".into(),
            fingerprint,
            opened: now,
            opened_by: "custody check".into(),
            first_seen: now,
            last_seen: now,
            owner: None,
            occurrences: vec![Sighting {
                surface: Surface::History,
                path: "config/app.env".into(),
                line: 3,
                commit: Some("0".repeat(40)),
            }],
            timeline: vec![TimelineEntry { at: now, what: "opened".into() }],
            closed: None,
        }
    }

    #[test]
    fn records_round_trip_in_every_state() {
        let mut incident = sample("a");
        assert_eq!(parse(&render(&incident)), Ok(incident.clone()), "{}", render(&incident));
        incident.owner = Some("finops".into());
        incident.advance(State::Closed, "ana", "rotated", incident.opened).expect("allowed");
        assert_eq!(parse(&render(&incident)), Ok(incident.clone()), "{}", render(&incident));
        incident.advance(State::Open, "ana", "seen again", incident.opened).expect("allowed");
        assert_eq!(parse(&render(&incident)), Ok(incident));
    }

    #[test]
    fn a_time_in_tomls_own_form_is_read() {
        let text = render(&sample("a")).replace("\"2026-11-24T08:30:00Z\"", "2026-11-24T08:30:00Z");
        assert_eq!(parse(&text), Ok(sample("a")));
    }

    #[test]
    fn what_is_not_understood_is_not_a_record() {
        let text = render(&sample("a"));
        for (from, to) in [
            ("state = \"open\"", "state = \"done\""),
            ("state = \"open\"", "state = \"closed\""),
            ("state = \"open\"", ""),
            ("title =", "titel ="),
            ("custody.incident/1", "custody.incident/2"),
            ("critical", "awful"),
            ("INC-", "INX-"),
            ("08:30", "38:30"),
        ] {
            let fault = parse(&text.replace(from, to)).expect_err(to);
            assert!(!fault.why.is_empty() && !fault.why.contains("awful"), "{fault:?}");
        }
        let closed = format!("{}\n[closed]\nat = \"2026-11-24T08:30:00Z\"\nby = \"\"\nreason = \"x\"\n", text);
        assert!(parse(&closed.replace("state = \"open\"", "state = \"closed\"")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_without_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn any_title_and_path_round_trips(title in "\\PC*", path in "\\PC*", line in any::<u32>()) {
            let mut incident = sample("a");
            incident.title = title;
            incident.occurrences[0].path = path;
            incident.occurrences[0].line = line;
            prop_assert_eq!(parse(&render(&incident)), Ok(incident));
        }
    }
}
