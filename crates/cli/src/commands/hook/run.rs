//! What an installed hook runs. It blocks what cannot be judged: a hook that fails open is none.
//!
//! The change is not believed about itself: contract, rules, baseline, waivers and allowances come from what was there
//! before it, as they do for `custody check --base`.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use custody_contract::{Decision, Diagnostic, FindingStatus, Place, ReportKind};
use custody_scan::source::{
    BaseTree, IndexExtent, IndexSource, RangeSource, RefsOf, ScanOptions, ScanOutcome, Source, SourceError, TagRefs,
    escape,
};

use super::updates::{Update, parse};
use crate::arguments::{ColourChoice, HookKind, HookRun, OutputArguments};
use crate::commands::scan::failure;
use crate::context::{InForce, elapsed_ms, empty_report, tool};
use crate::failure::Failure;
use crate::files::read_stdin;
use crate::scope::{Scope, Trust, decide};
use crate::{env_vars, exit, output};

/// Longest input that git may give, in bytes: half a million refs.
const MAX_INPUT: u64 = 64 << 20;

pub fn run(arguments: &HookRun, colour: ColourChoice) -> Result<ExitCode, Failure> {
    let started = jiff::Timestamp::now();
    let kind = arguments.kind;
    let input = input(kind)?;
    if let Some(before) = &arguments.before
        && let Some(code) = run_before(before, &arguments.arguments, input.as_deref())?
    {
        return Ok(code);
    }
    let change = Change::read(arguments, input.as_deref().unwrap_or_default())?;
    if change.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let scope = Scope::open(&change.root, None, change.trust()?)?;
    if kind == HookKind::Commit {
        usable(&change.root)?;
    }
    let outcome = change.search(&scope).map_err(|error| failure(&error))?;
    let mut report = empty_report(ReportKind::Scan, Path::new(kind.name()), started);
    report.tool = tool(Some(&scope.engine));
    report.block_at = scope.in_force.contract.block_at;
    report.contract = Some(scope.in_force.origin.clone()).filter(|origin| origin.file.is_some());
    let is_incomplete = outcome.is_incomplete();
    (report.findings, report.coverage) = (outcome.findings, outcome.coverage);
    let baseline = scope.baseline()?;
    scope.judge(&mut report.findings, &baseline.baseline);
    report.decision = decide(&report, is_incomplete);
    report.diagnostics.extend(baseline.problem);
    if report.decision == Decision::Blocked {
        report.diagnostics.extend(scope.note());
    }
    report.duration_ms = elapsed_ms(started);
    let is_silent = report.decision == Decision::MayRelease
        && report.diagnostics.is_empty()
        && report.findings.iter().all(|finding| finding.status != FindingStatus::Open);
    if is_silent {
        return Ok(ExitCode::SUCCESS);
    }
    let code = output::emit(&report, &table(), colour, Some(&change.root))?;
    if report.decision != Decision::MayRelease {
        refuse(kind, report.decision);
    }
    Ok(code)
}

/// What git gives the hook on its standard input; `None` where it gives nothing.
fn input(kind: HookKind) -> Result<Option<Vec<u8>>, Failure> {
    if kind == HookKind::Commit {
        return Ok(None);
    }
    if std::io::stdin().is_terminal() {
        let diagnostic = Diagnostic::error("usage", format!("{} reads from git what is pushed", kind.name()));
        return Err(Failure::usage(
            diagnostic.fix("run it as a hook of git, or search a range: custody scan --range A..B"),
        ));
    }
    read_stdin(MAX_INPUT).map(Some)
}

/// Runs the hook that was there before; its status if that ends the matter.
fn run_before(path: &Path, arguments: &[OsString], input: Option<&[u8]>) -> Result<Option<ExitCode>, Failure> {
    let shown = escape(path.as_os_str().as_encoded_bytes());
    let metadata = path.metadata().map_err(|error| Failure::unreadable(&shown, &error))?;
    if !is_active(&metadata) {
        return Ok(None);
    }
    // A bare name would be looked for on the PATH.
    let path = std::path::absolute(path).map_err(|error| Failure::unreadable(&shown, &error))?;
    let start = |mut command: Command| {
        command.args(arguments).stdin(if input.is_some() { Stdio::piped() } else { Stdio::inherit() }).spawn()
    };
    // As git does: what names no interpreter is the shell's.
    let child = start(Command::new(&path)).or_else(|error| match is_no_program(&error) {
        true => {
            let mut shell = Command::new("sh");
            shell.arg(&path);
            start(shell)
        }
        false => Err(error),
    });
    let mut child = child.map_err(|error| Failure::unreadable(&shown, &error))?;
    let status = std::thread::scope(|scope| {
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
            // A hook that does not read its input closes the pipe; that is its right.
            scope.spawn(move || drop(pipe.write_all(input)));
        }
        child.wait()
    });
    let status = status.map_err(|error| Failure::unreadable(&shown, &error))?;
    if status.success() {
        return Ok(None);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::BLOCKED);
    let _ = writeln!(std::io::stderr(), "custody: the hook {shown} failed with status {code}; custody was not run.");
    Ok(Some(ExitCode::from(code)))
}

