//! The list of formats. To add one: a file beside this one, a variant, a line in each of the matches.

use std::fmt;
use std::io;
use std::str::FromStr;

use custody_contract::Report;

use crate::{RenderError, RenderOptions, UnknownFormat, github, json, junit, markdown, sarif, table};

/// A format that a report can be rendered in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people, at a terminal.
    #[default]
    Table,
    /// The report as it is, for programs; its schema is [`report_schema`](crate::report_schema).
    Json,
    /// SARIF 2.1.0 (OASIS), for code scanning.
    Sarif,
    /// JUnit XML, for CI systems that show tests.
    Junit,
    /// GitHub Actions workflow commands, for annotations on a change.
    Github,
    /// GitHub-flavoured Markdown, for job summaries and comments.
    Markdown,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 6] =
        [Format::Table, Format::Json, Format::Sarif, Format::Junit, Format::Github, Format::Markdown];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Sarif => "sarif",
            Format::Junit => "junit",
            Format::Github => "github",
            Format::Markdown => "markdown",
        }
    }

    /// What a file of this format ends in, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Table | Format::Github => "txt",
            Format::Json => "json",
            Format::Sarif => "sarif",
            Format::Junit => "xml",
            Format::Markdown => "md",
        }
    }

    /// What the format is for, in a line, for help texts.
    pub fn about(self) -> &'static str {
        match self {
            Format::Table => "for people, at a terminal",
            Format::Json => "for programs; stable, with a published schema",
            Format::Sarif => "SARIF 2.1.0, for code scanning",
            Format::Junit => "JUnit XML, for CI systems that show tests",
            Format::Github => "GitHub Actions annotations",
            Format::Markdown => "Markdown, for job summaries and comments",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Format::ALL.into_iter().find(|f| f.as_str() == name).ok_or(UnknownFormat)
    }
}

/// Renders `report` in `format` to `out`; the output ends in a line feed.
///
/// # Errors
///
/// [`RenderError::Write`] if `out` fails; the other variants only if a serialiser does.
pub fn render(
    report: &Report,
    format: Format,
    options: &RenderOptions,
    out: &mut dyn io::Write,
) -> Result<(), RenderError> {
    match format {
        Format::Table => table::render(report, options, out),
        Format::Json => json::render(report, out),
        Format::Sarif => sarif::render(report, options, out),
        Format::Junit => junit::render(report, out),
        Format::Github => github::render(report, options, out),
        Format::Markdown => markdown::render(report, options, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_format_and_no_other_does() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<Format>(), Err(UnknownFormat));
        assert_eq!("JSON".parse::<Format>(), Err(UnknownFormat));
    }
}
