//! Arguments of `custody hook`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// Install hooks that run custody before each commit and push.
    Install(HookInstall),
    /// Remove custody's hooks and put back what was there before.
    Uninstall(HookUninstall),
    /// Show which hooks are there.
    Status(HookPlace),
    /// What an installed hook runs; reads what git gives the hook.
    Run(HookRun),
}

/// A hook of git that custody serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum HookKind {
    /// Searches what is staged.
    #[value(name = "pre-commit")]
    Commit,
    /// Searches what a push would bring to the remote.
    #[value(name = "pre-push")]
    Push,
    /// Searches what a push brings, on the side that receives it.
    #[value(name = "pre-receive")]
    Receive,
}

impl HookKind {
    /// All of them.
    pub const ALL: [HookKind; 3] = [HookKind::Commit, HookKind::Push, HookKind::Receive];

    /// The hook's file name.
    pub fn name(self) -> &'static str {
        match self {
            HookKind::Commit => "pre-commit",
            HookKind::Push => "pre-push",
            HookKind::Receive => "pre-receive",
        }
    }
}

/// The hooks that a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HookWhich {
    #[value(name = "pre-commit")]
    Commit,
    #[value(name = "pre-push")]
    Push,
    #[value(name = "pre-receive")]
    Receive,
    All,
}

impl HookWhich {
    /// The hooks that are meant.
    pub fn kinds(self) -> &'static [HookKind] {
        match self {
            HookWhich::Commit => &[HookKind::Commit],
            HookWhich::Push => &[HookKind::Push],
            HookWhich::Receive => &[HookKind::Receive],
            HookWhich::All => &HookKind::ALL,
        }
    }
}

#[derive(Debug, Args)]
pub struct HookPlace {
    /// The repository; the current directory by default.
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// The hooks of all repositories of this user (git's global core.hooksPath).
    #[arg(long)]
    pub global: bool,
}

#[derive(Debug, Args)]
pub struct HookInstall {
    #[command(flatten)]
    pub place: HookPlace,
    /// Which hooks; pre-commit and pre-push by default, in a bare repository pre-receive.
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub kinds: Vec<HookWhich>,
    /// Keep a hook of somebody else's and run it first.
    #[arg(long, conflicts_with = "force")]
    pub chain: bool,
    /// Put a hook of somebody else's aside; `uninstall` puts it back.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct HookUninstall {
    #[command(flatten)]
    pub place: HookPlace,
    /// Which hooks; all by default.
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub kinds: Vec<HookWhich>,
}

#[derive(Debug, Args)]
pub struct HookRun {
    /// The hook.
    #[arg(value_enum, value_name = "TYPE")]
    pub kind: HookKind,
    /// Another hook to run first, with the same arguments and input; if it fails, so does this one.
    #[arg(long, value_name = "FILE")]
    pub before: Option<PathBuf>,
    /// What git gives the hook: for pre-push, the remote's name and URL.
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub arguments: Vec<OsString>,
}
