//! Incident records: what leaked, since when, who owns it, what was done, until it is closed (ROT-2).
//!
//! Owns the record ([`Incident`]), its states, the port that keeps records ([`Store`]) with its directory
//! implementation, and the judgement of ROT-2. It detects nothing: findings come from the caller.
//!
//! # Security
//!
//! A record holds a fingerprint and places, never secret material.

mod change;
mod error;
mod evaluate;
mod id;
mod plan;
mod record;
mod state;
mod store;
mod text;

pub use change::{close, contain, list, reopen, show};
pub use error::IncidentError;
pub use evaluate::{IncidentMode, IncidentReview, evaluate};
pub use id::{IncidentId, InvalidIncidentId};
pub use plan::{OWN_THRESHOLD, Opening, Recorded, opens, plan, record};
pub use record::{Closure, Incident, Sighting, TimelineEntry};
pub use state::State;
pub use store::{DirectoryStore, MemoryStore, Records, Store, Unreadable};
pub use text::{Fault, parse, render};
