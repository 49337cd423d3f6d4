//! Repositories in temporary directories, made with the real `git`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A repository in a temporary directory, isolated from the machine's git configuration.
pub struct Repository {
    directory: TempDir,
}

impl Repository {
    /// An empty repository with branch `main`.
    ///
    /// # Panics
    ///
    /// If `git` is not there or fails: a missing tool is a failed test, never a skipped one.
    pub fn new() -> Self {
        let repository = Self::without_git();
        repository.git(["-c", "init.defaultBranch=main", "init", "--quiet"]);
        repository
    }

    /// A directory without version control.
    ///
    /// # Panics
    ///
    /// If the system gives no temporary directory.
    pub fn without_git() -> Self {
        Repository {
            directory: tempfile::Builder::new().prefix("custody-test-").tempdir().expect("a temporary directory"),
        }
    }

    /// Its root.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A path below its root.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// Writes a file, with its directories.
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("directories");
        std::fs::write(path, content).expect("file");
        self
    }

    /// Runs `git` in it and returns what it printed.
    ///
    /// # Panics
    ///
    /// If git fails.
    pub fn git<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root())
            .env("CUSTODY_CACHE_DIR", "")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "Dev"), ("GIT_AUTHOR_EMAIL", "dev@example.com")])
            .envs([("GIT_COMMITTER_NAME", "Dev"), ("GIT_COMMITTER_EMAIL", "dev@example.com")])
            .output()
            .expect("git runs");
        assert!(output.status.success(), "git failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Commits everything and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(["add", "--all"]);
        self.git(["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(["rev-parse", "HEAD"])
    }
}

impl Default for Repository {
    fn default() -> Self {
        Self::new()
    }
}
