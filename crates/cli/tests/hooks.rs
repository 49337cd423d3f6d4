//! Hooks, through the binary and the real git: what is stopped, what goes through, and whom they believe.

#![cfg(unix)]

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use common::{run, run_with};
use custody_testkit::{Fake, Repository, Run};

/// Runs git, which may fail, as a user without settings.
fn git<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Run {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(directory).env_clear().env("HOME", directory);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Dev").env(format!("GIT_{role}_EMAIL"), "dev@example.com");
    }
    let output = command.output().expect("git runs");
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn token(seed: u64) -> String {
    format!("key {}\n", Fake::new(seed).gitlab_token())
}

/// A repository with one commit and a contract, and the hooks of these types.
fn guarded(types: &[&str]) -> Repository {
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n");
    repository.commit("first");
    if !types.is_empty() {
        install(&repository, types, &[]).expect_status(0);
    }
    repository
}

fn install(repository: &Repository, types: &[&str], more: &[&str]) -> Run {
    let types: Vec<&str> = types.iter().flat_map(|name| ["--type", name]).collect();
    run(repository, &[&["hook", "install"], &types[..], more].concat())
}

fn commit(repository: &Repository) -> Run {
    git(repository.root(), &["add", "--all"]).expect_status(0);
    git(repository.root(), &["commit", "-m", "a change"])
}

fn push(repository: &Repository, arguments: &[&str]) -> Run {
    git(repository.root(), &[&["push", "origin"], arguments].concat())
}

/// A guarded repository whose `main` is pushed to a bare remote.
fn with_remote(types: &[&str]) -> (Repository, Repository) {
    let remote = Repository::without_git();
    remote.git(["-c", "init.defaultBranch=main", "init", "--quiet", "--bare"]);
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n");
    repository.commit("first");
    repository.git(["remote", "add", "origin", &remote.root().display().to_string()]);
    repository.git(["push", "--quiet", "origin", "main"]);
    if !types.is_empty() {
        install(&repository, types, &[]).expect_status(0);
    }
    (repository, remote)
}

fn hook(repository: &Repository, name: &str) -> std::path::PathBuf {
    repository.path(".git/hooks").join(name)
}

fn write_hook(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().expect("below")).expect("directories");
    fs::write(path, script).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

// Before a commit

#[test]
fn a_commit_with_a_secret_is_refused_and_one_without_goes_through_in_silence() {
    let repository = guarded(&["pre-commit"]);
    repository.write("a.txt", token(1));
    let refused = commit(&repository);
    refused.expect_status(1);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("a.txt:1:5") && said.contains("custody refuses the commit"), "{said}");
    assert!(said.contains("git commit --no-verify") && !said.contains(token(1).trim()), "{said}");
    repository.write("a.txt", "clean\n");
    let clean = commit(&repository);
    clean.expect_status(0);
    assert!(!format!("{}{}", clean.stdout, clean.stderr).contains("custody"), "{clean:?}");
}

#[test]
fn the_index_that_the_commit_will_hold_is_searched() {
    let repository = guarded(&["pre-commit"]);
    repository.write("a.txt", "clean\n");
    repository.write("b.txt", "clean\n");
    commit(&repository).expect_status(0);
    // Staged, and clean again on disk.
    repository.write("a.txt", token(2));
    git(repository.root(), &["add", "a.txt"]).expect_status(0);
    repository.write("a.txt", "clean\n");
    git(repository.root(), &["commit", "-m", "x"]).expect_status(1);
    git(repository.root(), &["reset", "--quiet", "--hard"]).expect_status(0);
    // Not staged: commit -a and commit PATH make an index of their own.
    repository.write("a.txt", token(2));
    repository.write("b.txt", "more\n");
    git(repository.root(), &["commit", "-m", "x", "b.txt"]).expect_status(0);
    git(repository.root(), &["commit", "-m", "x", "a.txt"]).expect_status(1);
    git(repository.root(), &["commit", "-a", "-m", "x"]).expect_status(1);
    fs::create_dir(repository.path("sub")).expect("created");
    git(&repository.path("sub"), &["commit", "-a", "-m", "x"]).expect_status(1);
}

