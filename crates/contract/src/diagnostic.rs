use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a diagnostic stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For information.
    Note,
    /// Should be looked at; does not block by itself.
    Warning,
    /// A violation or a fault.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// Where in a file, 1-based; `line` 0 means the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Path as the user would write it, relative to the repository where it is inside.
    pub file: String,
    /// Line, 1-based; 0 for the whole file.
    pub line: u32,
    /// Column in characters, 1-based; 0 for the whole line.
    pub column: u32,
    /// JSON pointer (RFC 6901) inside the file, where the problem is in a JSON document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl Place {
    /// A file as a whole.
    pub fn file(file: impl Into<String>) -> Self {
        Place { file: file.into(), line: 0, column: 0, pointer: None }
    }

    /// A line and column of a file.
    pub fn at(file: impl Into<String>, line: u32, column: u32) -> Self {
        Place { file: file.into(), line, column, pointer: None }
    }

    /// The place of byte `offset` in `text`; lines and columns are counted from it.
    pub fn of_offset(file: impl Into<String>, text: &str, offset: usize) -> Self {
        let offset = (0..=offset.min(text.len())).rev().find(|&o| text.is_char_boundary(o)).unwrap_or(0);
        let before = &text[..offset];
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |p| p + 1);
        let column = before[line_start..].chars().count() + 1;
        Place::at(file, u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        if let Some(pointer) = &self.pointer {
            write!(f, "#{pointer}")?;
        }
        Ok(())
    }
}

/// What, where, why and what to do next. Never holds secret material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// A clause id or another stable id, such as `CRED-3` or `env-duplicate-key`.
    pub code: String,
    /// How much it matters.
    pub level: Level,
    /// What is wrong, as a sentence fragment without a full stop.
    pub what: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Why it is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

impl Diagnostic {
    /// A diagnostic at error level.
    pub fn error(code: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Level::Error, code, what)
    }

    /// A diagnostic at warning level.
    pub fn warning(code: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, what)
    }

    /// A diagnostic at note level.
    pub fn note(code: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(Level::Note, code, what)
    }

    fn new(level: Level, code: impl Into<String>, what: impl Into<String>) -> Self {
        Diagnostic { code: code.into(), level, what: what.into(), place: None, why: String::new(), fix: String::new() }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Says why.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let text = "a\nüx = 1\n";
        assert_eq!(Place::of_offset("f", text, 0).to_string(), "f:1:1");
        assert_eq!(Place::of_offset("f", text, 4).to_string(), "f:2:2");
        assert_eq!(Place::of_offset("f", text, 3).to_string(), "f:2:1"); // inside ü
        assert_eq!(Place::of_offset("f", text, 999).to_string(), "f:3:1");
    }
}
