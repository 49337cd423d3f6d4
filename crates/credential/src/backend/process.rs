//! Programs that give material on their standard output: bounded in time and size, their output overwritten.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::http::clean;
use super::json::reserve;
use super::{ErrorKind, Fault};

/// Largest output that is read.
const MAX_OUTPUT: usize = 1 << 20;

/// What a program said and how it ended.
pub(crate) struct Said {
    pub(crate) output: Zeroizing<Vec<u8>>,
    pub(crate) errors: String,
    pub(crate) is_success: bool,
}

/// Runs a program with nothing on its standard input.
///
/// # Errors
/// Configuration, if it is not there; unreachable, if it takes too long; malformed, if it says too much.
pub(crate) fn run(command: &mut Command, name: &str, limit: Duration) -> Result<Said, Fault> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| {
            Fault::configuration(
                format!("`{name}` cannot be started: {}", error.kind()),
                format!("install `{name}`, or name its path"),
            )
        })?;
    let output = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    let deadline = Instant::now() + limit;
    let received = output
        .recv_timeout(limit)
        .ok()
        .zip(errors.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok());
    let status = received.as_ref().and_then(|_| wait(&mut child, deadline));
    let (Some((output, errors)), Some(status)) = (received, status) else {
        drop(child.kill());
        drop(child.wait());
        return Err(Fault::new(
            ErrorKind::Unreachable,
            format!("`{name}` was not done after {} seconds", limit.as_secs()),
            "check that it does not wait for input",
        ));
    };
    let output = output.ok_or_else(|| Fault::malformed(format!("`{name}` wrote more than {MAX_OUTPUT} bytes")))?;
    let errors = clean(&String::from_utf8_lossy(&errors.unwrap_or_default()), 200);
    Ok(Said { output, errors, is_success: status.success() })
}

/// Reads a pipe to its end in a thread of its own; nothing if there is too much.
fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Option<Zeroizing<Vec<u8>>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut all = Zeroizing::new(Vec::new());
        let mut chunk = Zeroizing::new([0; 8192]);
        let Some(mut pipe) = pipe else { return };
        while let Ok(count) = pipe.read(chunk.as_mut_slice()) {
            if count == 0 {
                drop(sender.send(Some(all)));
                return;
            }
            if all.len() + count > MAX_OUTPUT {
                break;
            }
            reserve(&mut all, count);
            all.extend_from_slice(&chunk[..count]);
        }
        drop(sender.send(None));
    });
    receiver
}

fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            _ => return None,
        }
    }
}

/// Splits a command line into words: blanks separate, quotes and backslashes keep them together. No shell is involved.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') if matches!(characters.peek(), Some('"' | '\'' | '\\' | ' ')) => {
                word.get_or_insert_default().extend(characters.next());
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_without_a_shell() {
        assert_eq!(words(r#"/a/b "c d" 'e"f' g\ h "" $X"#).unwrap(), ["/a/b", "c d", "e\"f", "g h", "", "$X"]);
        assert_eq!(words(r"C:\tools\x.exe -a").unwrap(), [r"C:\tools\x.exe", "-a"]);
        assert!(words("\"open").is_none());
    }

    #[test]
    fn a_program_that_hangs_or_floods_is_ended() {
        let hang = run(Command::new("sleep").arg("60"), "sleep", Duration::from_millis(50)).err().unwrap();
        assert_eq!(hang.kind, ErrorKind::Unreachable);
        let flood = run(&mut Command::new("yes"), "yes", Duration::from_secs(20)).err().unwrap();
        assert_ne!(flood.kind, ErrorKind::Configuration);
        let missing = run(&mut Command::new("/nowhere/x"), "x", Duration::from_secs(1)).err().unwrap();
        assert_eq!(missing.kind, ErrorKind::Configuration);
    }
}
