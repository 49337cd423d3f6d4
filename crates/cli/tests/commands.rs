//! The commands as users call them: sources, baseline, base revision, formats, init.

mod common;

use common::{clean, run, run_with, verdict};
use custody_testkit::{Fake, Repository};

fn leak(seed: u64) -> String {
    format!("token {}\n", Fake::new(seed).gitlab_token())
}

#[test]
fn an_empty_directory_is_clean() {
    let directory = Repository::without_git();
    run(&directory, &["scan"]).expect_status(0);
}

#[test]
fn each_source_finds_what_it_holds() {
    let repository = clean();
    repository.write("new.txt", leak(31));
    run(&repository, &["scan", "--staged"]).expect_status(0);
    run(&repository, &["scan"]).expect_status(1);
    run(&repository, &["scan", "new.txt"]).expect_status(1);
    repository.git(["add", "new.txt"]);
    // What is staged counts, not what stands in the file now.
    repository.write("new.txt", "nothing\n");
    run(&repository, &["scan", "--staged"]).expect_status(1);
    run(&repository, &["scan"]).expect_status(0);
    repository.git(["commit", "--quiet", "-m", "in"]);
    let id = repository.git(["rev-parse", "HEAD"]);
    repository.commit("out");
    let history = run(&repository, &["scan", "--history", "--format", "json"]);
    history.expect_status(1);
    let occurrence = &history.json()["findings"][0]["occurrences"][0];
    assert_eq!((occurrence["path"].as_str(), occurrence["commit"].as_str()), (Some("new.txt"), Some(id.as_str())));
    run_with(repository.root(), &["scan", "-"], &[], leak(32).as_bytes()).expect_status(1);
    run_with(repository.root(), &["scan", "-"], &[], b"hello").expect_status(0);
}

#[test]
fn ignored_files_are_searched_on_request() {
    let repository = clean();
    repository.write(".gitignore", "build/\n");
    repository.write("build/out.txt", leak(33));
    run(&repository, &["scan"]).expect_status(0);
    run(&repository, &["scan", "--no-ignore"]).expect_status(1);
}

#[test]
fn a_baseline_survives_moved_lines_and_reports_stale_entries() {
    let repository = clean();
    repository.write("old.txt", leak(34));
    run(&repository, &["baseline", "add", "--reason", "rotated last year"]).expect_status(0);
    run(&repository, &["scan"]).expect_status(0);
    repository.write("moved.txt", format!("\n\n\n  {}", leak(34)));
    std::fs::remove_file(repository.path("old.txt")).expect("there");
    run(&repository, &["scan"]).expect_status(0);
    std::fs::remove_file(repository.path("moved.txt")).expect("there");
    let check = run(&repository, &["check", "--format", "json"]);
    assert!(check.stdout.contains("stale"), "{}", check.stdout);
    let pruned = run(&repository, &["baseline", "prune"]);
    assert!(pruned.expect_status(0).stdout.contains("Removed 1"));
}

#[test]
fn an_inline_allowance_needs_rule_and_reason() {
    let repository = Repository::new();
    let token = Fake::new(35).gitlab_token();
    repository
        .write("a.py", format!("t = '{token}'  # custody:allow gitlab-personal-access-token a fake of the docs\n"));
    let rule = run(&repository, &["scan", "--format", "json"]).json()["findings"][0]["rule"]
        .as_str()
        .expect("a rule")
        .to_owned();
    repository.write("a.py", format!("t = '{token}'  # custody:allow {rule} a fake of the docs\n"));
    run(&repository, &["scan"]).expect_status(0);
    repository.write("a.py", format!("t = '{token}'  # custody:allow {rule}\n"));
    run(&repository, &["scan"]).expect_status(1);
    repository.write("a.py", format!("t = '{token}'  # custody:allow another-rule because\n"));
    run(&repository, &["scan"]).expect_status(1);
}

