//! A real PostgreSQL in a folder of its own. It refuses to run as root, so root starts it as the user `postgres`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Server, free_port};

/// A running server; its superuser is `admin`.
#[derive(Debug)]
pub struct Postgres {
    _server: Server,
    port: u16,
    password: String,
    _folder: tempfile::TempDir,
}

impl Postgres {
    /// Makes a cluster, starts it and waits until it takes connections.
    ///
    /// # Panics
    /// If it is not installed (Debian `postgresql`) or does not start.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let password = format!("{}{port}", ["super", "user"].concat());
        let (data, secret) = (folder.path().join("data"), folder.path().join("password"));
        std::fs::write(&secret, &password).expect("a file");
        let as_root = is_root();
        if as_root {
            own(folder.path());
        }
        let made = command("initdb", as_root)
            .args(["--username=admin", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .arg(format!("--pwfile={}", secret.display()))
            .stdout(Stdio::null())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut start = command("postgres", as_root);
        start.arg("-D").arg(&data).args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]);
        start
            .arg("-c")
            .arg(format!("port={port}"))
            .arg("-c")
            .arg(format!("unix_socket_directories={}", folder.path().display()));
        let mut server = Server::start(&mut start);
        let postgres = |server| Self { _server: server, port, password: password.clone(), _folder: folder };
        server.wait("postgres", || sql(port, "admin", &password, "select 1").is_ok());
        postgres(server)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Runs a statement as the superuser.
    ///
    /// # Panics
    /// If it fails.
    pub fn admin(&self, statement: &str) -> String {
        sql(self.port, "admin", &self.password, statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Runs a statement as somebody.
    ///
    /// # Errors
    /// What psql says.
    pub fn query(&self, user: &str, password: &str, statement: &str) -> Result<String, String> {
        sql(self.port, user, password, statement)
    }
}

fn sql(port: u16, user: &str, password: &str, statement: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", user, "-d", "postgres", "-Atqc", statement])
        .env("PGPASSWORD", password)
        .env("PGCONNECT_TIMEOUT", "10")
        .output()
        .map_err(|error| format!("psql is not installed (Debian `postgresql-client`): {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs as `postgres` with `exec` semantics (`setpriv`), so that the process id is the server's own.
fn command(program: &str, as_root: bool) -> Command {
    let program = program_path(program);
    if !as_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn program_path(program: &str) -> PathBuf {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path().join("bin").join(program))).collect())
        .unwrap_or_default();
    versions.retain(|path: &PathBuf| path.is_file());
    versions.sort();
    versions.pop().unwrap_or_else(|| super::tool(program))
}

fn is_root() -> bool {
    std::env::var_os("USER").is_some_and(|user| user == "root")
        || Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn own(folder: &Path) {
    let owned = Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder).status();
    assert!(owned.is_ok_and(|status| status.success()), "the user `postgres` is made by Debian's `postgresql`");
}
