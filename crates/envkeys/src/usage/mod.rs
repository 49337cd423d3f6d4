//! Keys that code reads from its process environment.
//!
//! Each language has a tokeniser that tells code from comments and strings, so that a mention in a comment is no read,
//! and a list of the ways in which it reads a variable. Names that only a run decides are dynamic reads.

mod go;
mod javascript;
mod prefilter;
mod python;
mod rust;
mod shell;
mod standard;
mod token;

use std::cell::OnceCell;
use std::collections::HashMap;

use memchr::memmem;

pub use standard::is_standard;

use token::{Syntax, Token, tokens};

/// A language whose reads are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// JavaScript, TypeScript, and components with them in.
    JavaScript,
    /// Python.
    Python,
    /// Rust.
    Rust,
    /// Go.
    Go,
    /// POSIX shell, bash.
    Shell,
}

impl Language {
    /// The language of an interpreter line (`#!/usr/bin/env bash`), for scripts whose name says nothing.
    fn of_shebang(bytes: &[u8]) -> Option<Language> {
        let line = bytes.strip_prefix(b"#!")?;
        let line = &line[..line.len().min(128)];
        let line = String::from_utf8_lossy(line.split(|b| *b == b'\n').next().unwrap_or(line)).into_owned();
        line.split([' ', '/', '\t', '\r']).find_map(|word| {
            match word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
                "sh" | "bash" | "zsh" | "ksh" | "dash" | "ash" => Some(Language::Shell),
                "python" => Some(Language::Python),
                "node" | "deno" | "bun" | "tsx" | "ts-node" => Some(Language::JavaScript),
                _ => None,
            }
        })
    }
}

/// The language of a file by the end of its name; scripts without one are told by their first line in [`read_keys`].
pub fn is_source(path: &str) -> Option<Language> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension {
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" | "vue" | "svelte" | "astro" => {
            Language::JavaScript
        }
        "py" | "pyi" | "pyw" => Language::Python,
        "rs" => Language::Rust,
        "go" => Language::Go,
        "sh" | "bash" | "zsh" | "ksh" => Language::Shell,
        _ => return None,
    })
}

/// A key that code reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRead {
    /// The key.
    pub key: String,
    /// Line, 1-based.
    pub line: u32,
    /// Column in characters, 1-based, of the name.
    pub column: u32,
    /// Whether the code falls back to something when the key is not set.
    pub default: bool,
}

/// What a file reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileUsage {
    /// Keys by name, in the order of the file.
    pub reads: Vec<KeyRead>,
    /// Lines and columns at which a name is computed, or the whole environment is handed on.
    pub dynamic: Vec<(u32, u32)>,
    /// The file is above [`MAX_CODE_BYTES`], so that nothing of it was read: to be reported, not taken for clean.
    pub unread: bool,
}

/// Above this size a file is generated or bundled, and not looked at.
pub const MAX_CODE_BYTES: usize = 1 << 20;

/// Whether a path holds code that is somebody else's, generated, or a test's fixture.
pub fn skip(path: &str) -> bool {
    const DIRECTORIES: [&str; 18] = [
        "node_modules",
        "vendor",
        "third_party",
        "target",
        "dist",
        "build",
        "out",
        ".next",
        ".nuxt",
        ".venv",
        "venv",
        "site-packages",
        "__pycache__",
        "bower_components",
        "fixtures",
        "__fixtures__",
        "testdata",
        "fixture",
    ];
    let mut parts = path.split(['/', '\\']);
    let name = parts.next_back().unwrap_or(path);
    parts.any(|part| DIRECTORIES.contains(&part)) || name.contains(".min.") || name.ends_with(".d.ts")
}

