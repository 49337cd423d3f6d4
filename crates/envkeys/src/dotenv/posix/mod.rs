//! A POSIX shell that sources the file: `set -a; . ./.env`.
//!
//! Follows the Shell Command Language (POSIX.1-2024, XCU chapter 2) as dash does, as far as a file of assignments goes:
//! quoting, parameter expansion, assignments in front of commands, lists, redirections. It runs nothing: what a
//! command would decide is [`Value::Computed`]. Control structures end the reading.

mod expand;
mod word;

use super::lexer::is_name;
use super::{Reading, Value};
use word::{Lexer, Word};

pub(super) fn read(text: &str) -> Reading {
    let mut shell = Shell { reading: Reading::default(), grown: 0 };
    let mut lexer = Lexer::new(text);
    // A shell parses a whole line, then runs it.
    while let Some(parsed) = lexer.line() {
        let line = lexer.started();
        let done = match parsed {
            Ok(lists) => lists.iter().try_for_each(|list| shell.run(list)),
            Err(why) => Err(why),
        };
        if let Err(why) = done {
            shell.reading.fail(line, why);
            break;
        }
    }
    shell.reading
}

/// Commands joined by `&&` and `||`.
pub(super) struct List {
    pub(super) pipelines: Vec<(Joint, Vec<Command>)>,
    /// Ended by `&`: runs in a process of its own, so that its assignments are lost.
    pub(super) background: bool,
}

/// What stands in front of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    Start,
    And,
    Or,
}

/// A simple command.
pub(super) struct Command {
    pub(super) words: Vec<Word>,
    pub(super) line: u32,
    /// Reads from or writes to files.
    pub(super) redirects: bool,
    /// Reads from a file, which is taken to be missing.
    pub(super) reads: bool,
    /// The words behind `>&` and `<&`.
    pub(super) copies: Vec<Word>,
}

/// Whether the command before succeeded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Success,
    Unknown,
}

pub(super) type Outcome<T> = Result<T, &'static str>;

pub(super) struct Shell {
    pub(super) reading: Reading,
    grown: usize,
}

