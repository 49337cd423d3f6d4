//! A stub of an HTTP service that cannot run here: a test gives the answers, and sees what was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A request as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// `GET`, `POST` …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A field of a form that the body is.
    pub fn form(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, value) = text.split('&').filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == name)?;
        Some(form_decode(value))
    }
}

fn form_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' if rest.len() >= 2 => {
                let digits = String::from_utf8_lossy(&rest[..2]).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// JSON with this status.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// Any text.
    pub fn text(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("Content-Type".into(), kind.into())], body: body.into() }
    }

    /// The same with one header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A running stub. It runs until the process ends.
#[derive(Debug, Clone)]
pub struct Stub {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Stub {
    /// Answers each request by `answer`.
    ///
    /// # Panics
    /// If the loopback has no port.
    pub fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let received = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&received);
        let port = Self::listen(move |stream| {
            let _ended = serve(stream, &*answer, &seen);
        });
        Self { port, received }
    }

    /// Gives each connection to `speak`, which may say whatever it likes: for hostile servers.
    ///
    /// # Panics
    /// If the loopback has no port.
    pub fn raw(speak: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self { port: Self::listen(speak), received: Arc::default() }
    }

    fn listen(speak: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let speak = Arc::new(speak);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let speak = Arc::clone(&speak);
                std::thread::spawn(move || speak(stream));
            }
        });
        port
    }

    /// `http://127.0.0.1:…`
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was asked so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads one request from a stream; `None` at its end.
fn receive(reader: &mut impl BufRead) -> Option<Received> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Received { method, path, headers, body })
}

fn serve(
    stream: TcpStream,
    answer: &(impl Fn(&Received) -> Reply + ?Sized),
    seen: &Mutex<Vec<Received>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(request) = receive(&mut reader) {
        let reply = answer(&request);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let mut head = format!("HTTP/1.1 {} Status\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(&[head.as_bytes(), &reply.body].concat())?;
    }
    Ok(())
}
