//! JSON as billing documents need it: every value with its place, duplicate keys seen, bad input bounded.
//!
//! The tokens come from `jiter`; this module keeps offsets, so that a problem names line, column and RFC 6901
//! pointer. Nodes hold what a request says, which may be a secret: they have no `Debug`.

mod node;
mod parse;
mod place;

pub(crate) use node::{Member, Node, Number, Value};
pub(crate) use parse::Document;
pub(crate) use place::{Spot, escape};
