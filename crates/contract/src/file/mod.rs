//! The contract file, `custody.toml`, and the built-in profiles, one of which it selects.
//!
//! A file is parsed in two steps. [`ContractFile::parse`] reads the text: unknown fields, wrong types, malformed
//! references, dates, globs and durations are errors that point at line and column. [`Contract::resolve`] lays the
//! repository's file over its profile and refuses what weakens a locked item without a waiver.
//! Neither does I/O: the caller hands over text and a name for it.

mod contract;
mod credentials;
mod globs;
mod items;
mod layer;
mod merge;
mod merge_credentials;
mod profile;
mod scalar;
mod schema;

#[cfg(test)]
mod tests;

pub use contract::{Clause, Contract};
pub use credentials::{
    BackendItem, Delivery, Feed, InvalidSource, InvalidTimeLimit, OnRotation, Placement, RunMode, RunSection, Source,
    TimeLimit,
};
pub use globs::{GlobSet, InvalidGlob};
pub use items::{
    Adapter, BillingSection, ClauseItem, ContractFile, CredentialItem, Enforcement, EnvironmentItem, EnvironmentTable,
    Exclusion, IncidentSection, KeyItem, KeyType, ProofSection, ReleaseSection, Requirement, ScanSection,
    SurfaceSection, Waiver,
};
pub use layer::locate;
pub use profile::{PROFILES, profile};
pub use scalar::{AdapterId, Day, Window};
pub use schema::contract_schema;