/// Finds the keys that a file reads; a file in no known language reads none.
pub fn read_keys(path: &str, bytes: &[u8]) -> FileUsage {
    let mut usage = FileUsage::default();
    let Some(language) = is_source(path).or_else(|| Language::of_shebang(bytes)) else { return usage };
    if !prefilter::may_read(language, bytes) {
        return usage;
    }
    if bytes.len() > MAX_CODE_BYTES {
        usage.unread = true;
        return usage;
    }
    let mut text = String::from_utf8_lossy(bytes);
    if path.ends_with(".vue") || path.ends_with(".svelte") {
        text = javascript::scripts(&text).into();
    }
    let mut found = Found { reads: Vec::new(), dynamic: Vec::new() };
    match language {
        Language::JavaScript => javascript::find(&Code::new(&text, Syntax::JavaScript), &mut found),
        Language::Python => python::find(&Code::new(&text, Syntax::Python), &mut found),
        Language::Rust => rust::find(&Code::new(&text, Syntax::Rust), &mut found),
        Language::Go => go::find(&Code::new(&text, Syntax::Go), &mut found),
        Language::Shell => shell::find(&text, &mut found),
    }
    let build_script = path.rsplit('/').next() == Some("build.rs");
    found.reads.retain(|(_, name, _)| !(build_script && standard::is_of_build_scripts(name)));
    place(&text, found, &mut usage);
    usage
}

/// The keys that a piece of shell reads, with lines and columns from its start.
pub(crate) fn shell_reads(text: &str) -> Vec<KeyRead> {
    let mut found = Found { reads: Vec::new(), dynamic: Vec::new() };
    shell::find(text, &mut found);
    let mut usage = FileUsage::default();
    place(text, found, &mut usage);
    usage.reads
}

/// Offsets into lines and columns.
fn place(text: &str, mut found: Found, usage: &mut FileUsage) {
    found.reads.sort();
    found.reads.dedup_by(|b, a| a.0 == b.0 && a.1 == b.1);
    let mut lines = Lines { text, line: 1, start: 0, at: 0, column: 1 };
    for (offset, key, default) in found.reads {
        let (line, column) = lines.position(offset);
        if is_key(&key) {
            usage.reads.push(KeyRead { key, line, column, default });
        } else {
            usage.dynamic.push((line, column));
        }
    }
    found.dynamic.sort_unstable();
    let mut lines = Lines { text, line: 1, start: 0, at: 0, column: 1 };
    usage.dynamic.extend(found.dynamic.into_iter().map(|offset| lines.position(offset)));
    usage.dynamic.sort_unstable();
    usage.dynamic.dedup();
}

/// Whether a name is one that a shell could set.
pub(crate) fn is_key(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// `API_BASE`: how variables are written and little else is.
fn is_constant_case(name: &str) -> bool {
    name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// A call of the repository's own helper with a variable's name: `requireEnv('NAME')`, `getEnv("NAME", "default")`.
fn helper(code: &Code<'_>, at: usize, found: &mut Found) {
    let word = code.word(at);
    if code.word(at + 1) != "(" || word.len() < 4 || !is_helper(word) {
        return;
    }
    if at > 0 && matches!(code.word(at - 1), "function" | "def" | "fn" | "func") {
        return;
    }
    if let Some(name) = code.string(at + 2).filter(|n| is_constant_case(n)) {
        let default = code.word(at + 3) == "," && code.word(at + 4) != ")";
        if default || code.word(at + 3) == ")" {
            found.reads.push((code.offset(at + 2), name.into(), default));
        }
    }
}

/// `env` as a word of a function's name that does not speak of writing.
fn is_helper(word: &str) -> bool {
    let Some(at) = word.find("env").or_else(|| word.find("Env")).or_else(|| word.find("ENV")) else { return false };
    let behind = word[at + 3..].chars().next();
    // `environment`, `envelope` and `event` are other words.
    let ends = behind.is_none_or(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        || word[at..].to_ascii_lowercase().starts_with("envvar");
    let lower = word.to_ascii_lowercase();
    let writes = ["set", "stub", "mock", "with", "put", "write", "del", "patch", "clear", "remove", "add", "export"];
    ends && !writes.iter().any(|w| lower.contains(w))
}

/// Offsets with names and whether there is a fallback, and offsets of dynamic reads.
struct Found {
    reads: Vec<(usize, String, bool)>,
    dynamic: Vec<usize>,
}

/// Positions of rising offsets, each byte looked at once.
struct Lines<'a> {
    text: &'a str,
    line: u32,
    start: usize,
    at: usize,
    column: usize,
}

impl Lines<'_> {
    fn position(&mut self, offset: usize) -> (u32, u32) {
        let offset = offset.max(self.at).min(self.text.len());
        for newline in memchr::memchr_iter(b'\n', &self.text.as_bytes()[self.at..offset]) {
            self.line += 1;
            self.start = self.at + newline + 1;
            self.column = 1;
        }
        let from = self.start.max(self.at);
        self.column += self.text.as_bytes()[from..offset].iter().filter(|b| (**b & 0xC0) != 0x80).count();
        self.at = offset;
        (self.line, u32::try_from(self.column).unwrap_or(u32::MAX))
    }
}

/// A file's tokens, with the questions that all languages ask of them.
struct Code<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    constants: OnceCell<HashMap<&'a str, &'a str>>,
}

