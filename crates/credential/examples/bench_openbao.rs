//! Measures how much longer 200 references take than one, from a real OpenBao: directly, and over a connection whose
//! round trip takes 20 ms.
//!
//! `cargo run --release -p custody-credential --example bench_openbao`

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
    for round_trip in [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(100)] {
        let address = if round_trip.is_zero() {
            server.address()
        } else {
            LatencyProxy::start(server.port(), round_trip / 2).address()
        };
        let time = |count: usize| {
            let times = (0..ROUNDS).map(|_| {
                let cold = backend(address.clone());
                let begin = Instant::now();
                assert!(cold.read(&requests[..count]).iter().all(Result::is_ok), "all resolve");
                begin.elapsed()
            });
            times.min().unwrap_or_default()
        };
        let (one, many) = (time(1), time(REFERENCES));
        let more = if round_trip.is_zero() { f64::NAN } else { (many - one).as_secs_f64() / round_trip.as_secs_f64() };
        println!(
            "round trip {round_trip:?}: one reference {one:?}, {REFERENCES} references {many:?}, {more:.1} round trips more"
        );
    }
}
