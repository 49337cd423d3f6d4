//! Dotenv files: a grammar with places, and what four programs read in the same file.
//!
//! [`Document`] is the neutral grammar: the file cut into segments that account for every byte, each entry with the
//! places of its key and value. [`Document::evaluate`] reads the same text as one program does ([`Dialect`]), and
//! [`portability`] names the keys that mean different things to them.

mod compose;
mod lexer;
mod node;
mod portability;
mod posix;
mod python;
mod reading;

use std::borrow::Cow;
use std::ops::Range;

pub use portability::portability;
pub use reading::{Dialect, Reading, Value};

/// A dotenv file, cut into segments.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    line_starts: Vec<usize>,
    segments: Vec<Segment>,
    /// What is wrong with the file.
    pub problems: Vec<Problem>,
}

/// A part of a dotenv file; the segments of a document follow each other without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where it stands, in bytes of [`Document::text`].
    pub span: Range<usize>,
    /// What it is.
    pub kind: SegmentKind,
}

/// What a segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SegmentKind {
    /// The byte order mark at the start.
    ByteOrderMark,
    /// An empty line, or only white space.
    Blank,
    /// A line that starts with `#`.
    Comment,
    /// A key with a value, or a key alone.
    Entry(Entry),
    /// A line that is none of these.
    Invalid,
}

/// A key and what stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key as written, without quotes.
    pub key: String,
    /// Where the key stands.
    pub key_span: Range<usize>,
    /// The value in its plain reading: quotes taken off, inline comment cut, escapes of the quote undone, nothing
    /// interpolated; `None` for a key without `=`.
    pub value: Option<String>,
    /// Where the value stands, quotes included, inline comment not; empty at the separator's end if there is none.
    pub value_span: Range<usize>,
    /// How the value is quoted.
    pub quote: Quote,
    /// Whether `export` stands in front.
    pub exported: bool,
    /// `key: value` instead of `key=value`.
    pub yaml_style: bool,
    /// Where the comment behind the value stands, `#` included.
    pub comment: Option<Range<usize>>,
}

/// How a value is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// Not at all.
    None,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `` `…` ``
    Backtick,
    /// A quote that is never closed, or text behind the closing one.
    Broken,
}

/// Something wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// At which byte of [`Document::text`].
    pub offset: usize,
}

/// What can be wrong with a dotenv file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Two entries with one key; the last one counts.
    #[error("{key} is set twice, first on line {first_line}; the last one counts")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of the entry before.
        first_line: u32,
    },
    /// A quote without its end.
    #[error("the value of {key} starts with a quote that is never closed")]
    UnterminatedQuote {
        /// The key.
        key: String,
    },
    /// Text behind a closing quote.
    #[error("text stands behind the closing quote of {key}")]
    TextAfterQuote {
        /// The key.
        key: String,
    },
    /// Neither entry nor comment.
    #[error("the line is neither KEY=value nor a comment")]
    InvalidLine,
    /// A key that no process environment takes from a shell.
    #[error("{key} is not a name that a shell can set; use letters, digits and underscore")]
    KeyName {
        /// The key.
        key: String,
    },
    /// A zero byte.
    #[error("the file has a zero byte, which no environment variable can hold")]
    ZeroByte,
    /// Not UTF-8; what is not is read as U+FFFD.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// UTF-16, which no dotenv program reads.
    #[error("the file is UTF-16; programs that read dotenv files want UTF-8")]
    Utf16,
    /// A carriage return without line feed.
    #[error("a carriage return stands alone; only some programs take it for a line end")]
    LoneCarriageReturn,
}

impl Document {
    /// Cuts a file into segments. Never fails: what is not understood is a segment and a problem.
    pub fn parse(bytes: &[u8]) -> Document {
        let (text, encoding) = decode(bytes);
        let mut problems: Vec<Problem> = encoding.map(|kind| Problem { kind, offset: 0 }).into_iter().collect();
        if let Some(offset) = text.find('\0') {
            problems.push(Problem { kind: ProblemKind::ZeroByte, offset });
        }
        let text = text.into_owned();
        let line_starts = line_starts(&text);
        let mut document = Document { text, line_starts, segments: Vec::new(), problems };
        lexer::segments(&mut document);
        document.problems.sort_by_key(|p| p.offset);
        document
    }

    /// The text that spans refer to: the file's, decoded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The segments, in order and without a gap.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The entries, in order, duplicates included.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().filter_map(|s| match &s.kind {
            SegmentKind::Entry(entry) => Some(entry),
            _ => None,
        })
    }

    /// The entry that counts for `key`: the last one.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().filter(|e| e.key == key).last()
    }

    /// The comments' texts with their offsets, inline ones included.
    pub fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        self.segments.iter().filter_map(|s| match &s.kind {
            SegmentKind::Comment => Some((s.span.start, &self.text[s.span.clone()])),
            SegmentKind::Entry(e) => e.comment.clone().map(|c| (c.start, &self.text[c])),
            _ => None,
        })
    }

    /// Line and column of a byte, 1-based, the column in characters.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let line = self.line_starts.partition_point(|&start| start <= offset).max(1);
        let start = self.line_starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |t| t.chars().count()) + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// Reads the text as one program does, in an empty process environment.
    pub fn evaluate(&self, dialect: Dialect) -> Reading {
        match dialect {
            Dialect::Node => node::read(&self.text),
            Dialect::Compose => compose::read(&self.text),
            Dialect::Posix => posix::read(&self.text),
            Dialect::Python => python::read(&self.text),
        }
    }
}

