//! `custody audit` as users call it.

use std::fs;
use std::path::{Path, PathBuf};

use custody_audit::{
    Action, AuditLog, Class, DirectoryKeys, Event, Options, Outcome, Principal, PrincipalKind, RequestId, Text,
};
use custody_contract::Environment;
use custody_testkit::{Canary, Fake, Repository, Run, custody};

fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    custody(Path::new(env!("CARGO_BIN_EXE_custody")), directory, arguments, variables, b"")
}

/// A log in `audit`, with its keys in `audit-keys`.
struct Log {
    place: Repository,
    log: AuditLog,
}

fn dev() -> Principal {
    Principal {
        kind: PrincipalKind::User,
        name: Some("dev".into()),
        uid: Some(1000),
        pid: Some(7),
        host: None,
        ci: None,
    }
}

impl Log {
    fn new() -> Self {
        let place = Repository::without_git();
        let keys = DirectoryKeys::new(&place.path("audit-keys"));
        let log = AuditLog::open(&place.path("audit"), keys, Options::default()).expect("opens");
        let event = |action, outcome, reference: &str| {
            Event::new(action, outcome, dev()).reference(&reference.parse().expect("a reference")).backend("local")
        };
        let secret = Fake::new(1).stripe_key();
        let fingerprint = log.fingerprinter().expect("a key").fingerprint(secret.as_bytes());
        let events = [
            event(Action::Put, Outcome::Allowed, "cred://aws/production/readonly")
                .fingerprint(&fingerprint)
                .version("1"),
            event(Action::Reveal, Outcome::Allowed, "cred://aws/production/readonly")
                .environment(Environment::Prod)
                .reason(Text::new("incident 7"))
                .request(&RequestId::given("r-1")),
            event(Action::Reveal, Outcome::Denied(Class::Policy), "cred://gcp/billing/export/readonly"),
            event(Action::Inject, Outcome::Failed(Class::Unreachable), "cred://aws/stage/readonly"),
        ];
        for event in &events {
            log.record(event).expect("recorded");
        }
        Log { place, log }
    }

    fn custody(&self, arguments: &[&str]) -> Run {
        run(self.place.root(), arguments, &[("CUSTODY_AUDIT_DIR", "audit")])
    }

    fn newest(&self) -> PathBuf {
        self.place.path("audit/audit-00000000000000000001.log")
    }
}

#[test]
fn a_log_that_is_not_there_is_told_from_one_that_was_deleted() {
    let nothing = Repository::without_git();
    let told = run(nothing.root(), &["audit", "verify", "--log", "audit"], &[]);
    assert!(told.expect_status(2).stderr.contains("nothing has been recorded yet"), "{}", told.stderr);
    let log = Log::new();
    fs::remove_dir_all(log.place.path("audit")).expect("removed");
    let told = log.custody(&["audit", "verify"]);
    assert!(told.expect_status(1).stdout.contains("the head is gone"), "{}", told.stdout);
}

#[test]
fn an_intact_log_verifies_and_its_head_can_be_kept_elsewhere() {
    let log = Log::new();
    let head = log.custody(&["audit", "checkpoint"]).expect_status(0).stdout.trim().to_owned();
    let report = log.custody(&["audit", "verify", "--expect-head", &head, "--format", "json"]);
    let report = report.expect_status(0).json();
    assert_eq!(report["verdict"], "intact");
    assert_eq!(
        (&report["events"], &report["expected_heads"], &report["pinned"]),
        (&4.into(), &1.into(), &"key-store".into())
    );
    let table = log.custody(&["audit", "verify"]).expect_status(0).stdout.clone();
    assert!(table.contains("records     1 to 6, 4 of them events"), "{table}");
    let other_key = "00".repeat(32);
    let told = log.custody(&["audit", "verify", "--key", &other_key]);
    assert!(told.expect_status(1).stdout.contains("first key"), "{}", told.stdout);
    log.custody(&["audit", "verify", "--expect-head", "nonsense"]).expect_status(2);
}

#[test]
fn a_changed_log_is_named_at_the_record_and_a_query_is_incomplete() {
    let log = Log::new();
    let path = log.newest();
    let mut bytes = fs::read(&path).expect("read");
    let at = bytes.windows(7).position(|window| window == b"allowed").expect("an event");
    bytes[at] = b'A';
    fs::write(&path, bytes).expect("written");
    let told = log.custody(&["audit", "verify"]);
    assert!(told.expect_status(1).stdout.contains("record 2 (audit-00000000000000000001.log"), "{}", told.stdout);
    let told = log.custody(&["audit", "query", "--format", "jsonl"]);
    assert_eq!(told.expect_status(3).stdout.lines().count(), 3, "{}", told.stdout);
    assert!(told.stderr.contains("could not be read"), "{}", told.stderr);
}

