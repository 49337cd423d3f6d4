//! A session bus with GNOME Keyring on it (the Secret Service), unlocked, both of their own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::{Server, tool};

/// A running keyring.
#[derive(Debug)]
pub struct Keyring {
    _daemon: Server,
    _bus: Server,
    _home: tempfile::TempDir,
    address: String,
}

impl Keyring {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// If it is not installed (Debian `gnome-keyring`, `dbus-daemon`, `dbus-bin`) or does not start.
    pub fn start() -> Self {
        // A socket's path is short.
        let home = tempfile::TempDir::with_prefix_in("ck", "/tmp").expect("a temporary folder");
        let mut bus = Command::new(tool("dbus-daemon"))
            .args(["--session", "--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon runs");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().expect("piped")).read_line(&mut address).expect("an address");
        let address = address.trim().to_owned();
        let mut daemon = Command::new(tool("gnome-keyring-daemon"))
            .args(["--foreground", "--unlock", "--components=secrets"])
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .envs(["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"].map(|name| (name, home.path())))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gnome-keyring-daemon runs");
        daemon.stdin.take().expect("piped").write_all(b"an empty ring\n").expect("written");
        let mut daemon = Server(daemon);
        // The bus starts a keyring of its own on demand if ours is not there yet, so ask for ours by its name.
        daemon.wait("gnome-keyring-daemon", || {
            let answer = Command::new(tool("dbus-send"))
                .args(["--session", "--dest=org.freedesktop.DBus", "--print-reply", "/org/freedesktop/DBus"])
                .args(["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"])
                .env("DBUS_SESSION_BUS_ADDRESS", &address)
                .output();
            answer.is_ok_and(|answer| String::from_utf8_lossy(&answer.stdout).contains("true"))
        });
        Self { _daemon: daemon, _bus: Server(bus), _home: home, address }
    }

    /// The bus's address.
    pub fn bus(&self) -> &str {
        &self.address
    }
}
