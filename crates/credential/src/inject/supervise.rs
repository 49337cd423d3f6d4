//! Staying beside a command: its signals, its output, its end.
//!
//! - A command without a terminal of its own stays in custody's process group, so that what a terminal sends (Ctrl-C)
//!   and what others send to the group reaches it directly; only signals for custody alone are passed on.
//! - With a terminal of its own it leads a session; custody's terminal is raw then, and signals go to its group.
//! - It is ended by SIGTERM when custody itself is killed. Custody is no subreaper: what a command leaves behind belongs
//!   to init, as it would without custody.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpid, isatty};

use super::channel::{Channel, Mask};
use super::exec::{self, Change, SpawnError, Start};
use super::outlets::Outlets;
use super::rotation::Watch;
use super::terminal::{Request, Terminal};
use super::{
    Command, Ended, Event, InjectError, Injection, Leaked, Leftover, Masking, OnRotate, Prepared, Protection, Secret,
    Settings, Status, TerminalMode,
};

/// Custody beside a command.
pub struct Supervisor<'a> {
    command: &'a Command,
    prepared: Prepared,
    settings: Settings,
    protection: &'a Protection,
    signals: SignalFd,
    /// What was blocked before.
    blocked: SigSet,
    child: Pid,
    channels: Vec<Channel>,
    terminal: Option<Terminal>,
    watch: Option<Watch>,
    restart: Restart,
}

/// Where a restart stands.
enum Restart {
    No,
    /// The child was asked to end, and is killed at this time.
    Ending {
        prepared: Box<Prepared>,
        kill_at: Option<Instant>,
    },
}

