//! How a command is run, and what became of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::{Leaked, Rotation, Secret};

/// Whether custody stays beside the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Only where something has to be masked, removed or followed.
    #[default]
    Auto,
    /// Never: the command replaces custody, and nothing is masked.
    Replace,
    /// Always.
    Supervise,
}

/// Whether output is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Masking {
    /// Standard output and error are.
    #[default]
    On,
    /// Nothing is; the child writes where custody would.
    Off,
}

/// Whether the child of a masked command gets a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TerminalMode {
    /// Where custody's standard output is one.
    #[default]
    Auto,
    /// Never: it gets pipes.
    Never,
}

/// What to do when the command has ended, and something that it started still holds its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leftover {
    /// What it prints later is not read.
    #[default]
    Abandon,
    /// Wait until it is done.
    Wait,
    /// A copy of this process goes on masking, so that the command's status is known at once and nothing is lost:
    /// **[`run`](super::run) then returns in both**, in the copy with [`Ended::is_behind`]. For single-threaded programs.
    GoOnBehind,
}

/// How a command is run.
pub struct Settings {
    /// Whether custody stays beside it.
    pub mode: Mode,
    /// Whether its output is masked.
    pub masking: Masking,
    /// Whether it gets a terminal.
    pub terminal: TerminalMode,
    /// What happens to output after its end.
    pub leftover: Leftover,
    /// How long output may be held that could be the beginning of a value.
    pub hold: Duration,
    /// `$XDG_RUNTIME_DIR`, the first choice for files.
    pub runtime_directory: Option<PathBuf>,
    /// How rotation is followed, if it is.
    pub rotation: Option<Rotation>,
    /// Is told what happens while the command runs.
    pub report: Box<dyn FnMut(&Event)>,
}

impl Settings {
    /// What may be the beginning of a value is held for so long.
    pub const HOLD: Duration = Duration::from_millis(50);
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            mode: Mode::default(),
            masking: Masking::default(),
            terminal: TerminalMode::default(),
            leftover: Leftover::default(),
            hold: Settings::HOLD,
            runtime_directory: None,
            rotation: None,
            report: Box::new(|_| ()),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { mode, masking, terminal, leftover, hold, rotation, .. } = self;
        write!(f, "Settings({mode:?}, {masking:?}, {terminal:?}, {leftover:?}, {hold:?}, {rotation:?})")
    }
}

/// What happens while a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// New values were found, and the child was told or is being restarted.
    Rotated {
        /// The keys whose values came anew.
        keys: Vec<String>,
    },
    /// It could not be found out whether there are new values.
    Unknown {
        /// Why.
        why: String,
    },
    /// New values were found and cannot be used; the child goes on with the old ones.
    Unusable {
        /// Why.
        why: String,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Signalled(i32),
}

/// What became of a command.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: Status,
    /// The values that it printed, and that were masked (ROT-2).
    pub leaks: Vec<Leaked>,
    /// How many more there were than are listed.
    pub uncounted: u64,
    /// Values that were too short to be masked.
    pub unmasked: Vec<Secret>,
    /// This process is a copy that masked what came after the command's end ([`Leftover::GoOnBehind`]).
    pub is_behind: bool,
}
