//! Working trees, the index, streams and revisions, with whatever a disk may hold.

mod support;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use custody_contract::{SkipReason, Surface};
use custody_scan::source::{
    BaseTree, ChangedPath, IgnoreRules, IndexExtent, IndexSource, ScanOptions, ScanOutcome, Source as _, SourceError,
    SourceErrorKind, StdinSource, TreeSource,
};
use support::{Sandbox, account, places, reason, scan, token};

fn tree(sandbox: &Sandbox) -> ScanOutcome {
    scan(&TreeSource::new(sandbox.at("repo")))
}

fn staged(sandbox: &Sandbox) -> ScanOutcome {
    scan(&IndexSource::new(sandbox.at("repo"), IndexExtent::Changed))
}

// The working tree

#[test]
fn gits_ignore_rules_hold_and_can_be_switched_off() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write(".gitignore", "*.log\n");
    sandbox.write("sub/.gitignore", "private/\n!kept.log\n");
    sandbox.write(".git/info/exclude", "excluded.txt\n");
    let ignored = ["a.log", "sub/private/b.txt", "excluded.txt"];
    let seen = ["sub/kept.log", ".hidden", "sub/.hidden/c.txt", "private/d.txt"];
    for (number, path) in (0..).zip(ignored.iter().chain(&seen)) {
        sandbox.write(path, token(number));
    }
    sandbox.write(".ignore", "*\n");
    let honoured = tree(&sandbox);
    let all = scan(&TreeSource::new(sandbox.at("repo")).ignore_rules(IgnoreRules::Disregard));
    for (number, path) in (0..).zip(ignored.iter().chain(&seen)) {
        assert_eq!(places(&honoured, &token(number)).is_empty(), ignored.contains(path), "{path}");
        assert_eq!(places(&all, &token(number)), [*path]);
    }
    assert!(!honoured.is_incomplete());
}

#[test]
fn tracked_files_are_read_even_if_ignored() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("build/out.txt", token(1));
    sandbox.commit("tracked");
    sandbox.write(".gitignore", "build/\n");
    sandbox.write("build/untracked.txt", token(2));
    let outcome = tree(&sandbox);
    assert_eq!(places(&outcome, &token(1)), ["build/out.txt"]);
    assert!(places(&outcome, &token(2)).is_empty());
    fs::remove_file(sandbox.at("repo/build/out.txt")).expect("removed");
    assert!(!tree(&sandbox).is_incomplete());
}

#[test]
fn a_directory_without_git_is_read_and_its_gitignore_holds() {
    let sandbox = Sandbox::new();
    sandbox.write("secret.txt", token(1));
    sandbox.write(".gitignore", "ignored.txt\n");
    sandbox.write("ignored.txt", token(2));
    let outcome = tree(&sandbox);
    assert_eq!(places(&outcome, &token(1)), ["secret.txt"]);
    assert!(places(&outcome, &token(2)).is_empty());
    assert_eq!(scan(&TreeSource::new(sandbox.at("repo/secret.txt"))).findings.len(), 1);
}

#[test]
fn files_of_named_surfaces_are_read_though_ignored_and_kept_apart() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write(".gitignore", "logs/\nother/\n");
    sandbox.write("logs/app.log", token(1));
    sandbox.write("logs/old.log.gz", b"\x1f\x8b\x08\0\0\0\0\0");
    sandbox.write("other/x.txt", token(2));
    sandbox.write("fixtures/request.json", token(3));
    sandbox.write("fixtures/excluded.json", token(4));
    sandbox.write("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let classify = |path: &str| match path.split('/').next() {
        Some("logs") => Some(Surface::Logs),
        Some("fixtures") => Some(Surface::Fixtures),
        _ => None,
    };
    let exclude = |path: &str| path.ends_with("excluded.json").then(|| "generated".to_owned());
    let outcome = scan(&TreeSource::new(sandbox.at("repo")).classify(&classify).exclude(&exclude));
    assert_eq!(places(&outcome, &token(1)), ["logs/app.log"]);
    assert!(places(&outcome, &token(2)).is_empty());
    assert_eq!(places(&outcome, &token(3)), ["fixtures/request.json"]);
    assert!(places(&outcome, &token(4)).is_empty());
    let logs = account(&outcome, Surface::Logs);
    assert_eq!((logs.expected, logs.read), (2, 1));
    assert!(matches!(reason(logs, "logs/old.log.gz!/old.log"), Some(SkipReason::Corrupt { .. })), "{:?}", logs.skipped);
    assert!(logs.is_incomplete());
    let fixtures = account(&outcome, Surface::Fixtures);
    let excluded = SkipReason::ExcludedByContract { reason: "generated".to_owned() };
    assert_eq!(reason(fixtures, "fixtures/excluded.json"), Some(&excluded));
    assert!(!fixtures.is_incomplete());
    let working_tree = account(&outcome, Surface::WorkingTree);
    assert_eq!((working_tree.opaque, working_tree.is_incomplete()), (1, false));
}

