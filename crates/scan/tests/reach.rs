//! From where what was found in a history can be reached: held to what git itself says.

mod support;

use std::collections::BTreeSet;
use std::fs;

use custody_contract::{Fingerprint, Occurrence, Reach, ReachedFrom};
use custody_scan::history::HistorySource;
use custody_scan::source::ScanOutcome;
use support::{Sandbox, scan, token};

fn history(sandbox: &Sandbox) -> ScanOutcome {
    scan(&HistorySource::new(sandbox.at("repo")))
}

fn occurrences(outcome: &ScanOutcome, number: u32) -> Vec<&Occurrence> {
    let fingerprint = Fingerprint::of(token(number).as_bytes());
    let found = outcome.findings.iter().filter(|finding| finding.fingerprint == fingerprint);
    // Reflogs repeat messages.
    found.flat_map(|finding| &finding.occurrences).filter(|found| found.object.is_some()).collect()
}

/// How a token is reached, by path.
fn reach(outcome: &ScanOutcome, number: u32) -> Vec<(String, String)> {
    let told =
        |found: &Occurrence| found.reach.as_ref().map_or_else(|| "unknown".to_owned(), |reach| reach.to_string());
    occurrences(outcome, number).into_iter().map(|found| (found.path.clone(), told(found))).collect()
}

/// The only way in which a token is reached.
fn way(outcome: &ScanOutcome, number: u32) -> String {
    let ways: BTreeSet<String> = reach(outcome, number).into_iter().map(|(_, way)| way).collect();
    ways.into_iter().collect::<Vec<_>>().join("; ")
}

#[test]
fn what_a_branch_has_is_told_from_what_its_history_has() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("dir/kept.txt", token(1));
    sandbox.write("gone.txt", token(2));
    sandbox.commit("both");
    fs::remove_file(sandbox.at("repo/gone.txt")).expect("removed");
    sandbox.git(&["mv", "dir", "moved"]);
    sandbox.commit("one of them goes");
    let outcome = history(&sandbox);
    let expected = [("dir/kept.txt", "in the history of main"), ("moved/kept.txt", "still in main")];
    assert_eq!(reach(&outcome, 1), expected.map(|(path, way)| (path.to_owned(), way.to_owned())));
    assert_eq!(way(&outcome, 2), "in the history of main");
    let finding = outcome.findings.iter().find(|found| found.fingerprint == Fingerprint::of(token(1).as_bytes()));
    assert_eq!(finding.and_then(|found| found.reach()).map(|reach| reach.from), Some(ReachedFrom::BranchTip));
}

#[test]
fn branches_are_named_up_to_three_and_counted() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("kept.txt", token(1));
    sandbox.commit("kept");
    for name in ["zulu", "alpha", "topic/one"] {
        sandbox.git(&["branch", name]);
    }
    sandbox.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    sandbox.git(&["pack-refs", "--all"]);
    let outcome = history(&sandbox);
    let reach = occurrences(&outcome, 1)[0].reach.as_deref();
    let refs = vec!["main".to_owned(), "alpha".to_owned(), "topic/one".to_owned()];
    assert_eq!(reach, Some(&Reach { from: ReachedFrom::BranchTip, refs, branches: 5 }));
}

