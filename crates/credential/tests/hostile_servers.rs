//! Servers that misbehave, over the module that all network backends speak HTTP through.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{failure, text};
use custody_credential::backend::aws::{AwsSecretsManager, AwsSettings};
use custody_credential::backend::http::HttpSettings;
use custody_credential::backend::openbao::{Engine, OpenBao, OpenBaoSettings};
use custody_credential::backend::{Backend, BackendError, ErrorKind, Variables};
use custody_testkit::servers::{Reply, Stub};
use serde_json::json;

fn token() -> String {
    ["to", "ken", "-", "9f8e7d6c5b4a"].concat()
}

/// A backend with tight limits; its mount is known, so that each read is one exchange.
fn backend(address: String) -> OpenBao {
    let http = HttpSettings { timeout_seconds: Some(1), max_body_bytes: Some(64 << 10), ..Default::default() };
    let mounts = [("kv".to_owned(), Engine::KvV2)].into();
    let settings = OpenBaoSettings { address: Some(address), mounts, http, ..Default::default() };
    OpenBao::new(settings, &Variables::of([("BAO_TOKEN", token())])).unwrap()
}

#[track_caller]
fn refused(address: String) -> BackendError {
    let error = failure(&backend(address), "kv/a#k");
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains(&token()), "{shown}");
    assert!(shown.len() < 2000 && !shown.chars().any(|c| c.is_control()), "{shown}");
    error
}

/// Reads the request's head, then says this.
fn says(content: impl Into<Vec<u8>>) -> String {
    let content = content.into();
    speaks(move |stream| drop(stream.write_all(&content)))
}

fn speaks(speak: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> String {
    let stub = Stub::raw(move |mut stream| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
            head.push(byte[0]);
        }
        speak(&mut stream);
    });
    stub.address()
}

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