#[cfg(unix)]
#[test]
fn links_pipes_and_sockets_are_not_followed_or_opened() {
    let sandbox = Sandbox::repository(&[]);
    let link = |target: &str, path: &str| {
        std::os::unix::fs::symlink(target, sandbox.at("repo").join(path)).expect("linked");
    };
    link(".", "loop");
    link("nowhere", "broken");
    link(&format!("/{}", token(1)), "telling");
    let fifo = sandbox.at("repo/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.at("repo/socket")).expect("bound");
    let outcome = tree(&sandbox);
    let account = account(&outcome, Surface::WorkingTree);
    for path in ["loop", "broken", "telling"] {
        assert_eq!(reason(account, path), Some(&SkipReason::SymlinkNotFollowed), "{path}");
    }
    for path in ["pipe", "socket"] {
        assert_eq!(reason(account, path), Some(&SkipReason::NotAFile), "{path}");
    }
    assert_eq!(places(&outcome, &token(1)), ["telling"]);
    assert!(!outcome.is_incomplete());
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_incomplete() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("locked.txt", "x");
    sandbox.write("locked/file.txt", "x");
    for path in ["locked.txt", "locked"] {
        fs::set_permissions(sandbox.at("repo").join(path), fs::Permissions::from_mode(0o000)).expect("changed");
    }
    let readable_anyway = fs::read(sandbox.at("repo/locked.txt")).is_ok(); // by the superuser
    let outcome = tree(&sandbox);
    let account = account(&outcome, Surface::WorkingTree).clone();
    fs::set_permissions(sandbox.at("repo/locked"), fs::Permissions::from_mode(0o700)).expect("changed");
    if !readable_anyway {
        for path in ["locked.txt", "locked"] {
            assert!(matches!(reason(&account, path), Some(SkipReason::Unreadable { .. })), "{path}");
        }
        assert_eq!(account.incomplete_total, 2);
    }
}

#[cfg(unix)]
#[test]
fn strange_names_are_searched_and_shown_safely() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::repository(&[]);
    let name = std::ffi::OsStr::from_bytes(b"a\n\xff\x1b[31m");
    fs::write(sandbox.at("repo").join(name), token(1)).expect("written");
    sandbox.write(&format!("{}/file.txt", token(2)), token(3));
    let outcome = tree(&sandbox);
    assert_eq!(places(&outcome, &token(1)), ["a\\x0a\\xff\\x1b[31m"]);
    assert_eq!(places(&outcome, &token(2)), ["[redacted]/file.txt"]);
    assert_eq!(places(&outcome, &token(3)), ["[redacted]/file.txt"]);
}

