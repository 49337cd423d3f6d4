//! Words into values.

use super::super::Value;
use super::super::reading::MAX_EXPANDED_BYTES;
use super::word::{Piece, Word};
use super::{Outcome, Shell};

/// What a shell sets by itself, or takes from the process that starts it.
const GIVEN: [&str; 16] = [
    "PATH", "PWD", "OLDPWD", "HOME", "IFS", "PS1", "PS2", "PS4", "PPID", "OPTIND", "LINENO", "USER", "SHELL", "LANG",
    "TERM", "TMPDIR",
];

impl Shell {
    /// The value of a word, of an assignment without its name.
    pub(super) fn value(&mut self, word: &Word) -> Outcome<Value> {
        let mut out = String::new();
        Ok(match self.pieces(&word.pieces, &mut out)? {
            Some(why) => Value::Computed(why),
            None => Value::Text(out),
        })
    }

    /// Expands pieces into `out`; gives the reason if the file alone does not decide.
    fn pieces(&mut self, pieces: &[Piece], out: &mut String) -> Outcome<Option<&'static str>> {
        let mut computed = None;
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Computed(why) => computed = computed.or(Some(*why)),
                Piece::Bad => return Err("${ with something that no shell can expand"),
                Piece::Variable { name, operator, argument } => {
                    let why = self.variable(name, operator, argument, out)?;
                    computed = computed.or(why);
                }
            }
            if out.len() > MAX_EXPANDED_BYTES {
                return Err("interpolation grows beyond all bounds");
            }
        }
        Ok(computed)
    }

    fn variable(
        &mut self,
        name: &str,
        operator: &str,
        argument: &[Piece],
        out: &mut String,
    ) -> Outcome<Option<&'static str>> {
        let known = match self.reading.values.get(name) {
            Some(Value::Computed(why)) => return Ok(Some(why)),
            Some(Value::Text(text)) => Some(text.as_str()),
            None if GIVEN.contains(&name) => return Ok(Some("the process environment")),
            None => None,
        };
        let set = known.is_some_and(|v| !operator.starts_with(':') || !v.is_empty());
        match operator.trim_start_matches(':') {
            "-" if !set => self.pieces(argument, out),
            "+" if set => self.pieces(argument, out),
            "+" => Ok(None),
            "?" if !set => Err("a required variable that is not set"),
            "=" if !set => {
                let mut value = String::new();
                let computed = self.pieces(argument, &mut value)?;
                out.push_str(&value);
                self.set(name, computed.map_or(Value::Text(value), Value::Computed))?;
                Ok(computed)
            }
            _ => {
                out.push_str(known.unwrap_or(""));
                Ok(None)
            }
        }
    }
}
