//! Measures how much longer 200 references take than one, from a real OpenBao: directly, and over connections whose round
//! trip takes 20 and 100 ms. Beside it, in the same run, the same requests as bytes on plain sockets, as many at a time:
//! what the server and the network take by themselves. Last, 200 fields of one secret.
//!
//! `cargo run --release -p custody-credential --example bench_openbao`

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use custody_contract::CredentialRef;
use custody_credential::SecretValue;
use custody_credential::backend::openbao::{OpenBao, OpenBaoSettings};
use custody_credential::backend::{Backend, ReadRequest, Variables, VersionRequest};
use custody_testkit::servers::{self, LatencyProxy};

const REFERENCES: usize = 200;
const ROUNDS: usize = 15;

fn main() {
    let server = servers::OpenBao::start();
    let backend = |address: String| {
        let settings = OpenBaoSettings { address: Some(address), ..Default::default() };
        OpenBao::new(settings, &Variables::of([("BAO_TOKEN", server.root_token())])).expect("the settings are right")
    };
    let reference = CredentialRef::parse("cred://aws/production/readonly").expect("a reference");
    let requests: Vec<_> = (0..REFERENCES)
        .map(|n| ReadRequest {
            reference: reference.clone(),
            location: format!("secret/bench/{n}#key"),
            version: VersionRequest::Current,
        })
        .collect();
    let writer = backend(server.address());
    for request in &requests {
        writer.write(request, &SecretValue::new(b"value".to_vec())).expect("written");
    }
    let fields: String = (0..REFERENCES).map(|n| format!("\"k{n}\":\"v\"")).collect::<Vec<_>>().join(",");
    let fields = serde_json::from_str(&format!("{{\"data\":{{{fields}}}}}")).expect("JSON");
    server.api("POST", "secret/data/fields", fields);
    let of_one: Vec<_> = (0..REFERENCES)
        .map(|n| ReadRequest { location: format!("secret/fields#k{n}"), ..requests[n].clone() })
        .collect();
    for round_trip in [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(100)] {
        let proxy = (!round_trip.is_zero()).then(|| LatencyProxy::start(server.port(), round_trip / 2));
        let address = proxy.as_ref().map_or_else(|| server.address(), LatencyProxy::address);
        let read = |requests: &[ReadRequest]| {
            let cold = backend(address.clone());
            let begin = Instant::now();
            assert!(cold.read(requests).iter().all(Result::is_ok), "all resolve");
            begin.elapsed()
        };
        // In turn, so that what else the machine does falls on all alike.
        let mut best = [Duration::MAX; 4];
        for _ in 0..ROUNDS {
            let times = [read(&requests[..1]), read(&requests), plain(&address, server.root_token()), read(&of_one)];
            best.iter_mut().zip(times).for_each(|(best, time)| *best = time.min(*best));
        }
        let [one, many, plain, fields] = best;
        let trips = |time: Duration| match round_trip.is_zero() {
            true => String::new(),
            false => {
                format!(" ({:+.1} round trips)", (time.as_secs_f64() - one.as_secs_f64()) / round_trip.as_secs_f64())
            }
        };
        println!(
            "round trip {round_trip:?}: one reference {one:.1?}, {REFERENCES} references {many:.1?}{}, plain sockets {plain:.1?}{}, {REFERENCES} fields of one secret {fields:.1?}{}",
            trips(many),
            trips(plain),
            trips(fields)
        );
    }
}

/// The same requests as bytes on as many sockets as custody uses.
fn plain(address: &str, token: &str) -> Duration {
    const SOCKETS: usize = 128;
    let place = address.trim_start_matches("http://");
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SOCKETS {
            scope.spawn(|| {
                let mut socket = BufReader::new(TcpStream::connect(place).expect("connected"));
                socket.get_ref().set_nodelay(true).expect("set");
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= REFERENCES {
                        return;
                    }
                    let request = format!(
                        "GET /v1/secret/data/bench/{n} HTTP/1.1\r\nHost: {place}\r\nX-Vault-Token: {token}\r\n\r\n"
                    );
                    socket.get_mut().write_all(request.as_bytes()).expect("sent");
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        socket.read_line(&mut line).expect("a line");
                        let line = line.trim_end().to_ascii_lowercase();
                        if let Some(said) = line.strip_prefix("content-length: ") {
                            length = said.parse().expect("a number");
                        }
                        if line.is_empty() {
                            break;
                        }
                    }
                    socket.read_exact(&mut vec![0; length]).expect("a body");
                }
            });
        }
    });
    begin.elapsed()
}