#[test]
fn queries_find_what_matches() {
    let log = Log::new();
    let count = |arguments: &[&str]| {
        let all = [&["audit", "query", "--format", "jsonl"], arguments].concat();
        log.custody(&all).expect_status(0).stdout.lines().count()
    };
    assert_eq!(count(&[]), 4);
    assert_eq!(count(&["--ref", "cred://aws/**"]), 3);
    assert_eq!(count(&["--ref", "cred://aws/*/readonly", "--ref", "gcp/**"]), 4);
    assert_eq!(count(&["--ref", "cred://*/billing/*/readonly"]), 1);
    assert_eq!(count(&["--outcome", "denied"]), 1);
    assert_eq!(count(&["--class", "unreachable"]), 1);
    assert_eq!(count(&["--action", "reveal", "--action", "put"]), 3);
    assert_eq!(count(&["--since", "24h", "--env", "production"]), 1);
    assert_eq!(count(&["--until", "2026-01-01"]), 0);
    assert_eq!(count(&["--principal", "1000"]), 4);
    assert_eq!(count(&["--principal", "root"]), 0);
    assert_eq!(count(&["--request", "r-1"]), 1);
    assert_eq!(count(&["--last", "2"]), 2);
    for wrong in [["--action", "steal"], ["--outcome", "maybe"], ["--ref", "cred://["], ["--since", "soon"]] {
        log.custody(&["audit", "query", wrong[0], wrong[1]]).expect_status(2);
    }
    let table = log.custody(&["audit", "query", "--last", "1"]).expect_status(0).stdout.clone();
    assert!(table.contains("inject    failed:unreachable  cred://aws/stage/readonly"), "{table}");
    let all = log.custody(&["audit", "query", "--format", "json"]).expect_status(0).json();
    assert_eq!(all[1]["reason"], "incident 7");
    let none = log.custody(&["audit", "query", "--backend", "vault", "--format", "json"]).expect_status(0).json();
    assert_eq!(none, serde_json::json!([]));
}

#[test]
fn exports_hold_no_secret_and_have_the_fields_of_their_schema() {
    let log = Log::new();
    let mut canary = Canary::new();
    canary.plant("put", &Fake::new(1).stripe_key());
    for format in ["jsonl", "ocsf"] {
        log.custody(&["audit", "export", "--format", format, "-o", "out.jsonl"]).expect_status(0);
        let bytes = fs::read(log.place.path("out.jsonl")).expect("written");
        canary.assert_silent(format, &bytes);
        let lines: Vec<serde_json::Value> =
            String::from_utf8_lossy(&bytes).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 4);
        if format == "ocsf" {
            let denied = &lines[2];
            assert_eq!((&denied["class_uid"], &denied["type_uid"]), (&6003.into(), &600_302.into()));
            assert_eq!((&denied["status_id"], &denied["status_code"]), (&2.into(), &"policy".into()));
            assert_eq!(denied["resources"][0]["uid"], "cred://gcp/billing/export/readonly");
            assert_eq!(denied["actor"]["user"]["uid"], "1000");
        }
    }
    canary.assert_silent("the log", &fs::read(log.newest()).expect("read"));
}

#[test]
fn keys_are_rotated_old_files_pruned_and_evidence_signed() {
    let log = Log::new();
    log.custody(&["audit", "rotate-key", "--reason", "yearly"]).expect_status(0);
    log.log.record(&Event::new(Action::Resolve, Outcome::Allowed, dev())).expect("the open log takes the new key");
    let told = log.custody(&["audit", "prune", "--before", "365d", "--reason", "a year old"]);
    assert!(told.expect_status(0).stdout.contains("nothing was removed"), "{}", told.stdout);
    log.custody(&["audit", "verify", "--evidence", "evidence.json"]).expect_status(0);
    let evidence = fs::read(log.place.path("evidence.json")).expect("written");
    let evidence: serde_json::Value = serde_json::from_slice(&evidence).expect("JSON");
    assert_eq!(evidence["payloadType"], "application/vnd.in-toto+json");
    log.custody(&["audit", "repair"]).expect_status(0);
}

#[test]
fn a_log_that_cannot_go_on_is_set_aside() {
    let log = Log::new();
    fs::remove_file(log.place.path("audit/head")).expect("removed");
    let told = log.custody(&["audit", "checkpoint"]);
    assert!(told.expect_status(1).stderr.contains("custody audit succeed"), "{}", told.stderr);
    log.custody(&["audit", "succeed", "--reason", "head lost"]).expect_status(0);
    let told = log.custody(&["audit", "verify"]);
    assert!(told.expect_status(0).stdout.contains("head lost"), "{}", told.stdout);
}
