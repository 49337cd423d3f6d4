//! Every clause passes on a repository that keeps the contract, and fails on one that breaks it: through the binary.

mod common;

use common::{clean, pack, run, run_with, verdict};
use custody_testkit::{Fake, Repository};

fn check(repository: &Repository) -> (i32, serde_json::Value) {
    let run = run(repository, &["check", "--format", "json"]);
    (run.status, run.json())
}

/// Breaks a clean repository and expects the clause to fail and the release to be blocked.
#[track_caller]
fn fails(clause: &str, spoil: impl FnOnce(&Repository)) -> serde_json::Value {
    let repository = clean();
    spoil(&repository);
    repository.commit("A change");
    let (status, report) = check(&repository);
    assert_eq!(verdict(&report, clause), ("fail".to_owned(), false), "{clause}: {report:#}");
    assert_eq!((status, report["decision"].as_str()), (1, Some("blocked")), "{clause}");
    report
}

fn edit(repository: &Repository, path: &str, from: &str, to: &str) {
    let content = std::fs::read_to_string(repository.path(path)).expect("text");
    assert!(content.contains(from), "{path} has no {from}");
    repository.write(path, content.replace(from, to));
}

#[test]
fn a_repository_that_keeps_the_contract_may_be_released() {
    let repository = clean();
    let run = run(&repository, &["check", "--format", "json"]);
    run.expect_status(0);
    let report = run.json();
    for clause in report["clauses"].as_array().expect("clauses") {
        let found = clause["verdict"].as_str().expect("text");
        assert!(["pass", "not-applicable", "warn"].contains(&found), "{clause:#}");
        assert!(!clause["evidence"].as_array().expect("evidence").is_empty(), "{clause:#}");
    }
    assert_eq!(report["clauses"].as_array().expect("clauses").len(), 21);
    for clause in [
        "CRED-1", "CRED-2", "CRED-3", "CRED-4", "ENV-1", "ENV-3", "ENV-4", "ENV-5a", "ENV-5b", "ENV-5d", "ENV-5e",
        "ROT-1", "ROT-2", "ROT-3", "BILL-1", "BILL-2", "BILL-3", "VAL-1", "VAL-2",
    ] {
        assert_eq!(verdict(&report, clause).0, "pass", "{clause}");
    }
    let evidence = clause(&report, "CRED-3")["evidence"].to_string();
    for words in ["judged again", "aws-actions", "sha256:", "4 credentials, 4 proven"] {
        assert!(evidence.contains(words), "{words}: {evidence}");
    }
}

#[test]
fn cred_1_a_raw_secret_in_a_request_fails() {
    let report = fails("CRED-1", |repository| {
        let token = Fake::new(1).gitlab_token();
        edit(repository, &pack("aws", "request.valid.json"), "\"123456789012\"", &format!("\"{token}\""));
    });
    assert!(report.to_string().contains("/accountScope/0"), "the pointer is named");
}

#[test]
fn cred_2_an_auth_bearing_field_fails() {
    fails("CRED-2", |r| edit(r, &pack("aws", "request.valid.json"), "\"authMode\"", "\"apiKey\": \"x\", \"authMode\""));
}

#[test]
fn cred_3_an_auth_mode_that_may_write_fails() {
    fails("CRED-3", |r| edit(r, &pack("gcp", "request.valid.json"), "\"read-only\"", "\"write\""));
}

const AWS_PROOF: &str = ".custody/proofs/aws/123456789012/readonly.json";
const AWS_REFERENCE: &str = "cred://aws/123456789012/readonly";

