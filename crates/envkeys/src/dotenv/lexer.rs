//! The neutral grammar: text into segments.

use std::collections::HashMap;
use std::ops::Range;

use super::{Document, Entry, Problem, ProblemKind, Quote, Segment, SegmentKind};

/// Cuts the document's text into segments and adds what is wrong with it.
pub(super) fn segments(document: &mut Document) {
    let mut segments = Vec::new();
    let mut problems = Vec::new();
    let mut cursor = Cursor { text: &document.text, at: 0, no_close: [None; 3] };
    if document.text.starts_with('\u{feff}') {
        segments.push(Segment { span: 0..3, kind: SegmentKind::ByteOrderMark });
        cursor.at = 3;
    }
    let mut first_lines: HashMap<String, u32> = HashMap::new();
    while cursor.at < document.text.len() {
        let start = cursor.at;
        let kind = cursor.segment(&mut problems);
        if let SegmentKind::Entry(entry) = &kind {
            let line = document.position(entry.key_span.start).0;
            if let Some(first_line) = first_lines.insert(entry.key.clone(), line) {
                let kind = ProblemKind::DuplicateKey { key: entry.key.clone(), first_line };
                problems.push(Problem { kind, offset: entry.key_span.start });
            }
        }
        segments.push(Segment { span: start..cursor.at, kind });
    }
    document.segments = segments;
    document.problems.append(&mut problems);
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Per quote character: from here on there is no closing one. Keeps a file of open quotes linear.
    no_close: [Option<usize>; 3],
}

impl<'a> Cursor<'a> {
    fn segment(&mut self, problems: &mut Vec<Problem>) -> SegmentKind {
        let start = self.at;
        let end = line_end(self.text, start);
        let line = &self.text[start..end];
        let indent = line.len() - line.trim_start_matches(is_blank).len();
        let body = &line[indent..];
        self.at = after_newline(self.text, end, start, problems);
        if body.is_empty() {
            return SegmentKind::Blank;
        }
        if body.starts_with('#') {
            return SegmentKind::Comment;
        }
        match self.entry(start + indent, end, problems) {
            Some(entry) => SegmentKind::Entry(entry),
            None => {
                problems.push(Problem { kind: ProblemKind::InvalidLine, offset: start + indent });
                SegmentKind::Invalid
            }
        }
    }

    fn entry(&mut self, start: usize, end: usize, problems: &mut Vec<Problem>) -> Option<Entry> {
        let mut at = start;
        let exported = self.text[at..end].strip_prefix("export").is_some_and(|rest| rest.starts_with(is_blank));
        if exported {
            at = skip_blank(self.text, at + "export".len(), end);
        }
        let (key, key_span, after) = key(self.text, at, end)?;
        let separator = skip_blank(self.text, after, end);
        let rest = &self.text[separator..end];
        let colon = rest.strip_prefix(':').is_some_and(|r| r.is_empty() || r.starts_with(is_blank));
        if !is_name(&key) {
            problems.push(Problem { kind: ProblemKind::KeyName { key: key.clone() }, offset: key_span.start });
        }
        let bare = |comment| Entry {
            key: key.clone(),
            key_span: key_span.clone(),
            value: None,
            value_span: key_span.end..key_span.end,
            quote: Quote::None,
            exported,
            yaml_style: false,
            comment,
        };
        if rest.is_empty() {
            return Some(bare(None));
        }
        if rest.starts_with('#') && separator > after {
            return Some(bare(Some(separator..end)));
        }
        if !rest.starts_with('=') && !colon {
            problems.retain(|p| p.offset != key_span.start);
            return None;
        }
        let value_start = skip_blank(self.text, separator + 1, end);
        let found = self.value(value_start, separator + 1, end, &key, problems);
        Some(Entry {
            key,
            key_span,
            value: Some(found.text),
            value_span: found.span,
            quote: found.quote,
            exported,
            yaml_style: colon,
            comment: found.comment,
        })
    }

