//! A scan that takes over what an earlier one has read finds and reports what one without it does.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use custody_contract::Surface;
use custody_scan::history::HistorySource;
use custody_scan::source::{ScanOptions, ScanOutcome, Source as _};
use support::{Sandbox, account, places, scan, token};

struct Scanned {
    sandbox: Sandbox,
}

impl Scanned {
    fn new(sandbox: Sandbox) -> Self {
        Scanned { sandbox }
    }

    fn cache(&self) -> PathBuf {
        self.sandbox.at("cache")
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.cache()).expect("the cache was made").map(|entry| entry.expect("an entry").path()).collect()
    }

    /// The one file of the cache whose name ends so.
    fn file(&self, end: &str) -> PathBuf {
        let mut ours = self.files().into_iter().filter(|path| path.to_string_lossy().ends_with(end));
        let first = ours.next().expect("a file");
        assert_eq!(ours.next(), None);
        first
    }

    /// Scans with and without the cache and holds the outcomes to be the same.
    fn scan(&self, step: &str) -> ScanOutcome {
        let source = HistorySource::new(self.sandbox.at("repo"));
        let whole = scan(&source);
        let cached = scan(&HistorySource::new(self.sandbox.at("repo")).cache(Some(self.cache())));
        assert_eq!(cached.findings, whole.findings, "{step}");
        assert_eq!(cached.coverage, whole.coverage, "{step}");
        cached
    }
}

#[test]
fn whatever_happens_between_two_scans_the_outcome_is_that_of_a_whole_one() {
    let scanned = Scanned::new(Sandbox::repository(&[]));
    let sandbox = &scanned.sandbox;
    scanned.scan("no secret");
    scanned.scan("nothing new");
    sandbox.write("a/deep/one.txt", format!("x\n{}\n", token(1)));
    let first = sandbox.commit(&format!("adds {}", token(2)));
    let outcome = scanned.scan("a secret, and one in the message");
    assert!(places(&outcome, &token(1)).contains(&format!("a/deep/one.txt@{first}")));
    sandbox.write("a/deep/one.txt", format!("x\ny\n{}\n", token(1)));
    sandbox.commit("a new version of it");
    scanned.scan("a new version");
    sandbox.git(&["mv", "a", "b"]);
    let moved = sandbox.commit("moved");
    let outcome = scanned.scan("a directory moved");
    assert!(places(&outcome, &token(1)).contains(&format!("b/deep/one.txt@{moved}")));
    sandbox.git(&["checkout", "-q", "-b", "side", "HEAD~2"]);
    sandbox.write("c.txt", token(3));
    sandbox.write(&format!("{}.txt", token(4)), "named");
    sandbox.commit("on the side, and a name");
    scanned.scan("a branch");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]);
    sandbox.write("evil.txt", token(5));
    sandbox.commit("merge");
    sandbox.git(&["tag", "-a", "v1", "-m", &token(6)]);
    scanned.scan("a merge and a tag");
    sandbox.git(&["repack", "-q"]);
    scanned.scan("the loose objects in a pack, and loose still");
    sandbox.git(&["prune-packed"]);
    scanned.scan("in the pack alone");
    sandbox.write("d.txt", token(7));
    sandbox.commit("after the pack");
    sandbox.git(&["repack", "-q", "-d"]);
    scanned.scan("a second pack");
    sandbox.git(&["gc", "-q"]);
    scanned.scan("one pack of all");
    sandbox.write("e.txt", token(8));
    sandbox.git(&["stash", "-q", "-u"]);
    scanned.scan("a stash");
    sandbox.git(&["stash", "drop", "-q"]);
    sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&["gc", "-q", "--prune=now"]);
    let outcome = scanned.scan("what nothing leads to is gone");
    assert!(places(&outcome, &token(7)).is_empty());
}

