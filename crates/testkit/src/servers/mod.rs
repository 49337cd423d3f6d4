//! Real servers for integration tests: each starts on a free port of the loopback, is waited for by asking it, and is
//! killed by its process id when it is dropped.
//!
//! A server that is not installed fails the test and says how to install it; nothing is skipped.

mod keyring;
mod latency;
mod moto;
mod openbao;
mod plain;
mod postgres;
mod softhsm;
mod stub;
mod swtpm;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use keyring::Keyring;
pub use latency::LatencyProxy;
pub use moto::Moto;
pub use openbao::OpenBao;
pub use plain::{Exchange, exchange};
pub use postgres::Postgres;
pub use softhsm::SoftHsm;
pub use stub::{Received, Reply, Stub};
pub use swtpm::SwTpm;

/// How long a server may take to be ready on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A child process that does not outlive the test.
#[derive(Debug)]
pub(crate) struct Server(Child);

impl Server {
    /// Starts a command with its outputs thrown away.
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}")))
    }

    /// Waits until `is_ready` says so.
    ///
    /// # Panics
    /// If the process ends or takes too long.
    pub(crate) fn wait(&mut self, name: &str, is_ready: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_ready() {
            if let Ok(Some(status)) = self.0.try_wait() {
                panic!("{name} ended while it was waited for: {status}");
            }
            assert!(begin.elapsed() < START_LIMIT, "{name} was not ready in time");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A port of the loopback that nobody listens on.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("the loopback has a port").port()
}

/// A program that `scripts/setup` installs: from its folder of Python tools, else from `PATH`.
///
/// # Panics
/// If it is nowhere.
pub fn tool(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let own = cache.map(|cache| cache.join("custody/tools/python/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(std::env::split_paths(&path));
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not installed: run scripts/setup"))
}
