//! Where packs are replaced, objects vanish or rules change, a scan reads what it must and finds what a whole one finds.

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use custody_contract::Surface;
use custody_scan::engine::Engine;
use custody_scan::history::HistorySource;
use custody_scan::rules::RuleSet;
use custody_scan::rules::cases::{CaseKind, expand};
use custody_scan::source::{Progress, ScanOptions, ScanOutcome, Source as _};
use support::{Sandbox, engine, places, token};

/// Counts the objects that are read.
#[derive(Default)]
struct Counter(AtomicU64);

impl Progress for Counter {
    fn expect(&self, _: Surface, _: u64) {}

    fn advance(&self, _: Surface, items: u64, _: u64) {
        self.0.fetch_add(items, Ordering::Relaxed);
    }
}

fn outcome(source: &HistorySource, engine: &Engine) -> (ScanOutcome, u64) {
    let counter = Counter::default();
    let outcome = source.scan(engine, &ScanOptions { threads: 2, progress: Some(&counter) }).expect("it opens");
    (outcome, counter.0.into_inner())
}

/// Scans with the cache, holds the outcome to be that of a whole scan, and gives it with the number of objects read.
fn scan(sandbox: &Sandbox, repository: &str, engine: &Engine, step: &str) -> (ScanOutcome, u64) {
    let source = || HistorySource::new(sandbox.at(repository));
    let (whole, _) = outcome(&source(), engine);
    let (cached, read) = outcome(&source().cache(Some(sandbox.at("cache"))), engine);
    assert_eq!(cached.findings, whole.findings, "{step}");
    assert_eq!(cached.coverage, whole.coverage, "{step}");
    (cached, read)
}

fn state(sandbox: &Sandbox, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.at("cache")).expect("a cache").flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// A repository with secrets in files, a message and a name, all in one pack.
fn packed() -> Sandbox {
    let sandbox = Sandbox::repository(&[]);
    for number in 1..=5 {
        sandbox.write(&format!("dir/{number}.txt"), format!("line\n{}\n", token(number)));
        sandbox.commit(&format!("adds {number} and {}", token(100 + number)));
    }
    sandbox.write(&format!("{}.txt", token(50)), "a name");
    sandbox.commit("a name");
    sandbox.git(&["gc", "-q"]);
    sandbox
}

#[test]
fn packs_that_are_replaced_are_known_by_their_objects() {
    let sandbox = packed();
    let engine = engine();
    let (_, first) = scan(&sandbox, "repo", &engine, "first");
    assert!(first > 20);
    assert_eq!(scan(&sandbox, "repo", &engine, "nothing new").1, 0);
    sandbox.git(&["repack", "-q", "-a", "-d", "-f", "--depth=2"]);
    assert_eq!(scan(&sandbox, "repo", &engine, "another pack of the same").1, 0);
    assert_eq!(scan(&sandbox, "repo", &engine, "and again").1, 0);
    sandbox.write("new.txt", token(7));
    sandbox.commit("new");
    sandbox.git(&["gc", "-q"]);
    let (outcome, read) = scan(&sandbox, "repo", &engine, "a new commit in another pack");
    assert_eq!(read, 3);
    assert!(!places(&outcome, &token(7)).is_empty());
    sandbox.write("new.txt", format!("{}\n", token(7)));
    sandbox.commit("a version");
    assert_eq!(scan(&sandbox, "repo", &engine, "loose").1, 3);
    sandbox.git(&["repack", "-q", "-a", "-d", "--no-write-bitmap-index"]);
    assert_eq!(scan(&sandbox, "repo", &engine, "no longer loose").1, 0);
}

#[test]
fn what_vanishes_is_forgotten_and_no_file_is_read_again() {
    let sandbox = packed();
    let engine = engine();
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side.txt", token(8));
    sandbox.write(&format!("{}.txt", token(51)), "another name");
    sandbox.commit(&token(9));
    sandbox.git(&["mv", "dir", "moved"]);
    sandbox.commit("moved");
    scan(&sandbox, "repo", &engine, "first");
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.git(&["branch", "-q", "-D", "side"]);
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&["gc", "-q", "--prune=now"]);
    let (outcome, read) = scan(&sandbox, "repo", &engine, "pruned");
    for gone in [8, 9, 51] {
        assert!(places(&outcome, &token(gone)).is_empty());
    }
    assert!(places(&outcome, &token(1)).iter().all(|place| place.starts_with("dir/")));
    let kinds = sandbox.git(&["cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]);
    assert_eq!(read, kinds.lines().filter(|kind| *kind != "blob").count() as u64);
    assert_eq!(scan(&sandbox, "repo", &engine, "nothing new").1, 0);
    // Of what is gone, the loose part may be all.
    sandbox.write("loose.txt", token(10));
    let before = sandbox.git(&["rev-parse", "HEAD"]);
    sandbox.commit("loose");
    scan(&sandbox, "repo", &engine, "a loose commit");
    sandbox.git(&["reset", "-q", "--hard", &before]);
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&["prune", "--expire=now"]);
    let (outcome, _) = scan(&sandbox, "repo", &engine, "the loose commit is gone");
    assert!(places(&outcome, &token(10)).is_empty());
}