#[test]
fn a_change_cannot_approve_itself() {
    let repository = clean();
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("leak.txt", leak(36));
    repository.commit("A leak");
    let fingerprint = run(&repository, &["scan", "--format", "json"]).json()["findings"][0]["fingerprint"]
        .as_str()
        .expect("one")
        .to_owned();
    let contract = std::fs::read_to_string(repository.path("custody.toml")).expect("text");
    repository.write("custody.toml", format!("{contract}[[waiver]]\nid = \"w\"\nfingerprint = \"{fingerprint}\"\nowner = \"me\"\nreason = \"trust me\"\nexpires = 2999-01-01\n"));
    repository.commit("A waiver for it");
    run(&repository, &["check", "--no-incident"]).expect_status(0);
    let held = run(&repository, &["check", "--no-incident", "--base", "main", "--format", "json"]);
    held.expect_status(1);
    assert_eq!(verdict(&held.json(), "ROT-3").0, "fail");
    assert!(held.stdout.contains("custody-contract-changed"), "the change is reported: {}", held.stdout);
    repository.git(["update-ref", "refs/remotes/origin/main", "main"]);
    let variables = [("GITHUB_ACTIONS", "true"), ("GITHUB_BASE_REF", "main"), ("CI", "true")];
    run_with(repository.root(), &["check", "--no-incident"], &variables, b"").expect_status(1);
    // A base that CI names and the clone does not have is an error, never the change's own contract.
    let variables = [("GITHUB_ACTIONS", "true"), ("GITHUB_BASE_REF", "release"), ("CI", "true")];
    run_with(repository.root(), &["check", "--no-incident"], &variables, b"").expect_status(2);
}

#[test]
fn every_format_is_well_formed() {
    let repository = clean();
    repository.write("leak.txt", leak(37));
    let get = |format: &str| {
        let run = run(&repository, &["check", "--no-incident", "--format", format]);
        run.expect_status(1);
        run
    };
    assert_eq!(get("json").json()["schema"], "custody.report/1");
    assert_eq!(get("sarif").json()["version"], "2.1.0");
    assert!(get("junit").stdout.contains("<testsuites"));
    assert!(get("github").stdout.starts_with("::"));
    assert!(get("markdown").stdout.contains("| ENV-4 |"));
    assert!(get("table").stdout.trim_end().lines().next_back().is_some_and(|l| l.starts_with("Release blocked")));
    run(&repository, &["check", "--no-incident", "--format", "sarif", "-o", "out.sarif"]).expect_status(1);
    let written = std::fs::read_to_string(repository.path("out.sarif")).expect("written");
    assert!(serde_json::from_str::<serde_json::Value>(&written).is_ok());
}

#[test]
fn a_written_template_keeps_the_contract() {
    let repository = clean();
    std::fs::remove_file(repository.path(".env.example")).expect("there");
    run(&repository, &["env", "example", "--env", "local", "-o", ".env.example"]).expect_status(0);
    run(&repository, &["env", "check", "--env", "local"]).expect_status(0);
    run(&repository, &["env", "example", "-o", ".env.example"]).expect_status(2);
    assert!(run(&repository, &["env", "doc"]).stdout.contains("| `FICECAL_API_BASE`"));
}

#[test]
fn every_clause_and_rule_explains_itself() {
    let directory = Repository::without_git();
    let list = run(&directory, &["explain"]);
    for line in list.expect_status(0).stdout.lines() {
        let id = line.split_whitespace().next().expect("an id");
        let text = run(&directory, &["explain", id]);
        assert!(text.expect_status(0).stdout.contains("On failure"), "{id}");
    }
    run(&directory, &["explain", "aws-access-key-id"]).expect_status(0);
    run(&directory, &["rules", "test"]).expect_status(0);
}

#[test]
fn ficecals_validator_asks_for_the_same_under_every_profile() {
    let repository = clean();
    let contract = std::fs::read_to_string(repository.path("custody.toml")).expect("a contract file");
    for profile in ["ficecal", "custody"] {
        repository.write("custody.toml", contract.replace("\"ficecal\"", &format!("\"{profile}\"")));
        let valid = run(&repository, &["billing", "validate", "--ficecal"]);
        let line = "[billing-canonical-handoff] OK: validated 4 billing tool fixture packs";
        assert_eq!(valid.expect_status(0).stdout.lines().last(), Some(line), "{profile}");
    }
    let path = common::pack("aws", "response.expected.json");
    let response = std::fs::read_to_string(repository.path(&path)).expect("a response");
    repository.write(&path, response.replace("aws-readonly-", "aws-other-"));
    run(&repository, &["billing", "validate", "--ficecal"]).expect_status(1);
}
