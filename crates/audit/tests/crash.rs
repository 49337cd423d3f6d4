//! Writers that are killed, disks that fill up: no acknowledged record is lost, and nothing torn stays.
//!
//! `scripts/audit-crash` runs these with a hundred rounds.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::event;
use custody_audit::verify::{Trust, Verdict, VerifyReport, verify};
use custody_audit::{AuditLog, DirectoryKeys, Durability, Filter, Options, Text, query};

const DIRECTORY: &str = "CUSTODY_AUDIT_TEST_DIRECTORY";
const ROUNDS: &str = "CUSTODY_AUDIT_CRASH_ROUNDS";

fn open(place: &Path) -> AuditLog {
    let options = Options { max_file_bytes: 100_000, checkpoint_every: 50, ..Options::default() };
    AuditLog::open(&place.join("audit"), DirectoryKeys::new(&place.join("keys")), options).expect("opens")
}

/// Not a test: what the killed processes do. Says `ack SEQUENCE HASH` for each receipt, `error …` and ends at the first
/// failure.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn writer_process() {
    let Some(place) = std::env::var_os(DIRECTORY) else { return };
    let log = open(Path::new(&place));
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
    };
    std::thread::scope(|scope| {
        for thread in 0..3_u32 {
            let (log, say) = (&log, &say);
            scope.spawn(move || {
                for round in 1_u32.. {
                    let durability = if thread == 0 { Durability::Group } else { Durability::Buffered };
                    let written = match thread {
                        0 if round.is_multiple_of(6) => log.rotate_key(Text::new("test")).map(|_| None),
                        _ => log.record_as(&event(), durability).map(Some),
                    };
                    match written {
                        Ok(Some(receipt)) => say(format!("ack {} {}\n", receipt.sequence(), receipt.hash())),
                        Ok(None) => {}
                        Err(error) => return say(format!("error {error}\n")),
                    }
                }
            });
        }
    });
}

struct WriterProcess {
    child: Child,
    listener: std::thread::JoinHandle<(BTreeMap<u64, String>, Vec<String>)>,
}

impl WriterProcess {
    fn start(place: &Path, wrapper: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this test");
        let mut command = match wrapper {
            [] => Command::new(&program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&program);
                command
            }
        };
        command.args(["--exact", "writer_process", "--ignored", "--nocapture", "--test-threads=1"]);
        let mut child =
            command.env(DIRECTORY, place).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let listener = std::thread::spawn(move || {
            let (mut acknowledged, mut errors) = (BTreeMap::new(), Vec::new());
            for line in out.lines().map_while(Result::ok) {
                let words: Vec<&str> = line.split(' ').collect();
                match words[..] {
                    // A line that was cut short by the kill has a hash that was cut short.
                    ["ack", sequence, hash] if hash.len() == 64 => {
                        acknowledged.insert(sequence.parse().expect("a number"), hash.to_owned());
                    }
                    ["error", ..] => errors.push(line.clone()),
                    _ => {}
                }
            }
            (acknowledged, errors)
        });
        WriterProcess { child, listener }
    }

    fn wait(mut self) -> (BTreeMap<u64, String>, Vec<String>) {
        self.child.wait().expect("ends");
        self.listener.join().expect("listens")
    }

    fn kill(mut self) -> BTreeMap<u64, String> {
        self.child.kill().expect("killed");
        let (acknowledged, errors) = self.wait();
        assert_eq!(errors, [""; 0]);
        acknowledged
    }
}

fn verified(place: &Path) -> VerifyReport {
    let trust = Trust::default().with_keys(DirectoryKeys::new(&place.join("keys")));
    let report = verify(&place.join("audit"), &trust).expect("can be read");
    assert_eq!(report.verdict, Verdict::Intact, "{:#?}", report.problems);
    report
}