#[test]
fn a_commit_cannot_disarm_its_own_hook() {
    let waiver = "contract = \"custody\"\n[[waiver]]\nid = \"mine\"\nrule = \"gitlab-pat\"\nowner = \"me\"\nreason = \"trust me\"\nexpires = 2999-01-01\n";
    let exclude = "contract = \"custody\"\n[[surfaces.exclude]]\npaths = [\"**\"]\nreason = \"trust me\"\n";
    for contract in [waiver, exclude] {
        let repository = guarded(&["pre-commit"]);
        repository.write("custody.toml", contract);
        repository.write("a.txt", token(3));
        commit(&repository).expect_status(1);
        // By itself it goes through, for review; after that it counts.
        git(repository.root(), &["reset", "--quiet", "a.txt"]).expect_status(0);
        git(repository.root(), &["commit", "-m", "the contract"]).expect_status(0);
        commit(&repository).expect_status(0);
    }
    let repository = guarded(&["pre-commit"]);
    repository.write("a.txt", format!("{} # custody:allow gitlab-pat trust me\n", token(3).trim()));
    commit(&repository).expect_status(1);
    git(repository.root(), &["commit", "--no-verify", "-m", "x"]).expect_status(0);
    repository.write("a.txt", format!("more\n{} # custody:allow gitlab-pat trust me\n", token(3).trim()));
    commit(&repository).expect_status(0);
    run(&repository, &["baseline", "add", "--reason", "old"]);
    repository.write("b.txt", token(4));
    run(&repository, &["baseline", "add", "--reason", "old"]).expect_status(0);
    commit(&repository).expect_status(1);
    git(repository.root(), &["reset", "--quiet", "b.txt"]).expect_status(0);
    git(repository.root(), &["commit", "-m", "the baseline"]).expect_status(0);
    commit(&repository).expect_status(0);
}

#[test]
fn a_first_commit_is_held_to_the_default_profile() {
    let repository = Repository::new();
    install(&repository, &["pre-commit"], &[]).expect_status(0);
    repository.write("custody.toml", "contract = \"custody\"\n[scan]\ndisabled-rules = [\"gitlab-pat\"]\n");
    repository.write("a.txt", token(5));
    let refused = commit(&repository);
    refused.expect_status(1);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("do not count"), "{refused:?}");
    repository.write("a.txt", "clean\n");
    commit(&repository).expect_status(0);
}

#[test]
fn a_contract_that_cannot_be_used_is_not_committed() {
    let repository = guarded(&["pre-commit"]);
    repository.write("custody.toml", "contract = \"nonsense\"\n");
    let refused = commit(&repository);
    refused.expect_status(1);
    assert!(refused.stderr.contains("unknown contract profile"), "{}", refused.stderr);
}

#[test]
fn linked_working_trees_and_hooks_paths_are_served() {
    let repository = guarded(&["pre-commit"]);
    let linked = repository.path("linked");
    git(repository.root(), &["worktree", "add", "--quiet", "linked", "-b", "linked"]).expect_status(0);
    fs::write(linked.join("a.txt"), token(6)).expect("written");
    git(&linked, &["add", "a.txt"]).expect_status(0);
    git(&linked, &["commit", "-m", "x"]).expect_status(1);

    let repository = Repository::new();
    repository.git(["config", "core.hooksPath", "my hooks"]);
    install(&repository, &["pre-commit"], &[]).expect_status(0);
    assert!(repository.path("my hooks/pre-commit").exists() && !hook(&repository, "pre-commit").exists());
    repository.write("a.txt", token(6));
    git(repository.root(), &["add", "a.txt"]).expect_status(0);
    git(repository.root(), &["commit", "-m", "x"]).expect_status(1);
}

// Before a push

#[test]
fn a_push_is_searched_for_what_the_remote_does_not_have() {
    let (repository, _remote) = with_remote(&["pre-push"]);
    repository.write("a.txt", "clean\n");
    repository.commit("clean");
    push(&repository, &["main"]).expect_status(0);
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("b.txt", token(11));
    let leak = repository.commit("leak");
    repository.git(["rm", "--quiet", "b.txt"]);
    repository.commit("taken out again");
    let refused = push(&repository, &["change"]);
    refused.expect_status(1);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("b.txt:1:5") && said.contains(&leak[..12]), "{said}");
    assert!(said.contains("git push --no-verify"), "{said}");
    push(&repository, &["change", "--no-verify"]).expect_status(0);
    // The remote has it now, under one branch: others bring nothing new.
    push(&repository, &["change:other"]).expect_status(0);
    push(&repository, &["--delete", "change"]).expect_status(0);
    push(&repository, &["main"]).expect_status(0);
}