/// Whether git would run the file: without permission to, it would not have before either.
#[cfg(unix)]
fn is_active(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_active(_: &std::fs::Metadata) -> bool {
    true
}

/// Whether the system says that a file is no program: no `#!` line, or, on Windows, a script at all.
fn is_no_program(error: &std::io::Error) -> bool {
    const ENOEXEC: i32 = 8;
    const ERROR_BAD_EXE_FORMAT: i32 = 193;
    error.raw_os_error() == Some(if cfg!(windows) { ERROR_BAD_EXE_FORMAT } else { ENOEXEC })
}

/// What a hook is asked about.
struct Change {
    kind: HookKind,
    root: PathBuf,
    updates: Vec<Update>,
    /// The remote that is pushed to: its name, or its URL where it has none.
    remote: String,
    /// What the pre-commit framework says is pushed.
    framework: Option<(String, Option<String>)>,
}

impl Change {
    fn read(arguments: &HookRun, input: &[u8]) -> Result<Change, Failure> {
        let kind = arguments.kind;
        let updates = if kind == HookKind::Commit { Vec::new() } else { parse(kind, input)? };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let given = arguments.arguments.first().map(|name| name.to_string_lossy().into_owned());
        let pushed = || variable(env_vars::PRE_COMMIT_TO_REF).or_else(|| variable(env_vars::PRE_COMMIT_LOCAL_BRANCH));
        let framework = match kind {
            // The framework keeps git's input to itself.
            HookKind::Push if updates.is_empty() => pushed().map(|to| (to, variable(env_vars::PRE_COMMIT_FROM_REF))),
            _ => None,
        };
        let remote = given.or_else(|| variable(env_vars::PRE_COMMIT_REMOTE_NAME)).unwrap_or_default();
        Ok(Change { kind, root: root()?, updates, remote, framework })
    }

    /// Whether nothing comes: no ref, or only deletions.
    fn is_empty(&self) -> bool {
        self.kind != HookKind::Commit
            && self.framework.is_none()
            && self.updates.iter().all(|update| update.new.is_none())
    }

    /// The revision that was there before the change and says what holds: the last commit; what the remote's default
    /// branch was when last fetched, else what the push replaces; the receiving repository's own branch.
    fn trust(&self) -> Result<Trust, Failure> {
        let candidates = match self.kind {
            HookKind::Commit | HookKind::Receive => vec!["HEAD".to_owned()],
            HookKind::Push => {
                let branches = ["HEAD", "main", "master"].map(|name| format!("refs/remotes/{}/{name}", self.remote));
                let replaced = self.updates.iter().filter_map(|update| update.old.clone());
                let framework = self.framework.iter().filter_map(|(_, from)| from.clone());
                branches.into_iter().chain(replaced).chain(framework).collect()
            }
        };
        for revision in &candidates {
            match BaseTree::open(&self.root, revision) {
                Ok(base) => return Ok(Trust::Base(Box::new(base))),
                // What the remote has may not be here.
                Err(SourceError::RevisionNotFetched { .. }) if self.kind == HookKind::Push => {}
                Err(SourceError::UnknownRevision { .. }) => {}
                Err(error) => return Err(failure(&error)),
            }
        }
        Ok(Trust::Nobody)
    }

    fn search(&self, scope: &Scope) -> Result<ScanOutcome, SourceError> {
        let options = ScanOptions::default();
        if self.kind == HookKind::Commit {
            let contract = &scope.in_force.contract;
            let exclude = |path: &str| contract.exclusion(path).map(str::to_owned);
            return IndexSource::new(&self.root, IndexExtent::Changed).exclude(&exclude).scan(&scope.engine, &options);
        }
        self.range().scan(&scope.engine, &options)
    }

    /// What the push brings: what neither the refs that it replaces nor the others of that side have.
    fn range(&self) -> RangeSource {
        let known = match self.kind {
            HookKind::Receive => RefsOf::Repository,
            _ => RefsOf::Remote(self.remote.clone()),
        };
        let mut range = RangeSource::new(&self.root).known_refs(known).tags(TagRefs::Named);
        for update in &self.updates {
            if let Some(new) = &update.new {
                range = range.new_object(new).ref_name(update.name.clone());
            }
            if let Some(old) = &update.old {
                range = range.known_object(old);
            }
        }
        if let Some((to, from)) = &self.framework {
            range = range.revisions(to);
            if let Some(name) = std::env::var_os(env_vars::PRE_COMMIT_REMOTE_BRANCH) {
                range = range.ref_name(name.into_encoded_bytes());
            }
            if let Some(from) = from {
                range = range.revisions(format!("^{from}"));
            }
        }
        range
    }
}

/// The top of the working tree, which is where git runs its hooks; a bare repository itself.
fn root() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let here = here.map_err(|error| Failure::unreadable("the current directory", &error))?;
    let top = here.ancestors().find(|directory| directory.join(".git").exists());
    // Where git says which repository it is, it is that one.
    let top = if std::env::var_os(env_vars::GIT_DIR).is_some() { None } else { top.map(Path::to_owned) };
    Ok(top.unwrap_or(here))
}

/// Refuses to let a contract be committed that the next commit could not be judged by.
fn usable(root: &Path) -> Result<(), Failure> {
    InForce::load(root, None, None).map(|_| ())
}

fn table() -> OutputArguments {
    OutputArguments { format: custody_report::Format::Table, output: None, explain: false, width: None }
}

fn refuse(kind: HookKind, decision: Decision) {
    let (what, skip) = match kind {
        HookKind::Commit => ("commit", "to skip this hook once: git commit --no-verify"),
        HookKind::Push => ("push", "to skip this hook once: git push --no-verify"),
        HookKind::Receive => ("push", "the repository's administrator can help"),
    };
    let (why, fix) = match decision {
        Decision::Incomplete => ("something that it brings could not be read", "see above what was not read"),
        _ => ("it brings what looks like a secret", "take it out, and replace it where it is in use"),
    };
    let diagnostic = Diagnostic::error("hook", format!("custody refuses the {what}"));
    let diagnostic = diagnostic.at(Place::file(kind.name())).why(why);
    output::print_diagnostics(&[diagnostic.fix(format!("{fix}; docs/hooks.md says what to do if it is none; {skip}"))]);
}
