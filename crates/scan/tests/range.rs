//! Ranges of commits, in real repositories: what they bring is found, what was there is not, and what cannot be read is
//! said.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;

use custody_contract::{Fingerprint, SkipReason, Surface};
use custody_scan::source::{
    RangeSource, RefsOf, ScanOutcome, Source as _, SourceError, SourceErrorKind, StdinSource, TagRefs, TreeSource,
};
use support::{Sandbox, account, places, reason, scan, token};

fn range(sandbox: &Sandbox, revisions: &str) -> ScanOutcome {
    scan(&RangeSource::new(sandbox.at("repo")).revisions(revisions))
}

fn error(source: &RangeSource) -> SourceError {
    source.scan(&support::engine(), &Default::default()).expect_err("cannot be scanned")
}

/// All places of all findings.
fn all(outcome: &ScanOutcome) -> usize {
    outcome.findings.iter().map(|finding| finding.occurrences.len()).sum()
}

#[test]
fn what_a_range_brings_is_found_with_its_first_commit_and_what_was_there_is_not() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("old.txt", token(1));
    let base = sandbox.commit("base");
    sandbox.write("dir/new.txt", format!("x\n  {}\n", token(2)));
    let first = sandbox.commit("first");
    sandbox.write("dir/new.txt", format!("x\n  {}\ny\n", token(2)));
    sandbox.write("old.txt", format!("{}\nmore\n", token(1)));
    let second = sandbox.commit("second");
    let outcome = range(&sandbox, &format!("{base}..HEAD"));
    assert_eq!(places(&outcome, &token(2)), [format!("dir/new.txt@{first}")]);
    // The new version of the old file is new content, and holds the old secret.
    assert_eq!(places(&outcome, &token(1)), [format!("old.txt@{second}")]);
    let found = outcome.findings.iter().find(|f| f.fingerprint == Fingerprint::of(token(2).as_bytes())).expect("found");
    assert_eq!((found.occurrences[0].line, found.occurrences[0].column), (2, 3));
    assert!(!outcome.is_incomplete());
    assert_eq!(places(&range(&sandbox, "HEAD^..HEAD"), &token(2)), [format!("dir/new.txt@{second}")]);
    assert_eq!(all(&range(&sandbox, "HEAD..HEAD")), 0);
    assert_eq!(account(&range(&sandbox, "HEAD..HEAD"), Surface::History).expected, 0);
}

#[test]
fn content_that_only_a_merge_adds_is_found() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side.txt", "side\n");
    sandbox.commit("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("main.txt", "main\n");
    let before = sandbox.commit("main");
    sandbox.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    sandbox.write("evil.txt", token(1));
    let merge = sandbox.commit("merge");
    let outcome = range(&sandbox, &format!("{before}..HEAD"));
    assert_eq!(places(&outcome, &token(1)), [format!("evil.txt@{merge}")]);
    // The merge alone, seen from both its parents.
    assert_eq!(places(&range(&sandbox, &format!("{merge}^!")), &token(1)), [format!("evil.txt@{merge}")]);
}

#[test]
fn a_merge_of_what_is_known_brings_nothing() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side.txt", token(1));
    sandbox.commit("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("main.txt", token(2));
    sandbox.commit("main");
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    let outcome = range(&sandbox, "^side ^HEAD^1 HEAD");
    assert_eq!(all(&outcome), 0);
    assert_eq!(account(&outcome, Surface::History).read, 2, "the merge and its tree");
}

#[test]
fn binary_files_and_files_without_diff_are_read() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write(".gitattributes", "* -diff -text binary export-ignore\n");
    sandbox.write("a.bin", [b"\0\x01\x02", token(1).as_bytes(), b"\0"].concat());
    sandbox.write("b.txt", token(2));
    sandbox.commit("binary");
    let outcome = range(&sandbox, "HEAD^..HEAD");
    assert_eq!(places(&outcome, &token(1)).len(), 1);
    assert_eq!(places(&outcome, &token(2)).len(), 1);
}

