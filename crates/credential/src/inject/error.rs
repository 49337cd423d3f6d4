//! Why a command could not be started.

use std::io;

/// What stands between a command and its start. No text of it holds secret material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InjectError {
    /// A key cannot be the name of an environment variable.
    #[error("`{key}` cannot be the name of an environment variable")]
    Key {
        /// The key, escaped.
        key: String,
    },
    /// Two injections have the same key.
    #[error("`{key}` is injected twice: as `{first}` and as `{second}`")]
    Twice {
        /// The key.
        key: String,
        /// What the first one is called.
        first: String,
        /// What the second one is called.
        second: String,
    },
    /// An environment variable cannot hold the value.
    #[error("the value of `{label}` cannot be put into the environment variable `{key}`: {why}")]
    Value {
        /// The key.
        key: String,
        /// What the value is called.
        label: String,
        /// Why.
        why: &'static str,
    },
    /// There is no such command.
    #[error("cannot find the command `{command}`: {why}")]
    NotFound {
        /// Its name, escaped.
        command: String,
        /// Why.
        why: &'static str,
    },
    /// The command is there and cannot be executed.
    #[error("cannot execute the command `{command}`")]
    NotExecutable {
        /// Its name, escaped.
        command: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Files need a file system in memory.
    #[error(
        "there is no private directory in memory to put files into: neither XDG_RUNTIME_DIR nor /dev/shm can be used"
    )]
    NoMemoryDirectory {
        /// What the system says of the last one.
        #[source]
        source: io::Error,
    },
    /// What cannot be done without supervision.
    #[error("{what} needs custody to stay beside the command, which `--replace` does not")]
    NeedsSupervision {
        /// What was asked for.
        what: &'static str,
    },
    /// A system call failed.
    #[error("cannot {what}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl InjectError {
    /// The exit code that shells use for it: 127 for a command that is not there, 126 for one that cannot be executed,
    /// 125, as `env` and `timeout` do, for a fault before.
    pub fn exit_code(&self) -> u8 {
        match self {
            InjectError::NotFound { .. } => 127,
            InjectError::NotExecutable { .. } => 126,
            _ => 125,
        }
    }

    /// What to do next.
    pub fn fix(&self) -> &'static str {
        match self {
            InjectError::Key { .. } => "use a name without `=` and NUL, such as API_TOKEN",
            InjectError::Twice { .. } => "inject each key once",
            InjectError::Value { .. } => "inject it as a file or by file descriptor: `--file` or `--fd`",
            InjectError::NotFound { .. } => "check the command's name and PATH",
            InjectError::NotExecutable { .. } => "check the file's permissions, and that it is made for this machine",
            InjectError::NoMemoryDirectory { .. } => "mount a tmpfs on /dev/shm, or inject by file descriptor: `--fd`",
            InjectError::NeedsSupervision { .. } => "leave `--replace` out, or inject by file descriptor: `--fd`",
            InjectError::System { .. } => "check the system's limits",
        }
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(nix::Error) -> InjectError {
        move |errno| InjectError::System { what, source: errno.into() }
    }
}
