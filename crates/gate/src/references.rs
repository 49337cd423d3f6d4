//! Credential references that files name: for ROT-1 in code, for `custody init` anywhere.

use std::sync::LazyLock;

use custody_contract::{Contract, CredentialRef, FileTree, Place, SecretRecogniser};
use custody_envkeys::usage;
use regex::bytes::Regex;

/// Larger files are generated or bundled, and not looked into.
pub(crate) const MAX_BYTES: usize = usage::MAX_CODE_BYTES;

static REFERENCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\bcred://[A-Za-z0-9._/-]+").expect("the pattern is constant"));

/// The valid references that code of the tree names, with their places: not those of tests, examples, comments, and of
/// what the contract names as fixtures, logs or evidence or leaves out.
pub(crate) fn in_code(
    tree: &dyn FileTree,
    contract: &Contract,
    recogniser: &dyn SecretRecogniser,
) -> Vec<(CredentialRef, Place)> {
    let code = |path: &&String| {
        is_code(path) && !is_aside(path) && contract.surface_of(path).is_none() && contract.exclusion(path).is_none()
    };
    let mut found = Vec::new();
    for path in tree.paths().iter().filter(code) {
        let Some(content) = tree.read(path).ok().filter(|c| c.len() <= MAX_BYTES) else { continue };
        let hits = named_in(&content, recogniser).into_iter();
        found.extend(hits.map(|(reference, offset)| (reference, place(path, &content, offset))));
    }
    found
}

/// The valid references in a file's content, each with its offset; comments and a Rust file's tests are passed over.
pub(crate) fn named_in(content: &[u8], recogniser: &dyn SecretRecogniser) -> Vec<(CredentialRef, usize)> {
    let end = tests_of_rust(content).unwrap_or(content.len());
    REFERENCE
        .find_iter(&content[..end])
        .filter(|hit| !is_comment(&content[line_start(content, hit.start())..hit.start()]))
        .filter_map(|hit| {
            let text = String::from_utf8_lossy(hit.as_bytes());
            let text = text.trim_end_matches(['.', '/', '-']);
            let reference = CredentialRef::parse_with(text, recogniser).ok()?;
            // The grammar's own words, in a message or a help text.
            (reference.provider() != "provider").then_some((reference, hit.start()))
        })
        .collect()
}

/// Whether a path's references are told, not used: tests, examples, documentation.
pub(crate) fn is_aside(path: &str) -> bool {
    const DIRECTORIES: [&str; 13] = [
        "test",
        "tests",
        "__tests__",
        "__mocks__",
        "mocks",
        "spec",
        "specs",
        "e2e",
        "testing",
        "example",
        "examples",
        "docs",
        "doc",
    ];
    let lower = path.to_ascii_lowercase();
    let mut parts = lower.split('/');
    let name = parts.next_back().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let of_test = [".test", ".spec", "_test", "_spec", "-test", "-spec"].iter().any(|end| stem.ends_with(end));
    let prose = [".md", ".mdx", ".rst", ".adoc", ".txt"].iter().any(|end| name.ends_with(end));
    of_test
        || prose
        || stem.starts_with("test_")
        || ["tests", "test", "conftest"].contains(&stem)
        || parts.any(|part| DIRECTORIES.contains(&part))
        || usage::skip(path)
}

fn is_code(path: &str) -> bool {
    const OTHER: [&str; 14] =
        ["java", "kt", "kts", "scala", "groovy", "cs", "fs", "rb", "php", "swift", "tf", "hcl", "ps1", "ex"];
    usage::is_source(path).is_some() || path.rsplit_once('.').is_some_and(|(_, end)| OTHER.contains(&end))
}

/// What stands on the line before a reference opens a comment.
fn is_comment(before: &[u8]) -> bool {
    let before = before.trim_ascii_start();
    let opens = [b"//".as_slice(), b"#", b"*", b"/*", b"--", b"<!--", b";"].iter().any(|mark| before.starts_with(mark));
    // A comment behind code: a mark with space around it, and not in a URL.
    opens || [b" // ".as_slice(), b" # "].iter().any(|mark| before.windows(mark.len()).any(|w| w == *mark))
}

/// Where the tests at the end of a Rust file start.
fn tests_of_rust(content: &[u8]) -> Option<usize> {
    static TESTS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\(crate\))? )?mod \w+ \{").expect("constant")
    });
    TESTS.find(content).map(|found| found.start())
}

fn line_start(content: &[u8], offset: usize) -> usize {
    content[..offset].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)
}

fn place(path: &str, content: &[u8], offset: usize) -> Place {
    let start = line_start(content, offset);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = content[..start].iter().filter(|b| **b == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&content[start..offset]).chars().count() + 1;
    Place::at(path, number(line), number(column))
}

#[cfg(test)]
mod tests {
    use custody_contract::MemoryTree;
    use custody_scan::engine::Engine;

    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let tree = MemoryTree::new(files.iter().copied());
        let hits = in_code(&tree, &Contract::builtin(), &Engine::builtin());
        hits.iter().map(|(reference, place)| format!("{place} {reference}")).collect()
    }

    #[test]
    fn code_is_searched_and_named_by_place() {
        let text = "// cred://aws/told/readonly\nconst é = 1, a = 'cred://aws/prod/readonly/'; b(\"CRED://gcp/all/readonly.\")\n";
        assert_eq!(
            found(&[("src/a.ts", text)]),
            ["src/a.ts:2:19 cred://aws/prod/readonly", "src/a.ts:2:50 cred://gcp/all/readonly"]
        );
    }

    #[test]
    fn tests_examples_fixtures_prose_and_comments_name_what_nobody_resolves() {
        let line = "a = 'cred://aws/prod/readonly'\n";
        for path in [
            "tests/a.py",
            "src/a.test.ts",
            "src/a_test.go",
            "pkg/test_a.py",
            "examples/a.sh",
            "docs/a.py",
            "a.md",
            "x/fixtures/a.js",
            "node_modules/a/b.js",
            "logs/a.sh",
            "config.json",
        ] {
            assert_eq!(found(&[(path, line)]), Vec::<String>::new(), "{path}");
        }
        for comment in ["# ", "  // ", " * ", "x = 1 # ", "-- "] {
            assert_eq!(found(&[("src/a.py", &format!("{comment}{line}"))]), Vec::<String>::new(), "{comment}");
        }
        let rust = format!("fn main() {{}}\n\n#[cfg(test)]\nmod tests {{\n    {line}}}\n");
        assert_eq!(found(&[("src/a.rs", &rust)]), Vec::<String>::new());
    }

    #[test]
    fn garbage_is_no_trouble() {
        let mut bytes = b"cred://aws/x/y\xff cred:// cred://a \xe2\x82".to_vec();
        bytes.extend((0..=255u8).cycle().take(20_000));
        let tree = MemoryTree::new([("src/a.ts", bytes)]);
        assert_eq!(in_code(&tree, &Contract::builtin(), &Engine::builtin()).len(), 1);
    }
}
