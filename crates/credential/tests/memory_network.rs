//! Whether resolved material stays behind in the memory of the process after its last use.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use common::{read, request};
use custody_credential::WipingAllocator;
use custody_credential::backend::Variables;
use custody_credential::backend::openbao::{OpenBao, OpenBaoSettings};
use custody_testkit::servers;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator::new();

/// The child never holds the needle itself but what it is masked with.
const MASK: u8 = 0x5a;
const LENGTH: usize = 48;

/// A process of its own reads the secret and then searches itself: the server and the test hold the value by right.
#[test]
fn no_copy_of_a_resolved_value_stays_in_memory_after_its_last_use() {
    if std::env::var("CUSTODY_TEST_ADDRESS").is_ok() {
        return search_own_memory();
    }
    let said =
        searched("no_copy_of_a_resolved_value_stays_in_memory_after_its_last_use", &servers::OpenBao::start(), "");
    assert!(said.contains("copies while held: 1\n"), "the search finds what is there: {said}");
    assert!(said.contains("copies after drop: 0\n"), "{said}");
    assert!(said.contains("copies without connections: 0\n"), "{said}");
}

/// Rustls keeps the last record that it decrypted as long as its connection is open, and frees its buffers as they are.
#[test]
fn no_copy_of_a_value_that_came_over_tls_stays_behind_where_freed_memory_is_wiped() {
    if std::env::var("CUSTODY_TEST_ADDRESS").is_ok() {
        ALLOCATOR.start();
        return search_own_memory();
    }
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let port = servers::free_port();
    let config = format!(
        "listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n tls_cert_file = \"{}\"\n tls_key_file = \"{}\"\n}}\n",
        certificate.display(),
        key.display()
    );
    let file = folder.path().join("config.hcl");
    std::fs::write(&file, config).unwrap();
    let server = servers::OpenBao::start_with(&[&format!("-config={}", file.display())]);
    let name = "no_copy_of_a_value_that_came_over_tls_stays_behind_where_freed_memory_is_wiped";
    let ca = certificate.display().to_string();
    let said = searched(name, &server, &format!("{ca} https://127.0.0.1:{port}"));
    assert!(said.contains("copies without connections: 0\n"), "{said}");
}

/// What a process says that runs the test of this name with the secret of the server.
fn searched(test: &str, server: &servers::OpenBao, tls: &str) -> String {
    let value: String = (0..LENGTH as u64)
        .map(|n| char::from(b'a' + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as u8 % 26))
        .collect();
    server.api("POST", "secret/data/a", json!({"data": {"key": value, "other": "x"}}));
    let masked: Vec<String> = value.bytes().map(|byte| format!("{:02x}", byte ^ MASK)).collect();
    let (authority, address) = tls.split_once(' ').map_or(("", server.address()), |(ca, at)| (ca, at.to_owned()));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("CUSTODY_TEST_ADDRESS", address)
        .env("CUSTODY_TEST_AUTHORITY", authority)
        .env("CUSTODY_TEST_TOKEN", server.root_token())
        .env("CUSTODY_TEST_MASKED", masked.concat())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(child.status.success(), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
    said
}

fn search_own_memory() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let masked: Vec<u8> = variable("CUSTODY_TEST_MASKED")
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let mut settings = OpenBaoSettings { address: Some(variable("CUSTODY_TEST_ADDRESS")), ..Default::default() };
    settings.http.ca_file =
        Some(variable("CUSTODY_TEST_AUTHORITY").into()).filter(|f: &PathBuf| !f.as_os_str().is_empty());
    let backend = OpenBao::new(settings, &Variables::of([("BAO_TOKEN", variable("CUSTODY_TEST_TOKEN"))])).unwrap();
    let resolved = read(&backend, request("secret/a#key")).unwrap();
    assert_eq!(resolved.value.len(), LENGTH);
    println!("copies while held: {}", copies(&masked));
    drop(resolved);
    // The connection and its buffers are still there.
    println!("copies after drop: {}", copies(&masked));
    drop(backend);
    println!("copies without connections: {}", copies(&masked));
}

/// How often the needle stands in the writable memory of this process.
fn copies(masked: &[u8]) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut found = 0;
    let mut buffer = vec![0; 64 << 10];
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
        let mut at = from;
        while at < to {
            let want = buffer.len().min(usize::try_from(to - at).unwrap());
            let Ok(count) = memory.read_at(&mut buffer[..want], at) else { break };
            if count < masked.len() {
                break;
            }
            let hits = buffer[..count].windows(masked.len()).enumerate();
            let hits =
                hits.filter(|(_, window)| window.iter().zip(masked).all(|(byte, masked)| byte ^ MASK == *masked));
            // The buffer of this search holds a copy of what it has just looked at.
            found += hits.filter(|(offset, _)| !own.contains(&(at + *offset as u64))).count();
            // The next piece overlaps, so that a needle across the border is found; it is then not found twice.
            at += (count - masked.len() + 1) as u64;
        }
        buffer.fill(0);
    }
    found
}
