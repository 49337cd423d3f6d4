//! Asking at the terminal without showing what is typed.

use crate::SecretValue;
use crate::context::Prompt;

/// Longest secret that can be typed or pasted, in bytes.
#[cfg(unix)]
const MAX_BYTES: usize = 64 << 10;

/// The terminal of this process (`/dev/tty`), whatever its standard input is.
#[derive(Debug, Default)]
pub struct TerminalPrompt;

impl Prompt for TerminalPrompt {
    /// `None` where there is no terminal, or the person gives up (Ctrl-C, Ctrl-D).
    fn secret(&self, question: &str) -> Option<SecretValue> {
        #[cfg(unix)]
        {
            unix::ask(question).ok().flatten()
        }
        #[cfg(not(unix))]
        {
            let _ = question;
            None
        }
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Read, Write};

    use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

    use super::MAX_BYTES;
    use crate::SecretValue;

    pub(super) fn ask(question: &str) -> io::Result<Option<SecretValue>> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let _quiet = Quiet::new(&terminal)?;
        (&terminal).write_all(question.as_bytes())?;
        let line = read_line(&terminal);
        (&terminal).write_all(b"\r\n")?;
        line
    }

    /// A terminal that shows nothing and gives each byte at once: a line of a terminal ends at 4,096 bytes otherwise,
    /// which keys that are pasted exceed. Put back when dropped.
    struct Quiet<'t> {
        terminal: &'t File,
        before: Termios,
    }

    impl<'t> Quiet<'t> {
        fn new(terminal: &'t File) -> io::Result<Self> {
            let before = tcgetattr(terminal)?;
            let mut quiet = before.clone();
            // Without ISIG an interrupt is a byte that we see, so that the terminal is always put back.
            quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
            quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
            quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
            Ok(Self { terminal, before })
        }
    }

    impl Drop for Quiet<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
        }
    }

    /// One line, edited with backspace and Ctrl-U; `None` after Ctrl-C, or Ctrl-D at its start.
    fn read_line(mut input: impl Read) -> io::Result<Option<SecretValue>> {
        let mut is_given_up = false;
        let value = SecretValue::fill(MAX_BYTES, |line| {
            let mut len = 0;
            let mut byte = zeroize::Zeroizing::new([0u8; 1]);
            while input.read(&mut *byte)? == 1 {
                match byte[0] {
                    b'\r' | b'\n' => return Ok(len),
                    3 => break,
                    4 if len == 0 => break,
                    4 => return Ok(len),
                    // A character of several bytes goes as one.
                    8 | 127 => {
                        while len > 0 {
                            len -= 1;
                            if line[len] & 0xc0 != 0x80 {
                                break;
                            }
                        }
                    }
                    21 => len = 0,
                    _ if len == MAX_BYTES => return Err(io::ErrorKind::FileTooLarge.into()),
                    other => {
                        line[len] = other;
                        len += 1;
                    }
                }
            }
            is_given_up = true;
            Ok::<usize, io::Error>(0)
        })?;
        Ok((!is_given_up).then_some(value))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn typed(keys: &[u8]) -> Option<String> {
            let line = read_line(keys).expect("readable")?;
            Some(line.expose_str().expect("UTF-8").to_owned())
        }

        #[test]
        fn a_line_is_edited_as_on_a_terminal() {
            assert_eq!(typed(b"secret\rrest").as_deref(), Some("secret"));
            assert_eq!(typed("s\u{e9}\u{7f}ecref\u{8}t\n".as_bytes()).as_deref(), Some("secret"));
            assert_eq!(typed(b"wrong\x15right\r").as_deref(), Some("right"));
            assert_eq!(typed(b"\x7f\x7f\r").as_deref(), Some(""));
            assert_eq!(typed(b"secret\x03"), None);
            assert_eq!(typed(b"\x04"), None);
            assert_eq!(typed(b"half"), None);
            assert!(read_line(&vec![b'x'; MAX_BYTES + 1][..]).is_err());
        }
    }
}
