//! The terminal of a child whose output is masked: a pseudo-terminal in between, so that colour, width, line editing
//! and job control stay as they are.

use std::fs::File;
use std::io::{self, Read as _, stdin, stdout};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, isatty, tcgetpgrp};

use super::ioctl::{set_size, size_of};

/// The user's terminal and the one that the child gets.
#[derive(Debug)]
pub struct Terminal {
    /// What the user types comes from here.
    keyboard: File,
    /// How the user's terminal was.
    saved: Termios,
    /// Whether it is raw now: then what the user types goes to the child's terminal.
    is_engaged: bool,
    master: OwnedFd,
    slave: OwnedFd,
    /// Typed and not yet taken by the child's terminal.
    typed: Vec<u8>,
}

/// What the user asked for by a key that is custody's to answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// The key that suspends the job in the foreground.
    Suspend,
}

impl Terminal {
    /// Opens a pseudo-terminal of the size and with the settings of the user's, if standard output is a terminal.
    pub fn open() -> Option<Terminal> {
        if !isatty(stdout()).unwrap_or(false) {
            return None;
        }
        let keyboard: File = if isatty(stdin()).unwrap_or(false) {
            stdin().as_fd().try_clone_to_owned().ok()?.into()
        } else {
            File::options().read(true).write(true).open("/dev/tty").ok()?
        };
        let saved = tcgetattr(&keyboard).ok()?;
        let size = size_of(stdout().as_fd());
        let pair = openpty(size.as_ref(), Some(&saved)).ok()?;
        for fd in [&pair.master, &pair.slave] {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
        }
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK | OFlag::O_RDWR)).ok()?;
        let (master, slave) = (pair.master, pair.slave);
        Some(Terminal { keyboard, saved, is_engaged: false, master, slave, typed: Vec::new() })
    }

    /// The child's side.
    pub fn slave(&self) -> &OwnedFd {
        &self.slave
    }

    /// A descriptor to read the child's output from.
    pub fn output(&self) -> io::Result<OwnedFd> {
        self.master.try_clone()
    }

    /// Takes the user's terminal over, if custody's job is in its foreground.
    pub fn engage(&mut self) {
        if self.is_engaged || tcgetpgrp(&self.keyboard) != Ok(getpgrp()) {
            return;
        }
        let mut raw = self.saved.clone();
        cfmakeraw(&mut raw);
        self.is_engaged = tcsetattr(&self.keyboard, SetArg::TCSADRAIN, &raw).is_ok();
        self.resize();
    }

    /// Gives the user's terminal back as it was.
    pub fn disengage(&mut self) {
        if self.is_engaged {
            // Also from the background, where the system would stop this process for it.
            let mut stop = SigSet::empty();
            stop.add(Signal::SIGTTOU);
            let mut before = SigSet::empty();
            let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&stop), Some(&mut before));
            let _ = tcsetattr(&self.keyboard, SetArg::TCSADRAIN, &self.saved);
            let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
            self.is_engaged = false;
        }
    }

    /// Gives the child's terminal the size of the user's; the kernel tells the child.
    pub fn resize(&self) {
        if let Some(size) = size_of(stdout().as_fd()) {
            set_size(self.master.as_fd(), size);
        }
    }

    /// Where to poll for what the user types, while that goes to the child.
    pub fn keyboard(&self) -> Option<BorrowedFd<'_>> {
        (self.is_engaged && self.typed.is_empty()).then(|| self.keyboard.as_fd())
    }

    /// Where to poll for room for what was typed.
    pub fn backlog(&self) -> Option<BorrowedFd<'_>> {
        (!self.typed.is_empty()).then(|| self.master.as_fd())
    }

    /// Reads what was typed and passes it on.
    pub fn pass_typed(&mut self, child: Pid) -> Option<Request> {
        let mut bytes = [0; 1024];
        let count = self.keyboard.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            // The terminal is gone; SIGHUP says what to do.
            self.is_engaged = false;
            return None;
        }
        let suspend = self.suspend_key(child).and_then(|key| bytes[..count].iter().position(|&b| b == key));
        // What is typed after the key is for who reads the terminal then.
        self.typed.extend_from_slice(&bytes[..suspend.unwrap_or(count)]);
        bytes.fill(0);
        self.flush_typed();
        suspend.map(|_| Request::Suspend)
    }

    /// Passes on what the child's terminal did not take before.
    pub fn flush_typed(&mut self) {
        while !self.typed.is_empty() {
            match nix::unistd::write(&self.master, &self.typed) {
                Ok(count) => {
                    self.typed[..count].fill(0);
                    self.typed.drain(..count);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.typed.clear(),
            }
        }
    }

    /// The key that suspends, if it is in force: the child's terminal makes signals of keys, and the child itself, not a
    /// job of a shell that it is, is in the foreground.
    fn suspend_key(&self, child: Pid) -> Option<u8> {
        let settings = tcgetattr(&self.slave).ok()?;
        let makes_signals = settings.local_flags.contains(LocalFlags::ISIG);
        let key = settings.control_chars[SpecialCharacterIndices::VSUSP as usize];
        (makes_signals && key != 0 && tcgetpgrp(&self.master) == Ok(child)).then_some(key)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.disengage();
    }
}
