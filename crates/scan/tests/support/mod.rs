//! Real repositories and directories for tests, made with git in a temporary directory.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use custody_contract::{Coverage, SkipReason, Surface};
use custody_scan::engine::Engine;
use custody_scan::source::{ScanOptions, ScanOutcome, Source};
use tempfile::TempDir;

/// A fake token that the engine of [`engine`] finds; different for each number.
pub fn token(number: u32) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let body: String = (0..36)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(LETTERS[usize::try_from(state >> 33).expect("31 bits") % LETTERS.len()])
        })
        .collect();
    format!("{}{}{body}", "custest", "_")
}

/// An engine with one rule, for [`token`].
pub fn engine() -> Engine {
    Engine::new(custody_scan::rules::RuleSet::from_toml(RULE, "test.toml").expect("the test's rule is sound"))
}

const RULE: &str = r#"
provider = "test"
name = "Test"

[[rule]]
id = "test-token"
name = "Test token"
severity = "high"
why = "It opens nothing."
pattern = '(?P<secret>custest_[A-Za-z0-9]{36})'
keywords = ["custest_"]
prefix = "custest_"
confidence = 90
references = ["https://example.org/"]
remedy = "None is needed."
examples = []
negatives = []
"#;

/// A directory that is removed at the end, with git in it as a user without any settings of their own would have it.
pub struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let sandbox = Sandbox { directory: tempfile::tempdir().expect("a temporary directory") };
        fs::create_dir(sandbox.at("home")).expect("created");
        sandbox
    }

    /// A path below the directory.
    pub fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Writes a file in the repository `repo`.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at("repo").join(path);
        fs::create_dir_all(path.parent().expect("below the directory")).expect("created");
        fs::write(path, content).expect("written");
    }

    /// A repository `repo` with one harmless commit.
    pub fn repository(options: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let repo = sandbox.at("repo");
        let repo = repo.to_str().expect("UTF-8");
        let mut arguments = vec!["-c", "init.defaultBranch=main", "init", "-q"];
        arguments.extend_from_slice(options);
        arguments.push(repo);
        sandbox.git_in(sandbox.directory.path(), &arguments);
        sandbox.write("README.md", "harmless\n");
        sandbox.commit("first");
        sandbox
    }

    /// Commits everything in the working tree.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A", "-f"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the repository `repo` and gives its output.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.at("repo"), arguments)
    }

    /// Runs git in a directory.
    pub fn git_in(&self, directory: &Path, arguments: &[&str]) -> String {
        let output = self.command(directory, arguments).output().expect("git runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Git with an environment of its own.
    pub fn command(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.current_dir(directory).args(arguments);
        for name in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.at("home"))
            .env("XDG_CONFIG_HOME", self.at("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_COUNT", "3")
            .env("GIT_CONFIG_KEY_0", "protocol.file.allow")
            .env("GIT_CONFIG_VALUE_0", "always")
            .env("GIT_CONFIG_KEY_1", "uploadpack.allowFilter")
            .env("GIT_CONFIG_VALUE_1", "true")
            .env("GIT_CONFIG_KEY_2", "gc.auto")
            .env("GIT_CONFIG_VALUE_2", "0");
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Tester")
                .env(format!("GIT_{role}_EMAIL"), "tester@example.org")
                .env(format!("GIT_{role}_DATE"), "2024-01-01T00:00:00Z");
        }
        command
    }
}

/// Scans with two threads and checks the account's sums.
pub fn scan(source: &dyn Source) -> ScanOutcome {
    let outcome = source.scan(&engine(), &ScanOptions { threads: 2, progress: None }).expect("the source opens");
    for account in &outcome.coverage {
        assert_eq!(account.expected, account.read + account.skipped_total, "{account:?}");
    }
    outcome
}

/// Where a token was found, each place as `path` or `path@commit`.
pub fn places(outcome: &ScanOutcome, token: &str) -> Vec<String> {
    let fingerprint = custody_contract::Fingerprint::of(token.as_bytes());
    let found = outcome.findings.iter().find(|finding| finding.fingerprint == fingerprint);
    found.map_or_else(Vec::new, |finding| {
        finding
            .occurrences
            .iter()
            .map(|occurrence| match &occurrence.commit {
                Some(commit) => format!("{}@{commit}", occurrence.path),
                None => occurrence.path.clone(),
            })
            .collect()
    })
}

/// The account of a surface.
pub fn account(outcome: &ScanOutcome, surface: Surface) -> &Coverage {
    outcome.coverage.iter().find(|account| account.surface == surface).expect("an account of the surface")
}

/// Why an item was skipped.
pub fn reason<'a>(account: &'a Coverage, what: &str) -> Option<&'a SkipReason> {
    account.skipped.iter().find(|skipped| skipped.what == what).map(|skipped| &skipped.reason)
}
