//! `custody cred prove` from the command line: exit codes, both formats, proofs that are kept.

use std::path::Path;

use custody_testkit::servers::{Reply, Stub};
use custody_testkit::{Run, custody};

fn run(directory: &Path, arguments: &[&str], stdin: &str) -> Run {
    custody(Path::new(env!("CARGO_BIN_EXE_custody")), directory, arguments, &[], stdin.as_bytes())
}

fn policy(action: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#)
}

#[test]
fn exit_codes_say_proven_not_proven_and_unusable() {
    let directory = tempfile::tempdir().expect("a directory");
    for (text, code) in
        [(policy("ce:Get*"), 0), (policy("s3:*"), 1), (policy("sts:AssumeRole"), 1), ("{".to_owned(), 2)]
    {
        assert_eq!(run(directory.path(), &["cred", "prove", "-"], &text).status, code, "{text}");
    }
    assert_eq!(run(directory.path(), &["cred", "prove", "absent.json"], "").status, 2);
}

#[test]
fn a_kept_proof_answers_for_its_reference() {
    let directory = tempfile::tempdir().expect("a directory");
    let reference = "cred://aws/production/readonly";
    assert_eq!(run(directory.path(), &["cred", "prove", reference, "--stored"], "").status, 1);
    let kept = run(directory.path(), &["cred", "prove", "-", "--for", reference, "-f", "json"], &policy("ce:Get*"));
    assert_eq!((kept.status, kept.json()["schema"].as_str()), (0, Some("custody.proof/1")));
    assert!(directory.path().join(".custody/proofs/aws/production/readonly.json").is_file());
    assert_eq!(run(directory.path(), &["cred", "prove", reference, "--stored"], "").status, 0);
    assert_eq!(run(directory.path(), &["cred", "prove", "cred://aws/stage/readonly", "--stored"], "").status, 1);
}

#[test]
fn the_published_schema_is_the_one_that_the_binary_prints() {
    let directory = tempfile::tempdir().expect("a directory");
    let printed = run(directory.path(), &["cred", "prove", "--schema"], "");
    assert_eq!(printed.stdout, include_str!("../../../schemas/custody.proof-1.schema.json"));
}

#[test]
fn a_reference_is_proven_by_what_its_provider_says_by_a_stub() {
    let token = ["gh", "p_", "tok"].concat();
    let expected = format!("Bearer {token}");
    let github = Stub::start(move |request| match request.header("authorization") == Some(&expected) {
        true => Reply::json(200, &serde_json::json!({})).with("X-OAuth-Scopes", "read:org"),
        false => Reply::json(401, &serde_json::json!({ "message": "Bad credentials" })),
    });
    let directory = tempfile::tempdir().expect("a directory");
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write(
        "custody.toml",
        "[backends.files]\nkind = \"file\"\npath = \"secrets\"\n[environments.prod]\nbackend = \"files\"\n[[credential]]\nreference = \"cred://github/billing/readonly\"\nowner = \"o\"\ncontact = \"c@example.com\"\nwindow = \"90d\"\nprocedure = \"docs/r.md\"\n",
    );
    write("secrets/github/billing/readonly", &token);
    let variables = [("GITHUB_API_URL", github.address())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let asked = |arguments: &[&str]| {
        let arguments = [&["cred"], arguments].concat();
        custody(Path::new(env!("CARGO_BIN_EXE_custody")), directory.path(), &arguments, &variables, b"")
    };
    let reference = "cred://github/billing/readonly";
    let before = asked(&["list", "--env", "prod"]);
    before.expect_status(0);
    let proven = asked(&["prove", reference, "--env", "prod"]);
    proven.expect_status(0);
    assert!(
        proven.stdout.contains("proved-read-only") && proven.stderr.contains("the proof is kept in"),
        "{}",
        proven.stderr
    );
    assert!(!proven.stdout.contains(&token) && !proven.stderr.contains(&token));
    assert_eq!(asked(&["prove", reference, "--stored"]).status, 0);
    let shown = asked(&["get", reference, "--env", "prod"]);
    assert!(shown.stdout.contains("proven until "), "{}", shown.stdout);
    let doctor = asked(&["doctor", reference, "--env", "prod"]);
    doctor.expect_status(0);
    std::fs::remove_dir_all(directory.path().join(".custody/proofs")).expect("removed");
    let doctor = asked(&["doctor", reference, "--env", "prod"]);
    doctor.expect_status(4);
    assert!(
        doctor.stdout.contains("not proven") && doctor.stderr.contains("custody cred prove cred://github"),
        "{}",
        doctor.stderr
    );
    // Who may not resolve it learns how to prove it without.
    write("secrets/github/billing/readonly", &["wr", "ong"].concat());
    let refused = asked(&["prove", reference, "--env", "prod"]);
    refused.expect_status(4);
    assert!(refused.stderr.contains("cannot be asked what it is granted"), "{}", refused.stderr);
}

#[test]
fn the_query_for_postgresql_is_printed() {
    let directory = tempfile::tempdir().expect("a directory");
    let printed = run(directory.path(), &["cred", "prove", "--print-query", "postgres"], "");
    assert!(printed.status == 0 && printed.stdout.contains("pg_auth_members"), "{}", printed.stderr);
}
