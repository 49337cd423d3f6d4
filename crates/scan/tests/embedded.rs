//! Strings in UTF-16 inside of files that are something else.

mod support;

use custody_contract::{Fingerprint, Occurrence, Surface};
use custody_scan::history::HistorySource;
use custody_scan::source::{ScanOutcome, TreeSource};
use support::{Sandbox, account, scan, token};

fn wide(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

/// A program that holds a string: its bytes, and where the string starts.
fn program(string: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00".to_vec();
    bytes.extend((0..900u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()));
    bytes.extend_from_slice(&[0xff, 0, 0]);
    let start = bytes.len();
    bytes.extend_from_slice(string);
    bytes.extend_from_slice(&[0, 0, 0xff]);
    (bytes, start)
}

fn found(outcome: &ScanOutcome, number: u32) -> Vec<&Occurrence> {
    let fingerprint = Fingerprint::of(token(number).as_bytes());
    let finding = outcome.findings.iter().find(|finding| finding.fingerprint == fingerprint);
    finding.map_or_else(Vec::new, |finding| finding.occurrences.iter().collect())
}

#[test]
fn strings_in_programs_are_found_in_trees_and_histories() {
    let sandbox = Sandbox::repository(&[]);
    let (little, at) = program(&wide(&format!("key={}", token(1)), u16::to_le_bytes));
    let (big, big_at) = program(&wide(&format!("key={}", token(2)), u16::to_be_bytes));
    sandbox.write("little.exe", &little);
    sandbox.write("big.dll", &big);
    let text = [format!("plain {}\n", token(3)).into_bytes(), wide(&format!("wide\n {}", token(4)), u16::to_le_bytes)];
    sandbox.write("mixed.txt", text.concat());
    sandbox.commit("programs");
    sandbox.git(&["gc", "-q"]);
    for outcome in [scan(&TreeSource::new(sandbox.at("repo"))), scan(&HistorySource::new(sandbox.at("repo")))] {
        let place = |number: u32| {
            let found = found(&outcome, number);
            assert_eq!(found.len(), 1, "token {number}");
            (found[0].offset, found[0].encoding.join(" "))
        };
        assert_eq!(place(1), (at as u64 + 8, "utf-16le".to_owned()));
        // Between zeros both readings are the same string, one byte apart.
        assert!(place(2).0.abs_diff(big_at as u64 + 8) <= 1);
        assert_eq!(place(3), (6, String::new()));
        assert_eq!(place(4), (51 + 2 * 6, "utf-16le".to_owned()));
        let mixed = found(&outcome, 4);
        assert_eq!((mixed[0].line, mixed[0].column, mixed[0].end_column), (3, 2, 46));
    }
}

#[test]
fn versions_of_a_program_are_searched_alike_by_their_changes() {
    let sandbox = Sandbox::repository(&[]);
    let (mut bytes, at) = program(&wide(&format!("key={}", token(1)), u16::to_le_bytes));
    for version in 0..30u8 {
        // Before, within and behind the string.
        let change = [40, at + 2, bytes.len() - 2, 2_000][usize::from(version % 4)];
        bytes[change] ^= version + 1;
        bytes.splice(60..60, [version, 0xfe, 1]);
        sandbox.write("program.exe", &bytes);
        sandbox.commit("version");
    }
    sandbox.git(&["repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=50"]);
    let outcome = scan(&HistorySource::new(sandbox.at("repo")).verify(true));
    let versions = outcome.coverage.iter().find(|account| account.unit == "versions").expect("the account");
    assert!(versions.read > 10 && versions.skipped_total == 0, "{versions:?}");
    assert_eq!(found(&outcome, 1).len(), 30);
    assert!(account(&outcome, Surface::History).read > 60);
}

#[test]
fn strings_at_the_edges_of_windows_are_found_once() {
    let sandbox = Sandbox::new();
    for (number, at) in (0..).zip([(4 << 20) - 60, (4 << 20) - 9_000, (4 << 20) + 1, (5 << 20) + 1]) {
        let mut bytes = vec![0xee; 6 << 20];
        let string = wide(&format!(" {} ", token(number)), u16::to_le_bytes);
        bytes.splice(at..at + string.len(), string);
        sandbox.write(&format!("{number}.bin"), bytes);
    }
    let outcome = scan(&TreeSource::new(sandbox.at("repo")));
    for (number, at) in (0..).zip([(4 << 20) - 60, (4 << 20) - 9_000, (4 << 20) + 1, (5 << 20) + 1]) {
        let offsets: Vec<u64> = found(&outcome, number).iter().map(|found| found.offset).collect();
        assert_eq!(offsets, [at as u64 + 2], "token {number}");
    }
}
