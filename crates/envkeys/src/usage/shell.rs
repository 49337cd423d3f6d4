//! Shell scripts: `$NAME` and `${NAME…}`, less what the script sets itself.

use std::collections::HashSet;

use super::Found;

pub(super) fn find(text: &str, found: &mut Found) {
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        at: 0,
        found,
        set: HashSet::new(),
        pending: Vec::new(),
        braces: 0,
        in_functions: HashSet::new(),
    };
    scan.run();
    // A function runs later than it stands: what the script sets anywhere is set by then.
    let Scan { set, pending, in_functions, found, .. } = scan;
    let is_set = |name: &str| set.contains(name) || pending.contains(&name);
    found.reads.retain(|(at, name, _)| !(in_functions.contains(at) && is_set(name)));
}

/// Variables that the shell itself sets.
#[rustfmt::skip]
const GIVEN: [&str; 24] = [
    "BASH", "BASH_SOURCE", "BASH_VERSION", "BASH_REMATCH", "BASH_LINENO", "BASHPID", "DIRSTACK", "EUID", "FUNCNAME", "IFS",
    "LINENO", "OLDPWD", "OPTARG", "OPTERR", "OPTIND", "PIPESTATUS", "PPID", "PWD", "RANDOM", "REPLY", "SECONDS", "SHLVL",
    "UID", "COMP_WORDS",
];

struct Scan<'a, 'f> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    found: &'f mut Found,
    /// Names that the script has set so far.
    set: HashSet<&'a str>,
    /// Names that the command under way sets: `A=${A:-x}` still reads `A`.
    pending: Vec<&'a str>,
    /// How many braces of functions and groups are open.
    braces: usize,
    /// Reads in functions and groups, less those of a name's own setting (`A=${A:-x}`).
    in_functions: HashSet<usize>,
}