#[test]
fn tags_stashes_notes_and_requests_are_told_apart() {
    let sandbox = Sandbox::repository(&[]);
    let orphan = |number: u32, reference: &str| {
        sandbox.git(&["checkout", "-q", "--detach"]);
        sandbox.write("orphan.txt", token(number));
        sandbox.commit(&format!("message {}", token(number + 100)));
        sandbox.git(&["update-ref", reference, "HEAD"]);
        sandbox.git(&["checkout", "-q", "main"]);
    };
    orphan(1, "refs/tags/light");
    orphan(2, "refs/pull/12/head");
    orphan(3, "refs/merge-requests/7/head");
    orphan(4, "refs/custom/x");
    orphan(5, "refs/remotes/origin/gone");
    orphan(6, "refs/tags/under");
    sandbox.git(&["tag", "-a", "v1", "under", "-m", &token(7)]);
    sandbox.git(&["tag", "-a", "nested", "v1", "-m", &token(8)]);
    sandbox.git(&["tag", "-d", "under", "v1"]);
    sandbox.write("README.md", token(9));
    sandbox.git(&["stash", "-q"]);
    sandbox.write("README.md", token(10));
    sandbox.git(&["stash", "-q"]);
    sandbox.git(&["notes", "add", "-m", &token(11)]);
    sandbox.write("blob", token(12));
    let blob = sandbox.git(&["hash-object", "-w", "blob"]);
    sandbox.git(&["tag", "a-blob", &blob]);
    fs::remove_file(sandbox.at("repo/blob")).expect("removed");
    for packed in [false, true] {
        let outcome = history(&sandbox);
        for (number, expected) in [
            (1, "only from tag light"),
            (2, "only from pull/12/head"),
            (3, "only from merge-requests/7/head"),
            (4, "only from refs/custom/x"),
            (5, "still in origin/gone"),
            (6, "only from tag nested"),
            (7, "only from tag nested"),
            (8, "only from tag nested"),
            (9, "only in stash@{1}"),
            (10, "only in stash@{0}"),
            (11, "only from refs/notes/commits"),
            (12, "only from tag a-blob"),
            (101, "only from tag light"),
            (102, "only from pull/12/head"),
            (105, "still in origin/gone"),
            (106, "only from tag nested"),
        ] {
            assert_eq!(way(&outcome, number), expected, "token {number}, packed: {packed}");
        }
        sandbox.git(&["pack-refs", "--all"]);
        sandbox.git(&["gc", "-q"]);
    }
}

#[test]
fn what_only_reflog_index_or_nothing_has_is_told_apart() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("reflog.txt", token(1));
    sandbox.commit(&format!("message {}", token(2)));
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.write("dangling", token(3));
    sandbox.git(&["hash-object", "-w", "dangling"]);
    fs::remove_file(sandbox.at("repo/dangling")).expect("removed");
    sandbox.write("staged.txt", token(4));
    sandbox.git(&["add", "staged.txt"]);
    let outcome = history(&sandbox);
    assert_eq!(way(&outcome, 1), "only in the reflog of HEAD");
    assert_eq!(way(&outcome, 2), "only in the reflog of HEAD");
    assert_eq!(way(&outcome, 3), "unreachable, git gc removes it");
    assert_eq!(way(&outcome, 4), "staged");
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    let outcome = history(&sandbox);
    assert_eq!(way(&outcome, 1), "unreachable, git gc removes it");
    assert_eq!(way(&outcome, 2), "unreachable, git gc removes it");
    assert_eq!(way(&outcome, 4), "staged");
    sandbox.git(&["gc", "-q", "--prune=now"]);
    let outcome = history(&sandbox);
    assert_eq!(way(&outcome, 1), "");
    assert_eq!(way(&outcome, 4), "staged");
}

#[test]
fn what_other_working_trees_have_counts() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    let linked = sandbox.at("linked");
    fs::write(linked.join("in-linked.txt"), token(1)).expect("written");
    sandbox.git_in(&linked, &["add", "-A"]);
    sandbox.git_in(&linked, &["commit", "-q", "-m", "detached"]);
    fs::write(linked.join("staged.txt"), token(2)).expect("written");
    sandbox.git_in(&linked, &["add", "-A"]);
    for path in ["repo", "linked"] {
        let outcome = scan(&HistorySource::new(sandbox.at(path)));
        assert_eq!(way(&outcome, 1), "still in worktrees/linked/HEAD", "{path}");
        assert_eq!(way(&outcome, 2), "staged", "{path}");
    }
    sandbox.git_in(&linked, &["reset", "-q", "--hard", "HEAD~1"]);
    let outcome = history(&sandbox);
    assert_eq!(way(&outcome, 1), "only in the reflog of worktrees/linked/HEAD");
}

