//! Where records are kept: a port, a directory, and memory for tests and dry runs.

mod directory;
mod lock;
mod memory;

use custody_contract::{Diagnostic, Place};

use crate::{Incident, IncidentError, IncidentId};

pub use directory::DirectoryStore;
pub use memory::MemoryStore;

/// All records of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Those that can be read, by id.
    pub incidents: Vec<Incident>,
    /// Those that cannot: each counts as an open incident.
    pub unreadable: Vec<Unreadable>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Path of the file, or of the directory where that cannot be read.
    pub place: Place,
    /// What is wrong.
    pub why: String,
}

impl Unreadable {
    /// The record as a problem of ROT-2.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error("ROT-2", "an incident record cannot be read and counts as open")
            .at(self.place.clone())
            .why(self.why.clone())
            .fix("correct the record, or restore it from version control")
    }
}

impl Records {
    /// The record of that id.
    pub fn get(&self, id: &str) -> Option<&Incident> {
        self.incidents.iter().find(|i| i.id.as_str() == id)
    }
}

/// A change to records: sees them all and gives those to write.
pub type Change<'a> = dyn FnMut(&Records) -> Result<Vec<Incident>, IncidentError> + 'a;

/// Something that keeps incident records.
pub trait Store {
    /// All records. What cannot be read is part of the outcome, never left out.
    ///
    /// # Errors
    ///
    /// Where the store as a whole cannot be used.
    fn load(&self) -> Result<Records, IncidentError>;

    /// Loads, changes and writes records while no other process does.
    ///
    /// # Errors
    ///
    /// As [`Store::load`], whatever `change` gives, and where a record cannot be written.
    fn update(&self, change: &mut Change<'_>) -> Result<(), IncidentError>;

    /// What people call the place of a record.
    fn place_of(&self, id: &IncidentId) -> String;
}
