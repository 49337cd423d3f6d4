//! `custody run` through the binary: from references in a contract to a masked command. The mechanics (signals,
//! terminals, memory) are tested in `crates/credential/tests/inject.rs`.

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::run_with;
use custody_testkit::{Repository, Run};

/// A value that nothing else has, assembled here.
fn token(name: &str) -> String {
    format!("tok_{name}_{}+/={}", "9fQ2", "x7Kd0Zu")
}

const CONTRACT: &str = r#"
[backends.files]
kind = "file"
path = "secrets"

[environments.local]
backend = "files"
[environments.prod]
backend = "files"

[[key]]
name = "AWS_TOKEN"
secret = true
from = "FICECAL_AWS_CREDENTIAL_REF"

[[key]]
name = "KEY_PATH"
secret = true
from = "cred://azure/local/key"
as = "file"

[[key]]
name = "DB_PASSWORD"
secret = true
"#;

/// A repository whose contract gives three keys their credentials.
fn repository() -> Repository {
    let repository = Repository::new();
    repository.write("custody.toml", CONTRACT);
    repository.write("secrets/aws/local/readonly", token("aws"));
    repository.write("secrets/azure/local/key", token("azure"));
    repository.write("secrets/db/local/password", format!("{{\"user\": \"app\", \"password\": \"{}\"}}", token("db")));
    repository
}

const VARIABLES: [(&str, &str); 1] = [("FICECAL_AWS_CREDENTIAL_REF", "cred://aws/local/readonly")];

fn run(repository: &Repository, arguments: &[&str]) -> Run {
    run_with(repository.root(), &[&["run", "--env", "local"], arguments].concat(), &VARIABLES, b"")
}

fn sh(repository: &Repository, options: &[&str], script: &str) -> Run {
    run(repository, &[options, &["--", "sh", "-c", script]].concat())
}

#[test]
fn keys_get_their_credentials_and_references_stay_references() {
    let repository = repository();
    let script = "echo $FICECAL_AWS_CREDENTIAL_REF; printf %s \"$AWS_TOKEN\" | wc -c; wc -c < $KEY_PATH; echo ${DB_PASSWORD:-unset}";
    let expected = |db| format!("cred://aws/local/readonly\n{}\n{}\n{db}\n", token("aws").len(), token("azure").len());
    assert_eq!(sh(&repository, &[], script).expect_status(0).stdout, expected("unset"));
    let mapping = ["--inject", "DB_PASSWORD=cred://db/local/password#password", "--no-mask"];
    assert_eq!(sh(&repository, &mapping, script).expect_status(0).stdout, expected(&token("db")));
    // A secret key that holds a reference itself.
    let variables = [VARIABLES[0], ("DB_PASSWORD", "cred://aws/local/readonly")];
    let arguments = ["run", "--env", "local", "sh", "-c", "echo $DB_PASSWORD"];
    assert_eq!(run_with(repository.root(), &arguments, &variables, b"").expect_status(0).stdout, "***\n");
    let ran = sh(&repository, &["--fd", "BY_FD=cred://aws/local/readonly"], "cat $BY_FD | wc -c; echo $BY_FD");
    assert!(ran.stdout.starts_with(&format!("{}\n/dev/fd/", token("aws").len())), "{}", ran.stdout);
}

#[test]
fn exit_codes_are_the_commands_or_say_why_it_did_not_start() {
    let repository = repository();
    for code in [0, 1, 4, 7, 255] {
        sh(&repository, &[], &format!("exit {code}")).expect_status(code);
    }
    run(&repository, &["--", "no-such-command-here"]).expect_status(127);
    run(&repository, &["/etc/passwd"]).expect_status(126);
    let killed = sh(&repository, &[], "kill -9 $$");
    assert_eq!(killed.status, -1, "by the signal itself");
    run(&repository, &[]).expect_status(2);
}

#[test]
fn options_of_the_command_are_not_custodys() {
    let ran = run(&repository(), &["echo", "--no-mask", "-e", "--", "-x"]);
    assert_eq!(ran.expect_status(0).stdout, "--no-mask -e -- -x\n");
}