#[test]
fn messages_people_paths_and_tags_are_searched() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write(&format!("dir/{}.txt", token(1)), "x");
    sandbox.git(&["add", "-A"]);
    let author = format!("--author=A {} <a@example.org>", token(2));
    sandbox.git(&["commit", "-q", &author, "-m", &format!("subject\n\n{}", token(3))]);
    let commit = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["tag", "-a", "-m", &token(4), "v1"]);
    sandbox.git(&["tag", "-a", "-m", &token(5), "old", "HEAD^"]);
    let outcome = range(&sandbox, "HEAD^..HEAD");
    assert_eq!(places(&outcome, &token(1)), [format!("dir/[redacted].txt@{commit}")]);
    assert_eq!(places(&outcome, &token(2)), [format!("commit author@{commit}")]);
    assert_eq!(places(&outcome, &token(3)), [format!("commit message@{commit}")]);
    assert_eq!(places(&outcome, &token(4)), ["tag message"]);
    assert!(places(&outcome, &token(5)).is_empty(), "it points to what was there");
    let named = scan(&RangeSource::new(sandbox.at("repo")).revisions("HEAD^..HEAD").tags(TagRefs::Named));
    assert!(places(&named, &token(4)).is_empty());
    let by_tag = scan(&RangeSource::new(sandbox.at("repo")).revisions("HEAD^..v1").tags(TagRefs::Named));
    assert_eq!(places(&by_tag, &token(4)), ["tag message"]);
    sandbox.git(&["pack-refs", "--all"]);
    assert_eq!(places(&range(&sandbox, "HEAD^..HEAD"), &token(4)), ["tag message"]);
    assert!(places(&range(&sandbox, "HEAD^..HEAD"), &token(5)).is_empty());
    assert!(!outcome.findings.iter().any(|finding| format!("{finding:?}").contains(&token(1))));
}

#[test]
fn a_tag_of_a_tag_and_tags_of_trees_and_files_are_followed() {
    let sandbox = Sandbox::repository(&[]);
    let base = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.write("a.txt", token(1));
    sandbox.commit("a");
    sandbox.git(&["tag", "-a", "-m", &token(2), "inner"]);
    sandbox.git(&["tag", "-a", "-m", &token(3), "outer", "inner"]);
    let id = sandbox.git(&["rev-parse", "outer"]);
    let pushed = |id: &str| {
        let source = RangeSource::new(sandbox.at("repo")).new_object(id).known_object(&base).tags(TagRefs::Named);
        scan(&source)
    };
    let outcome = pushed(&id);
    for number in 1..=3 {
        assert_eq!(places(&outcome, &token(number)).len(), 1, "{number}");
    }
    let tree = pushed(&sandbox.git(&["rev-parse", "HEAD^{tree}"]));
    assert_eq!(places(&tree, &token(1)), ["a.txt"]);
    let blob = sandbox.git(&["rev-parse", "HEAD:a.txt"]);
    assert_eq!(places(&pushed(&blob), &token(1)), [format!("object {blob}")]);
}

#[test]
fn a_file_that_is_moved_or_copied_is_not_new() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("dir/a.txt", token(1));
    sandbox.write("dir/b.txt", token(2));
    sandbox.commit("old");
    sandbox.git(&["mv", "dir", "other"]);
    sandbox.commit("moved");
    sandbox.write("copy/a.txt", token(1));
    sandbox.commit("copied");
    assert_eq!(all(&range(&sandbox, "HEAD~2..HEAD")), 0);
    fs::remove_file(sandbox.at("repo/copy/a.txt")).expect("removed");
    fs::remove_file(sandbox.at("repo/other/a.txt")).expect("removed");
    sandbox.commit("gone");
    sandbox.write("other/a.txt", token(1));
    sandbox.commit("back again");
    assert_eq!(places(&range(&sandbox, "HEAD^..HEAD"), &token(1)).len(), 1, "the commit before did not have it");
}

#[test]
fn the_first_commit_of_all_is_a_range_too() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    sandbox.commit("second");
    sandbox.git(&["checkout", "-q", "--orphan", "other"]);
    let root = sandbox.commit("a root of its own");
    assert_eq!(all(&range(&sandbox, "main..other")), 0, "it holds what main holds");
    let outcome = range(&sandbox, "other");
    assert_eq!(places(&outcome, &token(1)), [format!("a.txt@{root}")]);
}

#[test]
fn symmetric_differences_and_parents_are_understood() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["branch", "side"]);
    sandbox.write("a.txt", token(1));
    sandbox.commit("main");
    sandbox.git(&["checkout", "-q", "side"]);
    sandbox.write("b.txt", token(2));
    sandbox.commit("side");
    let both = range(&sandbox, "main...side");
    assert_eq!((places(&both, &token(1)).len(), places(&both, &token(2)).len()), (1, 1));
    assert_eq!(all(&range(&sandbox, "main..side")), 1);
    assert_eq!(all(&range(&sandbox, "side^!")), 1);
    assert_eq!(all(&range(&sandbox, "side^@")), 0);
    let several = scan(&RangeSource::new(sandbox.at("repo")).revisions("main").revisions("^main^").revisions("side"));
    assert_eq!(all(&several), 2);
}

