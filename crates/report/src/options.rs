//! How a report is to look, as far as the reader has a say in it.

use std::path::PathBuf;

/// What the caller knows about the reader of a report. The default suits a file: 80 columns, plain text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether the table is coloured. Colour never carries meaning by itself.
    pub colour: Colour,
    /// Width of the table in columns; below 40 is taken as 40, above 160 as 160.
    pub width: u16,
    /// Whether places and references in the table are links.
    pub links: Links,
    /// Whether the reasons of each finding's confidence and the evidence of each clause are shown.
    pub explain: Explain,
    /// Absolute path of the directory that the report's paths are relative to: what links and SARIF's `SRCROOT`
    /// lead to. Without it there are no links to files.
    pub root: Option<PathBuf>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        RenderOptions { colour: Colour::Never, width: 80, links: Links::Never, explain: Explain::No, root: None }
    }
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    #[default]
    Never,
    /// ANSI sequences.
    Always,
}

/// Whether to link (OSC 8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Links {
    /// Plain text.
    #[default]
    Never,
    /// OSC 8 sequences around places and references.
    Always,
}

/// Whether to explain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Explain {
    /// What was found.
    #[default]
    No,
    /// What was found and why it is thought to be real.
    Yes,
}
