//! A history is searched in the memory that is given, with the outcome of a search without bounds.

mod support;

use custody_contract::{SkipReason, Surface};
use custody_scan::history::{HistorySource, LEAST_MEMORY};
use custody_scan::source::{ScanOptions, Source as _, SourceError};
use support::{Sandbox, account, engine, places, scan, token};

/// Files of many versions, in deep and in broad families, and directories of many versions.
fn families() -> Sandbox {
    let sandbox = Sandbox::repository(&[]);
    let mut lines: Vec<String> = (0..300).map(|line| format!("line {line} of a file that has versions")).collect();
    for number in 0..60usize {
        lines.insert(
            (number * 37) % lines.len(),
            format!("{} {number}", token(u32::try_from(number % 9).expect("small"))),
        );
        lines.remove((number * 11) % lines.len());
        sandbox.write("dir/file.txt", lines.join("\n"));
        sandbox.write(&format!("dir/sub{}/other{number}.txt", number % 7), lines[number..].join("\n"));
        sandbox.commit("a version");
        if number % 20 == 10 {
            sandbox.git(&["checkout", "-q", "-b", &format!("branch{number}"), "HEAD~5"]);
        }
    }
    sandbox
}

#[test]
fn whatever_the_shares_the_outcome_is_the_same() {
    let sandbox = families();
    for depth in ["4", "50", "250"] {
        let (depth, window) = (format!("--depth={depth}"), "--window=60");
        sandbox.git(&["repack", "-q", "-a", "-d", "-f", &depth, window]);
        let source = || HistorySource::new(sandbox.at("repo"));
        let free = scan(&source());
        assert!(free.findings.len() == 9 && !free.is_incomplete());
        for (links, bases, large) in
            [(0, 0, 1 << 30), (1 << 30, 0, 1 << 30), (0, 30_000, 1 << 30), (100, 60_000, 200_000)]
        {
            let tight = scan(&source().shares(links, bases, large));
            assert_eq!(tight.findings, free.findings, "{links} {bases} {large}");
            assert_eq!(tight.coverage, free.coverage, "{links} {bases} {large}");
        }
    }
}

#[test]
fn what_is_too_large_for_the_memory_is_reported() {
    let sandbox = families();
    sandbox.write("large.txt", format!("{}\n{}", token(20), "text and more text\n".repeat(30_000)));
    sandbox.commit("large");
    sandbox.write("large.txt", format!("{}\n{}", token(21), "text and more text\n".repeat(30_001)));
    sandbox.commit("a version of it");
    sandbox.git(&["repack", "-q", "-a", "-d", "-f"]);
    let outcome = scan(&HistorySource::new(sandbox.at("repo")).shares(0, 0, 400_000));
    let skipped = &account(&outcome, Surface::History).skipped;
    assert_eq!(skipped.len(), 2, "{skipped:?}");
    assert!(skipped.iter().all(|skipped| skipped.reason == SkipReason::TooLarge { limit: 400_000 }));
    assert!(outcome.is_incomplete() && !places(&outcome, &token(1)).is_empty());
}

#[test]
fn too_little_memory_is_refused() {
    let sandbox = Sandbox::repository(&[]);
    let source = |most| HistorySource::new(sandbox.at("repo")).max_memory(Some(most));
    let result = source(LEAST_MEMORY - 1).scan(&engine(), &ScanOptions::default());
    assert!(matches!(result, Err(SourceError::Memory { least: 128, .. })));
    assert!(source(LEAST_MEMORY).scan(&engine(), &ScanOptions::default()).is_ok());
}
