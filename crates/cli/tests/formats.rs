//! Reports of all formats on file names that try to break out of them, and outputs that do not take what is written.

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use common::run;
use custody_testkit::{Fake, Repository};

const FORMATS: [&str; 6] = ["table", "json", "sarif", "junit", "github", "markdown"];

/// Names that mean something to a terminal, a CI log, XML, Markdown, a shell or a command line.
const NAMES: [&str; 18] = [
    "new\nline\n::error::injected\n",
    "return\r::error::injected",
    "escape\u{1b}[31m\u{1b}]8;;http:x\u{7}",
    "c1\u{9b}31m\u{85}",
    "pipe|`code`|<b>x<b>",
    "]]>&<x>\"'",
    "control\u{1}\u{2}\u{b}\u{1f}\u{7f}",
    "\u{202e}right to left\u{2066}",
    "separators\u{2028}\u{2029}",
    "no characters\u{fffe}\u{ffff}",
    "%0A::error::x%25",
    "comma,file=x::y,line=1",
    "[link](javascript:alert(1))",
    "![image](http:x.png)",
    "--help",
    "@mention #1",
    "{{x}} $(id) `id`",
    "<details><summary>",
];

fn hostile() -> (Repository, Vec<String>) {
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n");
    let mut tokens = Vec::new();
    let mut leak = |seed: u64| {
        let token = Fake::new(seed).gitlab_token();
        let line = format!("A_TOKEN={token}\n");
        tokens.push(token);
        line
    };
    for (seed, name) in (0u64..).zip(NAMES) {
        repository.write(name, leak(600 + seed));
        repository.write(&format!("in {name}/.env.example"), leak(700 + seed));
        repository.write(&format!("logs/{name}.log"), format!("cred://aws/x/readonly\nlease_id: {seed}abcdefgh\n"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"bytes\xff\xfe\x1b[31m");
        std::fs::write(repository.root().join(name), leak(800)).expect("a file");
    }
    repository.commit("message\n::error::injected \u{1b}[31m");
    (repository, tokens)
}

/// Characters that no report may hold as they are.
fn is_raw(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

#[test]
fn every_format_stays_well_formed_and_safe_on_hostile_names() {
    let (repository, tokens) = hostile();
    for command in [&["check", "--no-incident", "--base", "none"][..], &["scan"], &["scan", "--history"]] {
        for format in FORMATS {
            let run = run(&repository, &[command, &["--format", format]].concat());
            run.expect_status(1);
            let output = run.stdout.as_str();
            assert!(!output.contains('\u{fffd}'), "{command:?} {format} is not UTF-8");
            let raw = output.chars().chain(run.stderr.chars()).find(|c| is_raw(*c));
            assert_eq!(raw, None, "{command:?} {format}");
            for token in &tokens {
                assert!(!output.contains(&token[6..]), "{command:?} {format} shows a secret");
            }
            match format {
                "json" => drop(run.json()),
                "sarif" => assert_eq!(run.json()["version"], "2.1.0"),
                "junit" => drop(roxmltree::Document::parse(output).expect("well-formed XML")),
                "github" => assert!(
                    output
                        .lines()
                        .all(|l| l.starts_with("::error ") || l.starts_with("::warning ") || l.starts_with("::notice")),
                    "{output}"
                ),
                _ => assert!(!output.lines().any(|l| l.trim_start().starts_with("::")), "{output}"),
            }
        }
    }
}

#[test]
fn other_commands_are_safe_on_hostile_names_too() {
    let (repository, _) = hostile();
    for arguments in [
        &["init", "--print"][..],
        &["env", "check"],
        &["env", "doc"],
        &["env", "example"],
        &["baseline", "add", "--reason", "a test"],
        &["contract", "check"],
        &["incident", "list"],
        &["billing", "validate", "."],
    ] {
        let run = run(&repository, arguments);
        assert!(run.status < 4, "{arguments:?}: {}", run.stderr);
        let raw = run.stdout.chars().chain(run.stderr.chars()).find(|c| is_raw(*c));
        assert_eq!(raw, None, "{arguments:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_with_the_path() {
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n");
    std::fs::create_dir(repository.path("directory")).expect("a directory");
    for path in ["directory", "nowhere/report.json", "custody.toml/report.json"] {
        let run = run(&repository, &["scan", "--format", "json", "-o", path]);
        run.expect_status(2);
        assert!(run.stderr.contains(path), "{}", run.stderr);
    }
    let run = run(&repository, &["scan", "--format", "json", "-o", "report.json"]);
    run.expect_status(0);
    let report = std::fs::read_to_string(repository.path("report.json")).expect("written");
    assert!(serde_json::from_str::<serde_json::Value>(&report).is_ok());
}

/// Runs the binary with a shell's redirection; gives its exit status and what it said.
#[cfg(target_os = "linux")]
fn redirected(repository: &Repository, arguments: &str, redirection: &str) -> (i32, String) {
    let script = format!("set -o pipefail\n'{}' {arguments} {redirection}", env!("CARGO_BIN_EXE_custody"));
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(repository.root())
        .output()
        .expect("bash runs");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_goes_away_is_no_fault_and_a_full_disk_is() {
    let (repository, _) = hostile();
    for format in FORMATS {
        let scan = format!("scan --format {format}");
        assert_eq!(redirected(&repository, &scan, "| head -n 1 >/dev/null"), (1, String::new()), "{format}");
        assert_eq!(redirected(&repository, &scan, ">&-").0, 1, "{format}");
        let (status, said) = redirected(&repository, &scan, ">/dev/full");
        assert_eq!((status, said.contains("No space left")), (3, true), "{format}: {said}");
    }
    for command in ["contract schema", "init --print", "rules list", "explain", "explain ROT-1", "env doc"] {
        assert_eq!(redirected(&repository, command, "| head -n 1 >/dev/null"), (0, String::new()), "{command}");
        assert_eq!(redirected(&repository, command, ">/dev/full").0, 2, "{command}");
    }
}
