//! Several processes record the same findings at the same moment.

use std::process::Command;

use custody_contract::{Confidence, Finding, FindingStatus, Fingerprint, Occurrence, Redacted, Severity, Surface};
use custody_incident::{DirectoryStore, Opening, Recorded, Store, record};

const ROOT: &str = "CUSTODY_TEST_INCIDENT_ROOT";

fn finding(seed: &str) -> Finding {
    Finding {
        rule: "some-key".into(),
        title: "Some key".into(),
        severity: Severity::High,
        confidence: Confidence { score: 90, reasons: Vec::new() },
        fingerprint: Fingerprint::of(seed.as_bytes()),
        redacted: Redacted { prefix: "".into(), length: 20 },
        occurrences: vec![Occurrence {
            surface: Surface::WorkingTree,
            path: format!("{seed}.env"),
            line: 1,
            column: 1,
            end_column: 2,
            offset: 0,
            object: None,
            commit: None,
            encoding: Vec::new(),
            allowed: None,
            authored: None,
            committed: None,
            reach: None,
        }],
        status: FindingStatus::Open,
        references: Vec::new(),
        remedy: String::new(),
    }
}

/// What each process does; without the variable this is no test of its own.
#[test]
fn one_process_records() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let store = DirectoryStore::new(root, ".custody/incidents");
    let found: Vec<Finding> = ["a", "b", "c"].map(finding).into();
    let now = "2026-11-24T08:00:00Z".parse().expect("valid");
    let recorded = record(&store, &found, Opening { by: "custody check", now, owner: &|_| None }).expect("recorded");
    let opened = recorded.iter().filter(|r| matches!(r, Recorded::Opened(_))).count();
    println!("opened={opened};");
}

#[test]
fn processes_that_start_together_open_each_incident_once() {
    let root = tempfile::tempdir().expect("a directory");
    let binary = std::env::current_exe().expect("this test");
    let children: Vec<_> = (0..8)
        .map(|_| {
            Command::new(&binary)
                .args(["--exact", "one_process_records", "--nocapture"])
                .env(ROOT, root.path())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("starts")
        })
        .collect();
    let mut opened = 0;
    for child in children {
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = text.split("opened=").nth(1).and_then(|t| t.split(';').next()).and_then(|n| n.parse::<u32>().ok());
        opened += count.unwrap_or_else(|| panic!("{text}"));
    }
    assert_eq!(opened, 3);
    let records = DirectoryStore::new(root.path(), ".custody/incidents").load().expect("loaded");
    assert_eq!((records.incidents.len(), records.unreadable.len()), (3, 0));
    let files = std::fs::read_dir(root.path().join(".custody/incidents")).expect("readable").count();
    assert_eq!(files, 3, "neither lock nor temporary file is left");
}
