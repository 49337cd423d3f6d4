//! Docker Compose: the parser of `.env` and `env_file`, and Compose's own interpolation.
//!
//! Modelled from compose-go's documented behaviour and checked against its revision of July 2026: `#` needs a space in
//! front, double-quoted values take escapes, `$NAME` and `${NAME…}` are put in except in single quotes, `key: value`
//! works, and one bad line makes Compose refuse the whole file.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::reading::MAX_EXPANDED_BYTES;
use super::{Reading, Value};

/// How deep `${A:-${B:-…}}` may nest.
const MAX_DEPTH: usize = 32;
/// From this many bytes on, a value is not interpolated: the time grows with the square of its length.
const MAX_INTERPOLATED_BYTES: usize = 64 << 10;

pub(super) fn read(text: &str) -> Reading {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser { text, at: 0, reading: Reading::default(), grown: 0 };
    if let Err(why) = parser.run() {
        let line = text[..parser.at].bytes().filter(|&b| b == b'\n').count() + 1;
        // Compose starts nothing if it cannot read the file.
        let mut reading = Reading::default();
        reading.fail(u32::try_from(line).unwrap_or(u32::MAX), why);
        return reading;
    }
    parser.reading.values.remove("");
    parser.reading
}

type Outcome<T> = Result<T, &'static str>;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    reading: Reading,
    grown: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn run(&mut self) -> Outcome<()> {
        while self.next_statement() {
            let Some(key) = self.key()? else { continue };
            let value = self.value()?;
            self.grown += value.len();
            if self.grown > self.text.len() + MAX_EXPANDED_BYTES {
                return Err("interpolation grows beyond all bounds");
            }
            self.reading.values.insert(key, Value::Text(value));
        }
        Ok(())
    }

    /// Skips white space and comment lines; `false` at the end.
    fn next_statement(&mut self) -> bool {
        loop {
            self.at = self.text.len() - self.rest().trim_start().len();
            match self.rest().as_bytes().first() {
                None => return false,
                Some(b'#') => match self.rest().find('\n') {
                    Some(end) => self.at += end,
                    None => return false,
                },
                Some(_) => return true,
            }
        }
    }

    /// The key; `None` for a key that stands alone and is taken from the process environment.
    fn key(&mut self) -> Outcome<Option<String>> {
        if self.rest().strip_prefix("export").is_some_and(|r| r.starts_with(char::is_whitespace)) {
            self.at += "export".len();
            self.skip_space();
        }
        let rest = self.rest();
        let mut end = None;
        for (i, c) in rest.char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    end = Some((i, c));
                    break;
                }
                '_' | '.' | '-' | '[' | ']' => {}
                c if is_space(c) || c.is_alphabetic() || c.is_numeric() => {}
                _ => return Err("a character that a variable's name cannot have"),
            }
        }
        if rest.is_empty() {
            return Err("export without a variable");
        }
        // At the end of the file without a separator the text becomes the value of a nameless key.
        let key = end.map_or("", |(i, _)| rest[..i].trim_end());
        self.at += end.map_or(0, |(i, _)| i + 1);
        self.skip_space();
        if key.contains(' ') {
            return Err("a variable's name with a space in it");
        }
        let inherited = end.is_some_and(|(_, c)| c == '\n');
        Ok((!inherited).then(|| key.to_owned()))
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches(is_space).len();
    }

    fn value(&mut self) -> Outcome<String> {
        let rest = self.rest();
        if let Some(quote @ (b'\'' | b'"')) = rest.as_bytes().first() {
            return self.quoted(char::from(*quote));
        }
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        let value = line.split_once(" #").map_or(line, |(v, _)| v).trim_end();
        let value = self.expand(value, 0)?;
        self.at = self.text.len() - after.len();
        Ok(value)
    }

    fn quoted(&mut self, quote: char) -> Outcome<String> {
        let mut value = String::new();
        let mut escape = false;
        for (i, c) in self.rest().char_indices().skip(1) {
            if c == quote && !escape {
                if quote == '"' {
                    value = self.expand(&unescape(&value), 0)?;
                }
                self.at += i + 1;
                return Ok(value);
            }
            if !escape && c == '\\' {
                escape = true;
                continue;
            }
            if escape && c != quote {
                value.push('\\');
            }
            escape = false;
            value.push(c);
        }
        Err("a quote that is never closed")
    }

    fn expand(&self, value: &str, depth: usize) -> Outcome<String> {
        static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"(?i)\$(?:(\$)|([_a-z][_a-z0-9]*)|\{(?:([_a-z][_a-z0-9]*(?::?[-+?].*)?)\}|))")
                .expect("constant")
        });
        if !value.contains('$') {
            return Ok(value.to_owned());
        }
        if value.len() > MAX_INTERPOLATED_BYTES || depth > MAX_DEPTH {
            return Err("interpolation too large to follow");
        }
        let mut out = String::new();
        let mut at = 0;
        for found in REFERENCE.captures_iter(value) {
            let whole = found.get(0).map_or(0..0, |m| m.range());
            out.push_str(&value[at..whole.start]);
            at = whole.end;
            self.replace(&found, &mut out, depth)?;
            if out.len() > MAX_EXPANDED_BYTES {
                return Err("interpolation grows beyond all bounds");
            }
        }
        out.push_str(&value[at..]);
        Ok(out)
    }

    fn replace(&self, found: &Captures<'_>, out: &mut String, depth: usize) -> Outcome<()> {
        if found.get(1).is_some() {
            out.push('$');
            return Ok(());
        }
        if let Some(name) = found.get(2) {
            out.push_str(self.known(name.as_str()).unwrap_or(""));
            return Ok(());
        }
        let whole = found.get(0).map_or("", |m| m.as_str());
        if found.get(3).is_none() {
            return Err("${ without a variable's name and }");
        }
        // The pattern runs to the line's last brace; the reference ends at the first that matches.
        let (reference, rest) = match first_closing_brace(whole) {
            Some(close) => whole.split_at(close + 1),
            None => (whole, ""),
        };
        let Some(body) = reference.strip_prefix("${").and_then(|r| r.strip_suffix('}')) else {
            return Err("${ without a variable's name and }");
        };
        // The operator is the earliest one in the whole match, the text behind the reference included.
        let operator =
            [":?", "?", ":-", "-", ":+", "+"].into_iter().filter_map(|o| Some((whole.find(o)?, o))).min_by_key(|f| f.0);
        let Some((name, argument, operator)) =
            operator.and_then(|(_, o)| body.split_once(o).map(|(name, argument)| (name, argument, o)))
        else {
            out.push_str(self.known(body).unwrap_or(""));
            return Ok(());
        };
        let known = self.known(name);
        let set = known.is_some_and(|v| !operator.starts_with(':') || !v.is_empty());
        match operator.as_bytes()[operator.len() - 1] {
            b'?' if !set => return Err("a required variable that is not set"),
            b'-' if !set => out.push_str(&self.expand(argument, depth + 1)?),
            b'+' if set => out.push_str(&self.expand(argument, depth + 1)?),
            _ => out.push_str(known.unwrap_or("")),
        }
        out.push_str(&self.expand(rest, depth + 1)?);
        Ok(())
    }

    fn known(&self, name: &str) -> Option<&str> {
        self.reading.text(name)
    }
}

