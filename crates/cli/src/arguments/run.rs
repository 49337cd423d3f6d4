//! Arguments of `custody run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use custody_contract::CredentialRef;
use custody_contract::file::TimeLimit;
use custody_credential::inject::OnRotate;
use nix::sys::signal::Signal;

use super::ContractArguments;

const AFTER_HELP: &str = "\
Exit status: the command's own; if a signal ended it, custody ends by the same signal.
  2    wrong use, a contract file that cannot be used, or a raw value where a reference belongs
  4    denied: by the contract or by a backend
  5    a backend is unavailable, or does not have the credential
  126  the command cannot be executed
  127  there is no such command

Before the command starts, everything that is missing is said at once. See docs/run.md.";

/// `custody run`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Run {
    #[command(flatten)]
    pub contract: ContractArguments,
    /// The repository whose contract says which keys get which credentials.
    #[arg(long, default_value = ".", value_name = "PATH")]
    pub repository: PathBuf,
    /// Give the command what a reference stands for in this variable too, or instead of what the contract says.
    #[arg(long, value_name = "KEY=REFERENCE[#FIELD]")]
    pub inject: Vec<String>,
    /// Likewise as a file in memory, whose path the variable holds.
    #[arg(long, value_name = "KEY=REFERENCE[#FIELD]")]
    pub file: Vec<String>,
    /// Likewise by file descriptor; the variable holds /dev/fd/N.
    #[arg(long, value_name = "KEY=REFERENCE[#FIELD]")]
    pub fd: Vec<String>,
    /// Do not pass this variable on; a * at the end stands for any ending. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub unset: Vec<String>,
    /// Do not pass on the variables with which custody itself logs in to backends, such as VAULT_TOKEN.
    #[arg(long)]
    pub no_backend_env: bool,
    /// Become the command instead of staying beside it: nothing is masked, no files, no rotation.
    #[arg(long, conflicts_with_all = ["file", "on_rotate"])]
    pub replace: bool,
    /// Do not mask secret material in what the command prints.
    #[arg(long)]
    pub no_mask: bool,
    /// Mask through pipes even where standard output is a terminal.
    #[arg(long)]
    pub no_pty: bool,
    /// Open no incident record for secret material that the command printed.
    #[arg(long)]
    pub no_incident: bool,
    /// What to do when a credential gets a new version: restart, signal:NAME (such as signal:HUP) or ignore.
    #[arg(long, value_name = "ACTION", value_parser = parse_action)]
    pub on_rotate: Option<RotateAction>,
    /// How often to look for new versions; a minute by default.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub watch_interval: Option<Duration>,
    /// How long a command that is to be restarted may take to end; 10 seconds by default.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub stop_timeout: Option<Duration>,
    /// The command and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// One `KEY=REFERENCE#FIELD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The variable.
    pub key: String,
    /// The credential.
    pub reference: CredentialRef,
    /// One field of it.
    pub field: Option<String>,
}

/// What a rotation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotateAction {
    /// Nothing.
    Ignore,
    /// Something.
    Do(OnRotate),
}

impl Mapping {
    /// Reads one. Not by clap, which quotes what it refuses: that may be the value itself.
    pub fn parse(text: &str) -> Result<Mapping, String> {
        let expected = "expected KEY=REFERENCE, such as TOKEN=cred://aws/local/readonly";
        let (key, rest) = text.split_once('=').ok_or(expected)?;
        let (reference, field) = match rest.split_once('#') {
            Some((reference, field)) => (reference, Some(field.to_owned())),
            None => (rest, None),
        };
        let reference = CredentialRef::parse(reference).map_err(|error| error.to_string())?;
        Ok(Mapping { key: key.to_owned(), reference, field })
    }
}

fn parse_action(text: &str) -> Result<RotateAction, String> {
    match text {
        "ignore" => Ok(RotateAction::Ignore),
        "restart" => Ok(RotateAction::Do(OnRotate::Restart)),
        _ => {
            let name = text.strip_prefix("signal:").ok_or("expected restart, signal:NAME or ignore")?;
            signal_number(name).map(|number| RotateAction::Do(OnRotate::Signal(number)))
        }
    }
}

/// The number of a signal by its name, with or without `SIG`.
pub fn signal_number(name: &str) -> Result<i32, String> {
    let name = name.to_ascii_uppercase();
    let name = format!("SIG{}", name.strip_prefix("SIG").unwrap_or(&name));
    name.parse::<Signal>().map(|signal| signal as i32).map_err(|_| "there is no signal of that name".to_owned())
}

fn parse_time(text: &str) -> Result<Duration, String> {
    text.parse::<TimeLimit>().map(|limit| limit.0).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_name_a_key_a_reference_and_perhaps_a_field() {
        let mapping = Mapping::parse("TOKEN=cred://aws/local/readonly#key").expect("valid");
        assert_eq!((mapping.key.as_str(), mapping.field.as_deref()), ("TOKEN", Some("key")));
        let refused = Mapping::parse("TOKEN=swordfish").expect_err("a raw value");
        assert!(!refused.contains("swordfish"), "{refused}");
        assert!(Mapping::parse("TOKEN").is_err());
    }

    #[test]
    fn actions_and_signals_have_names() {
        assert_eq!(parse_action("signal:HUP"), Ok(RotateAction::Do(OnRotate::Signal(1))));
        assert_eq!(parse_action("signal:sigusr1"), Ok(RotateAction::Do(OnRotate::Signal(10))));
        assert!(parse_action("signal:NOPE").is_err() && parse_action("stop").is_err());
    }
}