impl<'a> Scan<'a, '_> {
    fn run(&mut self) {
        let mut double = false;
        // What `double` was outside each open parenthesis: `"$(awk '{…}')"` starts anew inside.
        let mut outer: Vec<bool> = Vec::new();
        let mut word_start = true;
        // The word in front makes names behind it variables that are set: `read A B`, `for A in`.
        let mut setting = false;
        let mut here: Vec<(&'a str, bool)> = Vec::new();
        while let Some(&byte) = self.bytes.get(self.at) {
            let start = word_start;
            word_start = matches!(byte, b' ' | b'\t' | b'\n' | b';' | b'|' | b'&' | b'(' | b')' | b'`' | b'{');
            match byte {
                b'\\' => self.at += 1,
                b'\'' if !double => self.at = self.find(b'\'', self.at + 1),
                b'"' => double = !double,
                b'#' if start && !double => {
                    self.at = self.find(b'\n', self.at);
                    continue;
                }
                b'$' => {
                    self.dollar(double);
                    continue;
                }
                b'<' if !double && self.bytes[self.at..].starts_with(b"<<") => {
                    here.extend(self.here_delimiter());
                    continue;
                }
                b'{' if start && !double && self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_whitespace) => {
                    self.braces += 1;
                }
                b'}' if start && !double => self.braces = self.braces.saturating_sub(1),
                b'(' if !double || self.bytes[..self.at].ends_with(b"$") => {
                    outer.push(double);
                    (double, setting) = (false, false);
                }
                b')' if !double => {
                    double = outer.pop().unwrap_or(false);
                    setting = false;
                }
                b'\n' if !double => {
                    setting = false;
                    self.set.extend(self.pending.drain(..));
                    self.at += 1;
                    for (delimiter, quoted) in std::mem::take(&mut here) {
                        self.here_document(delimiter, quoted);
                    }
                    continue;
                }
                b';' | b'|' | b'&' if !double => {
                    setting = false;
                    self.set.extend(self.pending.drain(..));
                }
                // `[ -v NAME ]`
                b'-' if start && !double && self.bytes[self.at..].starts_with(b"-v ") => {
                    self.at += 3;
                    let plain = self.bytes.get(self.at).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
                    if plain && self.text[..self.at].trim_end_matches("-v ").trim_end().ends_with(['[', '!']) {
                        self.read(false);
                    }
                    continue;
                }
                _ if start && !double && (byte.is_ascii_alphabetic() || byte == b'_') => {
                    setting = self.bare_word(setting);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// The next such byte, or the end.
    fn find(&self, byte: u8, from: usize) -> usize {
        let from = from.min(self.bytes.len());
        memchr::memchr(byte, &self.bytes[from..]).map_or(self.bytes.len(), |i| from + i)
    }

    /// A word outside of quotes: an assignment, a word that sets others, or neither.
    fn bare_word(&mut self, setting: bool) -> bool {
        let name = self.name();
        if name == "printenv" && self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
            self.read(false);
            return setting;
        }
        let rest = &self.bytes[self.at..];
        if setting || rest.starts_with(b"=") || rest.starts_with(b"+=") {
            self.pending.push(name);
        }
        match name {
            "read" | "for" | "local" | "declare" | "typeset" | "getopts" | "readonly" | "mapfile" | "readarray"
            | "select" | "unset" => true,
            "in" | "do" => {
                self.set.extend(self.pending.drain(..));
                false
            }
            _ => setting,
        }
    }

    fn name(&mut self) -> &'a str {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn dollar(&mut self, double: bool) {
        self.at += 1;
        match self.bytes.get(self.at) {
            Some(b'{') => {
                self.at += 1;
                match self.bytes.get(self.at) {
                    // `${!NAME}` reads what NAME names.
                    Some(b'!') => {
                        self.found.dynamic.push(self.at - 2);
                        self.at += 1;
                    }
                    Some(b'#') => self.at += 1,
                    _ => {}
                }
                self.read(true);
            }
            Some(b) if b.is_ascii_alphabetic() || *b == b'_' => self.read(false),
            // `$'…'` is quoted text; `$(` opens code that is read on.
            Some(b'\'') if !double => {
                let mut end = self.at + 1;
                while self.bytes.get(end).is_some_and(|b| *b != b'\'') {
                    end += if self.bytes[end] == b'\\' { 2 } else { 1 };
                }
                self.at = (end + 1).min(self.bytes.len());
            }
            Some(b'$' | b'#') => self.at += 1,
            _ => {}
        }
    }

    fn read(&mut self, braced: bool) {
        let start = self.at;
        let name = self.name();
        let capital = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name.bytes().any(|b| b.is_ascii_uppercase())
            && !name.bytes().any(|b| b.is_ascii_lowercase());
        if !capital || self.set.contains(name) || GIVEN.contains(&name) {
            return;
        }
        let operator = self.bytes[self.at..].strip_prefix(b":").unwrap_or(&self.bytes[self.at..]);
        let default = braced && matches!(operator.first(), Some(b'-' | b'=' | b'+'));
        self.found.reads.push((start, name.into(), default));
        if self.braces > 0 && !self.pending.contains(&name) {
            self.in_functions.insert(start);
        }
        if default && operator.first() == Some(&b'=') {
            self.set.insert(name);
        }
    }

    /// The delimiter of a here-document, and whether it is quoted, so that nothing is expanded in it.
    fn here_delimiter(&mut self) -> Option<(&'a str, bool)> {
        // A shift in `$((1 << 2))` is none.
        let before = &self.bytes[self.at.saturating_sub(256)..self.at];
        let arithmetic = memchr::memmem::rfind(before, b"((").is_some_and(|open| {
            !before[open..].contains(&b'\n') && memchr::memmem::find(&before[open..], b"))").is_none()
        });
        self.at += 2;
        if arithmetic {
            return None;
        }
        if self.bytes.get(self.at) == Some(&b'<') {
            self.at += 1;
            return None;
        }
        while matches!(self.bytes.get(self.at), Some(b'-' | b' ' | b'\t')) {
            self.at += 1;
        }
        match *self.bytes.get(self.at)? {
            quote @ (b'\'' | b'"') => {
                let start = self.at + 1;
                let end = self.find(quote, start);
                self.at = (end + 1).min(self.bytes.len());
                Some((self.text.get(start..end)?, true))
            }
            b'\\' => {
                self.at += 1;
                Some((self.name(), true))
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => Some((self.name(), false)),
            _ => None,
        }
    }

    /// The lines of a here-document, in which quotes and `#` mean nothing.
    fn here_document(&mut self, delimiter: &str, quoted: bool) {
        while self.at < self.bytes.len() {
            let end = self.find(b'\n', self.at);
            if self.bytes[self.at..end].trim_ascii() == delimiter.as_bytes() {
                self.at = (end + 1).min(self.bytes.len());
                return;
            }
            while !quoted && self.at < end {
                match self.bytes[self.at] {
                    b'$' => self.dollar(true),
                    b'\\' => self.at += 2,
                    _ => self.at += 1,
                }
            }
            self.at = (end + 1).min(self.bytes.len());
        }
    }
}
