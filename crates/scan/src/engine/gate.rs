//! Cheap checks that run at each keyword, before any pattern.

use crate::rules::Alphabet;

/// How far behind a keyword these checks look.
pub(super) const REACH: usize = 400;

/// Longest rest of a name after the keyword that ends it or stands in it.
const TAIL: usize = 40;
/// Longest white space on either side of the operator.
const SPACE: usize = 40;

/// Whether a value is assigned to the name whose keyword ends at `end`: after the rest of the name, closing quotes and
/// brackets and perhaps a type, follow `=`, `:`, `=>`, `:=`, `,` or `(` and something on the same line.
pub(super) fn is_assignment(bytes: &[u8], end: usize) -> bool {
    let rest = &bytes[end..bytes.len().min(end + 160)];
    let mut at = count(rest, 0, TAIL + 1, is_name);
    if at > TAIL {
        return false;
    }
    at += count(rest, at, 4, |b| matches!(b, b'"' | b'\'' | b'`' | b']' | b')' | b'\\' | b'>' | b'?' | b'!'));
    at += count(rest, at, SPACE, is_space);
    match rest.get(at) {
        Some(b'=' | b':' | b',' | b'(' | b'|') => {}
        // XML and HTML: the closing bracket of `<password>` was taken as part of the name's end.
        Some(_) if at > 0 && rest[at - 1] == b'>' => return true,
        // `key="password" value="…"`.
        Some(b'v' | b'V') => return rest[at + 1..].get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"alue")),
        _ => return false,
    }
    at += count(rest, at, 3, |b| matches!(b, b'=' | b':' | b'>' | b'(' | b',' | b'~' | b'|'));
    at += count(rest, at, SPACE, is_space);
    rest.get(at).is_some_and(|&b| !matches!(b, b'\n' | b'\r' | b',' | b')' | b'}' | b']'))
}

/// Whether a semicolon stands before `at`, or before white space there.
pub(super) fn follows_semicolon(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[..at];
    before.strip_suffix(b" ").or_else(|| before.strip_suffix(b"\t")).unwrap_or(before).ends_with(b";")
}

/// Whether `name:password@` stands at `end`, by its looks.
pub(super) fn has_userinfo(bytes: &[u8], end: usize) -> bool {
    let rest = &bytes[end..bytes.len().min(end + REACH)];
    let mut colon = false;
    for &byte in rest {
        match byte {
            b':' => colon = true,
            b'@' => return colon,
            b'/' | b' ' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\n' | b'\r' | b'\t' | b'\\' => return false,
            _ => {}
        }
    }
    false
}

/// Whether so many characters of the alphabet stand in a row somewhere in `bytes`.
pub(super) fn has_run(bytes: &[u8], alphabet: Alphabet, least: usize) -> bool {
    let mut from = 0;
    while let Some(window) = bytes.get(from..from + least) {
        match window.iter().rposition(|&byte| !alphabet.has(byte)) {
            Some(gap) => from += gap + 1,
            None => return true,
        }
    }
    false
}

fn count(bytes: &[u8], from: usize, most: usize, wanted: impl Fn(u8) -> bool) -> usize {
    bytes[from.min(bytes.len())..].iter().take(most).take_while(|&&b| wanted(b)).count()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(text: &str) -> bool {
        is_assignment(text.as_bytes(), text.find("word").map_or(0, |p| p + 4))
    }

    #[test]
    fn runs_are_found_wherever_they_stand() {
        for (text, least, found) in [
            ("abc123", 6, true),
            ("..abc123..", 6, true),
            ("abc12-3abc", 6, false),
            ("x-abcdef0", 7, true),
            ("", 1, false),
        ] {
            assert_eq!(has_run(text.as_bytes(), Alphabet::Hexadecimal, least), found, "{text}");
        }
    }

    #[test]
    fn assignments_pass_and_prose_does_not() {
        for text in [
            "password = \"x\"",
            "password: x",
            "\"password\": \"x\"",
            "PASSWORD=x",
            "passwordForDb := `x`",
            "password => 'x'",
            "setPassword(\"x\")",
            "['password'] = 'x'",
            "put(\"password\", \"x\")",
            "<password>x</password>",
            "let password: &str = \"x\"",
            "password?: string = 'x'",
            "\\\"password\\\": \\\"x\\\"",
        ] {
            assert!(gate(text), "{text}");
        }
        for text in ["password is wrong", "the password.", "password", "password)", "password\n= x", "f(password, )"] {
            assert!(!gate(text), "{text}");
        }
    }
}