    fn value(&mut self, start: usize, after: usize, end: usize, key: &str, problems: &mut Vec<Problem>) -> Found {
        let quote = match self.text[start..end].chars().next() {
            Some('\'') => Quote::Single,
            Some('"') => Quote::Double,
            Some('`') => Quote::Backtick,
            _ => return unquoted(self.text, start, after, end, Quote::None),
        };
        let Some(close) = self.close(start) else {
            problems.push(Problem { kind: ProblemKind::UnterminatedQuote { key: key.into() }, offset: start });
            return unquoted(self.text, start, after, end, Quote::Broken);
        };
        let last_end = line_end(self.text, close + 1);
        let tail_start = skip_blank(self.text, close + 1, last_end);
        let tail = &self.text[tail_start..last_end];
        let multi_line = close > end;
        if !tail.is_empty() && !tail.starts_with('#') {
            let (kind, offset) = if multi_line {
                (ProblemKind::UnterminatedQuote { key: key.into() }, start)
            } else {
                (ProblemKind::TextAfterQuote { key: key.into() }, tail_start)
            };
            problems.push(Problem { kind, offset });
            return unquoted(self.text, start, after, end, Quote::Broken);
        }
        if multi_line {
            self.at = after_newline(self.text, last_end, last_end, problems);
        }
        let inner = &self.text[start + 1..close];
        let text = match quote {
            Quote::Double => unescape(inner),
            Quote::Single => inner.replace("\\'", "'"),
            _ => inner.replace("\\`", "`"),
        };
        let comment = tail.starts_with('#').then_some(tail_start..last_end);
        Found { text, span: start..close + 1, quote, comment }
    }

    /// The end of the quote that opens at `start`: the same character, not behind a backslash.
    fn close(&mut self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let quote = bytes[start];
        let slot = match quote {
            b'\'' => 0,
            b'"' => 1,
            _ => 2,
        };
        if self.no_close[slot].is_some_and(|from| start >= from) {
            return None;
        }
        let mut at = start + 1;
        while let Some(step) = memchr::memchr2(quote, b'\\', &bytes[at.min(bytes.len())..]) {
            at += step;
            if bytes[at] == quote {
                return Some(at);
            }
            at += 2;
        }
        self.no_close[slot] = Some(start);
        None
    }
}

struct Found {
    text: String,
    span: Range<usize>,
    quote: Quote,
    comment: Option<Range<usize>>,
}

fn unquoted(text: &str, start: usize, after: usize, end: usize, quote: Quote) -> Found {
    let line = &text[start..end];
    // An inline comment starts with # behind white space, the first character behind `= ` included.
    let cut = line.match_indices('#').map(|(i, _)| start + i).find(|&i| {
        let before = &text[after..i];
        before.ends_with(is_blank)
    });
    let value = text[start..cut.unwrap_or(end)].trim_end_matches(is_blank);
    Found { text: value.into(), span: start..start + value.len(), quote, comment: cut.map(|c| c..end) }
}

fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(c @ ('"' | '\\' | '$' | '`')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

fn key(text: &str, start: usize, end: usize) -> Option<(String, Range<usize>, usize)> {
    let line = &text[start..end];
    if let Some(rest) = line.strip_prefix('\'') {
        let close = rest.find('\'').filter(|&c| c > 0)?;
        return Some((rest[..close].into(), start + 1..start + 1 + close, start + close + 2));
    }
    let stop = |c: char| is_blank(c) || matches!(c, '=' | ':' | '#' | '\'' | '"' | '`');
    let length = line.find(stop).unwrap_or(line.len());
    // A key may hold `:` as long as no white space follows it: `key: value` is the other way to write an entry.
    (length > 0 && line[..length].chars().all(is_key_char))
        .then(|| (line[..length].into(), start..start + length, start + length))
}

fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']')
}

/// Whether a shell can set a variable of this name.
pub(super) fn is_name(key: &str) -> bool {
    !key.starts_with(|c: char| c.is_ascii_digit())
        && !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n' && c != '\r'
}

fn skip_blank(text: &str, at: usize, end: usize) -> usize {
    let rest = &text[at..end];
    end - rest.trim_start_matches(is_blank).len()
}

fn line_end(text: &str, from: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &text.as_bytes()[from..]).map_or(text.len(), |i| from + i)
}

/// The byte behind the newline at `end`; notes the first lone carriage return.
fn after_newline(text: &str, end: usize, start: usize, problems: &mut Vec<Problem>) -> usize {
    match text.as_bytes().get(end..) {
        Some([b'\r', b'\n', ..]) => end + 2,
        Some([b'\r', ..]) => {
            if !problems.iter().any(|p| p.kind == ProblemKind::LoneCarriageReturn) {
                problems.push(Problem { kind: ProblemKind::LoneCarriageReturn, offset: end });
            }
            end + 1
        }
        Some([_, ..]) => end + 1,
        _ => end.max(start),
    }
}
