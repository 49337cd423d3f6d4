//! Values of no known format, which only the name they are assigned to makes secrets: generic rules live or die here.
//!
//! Type names, variables, calls, paths, addresses, labels and digests are told from passwords and keys by their own
//! looks, by the name, by the quotes and by the kind of file.

use super::confidence::{Subject, Tally};
use super::context::{self, FileKind, holds};
use super::entropy::shannon;
use super::vocabulary::{ABOUT, BEFORE, DIGESTS, REFERENCES, SECRET_WORDS};

/// Weighs the value of a generic rule; `None` if it is no secret.
pub(super) fn weigh(subject: &Subject<'_>, tally: &mut Tally) -> Option<()> {
    let value = Value::of(subject);
    if value.of_method
        || value.is_about_a_secret()
        || value.is_reference()
        || value.is_pattern_or_format()
        || value.is_path()
    {
        return None;
    }
    if !value.quoted {
        value.weigh_unquoted(tally)?;
    }
    if value.names_password() { value.weigh_password(tally) } else { value.weigh_token(tally) }
}

/// Weighs the password of a URL by the host that it is for and by its looks.
pub(super) fn weigh_userinfo(subject: &Subject<'_>, tally: &mut Tally) {
    let rest = &subject.input.bytes[subject.secret.end..];
    let host: Vec<u8> = rest.iter().skip(1).take(64).take_while(|b| !b"/?#\"'`<> ".contains(b)).copied().collect();
    let host = host.to_ascii_lowercase();
    let local = [&b"localhost"[..], b"127.0.0.1", b"0.0.0.0", b"[::1]", b"host.docker.internal"];
    let reserved = [&b"example."[..], b".example", b".test", b".invalid", b"myhost", b"host:", b"hostname", b"server:"];
    if rest.first() == Some(&b'@') {
        if local.iter().any(|l| host.starts_with(l)) {
            tally.add("the host is the machine itself", -20);
        } else if reserved.iter().any(|r| holds(&host, r)) || host == b"host" || host == b"h" {
            tally.add("the host is one of documentation", -30);
        }
    }
    let classes = Classes::of(subject.secret());
    match classes.kinds() {
        1 if subject.secret().len() < 16 => tally.add("the password is one word", -20),
        1 | 2 => {}
        _ => tally.add("the password mixes three or more kinds of characters", 10),
    }
}

/// Whether a look at the characters tells that the value of a generic rule is no secret. Most are told by that.
pub(super) fn is_ruled_out(subject: &Subject<'_>) -> bool {
    let name = context::name(subject.input.bytes, subject.whole.start);
    !may_name_password(name) && !may_be_token(subject.secret())
}

/// Whether a word of the name could be one for a password.
fn may_name_password(name: &[u8]) -> bool {
    name.windows(2).any(|pair| pair[0].eq_ignore_ascii_case(&b'p') && matches!(pair[1] | 0x20, b'a' | b'w'))
}

/// Whether a value of another name could be a secret.
fn may_be_token(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    value.len() >= 12
        && classes.digits > 0
        && classes.lower + classes.upper > 0
        && (looks_random(value) || is_uuid(value))
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

struct Value<'a> {
    bytes: &'a [u8],
    lower: Vec<u8>,
    line: &'a [u8],
    after: Option<u8>,
    name: Vec<String>,
    /// The last character of what assigns it: `=`, `:`, `>`, `(`, `,`.
    operator: Option<u8>,
    /// It is the argument of a method of what is named: `password.encode("…")`.
    of_method: bool,
    quoted: bool,
    kind: FileKind,
    classes: Classes,
}

/// Which kinds of characters a value has.
#[derive(Clone, Copy)]
struct Classes {
    lower: usize,
    upper: usize,
    digits: usize,
    symbols: usize,
}

impl Classes {
    fn of(bytes: &[u8]) -> Self {
        let count = |f: fn(&u8) -> bool| bytes.iter().filter(|b| f(b)).count();
        Classes {
            lower: count(u8::is_ascii_lowercase),
            upper: count(u8::is_ascii_uppercase),
            digits: count(u8::is_ascii_digit),
            symbols: count(|b| !b.is_ascii_alphanumeric()),
        }
    }

    fn kinds(self) -> usize {
        [self.lower, self.upper, self.digits, self.symbols].into_iter().filter(|&n| n > 0).count()
    }
}

impl<'a> Value<'a> {
    fn of(subject: &Subject<'a>) -> Self {
        let input = subject.input;
        let bytes = subject.secret();
        let before = subject.secret.start.checked_sub(1).map(|at| input.bytes[at]);
        let assigns = &input.bytes[subject.whole.start..subject.secret.start];
        let operator =
            assigns.iter().rev().copied().find(|b| !b.is_ascii_alphanumeric() && !b" \t\"'`\\@$".contains(b));
        let of_method = operator == Some(b'(') && assigns.contains(&b'.');
        Value {
            bytes,
            lower: bytes.to_ascii_lowercase(),
            line: context::line(input.bytes, subject.secret.start),
            after: input.bytes.get(subject.secret.end).copied(),
            name: context::words(context::name(input.bytes, subject.whole.start)),
            operator,
            of_method,
            quoted: matches!(before, Some(b'"' | b'\'' | b'`')),
            kind: input.path.map_or(FileKind::Other, context::file_kind),
            classes: Classes::of(bytes),
        }
    }

