//! `examples/verify-audit-log.py` does what `docs/audit.md` says, without this crate's code: the two agree.

mod common;

use std::fs;
use std::process::{Command, Output};

use common::Fixture;
use custody_audit::Text;

fn verify(fixture: &Fixture, key: &str) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/verify-audit-log.py");
    Command::new("python3").arg(script).arg(fixture.directory()).arg(key).output().expect("python3 runs")
}

#[test]
fn a_second_verifier_finds_the_same() {
    let fixture = Fixture::with_events(20);
    let log = fixture.open();
    log.rotate_key(Text::new("yearly")).expect("rotated");
    for _ in 0..20 {
        fixture.record(&log).expect("recorded");
    }
    let report = fixture.assert_intact();
    let key = report.first_key.expect("a key").to_string();
    let output = verify(&fixture, &key);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = format!(
        "intact: {} records, 40 events, {} files, head {}\n",
        report.records,
        report.files.len(),
        report.head.expect("a head").hash
    );
    assert_eq!(told, expected);
    assert!(!verify(&fixture, &"00".repeat(32)).status.success());
    let path = fixture.newest();
    let good = fs::read(&path).expect("read");
    for at in [0, 100, 150, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).expect("written");
        assert!(!verify(&fixture, &key).status.success(), "byte {at}");
    }
}
