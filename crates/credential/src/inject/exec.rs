//! Replacing this process, and starting a child: `clone` and `execve` without the copies that the standard library makes.
#![expect(unsafe_code, reason = "fork, execve and signals; the argument stands at each block")]

use std::ffi::{CStr, c_int};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, signal};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, setsid};

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
///
/// As vfork(2) does: the child borrows this process's memory until then, so that none is copied. It has a stack of its own.
pub fn spawn(start: &Start<'_>) -> Result<Pid, SpawnError> {
    let parent = getpid();
    let mut script_argv = start.image.script_argv.clone();
    let mut stack = vec![0; 32 << 10];
    let failed = AtomicI32::new(0);
    let mut own = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut own)).map_err(SpawnError::Fork)?;
    let child = || {
        default_handlers();
        let _ = set_pdeathsig(Signal::SIGTERM);
        let errno = if getppid() != parent {
            // The parent died before it could be watched.
            Errno::ECANCELED
        } else {
            prepare(start);
            execute(start.image, &mut script_argv)
        };
        failed.store(errno as c_int, Ordering::Relaxed);
        // Safety: ends the child at once, without running anything of the parent's.
        unsafe { libc::_exit(127) }
    };
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    // Safety: the child makes system calls only; it allocates nothing and takes no lock, so that other threads of this
    // process do not matter. This thread stands still until the child has another image or has ended, so that what the
    // child borrows is there as long as it needs it, and nobody else writes to it. No handler runs in the child: all
    // signals are blocked until it has none. The stack is ten times what its calls take.
    let child = unsafe { clone(Box::new(child), &mut stack, flags, Some(libc::SIGCHLD)) };
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&own), None);
    let child = child.map_err(SpawnError::Fork)?;
    match failed.load(Ordering::Relaxed) {
        0 => Ok(child),
        errno => {
            let _ = nix::sys::wait::waitpid(child, None);
            Err(SpawnError::Execute(Errno::from_raw(errno)))
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

/// Takes away all handlers, as executing a program does: none may run on memory that is another process's too. System
/// calls only.
fn default_handlers() {
    for number in 1..=libc::SIGRTMAX() {
        // Safety: an action of zeros is a valid one; the kernel fills it, and it is given back with the default handler,
        // which runs no code of ours. Signals that do not exist are refused.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(number, std::ptr::null(), &mut action) == 0
                && ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)
            {
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(number, &action, std::ptr::null_mut());
            }
        }
    }
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
