//! Detection of secret material: rules, the engine that applies them, decoders, sources, baseline, allowances.
//!
//! [`engine`] takes bytes and gives matches; it does no I/O and keeps no secret. [`source`] and [`history`] feed it
//! and keep the account of what was read. [`collect`] turns matches into findings, one per secret. Nothing here
//! decides whether a finding blocks: that is the gate's.

pub mod allow;
pub mod baseline;
pub mod collect;
pub mod decode;
pub mod engine;
mod extract;
pub mod history;
mod recognise;
pub mod rules;
pub mod source;

pub use recognise::HIGH_ENTROPY;
