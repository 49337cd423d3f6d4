//! What people do with records: list, show, contain, close, reopen.

use jiff::Timestamp;

use crate::{Incident, IncidentError, IncidentId, Records, State, Store};

/// All records; those that are not closed first, then the latest first.
///
/// # Errors
///
/// As [`Store::load`].
pub fn list(store: &dyn Store) -> Result<Records, IncidentError> {
    let mut records = store.load()?;
    records.incidents.sort_by(|a, b| {
        let rank =
            |i: &Incident| (!i.state.is_unresolved(), std::cmp::Reverse(i.severity), std::cmp::Reverse(i.opened));
        rank(a).cmp(&rank(b)).then_with(|| a.id.cmp(&b.id))
    });
    Ok(records)
}

/// One record.
///
/// # Errors
///
/// [`IncidentError::Unknown`] or [`IncidentError::Unreadable`], or as [`Store::load`].
pub fn show(store: &dyn Store, id: &str) -> Result<Incident, IncidentError> {
    find(&store.load()?, id)
}

/// Closes an incident: the secret is rotated, purged or accepted, and `reason` says which.
///
/// # Errors
///
/// As [`show`], and [`Incident::advance`].
pub fn close(store: &dyn Store, id: &str, by: &str, reason: &str, now: Timestamp) -> Result<Incident, IncidentError> {
    advance(store, id, State::Closed, by, reason, now)
}

/// Marks an incident as contained: the secret can no longer be used.
///
/// # Errors
///
/// As [`close`].
pub fn contain(store: &dyn Store, id: &str, by: &str, reason: &str, now: Timestamp) -> Result<Incident, IncidentError> {
    advance(store, id, State::Contained, by, reason, now)
}

/// Opens an incident again.
///
/// # Errors
///
/// As [`close`].
pub fn reopen(store: &dyn Store, id: &str, by: &str, reason: &str, now: Timestamp) -> Result<Incident, IncidentError> {
    advance(store, id, State::Open, by, reason, now)
}

fn advance(
    store: &dyn Store,
    id: &str,
    next: State,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<Incident, IncidentError> {
    // Before the lock is taken, which would create the directory.
    find(&store.load()?, id)?;
    let mut changed = None;
    store.update(&mut |records| {
        let mut incident = find(records, id)?;
        incident.advance(next, by, reason, now)?;
        changed = Some(incident.clone());
        Ok(vec![incident])
    })?;
    changed.ok_or_else(|| unknown(&Records::default(), id))
}

fn find(records: &Records, id: &str) -> Result<Incident, IncidentError> {
    if let Some(incident) = records.get(id) {
        return Ok(incident.clone());
    }
    let Ok(parsed) = id.parse::<IncidentId>() else { return Err(unknown(records, id)) };
    let unreadable = records.unreadable.iter().find(|u| u.place.file.ends_with(&format!("/{}", parsed.file_name())));
    match unreadable {
        Some(unreadable) => Err(IncidentError::Unreadable { id: parsed, why: unreadable.why.clone() }),
        None => Err(unknown(records, id)),
    }
}

fn unknown(records: &Records, id: &str) -> IncidentError {
    let shared = |known: &str| {
        let prefix = known.bytes().zip(id.bytes()).take_while(|(a, b)| a == b).count();
        let suffix = known.bytes().rev().zip(id.bytes().rev()).take_while(|(a, b)| a == b).count();
        prefix.max(suffix + IncidentId::PREFIX.len())
    };
    // Alike in more than the date's first digits, which all have in common.
    let closest = records.incidents.iter().map(|i| (shared(i.id.as_str()), &i.id)).max();
    let closest = closest.filter(|(alike, _)| *alike > 12).map(|(_, id)| id.clone());
    IncidentError::Unknown { id: id.escape_default().take(80).collect(), closest }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::sample;
    use crate::{MemoryStore, Unreadable};

    fn store() -> MemoryStore {
        MemoryStore::new(Records { incidents: vec![sample("a")], unreadable: Vec::new() })
    }

    #[test]
    fn closing_needs_a_name_and_a_reason_and_happens_once() {
        let (store, id, now) = (store(), sample("a").id, sample("a").opened);
        for (by, reason) in [("", "x"), ("ana", " \n")] {
            assert!(matches!(close(&store, id.as_str(), by, reason, now), Err(IncidentError::Unsigned { .. })));
        }
        let closed = close(&store, id.as_str(), "ana", "rotated\nand purged", now).expect("closed");
        assert_eq!(closed.closed.as_ref().map(|c| c.reason.as_str()), Some("rotated and purged"));
        assert_eq!(show(&store, id.as_str()).expect("there"), closed);
        assert!(matches!(close(&store, id.as_str(), "ana", "again", now), Err(IncidentError::Transition { .. })));
        assert_eq!(reopen(&store, id.as_str(), "ana", "not purged", now).expect("open").state, State::Open);
    }

    #[test]
    fn an_unknown_id_is_an_error_that_names_the_closest() {
        let store = store();
        let id = sample("a").id;
        let typed = format!("{}f", &id.as_str()[..id.as_str().len() - 1]);
        let error = show(&store, &typed).expect_err("unknown");
        assert!(typed == id.as_str() || error.to_string().ends_with(&format!("did you mean {id}?")), "{error}");
        for odd in ["", "../../etc/passwd", "\u{1b}[31m"] {
            let error = close(&store, odd, "ana", "x", sample("a").opened).expect_err("unknown").to_string();
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_read_cannot_be_closed() {
        let id = sample("b").id;
        let place = custody_contract::Place::file(format!(".custody/incidents/{}", id.file_name()));
        let unreadable = vec![Unreadable { place, why: "it is not UTF-8".into() }];
        let store = MemoryStore::new(Records { incidents: Vec::new(), unreadable });
        let error = close(&store, id.as_str(), "ana", "x", sample("a").opened).expect_err("unreadable");
        assert!(matches!(error, IncidentError::Unreadable { .. }), "{error}");
    }
}
