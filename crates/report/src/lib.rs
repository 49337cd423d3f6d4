//! Reporters: one [`Report`](custody_contract::Report), many faces.
//!
//! This crate owns how a report looks: a table for people, JSON, SARIF 2.1.0, JUnit, GitHub annotations and a
//! Markdown summary, one file a format and one list ([`Format::ALL`]). It decides nothing: verdicts, severities and
//! the release decision are in the report before it gets here, and no format says more or less than another of what
//! stands in the way.
//!
//! # Security
//!
//! A report names files, commits, reasons and ids that a stranger may have chosen. Every text goes through one place
//! (`text`) before it is shown, so that no control character, no terminal sequence, no change of writing direction
//! and no markup of the format reaches a terminal, a log or a web page. A report holds no secret material
//! ([`Finding`](custody_contract::Finding)), so no format can show any.

mod amounts;
mod diagnostic;
mod error;
mod format;
mod github;
mod json;
mod junit;
mod markdown;
mod options;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sample;
mod sarif;
mod schema;
mod table;
mod text;
mod uri;
mod wording;

pub use diagnostic::render_diagnostic;
pub use error::{RenderError, UnknownFormat};
pub use format::{Format, render};
pub use options::{Colour, Explain, Links, RenderOptions};
pub use schema::report_schema;