#[test]
fn wrong_clocks_and_commit_graphs_change_nothing() {
    let sandbox = Sandbox::repository(&[]);
    let mut commits = Vec::new();
    for number in 0..40u32 {
        sandbox.write("a.txt", token(number));
        sandbox.git(&["add", "-A"]);
        // Every third clock is years ahead or behind.
        let year = [2024, 2030, 1990][number as usize % 3];
        let mut command = sandbox.command(&sandbox.at("repo"), &["commit", "-q", "-m", "x"]);
        let date = format!("{year}-01-01T00:00:{number:02}Z");
        assert!(command.env("GIT_COMMITTER_DATE", date).status().expect("git runs").success());
        commits.push(sandbox.git(&["rev-parse", "HEAD"]));
    }
    let check = || {
        for from in [0, 1, 2, 20, 38] {
            let outcome = range(&sandbox, &format!("{}..HEAD", commits[from]));
            assert_eq!(outcome.findings.len(), 39 - from, "from {from}");
            assert!(places(&outcome, &token(39)).iter().all(|place| place.ends_with(&commits[39])));
        }
    };
    check();
    sandbox.git(&["commit-graph", "write", "--reachable"]);
    check();
    sandbox.write("a.txt", token(99));
    let last = sandbox.commit("after the commit-graph was written");
    assert_eq!(places(&range(&sandbox, "HEAD^..HEAD"), &token(99)), [format!("a.txt@{last}")]);
}

/// A history of merges, moves, reverts and wrong clocks, one branch a commit; each file holds one of 50 tokens.
fn tangled(sandbox: &Sandbox, seed: u64) -> u64 {
    let mut state = seed;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % below
    };
    let mut stream = String::new();
    let commits = 60;
    for at in 0..commits {
        let time = 1_700_000_000 + at * 60 + if random(6) == 0 { random(100_000) } else { 0 };
        stream.push_str(&format!(
            "commit refs/heads/c{at}\nmark :{}\ncommitter T <t@example.org> {time} +0000\ndata 1\nx\n",
            at + 1
        ));
        if at > 0 && random(20) > 0 {
            let from = at - random(at.min(8));
            stream.push_str(&format!("from :{from}\n"));
            let other = at - random(at.min(12));
            if random(4) == 0 && other != from {
                stream.push_str(&format!("merge :{other}\n"));
            }
        }
        for _ in 0..=random(3) {
            let path = ["a", "b", "d/a", "d/b", "d/e/c", "f/a"][random(6) as usize];
            if random(5) == 0 {
                stream.push_str(&format!("D {path}\n"));
            } else {
                let content = token(random(50) as u32);
                stream.push_str(&format!("M 100644 inline {path}\ndata {}\n{content}\n", content.len()));
            }
        }
        stream.push('\n');
    }
    let mut command = sandbox.command(&sandbox.at("repo"), &["fast-import", "--quiet", "--force"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("git runs");
    child.stdin.take().expect("piped").write_all(stream.as_bytes()).expect("written");
    assert!(child.wait().expect("ends").success());
    commits
}

#[test]
fn ranges_of_tangled_histories_hold_what_git_says_they_hold() {
    for seed in 1..4 {
        let sandbox = Sandbox::repository(&[]);
        let commits = tangled(&sandbox, seed * 7_919);
        let blobs = |arguments: &[&str]| -> BTreeSet<String> {
            let listed = sandbox.git(arguments);
            let ids = listed.lines().filter_map(|line| line.split(['\t', ' ']).find(|word| word.len() == 40));
            ids.map(str::to_owned).collect()
        };
        let tokens: BTreeMap<String, u32> = (0..50)
            .map(|number| {
                fs::write(sandbox.at("token"), token(number)).expect("written");
                (sandbox.git(&["hash-object", "../token"]), number)
            })
            .collect();
        for (a, b) in (0..12).map(|at| ((at * 13) % commits, (at * 29 + 30) % commits)) {
            let (a, b) = (format!("c{a}"), format!("c{b}"));
            let outcome = range(&sandbox, &format!("{a}..{b}"));
            let known = blobs(&["rev-list", "--objects", "--filter=object:type=blob", "--filter-provided-objects", &a]);
            let mut held = BTreeSet::new();
            for commit in sandbox.git(&["rev-list", &format!("{a}..{b}")]).lines() {
                // Lines are `<mode> blob <id>\t<path>`.
                held.extend(blobs(&["ls-tree", "-r", commit]));
            }
            for (id, number) in &tokens {
                let found = !places(&outcome, &token(*number)).is_empty();
                assert!(!found || held.contains(id), "{a}..{b}: {number} stands in none of its commits");
                let is_new = held.contains(id) && !known.contains(id);
                assert!(found || !is_new || unseen(*number), "{a}..{b}: {number} is new and was not found");
            }
        }
    }
}

/// Whether the test's rule does not take the token for one.
fn unseen(number: u32) -> bool {
    let text = token(number);
    let outcome = scan(&StdinSource::new(std::io::Cursor::new(text.into_bytes())));
    outcome.findings.is_empty()
}

#[test]
fn replaced_objects_hide_nothing() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    sandbox.commit("leak");
    sandbox.write("clean.txt", "clean\n");
    let clean = sandbox.git(&["hash-object", "-w", "clean.txt"]);
    let leak = sandbox.git(&["rev-parse", "HEAD:a.txt"]);
    sandbox.git(&["replace", &leak, &clean]);
    assert_eq!(places(&range(&sandbox, "HEAD^..HEAD"), &token(1)).len(), 1);
    // A commit may be replaced as well, or a graft make its parent.
    sandbox.git(&["replace", "--delete", &leak]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["replace", &head, "HEAD^"]);
    assert_eq!(places(&range(&sandbox, &format!("{head}^..{head}")), &token(1)).len(), 1);
}