#[test]
fn a_large_file_is_searched_in_pieces_as_if_at_once() {
    const PIECE: usize = 8 << 20;
    let sandbox = Sandbox::new();
    let line = "a line of some length, with ä, 漢字 and \u{1f600} in it ";
    let mut bytes = line.repeat((3 * PIECE + 5_000) / line.len()).into_bytes();
    bytes[100] = 0xff;
    for at in (0..bytes.len()).step_by(7_001) {
        bytes[at] = b'\n';
    }
    let put = |bytes: &mut Vec<u8>, at: usize, number: u32| {
        let text = format!(" {} ", token(number));
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    let mut numbers = 0..;
    let seams = (1..=3).flat_map(|piece| [-3_000, -40, -20, -2, -1, 0, 1, 60].map(|shift| (piece, shift)));
    let mut planted = Vec::new();
    for (number, (piece, shift)) in numbers.by_ref().zip(seams) {
        let at = (piece * PIECE).strict_add_signed(shift + 100 * (shift / 2 % 7));
        put(&mut bytes, at, number);
        planted.push(at);
    }
    let end = bytes.len() - 46;
    put(&mut bytes, end, 1_000);
    put(&mut bytes, 0, 1_001);
    sandbox.write("large.txt", &bytes);
    sandbox.write("small.txt", token(1_000));
    let [one, four] = [1, 4].map(|threads| {
        let options = ScanOptions { threads, progress: None };
        TreeSource::new(sandbox.at("repo")).scan(&support::engine(), &options).expect("the tree opens")
    });
    assert!(four.findings.len() > planted.len() / 2);
    assert_eq!(one.findings, four.findings);
    assert_eq!(one.coverage, four.coverage);
    assert_eq!(account(&four, Surface::WorkingTree).bytes, (bytes.len() + token(1_000).len()) as u64);
    let alone = scan(&TreeSource::new(sandbox.at("repo/large.txt")));
    assert_eq!(alone.findings.len(), one.findings.len());
}

#[test]
fn a_large_file_of_wide_text_is_found_to_be_one() {
    let sandbox = Sandbox::new();
    let text = format!("{}\n{}\n", "0123456789abcdef".repeat(600_000), token(1));
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    sandbox.write("large.txt", &bytes);
    let outcome = tree(&sandbox);
    assert_eq!(places(&outcome, &token(1)), ["large.txt"]);
    assert_eq!(outcome.findings[0].occurrences[0].line, 2);
}

#[test]
fn text_in_any_encoding_is_read_and_none_taken_for_binary() {
    let text = format!("first line\nkey = {}\n", token(1));
    let utf32 = |mark: &str, swap: bool| -> Vec<u8> {
        let whole = format!("{mark}{text}");
        whole.chars().flat_map(|c| if swap { (c as u32).to_be_bytes() } else { (c as u32).to_le_bytes() }).collect()
    };
    let utf16 = |mark: &str, swap: bool| -> Vec<u8> {
        let whole = format!("{mark}{text}");
        whole.encode_utf16().flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let mut files = Vec::new();
    for swap in [false, true] {
        for mark in ["\u{feff}", ""] {
            files.push((format!("utf32-{swap}-{}", mark.len()), utf32(mark, swap), mark.chars().count() * 4 + 17 * 4));
            files.push((format!("utf16-{swap}-{}", mark.len()), utf16(mark, swap), mark.chars().count() * 2 + 17 * 2));
        }
    }
    files.push(("latin1".to_owned(), [b"caf\xe9, d\xe9j\xe0", text.as_bytes()].concat(), 10 + 17));
    files.push(("few-nuls".to_owned(), [b"a\0b\0\0c", text.as_bytes()].concat(), 6 + 17));
    files.push(("nuls".to_owned(), [&[0; 9_000], text.as_bytes(), &[0; 9_000]].concat(), 9_000 + 17));
    files.push((
        "long-line".to_owned(),
        [&[b'x'; 9 << 20], b"\n ".as_slice(), text.as_bytes()].concat(),
        (9 << 20) + 19,
    ));
    for (name, bytes, offset) in files {
        let sandbox = Sandbox::new();
        sandbox.write(&name, &bytes);
        let outcome = tree(&sandbox);
        let [finding] = &outcome.findings[..] else { panic!("{name}: {} findings", outcome.findings.len()) };
        assert_eq!(finding.occurrences[0].offset, offset as u64, "{name}");
        let read = account(&outcome, Surface::WorkingTree);
        assert_eq!((read.bytes, read.opaque, outcome.is_incomplete()), (bytes.len() as u64, 0, false), "{name}");
    }
}

// Streams

/// Bytes made as they are read: as many `filler` as wanted, with texts at given offsets.
struct Generated {
    at: u64,
    length: u64,
    filler: u8,
    texts: Vec<(u64, String)>,
}

impl Read for Generated {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = out.len().min(usize::try_from(self.length - self.at).unwrap_or(usize::MAX));
        out[..count].fill(self.filler);
        for (start, text) in &self.texts {
            for (offset, byte) in (*start..).zip(text.bytes()) {
                if (self.at..self.at + count as u64).contains(&offset) {
                    out[usize::try_from(offset - self.at).expect("in the buffer")] = byte;
                }
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

#[test]
fn a_line_of_one_gigabyte_is_searched_in_bounded_memory() {
    let length = 1 << 30;
    let window = 4 << 20;
    let offsets = [5, window - 20, window + 100, 3 * window + 7, (1 << 29) + 1, length - 60];
    let texts: Vec<_> = (0..).zip(offsets).map(|(number, at)| (at, format!(" {} ", token(number)))).collect();
    let before = resident();
    let outcome = scan(&StdinSource::new(Generated { at: 0, length, filler: b'.', texts }));
    let grown = resident().saturating_sub(before);
    for (number, at) in (0..).zip(offsets) {
        let fingerprint = custody_contract::Fingerprint::of(token(number).as_bytes());
        let found = outcome.findings.iter().find(|finding| finding.fingerprint == fingerprint).expect("found");
        let [occurrence] = &found.occurrences[..] else { panic!("{:?}", found.occurrences) };
        assert_eq!((occurrence.offset, occurrence.line), (at + 1, 1));
        assert_eq!(u64::from(occurrence.column), at + 2);
    }
    assert_eq!(account(&outcome, Surface::Stdin).bytes, length);
    assert!(grown < 64 << 10, "grew by {grown} KiB");
}

/// Peak resident memory of this process in KiB; 0 where the system does not say.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[test]
fn matches_at_every_seam_are_found_once() {
    let window = 4u64 << 20;
    for shift in [1, 2, 10, 40, 43, 44, 300] {
        let text = format!("\n{}\n", token(1));
        let texts = vec![(window - shift, text)];
        let outcome = scan(&StdinSource::new(Generated { at: 0, length: window + 5_000, filler: b' ', texts }));
        let [finding] = &outcome.findings[..] else { panic!("shift {shift}: {} findings", outcome.findings.len()) };
        assert_eq!(finding.occurrences.len(), 1);
        let occurrence = &finding.occurrences[0];
        assert_eq!((occurrence.offset, occurrence.line, occurrence.column), (window - shift + 1, 2, 1));
    }
}

#[test]
fn wide_text_is_found_where_it_stands() {
    let text = format!("ä line\nkey = {}\n", token(1));
    for (mark, length) in [("\u{feff}", 0), ("", 0), ("\u{feff}", 5 << 20)] {
        let filler = "x".repeat(length);
        let whole = format!("{mark}{filler}{text}");
        for big_endian in [false, true] {
            let bytes: Vec<u8> = whole
                .encode_utf16()
                .flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() })
                .collect();
            let outcome = scan(&StdinSource::new(&bytes[..]));
            let occurrence = &outcome.findings[0].occurrences[0];
            let units = mark.chars().count() + length + 7 + 6;
            assert_eq!((occurrence.offset, occurrence.line, occurrence.column), (2 * units as u64, 2, 7));
            assert_eq!(account(&outcome, Surface::Stdin).bytes, bytes.len() as u64);
        }
    }
}

#[test]
fn a_reader_that_fails_is_incomplete_and_searched_up_to_there() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let secret = format!("{}\n", token(1));
    let outcome = scan(&StdinSource::new(secret.as_bytes().chain(Failing)));
    assert_eq!(places(&outcome, &token(1)), ["-"]);
    assert!(outcome.is_incomplete());
}

// The index

#[test]
fn staged_content_counts_not_the_file_on_disk() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("old.txt", token(1));
    sandbox.commit("old");
    sandbox.write("staged.txt", token(2));
    sandbox.git(&["add", "staged.txt"]);
    sandbox.write("staged.txt", "clean again");
    sandbox.write("untracked.txt", token(3));
    let outcome = staged(&sandbox);
    assert_eq!(places(&outcome, &token(2)), ["staged.txt"]);
    assert!(places(&outcome, &token(1)).is_empty() && places(&outcome, &token(3)).is_empty());
    assert_eq!(account(&outcome, Surface::Staged).expected, 1);
    let whole = scan(&IndexSource::new(sandbox.at("repo"), IndexExtent::Whole));
    assert_eq!(places(&whole, &token(1)), ["old.txt"]);
}

#[test]
fn an_unborn_head_and_an_empty_index_are_read() {
    let sandbox = Sandbox::new();
    let repo = sandbox.at("repo");
    sandbox.git_in(&sandbox.at(""), &["init", "-q", repo.to_str().expect("UTF-8")]);
    assert_eq!(account(&staged(&sandbox), Surface::Staged).expected, 0);
    sandbox.write("first.txt", token(1));
    sandbox.git(&["add", "first.txt"]);
    assert_eq!(places(&staged(&sandbox), &token(1)), ["first.txt"]);
}

#[test]
fn all_stages_of_a_conflict_are_read() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("README.md", token(1));
    sandbox.commit("side");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("README.md", token(2));
    sandbox.commit("main");
    let merge = sandbox.command(&sandbox.at("repo"), &["merge", "-q", "side"]).output().expect("git runs");
    assert!(!merge.status.success());
    let outcome = staged(&sandbox);
    assert_eq!(account(&outcome, Surface::Staged).expected, 3);
    assert_eq!(places(&outcome, &token(1)), ["README.md"]);
}

