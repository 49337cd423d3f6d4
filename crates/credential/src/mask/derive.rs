//! What else a value gives away: its lines, its PEM bodies, the password in a URL, the strings of a JSON document, the
//! text in base64.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};
use zeroize::Zeroizing;

/// Bytes to look for.
pub struct Derived {
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
    /// In base64 and hexadecimal too, not only as text.
    pub encoded: bool,
    /// Line breaks may stand anywhere in its text.
    pub wraps: bool,
}

/// Shorter values are not masked: they would be found everywhere.
pub const SHORTEST: usize = 4;
/// Shorter lines, passwords and strings inside of a value are not masked by themselves.
const SHORTEST_PART: usize = 8;
/// A text of so many bytes without blanks may be wrapped by who prints it.
const WRAPPED_FROM: usize = 24;
/// More lines are not masked one by one; the value as a whole is.
const MOST_LINES: usize = 1024;

/// The value itself and what it gives away; nothing where it is too short to be masked.
pub fn derive(value: &[u8]) -> Vec<Derived> {
    let whole = value.trim_ascii();
    let mut all = Vec::new();
    if whole.len() < SHORTEST {
        return all;
    }
    let wraps = whole.len() >= WRAPPED_FROM && !whole.iter().any(u8::is_ascii_whitespace);
    add(&mut all, whole, true, wraps);
    if let Some(password) = url_password(whole) {
        if let Some(decoded) = percent_decoded(password) {
            add(&mut all, &decoded, true, false);
        }
        add(&mut all, password, true, false);
    }
    if whole.starts_with(b"{") || whole.starts_with(b"[") {
        json_strings(whole, &mut all);
    }
    multi_line(whole, &mut all);
    if let Some(text) = decoded_text(whole) {
        add(&mut all, &text, false, false);
    }
    all
}

fn add(all: &mut Vec<Derived>, bytes: &[u8], encoded: bool, wraps: bool) {
    let known = all.iter().any(|d| d.bytes.as_slice() == bytes);
    if bytes.len() >= SHORTEST && !known {
        all.push(Derived { bytes: Zeroizing::new(bytes.to_vec()), encoded, wraps });
    }
}

/// Lines and PEM bodies.
fn multi_line(value: &[u8], all: &mut Vec<Derived>) {
    pem_bodies(value, all);
    let is_line_break = |b: &u8| matches!(b, b'\n' | b'\r');
    if !value.iter().any(is_line_break) {
        return;
    }
    for line in value.split(is_line_break).map(<[u8]>::trim_ascii).take(MOST_LINES) {
        if line.len() >= SHORTEST_PART && !line.starts_with(b"-----") {
            add(all, line, false, false);
        }
    }
}

/// The text between `-----BEGIN …-----` and `-----END …-----` without its line breaks, and what it encodes.
fn pem_bodies(value: &[u8], all: &mut Vec<Derived>) {
    let mut rest = value;
    while let Some(begin) = find(rest, b"-----BEGIN ") {
        rest = &rest[begin + 11..];
        let Some(label) = find(rest, b"-----") else { return };
        rest = &rest[label + 5..];
        let Some(end) = find(rest, b"-----END ") else { return };
        let mut body = Zeroizing::new(Vec::with_capacity(end));
        // RFC 1421 headers (`DEK-Info: …`) have a colon, base64 has none.
        for line in rest[..end].split(|b| *b == b'\n').filter(|l| !l.contains(&b':')) {
            body.extend(line.iter().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')));
        }
        while body.last() == Some(&b'=') {
            body.pop();
        }
        let is_long = body.len() >= WRAPPED_FROM;
        if let (true, Ok(der)) = (is_long, BASE64_NOPAD.decode(&body).map(Zeroizing::new)) {
            add(all, &der, true, false);
        }
        add(all, &body, false, is_long);
        rest = &rest[end..];
    }
}

/// `scheme://user:password@host`.
fn url_password(value: &[u8]) -> Option<&[u8]> {
    let authority = &value[find(value, b"://")? + 3..];
    let end = authority.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(authority.len());
    let userinfo = &authority[..authority[..end].iter().rposition(|&b| b == b'@')?];
    let password = &userinfo[userinfo.iter().position(|&b| b == b':')? + 1..];
    (password.len() >= SHORTEST).then_some(password)
}

fn percent_decoded(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |b: Option<&u8>| char::from(*b?).to_digit(16);
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    while at < text.len() {
        match (text[at], digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    (decoded.as_slice() != text).then_some(decoded)
}

/// The strings of a JSON document that look like material: keys in PEM, and long ones of letters and digits without
/// blanks that are no addresses.
fn json_strings(value: &[u8], all: &mut Vec<Derived>) {
    let mut at = 0;
    while at < value.len() {
        if value[at] != b'"' {
            at += 1;
            continue;
        }
        let (text, end) = json_string(value, at + 1);
        at = end;
        let is_key = value[at..].trim_ascii_start().starts_with(b":");
        if !is_key && text.windows(11).any(|w| w == b"-----BEGIN ") {
            add(all, text.trim_ascii(), true, false);
            multi_line(text.trim_ascii(), all);
        } else if !is_key && looks_like_material(&text) {
            add(all, &text, true, text.len() >= WRAPPED_FROM);
        }
    }
}

/// The string that starts behind its quote, without its escapes, and where it ends.
fn json_string(value: &[u8], mut at: usize) -> (Zeroizing<Vec<u8>>, usize) {
    let mut text = Zeroizing::new(Vec::with_capacity(value.len() - at.min(value.len())));
    while at < value.len() && value[at] != b'"' {
        if value[at] != b'\\' {
            text.push(value[at]);
            at += 1;
            continue;
        }
        match value.get(at + 1) {
            Some(b'n') => text.push(b'\n'),
            Some(b'r') => text.push(b'\r'),
            Some(b't') => text.push(b'\t'),
            Some(b'u') => {
                let digits = value.get(at + 2..at + 6).and_then(|d| std::str::from_utf8(d).ok());
                let character = digits.and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32);
                text.extend(character.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]).bytes());
                at += 4;
            }
            Some(&other) => text.push(other),
            None => {}
        }
        at += 2;
    }
    (text, (at + 1).min(value.len()))
}

