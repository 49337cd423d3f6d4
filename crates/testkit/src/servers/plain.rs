//! One HTTP exchange without a library: for setting servers up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Status; 0 if nobody answered.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

impl Exchange {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Asks a server on the loopback; `headers` are lines without their ends.
pub fn exchange(port: u16, method: &str, path: &str, headers: &[String], body: &str) -> Exchange {
    let head: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{head}Connection: close\r\n\r\n{body}"
    );
    let mut answer = Vec::new();
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(request.as_bytes())?;
        stream.read_to_end(&mut answer)
    });
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).filter(|_| asked.is_ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Exchange { status: status.unwrap_or(0), body }
}