#[test]
fn what_the_command_prints_is_masked_told_and_recorded() {
    let repository = repository();
    let ran = sh(&repository, &[], "echo $AWS_TOKEN; printf %s \"$AWS_TOKEN\" | base64; cat $KEY_PATH >&2");
    ran.expect_status(0);
    // Of base64 at most one symbol and the padding are left: the end of a group of three.
    assert!(ran.stdout.starts_with("***\n***") && ran.stdout.len() < 13, "{}", ran.stdout);
    assert!(ran.stderr.starts_with("***"), "{}", ran.stderr);
    for expected in [
        "warning[ROT-2]",
        "the value of AWS_TOKEN 2 times",
        "`cred://aws/local/readonly` stood in stdout line 1 (byte 0, text), stdout line 2",
        "base64",
        "the value of KEY_PATH once",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    assert!(!repository.root().join(".custody").exists(), "no incident in local");
    let query = run_with(repository.root(), &["audit", "query", "--format", "jsonl"], &[], b"");
    let text = query.expect_status(0).stdout.clone();
    assert_eq!(text.matches("\"inject\"").count(), 2, "{text}");
    assert_eq!(text.matches("\"mask\"").count(), 2, "{text}");
    assert!(text.contains("custody run sh") && text.contains("cred://azure/local/key"), "{text}");
    assert!(!text.contains(&token("aws")));
}

#[test]
fn a_printed_value_opens_an_incident_in_prod_unless_told_not_to() {
    let repository = repository();
    let credential = "[[credential]]\nreference = \"cred://aws/local/readonly\"\nowner = \"finops\"\n\
        contact = \"finops@example.com\"\nwindow = \"90d\"\nprocedure = \"docs/rotation.md\"\n";
    let contract = CONTRACT.replace("from = \"cred://azure/local/key\"\n", "");
    repository.write("custody.toml", format!("{contract}{credential}"));
    common::prove(&repository, "aws", "cred://aws/local/readonly");
    let go = |options: &[&str]| {
        let arguments = [&["run", "--env", "prod"], options, &["--", "sh", "-c", "echo $AWS_TOKEN; exit 3"]].concat();
        run_with(repository.root(), &arguments, &VARIABLES, b"")
    };
    let ran = go(&["--no-incident"]);
    assert!(ran.expect_status(3).stderr.contains("error[ROT-2]"), "{}", ran.stderr);
    assert!(!repository.root().join(".custody/incidents").exists());
    let ran = go(&[]);
    assert!(ran.expect_status(3).stderr.contains("was opened"), "{}", ran.stderr);
    let records: Vec<_> = std::fs::read_dir(repository.root().join(".custody/incidents"))
        .expect("records")
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with("INC-"))
        .collect();
    assert_eq!(records.len(), 1);
    let text = std::fs::read_to_string(records[0].path()).expect("readable");
    assert!(
        text.contains("stdout of sh") && text.contains("injected-value") && !text.contains(&token("aws")),
        "{text}"
    );
}

#[test]
fn everything_that_does_not_resolve_is_said_at_once_before_the_command_starts() {
    let repository = repository();
    std::fs::remove_file(repository.root().join("secrets/aws/local/readonly")).expect("removed");
    std::fs::remove_file(repository.root().join("secrets/azure/local/key")).expect("removed");
    let ran = sh(&repository, &[], "touch started");
    ran.expect_status(5);
    for expected in [
        "cannot resolve `cred://aws/local/readonly` for AWS_TOKEN",
        "cannot resolve `cred://azure/local/key` for KEY_PATH",
        "backend `file",
        "fix:",
    ] {
        assert!(ran.stderr.contains(expected), "{expected}: {}", ran.stderr);
    }
    assert!(!repository.root().join("started").exists());
}

#[test]
fn an_unregistered_credential_is_denied_in_prod() {
    let repository = repository();
    let arguments = ["run", "--env", "prod", "--", "touch", "started"];
    let ran = run_with(repository.root(), &arguments, &VARIABLES, b"");
    assert!(ran.expect_status(4).stderr.contains("error[ROT-1]"), "{}", ran.stderr);
    assert!(!repository.root().join("started").exists());
}

