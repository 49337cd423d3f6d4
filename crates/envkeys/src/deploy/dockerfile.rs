//! Dockerfiles: `ENV` and `ARG`, and what shell forms and here-documents read (Dockerfile reference).

use std::collections::HashSet;

use super::interpolation::interpolated;
use super::{DeployedKey, Deployment, Source};
use crate::usage::{KeyRead, shell_reads};

pub(super) fn parse(text: &str) -> Deployment {
    let mut deployment = Deployment::default();
    let mut file = Instructions::new(text);
    while let Some(instruction) = file.next() {
        take(&instruction, file.escape, &mut deployment);
    }
    let set: HashSet<&str> =
        deployment.keys.iter().chain(&deployment.values).map(|k| k.name.as_str()).chain(GIVEN).collect();
    deployment.reads.retain(|r| !set.contains(r.key.as_str()) && !is_of_base_image(&r.key));
    deployment
}

/// Build arguments that the builder itself declares.
const GIVEN: [&str; 14] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "SOURCE_DATE_EPOCH",
];

/// Whether images that are widely built upon set a variable.
fn is_of_base_image(key: &str) -> bool {
    const PREFIXES: [&str; 8] = ["JAVA_", "GOLANG_", "RUSTUP_", "CARGO_", "PYTHON_", "NGINX_", "PHP", "BUNDLE_"];
    const NAMES: [&str; 8] =
        ["NODE_VERSION", "YARN_VERSION", "GPG_KEY", "PG_MAJOR", "PG_VERSION", "PGDATA", "RUST_VERSION", "GEM_HOME"];
    NAMES.contains(&key) || PREFIXES.iter().any(|p| key.starts_with(p))
}

/// One instruction with its continuations joined, as the builder does it.
struct Instruction {
    text: String,
    /// Offsets in `text` from which on it stands on the given line.
    lines: Vec<(usize, u32)>,
    /// Bodies of here-documents with the line that each starts on.
    documents: Vec<(String, u32)>,
}

impl Instruction {
    fn line(&self, offset: usize) -> u32 {
        self.lines.iter().rev().find(|(at, _)| *at <= offset).map_or(0, |(_, line)| *line)
    }
}

struct Instructions<'a> {
    lines: Vec<&'a str>,
    at: usize,
    escape: char,
}

impl<'a> Instructions<'a> {
    fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = text.split('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
        // Directives stand on the first lines; the first line that is none ends them.
        let directive = |line: &str| -> Option<(String, String)> {
            let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
                .then(|| (name, value.trim().to_owned()))
        };
        let mut directives = lines.iter().map_while(|l| directive(l));
        let escape = if directives.any(|(name, value)| name == "escape" && value == "`") { '`' } else { '\\' };
        Instructions { lines, at: 0, escape }
    }

    fn next(&mut self) -> Option<Instruction> {
        let mut instruction = Instruction { text: String::new(), lines: Vec::new(), documents: Vec::new() };
        while let Some(line) = self.lines.get(self.at) {
            let number = u32::try_from(self.at + 1).unwrap_or(u32::MAX);
            self.at += 1;
            // Comments and empty lines fall out, also within an instruction.
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            instruction.lines.push((instruction.text.len(), number));
            match line.trim_end_matches([' ', '\t']).strip_suffix(self.escape) {
                Some(start) => instruction.text.push_str(start),
                None => {
                    instruction.text.push_str(line);
                    break;
                }
            }
        }
        if instruction.lines.is_empty() {
            return None;
        }
        let word = first_word(&instruction.text);
        if ["RUN", "COPY", "ADD"].iter().any(|w| word.eq_ignore_ascii_case(w)) {
            for (delimiter, tabs) in here_documents(&instruction.text) {
                let start = self.at;
                let ends =
                    |line: &str| if tabs { line.trim_start_matches('\t') == delimiter } else { line == delimiter };
                let end = self.lines[start..].iter().position(|l| ends(l)).map_or(self.lines.len(), |i| start + i);
                let number = u32::try_from(start + 1).unwrap_or(u32::MAX);
                instruction.documents.push((self.lines[start..end].join("\n"), number));
                self.at = (end + 1).min(self.lines.len());
            }
        }
        Some(instruction)
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}

/// Delimiters of the here-documents that an instruction opens, and whether leading tabs fall out of their lines.
fn here_documents(text: &str) -> Vec<(String, bool)> {
    let open = |word: &str| {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (rest, tabs) = rest.strip_prefix('-').map_or((rest, false), |r| (r, true));
        let delimiter: String = rest.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
        let valid = !delimiter.is_empty() && !delimiter.contains(['<', '>', '|', ';', '&', '(', ')', '$']);
        valid.then_some((delimiter, tabs))
    };
    text.split_whitespace().filter_map(open).collect()
}

fn take(instruction: &Instruction, escape: char, deployment: &mut Deployment) {
    let text = &instruction.text;
    let mut word = first_word(text);
    let mut start = offset_in(text, word);
    if word.eq_ignore_ascii_case("ONBUILD") {
        let rest = &text[start + word.len()..];
        word = first_word(rest);
        start = offset_in(text, word);
    }
    let body = start + word.len();
    let upper = word.to_ascii_uppercase();
    match upper.as_str() {
        "ENV" | "ARG" => {
            let into = if upper == "ENV" { &mut deployment.keys } else { &mut deployment.values };
            for (offset, name, value) in assignments(&text[body..], escape) {
                let source = value.map_or(Source::Process { default: None }, |v| interpolated(&v));
                into.push(DeployedKey { name, source, line: instruction.line(body + offset), owner: upper.clone() });
            }
        }
        "RUN" | "CMD" | "ENTRYPOINT" | "HEALTHCHECK" => read_command(instruction, body, &upper, deployment),
        _ => {}
    }
}

/// Where a part of `text` starts in it.
fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(text.as_ptr().addr()).min(text.len())
}

