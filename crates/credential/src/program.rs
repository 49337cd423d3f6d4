//! Running a program that holds or gives secrets: what it prints goes into pages of its own, within a limit and a
//! time. Nothing secret is an argument; what it needs comes through its standard input.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::SecretValue;

/// Largest output, in bytes.
pub(crate) const MAX_OUTPUT: usize = 8 << 20;
/// How much of what it says on standard error is kept, in bytes.
const MAX_TALK: u64 = 4096;

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) output: SecretValue,
    /// The last line of what it said on standard error, without control characters.
    pub(crate) talk: String,
    /// The first line of it.
    pub(crate) first: String,
}

/// Why a program did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("there is no program {0}")]
    Missing(String),
    #[error("{0} may not be executed")]
    NotExecutable(String),
    #[error("{0} cannot be run: {1}")]
    Failed(String, io::Error),
    #[error("{0} gave no answer in {1:?} and was ended")]
    TooSlow(String, Duration),
    #[error("{0} printed more than {MAX_OUTPUT} bytes")]
    TooMuch(String),
}

/// A program to be run.
pub(crate) struct Program {
    command: Command,
    name: String,
}

impl Program {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        Self { command: Command::new(program), name }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs it with `input` and waits for its end, at most for `limit`.
    pub(crate) fn run(mut self, input: &[u8], limit: Duration) -> Result<Ran, ProgramError> {
        let deadline = Instant::now() + limit;
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut self.command).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ProgramError::Missing(self.name.clone()),
            io::ErrorKind::PermissionDenied => ProgramError::NotExecutable(self.name.clone()),
            _ => ProgramError::Failed(self.name.clone(), error),
        })?;
        let answer = converse(&mut child, input, deadline);
        let ended = match &answer {
            Ok(_) => wait(&mut child, deadline),
            Err(_) => Ok(None),
        };
        if !matches!(ended, Ok(Some(_))) {
            // It may have ended by itself by now.
            let _ = child.kill();
            let _ = child.wait();
        }
        let too_slow = || ProgramError::TooSlow(self.name.clone(), limit);
        let (output, talk) = answer.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => too_slow(),
            io::ErrorKind::FileTooLarge => ProgramError::TooMuch(self.name.clone()),
            _ => ProgramError::Failed(self.name.clone(), error),
        })?;
        match ended {
            Ok(Some(status)) => {
                Ok(Ran { status, output, talk: line(&talk, Which::Last), first: line(&talk, Which::First) })
            }
            Ok(None) => Err(too_slow()),
            Err(error) => Err(ProgramError::Failed(self.name, error)),
        }
    }
}

/// Starts it; one that is just being written by a parallel process (`ETXTBSY`) is tried again.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 0..20 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
    command.spawn()
}

/// Feeds it and reads all that it says until both ends are closed.
fn converse(child: &mut Child, input: &[u8], deadline: Instant) -> io::Result<(SecretValue, Vec<u8>)> {
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // The threads outlive this call where a grandchild keeps a pipe open, so they own what they use.
    let input = SecretValue::copy_of(input);
    let feeder = move || {
        if let Some(stdin) = &mut stdin {
            // A program that does not read its input is free not to.
            let _ = stdin.write_all(input.expose());
        }
    };
    let (said, heard) = mpsc::channel();
    let (talked, talk) = mpsc::channel();
    let reader = move || {
        let read = stdout.map_or_else(|| Ok(SecretValue::copy_of(b"")), |out| SecretValue::read_from(out, MAX_OUTPUT));
        let _ = said.send(read);
    };
    let listener = move || {
        let mut kept = Vec::new();
        if let Some(mut err) = stderr {
            let _ = err.by_ref().take(MAX_TALK).read_to_end(&mut kept);
            let _ = io::copy(&mut err, &mut io::sink());
        }
        let _ = talked.send(kept);
    };
    std::thread::Builder::new().spawn(feeder)?;
    std::thread::Builder::new().spawn(reader)?;
    std::thread::Builder::new().spawn(listener)?;
    let left = || deadline.saturating_duration_since(Instant::now());
    let output = heard.recv_timeout(left()).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let talk = talk.recv_timeout(left()).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    Ok((output, talk))
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(50);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[derive(Clone, Copy)]
enum Which {
    First,
    Last,
}

fn line(talk: &[u8], which: Which) -> String {
    let text = String::from_utf8_lossy(talk);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = match which {
        Which::First => lines.next(),
        Which::Last => lines.next_back(),
    }
    .unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &[u8], limit: Duration) -> Result<Ran, ProgramError> {
        Program::new("sh").args(["-c", script]).run(input, limit)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn input_output_status_and_talk_come_through() {
        let ran = sh("cat; echo first >&2; echo last >&2; exit 3", b"some\0bytes", LONG).expect("runs");
        assert_eq!(ran.output.expose(), b"some\0bytes");
        assert_eq!((ran.status.code(), ran.talk.as_str()), (Some(3), "last"));
    }

    #[test]
    fn a_program_that_ignores_its_input_or_talks_much_does_no_harm() {
        let ran = sh("exec <&-; seq 100000 >&2; echo done", &vec![b'x'; 1 << 20], LONG).expect("runs");
        assert_eq!(ran.output.expose(), b"done\n");
    }

    #[test]
    fn one_that_hangs_is_ended_and_one_that_never_stops_too() {
        let limit = Duration::from_millis(200);
        assert!(matches!(sh("sleep 600", b"", limit), Err(ProgramError::TooSlow(..))));
        assert!(matches!(sh("exec >&- 2>&-; sleep 600", b"", limit), Err(ProgramError::TooSlow(..))));
        assert!(matches!(sh("yes", b"", LONG), Err(ProgramError::TooMuch(_))));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = Program::new("/no/such/program").run(b"", LONG).expect_err("missing");
        assert_eq!(error.to_string(), "there is no program program");
    }
}