#[test]
fn forced_pushes_tags_and_ref_names_are_searched() {
    let (repository, _remote) = with_remote(&["pre-push"]);
    repository.write("a.txt", "clean\n");
    repository.commit("clean");
    push(&repository, &["main"]).expect_status(0);
    repository.git(["reset", "--quiet", "--hard", "HEAD^"]);
    repository.write("b.txt", token(12));
    repository.commit("another history");
    push(&repository, &["--force", "main"]).expect_status(1);
    repository.git(["reset", "--quiet", "--hard", "origin/main"]);
    repository.git(["tag", "-a", "-m", &token(13), "v1"]);
    let refused = push(&repository, &["v1"]);
    refused.expect_status(1);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("tag message"), "{refused:?}");
    push(&repository, &["main"]).expect_status(0);
    let name = format!("main:refs/heads/{}", Fake::new(14).gitlab_token());
    push(&repository, &[&name]).expect_status(1);
    repository.git(["tag", "v2"]);
    push(&repository, &["v2"]).expect_status(0);
}

#[test]
fn what_only_a_merge_adds_does_not_get_out() {
    let (repository, _remote) = with_remote(&["pre-push"]);
    repository.git(["checkout", "--quiet", "-b", "side"]);
    repository.write("side.txt", "side\n");
    repository.commit("side");
    repository.git(["checkout", "--quiet", "main"]);
    repository.git(["merge", "--quiet", "--no-ff", "--no-commit", "side"]);
    repository.write(".gitattributes", "evil.bin -diff binary\n");
    repository.write("evil.bin", format!("\0\u{1}{}", token(15)));
    repository.commit("merge");
    let refused = push(&repository, &["main"]);
    refused.expect_status(1);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("evil.bin"), "{refused:?}");
}

#[test]
fn a_push_cannot_bring_the_contract_that_it_is_held_to() {
    let (repository, _remote) = with_remote(&["pre-push"]);
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("custody.toml", "contract = \"custody\"\n[[waiver]]\nid = \"mine\"\nrule = \"gitlab-pat\"\nowner = \"me\"\nreason = \"trust me\"\nexpires = 2999-01-01\n");
    repository.commit("the contract");
    push(&repository, &["change"]).expect_status(0);
    repository.write("a.txt", token(16));
    repository.commit("the secret");
    // The branch has the waiver; what the branch goes into has not.
    push(&repository, &["change"]).expect_status(1);
    push(&repository, &["change~1:main"]).expect_status(0);
    push(&repository, &["change"]).expect_status(0);
}

#[test]
fn a_first_push_is_searched_whole_and_believed_in_nothing() {
    let remote = Repository::without_git();
    remote.git(["init", "--quiet", "--bare"]);
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n[scan]\ndisabled-rules = [\"gitlab-pat\"]\n");
    repository.write("a.txt", token(17));
    repository.commit("first");
    install(&repository, &["pre-push"], &[]).expect_status(0);
    repository.git(["remote", "add", "origin", &remote.root().display().to_string()]);
    push(&repository, &["main"]).expect_status(1);
    let url = remote.root().display().to_string();
    git(repository.root(), &["push", &url, "main"]).expect_status(1);
}

// Where a push arrives

/// A bare repository with the hook, and a clone of it.
fn receiving() -> (Repository, Repository) {
    let (repository, remote) = with_remote(&[]);
    run(&remote, &["hook", "install"]).expect_status(0);
    assert!(remote.path("hooks/pre-receive").exists() && !remote.path("hooks/pre-push").exists());
    (repository, remote)
}

