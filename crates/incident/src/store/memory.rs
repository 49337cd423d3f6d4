use std::sync::{Mutex, PoisonError};

use super::{Change, Records, Store};
use crate::{IncidentError, IncidentId};

/// Records in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<Records>,
}

impl MemoryStore {
    /// A store that starts with these records.
    pub fn new(records: Records) -> Self {
        MemoryStore { records: Mutex::new(records) }
    }
}

impl Store for MemoryStore {
    fn load(&self) -> Result<Records, IncidentError> {
        Ok(self.records.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn update(&self, change: &mut Change<'_>) -> Result<(), IncidentError> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        for incident in change(&records)? {
            match records.incidents.iter_mut().find(|i| i.id == incident.id) {
                Some(known) => *known = incident,
                None => records.incidents.push(incident),
            }
        }
        records.incidents.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(())
    }

    fn place_of(&self, id: &IncidentId) -> String {
        id.to_string()
    }
}