impl Shell {
    fn run(&mut self, list: &List) -> Outcome<()> {
        let mut status = Status::Success;
        for (joint, pipeline) in &list.pipelines {
            if *joint == Joint::Or && status == Status::Success {
                continue;
            }
            let own_process = list.background || pipeline.len() > 1;
            let uncertain = *joint != Joint::Start && status == Status::Unknown;
            status = Status::Success;
            for command in pipeline {
                status = match self.command(command, own_process, uncertain) {
                    // An error ends the process that it happens in.
                    Err(why) if own_process && !why.contains("not followed") => Status::Unknown,
                    status => status?,
                };
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &Command, own_process: bool, uncertain: bool) -> Outcome<Status> {
        let split = command.words.iter().position(|w| w.assigns.is_none()).unwrap_or(command.words.len());
        let (assignments, rest) = command.words.split_at(split);
        // A word of nothing but expansions may expand to nothing: then it is no word.
        let mut words: Vec<(&Word, Value)> = Vec::new();
        let mut named = None;
        for word in rest {
            // What goes wrong here ends the shell.
            let value = self.value(word)?;
            if word.quoted || value != Value::Text(String::new()) {
                if words.is_empty() {
                    named = Some(command_name(word, &value)?);
                }
                words.push((word, value));
            }
        }
        for word in &command.copies {
            match self.value(word)? {
                Value::Text(text) if text == "-" || (text.len() == 1 && text.as_bytes()[0].is_ascii_digit()) => {}
                Value::Text(_) => return Err("& behind < or > without a number"),
                Value::Computed(_) => return Err("a file descriptor that is computed, which is not followed"),
            }
        }
        let rest = words.as_slice();
        let name = named.as_deref();
        // Where the only word may come to nothing, the assignments in front of it stay or not.
        let perhaps_none = name == Some("") && !rest[0].0.quoted;
        let kept = match name {
            None => true,
            Some("") => perhaps_none,
            Some(name) => SPECIAL.contains(&name),
        };
        let exports = matches!(name, Some("export" | "readonly"));
        if command.reads && name.is_some_and(|n| SPECIAL.contains(&n)) {
            return Err("< takes the text behind it for a file to read, and there is none");
        }
        for word in assignments {
            let Some(name) = &word.assigns else { continue };
            let value = self.value(word)?;
            if kept && !own_process {
                let value = match (value, command.redirects || uncertain || perhaps_none) {
                    (Value::Text(_), true) => Value::Computed("depends on a command or a file"),
                    (value, _) => value,
                };
                self.set(name, value)?;
            }
        }
        match name {
            None => Ok(if command.redirects { Status::Unknown } else { Status::Success }),
            Some(_) if exports => self.export(&rest[1..], own_process).map(|()| Status::Success),
            Some(":" | "true" | "set") => Ok(Status::Success),
            Some("unset") => {
                for (word, _) in rest[1..].iter().filter(|_| !own_process) {
                    self.reading.values.remove(word.literal.as_deref().unwrap_or(""));
                }
                Ok(Status::Success)
            }
            Some("eval" | "." | "source" | "exec") => Err("runs other shell code, which is not followed"),
            Some("exit" | "return") => Err("ends the shell that reads it"),
            Some(name) if RESERVED.contains(&name) && rest[0].0.literal.is_some() => {
                Err("a shell program, which is not followed")
            }
            Some(_) => {
                self.reading.commands.push(command.line);
                Ok(Status::Unknown)
            }
        }
    }

    fn export(&mut self, arguments: &[(&Word, Value)], own_process: bool) -> Outcome<()> {
        let option =
            arguments.first().and_then(|(w, _)| w.literal.as_deref()).filter(|l| l.starts_with('-') && l.len() > 1);
        let arguments = match option {
            Some("--") => &arguments[1..],
            // It lists what is exported and sets nothing.
            Some("-p") => return Ok(()),
            Some(_) => return Err("export with an option that it does not have"),
            None => arguments,
        };
        for (word, value) in arguments {
            // The word expands whole, so a name may come out of a variable.
            let (name, value) = match (&word.assigns, value.clone()) {
                (Some(name), value) => (name.clone(), Some(value)),
                (None, Value::Computed(_)) => return Err("export of a name that is computed, which is not followed"),
                (None, Value::Text(text)) => match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(Value::Text(value.to_owned()))),
                    None => (text, None),
                },
            };
            if !is_name(&name) {
                return Err("export of a name that a shell cannot have");
            }
            if let Some(value) = value.filter(|_| !own_process) {
                self.set(&name, value)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value) -> Outcome<()> {
        if let Value::Text(text) = &value {
            self.grown += text.len();
            if self.grown > super::reading::MAX_EXPANDED_BYTES {
                return Err("interpolation grows beyond all bounds");
            }
        }
        // `_` is the shell's own: the last word of the command before.
        let value = if name == "_" { Value::Computed("what the shell itself sets") } else { value };
        self.reading.values.insert(name.to_owned(), value);
        Ok(())
    }
}

/// The name of the command that a word becomes; empty where the file alone does not decide.
fn command_name(word: &Word, value: &Value) -> Outcome<String> {
    match value {
        // What comes out of an expansion is cut at white space, and the rest becomes arguments.
        Value::Text(text) if word.expands() && text.contains([' ', '\t', '\n', '*', '?', '[']) => {
            Err("a command that an expansion names, which is not followed")
        }
        Value::Text(text) if word.literal.is_some() && (text.contains(['*', '?']) || is_class(text)) => {
            Err("a command that file names decide, which is not followed")
        }
        Value::Text(text) => Ok(text.clone()),
        Value::Computed(_) => Ok(String::new()),
    }
}

fn is_class(text: &str) -> bool {
    text.split_once('[').is_some_and(|(_, rest)| rest.contains(']'))
}

/// Built-ins whose assignments stay (POSIX.1-2024, 2.15).
const SPECIAL: [&str; 15] = [
    ":", ".", "break", "continue", "eval", "exec", "exit", "export", "readonly", "return", "set", "shift", "times",
    "trap", "unset",
];

const RESERVED: [&str; 16] = [
    "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "{", "}", "!",
    "function",
];
