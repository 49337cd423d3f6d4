//! Random histories: what is said of reachability is what git says, whole or from a cache, whatever happens to refs.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use custody_contract::ReachedFrom;
use custody_scan::history::HistorySource;
use custody_scan::source::ScanOutcome;
use support::{Sandbox, scan, token};

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

const PATHS: [&str; 6] = ["a.txt", "b.txt", "dir/a.txt", "dir/deep/c.txt", "dir/deep/d.txt", "other/e.txt"];
const BRANCHES: [&str; 4] = ["one", "two", "three", "topic/four"];

fn step(sandbox: &Sandbox, numbers: &mut Numbers, clock: u32) {
    let path = PATHS[numbers.below(6) as usize];
    let branch = BRANCHES[numbers.below(4) as usize];
    let try_git = |arguments: &[&str]| {
        let mut command = sandbox.command(&sandbox.at("repo"), arguments);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_DATE"), format!("{} +0000", 1_600_000_000 + clock * 1_000));
        }
        command.output().expect("git runs").status.success()
    };
    let commit = |message: &str| {
        try_git(&["add", "-A", "-f"]);
        try_git(&["commit", "-q", "--allow-empty", "-m", message])
    };
    match numbers.below(16) {
        0..=3 => {
            sandbox.write(path, format!("{}\n", token(numbers.below(8))));
            commit("writes");
        }
        4 | 5 => {
            let _ = fs::remove_file(sandbox.at("repo").join(path));
            commit("removes");
        }
        6 => {
            sandbox.write(path, format!("clean {clock}\n"));
            commit(&format!("message {}", token(20 + numbers.below(4))));
        }
        7 | 8 => {
            if !try_git(&["checkout", "-q", branch]) {
                try_git(&["checkout", "-q", "-b", branch]);
            }
        }
        9 => {
            if !try_git(&["merge", "-q", "--no-edit", "-X", "ours", branch]) {
                commit("settled");
            }
        }
        10 => {
            try_git(&["branch", "-q", "-D", branch]);
        }
        11 => {
            try_git(&["reset", "-q", "--hard", "HEAD~2"]);
        }
        12 => {
            try_git(&["tag", "-f", "-a", &format!("tag-{}", numbers.below(3)), "-m", &token(30 + numbers.below(3))]);
        }
        13 => {
            sandbox.write(path, format!("{}\n", token(8 + numbers.below(3))));
            try_git(&["stash", "-q", "-u"]);
        }
        14 => {
            let reference = ["refs/pull/1/head", "refs/remotes/origin/x", "refs/custom/y"][numbers.below(3) as usize];
            try_git(&["update-ref", reference, "HEAD"]);
        }
        _ => {
            try_git(&["checkout", "-q", "--detach"]);
        }
    }
    if numbers.below(8) == 0 {
        try_git(&["checkout", "-q", "--orphan", &format!("orphan-{clock}")]);
        commit("orphan");
    }
    match numbers.below(24) {
        0 => drop(try_git(&["pack-refs", "--all"])),
        1 => drop(try_git(&["gc", "-q"])),
        2 => drop(try_git(&["reflog", "expire", "--expire=now", "--all"])),
        _ => {}
    }
}

/// What git says.
struct Oracle {
    /// What can be reached in each way, the strongest first, as ids of objects.
    ways: Vec<(ReachedFrom, BTreeSet<String>)>,
    /// Branches by the objects, with their paths, that their tips have.
    tips: BTreeMap<(String, String), BTreeSet<String>>,
    /// Tips themselves.
    commits: BTreeMap<String, BTreeSet<String>>,
}