fn first_closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut open, mut at) = (0i32, 0);
    while at < bytes.len() {
        if bytes[at] == b'}' {
            open -= 1;
            if open == 0 {
                return Some(at);
            }
        }
        if bytes[at] == b'{' {
            open += 1;
            at += 1;
        }
        at += 1;
    }
    None
}

/// The escapes of double quotes, in the form that interpolation wants: `\$` becomes `$$`.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (decoded, length) = match tail.as_bytes().first() {
            Some(b'a') => (Some('\x07'), 1),
            Some(b'b') => (Some('\x08'), 1),
            Some(b'f') => (Some('\x0c'), 1),
            Some(b'n') => (Some('\n'), 1),
            Some(b'r') => (Some('\r'), 1),
            Some(b't') => (Some('\t'), 1),
            Some(b'v') => (Some('\x0b'), 1),
            Some(b'"') => (Some('"'), 1),
            Some(b'\\') => (Some('\\'), 1),
            Some(b'$') => {
                out.push('$');
                (Some('$'), 1)
            }
            Some(b'0') => {
                let digits = tail[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
                let octal = &tail[1..=digits];
                // Three octal digits are a character; with fewer only the zero goes.
                let code = u32::from_str_radix(octal, 8).ok().filter(|&c| digits == 3 && c < 256);
                if code.is_none() {
                    out.push('\\');
                    out.push_str(octal);
                }
                (code.and_then(char::from_u32), 1 + digits)
            }
            _ => {
                out.push('\\');
                (None, 0)
            }
        };
        out.extend(decoded);
        rest = &tail[length..];
    }
    out.push_str(rest);
    out
}

fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}
