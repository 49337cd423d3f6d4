//! What a report says of where in a history a secret can be reached, and altered objects, as users see them.

#[allow(dead_code, reason = "each test file uses a part of this module")]
mod common;

use common::run;
use custody_testkit::{Fake, Repository};

/// A secret in the tip, one in the history, one that only the reflog knows, one that nothing leads to.
fn repository() -> Repository {
    let repository = Repository::new();
    for (seed, path) in [(900, "tip.txt"), (901, "history.txt")] {
        repository.write(path, format!("token {}\n", Fake::new(seed).gitlab_token()));
    }
    repository.commit("both");
    std::fs::remove_file(repository.path("history.txt")).expect("there");
    repository.commit("one goes");
    repository.write("reflog.txt", format!("token {}\n", Fake::new(902).gitlab_token()));
    repository.commit("gone");
    repository.git(["reset", "--quiet", "--hard", "HEAD~1"]);
    repository.write("dangling", format!("token {}\n", Fake::new(903).gitlab_token()));
    repository.git(["hash-object", "-w", "dangling"]);
    std::fs::remove_file(repository.path("dangling")).expect("there");
    repository
}

#[test]
fn every_format_says_from_where_a_secret_can_be_reached_and_what_to_do() {
    let repository = repository();
    let branch = repository.git(["symbolic-ref", "--short", "HEAD"]);
    let table = run(&repository, &["scan", "--history"]).expect_status(1).stdout.clone();
    let flat = table.split_whitespace().collect::<Vec<_>>().join(" ");
    let told = [
        format!("still in {branch}"),
        format!("in the history of {branch}"),
        "only in the reflog of HEAD".to_owned(),
        "unreachable, git gc removes it".to_owned(),
        "take it out there, then rewrite the history".to_owned(),
        "git reflog expire --expire=now --all".to_owned(),
    ];
    for words in &told {
        assert!(flat.contains(words), "{words}: {table}");
    }
    for format in ["junit", "markdown"] {
        let report = run(&repository, &["scan", "--history", "--format", format]).stdout.clone();
        assert!(report.contains("only in the reflog of HEAD"), "{report}");
    }
    let json = run(&repository, &["scan", "--history", "--format", "json"]).json();
    let occurrences = json["findings"].as_array().expect("findings").iter();
    let occurrences = occurrences.flat_map(|finding| finding["occurrences"].as_array().expect("occurrences"));
    let mut ways: Vec<String> = occurrences.map(|found| found["reach"]["from"].to_string()).collect();
    ways.sort();
    assert_eq!(ways, [r#""branch-history""#, r#""branch-tip""#, r#""reflog""#, r#""unreachable""#]);
    let sarif = run(&repository, &["scan", "--history", "--format", "sarif"]).json();
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let tip = results.iter().find(|result| result["properties"]["reach"] == "branch-tip").expect("is told");
    let place = &tip["locations"][0]["properties"];
    assert_eq!(place["reachedFrom"][0], branch.as_str());
    assert!(place["committed"].is_string() && place["authored"].is_string());
}

#[test]
fn a_check_says_it_too() {
    let repository = repository();
    let json = run(&repository, &["check", "--no-incident", "--format", "json"]).json();
    let findings = json["findings"].as_array().expect("findings");
    let reached = |way: &str| {
        findings.iter().any(|finding| {
            finding["occurrences"].as_array().expect("occurrences").iter().any(|found| found["reach"]["from"] == way)
        })
    };
    assert!(["branch-tip", "branch-history", "reflog", "unreachable"].into_iter().all(reached));
}

#[test]
fn an_altered_object_makes_a_verified_scan_incomplete() {
    let repository = Repository::new();
    repository.write("a.txt", "a");
    repository.write("b.txt", "b");
    repository.commit("both");
    let path = |revision: &str| {
        let id = repository.git(["rev-parse", revision]);
        repository.path(&format!(".git/objects/{}/{}", &id[..2], &id[2..]))
    };
    run(&repository, &["scan", "--history", "--verify-objects"]).expect_status(0);
    let content = std::fs::read(path("HEAD:b.txt")).expect("the object");
    std::fs::remove_file(path("HEAD:a.txt")).expect("there");
    std::fs::write(path("HEAD:a.txt"), content).expect("written");
    run(&repository, &["scan", "--history", "--no-cache"]).expect_status(0);
    let verified = run(&repository, &["scan", "--history", "--verify-objects"]);
    assert!(verified.expect_status(3).stdout.contains("not what its id says"), "{}", verified.stdout);
    run(&repository, &["scan", "--verify-objects"]).expect_status(2);
}