    fn names_password(&self) -> bool {
        self.name.iter().any(|w| w.contains("pass") || w.contains("pwd") || w == "pw")
    }

    fn is_about_a_secret(&self) -> bool {
        let named = self.name.iter().rposition(|w| SECRET_WORDS.contains(&w.as_str()));
        let (before, after) = match named {
            Some(at) => (&self.name[..at], &self.name[at + 1..]),
            None => (&self.name[..0], &self.name[..]),
        };
        before.iter().any(|w| BEFORE.contains(&w.as_str())) || after.iter().any(|w| ABOUT.contains(&w.as_str()))
    }

    fn is_reference(&self) -> bool {
        let starts = |list: &[&[u8]]| list.iter().any(|p| self.lower.starts_with(p));
        starts(REFERENCES) || starts(DIGESTS) || self.bytes.iter().any(|&b| b == b' ' || b == b'\t')
    }

    /// `\d+`, `[a-z]`, `%s`, `{0}`, `(.*)`: a regular expression, a format or a selector.
    fn is_pattern_or_format(&self) -> bool {
        let has = |needle: &[u8]| holds(self.bytes, needle);
        has(b".*")
            || has(b"[a-z")
            || has(b"[A-Z")
            || has(b"[0-9")
            || has(b"[^")
            || has(b"\\d")
            || has(b"\\w")
            || has(b"\\s")
            || has(b"%s")
            || has(b"%v")
            || has(b"%d")
            || has(b"{}")
            || has(b"()")
            || has(b"=>")
            || has(b"::")
            || has(b"->")
            || has(b"</")
            || has(b"/>")
            || has(b"\\u")
            || has(b"{0}")
            || has(b"&&")
            || has(b"||")
            || (self.bytes.contains(&b'{') && self.bytes.contains(&b'}') && self.classes.digits == 0)
            || (self.bytes.contains(&b'[') && self.bytes.contains(&b']') && self.classes.digits == 0)
            || (self.bytes.contains(&b'(') && self.bytes.contains(&b')') && !self.quoted)
            || !self.bytes.is_ascii() && self.classes.digits == 0
    }

    fn is_path(&self) -> bool {
        let slashes = self.bytes.iter().filter(|&&b| b == b'/' || b == b'\\').count();
        let starts =
            [&b"/"[..], b"./", b"../", b"~/", b"C:\\", b"c:\\", b"@/"].iter().any(|p| self.bytes.starts_with(p));
        let extension = [
            &b".pem"[..],
            b".key",
            b".txt",
            b".json",
            b".yml",
            b".yaml",
            b".crt",
            b".js",
            b".ts",
            b".py",
            b".go",
            b".html",
            b".md",
            b".xml",
            b".conf",
            b".cfg",
            b".env",
            b".com",
            b".org",
            b".io",
            b".php",
            b".css",
            b".svg",
            b".png",
            b".sh",
            b".p12",
            b".jks",
            b".vue",
            b".java",
            b".rb",
            b".local",
        ]
        .iter()
        .any(|e| self.lower.ends_with(e));
        extension || (starts && slashes >= 2 && !self.looks_random()) || (slashes >= 2 && !self.looks_random())
    }

    /// Without quotes, program text holds names and expressions, and settings hold values.
    fn weigh_unquoted(&self, tally: &mut Tally) -> Option<()> {
        if self.kind == FileKind::Source || self.after == Some(b'(') || self.after == Some(b'[') {
            return None;
        }
        let expression = self.bytes.iter().any(|b| b"()[]{}<>;,\"'`".contains(b)) || self.bytes.ends_with(b":");
        let dotted = self.bytes.contains(&b'.') && self.classes.digits == 0;
        if expression && !self.looks_random() || dotted {
            return None;
        }
        match self.kind {
            FileKind::Settings => Some(()),
            FileKind::Prose => {
                tally.add("it stands unquoted in prose", -20);
                Some(())
            }
            _ if self.classes.digits == 0 && self.classes.symbols == 0 => None,
            _ => {
                tally.add("it stands unquoted in a file of unknown kind", -5);
                Some(())
            }
        }
    }

