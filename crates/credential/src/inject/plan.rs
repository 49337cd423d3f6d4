//! What goes into the child, and by which way.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::InjectError;
use crate::SecretValue;

/// The way by which a value goes into the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// As the environment variable itself.
    Environment,
    /// As a file in memory, readable by this user only; the environment variable holds its path.
    File,
    /// By a file descriptor of a sealed file in memory without a name; the environment variable holds `/dev/fd/N`.
    Descriptor,
}

/// One value for the child.
#[derive(Debug)]
pub struct Injection {
    /// Name of the environment variable.
    pub key: String,
    /// The way.
    pub target: Target,
    /// The value.
    pub value: SecretValue,
    /// What reports and errors call it: its reference. Never the value.
    pub label: String,
}

/// The command to run.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its name or path; a name is looked for in the PATH that the child gets.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The environment that it gets besides the injections; an injection replaces a variable of the same name.
    pub environment: Vec<(OsString, OsString)>,
}

impl Command {
    /// A command with this process's environment.
    pub fn new(program: impl Into<OsString>) -> Command {
        Command { program: program.into(), arguments: Vec::new(), environment: std::env::vars_os().collect() }
    }

    /// The same with arguments.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Command {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The PATH that the child gets.
    pub(super) fn path(&self) -> Option<&OsStr> {
        self.environment.iter().rfind(|(key, _)| key == "PATH").map(|(_, value)| value.as_os_str())
    }

    /// Its name for messages.
    pub(super) fn shown(&self) -> String {
        self.program.to_string_lossy().escape_debug().to_string()
    }
}

/// What the kernel accepts as one string of an environment: `MAX_ARG_STRLEN`, with its NUL (execve(2)).
const LONGEST_STRING: usize = 128 * 1024;

/// Refuses what cannot be injected, before anything is done.
pub(super) fn check(injections: &[Injection]) -> Result<(), InjectError> {
    let mut seen = HashMap::new();
    for injection in injections {
        let Injection { key, label, value, target } = injection;
        if key.is_empty() || key.bytes().any(|b| b == b'=' || b == 0) {
            return Err(InjectError::Key { key: key.escape_debug().to_string() });
        }
        if let Some(first) = seen.insert(key.as_str(), label) {
            let (first, second) = (first.clone(), label.clone());
            return Err(InjectError::Twice { key: key.clone(), first, second });
        }
        let fault = |why| Err(InjectError::Value { key: key.clone(), label: label.clone(), why });
        if *target == Target::Environment && value.expose().contains(&0) {
            return fault("it has a NUL byte");
        }
        if *target == Target::Environment && key.len() + value.len() + 2 > LONGEST_STRING {
            return fault("it is longer than the 128 KiB that the system allows");
        }
    }
    Ok(())
}

/// Where a command may lie: each directory of PATH, or the path itself if it has a slash (execvp(3)).
pub(super) fn candidates(command: &Command) -> Vec<Vec<u8>> {
    let program = command.program.as_bytes();
    if program.contains(&b'/') {
        return vec![program.to_vec()];
    }
    if program.is_empty() {
        return Vec::new();
    }
    let path = command.path().map_or(&b"/bin:/usr/bin"[..], OsStrExt::as_bytes);
    let join = |directory: &[u8]| match directory {
        [] => program.to_vec(),
        directory => [directory, b"/", program].concat(),
    };
    path.split(|&b| b == b':').map(join).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection(key: &str, value: &[u8], target: Target) -> Injection {
        Injection {
            key: key.into(),
            target,
            value: SecretValue::new(value.to_vec()),
            label: format!("cred://a/b/{key}"),
        }
    }

    #[test]
    fn what_cannot_be_injected_is_refused_by_name() {
        let check_one = |key, value: &[u8]| check(&[injection(key, value, Target::Environment)]);
        assert!(check_one("TOKEN", b"x").is_ok());
        for key in ["", "A=B", "A\0"] {
            assert!(matches!(check_one(key, b"x"), Err(InjectError::Key { .. })), "{key:?}");
        }
        let fault = check_one("TOKEN", b"swordfish\0").expect_err("NUL");
        assert!(fault.to_string().contains("cred://a/b/TOKEN") && !fault.to_string().contains("swordfish"));
        assert!(check_one("TOKEN", &vec![b'x'; 128 << 10]).is_err());
        assert!(check(&[injection("TOKEN", &[0; 1 << 20], Target::File)]).is_ok());
        let twice = [injection("A", b"1", Target::File), injection("A", b"2", Target::Environment)];
        assert!(matches!(check(&twice), Err(InjectError::Twice { .. })));
    }

    #[test]
    fn a_command_is_looked_for_as_execvp_does() {
        let command = |program: &str, path: Option<&str>| Command {
            program: program.into(),
            arguments: Vec::new(),
            environment: path.map(|p| ("PATH".into(), p.into())).into_iter().collect(),
        };
        assert_eq!(candidates(&command("a/b", Some("/x"))), [b"a/b".to_vec()]);
        assert_eq!(candidates(&command("a", Some("/x::/y"))), [b"/x/a".to_vec(), b"a".to_vec(), b"/y/a".to_vec()]);
        assert_eq!(candidates(&command("a", None)), [b"/bin/a".to_vec(), b"/usr/bin/a".to_vec()]);
        assert!(candidates(&command("", Some("/x"))).is_empty());
    }
}