impl<'a> Supervisor<'a> {
    /// Starts the command.
    pub fn start(
        command: &'a Command,
        prepared: Prepared,
        mask: Option<Mask>,
        mut settings: Settings,
        protection: &'a Protection,
    ) -> Result<Supervisor<'a>, InjectError> {
        let watched = exec::forwarded();
        let mut blocked = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&watched), Some(&mut blocked))
            .map_err(InjectError::system("block signals"))?;
        exec::watch_children();
        let signals = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(InjectError::system("watch signals"))?;
        let wants_terminal = mask.is_some() && settings.terminal == TerminalMode::Auto;
        let terminal = if wants_terminal { Terminal::open() } else { None };
        let watch = match settings.rotation.as_mut() {
            Some(rotation) => {
                let poll = std::mem::replace(&mut rotation.poll, Box::new(|| Ok(None)));
                Some(Watch::start(rotation.interval, poll)?)
            }
            None => None,
        };
        let mut supervisor = Supervisor {
            command,
            prepared,
            settings,
            protection,
            signals,
            blocked,
            child: Pid::from_raw(0),
            channels: Vec::new(),
            terminal,
            watch,
            restart: Restart::No,
        };
        if let Some(terminal) = &mut supervisor.terminal {
            terminal.engage();
        }
        let mut outlets = Outlets::default();
        if let Some(mask) = &mask {
            let hold = supervisor.settings.hold;
            (outlets, supervisor.channels) = Outlets::open(supervisor.terminal.as_ref(), mask, hold)?;
        }
        supervisor.spawn(&outlets)?;
        Ok(supervisor)
    }

    fn spawn(&mut self, outlets: &Outlets) -> Result<(), InjectError> {
        let slave = self.terminal.as_ref().map(|t| t.slave().as_raw_fd());
        let typed = slave.filter(|_| isatty(io::stdin()).unwrap_or(false));
        let [output, error] = outlets.raw();
        let kept = self.prepared.kept();
        let start = Start {
            image: &self.prepared.image,
            standard: [typed, output, error],
            kept: &kept,
            terminal: slave,
            blocked: self.blocked,
            protection: self.protection,
        };
        match exec::spawn(&start) {
            Ok(child) => {
                self.child = child;
                // The child has what it needs; the strings with the values are overwritten.
                self.prepared.image = super::Image::empty();
                self.prepared.descriptors.clear();
                Ok(())
            }
            Err(SpawnError::Fork(errno)) => Err(InjectError::System { what: "start a process", source: errno.into() }),
            Err(SpawnError::Execute(errno)) => Err(exec::explain(errno, self.command, &self.prepared.image)),
        }
    }

    /// Stays until the command has ended.
    pub fn finish(mut self, unmasked: Vec<Secret>) -> Result<Ended, InjectError> {
        let mut scratch = Vec::new();
        let status = loop {
            let ready = self.wait();
            if ready.typed {
                self.pass_typed();
            }
            if let Some(terminal) = &mut self.terminal {
                terminal.flush_typed();
            }
            for index in ready.channels {
                self.channels[index].transfer(&mut scratch);
            }
            let now = Instant::now();
            self.channels.iter_mut().for_each(|c| c.expire(now));
            if ready.news {
                self.hear_news();
            }
            if ready.signals
                && let Some(status) = self.handle_signals()
                && !self.start_again(&mut scratch)?
            {
                break status;
            }
            self.kill_late_child(now);
        };
        self.end(status, unmasked, &mut scratch)
    }

    /// Waits until there is something to do.
    fn wait<'s>(&'s self) -> Ready {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let mut push = |fd: Option<BorrowedFd<'s>>, flags| {
            fd.map(|fd| {
                fds.push(PollFd::new(fd, flags));
                fds.len() - 1
            })
        };
        let keyboard = push(self.terminal.as_ref().and_then(Terminal::keyboard), PollFlags::POLLIN);
        push(self.terminal.as_ref().and_then(Terminal::backlog), PollFlags::POLLOUT);
        let bell = push(self.watch.as_ref().map(|w| w.bell.as_fd()), PollFlags::POLLIN);
        let mut channels = Vec::with_capacity(self.channels.len());
        for (index, channel) in self.channels.iter().enumerate() {
            if let Some((fd, flags)) = channel.interest() {
                channels.push((index, push(Some(fd), flags)));
            }
        }
        let killing = match &self.restart {
            Restart::Ending { kill_at, .. } => *kill_at,
            Restart::No => None,
        };
        let next = self.channels.iter().filter_map(Channel::deadline).chain(killing).min();
        let _ = poll(&mut fds, timeout_until(next));
        let is_ready = |at: usize| fds[at].revents().is_some_and(|r| !r.is_empty());
        Ready {
            signals: is_ready(0),
            typed: keyboard.is_some_and(is_ready),
            news: bell.is_some_and(is_ready),
            channels: channels.iter().filter(|(_, at)| at.is_some_and(is_ready)).map(|(index, _)| *index).collect(),
        }
    }

    fn pass_typed(&mut self) {
        let request = self.terminal.as_mut().and_then(|t| t.pass_typed(self.child));
        if request == Some(Request::Suspend) {
            self.suspend();
        }
    }

    /// Handles what came; gives the child's status if it has ended.
    fn handle_signals(&mut self) -> Option<Status> {
        let mut has_changed = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            let number = i32::try_from(info.ssi_signo).unwrap_or(0);
            if number == Signal::SIGCHLD as i32 {
                has_changed = true;
            } else if info.ssi_pid != getpid().as_raw().unsigned_abs() || info.ssi_code != libc::SI_USER {
                self.forward(number, info.ssi_code);
            }
        }
        if !has_changed {
            return None;
        }
        loop {
            match exec::changed(self.child) {
                None => return None,
                Some(Change::Exited(code)) => return Some(Status::Exited(u8::try_from(code).unwrap_or(u8::MAX))),
                Some(Change::Signalled(number)) => return Some(Status::Signalled(number)),
                Some(Change::Stopped(number)) => self.follow_stop(number),
            }
        }
    }

    /// Passes a signal on to the child.
    fn forward(&mut self, number: i32, code: i32) {
        const BY_TERMINAL: [Signal; 6] =
            [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGHUP, Signal::SIGCONT, Signal::SIGWINCH];
        let Some(terminal) = &mut self.terminal else {
            // A terminal sends to the whole group: the child has it.
            let has_it = code == libc::SI_KERNEL && BY_TERMINAL.iter().any(|&s| s as i32 == number);
            if !has_it {
                exec::send(self.child, number);
            }
            return;
        };
        if number == Signal::SIGWINCH as i32 {
            terminal.resize();
        } else if number == Signal::SIGTSTP as i32 {
            self.suspend();
        } else {
            if number == Signal::SIGCONT as i32 {
                terminal.engage();
            }
            exec::send(Pid::from_raw(-self.child.as_raw()), number);
        }
    }

    /// The child was stopped: custody stops too, so that the shell sees the job stopped.
    fn follow_stop(&mut self, number: i32) {
        let by_job_control = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU].iter().any(|&s| s as i32 == number);
        match (&self.terminal, by_job_control) {
            (None, true) => exec::send(getpid(), Signal::SIGSTOP as i32),
            (Some(_), true) => self.suspend(),
            (_, false) => {}
        }
    }

    /// Suspends the child with its terminal and custody itself, and goes on when the shell says so.
    fn suspend(&mut self) {
        let group = Pid::from_raw(-self.child.as_raw());
        // Not SIGTSTP: the child's group has no parent in its session, and the kernel would drop it.
        exec::send(group, Signal::SIGSTOP as i32);
        if let Some(terminal) = &mut self.terminal {
            terminal.disengage();
        }
        // The rest of custody's own job, as the key would have done.
        exec::send(Pid::from_raw(0), Signal::SIGTSTP as i32);
        exec::send(getpid(), Signal::SIGSTOP as i32);
        if let Some(terminal) = &mut self.terminal {
            terminal.engage();
            terminal.resize();
        }
        exec::send(group, Signal::SIGCONT as i32);
    }

    /// Takes new values in.
    fn hear_news(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let _ = watch.bell.read(&mut [0; 64]);
        let news: Vec<_> = watch.news.try_iter().collect();
        for news in news {
            let event = match news {
                Err(why) => Event::Unknown { why },
                Ok(injections) => {
                    let keys = injections.iter().map(|i| i.key.clone()).collect();
                    let rotated = self.rotate(&injections);
                    drop(injections);
                    super::memory::scrub_stack();
                    match rotated {
                        Ok(()) => Event::Rotated { keys },
                        Err(error) => Event::Unusable { why: error.to_string() },
                    }
                }
            };
            (self.settings.report)(&event);
        }
    }

    fn rotate(&mut self, injections: &[Injection]) -> Result<(), InjectError> {
        super::plan::check(injections)?;
        let Some((action, grace)) = self.settings.rotation.as_ref().map(|r| (r.action, r.grace)) else {
            return Ok(());
        };
        if self.settings.masking == Masking::On
            && let (Some(mask), _) = super::mask(injections)?
        {
            self.channels.iter_mut().for_each(|c| c.mask(&mask));
        }
        match action {
            OnRotate::Signal(number) => {
                if let Some(directory) = &self.prepared.directory {
                    for injection in injections.iter().filter(|i| i.target == super::Target::File) {
                        let put = directory.put(&injection.key, &injection.value);
                        put.map_err(|source| InjectError::System { what: "write a value's file", source })?;
                    }
                }
                exec::send(self.child, number);
            }
            OnRotate::Restart => {
                let prepared = Box::new(Prepared::new(self.command, injections, &self.settings)?);
                if matches!(self.restart, Restart::No) {
                    exec::send(self.whole_child(), Signal::SIGTERM as i32);
                }
                self.restart = Restart::Ending { prepared, kill_at: Some(Instant::now() + grace) };
            }
        }
        Ok(())
    }

    /// The child, with its group where that is its own.
    fn whole_child(&self) -> Pid {
        let sign = if self.terminal.is_some() { -1 } else { 1 };
        Pid::from_raw(sign * self.child.as_raw())
    }

    fn kill_late_child(&mut self, now: Instant) {
        let whole = self.whole_child();
        if let Restart::Ending { kill_at, .. } = &mut self.restart
            && kill_at.is_some_and(|at| at <= now)
        {
            exec::send(whole, Signal::SIGKILL as i32);
            *kill_at = None;
        }
    }

    /// Starts the command again if its end was for a rotation. Whether it was.
    fn start_again(&mut self, scratch: &mut Vec<u8>) -> Result<bool, InjectError> {
        let Restart::Ending { prepared, .. } = std::mem::replace(&mut self.restart, Restart::No) else {
            return Ok(false);
        };
        self.empty_channels(scratch);
        self.prepared = *prepared;
        let outlets = Outlets::reopen(self.terminal.as_ref(), &mut self.channels)?;
        self.spawn(&outlets)?;
        Ok(true)
    }

    /// Reads and writes what is there without waiting for more.
    fn empty_channels(&mut self, scratch: &mut Vec<u8>) {
        for index in 0..self.channels.len() {
            while self.channels[index].is_readable() {
                self.channels[index].transfer(scratch);
                if !self.write_out(index) {
                    return;
                }
            }
        }
    }

    /// Writes what a channel has, and gives up when a signal asks custody to end. Whether it was written.
    fn write_out(&mut self, index: usize) -> bool {
        while let Some((sink, flags)) = self.channels[index].interest() {
            if flags != PollFlags::POLLOUT {
                break;
            }
            let mut fds = [PollFd::new(sink, flags), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::NONE);
            if fds[1].revents().is_some_and(|r| !r.is_empty()) {
                while let Ok(Some(info)) = self.signals.read_signal() {
                    let ends = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
                    if ends.iter().any(|&s| s as u32 == info.ssi_signo) {
                        return false;
                    }
                }
            }
            self.channels[index].transfer(&mut Vec::new());
        }
        true
    }

    /// The command has ended: its last output, its files, what it left behind.
    fn end(mut self, status: Status, unmasked: Vec<Secret>, scratch: &mut Vec<u8>) -> Result<Ended, InjectError> {
        self.prepared.directory = None;
        self.watch = None;
        self.empty_channels(scratch);
        let is_left = self.terminal.is_none() && self.channels.iter().any(|c| !c.is_done());
        let mut is_behind = false;
        let mut ended = Ended { status, leaks: Vec::new(), uncounted: 0, unmasked, is_behind: false };
        match self.settings.leftover {
            Leftover::Wait if is_left => self.read_all(scratch),
            Leftover::GoOnBehind if is_left => {
                (ended.leaks, ended.uncounted) = self.take_leaks();
                match exec::go_on_behind() {
                    Ok(true) => {
                        is_behind = true;
                        (ended.leaks, ended.uncounted, ended.unmasked) = (Vec::new(), 0, Vec::new());
                        // Nobody watches over it any more: signals end it as they end anything.
                        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.blocked), None);
                        self.read_all(scratch);
                    }
                    Ok(false) => {
                        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.blocked), None);
                        return Ok(ended);
                    }
                    Err(_) => {}
                }
            }
            _ => {}
        }
        for index in 0..self.channels.len() {
            self.channels[index].end();
            if !self.write_out(index) {
                break;
            }
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.disengage();
        }
        let (leaks, uncounted) = self.take_leaks();
        ended.leaks.extend(leaks);
        ended.uncounted += uncounted;
        ended.is_behind = is_behind;
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.blocked), None);
        Ok(ended)
    }

    /// Reads until nobody holds the output any more.
    fn read_all(&mut self, scratch: &mut Vec<u8>) {
        while self.channels.iter().any(|c| !c.is_done()) {
            let mut fds = Vec::new();
            let mut indices = Vec::new();
            for (index, channel) in self.channels.iter().enumerate() {
                if let Some((fd, flags)) = channel.interest() {
                    fds.push(PollFd::new(fd, flags));
                    indices.push(index);
                }
            }
            let next = self.channels.iter().filter_map(Channel::deadline).min();
            let _ = poll(&mut fds, timeout_until(next));
            let ready: Vec<usize> = indices
                .into_iter()
                .zip(&fds)
                .filter(|(_, f)| f.revents().is_some_and(|r| !r.is_empty()))
                .map(|(i, _)| i)
                .collect();
            drop(fds);
            ready.into_iter().for_each(|index| self.channels[index].transfer(scratch));
            let now = Instant::now();
            self.channels.iter_mut().for_each(|c| c.expire(now));
        }
    }

    fn take_leaks(&mut self) -> (Vec<Leaked>, u64) {
        let (mut leaks, mut uncounted) = (Vec::new(), 0);
        for channel in &mut self.channels {
            let (some, more) = channel.take_leaks();
            leaks.extend(some);
            uncounted += more;
        }
        (leaks, uncounted)
    }
}

/// What can be done without waiting.
struct Ready {
    signals: bool,
    typed: bool,
    news: bool,
    channels: Vec<usize>,
}

fn timeout_until(next: Option<Instant>) -> PollTimeout {
    let Some(next) = next else { return PollTimeout::NONE };
    // A millisecond more: else poll would come back just before it.
    let left = next.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}