/// Takes from `acknowledged` what stands in the log.
fn find_all(place: &Path, acknowledged: &mut BTreeMap<u64, String>) {
    let summary = query(&place.join("audit"), &Filter::default(), |hit| {
        if acknowledged.get(&hit.sequence).is_some_and(|hash| *hash == hit.hash.to_string()) {
            acknowledged.remove(&hit.sequence);
        }
        ControlFlow::Continue(())
    });
    let summary = summary.expect("can be read");
    assert!(summary.is_complete(), "{:?}", summary.damaged);
}

/// SplitMix64: the moments of the kills.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn writers_that_are_killed_lose_no_acknowledged_record() {
    let rounds: u64 = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let place = tempfile::tempdir().expect("directory");
    let mut state = std::process::id().into();
    let (mut total, mut longest) = (0, Duration::ZERO);
    for round in 0..rounds {
        // In the first round the making of the log is interrupted too.
        let writers: Vec<_> = (0..4).map(|_| WriterProcess::start(place.path(), &[])).collect();
        let mut acknowledged = BTreeMap::new();
        for writer in writers {
            std::thread::sleep(Duration::from_micros(random(&mut state) % 60_000));
            acknowledged.append(&mut writer.kill());
        }
        let killed = Instant::now();
        let receipt = open(place.path()).record_as(&event(), Durability::Group).expect("the next writer goes on");
        longest = longest.max(killed.elapsed());
        verified(place.path());
        let count = acknowledged.len();
        total += count;
        find_all(place.path(), &mut acknowledged);
        assert!(acknowledged.is_empty(), "round {round}: {} of {count} acknowledged records lost", acknowledged.len());
        assert!(receipt.sequence() > 0);
    }
    let report = verified(place.path());
    let notes = |what: &str| report.notes.iter().filter(|note| note.what.contains(what)).count();
    println!(
        "{rounds} rounds of kill -9 over 4 processes with 3 threads: {total} acknowledged records, 0 lost; {} records, \
         {} files, {} torn tails cut off, {} unsigned tails taken over, {} changes of key; next record after at most {} ms",
        report.records,
        report.files.len(),
        notes("cut off"),
        notes("taken over"),
        notes("signs"),
        longest.as_millis()
    );
}

/// Runs writers until the disk says no; then nothing acknowledged is missing, and nothing torn is there.
fn fill(place: &Path, wrapper: &[&str], expected: &str) {
    let (mut acknowledged, errors) = WriterProcess::start(place, wrapper).wait();
    assert!(errors.iter().any(|error| error.contains(expected)), "{errors:?}");
    assert!(acknowledged.len() > 3, "{errors:?}");
    let count = acknowledged.len();
    verified(place);
    find_all(place, &mut acknowledged);
    assert!(acknowledged.is_empty(), "{} of {count} lost", acknowledged.len());
    println!("{expected}: {count} acknowledged records, 0 lost");
}

#[test]
fn a_file_that_may_not_grow_gives_an_error_and_loses_nothing() {
    let place = tempfile::tempdir().expect("directory");
    let script = "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\"";
    fill(place.path(), &["bash", "-c", script], "File too large");
    open(place.path()).record_as(&event(), Durability::Group).expect("without the limit it goes on");
    verified(place.path());
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "mounts a small file system: needs root; scripts/audit-crash runs it"]
fn a_full_file_system_gives_an_error_and_loses_nothing() {
    let place = tempfile::tempdir().expect("directory");
    let mount = |arguments: &[&str]| Command::new(arguments[0]).args(&arguments[1..]).arg(place.path()).status();
    let mounted = mount(&["mount", "-t", "tmpfs", "-o", "size=200k", "custody-audit-test"]).expect("mount runs");
    assert!(mounted.success(), "needs root");
    let result = std::panic::catch_unwind(|| {
        fill(place.path(), &[], "No space left");
        std::fs::remove_file(place.path().join("ballast")).unwrap_or(());
    });
    assert!(mount(&["umount"]).expect("umount runs").success());
    result.expect("as told above");
}