/// What a command reads: the shell form, `["sh", "-c", …]`, and here-documents that are scripts.
fn read_command(instruction: &Instruction, body: usize, word: &str, deployment: &mut Deployment) {
    // Options of the instruction itself (`--mount=…`, `--interval=…`) are no shell.
    let mut command = instruction.text[body..].trim_start();
    if word == "HEALTHCHECK" {
        command = command.split_once("CMD").map_or("", |(_, c)| c).trim_start();
    }
    while command.starts_with("--") {
        command = command.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).trim_start();
    }
    let offset = offset_in(&instruction.text, command);
    if command.starts_with('[') {
        let words: Vec<String> = serde_json::from_str(command).unwrap_or_default();
        if let [shell, flag, script, ..] = words.as_slice()
            && is_shell(shell)
            && flag.starts_with('-')
            && flag.ends_with('c')
        {
            let line = instruction.line(offset);
            deployment.reads.extend(shell_reads(script).into_iter().map(|r| KeyRead { line, column: 0, ..r }));
        }
        return;
    }
    let script = !instruction.documents.is_empty() && {
        let first = first_word(command);
        first.starts_with("<<") || (is_shell(first) && command.split_whitespace().count() == 2)
    };
    if script {
        for (text, first_line) in &instruction.documents {
            if text.starts_with("#!") && !text.lines().next().is_some_and(|l| l.ends_with("sh")) {
                continue;
            }
            let placed = |r: KeyRead| KeyRead { line: first_line + r.line - 1, ..r };
            deployment.reads.extend(shell_reads(text).into_iter().map(placed));
        }
        return;
    }
    let mut text = command.to_owned();
    for ((delimiter, _), (body, _)) in here_documents(command).iter().zip(&instruction.documents) {
        text = format!("{text}\n{body}\n{delimiter}");
    }
    let first_document = instruction.documents.first().map_or(0, |(_, line)| *line);
    for read in shell_reads(&text) {
        // The command was joined into one line; its column says on which one of the file a name stands.
        let column = usize::try_from(read.column).unwrap_or(1).saturating_sub(1);
        let line = if read.line == 1 { instruction.line(offset + column) } else { first_document + read.line - 2 };
        deployment.reads.push(KeyRead { line, column: 0, ..read });
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next().unwrap_or(word), "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh")
}

type Assignment = (usize, String, Option<String>);

/// `K=V K2="V 2"`, the old form `K rest of the line`, or `K` alone; with offsets into `body`.
fn assignments(body: &str, escape: char) -> Vec<Assignment> {
    let first = first_word(body);
    if first.is_empty() {
        return Vec::new();
    }
    let start = offset_in(body, first);
    if !first.contains('=') {
        let rest = body[start + first.len()..].trim();
        let value = (!rest.is_empty()).then(|| {
            let words: Vec<String> = words(rest, escape).into_iter().map(|(_, w)| w).collect();
            words.join(" ")
        });
        return vec![(start, first.into(), value)];
    }
    words(body, escape)
        .into_iter()
        .map(|(offset, word)| match word.split_once('=') {
            Some((name, value)) => (offset, name.to_owned(), Some(value.to_owned())),
            None => (offset, word, None),
        })
        .collect()
}

