//! The npm package `dotenv`: one regular expression over the whole text, then quotes off.
//!
//! Modelled from its documented behaviour and checked against version 17.4.2: a `#` ends an unquoted value wherever
//! it stands, escapes are undone for line feed and carriage return in double quotes only, nothing is interpolated.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Reading, Value};

/// JavaScript's white space; differs from Unicode's in U+FEFF and U+0085.
const SPACE: &str = r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

/// One entry, less what a line's start is.
fn entry() -> String {
    let s = format!("[{SPACE}]");
    let quoted = ["'", "\"", "`"].map(|q| format!(r"{s}*{q}(?:\\{q}|[^{q}])*{q}")).join("|");
    // A line ends at U+2028 and U+2029 too; as nothing but the next line can start there, they may be taken with it.
    format!(
        r"{s}*(?:export{s}+)?([0-9A-Za-z_.\-]+)(?:{s}*={s}*?|:{s}+?)({quoted}|[^#\r\n]+)?{s}*(?:#[^\r\n\u{{2028}}\u{{2029}}]*)?(?:$|[\u{{2028}}\u{{2029}}])"
    )
}

static LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(&format!("(?m)^{}", entry())).expect("a constant pattern"));
static HERE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!(r"(?m)\A{}", entry())).expect("a constant pattern"));

pub(super) fn read(text: &str) -> Reading {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut reading = Reading::default();
    let mut at = 0;
    while let Some((found, end)) = next(&text, at) {
        at = end;
        let Some(key) = found.get(1) else { continue };
        let raw = found.get(2).map_or("", |m| m.as_str()).trim_matches(is_space);
        let mut value = take_off_quotes(raw);
        if raw.starts_with('"') {
            value = value.replace("\\n", "\n").replace("\\r", "\r");
        }
        reading.values.insert(key.as_str().into(), Value::Text(value));
    }
    reading
}

/// The next entry from `at` on, and where it ends.
fn next(text: &str, at: usize) -> Option<(Captures<'_>, usize)> {
    let found = LINE.captures_at(text, at);
    let (start, end) = found.as_ref().and_then(|f| f.get(0)).map_or((text.len(), 0), |m| (m.start(), m.end()));
    // JavaScript starts a line behind U+2028 and U+2029 too.
    let mut from = at;
    if text[..at].ends_with(is_separator) {
        from -= '\u{2028}'.len_utf8();
    }
    while let Some(separator) = text.get(from..start).and_then(|t| t.find(is_separator)) {
        let line = from + separator + '\u{2028}'.len_utf8();
        if let Some(found) = HERE.captures(&text[line..]) {
            let length = found.get(0).map_or(0, |m| m.end());
            return Some((found, line + length));
        }
        // A further start within the same white space has no entry either.
        from = line + text[line..].find(|c| !is_space(c)).unwrap_or(text.len() - line);
        from = from.min(start);
    }
    found.map(|f| (f, end))
}

fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

/// From each line start: an opening quote and the last same quote at a line's end come off.
fn take_off_quotes(raw: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < raw.len() {
        let rest = &raw[at..];
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
        let close = quote.and_then(|q| {
            let closes = |i: usize| i > 0 && rest[i + 1..].chars().next().is_none_or(|c| c == '\n' || is_separator(c));
            rest.rmatch_indices(q).map(|(i, _)| i).find(|&i| closes(i))
        });
        if let Some(close) = close {
            out.push_str(&rest[1..close]);
            at += close + 1;
        }
        // On to the next line start.
        let end = raw[at..].char_indices().find(|(_, c)| *c == '\n' || is_separator(*c));
        let next = end.map_or(raw.len(), |(i, c)| at + i + c.len_utf8());
        out.push_str(&raw[at..next]);
        at = next;
    }
    out
}
