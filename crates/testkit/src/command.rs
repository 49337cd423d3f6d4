//! Running the binary as a user would.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What one run of a command gave.
#[derive(Debug, Clone)]
pub struct Run {
    /// Exit status; -1 where a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Fails the test unless the exit status is `status`; shows both outputs.
    ///
    /// # Panics
    ///
    /// If the status differs.
    #[track_caller]
    pub fn expect_status(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Runs `binary` in `directory` with a bare environment plus `variables`, and `stdin` as its input.
///
/// # Panics
///
/// If the binary cannot be started.
pub fn custody(binary: &Path, directory: &Path, arguments: &[&str], variables: &[(&str, &str)], stdin: &[u8]) -> Run {
    let mut child = Command::new(binary)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", directory)
        .env("CUSTODY_CACHE_DIR", "")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("piped");
    let content = stdin.to_vec();
    // A child that does not read its input closes the pipe; that is its right.
    let writer = std::thread::spawn(move || drop(input.write_all(&content)));
    let output = child.wait_with_output().expect("the binary ends");
    writer.join().expect("the writer ends");
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