#[test]
fn a_raw_value_where_the_contract_wants_a_reference_is_refused_in_stage_and_prod() {
    let repository = repository();
    let raw = token("raw");
    let variables = [VARIABLES[0], ("AWS_TOKEN", raw.as_str())];
    for environment in ["stage", "prod"] {
        let ran = run_with(repository.root(), &["run", "--env", environment, "touch", "started"], &variables, b"");
        assert!(ran.expect_status(2).stderr.contains("error[ENV-4]: AWS_TOKEN"), "{}", ran.stderr);
        assert!(ran.stderr.contains("raw value") && !ran.stderr.contains(&raw), "{}", ran.stderr);
    }
    assert!(!repository.root().join("started").exists());
    // A reference key with something else is refused everywhere.
    let variables = [("FICECAL_AWS_CREDENTIAL_REF", raw.as_str())];
    let ran = run_with(repository.root(), &["run", "--env", "local", "true"], &variables, b"");
    assert!(ran.expect_status(2).stderr.contains("error[ENV-4]"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&raw));
    // Nor is a raw value taken from the command line.
    let ran = sh(&repository, &["--inject", &format!("X={raw}")], "true");
    assert!(!ran.expect_status(2).stderr.contains(&raw), "{}", ran.stderr);
}

#[test]
fn variables_are_kept_from_the_command_on_request() {
    let repository = repository();
    let variables = [VARIABLES[0], ("VAULT_TOKEN", "login"), ("EXTRA_ONE", "1"), ("EXTRA_TWO", "2")];
    let script = "echo ${VAULT_TOKEN:-none} ${EXTRA_ONE:-none} ${EXTRA_TWO:-none}";
    let go = |options: &[&str]| {
        let arguments = [&["run", "--env", "local"], options, &["sh", "-c", script]].concat();
        run_with(repository.root(), &arguments, &variables, b"").expect_status(0).stdout.clone()
    };
    assert_eq!(go(&[]), "login 1 2\n");
    assert_eq!(go(&["--no-backend-env", "--unset", "EXTRA_ONE"]), "none none 2\n");
    assert_eq!(go(&["--unset", "EXTRA*"]), "login none none\n");
}

#[test]
fn a_part_of_a_value_in_the_output_opens_an_incident_in_prod_too() {
    let repository = repository();
    let credential = "[[credential]]\nreference = \"cred://aws/local/readonly\"\nowner = \"finops\"\n\
        contact = \"finops@example.com\"\nwindow = \"90d\"\nprocedure = \"docs/rotation.md\"\n";
    let contract = CONTRACT.replace("from = \"cred://azure/local/key\"\n", "");
    repository.write("custody.toml", format!("{contract}{credential}"));
    common::prove(&repository, "aws", "cred://aws/local/readonly");
    let script = "printf %s $AWS_TOKEN | head -c 12";
    let go = |environment| {
        let arguments = ["run", "--env", environment, "--", "sh", "-c", script];
        run_with(repository.root(), &arguments, &VARIABLES, b"").expect_status(0).stderr.clone()
    };
    let said = go("prod");
    assert!(said.contains("a part of it") && said.contains("was opened"), "{said}");
    assert!(go("local").contains("warning[ROT-2]"));
}

#[test]
fn a_refusal_says_that_prod_was_assumed_where_nothing_names_the_environment() {
    let repository = repository();
    let go = |arguments: &[&str]| run_with(repository.root(), arguments, &VARIABLES, b"");
    let ran = go(&["run", "--", "true"]);
    assert!(ran.expect_status(4).stderr.contains("note[environment]: prod is assumed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--env local"), "{}", ran.stderr);
    assert!(!go(&["run", "--env", "prod", "--", "true"]).expect_status(4).stderr.contains("is assumed"));
    assert!(go(&["cred", "list"]).stderr.contains("prod is assumed"));
    repository.write("custody.toml", format!("default-environment = \"local\"\n{CONTRACT}"));
    assert_eq!(go(&["run", "--", "true"]).expect_status(0).stderr, "");
}

#[test]
fn a_rotated_credential_signals_the_command_after_its_file_was_replaced() {
    let script = "trap 'echo now $(wc -c < $KEY_PATH); exit 6' USR1; echo got $(wc -c < $KEY_PATH); touch second; \
        while :; do sleep 0.02; done";
    let (output, length) = rotated("signal:USR1", script, "azure/local", "key", "azure");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(6), "{out}{err}");
    assert_eq!(out, format!("got {length}\nnow {}\n", length + 7));
}

