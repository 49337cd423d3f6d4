//! The audit log: append-only, hash-chained, with signed checkpoints.
//!
//! Who asked for which credential, when, for what, and what the answer was. A record holds references and keyed
//! fingerprints, never secret material.