#[test]
fn endless_answers_are_cut() {
    let flood = |start: &'static str, piece: &'static [u8]| {
        speaks(move |stream| {
            drop(stream.write_all(start.as_bytes()));
            while stream.write_all(piece).is_ok() {}
        })
    };
    let body = flood(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"data\":\"",
        b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    );
    assert_eq!(refused(body).kind, ErrorKind::Malformed);
    let chunked = flood(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"8\r\nxxxxxxxx\r\n",
    );
    assert_eq!(refused(chunked).kind, ErrorKind::Malformed);
    let head = flood("HTTP/1.1 200 OK\r\n", b"X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    assert!(matches!(refused(head).kind, ErrorKind::Malformed | ErrorKind::Unreachable));
    let promised = format!("{HEAD}Content-Length: 99999999999\r\n\r\n{{");
    assert!(matches!(refused(says(promised)).kind, ErrorKind::Malformed | ErrorKind::Unreachable));
}

#[test]
fn slow_answers_are_cut_however_they_trickle() {
    let trickle = |text: String| {
        speaks(move |stream| {
            for byte in text.bytes().chain(std::iter::repeat(b' ')) {
                std::thread::sleep(Duration::from_millis(20));
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
            }
        })
    };
    assert_eq!(refused(trickle(HEAD.to_owned())).kind, ErrorKind::Unreachable);
    let silent = speaks(|stream| drop(stream.read(&mut [0])));
    assert_eq!(refused(silent).kind, ErrorKind::Unreachable);
    let body = speaks(|stream| {
        drop(stream.write_all(format!("{HEAD}Content-Length: 1000\r\n\r\n").as_bytes()));
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(refused(body).kind, ErrorKind::Unreachable);
}

#[test]
fn what_is_no_answer_of_the_service_is_called_so() {
    let json = |body: &str| format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_object = format!("{{\"data\":{{\"data\":{deep},\"metadata\":{{\"version\":1,\"created_time\":\"\"}}}}}}");
    for (content, why) in [
        ("\u{0}\u{1}garbage\r\n\r\n".to_owned(), "garbage"),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "another protocol"),
        ("HTTP/1.1 abc\r\n\r\n".to_owned(), "no status"),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>".to_owned(), "a page"),
        (format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}"), "an encoding"),
        (format!("{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "broken chunks"),
        (json("{\"data\":"), "torn JSON"),
        (json("[]"), "another shape"),
        (json("{\"data\":null}"), "no data"),
        (
            json("{\"data\":{\"data\":{\"k\":\"v\"},\"metadata\":{\"version\":\"x\",\"created_time\":\"\"}}}"),
            "a wrong type",
        ),
        (json(&deep), "depth"),
        (json(&deep_object), "depth where the fields are"),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "a redirect to nowhere"),
        (
            "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
            "a redirect in a circle",
        ),
        ("HTTP/1.1 302 Found\r\nLocation: gopher://x/\r\nContent-Length: 0\r\n\r\n".to_owned(), "a redirect to no URL"),
        ("HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n".to_owned(), "an odd status"),
    ] {
        let kind = refused(says(content)).kind;
        assert!(matches!(kind, ErrorKind::Malformed | ErrorKind::Unreachable), "{why}: {kind:?}");
    }
    for (content, why) in
        [(String::new(), "closed at once"), (format!("{HEAD}Content-Length: 100\r\n\r\n{{"), "closed half-way")]
    {
        assert_eq!(refused(says(content)).kind, ErrorKind::Unreachable, "{why}");
    }
}

#[test]
fn lists_without_an_end_are_given_up() {
    let server = Stub::start(|_| Reply::json(200, &json!({"data": {"keys": ["a/", "b/"]}})));
    let error = backend(server.address()).list("kv").unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
    assert!(server.received().len() <= 10_000);
    let server = Stub::start(|_| Reply::json(200, &json!({"SecretList": [], "NextToken": "again"})));
    let settings =
        AwsSettings { endpoint: Some(server.address()), region: Some("us-east-1".into()), ..Default::default() };
    let keys = Variables::of([("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")]);
    let error = AwsSecretsManager::new(settings, &keys).unwrap().list("").unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
}

#[test]
fn a_redirect_elsewhere_does_not_take_the_token_along() {
    let thief = Stub::start(|_| Reply::json(200, &json!({})));
    let elsewhere = thief.address();
    let server =
        Stub::start(move |_| Reply::text(307, "text/plain", "").with("Location", format!("{elsewhere}/v1/kv/data/a")));
    let error = refused(server.address());
    assert_eq!(error.kind, ErrorKind::Configuration, "{error}");
    assert!(thief.received().is_empty());
    // On the same origin it is followed.
    let secret =
        json!({"data": {"data": {"k": "v"}, "metadata": {"version": 1, "created_time": "2026-01-01T00:00:00Z"}}});
    let server = Stub::start(move |request| match request.path.as_str() {
        "/v1/kv/data/a" => Reply::text(307, "text/plain", "").with("Location", "/v1/moved"),
        _ => Reply::json(200, &secret),
    });
    assert_eq!(text(&backend(server.address()), "kv/a#k"), "v");
}

#[test]
fn what_a_server_echoes_is_cut_cleaned_and_without_the_token() {
    let server = Stub::start(|request| {
        let message = format!(
            "\u{1b}[2J{}\n\u{202e}bad {}",
            request.header("x-vault-token").unwrap_or_default(),
            "long ".repeat(1000)
        );
        Reply::json(403, &json!({"errors": [message]}))
    });
    assert_eq!(refused(server.address()).kind, ErrorKind::Denied);
}

#[test]
fn statuses_and_the_wait_that_they_ask_for_are_kept() {
    let status = |status: u16| {
        Stub::start(move |_| Reply::json(status, &json!({"errors": []})).with("Retry-After", "3")).address()
    };
    use ErrorKind::{Denied, Malformed, NotFound, RateLimited, Unreachable};
    for (code, kind) in [
        (400, Malformed),
        (403, Denied),
        (404, NotFound),
        (429, RateLimited),
        (500, Unreachable),
        (502, Unreachable),
        (503, Unreachable),
        (504, Unreachable),
    ] {
        let error = refused(status(code));
        assert_eq!(error.kind, kind, "{code}");
        if kind == RateLimited {
            assert_eq!(error.retry_after, Some(Duration::from_secs(3)));
        }
    }
}

#[test]
fn plain_http_stays_on_this_machine_and_addresses_hold_no_password() {
    assert_eq!(refused("http://vault.example:8200".into()).kind, ErrorKind::Configuration);
    let password = ["correct", "horse"].concat();
    let error = refused(format!("https://user:{password}@vault.example"));
    assert_eq!(error.kind, ErrorKind::Configuration);
    assert!(!format!("{error:?}").contains(&password));
    for address in ["vault.example:8200", "ftp://x", "https://", "https://a b"] {
        assert_eq!(refused(address.into()).kind, ErrorKind::Configuration, "{address}");
    }
    let nobody = format!("http://127.0.0.1:{}", custody_testkit::servers::free_port());
    assert_eq!(refused(nobody).kind, ErrorKind::Unreachable);
    let not_tls = says("HTTP/1.1 200 OK\r\n\r\n").replace("http://", "https://");
    assert!(matches!(refused(not_tls).kind, ErrorKind::Malformed | ErrorKind::Unreachable));
}