#[test]
fn a_detached_head_is_a_tip() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["checkout", "-q", "--detach"]);
    sandbox.write("detached.txt", token(1));
    sandbox.commit("detached");
    assert_eq!(way(&history(&sandbox), 1), "still in HEAD");
}

#[test]
fn a_message_is_in_a_tip_only_if_its_commit_is_one() {
    let sandbox = Sandbox::repository(&[]);
    let commit = sandbox.commit(&format!("old {}", token(1)));
    sandbox.git(&["branch", "old"]);
    sandbox.commit("new");
    assert_eq!(way(&history(&sandbox), 1), "still in old");
    sandbox.git(&["branch", "-D", "old"]);
    let outcome = history(&sandbox);
    assert_eq!(way(&outcome, 1), "in the history of main");
    assert_eq!(occurrences(&outcome, 1)[0].commit.as_deref(), Some(&*commit));
}

#[test]
fn what_lies_behind_a_missing_object_is_not_called_unreachable() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    sandbox.commit("a");
    fs::remove_file(sandbox.at("repo/a.txt")).expect("removed");
    let middle = sandbox.commit("middle");
    sandbox.commit("last");
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    let path = sandbox.at("repo/.git/objects").join(&middle[..2]).join(&middle[2..]);
    fs::remove_file(path).expect("removed");
    assert_eq!(way(&history(&sandbox), 1), "unknown");
}

#[test]
fn behind_the_end_of_a_shallow_clone_nothing_is_reached() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    let first = sandbox.commit("a");
    sandbox.write("a.txt", "clean");
    sandbox.commit("b");
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    assert_eq!(way(&history(&sandbox), 1), "in the history of main");
    let tip = sandbox.git(&["rev-parse", "HEAD"]);
    fs::write(sandbox.at("repo/.git/shallow"), format!("{tip}\n")).expect("written");
    assert!(sandbox.git(&["fsck", "--unreachable"]).contains(&first));
    assert_eq!(way(&history(&sandbox), 1), "unreachable, git gc removes it");
}

#[test]
fn dates_are_those_of_the_commit_that_brought_it() {
    let sandbox = Sandbox::repository(&[]);
    let commit = |path: &str, content: &str, authored: &str, committed: &str| {
        sandbox.write(path, content);
        sandbox.git(&["add", "-A"]);
        let mut command = sandbox.command(&sandbox.at("repo"), &["commit", "-q", "-m", content]);
        command.env("GIT_AUTHOR_DATE", authored).env("GIT_COMMITTER_DATE", committed);
        assert!(command.status().expect("git runs").success());
    };
    commit("a.txt", &token(1), "2020-02-03T04:05:06+0100", "2021-02-03T04:05:06Z");
    commit("b.txt", "clean", "2022-01-01T00:00:00Z", "2022-01-01T00:00:00Z");
    let outcome = history(&sandbox);
    let found = occurrences(&outcome, 1);
    assert_eq!(found.len(), 2);
    for occurrence in found {
        assert_eq!(occurrence.authored.map(|at| at.to_string()).as_deref(), Some("2020-02-03T03:05:06Z"));
        assert_eq!(occurrence.committed.map(|at| at.to_string()).as_deref(), Some("2021-02-03T04:05:06Z"));
    }
}

#[test]
fn more_paths_than_are_listed_still_count() {
    let sandbox = Sandbox::repository(&[]);
    for number in 0..22 {
        sandbox.write(&format!("{number:02}.txt"), token(1));
        sandbox.commit("one more");
    }
    for number in 0..21 {
        fs::remove_file(sandbox.at(&format!("repo/{number:02}.txt"))).expect("removed");
    }
    sandbox.commit("all but the last");
    let ways = reach(&history(&sandbox), 1);
    assert_eq!(ways.len(), 20);
    assert_eq!(ways.iter().filter(|(_, way)| way == "still in main").count(), 1);
    assert_eq!(ways.iter().filter(|(_, way)| way == "in the history of main").count(), 19);
}

