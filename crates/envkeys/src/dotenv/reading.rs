//! What one program reads in a dotenv file.

use std::collections::BTreeMap;
use std::fmt;

/// A program that reads dotenv files in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// The npm package `dotenv` (16, 17), without `dotenv-expand`.
    Node,
    /// Docker Compose 2 (`compose-go`): `.env` and `env_file`.
    Compose,
    /// `set -a; . ./.env` in a POSIX shell (modelled on dash).
    Posix,
    /// The PyPI package `python-dotenv`.
    Python,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Dialect; 4] = [Dialect::Node, Dialect::Compose, Dialect::Posix, Dialect::Python];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Node => "node dotenv",
            Dialect::Compose => "Docker Compose",
            Dialect::Posix => "a shell",
            Dialect::Python => "python-dotenv",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a program reads: values per key, and what else happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The value of each key that is set.
    pub values: BTreeMap<String, Value>,
    /// Where and why the program gives up; what stands behind it is not read.
    pub failure: Option<Failure>,
    /// Lines that a shell takes for commands to run.
    pub commands: Vec<u32>,
}

/// Why a program gives up on a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// On which line, 1-based.
    pub line: u32,
    /// Why, a sentence fragment without any of the file's text.
    pub why: &'static str,
}

/// What a program reads for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This text.
    Text(String),
    /// Nothing that the file alone decides: a command's output, the process environment.
    Computed(&'static str),
}

impl Reading {
    /// The text of a key, where the file decides it.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn fail(&mut self, line: u32, why: &'static str) {
        self.failure.get_or_insert(Failure { line, why });
    }
}

/// How long values may grow by interpolation, all together; ends chains such as `B=$A$A`, `C=$B$B`.
pub(super) const MAX_EXPANDED_BYTES: usize = 8 << 20;
