//! Code into words, marks and strings; comments fall out.

/// A word, a mark of one to three characters, or the content of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Whether it is a string; `start..end` is then its content.
    pub(super) string: bool,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// How a language writes comments and strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    JavaScript,
    Python,
    Rust,
    Go,
}

/// How deep code in strings (`${…}`, f-strings) is followed.
const MAX_DEPTH: usize = 16;

pub(super) fn tokens(text: &str, syntax: Syntax) -> Vec<Token> {
    let mut lexer = Lexer { bytes: text.as_bytes(), text, at: 0, syntax, tokens: Vec::with_capacity(text.len() / 8) };
    lexer.run(0, None);
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    syntax: Syntax,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    /// Runs to the end, or behind the brace that closes a code part of a string.
    fn run(&mut self, depth: usize, limit: Option<usize>) {
        let end = limit.unwrap_or(self.bytes.len());
        let mut open = 0usize;
        while self.at < end {
            let byte = self.bytes[self.at];
            match byte {
                _ if byte.is_ascii_whitespace() => self.at += 1,
                b'/' if self.comment() => {}
                b'#' if self.syntax == Syntax::Python => self.skip_line(),
                b'"' | b'\'' | b'`' => self.quoted(byte, depth, false, false),
                b'/' if self.syntax == Syntax::JavaScript && self.regex_may_start() => self.regex(),
                _ if byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' || byte >= 0x80 => self.word(depth),
                b'0'..=b'9' => self.number(),
                b'}' if depth > 0 && limit.is_none() && open == 0 => {
                    self.at += 1;
                    return;
                }
                _ => {
                    open = match byte {
                        b'{' => open + 1,
                        b'}' => open.saturating_sub(1),
                        _ => open,
                    };
                    self.mark();
                }
            }
        }
    }

    fn push(&mut self, string: bool, start: usize, end: usize) {
        self.tokens.push(Token { string, start, end });
    }

    fn comment(&mut self) -> bool {
        if self.syntax == Syntax::Python {
            return false;
        }
        match self.bytes.get(self.at + 1) {
            Some(b'/') => self.skip_line(),
            Some(b'*') => {
                self.at += 2;
                let mut depth = 1;
                while depth > 0 {
                    let Some(step) = memchr::memchr2(b'*', b'/', &self.bytes[self.at.min(self.bytes.len())..]) else {
                        self.at = self.bytes.len();
                        break;
                    };
                    self.at += step;
                    match &self.bytes[self.at..] {
                        [b'*', b'/', ..] => {
                            depth -= 1;
                            self.at += 2;
                        }
                        [b'/', b'*', ..] if self.syntax == Syntax::Rust => {
                            depth += 1;
                            self.at += 2;
                        }
                        _ => self.at += 1,
                    }
                }
            }
            _ => return false,
        }
        true
    }

    fn skip_line(&mut self) {
        self.at = memchr::memchr(b'\n', &self.bytes[self.at..]).map_or(self.bytes.len(), |i| self.at + i);
    }

    fn word(&mut self, depth: usize) {
        let start = self.at;
        while self
            .bytes
            .get(self.at)
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'$' || *b >= 0x80)
        {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        let next = self.bytes.get(self.at).copied();
        match (self.syntax, next) {
            // Prefixes of strings: r"…", b"…", f"…" …
            (Syntax::Python, Some(quote @ (b'"' | b'\''))) if is_python_prefix(word) => {
                let raw = word.contains(['r', 'R']);
                self.quoted(quote, depth, raw, word.contains(['f', 'F']));
            }
            (Syntax::Rust, Some(b'"' | b'#')) if matches!(word, "r" | "br" | "cr") && self.raw_rust() => {}
            (Syntax::Rust, Some(b'"')) if matches!(word, "b" | "c") => self.quoted(b'"', depth, false, false),
            (Syntax::Rust, Some(b'\'')) if word == "b" => self.quoted(b'\'', depth, false, false),
            _ => self.push(false, start, self.at),
        }
    }

    fn number(&mut self) {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.') {
            self.at += 1;
        }
        self.push(false, start, self.at);
    }

    fn mark(&mut self) {
        let length = match &self.bytes[self.at..] {
            [b'.', b'.', b'.', ..] | [b'=' | b'!', b'=', b'=', ..] => 3,
            [b'?', b'.' | b'?', ..] | [b':', b':' | b'=', ..] | [b'=', b'=' | b'>', ..] => 2,
            _ => 1,
        };
        self.push(false, self.at, self.at + length);
        self.at += length;
    }

    /// A string that opens at the cursor.
    fn quoted(&mut self, quote: u8, depth: usize, raw: bool, formatted: bool) {
        match (self.syntax, quote) {
            (Syntax::Rust, b'\'') => return self.rust_character(),
            (Syntax::Rust | Syntax::Python, b'`') => return self.mark(),
            (Syntax::JavaScript, b'`') => return self.template(depth),
            _ => {}
        }
        let triple = self.syntax == Syntax::Python && self.bytes[self.at..].starts_with(&[quote; 3]);
        let width = if triple { 3 } else { 1 };
        let raw_go = self.syntax == Syntax::Go && quote == b'`';
        let multi_line = triple || raw_go || self.syntax == Syntax::Rust;
        let start = self.at + width;
        let mut end = start;
        loop {
            match self.bytes.get(end) {
                None => break,
                Some(b'\\') if !raw_go => end += if raw && self.bytes.get(end + 1) != Some(&quote) { 1 } else { 2 },
                Some(b'\n') if !multi_line => break,
                Some(&b) if b == quote && (!triple || self.bytes[end..].starts_with(&[quote; 3])) => break,
                Some(_) => end += 1,
            }
        }
        end = end.min(self.bytes.len());
        if !self.text.is_char_boundary(end) {
            end = self.bytes.len();
        }
        self.push(true, start.min(end), end);
        if formatted && depth < MAX_DEPTH {
            self.formatted(start.min(end), end, depth);
        }
        self.at = (end + width).min(self.bytes.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }

    /// The code parts of an f-string.
    fn formatted(&mut self, start: usize, end: usize, depth: usize) {
        let mut at = start;
        while let Some(open) = memchr::memchr(b'{', &self.bytes[at..end]) {
            let inner = at + open + 1;
            if self.bytes.get(inner) == Some(&b'{') {
                at = inner + 1;
                if at >= end {
                    break;
                }
                continue;
            }
            let close = memchr::memchr(b'}', &self.bytes[inner..end]).map_or(end, |i| inner + i);
            self.at = inner;
            self.run(depth + 1, Some(close));
            at = close.max(self.at.min(end));
        }
    }

    /// A template literal, with the code in its `${…}`.
    fn template(&mut self, depth: usize) {
        self.at += 1;
        let start = self.at;
        let mut whole = true;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'`' => break,
                b'$' if self.bytes.get(self.at + 1) == Some(&b'{') && depth < MAX_DEPTH => {
                    whole = false;
                    self.at += 2;
                    self.run(depth + 1, None);
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
        if whole && self.text.is_char_boundary(self.at) {
            self.push(true, start, self.at);
        }
        self.at = (self.at + 1).min(self.bytes.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }

    /// `r"…"`, `r#"…"#`; the cursor is behind the `r`.
    fn raw_rust(&mut self) -> bool {
        let hashes = self.bytes[self.at..].iter().take_while(|b| **b == b'#').count();
        if self.bytes.get(self.at + hashes) != Some(&b'"') {
            return false;
        }
        let start = self.at + hashes + 1;
        let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
        let end = memchr::memmem::find(&self.bytes[start..], &close).map_or(self.bytes.len(), |i| start + i);
        self.push(true, start, end);
        self.at = (end + close.len()).min(self.bytes.len());
        true
    }

    /// A character, or a lifetime.
    fn rust_character(&mut self) {
        let rest = &self.text[self.at + 1..];
        let mut chars = rest.char_indices();
        let end = match chars.next() {
            Some((_, '\\')) => rest.bytes().take(12).skip(2).position(|b| b == b'\'').map(|i| i + 2),
            Some(_) => chars.next().filter(|(_, c)| *c == '\'').map(|(i, _)| i),
            None => None,
        };
        self.at += 1 + end.map_or(0, |e| e + 1);
    }

    /// Whether a slash starts a regular expression: not behind a value.
    fn regex_may_start(&self) -> bool {
        let Some(last) = self.tokens.last() else { return true };
        if last.string {
            return false;
        }
        match &self.text[last.start..last.end] {
            ")" | "]" | "}" => false,
            "return" | "typeof" | "case" | "in" | "of" | "delete" | "void" | "throw" | "new" | "else" => true,
            word => !word.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$'),
        }
    }

    fn regex(&mut self) {
        let mut at = self.at + 1;
        let mut class = false;
        loop {
            match self.bytes.get(at) {
                None | Some(b'\n') => return self.mark(),
                Some(b'\\') => at += 1,
                Some(b'[') => class = true,
                Some(b']') => class = false,
                Some(b'/') if !class => break,
                Some(_) => {}
            }
            at += 1;
        }
        self.push(true, self.at + 1, self.at + 1);
        self.at = at + 1;
    }
}

fn is_python_prefix(word: &str) -> bool {
    word.len() <= 2 && word.bytes().all(|b| b"rRbBuUfFtT".contains(&b))
}