#[test]
fn a_name_of_a_branch_that_holds_a_secret_is_not_shown() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    sandbox.commit("a");
    sandbox.git(&["branch", "-m", &format!("topic/{}", token(2))]);
    let outcome = history(&sandbox);
    assert!(way(&outcome, 1).starts_with("still in topic/"));
    assert!(!format!("{outcome:?}").contains(&token(2)[8..]));
}

#[test]
fn names_of_refs_and_reflogs_are_told_apart() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["branch", &format!("packed/{}", token(1))]);
    sandbox.git(&["tag", &format!("{}-rc", token(2))]);
    sandbox.git(&["pack-refs", "--all"]);
    sandbox.git(&["branch", &format!("loose-{}", token(3))]);
    sandbox.git(&["update-ref", "--create-reflog", "-m", &token(4), "refs/heads/main", "HEAD"]);
    fs::write(sandbox.at("repo/.git/hooks/x"), token(5)).expect("written");
    let outcome = history(&sandbox);
    let ways = |number: u32| -> BTreeSet<ReachedFrom> {
        let fingerprint = Fingerprint::of(token(number).as_bytes());
        let found = outcome.findings.iter().find(|found| found.fingerprint == fingerprint).expect("is found");
        found.occurrences.iter().filter_map(|found| Some(found.reach.as_ref()?.from)).collect()
    };
    assert_eq!(ways(1).into_iter().next(), Some(ReachedFrom::BranchTip));
    assert_eq!(ways(2).into_iter().next(), Some(ReachedFrom::Tag));
    assert_eq!(ways(3).into_iter().next(), Some(ReachedFrom::BranchTip));
    assert_eq!(ways(4).into_iter().collect::<Vec<_>>(), [ReachedFrom::Reflog]);
    assert!(ways(5).is_empty());
    assert!((1..=5).all(|number| !format!("{outcome:?}").contains(&token(number)[8..])));
}

#[test]
fn refs_may_change_and_files_of_the_cache_be_lost_between_two_scans() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    sandbox.commit("a");
    let cache = sandbox.at("cache");
    let check = |expected: &str| {
        let whole = history(&sandbox);
        let cached = scan(&HistorySource::new(sandbox.at("repo")).cache(Some(cache.clone())));
        assert_eq!(cached.findings, whole.findings, "{expected}");
        assert_eq!(way(&cached, 1), expected);
    };
    check("still in main");
    sandbox.git(&["branch", "other"]);
    check("still in main, other");
    sandbox.git(&["update-ref", "refs/heads/main", "HEAD~1"]);
    check("still in other");
    for (extension, damage) in [("commits", false), ("reach", false), ("commits", true), ("reach", true)] {
        let entries = fs::read_dir(&cache).expect("a cache").map(|entry| entry.expect("an entry").path());
        let file = entries.into_iter().find(|path| path.extension().is_some_and(|found| found == extension));
        let file = file.expect("is kept");
        if damage {
            let mut bytes = fs::read(&file).expect("read");
            *bytes.last_mut().expect("not empty") ^= 1;
            fs::write(&file, bytes).expect("written");
            sandbox.git(&["branch", &format!("after-damage-{extension}")]);
            let cached = scan(&HistorySource::new(sandbox.at("repo")).cache(Some(cache.clone())));
            // What cannot be known is not said, and known again the next time.
            assert!(["unknown", "still in other"].contains(&&*way(&cached, 1)), "{extension}");
        } else {
            fs::remove_file(&file).expect("removed");
        }
        check("still in other");
    }
    sandbox.git(&["branch", "-D", "other"]);
    sandbox.git(&["pack-refs", "--all"]);
    check("staged");
    sandbox.git(&["reset", "-q", "--hard"]);
    check("only in the reflog of HEAD");
}