#[test]
fn an_object_that_is_lost_is_missed() {
    let sandbox = packed();
    let engine = engine();
    sandbox.write("lost.txt", token(8));
    sandbox.commit("lost");
    scan(&sandbox, "repo", &engine, "first");
    let blob = sandbox.git(&["rev-parse", "HEAD:lost.txt"]);
    let path = sandbox.at("repo/.git/objects").join(&blob[..2]).join(&blob[2..]);
    fs::remove_file(path).expect("removed");
    let (outcome, _) = scan(&sandbox, "repo", &engine, "lost");
    assert!(outcome.is_incomplete() && places(&outcome, &token(8)).is_empty());
}

#[test]
fn a_clone_that_borrows_objects_reads_its_own() {
    let sandbox = packed();
    let engine = engine();
    scan(&sandbox, "repo", &engine, "first");
    let (from, to) = (sandbox.at("repo"), sandbox.at("clone"));
    let (from, to) = (from.to_str().expect("UTF-8"), to.to_str().expect("UTF-8"));
    sandbox.git_in(&sandbox.at("home"), &["clone", "-q", "--reference", from, from, to]);
    assert_eq!(scan(&sandbox, "clone", &engine, "borrows all").1, 0);
    fs::write(sandbox.at("clone/own.txt"), token(9)).expect("written");
    sandbox.git_in(&sandbox.at("clone"), &["add", "-A"]);
    sandbox.git_in(&sandbox.at("clone"), &["commit", "-q", "-m", "own"]);
    let (outcome, read) = scan(&sandbox, "clone", &engine, "one of its own");
    assert_eq!(read, 3);
    assert!(!places(&outcome, &token(9)).is_empty());
    sandbox.git_in(&sandbox.at("clone"), &["repack", "-q", "-a", "-d"]);
    fs::remove_file(sandbox.at("clone/.git/objects/info/alternates")).expect("removed");
    assert_eq!(scan(&sandbox, "clone", &engine, "it has all itself now").1, 0);
}

#[test]
fn what_is_thinned_and_filled_up_is_read_once() {
    let origin = packed();
    let engine = engine();
    let (from, to) = (origin.at("repo"), origin.at("clone"));
    let (from, to) = (from.to_str().expect("UTF-8"), to.to_str().expect("UTF-8"));
    origin.git_in(&origin.at("home"), &["clone", "-q", "--no-local", from, to]);
    scan(&origin, "clone", &engine, "first");
    let long: String = (0..200).map(|line| format!("line {line}\n")).collect();
    origin.write("long.txt", &long);
    origin.commit("long");
    origin.git_in(&origin.at("clone"), &["-c", "fetch.unpackLimit=1", "fetch", "-q"]);
    assert_eq!(scan(&origin, "clone", &engine, "fetched").1, 3);
    origin.write("long.txt", long + &token(9));
    origin.commit("longer");
    origin.git_in(&origin.at("clone"), &["-c", "fetch.unpackLimit=1", "fetch", "-q"]);
    let (outcome, read) = scan(&origin, "clone", &engine, "a version in a pack of its own, with its base");
    assert_eq!(read, 3);
    assert!(!places(&outcome, &token(9)).is_empty());
}

