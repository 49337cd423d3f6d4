//! `custody cred` as a user calls it.

use std::path::Path;
use std::process::{Command, Stdio};

use custody_testkit::{Canary, Fake, Repository, Run, custody};

const CONTRACT: &str = r#"
contract = "custody"
default-environment = "local"

[[key]]
name = "STRIPE_API_KEY"
secret = true

[[credential]]
reference = "cred://stripe/local/api-key"
owner = "payments"
contact = "payments@example.com"
window = "90d"
procedure = "docs/rotation.md"
last-rotation = 2020-01-01
"#;

fn repository() -> Repository {
    let repository = Repository::new();
    repository.write("custody.toml", CONTRACT);
    repository
}

/// Runs with a home of its own inside the repository's directory.
fn cred(repository: &Repository, arguments: &[&str], stdin: &[u8]) -> Run {
    let binary = Path::new(env!("CARGO_BIN_EXE_custody"));
    custody(binary, repository.root(), &[&["cred"], arguments].concat(), &[], stdin)
}

#[test]
fn put_get_list_and_doctor_agree_and_show_nothing() {
    let (repository, mut canary, mut fake) = (repository(), Canary::new(), Fake::new(71));
    let (first, second) = (fake.stripe_key(), fake.stripe_key());
    canary.plant("first", &first);
    canary.plant("second", &second);
    let put =
        |secret: &str| cred(&repository, &["put", "cred://stripe/local/api-key"], format!("{secret}\n").as_bytes());
    assert!(put(&first).expect_status(0).stdout.contains("as version 1 in embedded"));
    assert!(put(&second).expect_status(0).stdout.contains("as version 2 in embedded"));
    let mut outputs = Vec::new();
    for arguments in [
        &["get", "cred://stripe/local/api-key"][..],
        &["get", "cred://stripe/local/api-key", "--format", "json"],
        &["get", "cred://stripe/local/api-key", "--version-name", "previous"],
        &["list"],
        &["list", "--format", "json"],
        &["doctor"],
        &["doctor", "--format", "json"],
        &["history", "cred://stripe/local/api-key"],
    ] {
        let run = cred(&repository, arguments, b"");
        run.expect_status(0);
        outputs.push(run);
    }
    assert!(outputs[0].stdout.contains("payments") && outputs[0].stdout.contains("overdue"), "{}", outputs[0].stdout);
    assert_eq!(outputs[1].json()["version"], "2");
    assert!(outputs[2].stdout.contains("version    1"), "{}", outputs[2].stdout);
    assert_eq!(outputs[6].json()["credentials"][0]["resolves"], true);
    for run in &outputs {
        canary.assert_silent("stdout", run.stdout.as_bytes());
        canary.assert_silent("stderr", run.stderr.as_bytes());
    }
    canary_on_disk(&canary, repository.root());
}

/// No file below a directory holds a planted secret.
fn canary_on_disk(canary: &Canary, directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            canary_on_disk(canary, &path);
        } else {
            canary.assert_silent(&path.display().to_string(), &std::fs::read(&path).unwrap_or_default());
        }
    }
}

#[test]
fn a_secret_is_revealed_at_a_terminal_only() {
    let repository = repository();
    cred(&repository, &["put", "cred://stripe/local/api-key"], b"swordfish").expect_status(0);
    let reveal = ["get", "cred://stripe/local/api-key", "--reveal", "--reason", "a test"];
    let run = cred(&repository, &reveal, b"");
    assert!(run.expect_status(4).stderr.contains("at a terminal only"), "{}", run.stderr);
    assert!(!run.stdout.contains("swordfish"));
    cred(&repository, &reveal[..3], b"").expect_status(2);
    // `script` gives the command a terminal.
    let command = format!("{} cred {}", env!("CARGO_BIN_EXE_custody"), reveal.join(" ").replace("a test", "test"));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(repository.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", repository.root())
        .stdin(Stdio::null())
        .output()
        .expect("script is installed");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("swordfish"), "{shown}");
}

#[test]
fn what_cannot_be_done_says_why_and_what_to_do() {
    let (repository, mut fake) = (repository(), Fake::new(72));
    let secret = fake.gitlab_token();
    for (arguments, stdin, status, said) in [
        (&["get", "cred://aws/local/none"][..], "", 5, "custody cred put"),
        (&["get", "cred://aws/none"], "", 2, "at least one scope"),
        (&["put", "cred://aws/local/x"], "", 2, "the secret is empty"),
        (&["put", &secret], "x", 2, "CRED-4"),
        (&["get", "cred://aws/local/x", "--backend", "embeded"], "", 2, "did you mean embedded?"),
        (&["doctor", "--env", "prod", "cred://aws/local/x"], "", 4, "[[credential]]"),
        (&["delete", "cred://aws/local/x"], "", 5, "no secret of this name"),
        (&["rekey", "--backend", "environment"], "", 2, "no embedded store"),
    ] {
        let run = cred(&repository, arguments, stdin.as_bytes());
        run.expect_status(status);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.contains(&secret) && !run.stdout.contains(&secret));
        cred(&repository, &["put", "cred://aws/local/kept"], b"kept").expect_status(0);
    }
}

