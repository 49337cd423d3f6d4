//! One stream from the child to where custody's own goes, masked on the way.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::isatty;

use super::ioctl::waiting_bytes;
use super::leak::{Leaked, Secret};
use crate::mask::{MaskStream, Masker};

/// Which stream of the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
    /// Both: they lead to the same file or pipe, and keep their order.
    Both,
    /// The terminal.
    Terminal,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Stream::Output => "stdout",
            Stream::Error => "stderr",
            Stream::Both => "stdout and stderr",
            Stream::Terminal => "terminal",
        })
    }
}

/// The masker of one set of values, and what is to be said of each of them.
#[derive(Debug, Clone)]
pub struct Mask {
    pub masker: Arc<Masker>,
    pub secrets: Arc<[Secret]>,
}

/// A stream on its way.
#[derive(Debug)]
pub struct Channel {
    pub stream: Stream,
    source: Option<File>,
    sink: OwnedFd,
    sink_kind: Sink,
    /// One a set of values: after a rotation old ones are still masked.
    masks: Vec<(MaskStream, Mask)>,
    pending: Vec<u8>,
    written: usize,
    hold: Duration,
    deadline: Option<Instant>,
}

/// What a channel writes to. It must not block: signals would wait.
#[derive(Debug, Clone, Copy)]
enum Sink {
    /// Never blocks for long.
    File,
    /// Takes its capacity without blocking when it is empty.
    Pipe { capacity: usize },
    /// A terminal, a socket.
    Other,
}

/// So much is read at once.
const CHUNK: usize = 64 * 1024;
/// What a pipe takes without blocking once it says that it is writable: `PIPE_BUF` (pipe(7)).
const ATOMIC: usize = 4096;
/// Sets of values that are masked at the same time.
const MOST_MASKS: usize = 4;

impl Channel {
    /// A channel from `source` to `sink`.
    pub fn new(stream: Stream, source: OwnedFd, sink: OwnedFd, hold: Duration) -> Channel {
        Channel { source: Some(source.into()), ..Channel::closed(stream, sink, hold) }
    }

    /// A channel without a source yet.
    pub fn closed(stream: Stream, sink: OwnedFd, hold: Duration) -> Channel {
        let kind = fstat(&sink).map(|s| SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT);
        let sink_kind = match kind {
            Ok(SFlag::S_IFREG) => Sink::File,
            // /dev/null, mostly.
            Ok(SFlag::S_IFCHR) if !isatty(&sink).unwrap_or(false) => Sink::File,
            Ok(SFlag::S_IFIFO) => {
                let capacity = fcntl(&sink, FcntlArg::F_GETPIPE_SZ).ok().and_then(|c| usize::try_from(c).ok());
                Sink::Pipe { capacity: capacity.unwrap_or(ATOMIC) }
            }
            _ => Sink::Other,
        };
        Channel {
            stream,
            source: None,
            sink,
            sink_kind,
            masks: Vec::new(),
            pending: Vec::new(),
            written: 0,
            hold,
            deadline: None,
        }
    }

    /// Masks these values too from now on.
    pub fn mask(&mut self, mask: &Mask) {
        if self.masks.len() == MOST_MASKS {
            self.release();
            self.masks.remove(0);
        }
        self.masks.push((mask.masker.stream(), mask.clone()));
    }

    /// Reads on from another source: the next child's.
    pub fn reopen(&mut self, source: OwnedFd) {
        self.release();
        self.source = Some(source.into());
    }

