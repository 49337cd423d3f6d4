//! What the author of a change may try so that the gate passes it, through the binary. More attempts stand beside the
//! gate's own code, in `crates/gate/src/tests/disarm.rs`.

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use common::{run, run_with, verdict};
use custody_testkit::{Fake, Repository, Run};

const WAIVER: &str =
    "[[waiver]]\nid = \"mine\"\nrule = \"gitlab-pat\"\nowner = \"me\"\nreason = \"trust me\"\nexpires = 2999-01-01\n";

/// A repository whose branch `change` adds a secret to what `main` holds.
fn change(files: &[(&str, &str)]) -> Repository {
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n");
    for (path, content) in files {
        repository.write(path, content);
    }
    repository.commit("main");
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("settings.txt", format!("key {}\n", Fake::new(51).gitlab_token()));
    repository
}

fn check(repository: &Repository, arguments: &[&str]) -> Run {
    run(repository, &[&["check", "--no-incident", "--format", "json"], arguments].concat())
}

#[test]
fn a_contract_named_by_a_flag_comes_from_the_base_too() {
    let repository = change(&[("ci/contract.toml", "contract = \"custody\"\n")]);
    repository.write("ci/contract.toml", format!("contract = \"custody\"\n{WAIVER}"));
    repository.commit("a change");
    let absolute = repository.path("ci/contract.toml").display().to_string();
    for name in ["ci/contract.toml", "./ci/../ci/contract.toml", absolute.as_str()] {
        let named = ["--contract", name];
        check(&repository, &[&named[..], &["--base", "none"]].concat()).expect_status(0);
        let guarded = check(&repository, &[&named[..], &["--base", "main"]].concat());
        guarded.expect_status(1);
        assert!(guarded.stdout.contains("the change adds waiver mine"), "{name}: {}", guarded.stdout);
    }
}

#[test]
fn a_contract_that_only_the_change_has_is_refused() {
    let repository = change(&[]);
    repository.write("ci/contract.toml", format!("contract = \"custody\"\n{WAIVER}"));
    repository.commit("a change");
    let refused = check(&repository, &["--contract", "ci/contract.toml", "--base", "main"]);
    refused.expect_status(2);
    assert!(refused.stderr.contains("a change cannot bring the contract"), "{}", refused.stderr);
    // Outside the repository, and no link into it: the change has no hand in it.
    let outside = Repository::without_git();
    outside.write("contract.toml", format!("contract = \"custody\"\n{WAIVER}"));
    let named = outside.path("contract.toml").display().to_string();
    check(&repository, &["--contract", &named, "--base", "main"]).expect_status(0);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(repository.path("ci/contract.toml"), outside.path("link.toml")).expect("a link");
        let named = outside.path("link.toml").display().to_string();
        check(&repository, &["--contract", &named, "--base", "main"]).expect_status(2);
    }
}

#[test]
fn a_contract_above_the_directory_that_is_checked_comes_from_the_base_too() {
    let repository = change(&[("app/a.txt", "clean\n")]);
    repository.write("custody.toml", format!("contract = \"custody\"\n{WAIVER}"));
    repository.write("app/b.txt", format!("key {}\n", Fake::new(53).gitlab_token()));
    repository.commit("a change");
    check(&repository, &["app", "--contract", "custody.toml", "--base", "none"]).expect_status(0);
    check(&repository, &["app", "--contract", "custody.toml", "--base", "main"]).expect_status(1);
}

#[cfg(unix)]
#[test]
fn a_contract_that_becomes_a_link_changes_nothing() {
    let repository = change(&[]);
    repository.write("other.toml", format!("contract = \"custody\"\n{WAIVER}"));
    std::fs::remove_file(repository.path("custody.toml")).expect("there");
    std::os::unix::fs::symlink("other.toml", repository.path("custody.toml")).expect("a link");
    repository.commit("a change");
    check(&repository, &["--base", "main"]).expect_status(1);
}

#[test]
fn a_contract_in_another_spelling_is_an_error() {
    let repository = Repository::new();
    repository.write("Custody.toml", "contract = \"custody\"\n");
    let refused = check(&repository, &[]);
    refused.expect_status(2);
    assert!(refused.stderr.contains("rename it to custody.toml"), "{}", refused.stderr);
}

#[test]
fn attributes_ignore_rules_and_index_flags_hide_nothing() {
    let repository = change(&[("settings.txt", "clean\n")]);
    repository.write(".gitattributes", "* -diff -text binary filter=none export-ignore\n");
    repository.write(".gitignore", "settings.txt\n*\n");
    repository.git(["add", "--force", "settings.txt", ".gitattributes", ".gitignore"]);
    repository.git(["commit", "--quiet", "-m", "a change"]);
    let plain = check(&repository, &["--base", "main"]);
    plain.expect_status(1);
    assert_eq!(verdict(&plain.json(), "ENV-4").0, "fail");
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        repository.git(["update-index", flag, "settings.txt"]);
        check(&repository, &["--base", "main"]).expect_status(1);
        let content = std::fs::read(repository.path("settings.txt")).expect("there");
        repository.write("settings.txt", "clean\n");
        check(&repository, &["--base", "main"]).expect_status(1);
        repository.write("settings.txt", content);
    }
}