impl<'a> Code<'a> {
    fn new(text: &'a str, syntax: Syntax) -> Self {
        Code { text, tokens: tokens(text, syntax), constants: OnceCell::new() }
    }

    fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The text of a word or mark; a string is never equal to one.
    fn word(&self, index: usize) -> &'a str {
        match self.tokens.get(index) {
            Some(Token { string: false, start, end }) => &self.text[*start..*end],
            _ => "",
        }
    }

    /// The content of a string.
    fn string(&self, index: usize) -> Option<&'a str> {
        self.tokens.get(index).filter(|t| t.string).map(|t| &self.text[t.start..t.end])
    }

    fn offset(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(self.text.len(), |t| t.start)
    }

    /// Whether the words from `index` on are `words`.
    fn is(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, w)| self.word(index + i) == *w)
    }

    /// Whether a word starts with a letter or underscore.
    fn is_identifier(&self, index: usize) -> bool {
        self.word(index).starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    /// A string, or a constant that is one, at `index`.
    fn name(&self, index: usize) -> Option<&'a str> {
        self.string(index).or_else(|| self.is_identifier(index).then(|| self.constant(self.word(index)))?)
    }

    /// The text that a constant of this name is set to in the same file: `NAME = "text"`, a type in between or not.
    fn constant(&self, name: &str) -> Option<&'a str> {
        let constants = self.constants.get_or_init(|| {
            let mut constants = HashMap::new();
            for at in (0..self.len()).filter(|&i| self.is_identifier(i)) {
                let equals =
                    (at + 1..at + 7).find(|&j| matches!(self.word(j), "=" | ":=" | ";" | "," | ")" | "(" | ""));
                let Some(equals) = equals.filter(|&j| matches!(self.word(j), "=" | ":=")) else { continue };
                if let Some(text) = self.string(equals + 1) {
                    constants.entry(self.word(at)).or_insert(text);
                }
            }
            constants
        });
        constants.get(name).copied()
    }

    /// Takes the argument at `index` for a name, with a fallback or without; what is no plain text is a dynamic read.
    fn take(&self, index: usize, default: bool, found: &mut Found) {
        let converted = self.word(index + 1) == "."
            && matches!(self.word(index + 2), "to_string" | "to_owned" | "into" | "as_str" | "clone");
        let ends = converted || matches!(self.word(index + 1), ")" | "," | "]" | "");
        match self.name(index).filter(|_| ends) {
            Some(name) => found.reads.push((self.offset(index), name.into(), default)),
            None => found.dynamic.push(self.offset(index)),
        }
    }

    /// The token behind the bracket that closes what `index` is in; `None` when it is too far away.
    fn behind(&self, index: usize) -> Option<usize> {
        let mut depth = 0usize;
        (index..self.len().min(index + 64)).find_map(|i| {
            match self.word(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" if depth == 0 => return Some(i + 1),
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            None
        })
    }

    /// The tokens in which one of `needles` stands, in their order: where a search for them starts.
    fn with(&self, needles: &[&str]) -> Vec<usize> {
        let hits = needles.iter().flat_map(|n| memmem::find_iter(self.text.as_bytes(), n.as_bytes()));
        // The last token that starts at a hit or in front of it; what lies in a comment comes out as a token in front of it.
        let tokens = hits.filter_map(|hit| self.tokens.partition_point(|t| t.start <= hit).checked_sub(1));
        let mut tokens: Vec<usize> = tokens.collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    fn contains(&self, text: &str) -> bool {
        memmem::find(self.text.as_bytes(), text.as_bytes()).is_some()
    }
}

#[cfg(test)]
mod tests;