    fn weigh_password(&self, tally: &mut Tally) -> Option<()> {
        let (classes, length) = (self.classes, self.bytes.len());
        if length < 4 || classes.digits == length && length < 6 || length > 128 {
            return None;
        }
        if self.names_itself() && classes.digits == 0 {
            return None;
        }
        // In `["password", "…"]` nothing is assigned; in `put("password", "…")` something is.
        if self.operator == Some(b',') && (self.names_itself() || !(classes.digits > 0 && classes.kinds() >= 2)) {
            return None;
        }
        if self.is_date_or_version() || self.is_uuid() && length == 36 && classes.upper == 0 && !self.quoted {
            return None;
        }
        match classes.kinds() {
            1 if classes.digits > 0 => tally.add("it is digits only", -10),
            1 => tally.add("it is one word of letters", -25),
            2 if classes.symbols > 0 && classes.digits == 0 => tally.add("it reads like words with separators", -20),
            2 if classes.digits == 0 => tally.add("it reads like a name", -20),
            2 => tally.add("it mixes two kinds of characters", 5),
            _ => tally.add("it mixes three or more kinds of characters", 15),
        }
        if length < 6 {
            tally.add("it is shorter than passwords usually are", -15);
        } else if self.looks_random() {
            tally.add("it looks random", 10);
        }
        if matches!(self.kind, FileKind::Settings) {
            tally.add("it stands in a settings file", 5);
        }
        Some(())
    }

    fn weigh_token(&self, tally: &mut Tally) -> Option<()> {
        let (classes, length) = (self.classes, self.bytes.len());
        let letters = classes.lower + classes.upper;
        if length < 12 || classes.digits == 0 || letters == 0 || self.names_itself() && !self.looks_random() {
            return None;
        }
        if self.speaks_of_digests() || self.is_date_or_version() || classes.symbols * 4 > length {
            return None;
        }
        let bits = shannon(self.bytes);
        if self.is_uuid() {
            tally.add("it is a UUID, which often only identifies", -15);
            return Some(());
        }
        if bits < 3.0 || !self.looks_random() {
            return None;
        }
        if length >= 20 && bits >= 3.5 {
            tally.add("it is long and looks random", 15);
        } else if length >= 16 {
            tally.add("it looks random", 5);
        } else {
            tally.add("it is shorter than keys usually are", -15);
        }
        Some(())
    }

    /// The value says what it is for (`my-secret-token`), as placeholders, labels and names of things do.
    fn names_itself(&self) -> bool {
        [&b"passw"[..], b"passphrase", b"secret", b"token", b"api_key", b"apikey", b"api-key", b"pwd", b"credential"]
            .iter()
            .any(|w| holds(&self.lower, w))
    }

    fn speaks_of_digests(&self) -> bool {
        let line = &self.line[..self.line.len().min(400)].to_ascii_lowercase();
        [
            &b"integrity"[..],
            b"checksum",
            b"digest",
            b"sha256",
            b"sha512",
            b"sha1",
            b"md5",
            b"revision",
            b"commit",
            b"etag",
        ]
        .iter()
        .any(|w| holds(line, w))
    }

    fn is_uuid(&self) -> bool {
        is_uuid(self.bytes)
    }

    fn is_date_or_version(&self) -> bool {
        let digits = self.classes.digits;
        digits > 0
            && self.classes.lower + self.classes.upper <= 1
            && self.bytes.iter().all(|b| b.is_ascii_digit() || b"-.:/vTZ+ ".contains(b))
            && self.classes.symbols > 0
    }

    fn looks_random(&self) -> bool {
        looks_random(self.bytes)
    }
}

/// Whether text looks drawn from an alphabet rather than written: digits and letters change places more often than in
/// names, and its letters do not form words.
pub(crate) fn looks_random(bytes: &[u8]) -> bool {
    if bytes.len() < 8 {
        return false;
    }
    let classes = Classes::of(bytes);
    let letters = classes.lower + classes.upper;
    // Without digits, only a share of capitals that no name has speaks for chance.
    if classes.digits == 0 && (classes.upper * 3 < letters || classes.lower * 3 < letters) {
        return false;
    }
    let kind = |b: u8| match b {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    // `Name` is one change in a name, too.
    let changes = bytes
        .windows(2)
        .filter(|w| {
            let (a, b) = (kind(w[0]), kind(w[1]));
            a != b && a != 3 && b != 3 && !(a == 1 && b == 0)
        })
        .count();
    let longest_word = bytes
        .chunk_by(|a, b| b.is_ascii_lowercase() && a.is_ascii_alphabetic())
        .filter(|c| c.iter().all(u8::is_ascii_alphabetic))
        .filter(|c| c.iter().any(|b| b"aeiouyAEIOUY".contains(b)))
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    let hexadecimal = bytes.iter().all(u8::is_ascii_hexdigit);
    changes * 6 >= bytes.len() && (hexadecimal || longest_word < 6 || longest_word * 4 <= letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_text_is_told_from_names() {
        for text in ["k9fJ2mQz7LpX4vTn", "a1b2c3d4e5f60718293a4b5c6d7e8f90", "9f86d081884c7d65"] {
            assert!(looks_random(text.as_bytes()), "{text}");
        }
        for text in ["workspace-alpha", "billing_export", "MyVeryLongClassName", "us-east-1", "kubernetes-dashboard-2"]
        {
            assert!(!looks_random(text.as_bytes()), "{text}");
        }
    }
}