#[test]
fn only_what_is_new_is_read() {
    let scanned = Scanned::new(Sandbox::repository(&[]));
    scanned.sandbox.write("one.txt", token(1));
    scanned.sandbox.commit("one");
    scanned.scan("first");
    // What is damaged now was sound when it was read.
    let blob = scanned.sandbox.git(&["rev-parse", "HEAD:one.txt"]);
    let path = scanned.sandbox.at("repo/.git/objects").join(&blob[..2]).join(&blob[2..]);
    let sound = fs::read(&path).expect("the object");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, b"damaged").expect("written");
    scanned.sandbox.write("two.txt", token(2));
    scanned.sandbox.commit("two");
    let cached = || scan(&HistorySource::new(scanned.sandbox.at("repo")).cache(Some(scanned.cache())));
    let outcome = cached();
    assert!(
        !outcome.is_incomplete() && !places(&outcome, &token(2)).is_empty() && !places(&outcome, &token(1)).is_empty()
    );
    assert!(scan(&HistorySource::new(scanned.sandbox.at("repo"))).is_incomplete());
    // An object that is gone is missed, whatever is remembered.
    fs::remove_file(&path).expect("removed");
    assert!(cached().is_incomplete());
    fs::write(&path, sound).expect("written");
    assert!(!cached().is_incomplete());
}

#[test]
fn what_is_missing_is_reported_until_it_comes() {
    let origin = Sandbox::repository(&[]);
    origin.write("one.txt", token(1));
    origin.commit("one");
    origin.write("one.txt", "clean now");
    origin.commit("two");
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    let sandbox = Sandbox::new();
    let url = format!("file://{}", origin.at("repo").display());
    let target = sandbox.at("repo");
    let target = target.to_str().expect("UTF-8");
    sandbox.git_in(&sandbox.at("home"), &["clone", "-q", "--filter=blob:none", "--no-checkout", &url, target]);
    let scanned = Scanned::new(sandbox);
    assert!(scanned.scan("without files").is_incomplete());
    assert!(scanned.scan("still without").is_incomplete());
    scanned.sandbox.git(&["checkout", "-q", "main"]);
    assert!(scanned.scan("one of two has come").is_incomplete());
    scanned.sandbox.git(&["checkout", "-q", "main~1"]);
    let outcome = scanned.scan("all have come");
    assert!(!outcome.is_incomplete());
    assert!(places(&outcome, &token(1))[0].starts_with("one.txt@"));
}

#[test]
fn a_cache_that_is_damaged_foreign_or_not_writable_is_as_good_as_none() {
    let scanned = Scanned::new(Sandbox::repository(&[]));
    scanned.sandbox.write("one.txt", token(1));
    scanned.sandbox.commit("one");
    scanned.scan("first");
    let file = scanned.file(".state");
    let sound = fs::read(&file).expect("read");
    for damage in [0, 10, 20, 60, sound.len() - 1] {
        let mut damaged = sound.clone();
        damaged[damage] ^= 1;
        fs::write(&file, damaged).expect("written");
        scanned.scan("a bit is wrong");
        fs::write(&file, &sound[..damage]).expect("written");
        scanned.scan("cut off");
    }
    let outcome =
        scan(&HistorySource::new(scanned.sandbox.at("repo")).cache(Some(scanned.sandbox.at("repo/README.md"))));
    assert_eq!(outcome.findings.len(), 1);
    // One from an older or newer version has another name; should it have this one, its content tells.
    for foreign in [&b"custody-history\n"[..], &[0; 4096], b"custody-objects\n and more"] {
        fs::write(&file, foreign).expect("written");
        scanned.scan("foreign");
    }
    let padded = |length: u64| {
        let huge = fs::OpenOptions::new().write(true).open(&file).expect("opened");
        huge.set_len(length).expect("set");
    };
    padded(sound.len() as u64 + 1);
    scanned.scan("longer than it should be");
    padded(1 << 40);
    scanned.scan("huge");
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("made");
    scanned.scan("a directory in its place");
    fs::remove_dir(&file).expect("removed");
    let mut permissions = fs::metadata(scanned.cache()).expect("metadata").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(scanned.cache(), permissions.clone()).expect("set");
    scanned.scan("read-only");
    #[expect(clippy::permissions_set_readonly_false, reason = "a temporary directory, which is removed")]
    permissions.set_readonly(false);
    fs::set_permissions(scanned.cache(), permissions).expect("set");
}