#[test]
fn announced_missing_and_foreign_entries_are_accounted_for() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("announced.txt", token(1));
    sandbox.git(&["add", "-N", "announced.txt"]);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},module")]);
    sandbox.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{},lost.txt", "1".repeat(40))]);
    let outcome = staged(&sandbox);
    let account = account(&outcome, Surface::Staged);
    assert_eq!((account.expected, account.read), (3, 1));
    assert_eq!(reason(account, "module"), Some(&SkipReason::Submodule));
    assert_eq!(reason(account, "lost.txt"), Some(&SkipReason::Missing));
}

#[test]
fn the_index_of_a_linked_working_tree_is_its_own() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.git(&["worktree", "add", "-q", "../linked"]);
    fs::write(sandbox.at("linked/secret.txt"), token(1)).expect("written");
    sandbox.git_in(&sandbox.at("linked"), &["add", "secret.txt"]);
    let outcome = scan(&IndexSource::new(sandbox.at("linked"), IndexExtent::Changed));
    assert_eq!(places(&outcome, &token(1)), ["secret.txt"]);
    assert!(places(&staged(&sandbox), &token(1)).is_empty());
}

// Revisions

#[test]
fn files_are_read_as_they_stood_at_the_base() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("custody.toml", "base");
    sandbox.write("sub/inner.toml", "inner");
    let base = sandbox.commit("base");
    sandbox.git(&["checkout", "-q", "-b", "topic"]);
    sandbox.write("custody.toml", "changed");
    sandbox.write("new.txt", "new");
    sandbox.commit("topic");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("custody.toml", "moved on");
    sandbox.commit("main moves on");
    sandbox.git(&["checkout", "-q", "topic"]);
    let repo = sandbox.at("repo");
    let tree = BaseTree::at_merge_base(&repo, "main").expect("a base");
    assert_eq!(tree.commit(), base);
    assert_eq!(tree.read("custody.toml").expect("read").as_deref(), Some(&b"base"[..]));
    assert_eq!(tree.read("./sub/inner.toml").expect("read").as_deref(), Some(&b"inner"[..]));
    assert_eq!(tree.read("absent.toml").expect("read"), None);
    assert_eq!(tree.read("sub").expect("read"), None);
    let below = BaseTree::open(&repo.join("sub"), &base).expect("a base");
    assert_eq!(below.read("inner.toml").expect("read").as_deref(), Some(&b"inner"[..]));
    assert_eq!(below.paths().expect("paths"), ["inner.toml"]);
    let main = BaseTree::open(&repo, "main").expect("a base");
    assert_eq!(main.read("custody.toml").expect("read").as_deref(), Some(&b"moved on"[..]));
}

