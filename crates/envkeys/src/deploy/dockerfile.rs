//! Dockerfiles: `ENV` and `ARG` (Dockerfile reference).

use super::{DeployedKey, Deployment, Source, interpolated};

pub(super) fn parse(text: &str) -> Deployment {
    let mut deployment = Deployment::default();
    let escape =
        if text.lines().take(4).any(|l| l.replace(' ', "").eq_ignore_ascii_case("#escape=`")) { '`' } else { '\\' };
    let mut lines = text.lines().zip(1u32..);
    while let Some((first, number)) = lines.next() {
        let trimmed = first.trim_start();
        let word = trimmed.split(char::is_whitespace).next().unwrap_or("");
        let into = if word.eq_ignore_ascii_case("ENV") {
            &mut deployment.keys
        } else if word.eq_ignore_ascii_case("ARG") {
            &mut deployment.values
        } else {
            continue;
        };
        let mut instruction = trimmed[word.len()..].to_owned();
        // A line that ends in the escape character goes on; comments in between fall out.
        while let Some(start) = instruction.trim_end().strip_suffix(escape) {
            let kept = start.to_owned();
            let Some((next, _)) = lines.find(|(l, _)| !l.trim_start().starts_with('#')) else { break };
            instruction = kept + " " + next;
        }
        for (name, value) in assignments(&instruction, escape) {
            let source = value.map_or(Source::Process { default: None }, |v| interpolated(&v));
            into.push(DeployedKey { name, source, line: number, owner: word.to_ascii_uppercase() });
        }
    }
    deployment
}

/// `K=V K2="V 2"`, the old form `K rest of the line`, or `K` alone.
fn assignments(instruction: &str, escape: char) -> Vec<(String, Option<String>)> {
    let instruction = instruction.trim();
    let first = instruction.split(char::is_whitespace).next().unwrap_or("");
    if !first.contains('=') {
        let rest = instruction[first.len()..].trim();
        return match (first, rest) {
            ("", _) => Vec::new(),
            (name, "") => vec![(name.into(), None)],
            (name, value) => vec![(name.into(), Some(value.into()))],
        };
    }
    words(instruction, escape)
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        })
        .collect()
}

fn words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (c @ ('\'' | '"'), None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            (c, q) if c == escape && q != Some('\'') => word.extend(chars.next()),
            (c, _) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
