//! The rotation registry's clause, ROT-1: rotation windows and ownership are documented before production cutover.
//!
//! Owns the judgement of `[[credential]]` entries and of references that have none. It does no I/O: whether a procedure
//! exists and where an entry stands in the contract file is asked of the caller. Stores, drivers and the rotation
//! workflow are not here.

mod check;
mod documented;
mod schedule;

pub use check::{RotationCheck, evaluate};
pub use schedule::{Schedule, Standing};
