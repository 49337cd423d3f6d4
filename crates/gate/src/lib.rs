//! The gate: every clause of the contract, one verdict each, and whether a release may go on.
//!
//! Owns the evaluation of clauses (one file per group), the decision, and what protects it: the base revision, waivers,
//! baseline and inline allowances. It asks the domain crates and judges what they say; apart from [`context`], which
//! looks for the contract's second kind of leak, it detects nothing. It writes incident records and nothing else.

mod allowances;
mod base;
mod billing;
mod changes;
mod context;
mod cred;
mod decision;
mod env;
mod evaluate;
mod explain;
mod input;
mod parts;
mod proof;
mod propose;
mod references;
mod rotation;
mod search;
mod surfaces;
#[cfg(test)]
mod tests;
mod validation;
mod waivers;

pub use allowances::{AllowancesOf, settle_allowances};
pub use base::{Base, BaseSpec, Reach, ci_system, detect_base, open_base};
pub use decision::{Judged, decide, judge};
pub use evaluate::evaluate;
pub use explain::{Explanation, explain};
pub use input::{BaseProblem, GateError, GateInput, HistoryMode};
pub use propose::propose;
pub use waivers::covers;

pub use custody_incident::IncidentMode;
