//! Replacing this process, and starting a child: `fork` and `execve` without the copies that the standard library makes.
#![expect(unsafe_code, reason = "fork, execve and signals; the argument stands at each block")]

use std::ffi::{CStr, c_int};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, signal};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2, setsid};

use super::image::{Image, SHELL};
use super::{InjectError, Protection};

/// How the child differs from this process, besides its image.
#[derive(Debug)]
pub struct Start<'a> {
    /// What it executes.
    pub image: &'a Image,
    /// Descriptors for its standard input, output and error, where they are not this process's.
    pub standard: [Option<RawFd>; 3],
    /// Descriptors that it keeps.
    pub kept: &'a [RawFd],
    /// A terminal that becomes its controlling terminal, in a session of its own.
    pub terminal: Option<RawFd>,
    /// Signals that are blocked in it.
    pub blocked: SigSet,
    /// What has to be undone.
    pub protection: &'a Protection,
}

/// Replaces this process. Returns only if that fails.
pub fn replace(start: &Start<'_>) -> Errno {
    prepare(start);
    let mut script_argv = start.image.script_argv.clone();
    execute(start.image, &mut script_argv)
}

/// Starts a child and waits until it executes its program.
pub fn spawn(start: &Start<'_>) -> Result<Pid, SpawnError> {
    let (failed, report) = pipe2(OFlag::O_CLOEXEC).map_err(SpawnError::Fork)?;
    let parent = getpid();
    let mut script_argv = start.image.script_argv.clone();
    // Safety: between fork and exec the child makes system calls only; it allocates nothing and takes no lock, so that
    // other threads of this process do not matter.
    match unsafe { fork() }.map_err(SpawnError::Fork)? {
        ForkResult::Child => {
            let _ = set_pdeathsig(Signal::SIGTERM);
            let errno = if getppid() != parent {
                // The parent died before it could be watched.
                Errno::ECANCELED
            } else {
                prepare(start);
                execute(start.image, &mut script_argv)
            };
            let _ = nix::unistd::write(&report, &(errno as c_int).to_ne_bytes());
            // Safety: ends the child at once, without running anything of the parent's.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => {
            drop(report);
            let mut errno = [0; 4];
            match std::fs::File::from(failed).read_exact(&mut errno) {
                Ok(()) => {
                    let _ = nix::sys::wait::waitpid(child, None);
                    Err(SpawnError::Execute(Errno::from_raw(c_int::from_ne_bytes(errno))))
                }
                Err(_) => Ok(child),
            }
        }
    }
}

/// What kept a child from being started.
#[derive(Debug)]
pub enum SpawnError {
    /// There is no child.
    Fork(Errno),
    /// There was one and it could not execute the program.
    Execute(Errno),
}

/// Makes this process what the child is to be. System calls only.
fn prepare(start: &Start<'_>) {
    if let Some(terminal) = start.terminal {
        let _ = setsid();
        // Safety: an ioctl without a pointer, on an open descriptor.
        unsafe { libc::ioctl(terminal, libc::TIOCSCTTY, 0) };
    }
    for (target, source) in (0..).zip(start.standard) {
        if let Some(source) = source {
            // Safety: both descriptors are numbers; the kernel checks them. The copy is not closed on exec.
            unsafe { libc::dup2(source, target) };
        }
    }
    for &fd in start.kept {
        // Safety: as above; takes the flag away that closes it on exec.
        unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
    }
    // Rust's runtime ignores SIGPIPE; a command that writes into a closed pipe is to end by it.
    // Safety: the default disposition runs no code of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    start.protection.restore_core_limit();
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&start.blocked), None);
}

/// Tries each candidate as execvp(3) does. System calls only.
fn execute(image: &Image, script_argv: &mut [*const libc::c_char]) -> Errno {
    let mut denied = false;
    let run = |path: &CStr, argv: *const *const libc::c_char| {
        // Safety: `path` is a C string; both arrays end in null and hold pointers to C strings that `image` owns.
        unsafe { libc::execve(path.as_ptr(), argv, image.envp.as_ptr()) };
        Errno::last()
    };
    for candidate in &image.candidates {
        match run(candidate, image.argv.as_ptr()) {
            Errno::ENOEXEC => {
                script_argv[1] = candidate.as_ptr();
                return match run(SHELL, script_argv.as_ptr()) {
                    Errno::ENOENT => Errno::ENOEXEC,
                    errno => errno,
                };
            }
            Errno::EACCES => denied = true,
            Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT => {}
            errno => return errno,
        }
    }
    if denied { Errno::EACCES } else { Errno::ENOENT }
}

