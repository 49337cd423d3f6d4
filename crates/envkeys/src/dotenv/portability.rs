//! Where one file means different things to the programs that read it.

use std::collections::BTreeSet;

use custody_contract::{Diagnostic, Level, Place};

use super::{Dialect, Document, Entry, Reading, Value};

const CODE: &str = "env-portability";

/// The keys of `document` that the dialects read differently, one diagnostic each, and what makes a program refuse the
/// file. A value appears only where `may_show(key, value)` says that it is clearly no secret.
pub fn portability(file: &str, document: &Document, may_show: &dyn Fn(&str, &str) -> bool) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let document = &without_file_wide_differences(file, document, &mut found);
    let readings = Dialect::ALL.map(|dialect| (dialect, document.evaluate(dialect)));
    for (dialect, reading) in &readings {
        found.extend(refusal(file, *dialect, reading));
    }
    let keys: BTreeSet<&str> = document.entries().map(|e| e.key.as_str()).collect();
    let mut by_place: Vec<(usize, Diagnostic)> = keys
        .into_iter()
        .filter_map(|key| document.entry(key))
        .filter(|entry| !document.text()[entry.value_span.clone()].contains("{{"))
        .filter_map(|entry| Some((entry.key_span.start, difference(file, document, entry, &readings, may_show)?)))
        .collect();
    by_place.sort_by_key(|(offset, _)| *offset);
    found.extend(by_place.into_iter().map(|(_, d)| d));
    found
}

/// What concerns every line is said once, and taken out of the comparison.
fn without_file_wide_differences(file: &str, document: &Document, found: &mut Vec<Diagnostic>) -> Document {
    let mut text = document.text();
    if let Some(rest) = text.strip_prefix('\u{feff}') {
        text = rest;
        let note = Diagnostic::note(CODE, "the file starts with a byte order mark").at(Place::file(file));
        found.push(note.why("a shell takes it for a part of the first key").fix("save the file as UTF-8 without BOM"));
    }
    let clean = text.replace("\r\n", "\n");
    if clean.len() != text.len() {
        let note = Diagnostic::note(CODE, "the file has Windows line ends").at(Place::file(file));
        let note = note.why("a shell keeps the carriage return at the end of each value");
        found.push(note.fix("save the file with line feeds only"));
    }
    Document::parse(clean.as_bytes())
}

fn refusal(file: &str, dialect: Dialect, reading: &Reading) -> Option<Diagnostic> {
    let failure = reading.failure.as_ref()?;
    let (level, consequence) = match dialect {
        Dialect::Posix => (Level::Note, "it sets nothing from there on"),
        _ => (Level::Warning, "it uses nothing of the file"),
    };
    let mut diagnostic = Diagnostic::note(CODE, format!("{dialect} stops reading here: {consequence}"));
    diagnostic.level = level;
    Some(
        diagnostic
            .at(Place::at(file, failure.line, 0))
            .why(failure.why)
            .fix("put the value in double quotes and escape \\, \", $ and ` in it"),
    )
}

#[derive(PartialEq)]
enum Read<'a> {
    Unset,
    Text(&'a str),
    Computed(&'static str),
}

fn difference(
    file: &str,
    document: &Document,
    entry: &Entry,
    readings: &[(Dialect, Reading); 4],
    may_show: &dyn Fn(&str, &str) -> bool,
) -> Option<Diagnostic> {
    let mut groups: Vec<(Read<'_>, Vec<Dialect>)> = Vec::new();
    for (dialect, reading) in readings {
        let read = match reading.values.get(&entry.key) {
            Some(Value::Text(text)) => Read::Text(text),
            Some(Value::Computed(why)) => Read::Computed(why),
            None if reading.failure.is_some() => continue,
            None => Read::Unset,
        };
        match groups.iter_mut().find(|(r, _)| *r == read) {
            Some((_, dialects)) => dialects.push(*dialect),
            None => groups.push((read, vec![*dialect])),
        }
    }
    if groups.len() < 2 {
        return None;
    }
    let show = groups.iter().all(|(read, _)| match read {
        Read::Text(text) => text.len() <= 60 && !text.contains(char::is_control) && may_show(&entry.key, text),
        _ => true,
    });
    let (line, column) = document.position(entry.key_span.start);
    let runs = readings.iter().any(|(_, r)| r.commands.contains(&line));
    let raw = &document.text()[entry.value_span.clone()];
    let parts: Vec<String> = groups
        .iter()
        .map(|(read, dialects)| format!("{} {}", names(dialects), describe(read, entry, raw, show, runs)))
        .collect();
    let libraries = groups.iter().filter(|(_, dialects)| dialects.iter().any(|d| *d != Dialect::Posix)).count();
    let mut diagnostic = Diagnostic::warning(CODE, format!("{} does not mean the same to every program", entry.key));
    if libraries < 2 {
        diagnostic.level = Level::Note;
    }
    Some(diagnostic.at(Place::at(file, line, column)).why(parts.join("; ")).fix(fix(raw)))
}

fn names(dialects: &[Dialect]) -> String {
    match dialects {
        [] => String::new(),
        [one] => one.name().into(),
        [all @ .., last] => {
            let all: Vec<&str> = all.iter().map(|d| d.name()).collect();
            format!("{} and {}", all.join(", "), last.name())
        }
    }
}

/// What is read, as words that follow a program's name; works for one name and for several.
fn describe(read: &Read<'_>, entry: &Entry, raw: &str, show: bool, runs: bool) -> String {
    let text = match read {
        Read::Unset if runs => return "ran a part of it as a command and set nothing".into(),
        Read::Unset => return "set nothing".into(),
        Read::Computed(why) => return format!("took {why}"),
        Read::Text("") => return "read an empty value".into(),
        Read::Text(text) if show => return format!("read `{text}`"),
        Read::Text(text) => *text,
    };
    let plain = entry.value.as_deref().unwrap_or("");
    let mut traits = Vec::new();
    if raw.contains('#') || entry.comment.is_some() {
        traits.push(if text.contains('#') { "kept the text from # on" } else { "cut the value at #" });
    }
    if raw.starts_with(['\'', '"', '`']) && text.starts_with(&raw[..1]) {
        traits.push("kept the quote");
    }
    if raw.contains('$') {
        traits.push(if text.contains('$') { "kept the $" } else { "put in what $ stands for" });
    }
    if raw.contains('\\') {
        traits.push(if text.contains('\\') { "kept the backslash" } else { "undid the escape" });
    }
    if traits.is_empty() {
        traits.push(if text == plain { "read it as written" } else { "read something else" });
    }
    traits.join(", ")
}

fn fix(raw: &str) -> &'static str {
    if raw.contains('$') && !raw.starts_with('\'') {
        "put the value in single quotes if $ is meant literally, else write out what it stands for"
    } else if raw.contains('`') {
        "use single or double quotes; backticks run a command in a shell and are kept by Docker Compose and python-dotenv"
    } else if raw.contains('\\') {
        "avoid the backslash, or put the value in single quotes"
    } else if raw.contains(['<', '>', '&', '|', ';', '(', ')']) || !raw.contains('#') {
        "put the value in double quotes, with no white space around ="
    } else {
        "put the value in quotes, or the comment on a line of its own"
    }
}
