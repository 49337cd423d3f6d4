//! Injection: resolved material goes into a child process at its start, and nowhere else (ENV-4).

pub(crate) mod memory;
