//! Credential references resolve here: backends, resolution, injection, masking and the read-only proof.
//!
//! Code and configuration hold `cred://provider/scope…/access` (CRED-2, CRED-4); this crate turns the reference into
//! a [`SecretValue`] at run time, read-only, from a secret manager (ENV-4), in the process that needs it.

pub mod backend;
pub mod prove;
mod secret;

pub use secret::SecretValue;
