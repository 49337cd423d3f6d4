//! Shell lines into commands and words.

use super::super::lexer::is_name;
use super::{Command, Joint, List, Outcome};

/// How deep `${A:-${B:-…}}` may nest.
const MAX_DEPTH: usize = 32;

/// A word, not yet expanded.
#[derive(Debug, Default)]
pub(in super::super) struct Word {
    /// The variable that it assigns, if it is `NAME=value`; `pieces` are then the value.
    pub(super) assigns: Option<String>,
    pub(super) pieces: Vec<Piece>,
    /// Whether a quote or backslash stands in it, so that it stays even if it is empty.
    pub(super) quoted: bool,
    /// The text, if nothing in it is quoted or expanded: only then it can be a command's or reserved word.
    pub(super) literal: Option<String>,
}

impl Word {
    /// Whether something in it is expanded.
    pub(super) fn expands(&self) -> bool {
        self.pieces.iter().any(|piece| !matches!(piece, Piece::Text(_)))
    }
}

/// A part of a word.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    /// `$NAME`, `${NAME}` or `${NAME<operator>pieces}`.
    Variable {
        name: String,
        operator: &'static str,
        argument: Vec<Piece>,
    },
    Computed(&'static str),
    /// `${…}` that no shell can expand.
    Bad,
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    started: u32,
}

