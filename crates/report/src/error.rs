//! What can go wrong when a report is written.

use std::io;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The output could not be written to.
    #[error("cannot write the report")]
    Write(#[from] io::Error),
    /// The report could not be put into JSON.
    #[error("cannot put the report into JSON")]
    Json(#[source] serde_json::Error),
    /// The report could not be put into JUnit's XML.
    #[error("cannot put the report into JUnit's XML")]
    Junit(#[source] quick_junit::SerializeError),
}

impl RenderError {
    /// Whether the reader of the output went away (`custody check | head`), which is no fault.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, RenderError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<serde_json::Error> for RenderError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() { RenderError::Write(error.into()) } else { RenderError::Json(error) }
    }
}

/// A format name that is none of `table`, `json`, `sarif`, `junit`, `github`, `markdown`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format; expected table, json, sarif, junit, github or markdown")]
pub struct UnknownFormat;