fn decode(bytes: &[u8]) -> (Cow<'_, str>, Option<ProblemKind>) {
    let wide = |little: bool| {
        let units = bytes[2..].chunks(2).map(|pair| match (pair, little) {
            ([low, high], true) => u16::from_le_bytes([*low, *high]),
            ([high, low], false) => u16::from_be_bytes([*high, *low]),
            _ => 0xfffd,
        });
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    match bytes {
        [0xff, 0xfe, ..] => (wide(true).into(), Some(ProblemKind::Utf16)),
        [0xfe, 0xff, ..] => (wide(false).into(), Some(ProblemKind::Utf16)),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => (text.into(), None),
            Err(_) => (String::from_utf8_lossy(bytes), Some(ProblemKind::NotUtf8)),
        },
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = memchr::memchr2_iter(b'\n', b'\r', bytes)
        .filter(|&at| bytes[at] == b'\n' || bytes.get(at + 1) != Some(&b'\n'))
        .map(|at| at + 1);
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> Vec<(String, Option<String>)> {
        Document::parse(text.as_bytes()).entries().map(|e| (e.key.clone(), e.value.clone())).collect()
    }

    fn one(text: &str) -> String {
        let all = plain(text);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().and_then(|(_, v)| v).unwrap_or_default()
    }

    #[test]
    fn quotes_come_off_and_inline_comments_are_cut() {
        assert_eq!(one("A=b # c"), "b");
        assert_eq!(one("A=b#c"), "b#c");
        assert_eq!(one("A='b # c' # d"), "b # c");
        assert_eq!(one("A=\"b\\n\\\"c\\\"\""), "b\n\"c\"");
        assert_eq!(one("A=`it's`"), "it's");
        assert_eq!(one("export A = b"), "b");
        assert_eq!(one("A: b"), "b");
        assert_eq!(one("A="), "");
        assert_eq!(one("A=\"line 1\nline 2\"\n"), "line 1\nline 2");
        assert_eq!(one("A={{ .Values.a | quote }}"), "{{ .Values.a | quote }}");
        assert_eq!(plain("export A\n"), [("A".to_owned(), None)]);
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_swallow_the_file() {
        let document = Document::parse(b"A=\"b\nC=\"d\"\nE='f\n");
        let keys: Vec<_> = document.entries().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["A", "C", "E"]);
        assert!(matches!(document.problems[0].kind, ProblemKind::UnterminatedQuote { .. }));
    }

    #[test]
    fn problems_have_places() {
        let document = Document::parse(b"\xef\xbb\xbfA=1\r\nB-C=2\r\n\r\n= x\r\nA=3\r\n");
        let kinds: Vec<_> = document.problems.iter().map(|p| (&p.kind, document.position(p.offset).0)).collect();
        assert_eq!(kinds.len(), 3, "{kinds:?}");
        assert!(matches!(kinds[0], (ProblemKind::KeyName { .. }, 2)));
        assert!(matches!(kinds[1], (ProblemKind::InvalidLine, 4)));
        assert!(matches!(kinds[2], (ProblemKind::DuplicateKey { first_line: 1, .. }, 5)));
    }

    #[test]
    fn other_encodings_are_named_and_still_read() {
        let wide: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("A=b\r\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let document = Document::parse(&wide);
        assert_eq!(document.entry("A").and_then(|e| e.value.as_deref()), Some("b"));
        assert_eq!(document.problems[0].kind, ProblemKind::Utf16);
        assert_eq!(Document::parse(b"A=\xff\n").problems[0].kind, ProblemKind::NotUtf8);
        assert_eq!(Document::parse(b"A=\0\n").problems[0].kind, ProblemKind::ZeroByte);
    }

    proptest! {
        #[test]
        fn every_byte_is_accounted_for_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            covered(&bytes);
        }

        #[test]
        fn every_byte_of_dotenv_like_text_is_accounted_for(text in "([AB_. -]|export |[=:#'\"`$\\\\{}()\n\r\t]|é|\\$\\{A:-){0,60}") {
            covered(text.as_bytes());
        }

        #[test]
        fn simple_values_read_the_same_everywhere(key in "[A-Z][A-Z0-9_]{0,12}", value in "[A-Za-z0-9_./:@%+,-]{1,40}") {
            prop_assume!(!["IFS", "PATH", "PWD", "OLDPWD", "PS1", "PS2", "PS4", "OPTIND", "PPID"].contains(&key.as_str()));
            let document = Document::parse(format!("{key}={value}\n").as_bytes());
            prop_assert_eq!(document.entry(&key).and_then(|e| e.value.clone()), Some(value.clone()));
            for dialect in Dialect::ALL {
                let reading = document.evaluate(dialect);
                prop_assert_eq!(reading.text(&key), Some(value.as_str()), "{}", dialect);
            }
        }
    }

    fn covered(bytes: &[u8]) {
        let document = Document::parse(bytes);
        let mut at = 0;
        for segment in document.segments() {
            assert_eq!(segment.span.start, at);
            assert!(segment.span.end > at);
            at = segment.span.end;
            if let SegmentKind::Entry(e) = &segment.kind {
                assert!(segment.span.start <= e.key_span.start && e.value_span.end <= segment.span.end);
                assert!(e.key_span.end <= e.value_span.start, "{e:?}");
            }
        }
        assert_eq!(at, document.text().len());
        for dialect in Dialect::ALL {
            document.evaluate(dialect);
        }
        portability("f", &document, &|_, _| false);
    }
}
