//! Objects that were altered where they are stored and can still be decoded.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use custody_contract::{SkipReason, Surface};
use custody_scan::history::HistorySource;
use custody_scan::source::ScanOutcome;
use support::{Sandbox, account, places, reason, scan, token};

fn verified(sandbox: &Sandbox) -> ScanOutcome {
    scan(&HistorySource::new(sandbox.at("repo")).verify_objects(true))
}

fn is_altered(outcome: &ScanOutcome, id: &str) -> bool {
    matches!(reason(account(outcome, Surface::History), id), Some(SkipReason::Corrupt { error }) if error.contains("id"))
}

/// The path of a loose object.
fn loose(sandbox: &Sandbox, id: &str) -> std::path::PathBuf {
    sandbox.at("repo/.git/objects").join(&id[..2]).join(&id[2..])
}

/// Stores what one object holds under the name of another.
fn put(sandbox: &Sandbox, id: &str, other: &str) {
    let content = fs::read(loose(sandbox, other)).expect("the other object");
    let _ = fs::remove_file(loose(sandbox, id));
    fs::write(loose(sandbox, id), content).expect("written");
}

#[test]
fn an_altered_loose_object_is_corrupt_if_ids_are_verified() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("a.txt", token(1));
    sandbox.write("b.txt", "clean");
    sandbox.commit("both");
    let (a, b) = (sandbox.git(&["rev-parse", "HEAD:a.txt"]), sandbox.git(&["rev-parse", "HEAD:b.txt"]));
    assert!(!verified(&sandbox).is_incomplete());
    put(&sandbox, &a, &b);
    let trusting = scan(&HistorySource::new(sandbox.at("repo")));
    assert!(!trusting.is_incomplete() && places(&trusting, &token(1)).is_empty());
    let outcome = verified(&sandbox);
    assert!(outcome.is_incomplete() && is_altered(&outcome, &a));
    assert_eq!(account(&outcome, Surface::History).skipped_total, 1);
}

#[test]
fn an_altered_commit_tree_or_tag_is_corrupt() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("dir/a.txt", "a");
    sandbox.commit("a");
    sandbox.git(&["tag", "-a", "v1", "-m", "one"]);
    sandbox.git(&["tag", "-a", "v2", "-m", "two"]);
    for (name, other) in [("HEAD", "HEAD~1"), ("HEAD^{tree}", "HEAD:dir"), ("v1", "v2")] {
        let (id, other) = (sandbox.git(&["rev-parse", name]), sandbox.git(&["rev-parse", other]));
        let sound = fs::read(loose(&sandbox, &id)).expect("the object");
        put(&sandbox, &id, &other);
        let outcome = verified(&sandbox);
        assert!(outcome.is_incomplete() && is_altered(&outcome, &id), "{name}");
        fs::write(loose(&sandbox, &id), sound).expect("written");
    }
    assert!(!verified(&sandbox).is_incomplete());
}

#[test]
fn an_altered_object_in_a_pack_is_corrupt_and_so_is_one_of_two_copies() {
    let sandbox = Sandbox::repository(&[]);
    // Too small for deltas, and of the same size deflated.
    sandbox.write("a.txt", "first content 1");
    sandbox.write("b.txt", "other content 2");
    sandbox.commit("both");
    let (a, b) = (sandbox.git(&["rev-parse", "HEAD:a.txt"]), sandbox.git(&["rev-parse", "HEAD:b.txt"]));
    sandbox.git(&["repack", "-q", "-a"]);
    assert!(!verified(&sandbox).is_incomplete());
    // The index names the two the other way round.
    let directory = sandbox.at("repo/.git/objects/pack");
    let swapped = swap_offsets(&directory, &a, &b);
    let outcome = verified(&sandbox);
    assert!(outcome.is_incomplete() && is_altered(&outcome, &a) && is_altered(&outcome, &b), "loose copies are sound");
    assert_eq!(account(&outcome, Surface::History).skipped_total, 2);
    sandbox.git(&["prune-packed"]);
    assert!(is_altered(&verified(&sandbox), &a));
    fs::remove_file(&swapped).expect("removed");
    let fixed =
        Command::new("git").arg("index-pack").arg(swapped.with_extension("pack")).stdout(Stdio::null()).status();
    assert!(fixed.expect("git runs").success());
    assert!(!verified(&sandbox).is_incomplete());
}

/// Exchanges the offsets of two objects in the index of the only pack.
fn swap_offsets(directory: &Path, a: &str, b: &str) -> std::path::PathBuf {
    let mut paths = fs::read_dir(directory).expect("packs").map(|entry| entry.expect("an entry").path());
    let path = paths.find(|path| path.extension().is_some_and(|extension| extension == "idx")).expect("an index");
    let mut index = fs::read(&path).expect("read");
    let count = u32::from_be_bytes(index[8 + 4 * 255..][..4].try_into().expect("four")) as usize;
    let ids = 8 + 4 * 256;
    let at = |hex: &str| {
        let found = (0..count).find(|&at| {
            let id = &index[ids + 20 * at..][..20];
            id.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == hex
        });
        ids + 24 * count + 4 * found.expect("is in the pack")
    };
    let (one, other) = (at(a), at(b));
    for byte in 0..4 {
        index.swap(one + byte, other + byte);
    }
    fs::remove_file(&path).expect("removed");
    fs::write(&path, index).expect("written");
    path
}

#[test]
fn a_large_file_is_held_to_its_id_as_well() {
    let sandbox = Sandbox::repository(&[]);
    for (name, byte) in [("a.bin", b'a'), ("b.bin", b'b')] {
        sandbox.write(name, vec![byte; 17 << 20]);
    }
    sandbox.commit("large");
    let (a, b) = (sandbox.git(&["rev-parse", "HEAD:a.bin"]), sandbox.git(&["rev-parse", "HEAD:b.bin"]));
    assert!(!verified(&sandbox).is_incomplete());
    put(&sandbox, &a, &b);
    assert!(is_altered(&verified(&sandbox), &a));
}

#[test]
fn sha256_repositories_are_held_to_their_ids() {
    let sandbox = Sandbox::repository(&["--object-format=sha256"]);
    sandbox.write("a.txt", "a");
    sandbox.commit("a");
    assert!(!verified(&sandbox).is_incomplete());
    let (a, b) = (sandbox.git(&["rev-parse", "HEAD:a.txt"]), sandbox.git(&["rev-parse", "HEAD:README.md"]));
    put(&sandbox, &a, &b);
    assert!(is_altered(&verified(&sandbox), &a));
}