#[derive(PartialEq)]
enum End {
    Newline,
    Semicolon,
    Background,
    And,
    Or,
    Pipe,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer { text, at: 0, line: 1, started: 1 }
    }

    /// The line on which what [`Lexer::line`] gave last begins.
    pub(super) fn started(&self) -> u32 {
        self.started
    }

    /// The lists of the next line that has any; `None` at the end.
    pub(super) fn line(&mut self) -> Option<Outcome<Vec<List>>> {
        loop {
            self.skip_blank();
            self.started = self.line;
            match self.peek() {
                None => return None,
                Some('\n') => drop(self.next()),
                Some(_) => return Some(self.lists()),
            }
        }
    }

    fn lists(&mut self) -> Outcome<Vec<List>> {
        let mut lists = Vec::new();
        let mut pipelines = Vec::new();
        let mut joint = Joint::Start;
        let mut pipeline = Vec::new();
        loop {
            let (command, end) = self.command()?;
            let Some(command) = command else {
                // Nothing stands between two operators, or in front of the first.
                return match end {
                    End::Newline if pipelines.is_empty() && pipeline.is_empty() => Ok(lists),
                    _ => Err("an operator with nothing in front of it"),
                };
            };
            pipeline.push(command);
            if end == End::Pipe {
                self.skip_newlines();
                continue;
            }
            pipelines.push((joint, std::mem::take(&mut pipeline)));
            joint = match end {
                End::And => Joint::And,
                End::Or => Joint::Or,
                _ => Joint::Start,
            };
            if joint != Joint::Start {
                self.skip_newlines();
                continue;
            }
            lists.push(List { pipelines: std::mem::take(&mut pipelines), background: end == End::Background });
            if end == End::Newline {
                return Ok(lists);
            }
        }
    }

    fn command(&mut self) -> Outcome<(Option<Command>, End)> {
        let mut command =
            Command { words: Vec::new(), line: self.line, redirects: false, reads: false, copies: Vec::new() };
        loop {
            self.skip_blank();
            let end = match self.peek() {
                None | Some('\n') => {
                    self.next();
                    End::Newline
                }
                Some(';') => {
                    self.next();
                    End::Semicolon
                }
                Some('&') if self.rest().starts_with("&&") => self.advance(2, End::And),
                Some('|') if self.rest().starts_with("||") => self.advance(2, End::Or),
                Some('&') => self.advance(1, End::Background),
                Some('|') => self.advance(1, End::Pipe),
                Some('(') => return Err(self.parenthesis(&command)),
                Some(')') => return Err("a parenthesis that nothing opens"),
                Some('<' | '>') => {
                    command.reads |= self.rest().starts_with('<');
                    command.copies.extend(self.redirection()?);
                    command.redirects = true;
                    continue;
                }
                Some(_) => {
                    let before_command = command.words.iter().all(|w| w.assigns.is_some());
                    let exports = command.words.iter().find(|w| w.assigns.is_none()).and_then(|w| w.literal.as_deref());
                    let assigns = before_command || matches!(exports, Some("export" | "readonly"));
                    let word = self.word(assigns)?;
                    let number = word.literal.as_deref().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
                    if !(number && matches!(self.peek(), Some('<' | '>'))) {
                        command.words.push(word);
                    }
                    continue;
                }
            };
            let empty = command.words.is_empty() && !command.redirects;
            return Ok(((!empty).then_some(command), end));
        }
    }

    /// Why an opening parenthesis ends the reading.
    fn parenthesis(&self, command: &Command) -> &'static str {
        let function = self.rest()[1..].trim_start_matches([' ', '\t']).starts_with(')');
        match command.words.as_slice() {
            [] => "a subshell, which is not followed",
            [name] if function && name.literal.as_deref().is_some_and(is_name) => "a function, which is not followed",
            _ => "a parenthesis, which a shell takes for a program",
        }
    }

    /// Gives the word behind `>&` and `<&`, which has to be a number.
    fn redirection(&mut self) -> Outcome<Option<Word>> {
        if self.rest().starts_with("<<") {
            return Err("a here-document, which is not followed");
        }
        let operator = [">>", ">&", "<&", "<>", ">|"].into_iter().find(|o| self.rest().starts_with(o));
        self.at += operator.map_or(1, str::len);
        self.skip_blank();
        match self.peek() {
            None | Some('\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => Err("< or > without a file's name"),
            Some(_) => {
                let word = self.word(false)?;
                Ok(operator.is_some_and(|o| o.ends_with('&')).then_some(word))
            }
        }
    }

    fn word(&mut self, assigns: bool) -> Outcome<Word> {
        let mut word = Word::default();
        let mut plain = true;
        let mut text = String::new();
        let mut tilde = false;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '=' if assigns && plain && word.assigns.is_none() && is_name(&text) => {
                    word.assigns = Some(std::mem::take(&mut text));
                    self.next();
                    tilde = true;
                    continue;
                }
                '~' if tilde || (word.assigns.is_none() && text.is_empty() && word.pieces.is_empty()) => {
                    self.next();
                    word.pieces.push(Piece::Computed("a home directory"));
                    plain = false;
                }
                '\\' if self.rest().starts_with("\\\n") => self.join_lines(),
                '\'' | '"' | '\\' | '$' | '`' => {
                    word.quoted |= c != '$' && c != '`';
                    plain = plain && c == '$' && !self.expands();
                    self.quoted_or_expansion(&mut text, &mut word.pieces, 0)?;
                }
                _ => {
                    text.push(c);
                    self.next();
                }
            }
            tilde = c == ':' && word.assigns.is_some();
        }
        word.quoted |= word.assigns.is_some();
        if plain && word.assigns.is_none() {
            word.literal = Some(text.clone());
        }
        flush(&mut text, &mut word.pieces);
        Ok(word)
    }

    /// One quote, escape or expansion at the cursor, outside double quotes.
    fn quoted_or_expansion(&mut self, text: &mut String, pieces: &mut Vec<Piece>, depth: usize) -> Outcome<()> {
        match self.next() {
            Some('\'') => {
                let end = self.rest().find('\'').ok_or("a quote that is never closed")?;
                let inner = &self.rest()[..end];
                text.push_str(inner);
                self.line += u32::try_from(inner.matches('\n').count()).unwrap_or(0);
                self.at += end + 1;
                Ok(())
            }
            Some('"') => self.double_quoted(text, pieces, depth),
            Some('\\') => {
                match self.next() {
                    Some('\n') => {}
                    Some(c) => text.push(c),
                    None => text.push('\\'),
                }
                Ok(())
            }
            Some('`') => self.backtick(text, pieces, false),
            _ => self.dollar(text, pieces, depth),
        }
    }

    fn double_quoted(&mut self, text: &mut String, pieces: &mut Vec<Piece>, depth: usize) -> Outcome<()> {
        loop {
            match self.next().ok_or("a quote that is never closed")? {
                '"' => return Ok(()),
                '\\' => match self.next() {
                    Some('\n') => {}
                    Some(c @ ('$' | '`' | '"' | '\\')) => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                    None => return Err("a quote that is never closed"),
                },
                '`' => self.backtick(text, pieces, true)?,
                '$' => self.dollar(text, pieces, depth)?,
                c => text.push(c),
            }
        }
    }

    fn backtick(&mut self, text: &mut String, pieces: &mut Vec<Piece>, double: bool) -> Outcome<()> {
        flush(text, pieces);
        let mut inner = String::new();
        loop {
            match self.next().ok_or("a backtick that is never closed")? {
                '`' => break,
                '\\' => match self.next() {
                    Some('\n') => {}
                    Some(c) if matches!(c, '\\' | '`' | '$') || (double && c == '"') => inner.push(c),
                    c => inner.extend(std::iter::once('\\').chain(c)),
                },
                c => inner.push(c),
            }
        }
        // It is not run, but a shell refuses the line if it is no shell code.
        let mut lexer = Lexer::new(&inner);
        while let Some(parsed) = lexer.line() {
            match parsed {
                // A parenthesis ends the code in backticks; a shell reads no further in them.
                Err(why) if !why.contains("not followed") && !why.contains("nothing opens") => return Err(why),
                Err(_) => break,
                Ok(_) => {}
            }
        }
        pieces.push(Piece::Computed("a command's output"));
        Ok(())
    }

    /// What follows a `$` that was just read.
    fn dollar(&mut self, text: &mut String, pieces: &mut Vec<Piece>, depth: usize) -> Outcome<()> {
        self.join_lines();
        let piece = match self.peek() {
            Some('{') => {
                self.next();
                self.join_lines();
                self.braced(depth + 1)?
            }
            Some('(') => {
                self.parentheses()?;
                Piece::Computed("a command's output")
            }
            Some(c) if c == '_' || c.is_ascii_alphabetic() => {
                Piece::Variable { name: self.name(), operator: "", argument: Vec::new() }
            }
            Some('1'..='9' | '@' | '*') => {
                self.next();
                Piece::Text(String::new())
            }
            Some('0' | '#' | '?' | '-' | '$' | '!') => {
                self.next();
                Piece::Computed("a parameter of the shell")
            }
            _ => {
                text.push('$');
                return Ok(());
            }
        };
        flush(text, pieces);
        pieces.push(piece);
        Ok(())
    }

    /// Whether the `$` at the cursor starts an expansion.
    fn expands(&self) -> bool {
        let next = self.rest()[1..].trim_start_matches("\\\n").chars().next();
        next.is_some_and(|c| c.is_ascii_alphanumeric() || "_{(@*#?-$!".contains(c))
    }

    /// A braced expansion; the brace is read.
    fn braced(&mut self, depth: usize) -> Outcome<Piece> {
        if depth > MAX_DEPTH {
            return Err("expansions nested too deep to follow");
        }
        if let Some(c @ ('1'..='9' | '#')) = self.peek() {
            // A parameter of the shell, or a variable's length.
            self.next();
            self.argument(depth)?;
            return Ok(if c == '#' { Piece::Computed("the length of a value") } else { Piece::Text(String::new()) });
        }
        let name = self.name();
        self.join_lines();
        let operators = [":-", "-", ":=", "=", ":?", "?", ":+", "+", "}", "%", "#"];
        let operator = operators.into_iter().find(|o| self.rest().starts_with(o));
        let Some(operator) = operator.filter(|_| !name.is_empty()) else {
            self.argument(depth)?;
            return Ok(Piece::Bad);
        };
        self.at += operator.len();
        if operator == "}" {
            return Ok(Piece::Variable { name, operator: "", argument: Vec::new() });
        }
        let argument = self.argument(depth)?;
        if matches!(operator, "%" | "#") {
            return Ok(Piece::Computed("a pattern that cuts the value"));
        }
        Ok(Piece::Variable { name, operator, argument })
    }

    /// Pieces up to and with the closing brace.
    fn argument(&mut self, depth: usize) -> Outcome<Vec<Piece>> {
        let mut text = String::new();
        let mut pieces = Vec::new();
        loop {
            match self.peek().ok_or("${ that is never closed")? {
                '}' => {
                    self.next();
                    flush(&mut text, &mut pieces);
                    return Ok(pieces);
                }
                '\'' | '"' | '\\' | '$' | '`' => self.quoted_or_expansion(&mut text, &mut pieces, depth)?,
                c => {
                    text.push(c);
                    self.next();
                }
            }
        }
    }

    /// `(…)` with everything in it.
    fn parentheses(&mut self) -> Outcome<()> {
        let mut depth = 0usize;
        let unclosed = "a parenthesis that is never closed";
        loop {
            match self.next().ok_or(unclosed)? {
                '(' => depth += 1,
                ')' if depth == 1 => return Ok(()),
                ')' => depth -= 1,
                '\\' => drop(self.next()),
                quote @ ('\'' | '"') => loop {
                    match self.next().ok_or(unclosed)? {
                        c if c == quote => break,
                        '\\' if quote == '"' => drop(self.next()),
                        _ => {}
                    }
                },
                _ => {}
            }
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| *c == '_' || c.is_ascii_alphanumeric()) {
            if name.is_empty() && c.is_ascii_digit() {
                break;
            }
            name.push(c);
            self.next();
            self.join_lines();
        }
        name
    }

    /// Skips escaped line ends: within an expansion they mean nothing.
    fn join_lines(&mut self) {
        while self.rest().starts_with("\\\n") {
            self.at += 2;
            self.line += 1;
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += u32::from(c == '\n');
        Some(c)
    }

    fn advance(&mut self, bytes: usize, end: End) -> End {
        self.at += bytes;
        end
    }

    /// Skips blanks, escaped line ends, and a comment up to the line's end.
    fn skip_blank(&mut self) {
        loop {
            if self.rest().starts_with("\\\n") {
                self.at += 2;
                self.line += 1;
            } else if self.peek().is_some_and(|c| c == ' ' || c == '\t') {
                self.at += 1;
            } else {
                break;
            }
        }
        if self.peek() == Some('#') {
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn skip_newlines(&mut self) {
        self.skip_blank();
        while self.peek() == Some('\n') {
            self.next();
            self.skip_blank();
        }
    }
}

fn flush(text: &mut String, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(std::mem::take(text)));
    }
}
