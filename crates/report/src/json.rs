//! JSON: the report as it is. Also the writer that SARIF uses.

use std::io;

use custody_contract::Report;
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

use crate::{RenderError, text};

/// Writes the report as JSON, indented, with a line feed at the end.
pub(crate) fn render(report: &Report, out: &mut dyn io::Write) -> Result<(), RenderError> {
    write(report, out)
}

/// Writes `value` as JSON in which every character that a terminal would act on is a `\u` escape: the same value to
/// a parser, and harmless to whoever looks at the text.
pub(crate) fn write(value: &impl Serialize, out: &mut dyn io::Write) -> Result<(), RenderError> {
    let mut out = io::BufWriter::new(out);
    value.serialize(&mut Serializer::with_formatter(&mut out, Harmless(PrettyFormatter::new())))?;
    io::Write::write_all(&mut out, b"\n")?;
    io::Write::flush(&mut out)?;
    Ok(())
}

/// Indents as [`PrettyFormatter`] does and escapes what [`text::is_unsafe`] names.
struct Harmless(PrettyFormatter<'static>);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(text::is_unsafe) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let mut chars = rest[at..].chars();
            let unsafe_char = chars.next().unwrap_or_default();
            for unit in unsafe_char.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_report_read_back_is_the_report_that_was_written() {
        for report in sample::all() {
            let mut json = Vec::new();
            render(&report, &mut json).expect("renders");
            assert_eq!(serde_json::from_slice::<Report>(&json).expect("parses"), report);
        }
    }

    #[test]
    fn control_characters_are_escaped_and_the_value_is_the_same() {
        let value = "a\u{1b}\u{9b}\u{202e}\u{e0041}\"\\\n";
        let mut json = Vec::new();
        write(&value, &mut json).expect("renders");
        let json = String::from_utf8(json).expect("UTF-8");
        assert_eq!(json, "\"a\\u001b\\u009b\\u202e\\udb40\\udc41\\\"\\\\\\n\"\n");
        assert_eq!(serde_json::from_str::<String>(&json).expect("parses"), value);
    }
}
