//! Rotation while a command runs: a thread asks now and then whether there are new values.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::{InjectError, Injection};

/// What the child gets when a value was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRotate {
    /// It is ended (SIGTERM, after [`Rotation::grace`] SIGKILL) and started again with the new values.
    Restart,
    /// This signal, after files were replaced. A variable of a process that runs cannot be changed.
    Signal(i32),
}

/// Asks whether there are new values: none, all of them anew, or why that cannot be told (without secret material).
pub type Poll = Box<dyn FnMut() -> Result<Option<Vec<Injection>>, String> + Send>;

/// How to follow rotation.
pub struct Rotation {
    /// How often to ask.
    pub interval: Duration,
    /// What to do.
    pub action: OnRotate,
    /// How long a child that is restarted has to end.
    pub grace: Duration,
    /// Asks.
    pub poll: Poll,
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rotation({:?} every {:?})", self.action, self.interval)
    }
}

/// What the thread found.
pub type News = Result<Vec<Injection>, String>;

/// The thread, and the way to hear from it. It ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    /// Readable when there is news.
    pub bell: File,
    pub news: Receiver<News>,
    _stop: Sender<()>,
}

impl Watch {
    /// Starts the thread. Signals have to be blocked before, so that none is handled there.
    pub fn start(interval: Duration, mut poll: Poll) -> Result<Watch, InjectError> {
        let (bell, ring) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(InjectError::system("make a pipe"))?;
        let (tell, news) = channel();
        let (stop, stopped) = channel::<()>();
        let work = move || {
            let mut ring = File::from(ring);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                let found = match poll() {
                    Ok(None) => continue,
                    Ok(Some(injections)) => Ok(injections),
                    Err(why) => Err(why),
                };
                if tell.send(found).is_err() {
                    return;
                }
                let _ = ring.write(&[1]);
            }
        };
        std::thread::Builder::new()
            .name("rotation".into())
            .spawn(work)
            .map_err(|source| InjectError::System { what: "start a thread", source })?;
        Ok(Watch { bell: bell_file(bell), news, _stop: stop })
    }
}

fn bell_file(fd: OwnedFd) -> File {
    fd.into()
}