#[test]
fn cred_3_a_credential_without_a_proof_that_counts_fails() {
    let missing = fails("CRED-3", |r| std::fs::remove_file(r.path(AWS_PROOF)).expect("removed"));
    let said = missing.to_string();
    for words in [
        "there is no proof that it is read-only",
        "or custody cred prove POLICY --for cred://aws/123456789012/readonly",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let why = |change: fn(&Repository)| fails("CRED-3", change).to_string();
    assert!(why(|r| edit(r, "ops/policies/aws.json", "ce:Get*", "ce:*")).contains("aws.json has changed since"));
    assert!(why(|r| edit(r, AWS_PROOF, "\"expires\": \"2", "\"expires\": \"1")).contains("ran out"));
    let writes = why(|r| {
        edit(r, "ops/policies/aws.json", "ce:Get*", "s3:Put*");
        common::prove_by(r, "ops/policies/aws.json", AWS_REFERENCE);
    });
    assert!(writes.contains("it is not-read-only"), "{writes}");
    let table = why(|r| edit(r, AWS_PROOF, "\"version\": \"", "\"version\": \"0"));
    assert!(table.contains("another table"), "{table}");
    // What it concludes is not believed where the document is at hand.
    let forged = why(|r| {
        let other = std::fs::read_to_string(r.path(AWS_PROOF)).expect("a proof");
        edit(r, "ops/policies/aws.json", "ce:Get*", "s3:Put*");
        common::prove_by(r, "ops/policies/aws.json", AWS_REFERENCE);
        let digest = |text: &str| text.split("sha256\": \"").nth(1).expect("a digest")[..64].to_owned();
        let written = std::fs::read_to_string(r.path(AWS_PROOF)).expect("a proof");
        r.write(AWS_PROOF, other.replace(&digest(&other), &digest(&written)));
    });
    assert!(forged.contains("the documents that it names say something else"), "{forged}");
}

#[test]
fn cred_3_a_waiver_may_name_the_credential_and_local_only_warns() {
    let repository = clean();
    std::fs::remove_file(repository.path(AWS_PROOF)).expect("removed");
    let contract = std::fs::read_to_string(repository.path("custody.toml")).expect("there");
    let waived = |reference: &str| {
        repository.write("custody.toml", format!("{contract}[[waiver]]\nid = \"later\"\nclause = \"CRED-3\"\nreferences = [\"{reference}\"]\nowner = \"finops\"\nreason = \"the account moves\"\nexpires = 2999-01-01\n"));
        run(&repository, &["check", "--no-incident", "--format", "json"])
    };
    let named = waived(AWS_REFERENCE);
    named.expect_status(0);
    let verdict = clause(&named.json(), "CRED-3");
    assert_eq!(
        (verdict["verdict"].as_str(), verdict["waivers"][0].as_str()),
        (Some("warn"), Some("later")),
        "{verdict:#}"
    );
    assert!(!named.stdout.contains("waiver-stale"), "{}", named.stdout);
    let other = waived("cred://aws/elsewhere/readonly");
    other.expect_status(1);
    assert!(other.stdout.contains("waiver later matches nothing"), "{}", other.stdout);
    repository.write("custody.toml", contract.replace("\"prod\"", "\"local\""));
    let local = run(&repository, &["check", "--no-incident", "--env", "local", "--format", "json"]);
    assert_eq!(common::verdict(&local.json(), "CRED-3").0, "warn");
    // To ask for less is a loosening that the profile locks.
    repository.write("custody.toml", format!("{contract}[proof]\nrequired-in = []\nmax-age = \"400d\"\n"));
    let loosened = run(&repository, &["check", "--no-incident"]);
    loosened.expect_status(2);
    assert_eq!(loosened.stderr.matches("it belongs to CRED-3").count(), 2, "{}", loosened.stderr);
}

fn clause(report: &serde_json::Value, id: &str) -> serde_json::Value {
    let clauses = report["clauses"].as_array().expect("clauses");
    clauses.iter().find(|c| c["clause"] == id).expect("the clause is there").clone()
}

#[test]
fn cred_4_a_malformed_reference_fails() {
    fails("CRED-4", |r| {
        edit(r, &pack("aws", "request.valid.json"), "cred://aws/123456789012/readonly", "cred://aws/readonly")
    });
}

#[test]
fn cred_4_a_reference_that_carries_a_secret_fails() {
    let report = fails("CRED-4", |r| {
        let reference = format!("cred://aws/{}/readonly", Fake::new(2).aws_access_key_id());
        edit(r, &pack("aws", "request.valid.json"), "cred://aws/123456789012/readonly", &reference);
    });
    assert!(report.to_string().contains("aws-access-key-id"), "the rule is named");
}

#[test]
fn env_1_a_missing_baseline_key_fails() {
    let report = fails("ENV-1", |r| edit(r, ".env.production.example", "FICECAL_MCP_BASE=http://localhost:4000\n", ""));
    assert!(report.to_string().contains("FICECAL_MCP_BASE"));
}

#[test]
fn env_2_an_optional_key_of_the_wrong_type_fails() {
    fails("ENV-2", |r| edit(r, ".env.production.example", "MODE=strict", "MODE=sometimes"));
}

#[test]
fn env_3_an_unsafe_template_value_fails() {
    fails("ENV-3", |r| {
        let token = Fake::new(3).stripe_key();
        edit(r, ".env.example", "NODE_ENV", &format!("STRIPE_API_KEY={token}\nNODE_ENV"));
    });
}

#[test]
fn env_4_a_tracked_env_file_with_a_real_value_fails() {
    fails("ENV-4", |r| {
        r.write(".env", format!("STRIPE_API_KEY={}\n", Fake::new(4).stripe_key()));
    });
}

#[test]
fn env_5a_a_secret_that_only_history_holds_fails() {
    fails("ENV-5a", |r| {
        r.write("notes.txt", format!("key {}\n", Fake::new(5).aws_access_key_id()));
        r.commit("Oops");
        std::fs::remove_file(r.path("notes.txt")).expect("there");
    });
}

#[test]
fn env_5b_a_secret_in_fixtures_fails() {
    fails("ENV-5b", |r| {
        r.write("tests/fixtures/a.json", format!("{{\"token\": \"{}\"}}\n", Fake::new(6).gitlab_token()));
    });
}

#[test]
fn env_5c_an_image_that_cannot_be_read_makes_it_incomplete() {
    let repository = clean();
    repository.write("docs/screenshots/a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0");
    repository.commit("A screenshot");
    let (status, report) = check(&repository);
    assert_eq!(verdict(&report, "ENV-5c"), ("fail".to_owned(), true));
    assert_eq!((status, report["decision"].as_str()), (3, Some("incomplete")));
}

#[test]
fn env_5c_a_secret_in_a_screenshots_text_chunk_fails() {
    let repository = clean();
    {
        let mut image = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0tEXtComment\0".to_vec();
        image.extend_from_slice(Fake::new(7).slack_token().as_bytes());
        repository.write("docs/screenshots/a.png", image);
    }
    let (status, report) = check(&repository);
    assert_eq!((status, verdict(&report, "ENV-5c").0.as_str()), (1, "fail"));
    assert_eq!(report["findings"][0]["occurrences"][0]["surface"], "screenshots");
}

#[test]
fn env_5d_a_secret_in_an_ignored_log_fails() {
    fails("ENV-5d", |r| {
        r.write(".gitignore", "logs/\n");
        r.write("logs/debug.log", format!("using {}\n", Fake::new(8).slack_token()));
    });
}

#[test]
fn env_5e_a_secret_in_evidence_fails() {
    fails("ENV-5e", |r| {
        r.write("tests/evidence/p01/out.txt", format!("Authorization: Bearer {}\n", Fake::new(9).gitlab_token()));
    });
}

#[test]
fn rot_1_an_overdue_credential_fails() {
    fails("ROT-1", |r| edit(r, "custody.toml", "window = \"90d\"", "window = \"5d\""));
}

#[test]
fn rot_1_an_unregistered_reference_fails() {
    fails("ROT-1", |r| {
        edit(r, &pack("aws", "request.valid.json"), "cred://aws/123456789012/", "cred://aws/999999999999/")
    });
}

#[test]
fn rot_2_a_finding_opens_an_incident_that_blocks_until_it_is_closed() {
    let repository = clean();
    let token = Fake::new(10).gitlab_token();
    repository.write("notes.txt", format!("{token}\n"));
    let (status, report) = check(&repository);
    assert_eq!((status, verdict(&report, "ROT-2").0.as_str()), (1, "fail"));
    let incident = report["incidents"][0]["id"].as_str().expect("an incident").to_owned();
    assert!(repository.path(&format!(".custody/incidents/{incident}.toml")).is_file());
    // The leak is gone before anything was committed; the incident is still open.
    std::fs::remove_file(repository.path("notes.txt")).expect("there");
    let (status, report) = check(&repository);
    assert_eq!((status, verdict(&report, "ROT-2").0.as_str()), (1, "fail"));
    run(&repository, &["incident", "close", &incident, "--by", "finops", "--reason", "rotated"]).expect_status(0);
    let (status, report) = check(&repository);
    assert_eq!((status, verdict(&report, "ROT-2").0.as_str()), (0, "pass"), "{report:#}");
}

#[test]
fn rot_2_a_dry_run_opens_nothing() {
    let repository = clean();
    repository.write("notes.txt", format!("{}\n", Fake::new(11).gitlab_token()));
    run(&repository, &["check", "--no-incident"]).expect_status(1);
    assert!(!repository.path(".custody/incidents").exists());
}

#[test]
fn rot_3_an_open_high_finding_fails_and_a_waiver_lifts_it_until_it_expires() {
    let repository = clean();
    repository.write("notes.txt", format!("{}\n", Fake::new(12).gitlab_token()));
    let (status, report) = check(&repository);
    assert_eq!((status, verdict(&report, "ROT-3").0.as_str()), (1, "fail"));
    let fingerprint = report["findings"][0]["fingerprint"].as_str().expect("a fingerprint");
    let contract = std::fs::read_to_string(repository.path("custody.toml")).expect("text");
    let waiver = |day: &str| {
        format!(
            "{contract}[[waiver]]\nid = \"w\"\nfingerprint = \"{fingerprint}\"\nowner = \"finops\"\nreason = \"a test token\"\nexpires = {day}\n"
        )
    };
    std::fs::remove_dir_all(repository.path(".custody/incidents")).expect("incidents");
    repository.write("custody.toml", waiver("2999-01-01"));
    run(&repository, &["check"]).expect_status(0);
    repository.write("custody.toml", waiver("2020-01-01"));
    run(&repository, &["check", "--no-incident"]).expect_status(1);
}

#[test]
fn bill_1_a_request_without_reference_fails_in_prod_and_passes_in_local() {
    let without = |r: &Repository| {
        edit(r, &pack("aws", "request.valid.json"), "\"credentialRef\": \"cred://aws/123456789012/readonly\", ", "")
    };
    fails("BILL-1", without);
    let repository = clean();
    without(&repository);
    let run = run(&repository, &["check", "--env", "local", "--format", "json"]);
    assert_ne!(verdict(&run.json(), "BILL-1").0, "fail", "{}", run.stdout);
}

#[test]
fn bill_2_an_empty_auth_mode_is_no_omission() {
    fails("BILL-2", |r| edit(r, &pack("aws", "request.valid.json"), "\"read-only\"", "\"\""));
    let repository = clean();
    edit(&repository, &pack("aws", "request.valid.json"), "\"authMode\": \"read-only\", ", "");
    assert_eq!(verdict(&check(&repository).1, "BILL-2").0, "pass");
    let request = pack("aws", "request.valid.json");
    let run = run(&repository, &["billing", "validate", &request, "--normalise"]);
    run.expect_status(0);
    assert_eq!(run.json()["authMode"], "read-only", "{}", run.stdout);
}

#[test]
fn bill_3_an_unsupported_auth_mode_is_named_with_its_adapter() {
    let report = fails("BILL-3", |r| edit(r, &pack("azure", "request.valid.json"), "\"read-only\"", "\"admin\""));
    let text = report.to_string();
    assert!(text.contains("azure-billing") && text.contains("admin") && text.contains("read-only"));
}

#[test]
fn val_1_a_pack_that_disagrees_with_itself_fails() {
    fails("VAL-1", |r| edit(r, &pack("aws", "response.expected.json"), "\"USD\"", "\"EUR\""));
}

#[test]
fn val_2_a_validate_script_without_custody_fails() {
    fails("VAL-2", |r| edit(r, "package.json", "custody check --no-incident", "echo fine"));
}

#[test]
fn an_unknown_environment_is_an_error_and_never_local() {
    let repository = clean();
    run(&repository, &["check", "--env", "qa"]).expect_status(2);
    edit(&repository, "custody.toml", "default-environment = \"prod\"\n", "");
    let named = run_with(repository.root(), &["check", "--format", "json"], &[("NODE_ENV", "production")], b"");
    assert_eq!(named.json()["environment"], "prod");
    assert_eq!(named.json()["environment_source"], "node-env");
    run_with(repository.root(), &["check"], &[("NODE_ENV", "qa")], b"").expect_status(2);
}