#[test]
fn what_remotes_and_refs_have_is_left_out() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    let known = sandbox.commit("known");
    sandbox.git(&["update-ref", "refs/remotes/origin/main", &known]);
    sandbox.git(&["update-ref", "refs/remotes/originals/main", "HEAD"]);
    sandbox.write("b.txt", token(2));
    let new = sandbox.commit("new");
    let push = |refs| scan(&RangeSource::new(sandbox.at("repo")).new_object(&new).known_refs(refs));
    let outcome = push(RefsOf::Remote("origin".to_owned()));
    assert!(places(&outcome, &token(1)).is_empty());
    assert_eq!(places(&outcome, &token(2)).len(), 1);
    let outcome = push(RefsOf::Remote("nowhere".to_owned()));
    assert_eq!(places(&outcome, &token(1)).len(), 1);
    assert_eq!(all(&push(RefsOf::Repository)), 0);
    // A mirror's fetch over local branches says nothing of what the remote has.
    sandbox.git(&["config", "remote.mirror.fetch", "+refs/*:refs/*"]);
    assert_eq!(all(&push(RefsOf::Remote("mirror".to_owned()))), 2);
    sandbox.git(&["config", "remote.named.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
    assert_eq!(all(&push(RefsOf::Remote("named".to_owned()))), 1);
}

#[test]
fn names_of_refs_that_come_with_a_range_are_searched() {
    let sandbox = Sandbox::repository(&[]);
    let name = format!("refs/heads/{}", token(1));
    let outcome = scan(&RangeSource::new(sandbox.at("repo")).revisions("HEAD..HEAD").ref_name(name));
    assert_eq!(places(&outcome, &token(1)), ["ref name"]);
}

#[test]
fn errors_say_what_is_wrong_with_the_revision() {
    let sandbox = Sandbox::repository(&[]);
    for (revisions, named) in [
        ("nowhere..HEAD", "nowhere"),
        ("HEAD..nowhere", "nowhere"),
        ("^nowhere", "nowhere"),
        ("--all", "--all"),
        ("", ""),
    ] {
        let error = error(&RangeSource::new(sandbox.at("repo")).revisions(revisions));
        assert!(matches!(&error, SourceError::UnknownRevision { revision } if revision == named), "{error}");
        assert_eq!(error.kind(), SourceErrorKind::Usage);
    }
    let absent = "1234567890123456789012345678901234567890";
    for source in [
        RangeSource::new(sandbox.at("repo")).revisions(format!("{absent}..HEAD")),
        RangeSource::new(sandbox.at("repo")).new_object(absent),
    ] {
        assert_eq!(error(&source).kind(), SourceErrorKind::Incomplete);
    }
    assert_eq!(error(&RangeSource::new(sandbox.at("home")).revisions("HEAD")).kind(), SourceErrorKind::Usage);
    // What is left out need not be there.
    scan(&RangeSource::new(sandbox.at("repo")).revisions("HEAD").known_object(absent).known_object("x"));
}

#[test]
fn missing_and_damaged_objects_make_it_incomplete() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", "one\n");
    sandbox.write("dir/b.txt", token(1));
    sandbox.commit("a");
    let object = |spec: &str| {
        let id = sandbox.git(&["rev-parse", spec]);
        (sandbox.at(&format!("repo/.git/objects/{}/{}", &id[..2], &id[2..])), id)
    };
    let (path, blob) = object("HEAD:a.txt");
    fs::remove_file(path).expect("removed");
    let (path, tree) = object("HEAD:dir");
    fs::remove_file(&path).expect("removed");
    fs::write(path, b"damaged").expect("written");
    let outcome = range(&sandbox, "HEAD^..HEAD");
    let history = account(&outcome, Surface::History);
    assert!(outcome.is_incomplete());
    assert_eq!(reason(history, &format!("{blob} (a.txt)")), Some(&SkipReason::Missing));
    assert!(matches!(reason(history, &tree), Some(SkipReason::Corrupt { .. })));
}