#[test]
fn a_rotated_credential_restarts_the_command() {
    let script = "echo got ${#AWS_TOKEN}; [ -e second ] && exit 6; touch second; exec sleep 1000";
    let (output, length) = rotated("restart", script, "aws/local", "readonly", "aws");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(6), "{out}{err}");
    assert_eq!(out, format!("got {length}\ngot {}\n", length + 7));
    assert!(err.contains("note[rotation]: new values for AWS_TOKEN"), "{err}");
}

/// What a command says that ran while a credential was replaced by a longer one, and how long the old one was. The
/// command makes the file `second` when it is ready for that.
fn rotated(action: &str, script: &str, place: &str, file: &str, name: &str) -> (Output, usize) {
    let repository = repository();
    let binary = Path::new(env!("CARGO_BIN_EXE_custody"));
    let mut child = Command::new(binary)
        .args(["run", "--env", "local", "--on-rotate", action, "--watch-interval", "20ms", "--", "sh", "-c", script])
        .current_dir(repository.root())
        .env("HOME", repository.root())
        .envs(VARIABLES)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !repository.root().join("second").exists() {
        assert!(std::time::Instant::now() < end && child.try_wait().expect("asked").is_none());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    repository.write(&format!("secrets/{place}/new"), format!("{}-longer", token(name)));
    let place = repository.root().join("secrets").join(place);
    std::fs::rename(place.join("new"), place.join(file)).expect("rotated");
    (child.wait_with_output().expect("ended"), token(name).len())
}

/// The registry's entry of a credential.
fn entry(reference: &str) -> String {
    format!(
        "[[credential]]\nreference = \"{reference}\"\nowner = \"finops\"\ncontact = \"finops@example.com\"\nwindow = \"90d\"\nprocedure = \"docs/rotation.md\"\n"
    )
}

#[test]
fn a_credential_that_claims_to_be_read_only_is_refused_in_prod_until_it_is_proven() {
    let repository = repository();
    let contract = CONTRACT.replace("from = \"cred://azure/local/key\"\n", "") + &entry("cred://aws/local/readonly");
    repository.write("custody.toml", &contract);
    let run = || {
        let arguments = [
            "run",
            "--env",
            "prod",
            "--inject",
            "AWS_TOKEN=cred://aws/local/readonly",
            "--",
            "sh",
            "-c",
            "echo ${#AWS_TOKEN}",
        ];
        run_with(repository.root(), &arguments, &[], b"")
    };
    let refused = run();
    refused.expect_status(4);
    for words in [
        "error[CRED-3]: `cred://aws/local/readonly` is not proven read-only",
        "there is no proof that it is read-only",
        "custody cred prove cred://aws/local/readonly, or",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
    common::prove(&repository, "aws", "cred://aws/local/readonly");
    let ran = run();
    ran.expect_status(0);
    assert_eq!(ran.stdout.trim(), token("aws").len().to_string());
    repository.write("ops/policies/aws.json", "{}");
    let changed = run();
    changed.expect_status(4);
    assert!(changed.stderr.contains("ops/policies/aws.json has changed since it was judged"), "{}", changed.stderr);
    let waiver = "[[waiver]]\nid = \"moving\"\nclause = \"CRED-3\"\nreferences = [\"cred://aws/local/readonly\"]\nowner = \"o\"\nreason = \"r\"\nexpires = 2999-01-01\n";
    repository.write("custody.toml", format!("{contract}{waiver}"));
    let waived = run();
    waived.expect_status(0);
    assert!(waived.stderr.contains("is used by waiver moving"), "{}", waived.stderr);
}

#[test]
fn what_a_billing_key_names_must_be_proven_whatever_it_claims() {
    let repository = repository();
    repository.write("secrets/aws/prod/ingest", token("aws"));
    let contract = CONTRACT.replace("from = \"cred://azure/local/key\"\n", "") + &entry("cred://aws/prod/ingest");
    repository.write("custody.toml", contract);
    let variables = [("FICECAL_AWS_CREDENTIAL_REF", "cred://aws/prod/ingest")];
    let run = |environment| run_with(repository.root(), &["run", "--env", environment, "--", "true"], &variables, b"");
    let refused = run("prod");
    refused.expect_status(4);
    assert!(refused.stderr.contains("`cred://aws/prod/ingest` is not proven read-only"), "{}", refused.stderr);
    run("local").expect_status(0);
}