    /// What to poll for: the source, unless what was read is not written yet; the sink, if so.
    pub fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.has_pending() {
            Some((self.sink.as_fd(), PollFlags::POLLOUT))
        } else {
            self.source.as_ref().map(|s| (s.as_fd(), PollFlags::POLLIN))
        }
    }

    /// When what is held must go out.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether all is read and written.
    pub fn is_done(&self) -> bool {
        self.source.is_none() && !self.has_pending()
    }

    fn has_pending(&self) -> bool {
        self.written < self.pending.len()
    }

    /// Reads once, masks, and writes what can be written.
    pub fn transfer(&mut self, scratch: &mut Vec<u8>) {
        if self.has_pending() {
            self.flush();
            return;
        }
        scratch.resize(CHUNK, 0);
        let Some(source) = &mut self.source else { return };
        match source.read(scratch) {
            Ok(0) => self.end(),
            Ok(count) => {
                self.pass(&scratch[..count]);
                if self.is_holding() {
                    self.deadline = self.deadline.or_else(|| Some(Instant::now() + self.hold));
                } else {
                    self.deadline = None;
                }
                // What the child printed may be a value.
                scratch[..count].fill(0);
                self.flush();
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            // A terminal whose other side is closed says EIO.
            Err(_) => self.end(),
        }
    }

    /// Lets go of what is held, if it has been held for long enough.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline.is_some_and(|d| d <= now) {
            self.release();
            self.flush();
        }
    }

    /// Whether there is something to read at once.
    pub fn is_readable(&self) -> bool {
        self.source.as_ref().is_some_and(|source| is_ready(source.as_fd(), PollFlags::POLLIN))
    }

    /// Reads no more: the rest of what is held goes out.
    pub fn end(&mut self) {
        self.source = None;
        self.through(|stream, out| stream.finish(out));
        self.deadline = None;
        self.flush();
    }

    /// The values that were masked since the last call.
    pub fn take_leaks(&mut self) -> (Vec<Leaked>, u64) {
        let (mut all, mut uncounted) = (Vec::new(), 0);
        for (stream, mask) in &mut self.masks {
            let (leaks, more) = stream.take_leaks();
            uncounted += more;
            all.extend(leaks.into_iter().filter_map(|leak| {
                Some(Leaked { secret: mask.secrets.get(leak.value)?.clone(), stream: self.stream, leak })
            }));
        }
        (all, uncounted)
    }

    fn is_holding(&self) -> bool {
        self.masks.iter().any(|(stream, _)| stream.is_holding())
    }

    fn release(&mut self) {
        self.through(|stream, out| stream.release(out));
        self.deadline = None;
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.reset();
        let Some(((first, _), rest)) = self.masks.split_first_mut() else {
            self.pending.extend_from_slice(bytes);
            return;
        };
        first.push(bytes, &mut self.pending);
        for (stream, _) in rest {
            let before = std::mem::take(&mut self.pending);
            stream.push(&before, &mut self.pending);
        }
    }

    /// Lets each mask do something, with what comes out of the ones before it.
    fn through(&mut self, act: impl Fn(&mut MaskStream, &mut Vec<u8>)) {
        self.reset();
        let kept = std::mem::take(&mut self.pending);
        let mut flowing = Vec::new();
        for (stream, _) in &mut self.masks {
            let mut out = Vec::new();
            stream.push(&flowing, &mut out);
            act(stream, &mut out);
            flowing = out;
        }
        self.pending = kept;
        self.pending.extend_from_slice(&flowing);
    }

    fn reset(&mut self) {
        if !self.has_pending() {
            self.pending.clear();
            self.written = 0;
        }
    }

    fn flush(&mut self) {
        while self.has_pending() {
            let rest = &self.pending[self.written..];
            let most = match self.sink_kind {
                Sink::File => rest.len(),
                _ if !is_ready(self.sink.as_fd(), PollFlags::POLLOUT) => return,
                Sink::Pipe { capacity } if waiting_bytes(self.sink.as_fd()) == Some(0) => capacity,
                Sink::Pipe { .. } | Sink::Other => ATOMIC,
            };
            match nix::unistd::write(&self.sink, &rest[..rest.len().min(most)]) {
                Ok(count) => self.written += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    // Nobody reads: the child is to notice, as if it wrote there itself.
                    self.source = None;
                    self.deadline = None;
                    self.pending.clear();
                    self.written = 0;
                }
            }
        }
        self.reset();
    }
}

fn is_ready(fd: BorrowedFd<'_>, flags: PollFlags) -> bool {
    matches!(poll(&mut [PollFd::new(fd, flags)], PollTimeout::ZERO), Ok(1..))
}