#[test]
fn changed_paths_are_those_that_differ() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("same.txt", "same");
    sandbox.write("removed.txt", "removed");
    let base = sandbox.commit("base");
    sandbox.write("added.txt", "added");
    fs::remove_file(sandbox.at("repo/removed.txt")).expect("removed");
    sandbox.commit("next");
    sandbox.write("README.md", "changed on disk, not committed");
    let tree = BaseTree::open(&sandbox.at("repo"), &base).expect("a base");
    let change = |path: &str, in_base, in_head| ChangedPath { path: path.to_owned(), in_base, in_head };
    let committed = [change("added.txt", false, true), change("removed.txt", true, false)];
    assert_eq!(tree.changed_in_head().expect("compared"), committed);
    let [added, removed] = committed;
    assert_eq!(tree.changed_in_working_tree().expect("compared"), [change("README.md", true, true), added, removed]);
}

#[test]
fn errors_say_what_is_wrong_with_the_revision() {
    let sandbox = Sandbox::repository(&[]);
    let repo = sandbox.at("repo");
    let error = |path: &Path, revision: &str| BaseTree::open(path, revision).err().expect("an error");
    assert!(matches!(error(&sandbox.at("home"), "HEAD"), SourceError::NotARepository { .. }));
    assert!(matches!(error(&repo, "no-such-branch"), SourceError::UnknownRevision { .. }));
    assert!(matches!(error(&repo, "--upload-pack=x"), SourceError::UnknownRevision { .. }));
    let first = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.commit("second");
    let (url, shallow) = (format!("file://{}", repo.display()), sandbox.at("shallow"));
    sandbox.git(&["clone", "-q", "--depth=1", &url, shallow.to_str().expect("UTF-8")]);
    let error = error(&shallow, &first);
    assert!(matches!(error, SourceError::RevisionNotFetched { clone: "shallow", .. }), "{error}");
    assert_eq!(error.kind(), SourceErrorKind::Incomplete);
}
