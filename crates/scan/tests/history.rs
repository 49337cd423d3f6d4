//! Everything that a repository carries is found, and what it lacks is reported.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use custody_contract::{SkipReason, Surface};
use custody_scan::history::HistorySource;
use custody_scan::source::{ScanOptions, ScanOutcome, Source as _, SourceErrorKind};
use support::{Sandbox, account, places, scan, token};

fn history(sandbox: &Sandbox) -> ScanOutcome {
    scan(&HistorySource::new(sandbox.at("repo")))
}

fn clean(outcome: &ScanOutcome) -> bool {
    !outcome.is_incomplete()
}

#[test]
fn a_deleted_file_is_found_with_its_path_and_first_commit() {
    let sandbox = Sandbox::repository(&[]);
    let secret = token(1);
    sandbox.write("src/deep/config.txt", format!("line\n  key = {secret}\n"));
    let introduced = sandbox.commit("add");
    sandbox.write("src/deep/config.txt", format!("line\n  key = {secret}\nmore\n"));
    sandbox.commit("change");
    fs::remove_file(sandbox.at("repo/src/deep/config.txt")).expect("removed");
    sandbox.commit("remove");
    for packed in [false, true] {
        let outcome = history(&sandbox);
        assert!(places(&outcome, &secret).contains(&format!("src/deep/config.txt@{introduced}")), "packed: {packed}");
        let occurrence = &outcome.findings[0].occurrences[0];
        assert_eq!((occurrence.line, occurrence.column, occurrence.offset), (2, 9, 13));
        assert!(occurrence.object.is_some());
        assert!(clean(&outcome));
        sandbox.git(&["gc", "-q"]);
    }
}

#[test]
fn every_path_of_a_file_is_given() {
    let sandbox = Sandbox::repository(&[]);
    let secret = token(1);
    sandbox.write("a/one.txt", &secret);
    let first = sandbox.commit("one");
    sandbox.git(&["mv", "a", "b"]);
    let second = sandbox.commit("moved");
    let found = places(&history(&sandbox), &secret);
    assert_eq!(found, [format!("a/one.txt@{first}"), format!("b/one.txt@{second}")]);
}

#[test]
fn what_only_a_merge_adds_is_found() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side.txt", "side");
    sandbox.commit("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]);
    sandbox.write("evil.txt", token(2));
    let merge = sandbox.commit("merge");
    assert_eq!(places(&history(&sandbox), &token(2)), [format!("evil.txt@{merge}")]);
}

#[test]
fn a_dangling_blob_is_found() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("dangling", token(3));
    let blob = sandbox.git(&["hash-object", "-w", "dangling"]);
    fs::remove_file(sandbox.at("repo/dangling")).expect("removed");
    assert_eq!(places(&history(&sandbox), &token(3)), [format!("object {blob}")]);
}

#[test]
fn a_commit_that_only_the_reflog_knows_is_found() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("gone.txt", token(4));
    let gone = sandbox.commit("gone");
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    assert_eq!(places(&history(&sandbox), &token(4)), [format!("gone.txt@{gone}")]);
}

#[test]
fn stashes_and_notes_are_found() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("README.md", token(5));
    sandbox.git(&["stash", "-q"]);
    sandbox.git(&["notes", "add", "-m", &token(6)]);
    let outcome = history(&sandbox);
    assert!(places(&outcome, &token(5)).iter().any(|place| place.starts_with("README.md@")));
    assert!(!places(&outcome, &token(6)).is_empty());
}

#[test]
fn messages_authors_and_names_are_surfaces_too() {
    let sandbox = Sandbox::repository(&[]);
    let message = sandbox.commit(&format!("subject\n\nbody {}", token(10)));
    sandbox.git(&["tag", "-a", "v1", "-m", &format!("release {}", token(11))]);
    let author = format!("A <{}@example.org>", token(12));
    sandbox.git(&["commit", "-q", "--allow-empty", "-m", "x", "--author", &author]);
    sandbox.git(&["branch", &format!("topic/{}", token(13))]);
    sandbox.git(&["branch", "packed"]);
    sandbox.git(&["pack-refs", "--all"]);
    sandbox.git(&["branch", &format!("loose-{}", token(14))]);
    sandbox.write(&format!("dir/{}.txt", token(15)), "content");
    sandbox.commit("a name");
    sandbox.git(&["remote", "add", "origin", &format!("https://user:{}@example.org/x.git", token(16))]);
    fs::create_dir_all(sandbox.at("repo/.git/hooks")).expect("created");
    fs::write(sandbox.at("repo/.git/hooks/pre-commit"), token(17)).expect("written");
    sandbox.git(&["update-ref", "-m", &format!("because {}", token(18)), "refs/heads/packed", "HEAD~2"]);
    let outcome = history(&sandbox);
    assert_eq!(places(&outcome, &token(10))[0], format!("commit message@{message}"));
    for number in 10..=18 {
        assert!(!places(&outcome, &token(number)).is_empty(), "token {number}");
    }
    assert!(clean(&outcome));
    let shown = format!("{outcome:?}");
    for number in 10..=18 {
        assert!(!shown.contains(&token(number)[8..]), "token {number} is shown");
    }
}