/// Files that many built-in rules have something to say of, alone and together, plain and encoded.
fn interplay(sandbox: &Sandbox) {
    let rules = RuleSet::builtin();
    let mut all = Vec::new();
    for (number, rule) in rules.iter().enumerate().filter(|(number, rule)| number % 9 == 0 || rule.generic) {
        let Ok(text) = expand(&rule.id, CaseKind::Example, 0, &rule.examples[0]) else { continue };
        if number % 4 == 0 {
            all.push(data_encoding::BASE64.encode(format!("password = \"{text}\" {text}").as_bytes()));
        }
        if number % 6 == 0 {
            all.push(format!("# custody:allow-next-line {} it is a test", rule.id));
        }
        all.push(format!("password = \"{}\"", text.trim()));
        all.push(text);
    }
    for (number, chunk) in all.chunks(7).enumerate() {
        sandbox.write(&format!("file{number}.txt"), chunk.join("\n"));
    }
    sandbox.commit("files");
    let wide: Vec<u8> = all[..20].join("\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    sandbox.write("wide.txt", [&b"\xff\xfe"[..], &wide].concat());
    sandbox.write("large.txt", format!("{}{}", all.join("\n"), "\n".repeat(17 << 20)));
    let name: String = all[1].chars().filter(|c| c.is_ascii_alphanumeric() || "-_=".contains(*c)).take(80).collect();
    sandbox.write(&format!("dir/{name}/{}.txt", token(50)), "named");
    sandbox.commit(&all[3..9].join("\n"));
    sandbox.git(&["tag", "-a", "v1", "-m", &all[10..14].join("\n")]);
    for (number, chunk) in all.chunks(5).enumerate() {
        sandbox.write(&format!("file{number}.txt"), chunk.join(";"));
    }
    sandbox.commit("versions");
    sandbox.git(&["gc", "-q"]);
}

#[test]
fn other_rules_find_what_they_find_in_a_whole_scan() {
    let sandbox = Sandbox::repository(&[]);
    interplay(&sandbox);
    let mut all = RuleSet::builtin();
    all.extend(engine().rules().clone());
    let found = |outcome: &ScanOutcome| outcome.findings.iter().map(|f| f.rule.to_string()).collect::<Vec<_>>();
    let (outcome, _) = scan(&sandbox, "repo", &Engine::new(all.clone()), "all");
    let winners = found(&outcome);
    assert!(winners.len() > 40, "{winners:?}");
    let generic: Vec<String> = all.iter().filter(|rule| rule.generic).map(|rule| rule.id.to_string()).collect();
    let every = |nth: usize, of: usize| -> Vec<String> {
        winners.iter().enumerate().filter(|(at, _)| at % of == nth).map(|(_, id)| id.clone()).collect()
    };
    let steps = [
        generic.clone(),
        Vec::new(),
        every(0, 3),
        every(1, 3),
        every(2, 2),
        [generic, every(0, 5)].concat(),
        winners.clone(),
        vec!["test-token".to_owned()],
        all.iter().map(|rule| rule.id.to_string()).filter(|id| !winners.contains(id)).collect(),
    ];
    for (number, without) in steps.iter().enumerate() {
        // What is remembered are the sets of the steps before.
        let engine = Engine::new(all.clone().without(without));
        scan(&sandbox, "repo", &engine, &format!("step {number}"));
        sandbox.write("note.txt", format!("{number}"));
        sandbox.commit(&format!("after step {number}"));
    }
}

#[test]
fn a_rule_that_finds_nothing_new_searches_no_file_twice() {
    let sandbox = packed();
    let mut rules = engine().rules().clone();
    scan(&sandbox, "repo", &Engine::new(rules.clone()), "first");
    let other = |pattern: &str| {
        let text = format!(
            "provider = 'o'\nname = 'O'\n[[rule]]\nid = 'other'\nname = 'n'\nseverity = 'high'\nwhy = 'w'\n\
            pattern = '{pattern}'\nkeywords = ['line']\nreferences = []\nremedy = 'r'\nexamples = []\nnegatives = []\nplaceholders = false\nconfidence = 99\n"
        );
        RuleSet::from_toml(&text, "o.toml").expect("sound")
    };
    rules.extend(other("line[0-9]{9}"));
    let (outcome, _) = scan(&sandbox, "repo", &Engine::new(rules.clone()), "one more");
    assert!(outcome.findings.iter().all(|finding| &*finding.rule != "other"));
    rules.extend(other("line(?s:.)custest_[A-Za-z0-9]{36}"));
    let (outcome, _) = scan(&sandbox, "repo", &Engine::new(rules.clone()), "it overlaps now");
    assert!(outcome.findings.iter().any(|finding| &*finding.rule == "other"));
    scan(&sandbox, "repo", &Engine::new(rules.without(&["other"])), "it is gone");
    assert!(state(&sandbox, ".state").len() <= 4);
}

#[test]
fn ids_that_are_lost_or_damaged_cost_a_whole_scan_and_no_more() {
    let sandbox = packed();
    let engine = engine();
    scan(&sandbox, "repo", &engine, "first");
    type Damage = fn(Vec<u8>) -> Option<Vec<u8>>;
    let damages: [Damage; 3] = [
        |_| None,
        |bytes| Some(bytes[..bytes.len() / 2].to_vec()),
        |mut bytes| {
            bytes[40] ^= 1;
            Some(bytes)
        },
    ];
    for (depth, damage) in damages.into_iter().enumerate() {
        let files = state(&sandbox, ".ids");
        for file in files {
            match damage(fs::read(&file).expect("read")) {
                Some(bytes) => fs::write(&file, bytes).expect("written"),
                None => fs::remove_file(&file).expect("removed"),
            }
        }
        assert_eq!(scan(&sandbox, "repo", &engine, "they are not needed").1, 0);
        sandbox.git(&["repack", "-q", "-a", "-d", "-f", &format!("--depth={}", depth + 2)]);
        assert!(scan(&sandbox, "repo", &engine, "they are needed").1 > 20);
        sandbox.git(&["repack", "-q", "-a", "-d", "-f", &format!("--depth={}", depth + 20)]);
        assert_eq!(scan(&sandbox, "repo", &engine, "they are there again").1, 0);
    }
}