#[test]
fn a_receiving_repository_refuses_what_it_does_not_have_yet() {
    let (repository, remote) = receiving();
    repository.write("a.txt", "clean\n");
    repository.commit("clean");
    push(&repository, &["main"]).expect_status(0);
    let before = remote.git(["rev-parse", "main"]);
    repository.git(["checkout", "--quiet", "-b", "change"]);
    repository.write("b.txt", token(21));
    let leak = repository.commit("leak");
    let refused = push(&repository, &["change"]);
    refused.expect_status(1);
    assert!(refused.stderr.contains("remote:") && refused.stderr.contains("b.txt:1:5"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("--no-verify"), "{}", refused.stderr);
    assert_ne!(git(remote.root(), &["cat-file", "-e", &leak]).status, 0, "the quarantine is gone");
    push(&repository, &["main", "change"]).expect_status(1);
    push(&repository, &["change:main", "--force"]).expect_status(1);
    assert_eq!(remote.git(["rev-parse", "main"]), before);
    repository.git(["tag", "-a", "-m", &token(22), "v1", "main"]);
    push(&repository, &["v1"]).expect_status(1);
    push(&repository, &["main:fine"]).expect_status(0);
    push(&repository, &["--delete", "fine"]).expect_status(0);
}

#[test]
fn many_objects_in_a_quarantined_pack_are_searched() {
    let (repository, remote) = receiving();
    remote.git(["config", "receive.unpackLimit", "1"]);
    for number in 0..300 {
        repository.write(&format!("d/{number}.txt"), format!("{number}\n"));
    }
    repository.write("d/x.txt", token(23));
    repository.commit("many");
    push(&repository, &["main"]).expect_status(1);
    repository.write("d/x.txt", "clean\n");
    repository.git(["add", "--all"]);
    repository.git(["commit", "--quiet", "--amend", "-m", "many"]);
    push(&repository, &["main"]).expect_status(0);
}

#[test]
fn the_receiving_repositorys_own_branch_says_what_holds() {
    let (repository, _remote) = receiving();
    repository.write("custody.toml", "contract = \"custody\"\n[[waiver]]\nid = \"mine\"\nrule = \"gitlab-pat\"\nowner = \"me\"\nreason = \"trust me\"\nexpires = 2999-01-01\n");
    repository.commit("the contract");
    push(&repository, &["main:change"]).expect_status(0);
    repository.write("a.txt", token(24));
    repository.commit("the secret");
    push(&repository, &["main:change"]).expect_status(1);
    push(&repository, &["main~1:main"]).expect_status(0);
    push(&repository, &["main:change"]).expect_status(0);
}

// Installation

#[test]
fn somebody_elses_hook_is_kept_run_first_and_put_back() {
    let repository = Repository::new();
    repository.commit("first");
    let path = hook(&repository, "pre-commit");
    let script = "#!/bin/sh\necho before >> ran\n[ ! -e refuse ]\n";
    write_hook(&path, script);
    let refused = install(&repository, &["pre-commit"], &[]);
    refused.expect_status(2);
    assert!(refused.stderr.contains("--chain"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(&path).expect("there"), script);
    install(&repository, &["pre-commit"], &["--chain"]).expect_status(0);
    install(&repository, &["pre-commit"], &[]).expect_status(0);
    assert!(run(&repository, &["hook", "status"]).stdout.contains("after the hook that was there"));
    repository.write("a.txt", "clean\n");
    git(repository.root(), &["add", "a.txt"]).expect_status(0);
    git(repository.root(), &["commit", "-m", "x"]).expect_status(0);
    assert_eq!(fs::read_to_string(repository.path("ran")).expect("ran"), "before\n");
    repository.write("refuse", "");
    repository.write("a.txt", "more\n");
    git(repository.root(), &["commit", "-a", "-m", "x"]).expect_status(1);
    fs::remove_file(repository.path("refuse")).expect("removed");
    repository.write("a.txt", token(31));
    git(repository.root(), &["commit", "-a", "-m", "x"]).expect_status(1);
    run(&repository, &["hook", "uninstall"]).expect_status(0);
    assert_eq!(fs::read_to_string(&path).expect("back"), script);
    assert!(!hook(&repository, "pre-commit.custody-before").exists());
    assert!(run(&repository, &["hook", "status"]).stdout.contains("somebody else's"));
    install(&repository, &["pre-commit"], &["--force"]).expect_status(0);
    git(repository.root(), &["commit", "-a", "-m", "x"]).expect_status(1);
    run(&repository, &["hook", "uninstall"]).expect_status(0);
    assert_eq!(fs::read_to_string(&path).expect("back"), script);
}

#[test]
fn a_chained_push_hook_is_given_what_git_says() {
    let (repository, _remote) = with_remote(&[]);
    let path = hook(&repository, "pre-push");
    // Without a `#!` line, as git accepts it.
    write_hook(&path, "cat > input\necho \"$@\" > arguments\n");
    install(&repository, &["pre-push"], &["--chain"]).expect_status(0);
    repository.write("a.txt", token(32));
    repository.commit("leak");
    push(&repository, &["main"]).expect_status(1);
    let head = repository.git(["rev-parse", "HEAD"]);
    assert!(fs::read_to_string(repository.path("input")).expect("read").contains(&head));
    assert!(fs::read_to_string(repository.path("arguments")).expect("read").starts_with("origin "));
    // One that does not read its input, and one that git would not run.
    write_hook(&hook(&repository, "pre-push.custody-before"), "#!/bin/sh\nexit 7\n");
    let refused = push(&repository, &["main"]);
    assert!(refused.stderr.contains("failed with status 7"), "{}", refused.stderr);
    fs::set_permissions(hook(&repository, "pre-push.custody-before"), fs::Permissions::from_mode(0o644)).expect("set");
    let refused = push(&repository, &["main"]);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("a.txt"), "{refused:?}");
    fs::remove_file(hook(&repository, "pre-push.custody-before")).expect("removed");
    push(&repository, &["main"]).expect_status(1);
}

#[test]
fn hooks_come_and_go_and_are_shown() {
    let repository = Repository::new();
    let status = || run(&repository, &["hook", "status"]).expect_status(0).stdout.clone();
    assert_eq!(status().matches("absent").count(), 3);
    run(&repository, &["hook", "install"]).expect_status(0);
    assert_eq!((status().matches("absent").count(), status().matches("installed").count()), (1, 2));
    install(&repository, &["all"], &[]).expect_status(0);
    assert_eq!(status().matches("installed").count(), 3);
    run(&repository, &["hook", "uninstall", "--type", "pre-push"]).expect_status(0);
    assert_eq!(status().matches("installed").count(), 2);
    run(&repository, &["hook", "uninstall"]).expect_status(0);
    assert!(run(&repository, &["hook", "uninstall"]).stdout.contains("no hook of custody"));
    assert_eq!(status().matches("absent").count(), 3);
    let nowhere = Repository::without_git();
    run(&nowhere, &["hook", "install"]).expect_status(2);
}

#[test]
fn without_custody_the_hook_refuses_and_says_how_to_go_on() {
    let repository = guarded(&["pre-commit"]);
    let path = hook(&repository, "pre-commit");
    let script = fs::read_to_string(&path).expect("there");
    fs::write(&path, script.replace(env!("CARGO_BIN_EXE_custody"), "/nowhere/it'\\''s/custody")).expect("written");
    repository.write("a.txt", "clean\n");
    let refused = commit(&repository);
    refused.expect_status(1);
    assert!(refused.stderr.contains("nothing was checked") && refused.stderr.contains("--no-verify"), "{refused:?}");
    assert!(run(&repository, &["hook", "status"]).stdout.contains("is gone"));
    // On the PATH it is found.
    let bin = Repository::without_git();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_custody"), bin.path("custody")).expect("linked");
    let path = format!("{}:{}", bin.root().display(), std::env::var("PATH").expect("set"));
    let committed = Command::new("git")
        .args(["commit", "-m", "x"])
        .current_dir(repository.root())
        .env("PATH", path)
        .envs([("GIT_AUTHOR_NAME", "Dev"), ("GIT_AUTHOR_EMAIL", "dev@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Dev"), ("GIT_COMMITTER_EMAIL", "dev@example.com")])
        .output()
        .expect("git runs");
    assert!(committed.status.success(), "{}", String::from_utf8_lossy(&committed.stderr));
}

#[test]
fn hooks_for_all_repositories_leave_each_its_own() {
    let repository = Repository::new();
    run(&repository, &["hook", "install", "--global", "--type", "pre-commit"]).expect_status(0);
    // HOME is the repository's root here, so its settings lie within it.
    let hooks = repository.path(".config/custody/hooks");
    assert_eq!(repository.git(["config", "--global", "core.hooksPath"]), hooks.display().to_string());
    write_hook(&hook(&repository, "pre-commit"), "#!/bin/sh\necho own >> ran\n");
    write_hook(&hook(&repository, "commit-msg"), "#!/bin/sh\necho \"$1\" >> ran\n");
    repository.write("a.txt", "clean\n");
    git(repository.root(), &["add", "a.txt"]).expect_status(0);
    git(repository.root(), &["commit", "-m", "x"]).expect_status(0);
    assert_eq!(fs::read_to_string(repository.path("ran")).expect("ran"), "own\n.git/COMMIT_EDITMSG\n");
    repository.write("a.txt", token(33));
    git(repository.root(), &["commit", "-a", "-m", "x"]).expect_status(1);
    assert!(run(&repository, &["hook", "status", "--global"]).stdout.contains("pre-commit   installed"));
    run(&repository, &["hook", "uninstall", "--global"]).expect_status(0);
    assert!(!hooks.exists());
    assert_eq!(git(repository.root(), &["config", "--global", "core.hooksPath"]).status, 1);
    git(repository.root(), &["commit", "-a", "-m", "x"]).expect_status(0);
}

// What the hooks are given

#[test]
fn input_that_is_not_gits_is_refused() {
    let repository = guarded(&[]);
    let head = repository.git(["rev-parse", "HEAD"]);
    let absent = "1234567890123456789012345678901234567890";
    let given = |kind: &str, input: &[u8]| {
        run_with(repository.root(), &["hook", "run", kind, "--", "origin", "url"], &[], input)
    };
    for kind in ["pre-push", "pre-receive"] {
        given(kind, b"").expect_status(0);
        given(kind, b"nonsense\n").expect_status(2);
        given(kind, &[0xff; 100_000]).expect_status(2);
    }
    given("pre-push", format!("a {absent} refs/heads/a {}\r\n", "0".repeat(40)).as_bytes()).expect_status(3);
    let line = format!("{} {head} refs/heads/\u{fffd}\u{1b}[31m\n", "0".repeat(40)).into_bytes();
    given("pre-receive", &line).expect_status(0);
    let many = line.repeat(20_000);
    given("pre-receive", &many).expect_status(0);
    let deletions = format!("(delete) {} refs/heads/a {absent}\n", "0".repeat(40));
    given("pre-push", deletions.repeat(1_000).as_bytes()).expect_status(0);
}

#[test]
fn a_range_is_searched_by_the_command_too() {
    let repository = Repository::new();
    let first = repository.commit("first");
    repository.write("a.txt", token(41));
    let second = repository.commit("second");
    repository.write("b.txt", token(42));
    let json = |arguments: &[&str]| run(&repository, &[&["scan", "--format", "json"], arguments].concat());
    let report = json(&["--since", &first]);
    report.expect_status(1);
    let report = report.json();
    assert_eq!(report["findings"].as_array().expect("findings").len(), 1, "what is not committed is not searched");
    assert_eq!(report["findings"][0]["occurrences"][0]["commit"], second.as_str());
    json(&["--range", "HEAD^..HEAD"]).expect_status(1);
    json(&["--range", "^HEAD^ HEAD"]).expect_status(1);
    json(&["--range", "HEAD", "--range", "^HEAD^"]).expect_status(1);
    json(&["--range", "HEAD..HEAD"]).expect_status(0);
    json(&["--since", "nowhere"]).expect_status(2);
    json(&["--range", "--all"]).expect_status(2);
    json(&["--range=--all"]).expect_status(2);
    json(&["--since", "1234567890123456789012345678901234567890"]).expect_status(3);
    json(&["--since", "HEAD", "--staged"]).expect_status(2);
    json(&["-", "--since", "HEAD"]).expect_status(2);
    run(&Repository::without_git(), &["scan", "--since", "HEAD"]).expect_status(2);
}

#[test]
fn a_base_says_what_a_scan_is_held_to() {
    let repository = Repository::new();
    repository.write("custody.toml", "contract = \"custody\"\n");
    repository.commit("first");
    repository.write("a.txt", format!("{} # custody:allow gitlab-pat trust me\n", token(43).trim()));
    repository.commit("second");
    run(&repository, &["scan", "--range", "HEAD^..HEAD"]).expect_status(0);
    run(&repository, &["scan", "--range", "HEAD^..HEAD", "--base", "HEAD^"]).expect_status(1);
    run(&repository, &["scan", "--base", "HEAD^"]).expect_status(1);
    run(&repository, &["scan", "--base", "HEAD"]).expect_status(0);
    run(&repository, &["scan", "--base", "nowhere"]).expect_status(2);
}

#[test]
fn the_pre_commit_framework_is_understood() {
    let (repository, _remote) = with_remote(&[]);
    let base = repository.git(["rev-parse", "HEAD"]);
    repository.write("a.txt", token(44));
    let head = repository.commit("leak");
    let given = |variables: &[(&str, &str)]| run_with(repository.root(), &["hook", "run", "pre-push"], variables, b"");
    given(&[("PRE_COMMIT_TO_REF", &head), ("PRE_COMMIT_FROM_REF", &base)]).expect_status(1);
    given(&[("PRE_COMMIT_TO_REF", &head), ("PRE_COMMIT_REMOTE_NAME", "origin")]).expect_status(1);
    given(&[("PRE_COMMIT_LOCAL_BRANCH", "refs/heads/main"), ("PRE_COMMIT_REMOTE_NAME", "origin")]).expect_status(1);
    given(&[("PRE_COMMIT_TO_REF", &base), ("PRE_COMMIT_REMOTE_NAME", "origin")]).expect_status(0);
    given(&[("PRE_COMMIT_TO_REF", "nowhere")]).expect_status(2);
}