impl Oracle {
    fn ask(sandbox: &Sandbox) -> Oracle {
        let refs = sandbox.git(&["for-each-ref", "--format=%(refname)"]);
        let mut branches: Vec<String> = Vec::new();
        let mut by_way: BTreeMap<ReachedFrom, Vec<String>> = BTreeMap::new();
        for name in refs.lines() {
            let way = match name {
                "refs/stash" => ReachedFrom::Stash,
                _ if name.starts_with("refs/heads/") || name.starts_with("refs/remotes/") => ReachedFrom::BranchHistory,
                _ if name.starts_with("refs/tags/") => ReachedFrom::Tag,
                _ if name.starts_with("refs/pull/") => ReachedFrom::PullRequest,
                _ => ReachedFrom::OtherRef,
            };
            if way == ReachedFrom::BranchHistory {
                branches.push(name.to_owned());
            }
            by_way.entry(way).or_default().push(name.to_owned());
        }
        let is_detached = !sandbox
            .command(&sandbox.at("repo"), &["symbolic-ref", "-q", "HEAD"])
            .output()
            .expect("git runs")
            .status
            .success();
        if is_detached {
            branches.push("HEAD".to_owned());
            by_way.entry(ReachedFrom::BranchHistory).or_default().push("HEAD".to_owned());
        }
        let has_stash = refs.lines().any(|name| name == "refs/stash");
        let arguments: &[&str] = if has_stash { &["reflog", "--format=%H", "refs/stash"] } else { &["version"] };
        let stashes = sandbox.git(arguments);
        by_way
            .entry(ReachedFrom::Stash)
            .or_default()
            .extend(stashes.lines().filter(|line| line.len() == 40).map(str::to_owned));
        by_way.entry(ReachedFrom::Reflog).or_default().push("--reflog".to_owned());
        let mut ways = Vec::new();
        for (way, names) in by_way {
            let mut arguments = vec!["rev-list", "--objects"];
            arguments.extend(names.iter().map(String::as_str));
            if names.is_empty() {
                continue;
            }
            let listed = sandbox.git(&arguments);
            let objects = listed.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned());
            ways.push((way, objects.collect()));
        }
        let mut tips: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut commits: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for branch in branches {
            let short = branch.trim_start_matches("refs/heads/").trim_start_matches("refs/remotes/").to_owned();
            commits.entry(sandbox.git(&["rev-parse", &branch])).or_default().insert(short.clone());
            for line in sandbox.git(&["ls-tree", "-r", &branch]).lines() {
                let (head, path) = line.split_once('\t').expect("a path");
                let object = head.rsplit(' ').next().expect("an id");
                tips.entry((object.to_owned(), path.to_owned())).or_default().insert(short.clone());
            }
        }
        Oracle { ways, tips, commits }
    }

    /// Holds what is said of each occurrence to what git says.
    fn check(&self, sandbox: &Sandbox, outcome: &ScanOutcome, step: &str) {
        let mut checked = 0;
        for occurrence in outcome.findings.iter().flat_map(|finding| &finding.occurrences) {
            let Some(object) = &occurrence.object else { continue };
            let reach =
                occurrence.reach.as_deref().unwrap_or_else(|| panic!("{step}: nothing is said of {occurrence:?}"));
            let at = (object.clone(), occurrence.path.clone());
            let is_text = occurrence.commit.as_ref() == Some(object);
            let tips = if is_text { self.commits.get(object) } else { self.tips.get(&at) };
            let expected = self.expected(sandbox, occurrence.path.as_str(), object, is_text);
            match tips {
                Some(tips) => {
                    assert_eq!(reach.from, ReachedFrom::BranchTip, "{step}: {occurrence:?}, {tips:?}");
                    assert_eq!(reach.branches as usize, tips.len(), "{step}: {occurrence:?}, {tips:?}");
                    assert_eq!(reach.refs.len(), tips.len().min(3));
                    assert!(reach.refs.iter().all(|name| tips.contains(name)), "{step}: {occurrence:?}, {tips:?}");
                }
                None => assert_eq!(reach.from, expected, "{step}: {occurrence:?}"),
            }
            checked += 1;
        }
        assert!(checked > 0 || step.starts_with("step 0"), "{step}");
    }

    /// The strongest way in which git reaches an object, at a path where that matters.
    fn expected(&self, sandbox: &Sandbox, path: &str, object: &str, is_text: bool) -> ReachedFrom {
        for (way, objects) in &self.ways {
            let is_found = if is_text || path.starts_with("object ") || path.starts_with("tag ") {
                objects.contains(object)
            } else {
                // A commit that has the object at this path.
                objects.iter().any(|id| {
                    sandbox
                        .command(
                            &sandbox.at("repo"),
                            &["rev-parse", "-q", "--verify", &format!("{id}^{{commit}}:{path}")],
                        )
                        .output()
                        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == object)
                })
            };
            if is_found {
                return *way;
            }
        }
        ReachedFrom::Unreachable
    }
}

fn play(seed: u64) {
    let sandbox = Sandbox::repository(&[]);
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let cache = sandbox.at("cache");
    for round in 0..5 {
        for at in 0..6 {
            step(&sandbox, &mut numbers, round * 6 + at + 1);
        }
        // What is staged is told apart in a test of its own.
        sandbox.git(&["reset", "-q", "--hard"]);
        let whole = scan(&HistorySource::new(sandbox.at("repo")));
        let cached = scan(&HistorySource::new(sandbox.at("repo")).cache(Some(cache.clone())));
        let told = format!("step {round} of {seed}");
        assert_eq!(cached.findings, whole.findings, "{told}");
        Oracle::ask(&sandbox).check(&sandbox, &whole, &told);
    }
}

#[test]
fn random_histories_are_told_as_git_tells_them() {
    let threads = [1, 2, 3, 4, 5, 6].map(|seed| std::thread::spawn(move || play(seed)));
    for thread in threads {
        thread.join().expect("as git says");
    }
}
