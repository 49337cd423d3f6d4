//! The ioctls for a terminal's size and for what a pipe holds.
#![expect(unsafe_code, reason = "ioctls; the argument stands at each block")]

use std::ffi::c_int;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::libc;
use nix::pty::Winsize;

/// The size of a terminal, if it is one.
pub fn size_of(terminal: BorrowedFd<'_>) -> Option<Winsize> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // Safety: the descriptor is open, and the kernel writes a `winsize` into one of this frame.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0).then_some(size)
}

/// Gives a terminal a size; the kernel tells who uses it.
pub fn set_size(terminal: BorrowedFd<'_>, size: Winsize) {
    // Safety: the descriptor is open, and the kernel reads a `winsize` of this frame.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}

/// How many bytes wait in a pipe to be read, if that can be told.
pub fn waiting_bytes(pipe: BorrowedFd<'_>) -> Option<usize> {
    let mut count: c_int = 0;
    // Safety: the descriptor is open, and the kernel writes an integer into one of this frame.
    let done = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    (done == 0).then(|| usize::try_from(count).ok()).flatten()
}
