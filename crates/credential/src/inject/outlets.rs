//! Where the child writes: pipes or a terminal, with a channel behind each.

use std::io::{stderr, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::unistd::{isatty, pipe2};

use super::InjectError;
use super::channel::{Channel, Mask, Stream};
use super::exec::raw;
use super::terminal::Terminal;

/// What the child gets for its standard output and error, kept open until it has them.
#[derive(Debug, Default)]
pub struct Outlets {
    output: Option<OwnedFd>,
    error: Option<OwnedFd>,
}

impl Outlets {
    /// Makes the channels of a masked command, and the child's ends of them.
    pub fn open(
        terminal: Option<&Terminal>,
        mask: &Mask,
        hold: Duration,
    ) -> Result<(Outlets, Vec<Channel>), InjectError> {
        let output = owned(stdout().as_fd().try_clone_to_owned())?;
        let error = owned(stderr().as_fd().try_clone_to_owned())?;
        let mut channels = Vec::new();
        if let Some(terminal) = terminal {
            channels.push(Channel::new(Stream::Terminal, owned(terminal.output())?, output, hold));
            if !isatty(&error).unwrap_or(false) {
                channels.push(Channel::closed(Stream::Error, error, hold));
            }
        } else if is_same_file(output.as_fd(), error.as_fd()) {
            // One pipe for both keeps their order.
            channels.push(Channel::closed(Stream::Both, output, hold));
        } else {
            channels.push(Channel::closed(Stream::Output, output, hold));
            channels.push(Channel::closed(Stream::Error, error, hold));
        }
        channels.iter_mut().for_each(|c| c.mask(mask));
        Ok((Outlets::reopen(terminal, &mut channels)?, channels))
    }

    /// New ends for the next child of the same channels.
    pub fn reopen(terminal: Option<&Terminal>, channels: &mut [Channel]) -> Result<Outlets, InjectError> {
        let mut outlets = Outlets::default();
        for channel in channels {
            if let (Stream::Terminal, Some(terminal)) = (channel.stream, terminal) {
                outlets.output = Some(owned(terminal.slave().try_clone())?);
                outlets.error = Some(owned(terminal.slave().try_clone())?);
                continue;
            }
            let (source, sink) = pipe2(OFlag::O_CLOEXEC).map_err(InjectError::system("make a pipe"))?;
            channel.reopen(source);
            match channel.stream {
                Stream::Error => outlets.error = Some(sink),
                Stream::Both => {
                    outlets.error = Some(owned(sink.try_clone())?);
                    outlets.output = Some(sink);
                }
                Stream::Output | Stream::Terminal => outlets.output = Some(sink),
            }
        }
        Ok(outlets)
    }

    /// The descriptors' numbers; none where the child writes where custody does.
    pub fn raw(&self) -> [Option<RawFd>; 2] {
        [self.output.as_ref().map(raw), self.error.as_ref().map(raw)]
    }
}

fn owned(copied: std::io::Result<OwnedFd>) -> Result<OwnedFd, InjectError> {
    copied.map_err(|source| InjectError::System { what: "copy a descriptor", source })
}

/// Whether two descriptors lead to the same file, pipe or terminal.
fn is_same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    match (fstat(a), fstat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino, a.st_rdev) == (b.st_dev, b.st_ino, b.st_rdev),
        _ => false,
    }
}
