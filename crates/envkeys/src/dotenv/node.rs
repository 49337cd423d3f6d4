//! The npm package `dotenv`: one regular expression over the whole text, then quotes off.
//!
//! Modelled from its documented behaviour and checked against version 17.4.2: a `#` ends an unquoted value wherever
//! it stands, escapes are undone for line feed and carriage return in double quotes only, nothing is interpolated.

use std::sync::LazyLock;

use regex::Regex;

use super::{Reading, Value};

/// JavaScript's white space; differs from Unicode's in U+FEFF and U+0085.
const SPACE: &str = r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let s = format!("[{SPACE}]");
    let quoted = ["'", "\"", "`"].map(|q| format!(r"{s}*{q}(?:\\{q}|[^{q}])*{q}")).join("|");
    let pattern = format!(
        r"(?m)^{s}*(?:export{s}+)?([0-9A-Za-z_.\-]+)(?:{s}*={s}*?|:{s}+?)({quoted}|[^#\r\n]+)?{s}*(?:#[^\r\n\u{{2028}}\u{{2029}}]*)?$"
    );
    Regex::new(&pattern).expect("a constant pattern")
});

pub(super) fn read(text: &str) -> Reading {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut reading = Reading::default();
    for found in LINE.captures_iter(&text) {
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
            let closes = |i: usize| i > 0 && rest[i + 1..].chars().next().is_none_or(|c| c == '\n');
            rest.rmatch_indices(q).map(|(i, _)| i).find(|&i| closes(i))
        });
        if let Some(close) = close {
            out.push_str(&rest[1..close]);
            at += close + 1;
        }
        // On to the next line start.
        let next = raw[at..].find('\n').map_or(raw.len(), |i| at + i + 1);
        out.push_str(&raw[at..next]);
        at = next;
    }
    out
}