#[test]
fn a_contract_below_the_root_changes_nothing_above_and_nothing_there() {
    let repository = change(&[]);
    repository.write("sub/settings.txt", format!("key {}\n", Fake::new(52).gitlab_token()));
    repository.write("sub/custody.toml", format!("contract = \"custody\"\n{WAIVER}"));
    repository.commit("a change");
    check(&repository, &["--base", "main"]).expect_status(1);
    check(&repository, &["sub", "--base", "main"]).expect_status(1);
}

#[test]
fn a_merge_commit_is_measured_against_what_it_is_merged_into() {
    let repository = change(&[]);
    repository.write("custody.toml", format!("contract = \"custody\"\n{WAIVER}"));
    repository.commit("a change");
    repository.git(["checkout", "--quiet", "main"]);
    repository.write("other.txt", "moved on\n");
    let base = repository.commit("main moves on");
    repository.git(["checkout", "--quiet", "--detach"]);
    repository.git(["merge", "--quiet", "--no-ff", "-m", "as CI merges", "change"]);
    check(&repository, &["--base", &base]).expect_status(1);
}

#[test]
fn odd_names_of_a_base_are_errors_and_never_a_reason_to_trust_the_change() {
    let repository = change(&[]);
    repository.write("custody.toml", format!("contract = \"custody\"\n{WAIVER}"));
    repository.commit("a change");
    for name in
        ["main~1", "@{-1}", "main:custody.toml", "--upload-pack=x", "../../x", "x\n::error::y", "\u{1b}[31m", ":/x"]
    {
        let variables = [("GITHUB_ACTIONS", "true"), ("GITHUB_BASE_REF", name)];
        let run = run_with(repository.root(), &["check", "--no-incident"], &variables, b"");
        run.expect_status(2);
        assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains("\n::error"), "{}", run.stderr);
    }
}

#[test]
fn the_base_is_found_in_the_usual_ci_systems() {
    let origin = Repository::new();
    origin.write("custody.toml", "contract = \"custody\"\n");
    let base = origin.commit("main");
    let place = Repository::without_git();
    place.git(["clone", "--quiet", &origin.root().display().to_string(), "clone"]);
    place.write("clone/custody.toml", format!("contract = \"custody\"\n{WAIVER}"));
    place.write("clone/settings.txt", format!("key {}\n", Fake::new(54).gitlab_token()));
    let event = format!("{{\"pull_request\": {{\"base\": {{\"sha\": \"{base}\"}}}}}}");
    place.write("event.json", event);
    let event = place.path("event.json").display().to_string();
    let clone = place.path("clone");
    for git in [&["-C", "clone", "add", "--all"][..], &["-C", "clone", "commit", "--quiet", "-m", "a change"]] {
        place.git(git);
    }
    let check = |variables: &[(&str, &str)]| run_with(&clone, &["check", "--no-incident"], variables, b"");
    check(&[]).expect_status(0);
    for variables in [
        &[("GITHUB_ACTIONS", "true"), ("GITHUB_BASE_REF", "main")][..],
        &[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_PATH", &event)],
        &[("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &base)],
        &[("GITLAB_CI", "true"), ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")],
        &[("CIRCLECI", "true"), ("CIRCLE_PULL_REQUEST", "https://example.com/pull/1")],
        &[("BUILDKITE", "true"), ("BUILDKITE_PULL_REQUEST", "1"), ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main")],
        &[("TF_BUILD", "True"), ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main")],
        &[("BITBUCKET_BUILD_NUMBER", "1"), ("BITBUCKET_PR_DESTINATION_COMMIT", &base[..12])],
        &[("JENKINS_URL", "https://ci.example.com"), ("CHANGE_TARGET", "main")],
    ] {
        let run = check(variables);
        assert_eq!(run.status, 1, "{variables:?}: {} {}", run.stdout, run.stderr);
        assert!(run.stdout.contains("the change adds waiver mine"), "{variables:?}");
    }
}

#[test]
fn a_ci_system_that_names_no_base_is_said_to() {
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n");
    repository.commit("main");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["check", "--no-incident"], arguments].concat();
        run_with(repository.root(), &arguments, variables, b"").expect_status(0).stdout.clone()
    };
    let circle = [("CIRCLECI", "true"), ("CI", "true")];
    assert!(run(&[], &circle).contains("CircleCI names no base revision"));
    assert!(!run(&["--base", "none"], &circle).contains("names no base"));
    assert!(!run(&["--base", "main"], &circle).contains("names no base"));
    assert!(!run(&[], &[]).contains("names no base"));
}

#[cfg(unix)]
#[test]
fn incident_records_are_not_written_through_a_link() {
    let repository = change(&[]);
    let elsewhere = Repository::without_git();
    std::os::unix::fs::symlink(elsewhere.root(), repository.path(".custody")).expect("a link");
    run(&repository, &["check", "--base", "main"]).expect_status(1);
    assert_eq!(std::fs::read_dir(elsewhere.root()).expect("readable").count(), 0);
}

#[test]
fn records_cannot_lie_in_gits_own_directory() {
    let repository = change(&[]);
    for directory in [".git/hooks", ".GIT/hooks", "a/../../x", "/tmp/x"] {
        repository.write("custody.toml", format!("[incidents]\ndirectory = \"{directory}\"\n"));
        check(&repository, &["--base", "none"]).expect_status(2);
    }
}
