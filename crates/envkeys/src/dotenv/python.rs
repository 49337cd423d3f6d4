//! The PyPI package `python-dotenv`: a line grammar of its own, then `${NAME}` and `${NAME:-default}`.
//!
//! Modelled from its documented behaviour and checked against version 1.2: `#` needs white space in front, quotes take
//! their escapes, `$NAME` without braces stays as it is, a line that does not parse is skipped.

use std::collections::HashSet;

use super::reading::MAX_EXPANDED_BYTES;
use super::{Reading, Value};

pub(super) fn read(text: &str) -> Reading {
    // Text files are opened with universal newlines.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = Reader { text: &text, at: 0, line: 1, counted: 0 };
    let mut reading = Reading::default();
    let mut bare: HashSet<String> = HashSet::new();
    let mut grown = 0;
    while reader.at < text.len() {
        match reader.binding() {
            Some((key, Some(value))) => {
                let value = expand(&value, &reading, &bare);
                bare.remove(&key);
                grown += value.len();
                if grown > text.len() + MAX_EXPANDED_BYTES {
                    reading.fail(reader.line(), "interpolation grows beyond all bounds");
                    return reading;
                }
                reading.values.insert(key, Value::Text(value));
            }
            // A key without `=` is known, with no value: it is not put into the environment.
            Some((key, None)) => {
                reading.values.remove(&key);
                bare.insert(key);
            }
            None => {}
        }
    }
    reading
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    counted: usize,
}

impl Reader<'_> {
    fn line(&mut self) -> u32 {
        let new = self.text[self.counted..self.at].bytes().filter(|&b| b == b'\n').count();
        self.counted = self.at;
        self.line += u32::try_from(new).unwrap_or(u32::MAX - self.line);
        self.line
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self, accept: impl Fn(char) -> bool) -> usize {
        let rest = self.rest();
        let skipped = rest.len() - rest.trim_start_matches(accept).len();
        self.at += skipped;
        skipped
    }

    fn skip_line(&mut self) {
        self.at = self.rest().find('\n').map_or(self.text.len(), |i| self.at + i + 1);
    }

    /// One binding; `None` for comments, blank ends and lines that do not parse.
    fn binding(&mut self) -> Option<(String, Option<String>)> {
        self.skip(is_space);
        if self.at == self.text.len() {
            return None;
        }
        if self.rest().strip_prefix("export").is_some_and(|r| r.starts_with(is_blank)) {
            self.at += "export".len();
            self.skip(is_blank);
        }
        let binding = self.try_binding();
        if binding.is_none() {
            self.skip_line();
        }
        binding.and_then(|(key, value)| key.map(|k| (k, value)))
    }

    fn try_binding(&mut self) -> Option<(Option<String>, Option<String>)> {
        let key = self.key()?;
        self.skip(is_blank);
        let mut value = None;
        if self.rest().starts_with('=') {
            self.at += 1;
            let blank = self.skip(is_blank) > 0;
            value = if blank && self.rest().starts_with('#') { Some(String::new()) } else { Some(self.value()?) };
        }
        let before = self.at;
        self.skip(is_blank);
        if self.rest().starts_with('#') {
            self.at = self.rest().find('\n').map_or(self.text.len(), |i| self.at + i);
        } else {
            self.at = before;
        }
        self.skip(is_blank);
        if self.rest().starts_with('\n') {
            self.at += 1;
        } else if self.at < self.text.len() {
            return None;
        }
        Some((key, value))
    }

    /// `Some(None)` is a comment's line.
    fn key(&mut self) -> Option<Option<String>> {
        let rest = self.rest();
        if rest.starts_with('#') {
            return Some(None);
        }
        let (key, length) = match rest.strip_prefix('\'') {
            Some(quoted) => {
                let close = quoted.find('\'').filter(|&c| c > 0)?;
                (&quoted[..close], close + 2)
            }
            None => {
                let length = rest.find(|c: char| c == '=' || c == '#' || is_space(c)).unwrap_or(rest.len());
                (&rest[..length], length)
            }
        };
        if key.is_empty() {
            return None;
        }
        let key = key.to_owned();
        self.at += length;
        Some(Some(key))
    }

    fn value(&mut self) -> Option<String> {
        let rest = self.rest();
        match rest.chars().next() {
            None | Some('\n') => Some(String::new()),
            Some(quote @ ('\'' | '"')) => {
                let close = close(rest, quote)?;
                let value = unescape(&rest[1..close], quote);
                self.at += close + 1;
                Some(value)
            }
            Some(_) => {
                let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
                let mut value = line;
                let mut previous_space = false;
                for (i, c) in line.char_indices() {
                    if c == '#' && previous_space {
                        value = &line[..i];
                        break;
                    }
                    previous_space = is_space(c);
                }
                let value = value.trim_end_matches(is_space).to_owned();
                self.at += line.len();
                Some(value)
            }
        }
    }
}

fn close(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(i),
            _ => {}
        }
    }
    None
}

fn unescape(inner: &str, quote: char) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        // What does not start an escape keeps its backslash; the character behind it may start one itself.
        let Some(next) = chars.clone().next() else {
            out.push('\\');
            break;
        };
        let decoded = match next {
            '\\' | '\'' => Some(next),
            _ if quote == '\'' => None,
            '"' => Some('"'),
            'a' => Some('\x07'),
            'b' => Some('\x08'),
            'f' => Some('\x0c'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\x0b'),
            _ => None,
        };
        if decoded.is_some() {
            chars.next();
        }
        out.push(decoded.unwrap_or('\\'));
    }
    out
}

/// Puts in `${NAME}` and `${NAME:-default}`; the default counts where the name is unknown, not where it is empty.
fn expand(value: &str, known: &Reading, bare: &HashSet<String>) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        if !rest[start..].contains('}') {
            break;
        }
        let body = &rest[start + 2..];
        let name_end = body.find(['}', ':']).unwrap_or(body.len());
        let (name, tail) = body.split_at(name_end);
        let parsed = if let Some(after) = tail.strip_prefix('}') {
            Some(("", after))
        } else {
            tail.strip_prefix(":-").and_then(|t| t.split_once('}'))
        };
        let Some((default, after)) = parsed else {
            out.push_str(&rest[..start + 2]);
            rest = body;
            continue;
        };
        out.push_str(&rest[..start]);
        let default = if bare.contains(name) { "" } else { default };
        out.push_str(known.text(name).unwrap_or(default));
        if out.len() > MAX_EXPANDED_BYTES {
            return out;
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Python's `\s` on text.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn is_blank(c: char) -> bool {
    is_space(c) && c != '\n' && c != '\r'
}