#[test]
fn scans_at_the_same_time_do_no_harm() {
    let scanned = Scanned::new(Sandbox::repository(&[]));
    for number in 1..6u32 {
        scanned.sandbox.write("file.txt", format!("{number}\n{}", token(number)));
        scanned.sandbox.commit("a version");
        if number % 2 == 0 {
            scanned.sandbox.git(&["gc", "-q"]);
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| scanned.scan("at once"));
            }
        });
    }
    assert_eq!(scanned.scan("after all").findings.len(), 5);
}

#[test]
fn other_rules_read_all_again() {
    let scanned = Scanned::new(Sandbox::repository(&[]));
    scanned.sandbox.write("one.txt", format!("{} other_{}", token(1), "x".repeat(9)));
    scanned.sandbox.commit("one");
    scanned.scan("first");
    let mut rules = support::engine().rules().clone();
    let other = "provider = 'o'\nname = 'O'\n[[rule]]\nid = 'other'\nname = 'n'\nseverity = 'high'\nwhy = 'w'\n\
        pattern = 'other_x{9}'\nkeywords = ['other_']\nreferences = []\nremedy = 'r'\nexamples = []\nnegatives = []\nplaceholders = false\n";
    rules.extend(custody_scan::rules::RuleSet::from_toml(other, "o.toml").expect("sound"));
    let engine = custody_scan::engine::Engine::new(rules);
    let source = HistorySource::new(scanned.sandbox.at("repo")).cache(Some(scanned.cache()));
    let outcome = source.scan(&engine, &ScanOptions::default()).expect("it opens");
    assert_eq!(outcome.findings.len(), 2);
}

#[test]
fn nothing_of_a_secret_is_in_the_cache() {
    let scanned = Scanned::new(Sandbox::repository(&[]));
    scanned.sandbox.write("dir/one.txt", token(1));
    scanned.sandbox.write(&format!("{}/two.txt", token(2)), token(3));
    scanned.sandbox.commit(&token(4));
    let outcome = scanned.scan("first");
    assert_eq!(outcome.findings.len(), 4);
    let bytes: Vec<u8> = scanned.files().iter().flat_map(|file| fs::read(file).expect("read")).collect();
    for number in 1..=4 {
        let token = token(number);
        for window in token.as_bytes()[8..].windows(6) {
            assert!(!bytes.windows(6).any(|found| found == window), "token {number}");
        }
    }
    assert!(account(&outcome, Surface::History).read > 0);
    assert!(private(&scanned.cache()));
}

#[cfg(unix)]
fn private(directory: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o077;
    mode(directory) == 0 && fs::read_dir(directory).expect("read").flatten().all(|entry| mode(&entry.path()) == 0)
}

#[cfg(not(unix))]
fn private(_: &Path) -> bool {
    true
}

#[test]
fn every_version_is_found_equal_when_it_is_searched_whole() {
    let sandbox = Sandbox::repository(&[]);
    let mut text: Vec<String> = (0..400).map(|line| format!("line {line} of the file")).collect();
    for number in 0..40 {
        text.insert((number * 7) % text.len(), token(u32::try_from(number % 5).expect("small")));
        text.remove((number * 13) % text.len());
        sandbox.write("file.txt", text.join("\n"));
        sandbox.commit("a version");
    }
    sandbox.git(&["repack", "-q", "-a", "-d", "-f", "--depth=30"]);
    let outcome = scan(&HistorySource::new(sandbox.at("repo")).verify(true));
    let versions = outcome.coverage.iter().find(|account| account.unit == "versions").expect("an account of versions");
    assert!(versions.read > 20 && !versions.is_incomplete(), "{versions:?}");
}