#[test]
fn a_shallow_clone_that_ends_within_the_range_is_incomplete() {
    let sandbox = Sandbox::repository(&[]);
    let base = sandbox.git(&["rev-parse", "HEAD"]);
    for number in 1..4 {
        sandbox.write("a.txt", token(number));
        sandbox.commit("more");
    }
    let url = format!("file://{}", sandbox.at("repo").display());
    sandbox.git_in(&sandbox.at(""), &["clone", "-q", "--depth", "2", &url, "clone"]);
    let clone = |revisions: &str| scan(&RangeSource::new(sandbox.at("clone")).revisions(revisions));
    let outcome = clone("HEAD");
    assert!(outcome.is_incomplete());
    let end = sandbox.git(&["rev-parse", "HEAD~2"]);
    assert_eq!(reason(account(&outcome, Surface::History), &end), Some(&SkipReason::Missing));
    assert_eq!(places(&outcome, &token(3)).len(), 1);
    assert!(!clone("HEAD^..HEAD").is_incomplete());
    let beyond = error(&RangeSource::new(sandbox.at("clone")).revisions(format!("{base}..HEAD")));
    assert!(beyond.to_string().contains("shallow"), "{beyond}");
}

#[test]
fn large_ranges_and_deep_directories_are_read_whole() {
    let sandbox = Sandbox::repository(&[]);
    let base = sandbox.git(&["rev-parse", "HEAD"]);
    for number in 0..200 {
        sandbox.write(&format!("{}/{number}.txt", "d/".repeat(number as usize % 50)), token(number));
    }
    let commit = sandbox.commit("many");
    let outcome = range(&sandbox, &format!("{base}..{commit}"));
    let expected = scan(&TreeSource::new(sandbox.at("repo"))).findings.len();
    assert!(expected > 190);
    assert_eq!(outcome.findings.len(), expected);
    sandbox.git(&["gc", "-q"]);
    assert_eq!(range(&sandbox, &format!("{base}..{commit}")).findings.len(), expected);
}

#[test]
fn repositories_with_sha256_bare_ones_and_linked_working_trees_are_read() {
    for options in [&["--object-format=sha256"][..], &[]] {
        let sandbox = Sandbox::repository(options);
        sandbox.write("a.txt", token(1));
        let commit = sandbox.commit("a");
        assert_eq!(places(&range(&sandbox, "HEAD^..HEAD"), &token(1)), [format!("a.txt@{commit}")]);
        sandbox.git(&["worktree", "add", "-q", "../linked", "-b", "linked"]);
        sandbox.git_in(&sandbox.at(""), &["clone", "-q", "--bare", "repo", "bare"]);
        for place in ["linked", "bare"] {
            let outcome = scan(&RangeSource::new(sandbox.at(place)).revisions("HEAD^..HEAD"));
            assert_eq!(places(&outcome, &token(1)).len(), 1, "{place}");
        }
    }
}

#[test]
fn names_that_are_no_text_are_shown_safely_and_submodules_counted() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a\u{1b}[31m\n.txt", token(1));
    sandbox.git(&["add", "-A"]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},module")]);
    sandbox.git(&["commit", "-q", "-m", "x"]);
    let commit = sandbox.git(&["rev-parse", "HEAD"]);
    let outcome = range(&sandbox, "HEAD^..HEAD");
    assert_eq!(places(&outcome, &token(1)), [format!("a\\x1b[31m\\x0a.txt@{commit}")]);
    assert_eq!(reason(account(&outcome, Surface::History), "module"), Some(&SkipReason::Submodule));
    assert!(!outcome.is_incomplete());
}
