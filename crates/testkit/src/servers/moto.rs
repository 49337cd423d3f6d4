//! A real moto server: the AWS APIs in memory, with signatures checked.

use std::process::Command;

use super::{Server, exchange, free_port, tool};

/// A running server.
#[derive(Debug)]
pub struct Moto {
    _server: Server,
    port: u16,
}

impl Moto {
    /// Starts one that takes any signature, for setting things up; see [`Moto::check_signatures`].
    ///
    /// # Panics
    /// If it is not installed (PyPI `moto[server]`) or does not start.
    pub fn start() -> Self {
        let port = free_port();
        let mut command = Command::new(tool("moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command.env_remove("INITIAL_NO_AUTH_ACTION_COUNT").env("PYTHONDONTWRITEBYTECODE", "1");
        let mut server = Server::start(&mut command);
        server.wait("moto_server", || exchange(port, "GET", "/moto-api/data.json", &[], "").status == 200);
        Self { _server: server, port }
    }

    /// From now on each request must be signed by a user that exists, and be allowed to it (`count` more are free).
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn check_signatures(&self, count: u32) {
        let headers = ["Content-Type: text/plain".to_owned()];
        let answer = exchange(self.port, "POST", "/moto-api/reset-auth", &headers, &count.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// `http://127.0.0.1:…`
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls a service in AWS JSON 1.1 without a valid signature.
    ///
    /// # Panics
    /// If the status is not 200.
    #[track_caller]
    pub fn call(&self, service: &str, target: &str, body: serde_json::Value) -> serde_json::Value {
        let headers = [
            "Content-Type: application/x-amz-json-1.1".to_owned(),
            format!("X-Amz-Target: {target}"),
            format!(
                "Authorization: AWS4-HMAC-SHA256 Credential=mock/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
            ),
        ];
        let answer = exchange(self.port, "POST", "/", &headers, &body.to_string());
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        answer.json()
    }

    /// Calls IAM or STS by form fields; the XML answer.
    ///
    /// # Panics
    /// If the status is not 200.
    #[track_caller]
    pub fn query(&self, service: &str, form: &str) -> String {
        let headers = [
            "Content-Type: application/x-www-form-urlencoded".to_owned(),
            format!(
                "Authorization: AWS4-HMAC-SHA256 Credential=mock/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
            ),
        ];
        let answer = exchange(self.port, "POST", "/", &headers, form);
        assert_eq!(answer.status, 200, "{form}: {}", answer.body);
        answer.body
    }
}
