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
        let mut words: Vec<&Word> = Vec::new();
        for word in rest {
            // What goes wrong here ends the shell.
            let value = self.value(word)?;
            if word.quoted || value != Value::Text(String::new()) {
                words.push(word);
            }
        }
        let rest = words.as_slice();
        let name = rest.first().map(|w| w.literal.as_deref().unwrap_or(""));
        let kept = match name {
            None => true,
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
                let value = match (value, command.redirects || uncertain) {
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
                for word in rest[1..].iter().filter(|_| !own_process) {
                    self.reading.values.remove(word.literal.as_deref().unwrap_or(""));
                }
                Ok(Status::Success)
            }
            Some("eval" | "." | "source" | "exec") => Err("runs other shell code, which is not followed"),
            Some("exit" | "return") => Err("ends the shell that reads it"),
            Some(name) if RESERVED.contains(&name) => Err("a shell program, which is not followed"),
            Some(_) => {
                self.reading.commands.push(command.line);
                Ok(Status::Unknown)
            }
        }
    }

    fn export(&mut self, arguments: &[&Word], own_process: bool) -> Outcome<()> {
        // All words are expanded before the first is set.
        let values = arguments.iter().map(|word| self.value(word)).collect::<Outcome<Vec<Value>>>()?;
        for (word, value) in arguments.iter().zip(values) {
            // The word expands whole, so a name may come out of a variable.
            let (name, value) = match (&word.assigns, value) {
                (Some(name), value) => (name.clone(), Some(value)),
                (None, Value::Computed(_)) => continue,
                (None, Value::Text(text)) => match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(Value::Text(value.to_owned()))),
                    None => (text, None),
                },
            };
            if matches!(name.as_str(), "-p" | "--" | "-") && value.is_none() {
                continue;
            }
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
        self.reading.values.insert(name.to_owned(), value);
        Ok(())
    }
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
