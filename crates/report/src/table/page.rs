//! A page of text: columns, wrapping, colour and links, with nothing of the report in it.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};

use crate::{Colour, Explain, Links, RenderOptions, text, uri};

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
pub(crate) const CALM: Style = AnsiColor::Cyan.on_default();

/// Text that is written line by line. What is given to it is plain text that is safe to show
/// ([`text::safe`]); it alone adds terminal sequences.
pub(crate) struct Page {
    out: String,
    columns: usize,
    colour: Colour,
    links: Option<PathBuf>,
    web_links: Links,
    pub(crate) explain: Explain,
}

impl Page {
    pub(crate) fn new(options: &RenderOptions) -> Self {
        Page {
            out: String::new(),
            columns: usize::from(options.width).clamp(40, 160),
            colour: options.colour,
            links: options.root.clone().filter(|_| options.links == Links::Always),
            web_links: options.links,
            explain: options.explain,
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.out
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// A line that stays one line however long it is, for what programs may take from a page.
    pub(crate) fn line(&mut self, line: &str, style: Style) {
        self.styled(line, style);
        self.end_line();
    }

    /// A line of its own above a section, with an empty line before it.
    pub(crate) fn heading(&mut self, heading: &str) {
        self.blank();
        self.hang(&[], heading, BOLD);
    }

    /// `cells` side by side, each padded to its width, then `body` wrapped in the columns that are left.
    pub(crate) fn hang(&mut self, cells: &[Cell<'_>], body: &str, style: Style) {
        let indent: usize = cells.iter().map(Cell::columns).sum();
        for (index, line) in text::wrap(body, self.columns.saturating_sub(indent)).iter().enumerate() {
            if index == 0 {
                for cell in cells {
                    self.cell(cell);
                }
            } else {
                self.pad(indent);
            }
            self.styled(line, style);
            self.end_line();
        }
    }

    /// A place on a line of its own, never wrapped so that it can be copied, then a remark.
    pub(crate) fn place(&mut self, indent: &str, place: &str, path: Option<&str>, remark: &str) {
        self.out.push_str(indent);
        let link = path.and_then(|path| uri::file(path, self.links.as_deref()?));
        self.linked(place, link.as_deref(), CALM);
        if !remark.is_empty() {
            self.out.push_str("  ");
            self.styled(remark, DIM);
        }
        self.end_line();
    }

    /// A reference to read on, a link where it can be one.
    pub(crate) fn reference(&mut self, cells: &[Cell<'_>], reference: &str) {
        for cell in cells {
            self.cell(cell);
        }
        let link = uri::web(reference).filter(|_| self.web_links == Links::Always);
        self.linked(&text::safe(reference), link, PLAIN);
        self.end_line();
    }

    fn cell(&mut self, cell: &Cell<'_>) {
        self.styled(cell.text, cell.style);
        self.pad(cell.columns() - text::width(cell.text));
    }

    fn pad(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    /// Spaces at the end stay outside of the style, so that [`Page::end_line`] can take them away.
    fn styled(&mut self, text: &str, style: Style) {
        let shown = text.trim_end_matches(' ');
        if self.colour == Colour::Always && !shown.is_empty() {
            self.out.push_str(&format!("{style}{shown}{style:#}"));
        } else {
            self.out.push_str(shown);
        }
        self.pad(text.len() - shown.len());
    }

    fn linked(&mut self, text: &str, uri: Option<&str>, style: Style) {
        let text = text.trim_end_matches(' ');
        let uri = uri.filter(|_| !text.is_empty());
        if let Some(uri) = uri {
            self.out.push_str(&format!("\u{1b}]8;;{uri}\u{1b}\\"));
        }
        self.styled(text, style);
        if uri.is_some() {
            self.out.push_str("\u{1b}]8;;\u{1b}\\");
        }
    }

    fn end_line(&mut self) {
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
    }
}

/// A piece of text with the least number of columns that it takes.
pub(crate) struct Cell<'a> {
    text: &'a str,
    columns: usize,
    style: Style,
}

impl<'a> Cell<'a> {
    pub(crate) fn new(text: &'a str, columns: usize, style: Style) -> Self {
        Cell { text, columns, style }
    }

    fn columns(&self) -> usize {
        self.columns.max(text::width(self.text))
    }
}
