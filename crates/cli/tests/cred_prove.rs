//! `custody cred prove` from the command line: exit codes, both formats, proofs that are kept.

use std::path::Path;

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
    assert_eq!(run(directory.path(), &["cred", "prove", reference], "").status, 1);
    let kept = run(directory.path(), &["cred", "prove", "-", "--for", reference, "-f", "json"], &policy("ce:Get*"));
    assert_eq!((kept.status, kept.json()["schema"].as_str()), (0, Some("custody.proof/1")));
    assert!(directory.path().join(".custody/proofs/aws/production/readonly.json").is_file());
    assert_eq!(run(directory.path(), &["cred", "prove", reference], "").status, 0);
    assert_eq!(run(directory.path(), &["cred", "prove", "cred://aws/stage/readonly"], "").status, 1);
}

#[test]
fn the_published_schema_is_the_one_that_the_binary_prints() {
    let directory = tempfile::tempdir().expect("a directory");
    let printed = run(directory.path(), &["cred", "prove", "--schema"], "");
    assert_eq!(printed.stdout, include_str!("../../../schemas/custody.proof-1.schema.json"));
}
