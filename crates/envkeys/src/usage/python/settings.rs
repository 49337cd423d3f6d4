//! Settings classes of pydantic: each field is a variable, its name in upper case behind the class's prefix.

use std::collections::HashSet;

use super::{Code, Found};

pub(super) fn find(code: &Code<'_>, found: &mut Found) {
    let mut settings: HashSet<&str> = HashSet::from(["BaseSettings"]);
    let mut classes: HashSet<&str> = HashSet::new();
    let heads: Vec<usize> = (0..code.len())
        .filter(|&at| code.word(at) == "class" && code.is_identifier(at + 1) && starts_line(code, at))
        .collect();
    for &at in &heads {
        classes.insert(code.word(at + 1));
    }
    for at in heads {
        let Some(body) = body(code, at) else { continue };
        let bases = at + 2..body.colon;
        if bases.clone().any(|i| settings.contains(code.word(i))) {
            settings.insert(code.word(at + 1));
            fields(code, &body, &classes, found);
        }
    }
}

struct Body {
    /// The colon behind the class's name and bases.
    colon: usize,
    end: usize,
    indent: usize,
}

/// The tokens of a class: up to the first line that is not indented more than its head.
fn body(code: &Code<'_>, class: usize) -> Option<Body> {
    let colon = if code.word(class + 2) == "(" { code.behind(class + 3)? } else { class + 2 };
    if code.word(colon) != ":" {
        return None;
    }
    let outer = indent(code, class);
    // A docstring is no statement.
    let first = (colon + 1..code.len()).find(|&i| code.string(i).is_none())?;
    let indent_of_body = indent(code, first);
    if !starts_line(code, first) || indent_of_body <= outer {
        return None;
    }
    let end = (first..code.len()).find(|&i| starts_line(code, i) && indent(code, i) <= outer).unwrap_or(code.len());
    Some(Body { colon, end, indent: indent_of_body })
}

fn fields(code: &Code<'_>, body: &Body, classes: &HashSet<&str>, found: &mut Found) {
    let range = || body.colon + 1..body.end;
    let prefix = range().find(|&i| code.word(i) == "env_prefix" && matches!(code.word(i + 1), "=" | ":"));
    // `model_config = {"env_prefix": "X"}`
    let quoted = || range().find(|&i| code.string(i) == Some("env_prefix") && code.word(i + 1) == ":");
    let prefix = prefix.or_else(quoted).and_then(|i| code.string(i + 2)).unwrap_or("");
    let starts: Vec<usize> = range().filter(|&i| starts_line(code, i) && indent(code, i) == body.indent).collect();
    for (index, &at) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(body.end);
        let name = code.word(at);
        if code.word(at + 1) != ":" || !code.is_identifier(at) || name.starts_with('_') || name == "model_config" {
            continue;
        }
        let equals = (at + 2..end).find(|&i| code.word(i) == "=" && is_outermost(code, at + 2, i));
        let annotation = at + 2..equals.unwrap_or(end);
        // A class variable is no field, and a model of its own is put together from several variables.
        if annotation.clone().any(|i| code.word(i) == "ClassVar" || classes.contains(code.word(i))) {
            continue;
        }
        let value = equals.map_or(end..end, |e| e + 1..end);
        let default = has_default(code, value.clone());
        let aliases = aliases(code, value);
        if aliases.is_empty() {
            found.reads.push((code.offset(at), format!("{prefix}{name}").to_uppercase(), default));
        }
        for alias in aliases {
            if let Some(name) = code.string(alias) {
                found.reads.push((code.offset(alias), name.into(), default));
            }
        }
    }
}

/// The strings of `alias=`, `validation_alias=`, `AliasChoices(…)`, `env=` in a field's value.
fn aliases(code: &Code<'_>, value: std::ops::Range<usize>) -> Vec<usize> {
    let mut found = Vec::new();
    for at in value.clone() {
        if matches!(code.word(at), "alias" | "validation_alias" | "env") && code.word(at + 1) == "=" {
            if code.string(at + 2).is_some() {
                found.push(at + 2);
            } else if code.is(at + 2, &["AliasChoices", "("]) || code.word(at + 2) == "[" {
                let first = at + if code.word(at + 2) == "[" { 3 } else { 4 };
                found.extend(
                    (first..value.end)
                        .take_while(|&i| !matches!(code.word(i), ")" | "]"))
                        .filter(|&i| code.string(i).is_some()),
                );
            }
        }
    }
    found
}

/// `= value`, or a `Field` whose first argument is a default.
fn has_default(code: &Code<'_>, value: std::ops::Range<usize>) -> bool {
    let at = value.start;
    if value.is_empty() {
        return false;
    }
    if !code.is(at, &["Field", "("]) {
        return code.word(at) != "...";
    }
    let named = value.clone().any(|i| matches!(code.word(i), "default" | "default_factory") && code.word(i + 1) == "=");
    let first = !matches!(code.word(at + 2), "..." | ")" | ".") && code.word(at + 3) != "=";
    named || first
}

/// Whether no bracket is open between `from` and `at`.
fn is_outermost(code: &Code<'_>, from: usize, at: usize) -> bool {
    let mut depth = 0i32;
    for i in from..at {
        match code.word(i) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
    }
    depth == 0
}

/// How deep a line may be indented: keeps a file of one long line linear.
const MAX_INDENT: usize = 256;

/// What stands in front of a token on its line; `None` where that is more than any indentation.
fn line_start<'a>(code: &Code<'a>, at: usize) -> Option<&'a str> {
    let offset = code.offset(at);
    let from = offset.saturating_sub(MAX_INDENT);
    let start = memchr::memrchr(b'\n', &code.text.as_bytes()[from..offset]);
    match start {
        Some(newline) => code.text.get(from + newline + 1..offset),
        None if from == 0 => code.text.get(..offset),
        None => None,
    }
}

fn starts_line(code: &Code<'_>, at: usize) -> bool {
    at < code.len() && line_start(code, at).is_some_and(|start| start.trim().is_empty())
}

fn indent(code: &Code<'_>, at: usize) -> usize {
    line_start(code, at).map_or(MAX_INDENT, str::len)
}
