//! What servers answer to the network backends: no panic, and an answer or an error for each reference.
//!
//! The first byte chooses the backend, the second whether the rest is a whole HTTP answer or only its body. The answer is
//! given over a real socket, so that the HTTP client is fuzzed too.
#![no_main]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex};

use custody_contract::CredentialRef;
use custody_credential::backend::aws::{AwsParameterStore, AwsSecretsManager, AwsSettings};
use custody_credential::backend::azure::{AzureKeyVault, AzureSettings};
use custody_credential::backend::doppler::{Doppler, DopplerSettings};
use custody_credential::backend::http::HttpSettings;
use custody_credential::backend::infisical::{Infisical, InfisicalSettings};
use custody_credential::backend::kubernetes::{Kubernetes, KubernetesSettings};
use custody_credential::backend::onepassword::{OnePassword, OnePasswordSettings};
use custody_credential::backend::openbao::{Engine, OpenBao, OpenBaoSettings};
use custody_credential::backend::resolver::{Resolver, ResolverSettings};
use custody_credential::backend::{Backend, ReadRequest, Variables, VersionRequest};
use libfuzzer_sys::fuzz_target;

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 16 * 1024];
            let mut read = 0;
            while !head[..read].windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut head[read..]) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => read += count,
                }
            }
            let answer = ANSWER.lock().expect("nobody panics with it").clone();
            drop(stream.write_all(&answer));
        }
    });
    port
});

static BACKENDS: LazyLock<Vec<(Box<dyn Backend>, &str)>> = LazyLock::new(|| {
    let address = format!("http://127.0.0.1:{}", *PORT);
    let http = || HttpSettings { timeout_seconds: Some(1), max_body_bytes: Some(64 << 10), ..Default::default() };
    let variables = Variables::of([
        ("BAO_TOKEN", "t"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_REGION", "us-east-1"),
        ("AZURE_AUTHORITY_HOST", address.as_str()),
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
        ("OP_CONNECT_TOKEN", "t"),
        ("INFISICAL_TOKEN", "t"),
        ("DOPPLER_TOKEN", "t"),
    ]);
    let bao = |engine| {
        let mounts = [("kv".to_owned(), engine)].into();
        OpenBao::new(
            OpenBaoSettings { address: Some(address.clone()), mounts, http: http(), ..Default::default() },
            &variables,
        )
    };
    let aws = || AwsSettings { endpoint: Some(address.clone()), http: http(), ..Default::default() };
    let own = || Some(address.clone());
    let project = || Some("p".to_owned());
    let kubernetes = KubernetesSettings {
        address: own(),
        token_file: Some("Cargo.toml".into()),
        http: http(),
        ..Default::default()
    };
    let azure = AzureSettings { vault: own(), http: http(), ..Default::default() };
    let infisical = InfisicalSettings {
        address: own(),
        project: project(),
        environment: project(),
        http: http(),
        ..Default::default()
    };
    vec![
        (Box::new(bao(Engine::KvV2).expect("right")) as Box<dyn Backend>, "kv/a#k"),
        (Box::new(bao(Engine::Logical).expect("right")), "kv/creds/a#k"),
        (Box::new(AwsSecretsManager::new(aws(), &variables).expect("right")), "a#k"),
        (Box::new(AwsParameterStore::new(aws(), &variables).expect("right")), "/a#k"),
        (Box::new(AzureKeyVault::new(azure, &variables).expect("right")), "a#k"),
        (Box::new(Kubernetes::new(kubernetes, &variables).expect("right")), "n/a#k"),
        (
            Box::new(
                OnePassword::new(
                    OnePasswordSettings { connect: own(), http: http(), ..Default::default() },
                    &variables,
                )
                .expect("right"),
            ),
            "v/i#k",
        ),
        (Box::new(Infisical::new(infisical, &variables).expect("right")), "f/A#k"),
        (
            Box::new(
                Doppler::new(DopplerSettings { address: own(), http: http(), ..Default::default() }, &variables)
                    .expect("right"),
            ),
            "A#k",
        ),
        (
            Box::new(
                Resolver::new(ResolverSettings { endpoint: own(), http: http(), ..Default::default() }, &variables)
                    .expect("right"),
            ),
            "aws/a/b#k",
        ),
    ]
});

fuzz_target!(|bytes: &[u8]| {
    let [which, form, rest @ ..] = bytes else { return };
    let mut answer = Vec::new();
    if form % 4 != 0 {
        let status = [200, 200, 404, 403][usize::from(form / 4 % 4)];
        let head = format!(
            "HTTP/1.1 {status} S\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            rest.len()
        );
        answer.extend_from_slice(head.as_bytes());
    }
    answer.extend_from_slice(rest);
    *ANSWER.lock().expect("nobody panics with it") = answer;
    let (backend, location) = &BACKENDS[usize::from(*which) % BACKENDS.len()];
    let reference = CredentialRef::parse("cred://aws/production/readonly").expect("a reference");
    let version = if form & 0x80 == 0 { VersionRequest::Current } else { VersionRequest::Previous };
    let request = ReadRequest { reference, location: (*location).to_owned(), version };
    let requests = [request.clone(), ReadRequest { location: location.replace("#k", ""), ..request.clone() }];
    let answers = backend.read(&requests);
    assert_eq!(answers.len(), requests.len());
    for error in answers.into_iter().filter_map(Result::err) {
        assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
    }
    drop(backend.describe(&request));
    drop(backend.list("kv"));
});
