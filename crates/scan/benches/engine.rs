//! How fast the engine is on source text: `cargo bench -p custody-scan --bench engine -- [--list] [DIR…]`.
//!
//! Reads every file below the directories (by default those of the crates that cargo has unpacked) into memory first,
//! then searches them in one thread, five times over, and prints the best, in CPU time where the system tells it. `--list` also prints where matches are, by
//! rule, path and offset: what a generic rule says about ordinary source is a false alarm until shown otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use std::{env, fs};

use custody_contract::Surface;
use custody_scan::engine::{Engine, Input, Scratch};

/// Most bytes that are loaded.
const LOAD: usize = 600 << 20;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|a| a != "--bench").collect();
    let list = arguments.iter().any(|a| a == "--list");
    let mut roots: Vec<PathBuf> = arguments.iter().filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    if roots.is_empty() {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
        roots.extend(home.map(|h| h.join("registry/src")));
    }
    let mut files = Vec::new();
    roots.iter().for_each(|root| load(root, &mut files));
    let bytes: usize = files.iter().map(|(_, b)| b.len()).sum();

    let start = Instant::now();
    let engine = Engine::builtin();
    let built = start.elapsed();
    println!("{} rules, engine built in {built:?}; {} files, {:.1} MB", engine.rules().len(), files.len(), mega(bytes));

    let mut scratch = Scratch::default();
    let mut matches = Vec::new();
    let mut best = Duration::MAX;
    for round in 0..5 {
        let start = spent();
        let mut found = 0;
        for (path, content) in &files {
            matches.clear();
            engine.scan(&mut scratch, &Input::new(content, path.to_str(), Surface::WorkingTree), &mut matches);
            found += matches.len();
        }
        let elapsed = spent() - start;
        best = best.min(elapsed);
        println!("round {round}: {elapsed:?}, {:.0} MB/s, {found} matches", mega(bytes) / elapsed.as_secs_f64());
    }
    println!("best: {:.0} MB/s", mega(bytes) / best.as_secs_f64());
    if list {
        print_matches(&engine, &files);
    }
}

/// CPU time of this thread, or time since some moment where the system does not tell.
fn spent() -> Duration {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let cpu = fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map(Duration::from_nanos);
    cpu.unwrap_or_else(|| ORIGIN.elapsed())
}

fn print_matches(engine: &Engine, files: &[(PathBuf, Vec<u8>)]) {
    let mut by_rule: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut scratch, mut matches) = (Scratch::default(), Vec::new());
    for (path, content) in files {
        matches.clear();
        engine.scan(&mut scratch, &Input::new(content, path.to_str(), Surface::WorkingTree), &mut matches);
        for m in &matches {
            let rule = engine.rules().rule(m.rule);
            *by_rule.entry(&rule.id).or_default() += 1;
            println!("{}\t{}\t{}\t{}", rule.id, m.confidence.score, path.display(), m.start);
        }
    }
    by_rule.iter().for_each(|(rule, count)| println!("{count}\t{rule}"));
}

fn load(path: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let Ok(kind) = fs::symlink_metadata(path) else { return };
    if kind.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect();
        entries.sort();
        entries.iter().for_each(|entry| load(entry, files));
    } else if kind.is_file()
        && files.iter().map(|(_, b)| b.len()).sum::<usize>() < LOAD
        && let Ok(content) = fs::read(path)
    {
        files.push((path.to_owned(), content));
    }
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
