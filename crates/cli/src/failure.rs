//! What ends a command before it has a report.

use std::process::ExitCode;

use custody_contract::{Diagnostic, Place};

use crate::exit;

/// Diagnostics to print and the exit code to end with.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// The exit code, from [`crate::exit`].
    pub code: u8,
}

impl Failure {
    /// Wrong use of the command, or an unusable contract file.
    pub fn usage(diagnostic: Diagnostic) -> Self {
        Failure { diagnostics: vec![diagnostic], code: exit::USAGE }
    }

    /// Several problems of the contract file.
    pub fn contract(diagnostics: Vec<Diagnostic>) -> Self {
        Failure { diagnostics, code: exit::USAGE }
    }

    /// Something that had to be read could not be.
    pub fn unreadable(path: &str, error: &std::io::Error) -> Self {
        let diagnostic = Diagnostic::error("unreadable", format!("cannot read {path}")).at(Place::file(path));
        let diagnostic = diagnostic.why(error.to_string()).fix("check the path and its permissions");
        Failure { diagnostics: vec![diagnostic], code: exit::USAGE }
    }

    /// Something could not be written.
    pub fn unwritable(path: &str, error: &std::io::Error) -> Self {
        let diagnostic = Diagnostic::error("unwritable", format!("cannot write {path}")).at(Place::file(path));
        let diagnostic =
            diagnostic.why(error.to_string()).fix("check the directory, its permissions and the free space");
        Failure { diagnostics: vec![diagnostic], code: exit::USAGE }
    }

    /// A scan or evaluation that could not be done.
    pub fn incomplete(what: impl Into<String>, why: impl Into<String>, fix: impl Into<String>) -> Self {
        let diagnostic = Diagnostic::error("incomplete", what).why(why).fix(fix);
        Failure { diagnostics: vec![diagnostic], code: exit::INCOMPLETE }
    }

    /// The exit code for the process.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}