/// Words with their quotes undone and their offsets. A `$` that is quoted or escaped becomes `$$`: it stands for itself.
fn words(text: &str, escape: char) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let mut word: Option<(usize, String)> = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let (_, out) = word.get_or_insert_with(|| (at, String::new()));
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            (c, q) if c == escape && q != Some('\'') => match chars.next() {
                Some((_, '$')) => out.push_str("$$"),
                // In double quotes the escape stays in front of what it does not escape.
                Some((_, next)) if q == Some('"') && next != '"' && next != escape => out.extend([c, next]),
                next => out.extend(next.map(|(_, c)| c)),
            },
            ('$', Some('\'')) => out.push_str("$$"),
            (c, _) => out.push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(found: &Deployment, name: &str) -> (String, u32) {
        let keys = found.keys.iter().chain(&found.values);
        let key = keys.into_iter().find(|k| k.name == name).unwrap_or_else(|| panic!("{name} in {found:?}"));
        (key.source.text().unwrap_or("").to_owned(), key.line)
    }

    fn reads(text: &str) -> Vec<(String, u32)> {
        parse(text).reads.into_iter().map(|r| (r.key, r.line)).collect()
    }

    fn at(key: &str, line: u32) -> (String, u32) {
        (key.to_owned(), line)
    }

    #[test]
    fn pairs_continue_over_lines_as_the_builder_joins_them() {
        let found = parse(
            "FROM x\nENV A=b \\\n  # note\n\n  C=\"d e\" F='$x' \\  \n  G=h\\ i\nenv OLD some  \"value\"\nONBUILD ENV O=1\nENV J=k\\\nl M=n\nARG V=1 W\nENV TWO X= Y=z\n",
        );
        for (name, value, line) in [
            ("A", "b", 2),
            ("C", "d e", 5),
            ("F", "$x", 5),
            ("G", "h i", 6),
            ("OLD", "some value", 7),
            ("O", "1", 8),
            ("J", "kl", 9),
            ("M", "n", 10),
            ("V", "1", 11),
            ("TWO", "X= Y=z", 12),
        ] {
            assert_eq!(literal(&found, name), (value.to_owned(), line), "{name}");
        }
        assert_eq!(
            found.values.iter().find(|k| k.name == "W").map(|k| &k.source),
            Some(&Source::Process { default: None })
        );
    }

    #[test]
    fn the_escape_directive_counts_at_the_top_only() {
        let windows = "# syntax=docker/dockerfile:1\n# escape=`\nFROM x\nENV A=C:\\dir `\n  B=2\n";
        assert_eq!(literal(&parse(windows), "A").0, "C:\\dir");
        assert_eq!(literal(&parse(windows), "B"), ("2".to_owned(), 5));
        let late = "FROM x\n# escape=`\nENV A=b \\\n  C=d\n";
        assert_eq!(literal(&parse(late), "C").0, "d");
        let comment = "# a comment\n# escape=`\nFROM x\nENV A=b \\\n  C=d\n";
        assert_eq!(literal(&parse(comment), "C").0, "d");
    }

    #[test]
    fn here_documents_are_scripts_and_hold_no_instructions() {
        let text = "FROM x\nARG GIVEN\nRUN <<EOF\nENV NOT=1\necho \"$A\" $GIVEN\nB=1; echo $B\nEOF\nENV C=1\nRUN cat <<'EOF' > f\n$NOT_READ\nEOF\nRUN bash <<-'EOS'\n\techo $D\n\tEOS\nRUN <<EOF\n#!/usr/bin/env python3\nprint('$NOT_SHELL')\nEOF\nRUN echo $E && \\\n  echo ${F:-x}\nCMD [\"sh\", \"-c\", \"run --port $G\"]\nENTRYPOINT exec app $H\nHEALTHCHECK --interval=5s CMD curl $I\nRUN --mount=type=cache,target=$NOT_HERE npm i\nCOPY <<EOF /etc/app\nENV K=1\nEOF\n";
        assert_eq!(
            reads(text),
            [at("A", 5), at("D", 13), at("E", 19), at("F", 20), at("G", 21), at("H", 22), at("I", 23)]
        );
        let found = parse(text);
        assert_eq!(found.keys.iter().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["C"]);
    }

    #[test]
    fn a_document_that_never_ends_ends_with_the_file() {
        assert!(parse("RUN <<EOF\nENV A=b\n").keys.is_empty());
        assert_eq!(parse("ENV").keys.len(), 0);
        assert_eq!(parse("ENV A=b \\").keys.len(), 1);
        assert_eq!(parse("").keys.len(), 0);
    }
}
