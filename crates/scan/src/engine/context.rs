//! What stands around a candidate: its line, the name it is assigned to, the kind of file.

use memchr::{memchr, memrchr};

use super::confidence::LINE;

/// Longest name that is looked at.
const NAME: usize = 64;

/// What kind of file a path names, as far as it matters to confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Settings: values stand there without quotes.
    Settings,
    /// Program text: what stands there without quotes is a name or an expression.
    Source,
    /// Prose.
    Prose,
    /// Written by a package manager: full of digests.
    Lock,
    /// Made by a tool: minified, source maps, drawings.
    Generated,
    /// Anything else.
    Other,
}

/// The kind of file that `path` names.
pub(super) fn file_kind(path: &str) -> FileKind {
    let name = path.rsplit('/').next().unwrap_or(path);
    let lower = name.to_ascii_lowercase();
    let extension = lower.rsplit_once('.').map_or("", |(_, e)| e);
    if is_lock_file(&lower) || extension == "lock" {
        return FileKind::Lock;
    }
    if [".min.js", ".min.css", ".bundle.js", ".map", ".svg", ".pb.go", ".snap"].iter().any(|e| lower.ends_with(e)) {
        return FileKind::Generated;
    }
    if lower.starts_with(".env") || lower.ends_with(".env") || lower.starts_with("dockerfile") {
        return FileKind::Settings;
    }
    match extension {
        "env" | "ini" | "cfg" | "conf" | "config" | "cnf" | "properties" | "yaml" | "yml" | "toml" | "json"
        | "tfvars" | "xml" | "plist" | "netrc" | "npmrc" | "pypirc" | "envrc" | "credentials" | "settings" | "sh"
        | "bash" | "zsh" | "bat" | "ps1" | "sql" | "log" | "j2" | "tpl" => FileKind::Settings,
        "rs" | "go" | "py" | "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "java" | "kt" | "kts" | "scala" | "c"
        | "h" | "cc" | "cpp" | "hpp" | "cs" | "rb" | "php" | "swift" | "m" | "dart" | "ex" | "exs" | "erl" | "clj"
        | "lua" | "pl" | "pm" | "r" | "vue" | "svelte" | "groovy" | "gradle" | "tf" | "hcl" | "cue" | "html"
        | "htm" | "css" | "scss" | "proto" | "graphql" | "zig" | "nix" | "hs" | "ml" | "fs" | "vb" | "pas" | "jl" => {
            FileKind::Source
        }
        "md" | "markdown" | "rst" | "txt" | "adoc" | "asciidoc" | "tex" | "mdx" | "1" | "3" | "5" | "8" | "po"
        | "pot" => FileKind::Prose,
        _ => FileKind::Other,
    }
}

fn is_lock_file(name: &str) -> bool {
    matches!(
        name,
        "package-lock.json"
            | "npm-shrinkwrap.json"
            | "pnpm-lock.yaml"
            | "go.sum"
            | "packages.lock.json"
            | "cargo.lock"
            | "pipfile.lock"
            | "gradle.lockfile"
            | ".terraform.lock.hcl"
    )
}

/// Whether a part of the path says that it holds tests, examples or documentation.
pub(super) fn is_for_tests(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| {
        part.split(['.', '_', '-']).any(|word| {
            matches!(
                word.to_ascii_lowercase().as_str(),
                "test"
                    | "tests"
                    | "testing"
                    | "testdata"
                    | "spec"
                    | "specs"
                    | "fixture"
                    | "fixtures"
                    | "mock"
                    | "mocks"
                    | "example"
                    | "examples"
                    | "sample"
                    | "samples"
                    | "demo"
                    | "demos"
                    | "docs"
                    | "doc"
                    | "tutorial"
                    | "tutorials"
                    | "snapshots"
                    | "e2e"
                    | "cassettes"
            )
        })
    })
}

/// Whether the text holds the needle. Both are short: nothing is prepared for the search.
pub(super) fn holds(text: &[u8], needle: &[u8]) -> bool {
    let Some((&first, rest)) = needle.split_first() else { return true };
    text.iter().enumerate().any(|(at, &byte)| byte == first && text[at + 1..].starts_with(rest))
}

/// The line that holds `at`, as far as the context reaches.
pub(super) fn line(bytes: &[u8], at: usize) -> &[u8] {
    let from = at.saturating_sub(LINE);
    let to = bytes.len().min(at + LINE);
    let start = memrchr(b'\n', &bytes[from..at]).map_or(from, |p| from + p + 1);
    let end = memchr(b'\n', &bytes[at..to]).map_or(to, |p| at + p);
    &bytes[start..end]
}

/// The whole name that `inside` lies in.
pub(super) fn name(bytes: &[u8], inside: usize) -> &[u8] {
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$');
    let from = inside.saturating_sub(NAME);
    let before = bytes[from..inside].iter().rev().take_while(|b| is_name(b)).count();
    let after = bytes[inside..].iter().take(NAME).take_while(|b| is_name(b)).count();
    &bytes[inside - before..inside + after]
}

/// The lower-case words of a name: `dbPassword_v2` is `db`, `password`, `v2`.
pub(super) fn words(name: &[u8]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = b' ';
    for (at, &byte) in name.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            previous = b' ';
            continue;
        }
        let next_lower = name.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let starts = !previous.is_ascii_alphanumeric()
            || (byte.is_ascii_uppercase()
                && (previous.is_ascii_lowercase()
                    || previous.is_ascii_digit()
                    || (previous.is_ascii_uppercase() && next_lower)));
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(byte.to_ascii_lowercase().into());
        }
        previous = byte;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_into_words() {
        assert_eq!(words(b"dbPassword_v2"), ["db", "password", "v2"]);
        assert_eq!(words(b"AWSSecretKey"), ["aws", "secret", "key"]);
        assert_eq!(words(b"spring.datasource.password"), ["spring", "datasource", "password"]);
    }

    #[test]
    fn files_are_told_apart_by_name() {
        assert_eq!(file_kind("a/.env.local"), FileKind::Settings);
        assert_eq!(file_kind("src/main.rs"), FileKind::Source);
        assert_eq!(file_kind("Cargo.lock"), FileKind::Lock);
        assert!(is_for_tests("pkg/foo_test.go"));
        assert!(!is_for_tests("src/contest.rs"));
    }
}