#[test]
fn a_branch_that_is_named_like_a_file_of_gits_is_read() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["branch", "index"]);
    sandbox.git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    sandbox.git(&["update-ref", "-m", &token(19), "refs/heads/index", "HEAD"]);
    assert_eq!(places(&history(&sandbox), &token(19)), [".git/logs/refs/heads/index"]);
}

#[test]
fn one_thread_finds_what_several_find() {
    let sandbox = packed();
    for number in 30..40 {
        sandbox.write("file.txt", format!("{}\n{}", "filler\n".repeat(200), token(number)));
        sandbox.commit("token");
    }
    sandbox.git(&["repack", "-q", "-a", "-d", "-f"]);
    let source = HistorySource::new(sandbox.at("repo"));
    let scanned = |threads| {
        let outcome = source.scan(&support::engine(), &ScanOptions { threads, progress: None }).expect("it opens");
        (outcome.findings, outcome.coverage)
    };
    let one = scanned(1);
    assert_eq!(one.0.len(), 10);
    assert_eq!(one, scanned(2));
    assert_eq!(one, scanned(7));
}

#[test]
fn attributes_do_not_hide_content() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write(".gitattributes", "*.lock -diff\n*.bin binary\n");
    sandbox.write("a.lock", token(20));
    sandbox.write("b.bin", format!("\0\x01\x02{}\0", token(21)));
    sandbox.commit("attributes");
    let outcome = history(&sandbox);
    assert!(!places(&outcome, &token(20)).is_empty());
    assert!(!places(&outcome, &token(21)).is_empty());
}

#[test]
fn utf16_content_is_found_at_its_place() {
    let sandbox = Sandbox::repository(&[]);
    let text = format!("\u{feff}first\r\nkey: {}\r\n", token(22));
    sandbox.write("wide.txt", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    sandbox.commit("wide");
    let outcome = history(&sandbox);
    let occurrence = &outcome.findings[0].occurrences[0];
    assert_eq!((occurrence.line, occurrence.column, occurrence.offset), (2, 6, 2 * 13));
}

#[test]
fn alternates_and_duplicates_count_each_object_once() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("secret.txt", token(23));
    sandbox.commit("secret");
    sandbox.git(&["repack", "-q", "-a"]);
    let objects = sandbox.git(&["rev-list", "--all", "--objects"]).lines().count() as u64;
    let (repo, copy) = (sandbox.at("repo"), sandbox.at("copy"));
    let arguments = ["clone", "-q", "--shared", repo.to_str().expect("UTF-8"), copy.to_str().expect("UTF-8")];
    sandbox.git_in(&repo, &arguments);
    for path in [&repo, &copy] {
        let outcome = scan(&HistorySource::new(path));
        assert!(!places(&outcome, &token(23)).is_empty());
        assert_eq!(account(&outcome, Surface::History).read, objects);
    }
    fs::remove_dir_all(&repo).expect("removed");
    assert!(!clean(&scan(&HistorySource::new(&copy))));
}

#[test]
fn sha256_bare_and_linked_repositories_are_read() {
    let sandbox = Sandbox::repository(&["--object-format=sha256"]);
    sandbox.write("secret.txt", token(24));
    let commit = sandbox.commit("secret");
    assert_eq!(commit.len(), 64);
    sandbox.git(&["gc", "-q"]);
    sandbox.git(&["worktree", "add", "-q", "../linked", "-b", "linked"]);
    sandbox.git(&["clone", "-q", "--mirror", ".", "../mirror.git"]);
    for path in ["repo", "repo/.git", "linked", "mirror.git"] {
        let outcome = scan(&HistorySource::new(sandbox.at(path)));
        assert_eq!(places(&outcome, &token(24)), [format!("secret.txt@{commit}")], "{path}");
        assert!(clean(&outcome), "{path}");
    }
}

#[test]
fn long_delta_chains_are_read_whole() {
    let sandbox = Sandbox::repository(&[]);
    let mut text: Vec<String> = (0..300).map(|line| format!("line {line} of a file that grows")).collect();
    for version in 0..60 {
        text.insert(version * 4 % text.len(), format!("version {version}"));
        if version == 30 {
            text.insert(7, token(25));
        }
        if version == 31 {
            text.remove(7);
        }
        sandbox.write("file.txt", text.join("\n"));
        sandbox.write(&format!("dir/{version}.txt"), version.to_string());
        sandbox.commit(&format!("version {version}"));
    }
    sandbox.git(&["repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=50"]);
    let outcome = history(&sandbox);
    assert_eq!(places(&outcome, &token(25)).len(), 1);
    assert!(clean(&outcome));
}

