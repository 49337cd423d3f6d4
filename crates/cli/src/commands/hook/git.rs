//! What git itself is asked: where hooks belong, and its global settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use custody_contract::{Diagnostic, Place};

use crate::env_vars;
use crate::failure::Failure;

const HOOKS_PATH: &str = "core.hooksPath";

/// Where the hooks of the repository at `path` lie: git's own answer, which knows core.hooksPath, linked working trees and
/// bare repositories.
pub fn hooks_directory(path: &Path) -> Result<PathBuf, Failure> {
    let shown = path.display().to_string();
    let directory = path.canonicalize().map_err(|error| Failure::unreadable(&shown, &error))?;
    let answer = ask(&directory, &["rev-parse", "--git-path", "hooks"])?;
    let answer = answer.ok_or_else(|| {
        let diagnostic = Diagnostic::error("usage", "hooks belong to a git repository").at(Place::file(shown));
        Failure::usage(diagnostic.why("git finds none here").fix("name a repository, or give --global"))
    })?;
    Ok(directory.join(answer))
}

/// Whether the repository at `path` is bare.
pub fn is_bare(path: &Path) -> Result<bool, Failure> {
    Ok(ask(path, &["rev-parse", "--is-bare-repository"])?.is_some_and(|answer| answer == "true"))
}

/// Where git looks for the hooks of all of the user's repositories, if it does.
pub fn global_hooks() -> Result<Option<PathBuf>, Failure> {
    Ok(ask(Path::new("."), &["config", "--global", "--path", "--get", HOOKS_PATH])?.map(PathBuf::from))
}

/// Where custody keeps hooks for all repositories, if git looks nowhere yet.
pub fn own_global_hooks() -> Result<PathBuf, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let settings = variable(env_vars::XDG_CONFIG_HOME)
        .filter(|path| path.is_absolute())
        .or_else(|| variable(env_vars::HOME).map(|home| home.join(".config")));
    let settings = settings.ok_or_else(|| {
        let diagnostic = Diagnostic::error("usage", "cannot tell where hooks for all repositories belong");
        Failure::usage(diagnostic.why("neither XDG_CONFIG_HOME nor HOME is set").fix("set one of them"))
    })?;
    Ok(settings.join("custody").join("hooks"))
}

/// Makes git look for all hooks in `directory`, or, without one, where it looked before.
pub fn set_global_hooks(directory: Option<&Path>) -> Result<(), Failure> {
    let mut arguments: Vec<OsString> = ["config", "--global"].map(OsString::from).to_vec();
    match directory {
        Some(directory) => arguments.extend([HOOKS_PATH.into(), directory.into()]),
        None => arguments.extend(["--unset".into(), HOOKS_PATH.into()]),
    }
    let output = Command::new("git").args(&arguments).output().map_err(|error| no_git(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let diagnostic = Diagnostic::error("unwritable", "git could not change its global settings");
    Err(Failure::usage(diagnostic.why(said(&output.stderr)).fix("see `git config --global --list`")))
}

/// Git's answer without its last newline; `None` if it has none.
fn ask(directory: &Path, arguments: &[&str]) -> Result<Option<OsString>, Failure> {
    let output = Command::new("git").args(arguments).current_dir(directory).output().map_err(|error| no_git(&error))?;
    if !output.status.success() {
        let said = said(&output.stderr);
        // Git refuses repositories of other users; that is not the same as none.
        if said.contains("ownership") {
            let diagnostic = Diagnostic::error("usage", "git does not trust this repository");
            return Err(Failure::usage(diagnostic.why(said).fix("see `git help config` on safe.directory")));
        }
        return Ok(None);
    }
    let mut answer = output.stdout;
    if answer.last() == Some(&b'\n') {
        answer.pop();
    }
    Ok(Some(os_string(answer)))
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn said(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().chars().take(500).collect()
}

fn no_git(error: &std::io::Error) -> Failure {
    let diagnostic = Diagnostic::error("usage", "cannot run git").why(error.to_string());
    Failure::usage(diagnostic.fix("install git, or put it on the PATH"))
}