fn looks_like_material(text: &[u8]) -> bool {
    let has = |test: fn(&u8) -> bool| text.iter().any(test);
    text.len() >= 12
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !has(u8::is_ascii_whitespace)
        && !has(|b| *b == b'@')
        && find(text, b"://").is_none()
}

/// The text that a value in base64 stands for. What decodes to other than text is taken for a value that is not base64.
fn decoded_text(value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if value.len() < 16 {
        return None;
    }
    let decoded = [BASE64, BASE64_NOPAD, BASE64URL_NOPAD].iter().find_map(|e| e.decode(value).ok())?;
    let decoded = Zeroizing::new(decoded);
    let is_text = std::str::from_utf8(&decoded).is_ok_and(|t| !t.chars().any(|c| c.is_control() && c != '\n'));
    (is_text && decoded.len() >= SHORTEST_PART).then_some(decoded)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: &str) -> Vec<String> {
        derive(value.as_bytes()).iter().map(|d| String::from_utf8_lossy(&d.bytes).into_owned()).collect()
    }

    #[test]
    fn a_short_value_gives_nothing_and_blanks_around_it_do_not_count() {
        assert!(texts("abc").is_empty());
        assert!(texts(" abc\n\n").is_empty());
        assert_eq!(texts("abcd\n"), ["abcd"]);
    }

    #[test]
    fn the_password_of_a_url_counts_by_itself() {
        let url = format!("postgres://app:{}@db/x?y=a@b", "p%40ss%2Fword");
        assert_eq!(texts(&url), [url.as_str(), "p@ss/word", "p%40ss%2Fword"]);
        assert_eq!(texts("https://host/path:x@y"), ["https://host/path:x@y"]);
    }

    #[test]
    fn lines_count_by_themselves_but_not_short_ones_or_armour() {
        let found = texts("first line\nx\n  second line\r\n-----END X-----\n");
        assert_eq!(found[1..], ["first line", "second line"]);
    }

    #[test]
    fn a_pem_body_counts_without_its_line_breaks_also_inside_json() {
        let body = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=";
        let (head, tail) = ("-----BEGIN TEST KEY-----", "-----END TEST KEY-----");
        let pem = format!("{head}\nProc-Type: 4,ENCRYPTED\n\n{}\n{}\n{tail}\n", &body[..20], &body[20..]);
        assert!(texts(&pem).contains(&body.trim_end_matches('=').to_owned()));
        assert!(texts(&pem).contains(&"ABCDEFGHIJKLMNOPQRSTUVWXYZ".to_owned()));
        let json = format!(
            "{{\"type\": \"account\", \"uri\": \"https://x.example/1a2b3c4d\", \"key\": {pem:?}, \"id\": \"0a1b2c3d4e5f6a7b\"}}"
        );
        let found = texts(&json);
        assert!(found.contains(&body.trim_end_matches('=').to_owned()), "{found:?}");
        assert!(found.contains(&"0a1b2c3d4e5f6a7b".to_owned()) && !found.iter().any(|f| f == "account"), "{found:?}");
    }

    #[test]
    fn text_in_base64_counts_as_what_it_stands_for() {
        assert!(texts("Y29ycmVjdCBob3JzZSBiYXR0ZXJ5").contains(&"correct horse battery".to_owned()));
        assert_eq!(texts("0123456789abcdef0123456789abcdef").len(), 1);
    }

    #[test]
    fn broken_documents_do_no_harm() {
        for value in
            ["{\"a\\", "{\"a\": \"\\u12", "[\"", "-----BEGIN ", "-----BEGIN X-----", "://:@", "%%%%", "a://b:%zz%1@c"]
        {
            let _ = derive(value.as_bytes());
        }
    }
}
