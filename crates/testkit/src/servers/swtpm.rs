//! A TPM 2.0 in software: swtpm.

use std::net::TcpStream;
use std::process::Command;

use super::{Server, free_port, tool};

/// A running TPM.
#[derive(Debug)]
pub struct SwTpm {
    _server: Server,
    port: u16,
    _state: tempfile::TempDir,
}

impl SwTpm {
    /// Starts a new one, which shares no key with any other.
    ///
    /// # Panics
    /// If it is not installed (Debian `swtpm`) or does not start.
    pub fn start() -> Self {
        let state = tempfile::tempdir().expect("a temporary folder");
        // tpm2-tools take the port after it as the control channel's.
        let port = (0..100).map(|_| free_port()).find(|port| is_free(port + 1)).expect("two ports side by side");
        let mut command = Command::new(tool("swtpm"));
        command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
        command.arg("--tpmstate").arg(format!("dir={}", state.path().display()));
        command.args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1")]);
        command.args(["--ctrl", &format!("type=tcp,port={},bindaddr=127.0.0.1", port + 1)]);
        let mut server = Server::start(&mut command);
        // Connecting to the TPM's own port would end it: it serves one connection after the other.
        server.wait("swtpm", || TcpStream::connect(("127.0.0.1", port + 1)).is_ok());
        Self { _server: server, port, _state: state }
    }

    /// How tpm2-tools reach it.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Runs one of tpm2-tools with it.
    ///
    /// # Panics
    /// If it is not installed (Debian `tpm2-tools`) or fails.
    pub fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(tool(program));
        let output = command.args(arguments).env("TPM2TOOLS_TCTI", self.tcti()).output().expect("it runs");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}