#[test]
fn versions_keys_and_backups_work_from_the_command_line() {
    let repository = repository();
    let reference = "cred://aws/local/readonly";
    for value in ["one", "two"] {
        cred(&repository, &["put", reference, "--note", "rotated"], value.as_bytes()).expect_status(0);
    }
    cred(&repository, &["activate", reference, "-n", "1"], b"").expect_status(0);
    assert_eq!(cred(&repository, &["get", reference, "--format", "json"], b"").json()["version"], "1");
    cred(&repository, &["rekey"], b"").expect_status(0);
    repository.write("passphrase", "correct horse battery\n");
    cred(&repository, &["backup", "store.backup", "--passphrase-file", "passphrase"], b"").expect_status(0);
    cred(&repository, &["delete", reference], b"").expect_status(2);
    cred(&repository, &["delete", reference, "--yes"], b"").expect_status(0);
    cred(&repository, &["get", reference], b"").expect_status(5);
    cred(&repository, &["restore", "store.backup", "--passphrase-file", "passphrase"], b"").expect_status(2);
    cred(&repository, &["restore", "store.backup", "--passphrase-file", "passphrase", "--replace"], b"")
        .expect_status(0);
    let history = cred(&repository, &["history", reference, "--format", "json"], b"");
    assert_eq!(history.json()["versions"].as_array().map(Vec::len), Some(2));
    assert_eq!(history.json()["versions"][0]["current"], true);
}

#[test]
fn import_moves_secrets_and_keeps_everything_else() {
    let (repository, mut canary, mut fake) = (repository(), Canary::new(), Fake::new(73));
    let (stripe, password) = (fake.stripe_key(), fake.password());
    canary.plant("stripe", &stripe);
    canary.plant("password", &password);
    let file = |stripe: &str, password: &str| {
        format!(
            "# Payments\nexport STRIPE_API_KEY={stripe} # live\n\nAPI_BASE=http://localhost:3000\r\nDB_PASSWORD='{password}'\nEMPTY=\nPLACEHOLDER=<your key here>\nMODE=fallback"
        )
    };
    repository.write(".env", file(&stripe, &password));
    let before = std::fs::read(repository.path(".env")).expect("there");
    let dry = cred(&repository, &["import", ".env", "--dry-run"], b"");
    assert!(dry.expect_status(0).stdout.contains("Would move 2 secret(s)"), "{}", dry.stdout);
    assert_eq!(std::fs::read(repository.path(".env")).expect("there"), before);
    let run = cred(&repository, &["import", ".env", "--format", "json"], b"");
    run.expect_status(0);
    let moved = run.json();
    assert_eq!(moved["moved"].as_array().map(Vec::len), Some(2), "{}", run.stdout);
    assert_eq!(moved["linesThatStillLookLikeSecrets"], serde_json::json!([]));
    let after = std::fs::read_to_string(repository.path(".env")).expect("there");
    // Quotes went with the value: a reference needs none.
    let expected = file("cred://stripe/local/api-key", "").replace("''", "cred://db/local/password");
    assert_eq!(after, expected);
    canary.assert_silent("stdout", run.stdout.as_bytes());
    canary.assert_silent("stderr", run.stderr.as_bytes());
    canary_on_disk(&canary, repository.root());
    // They resolve, and a second import has nothing to do.
    cred(&repository, &["doctor", "cred://stripe/local/api-key", "cred://db/local/password"], b"").expect_status(0);
    assert!(cred(&repository, &["import", ".env"], b"").expect_status(0).stdout.contains("no secrets to move"));
}

#[test]
fn what_an_import_says_to_add_makes_the_secrets_reach_a_command() {
    let (repository, mut fake) = (Repository::new(), Fake::new(74));
    let stripe = fake.stripe_key();
    repository.write(".env", format!("STRIPE_API_KEY={stripe}\n"));
    let said = cred(&repository, &["import", ".env", "--env", "local"], b"").expect_status(0).stdout.clone();
    let (_, after) = said.split_once("Add to custody.toml:\n").expect("says what to add");
    let add: Vec<&str> = after.lines().take_while(|line| !line.starts_with("  - ")).map(str::trim).collect();
    assert!(add.contains(&"from = { local = \"cred://stripe/local/api-key\" }"), "{said}");
    repository.write("custody.toml", format!("contract = \"custody\"\n{}", add.join("\n")));
    let script = format!("test \"$STRIPE_API_KEY\" = {stripe}");
    let arguments = ["run", "--env", "local", "--", "sh", "-c", &script];
    custody(Path::new(env!("CARGO_BIN_EXE_custody")), repository.root(), &arguments, &[], b"").expect_status(0);
}

#[test]
fn an_import_that_cannot_be_finished_leaves_the_file_alone() {
    let (repository, mut fake) = (repository(), Fake::new(74));
    let content = format!("STRIPE_API_KEY={}\n", fake.stripe_key());
    repository.write(".env", &content);
    let unchanged = || assert_eq!(std::fs::read_to_string(repository.path(".env")).expect("there"), content);
    cred(&repository, &["put", "cred://stripe/local/api-key"], b"another value").expect_status(0);
    let taken = cred(&repository, &["import", ".env"], b"");
    assert!(taken.expect_status(2).stderr.contains("is taken"), "{}", taken.stderr);
    unchanged();
    // A backend that only reads.
    cred(&repository, &["import", ".env", "--backend", "environment"], b"").expect_status(2);
    unchanged();
    let typo = cred(&repository, &["import", ".env", "--except", "STRIPE_API_KEI"], b"");
    assert!(typo.expect_status(2).stderr.contains("did you mean STRIPE_API_KEY?"), "{}", typo.stderr);
    cred(&repository, &["import", ".env", "--except", "STRIPE_API_KEY"], b"").expect_status(0);
    unchanged();
    cred(&repository, &["import", ".env", "--as", "STRIPE_API_KEY=cred://stripe/local/imported"], b"").expect_status(0);
    let after = std::fs::read_to_string(repository.path(".env")).expect("there");
    assert_eq!(after, "STRIPE_API_KEY=cred://stripe/local/imported\n");
}