/// Says why a command was not executed.
pub fn explain(errno: Errno, command: &super::Command, image: &Image) -> InjectError {
    let is_there = || image.candidates.iter().any(|c| nix::sys::stat::stat(c.as_c_str()).is_ok());
    let shown = command.shown();
    match errno {
        Errno::ENOENT | Errno::ENOTDIR if is_there() => {
            InjectError::NotFound { command: shown, why: "the file is there, but not the interpreter that it names" }
        }
        Errno::ENOENT | Errno::ENOTDIR if command.program.to_string_lossy().contains('/') => {
            InjectError::NotFound { command: shown, why: "there is no such file" }
        }
        Errno::ENOENT | Errno::ENOTDIR => InjectError::NotFound { command: shown, why: "no directory of PATH has it" },
        errno => InjectError::NotExecutable { command: shown, source: errno.into() },
    }
}

/// What became of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It ended with this exit code.
    Exited(c_int),
    /// It was ended by this signal.
    Signalled(c_int),
    /// It was stopped by this signal.
    Stopped(c_int),
}

/// What became of a child since the last call, without waiting. By number: `nix` does not know real-time signals.
pub fn changed(child: Pid) -> Option<Change> {
    loop {
        let mut status = 0;
        // Safety: the kernel writes the status into an integer of this frame.
        let pid = unsafe { libc::waitpid(child.as_raw(), &mut status, libc::WNOHANG | libc::WUNTRACED) };
        if pid < 0 && Errno::last() == Errno::EINTR {
            continue;
        }
        return match pid {
            ..=0 => None,
            _ if libc::WIFEXITED(status) => Some(Change::Exited(libc::WEXITSTATUS(status))),
            _ if libc::WIFSIGNALED(status) => Some(Change::Signalled(libc::WTERMSIG(status))),
            _ if libc::WIFSTOPPED(status) => Some(Change::Stopped(libc::WSTOPSIG(status))),
            _ => None,
        };
    }
}

/// Sends a signal, by number: real-time signals have no name in `nix`.
pub fn send(pid: Pid, number: c_int) {
    // Safety: takes two numbers; `pid` is a child of this process that was not waited for, or its group.
    unsafe { libc::kill(pid.as_raw(), number) };
}

/// All signals that another process may mean for the command, and SIGCHLD.
///
/// Not among them: what cannot be caught, what the kernel sends for a fault of this process itself, SIGPIPE, and SIGTTIN
/// and SIGTTOU, which are about this process's own use of the terminal.
pub fn forwarded() -> SigSet {
    let mut set = SigSet::empty();
    let named = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGCONT,
        Signal::SIGTSTP,
        Signal::SIGWINCH,
        Signal::SIGIO,
        Signal::SIGPWR,
        Signal::SIGURG,
        Signal::SIGCHLD,
    ];
    named.into_iter().for_each(|s| set.add(s));
    let mut raw: libc::sigset_t = *set.as_ref();
    for number in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        // Safety: `raw` is an initialised set of this frame.
        unsafe { libc::sigaddset(&mut raw, number) };
    }
    // Safety: `raw` is an initialised set with valid signals.
    unsafe { SigSet::from_sigset_t_unchecked(raw) }
}

/// SIGCHLD must not be ignored, or children could not be waited for; gives back nothing.
pub fn watch_children() {
    // Safety: the default disposition runs no code of ours.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
}

/// Ends this process by a signal, so that its parent sees the same as if it had run the command itself. Returns only
/// where the system does not allow that.
pub fn die_by(number: c_int) {
    let Ok(named) = Signal::try_from(number) else {
        // A real-time signal.
        // Safety: takes numbers; the default disposition runs no code of ours.
        unsafe {
            libc::signal(number, libc::SIG_DFL);
            let mut set: libc::sigset_t = *SigSet::empty().as_ref();
            libc::sigaddset(&mut set, number);
            libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
            libc::raise(number);
        }
        return;
    };
    // Safety: as above.
    let _ = unsafe { signal(named, SigHandler::SigDfl) };
    let mut set = SigSet::empty();
    set.add(named);
    let _ = pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None);
    let _ = nix::sys::signal::raise(named);
}

/// Forks this process for work that goes on after it. Returns whether this is the new one.
pub fn go_on_behind() -> Result<bool, Errno> {
    // Safety: the caller is the only thread that touches what it goes on with; the allocator handles forks.
    Ok(matches!(unsafe { fork() }?, ForkResult::Child))
}

/// A descriptor's number for the child.
pub fn raw(fd: &OwnedFd) -> RawFd {
    fd.as_raw_fd()
}