#[test]
fn a_submodule_is_named_and_makes_nothing_incomplete() {
    let sandbox = Sandbox::repository(&[]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{},module", head.replace('a', "b"))]);
    sandbox.git(&["commit", "-q", "-m", "module"]);
    let outcome = history(&sandbox);
    assert!(matches!(support::reason(account(&outcome, Surface::History), "module"), Some(SkipReason::Submodule)));
    assert!(clean(&outcome));
}

#[test]
fn shallow_and_partial_clones_are_incomplete() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("README.md", "second");
    sandbox.commit("second");
    sandbox.git(&["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", sandbox.at("repo").display());
    for (name, option) in [("shallow", "--depth=1"), ("partial", "--filter=blob:none"), ("treeless", "--filter=tree:0")]
    {
        let path = sandbox.at(name);
        let arguments = ["clone", "-q", "--bare", option, &url, path.to_str().expect("UTF-8")];
        sandbox.git_in(&sandbox.at("repo"), &arguments);
        let outcome = scan(&HistorySource::new(&path));
        let account = account(&outcome, Surface::History);
        assert!(account.skipped.iter().any(|skipped| skipped.reason == SkipReason::Missing), "{name}: {account:?}");
        assert!(!clean(&outcome), "{name}");
    }
}

#[test]
fn a_cut_off_pack_is_incomplete_and_the_rest_is_read() {
    let sandbox = packed();
    let pack = pack_of(&sandbox);
    let bytes = fs::read(&pack).expect("read");
    for length in [0, 5, 12, bytes.len() / 2, bytes.len() - 30] {
        overwrite(&pack, &bytes[..length]);
        assert!(!clean(&history(&sandbox)), "{length} bytes");
    }
}

#[test]
fn damage_anywhere_in_a_pack_or_index_never_panics() {
    let sandbox = packed();
    for path in [pack_of(&sandbox), pack_of(&sandbox).with_extension("idx")] {
        let bytes = fs::read(&path).expect("read");
        for at in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            overwrite(&path, &damaged);
            history(&sandbox);
        }
        overwrite(&path, &bytes);
    }
    assert!(clean(&history(&sandbox)));
}

#[test]
fn a_damaged_loose_object_is_corrupt_and_others_are_read() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("secret.txt", token(26));
    sandbox.commit("secret");
    let blob = sandbox.git(&["rev-parse", "HEAD:README.md"]);
    let path = sandbox.at("repo/.git/objects").join(&blob[..2]).join(&blob[2..]);
    let length = fs::read(&path).expect("read").len();
    for content in [vec![0; length], Vec::new(), vec![0x78]] {
        overwrite(&path, &content);
        let outcome = history(&sandbox);
        let reason = support::reason(account(&outcome, Surface::History), &blob).cloned();
        assert!(matches!(reason, Some(SkipReason::Corrupt { .. })), "{reason:?}");
        assert!(!places(&outcome, &token(26)).is_empty());
    }
    fs::remove_file(&path).expect("removed");
    let outcome = history(&sandbox);
    assert_eq!(support::reason(account(&outcome, Surface::History), &blob), Some(&SkipReason::Missing));
}

#[test]
fn a_large_file_is_searched_as_a_stream() {
    let sandbox = Sandbox::repository(&[]);
    let mut content = vec![b'x'; 20 << 20];
    content.extend_from_slice(format!("\n{}\n", token(27)).as_bytes());
    sandbox.write("large.txt", &content);
    sandbox.commit("large");
    for _ in 0..2 {
        let outcome = history(&sandbox);
        let occurrence = &outcome.findings[0].occurrences[0];
        assert_eq!((occurrence.line, occurrence.column, occurrence.offset), (2, 1, (20 << 20) + 1));
        assert!(clean(&outcome));
        sandbox.git(&["gc", "-q"]);
    }
}

#[test]
fn no_repository_is_an_error_of_use() {
    let sandbox = Sandbox::new();
    let engine = support::engine();
    let error = HistorySource::new(sandbox.at("home")).scan(&engine, &Default::default()).expect_err("none there");
    assert_eq!(error.kind(), SourceErrorKind::Usage);
}

/// A repository with all its objects in one pack.
fn packed() -> Sandbox {
    let sandbox = Sandbox::repository(&[]);
    for version in 0..12 {
        let lines: Vec<_> = (0..80).map(|line| format!("line {} of {version}", line * 31 + version / 3)).collect();
        sandbox.write("file.txt", lines.join("\n"));
        sandbox.commit("version");
    }
    sandbox.git(&["gc", "-q", "--prune=now"]);
    sandbox
}

fn pack_of(sandbox: &Sandbox) -> PathBuf {
    let directory = sandbox.at("repo/.git/objects/pack");
    let mut paths = fs::read_dir(directory).expect("packs").map(|entry| entry.expect("an entry").path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "pack")).expect("a pack")
}

/// Writes a file of git's, which git makes read-only.
fn overwrite(path: &Path, content: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, content).expect("written");
}
