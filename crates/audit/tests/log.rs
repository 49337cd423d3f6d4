//! What a writer promises: receipts, files, clocks, keys, repairs, refusals.

mod common;

use std::fs;
use std::io::ErrorKind;
use std::sync::atomic::Ordering;

use common::{Fixture, event, kinds, record_starts};
use custody_audit::verify::{ProblemKind, Trust, Verdict};
use custody_audit::{AuditError, AuditLog, Durability, Pruning, Text};

#[test]
fn records_are_numbered_chained_and_spread_over_files_without_a_gap() {
    let fixture = Fixture::with_events(60);
    let report = fixture.assert_intact();
    assert_eq!(report.events, 60);
    assert!(report.files.len() > 3, "{:?}", report.files);
    for pair in report.files.windows(2) {
        assert_eq!(pair[0].last + 1, pair[1].first);
    }
    assert!(report.signatures > 10);
    assert_eq!(report.head.expect("a head").sequence, report.records);
}

#[test]
fn another_process_goes_on_where_the_first_one_stopped() {
    let fixture = Fixture::with_events(3);
    let (one, other) = (fixture.open(), fixture.open());
    for _ in 0..10 {
        let first = fixture.record(&one).expect("recorded").sequence();
        let second = fixture.record(&other).expect("recorded").sequence();
        assert!(second > first);
    }
    assert_eq!(fixture.assert_intact().events, 23);
}

#[test]
fn many_threads_share_flushes() {
    let fixture = Fixture::new();
    let log = fixture.open();
    fixture.record(&log).expect("recorded");
    let before = fixture.disk.syncs.load(Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..20 {
                    log.record_as(&event(), Durability::Group).expect("recorded");
                }
            });
        }
    });
    assert!(fixture.disk.syncs.load(Ordering::SeqCst) - before <= 320 + 60);
    assert_eq!(fixture.assert_intact().events, 321);
}

#[test]
fn a_full_disk_gives_no_receipt_and_leaves_nothing_behind() {
    let fixture = Fixture::with_events(3);
    let log = fixture.open();
    for written in [0, 1, 79, 80, 200] {
        *fixture.disk.append_failure.lock().expect("lock") = Some((written, ErrorKind::StorageFull));
        let error = fixture.record(&log).expect_err("the disk is full");
        assert!(matches!(error, AuditError::Io { kind: ErrorKind::StorageFull, .. }), "{error}");
        assert!(error.fix().contains("free space"));
        fixture.assert_intact();
    }
    fixture.record(&log).expect("there is space again");
    assert_eq!(fixture.assert_intact().events, 4);
}

#[test]
fn a_disk_that_cannot_flush_stops_every_writer_until_it_is_repaired() {
    let fixture = Fixture::with_events(3);
    let log = fixture.open();
    *fixture.disk.sync_failure.lock().expect("lock") = Some(ErrorKind::Other);
    assert!(matches!(fixture.record(&log), Err(AuditError::Io { action: "flush", .. })));
    assert!(matches!(fixture.record(&log), Err(AuditError::SyncFailed { .. })));
    let other = fixture.open();
    assert!(matches!(fixture.record(&other), Err(AuditError::SyncFailed { .. })));
    assert_eq!(kinds(&fixture.verify()), [ProblemKind::SyncFailed]);
    other.repair().expect("the disk works again");
    fixture.record(&other).expect("recorded");
    fixture.assert_intact();
}

#[test]
fn a_torn_tail_is_cut_off_kept_and_recorded() {
    let fixture = Fixture::with_events(3);
    let path = fixture.newest();
    let whole = fs::read(&path).expect("read");
    let log = fixture.open();
    // What a writer that dies in the middle of a write leaves: a record that the head does not know, cut anywhere.
    let next = {
        let scratch = Fixture::with_events(1);
        let bytes = fs::read(scratch.newest()).expect("read");
        let starts = record_starts(&bytes);
        bytes[starts[1]..starts[2]].to_vec()
    };
    for (round, cut) in [1, 79, 80, 150, next.len() - 1].into_iter().enumerate() {
        let mut torn = fs::read(&path).expect("read");
        torn.extend_from_slice(&next[..cut]);
        fs::write(&path, &torn).expect("written");
        let report = fixture.verify();
        assert_eq!(report.verdict, Verdict::Intact, "cut at {cut}: {:?}", report.problems);
        fixture.record(&log).expect("recorded");
        let report = fixture.assert_intact();
        let repairs = report.notes.iter().filter(|note| note.what.contains("cut off (torn)")).count();
        assert_eq!(repairs, round + 1, "cut at {cut}: {:?}", report.notes);
    }
    let kept = fs::read_dir(fixture.directory()).expect("directory").filter_map(Result::ok);
    let kept: Vec<_> = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("torn-")).collect();
    assert_eq!(kept.len(), 5);
    assert!(fs::read(&path).expect("read").starts_with(&whole));
}

#[test]
fn records_that_a_writer_left_unsigned_are_taken_over_and_that_is_recorded() {
    let fixture = Fixture::with_events(3);
    let head = fs::read(fixture.directory().join("head")).expect("read");
    let log = fixture.open();
    log.record_as(&event(), Durability::Buffered).expect("recorded");
    fs::write(fixture.directory().join("head"), head).expect("as if the writer had died before");
    let report = fixture.verify();
    assert!(report.notes.iter().any(|note| note.what.contains("a writer died")), "{:?}", report.notes);
    fixture.record(&fixture.open()).expect("recorded");
    let report = fixture.assert_intact();
    assert_eq!(report.events, 5);
    assert!(report.notes.iter().any(|note| note.what.contains("taken over")), "{:?}", report.notes);
}

#[test]
fn a_record_that_is_complete_but_altered_is_never_repaired() {
    let fixture = Fixture::with_events(3);
    let path = fixture.newest();
    let mut bytes = fs::read(&path).expect("read");
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).expect("written");
    // The hash is as it was, so the head's quick look sees nothing; a verification does.
    let report = fixture.verify();
    assert!(kinds(&report).contains(&ProblemKind::Altered));
    assert_eq!(report.problems[0].sequence, Some(4));
    // A record behind the head that is complete but wrong stops the next writer.
    let fixture = Fixture::with_events(3);
    let path = fixture.newest();
    let mut bytes = fs::read(&path).expect("read");
    let starts = record_starts(&bytes);
    let mut copy = bytes[starts[starts.len() - 2]..].to_vec();
    copy[90] ^= 1;
    bytes.extend_from_slice(&copy);
    fs::write(&path, &bytes).expect("written");
    let error = fixture.record(&fixture.open()).expect_err("altered");
    assert!(matches!(error, AuditError::Altered { .. }), "{error}");
    assert!(error.is_tampering());
    assert_eq!(fs::read(&path).expect("read"), bytes);
}

#[test]
fn a_log_that_was_cut_short_or_deleted_stops_every_writer() {
    let fixture = Fixture::with_events(3);
    let path = fixture.newest();
    let bytes = fs::read(&path).expect("read");
    let starts = record_starts(&bytes);
    fs::write(&path, &bytes[..starts[starts.len() - 2]]).expect("cut at the boundary of a record");
    let open = fixture.open();
    assert!(matches!(fixture.record(&open), Err(AuditError::Truncated { found: 3, expected: 4, .. })));
    fs::remove_file(&path).expect("removed");
    assert!(matches!(fixture.record(&open), Err(AuditError::Deleted { .. })));
    fs::remove_dir_all(fixture.directory()).expect("removed");
    assert!(fixture.record(&open).is_err());
    let error = fixture.record(&fixture.open()).expect_err("gone");
    assert!(matches!(error, AuditError::Deleted { .. }), "{error}");
    assert_eq!(kinds(&fixture.verify()), [ProblemKind::Head]);
}

#[test]
fn a_file_that_is_removed_under_a_writer_is_noticed_at_the_next_record() {
    let fixture = Fixture::with_events(3);
    let log = fixture.open();
    fixture.record(&log).expect("recorded");
    fs::remove_file(fixture.newest()).expect("removed");
    assert!(fixture.record(&log).expect_err("gone").is_tampering());
}

#[test]
fn a_clock_that_is_set_is_recorded() {
    let fixture = Fixture::with_events(2);
    let log = fixture.open();
    for jump in [3_600_000, -7_200_000] {
        fixture.clock.set_by(jump);
        fixture.record(&log).expect("recorded");
    }
    let report = fixture.assert_intact();
    let jumps: Vec<&str> = report.notes.iter().map(|note| note.what.as_str()).collect();
    assert_eq!(jumps, ["the clock was moved by 3600 s", "the clock was moved by -7200 s"]);
}

#[test]
fn records_that_were_not_flushed_may_be_lost_with_the_power_but_not_otherwise() {
    let cut = |fixture: &Fixture| {
        let log = fixture.open();
        log.record_as(&event(), Durability::Buffered).expect("recorded");
        let path = fixture.newest();
        let bytes = fs::read(&path).expect("read");
        let starts = record_starts(&bytes);
        fs::write(&path, &bytes[..starts[starts.len() - 2]]).expect("cut");
    };
    let fixture = Fixture::with_events(3);
    cut(&fixture);
    assert!(matches!(fixture.record(&fixture.open()), Err(AuditError::Truncated { .. })));
    fixture.clock.restart();
    fixture.record(&fixture.open()).expect("recorded");
    let report = fixture.assert_intact();
    assert!(report.notes.iter().any(|note| note.what.starts_with("1 records were lost")), "{:?}", report.notes);
    // What had been flushed cannot be lost with the power.
    let fixture = Fixture::with_events(3);
    let path = fixture.newest();
    let bytes = fs::read(&path).expect("read");
    fs::write(&path, &bytes[..record_starts(&bytes)[3]]).expect("cut");
    fixture.clock.restart();
    assert!(matches!(fixture.record(&fixture.open()), Err(AuditError::Truncated { .. })));
}

#[test]
fn a_new_key_signs_after_the_old_one_has_signed_it() {
    let fixture = Fixture::with_events(3);
    let (log, other) = (fixture.open(), fixture.open());
    fixture.record(&other).expect("recorded");
    let first = fixture.assert_intact().first_key;
    let key = log.rotate_key(Text::new("yearly")).expect("rotated");
    fixture.record(&other).expect("the other process takes the new key");
    log.rotate_key(Text::new("again")).expect("rotated");
    for _ in 0..20 {
        fixture.record(&other).expect("recorded");
    }
    let report = fixture.assert_intact();
    assert_eq!(report.first_key, first);
    assert_ne!(report.key, Some(key));
    assert_eq!(report.notes.iter().filter(|note| note.what.contains("signs")).count(), 2);
}

#[test]
fn pruning_leaves_a_chain_that_still_leads_back_to_the_pinned_key() {
    let fixture = Fixture::with_events(30);
    let log = fixture.open();
    log.rotate_key(Text::new("first")).expect("rotated");
    for _ in 0..30 {
        fixture.record(&log).expect("recorded");
    }
    let kept = log.checkpoint().expect("signed");
    let pruning = |before| Pruning { before, by: Text::new("dev"), reason: Text::new("a year old") };
    let nothing = log.prune(&pruning(jiff::Timestamp::UNIX_EPOCH)).expect("nothing to do");
    assert!(nothing.files.is_empty());
    for round in 0..2 {
        for _ in 0..20 {
            fixture.clock.advance(60_000);
            fixture.record(&log).expect("recorded");
        }
        let before = fixture.clock.timestamp() - jiff::SignedDuration::from_mins(10);
        let pruned = log.prune(&pruning(before)).expect("pruned");
        assert!(!pruned.files.is_empty(), "round {round}");
        let report = fixture.assert_intact();
        assert_eq!(report.first, pruned.through + 1);
        assert!(report.records < 100);
    }
    let trust = Trust::default().expecting(kept).with_keys(fixture.keys.clone());
    assert_eq!(common::verify_with(&fixture.directory(), &trust).verdict, Verdict::Intact);
    // The same files, removed without a statement.
    fs::remove_file(&fixture.files()[0]).expect("removed");
    let report = fixture.verify();
    assert_eq!(kinds(&report), [ProblemKind::Missing]);
    assert_eq!((report.problems[0].sequence, report.verdict), (Some(1), Verdict::Violated));
}

#[test]
fn a_log_that_does_not_verify_is_not_pruned() {
    let fixture = Fixture::with_events(60);
    let first = &fixture.files()[0];
    let mut bytes = fs::read(first).expect("read");
    bytes[300] ^= 1;
    fs::write(first, bytes).expect("written");
    fixture.clock.advance(60_000);
    let pruning = Pruning { before: fixture.clock.timestamp(), by: Text::new("dev"), reason: Text::new("old") };
    let error = fixture.open().prune(&pruning).expect_err("evidence");
    assert!(error.to_string().contains("does not verify"), "{error}");
    assert!(first.exists());
}

#[test]
fn a_log_that_cannot_go_on_is_set_aside_and_its_successor_says_so() {
    let fixture = Fixture::with_events(3);
    fs::remove_file(fixture.directory().join("head")).expect("removed");
    assert!(matches!(fixture.record(&fixture.open()), Err(AuditError::NoHead { .. })));
    let (log, aside) =
        AuditLog::succeed(&fixture.directory(), fixture.keys.clone(), fixture.options.clone(), &Text::new("head lost"))
            .expect("a successor");
    assert!(aside.join("audit-00000000000000000001.log").exists());
    fixture.record(&log).expect("recorded");
    let report = fixture.assert_intact();
    assert!(report.notes[0].what.contains("head lost"), "{:?}", report.notes);
}

#[test]
fn a_log_whose_making_was_interrupted_is_made_again() {
    let fixture = Fixture::new();
    *fixture.disk.sync_failure.lock().expect("lock") = Some(ErrorKind::Other);
    assert!(fixture.record(&fixture.open()).is_err());
    fixture.record(&fixture.open()).expect("recorded");
    // Only the head was there.
    let other = Fixture::with_events(1);
    let interrupted = Fixture::new();
    fs::create_dir_all(interrupted.directory()).expect("directory");
    fs::copy(other.directory().join("head"), interrupted.directory().join("head")).expect("copied");
    assert!(interrupted.record(&interrupted.open()).is_err(), "a head of another log is nothing to build on");
}

#[test]
fn the_head_kept_elsewhere_tells_that_the_whole_directory_was_put_back() {
    let fixture = Fixture::with_events(20);
    let old: Vec<_> = fs::read_dir(fixture.directory())
        .expect("directory")
        .map(|entry| entry.expect("entry").path())
        .map(|path| (fs::read(&path).expect("read"), path))
        .collect();
    let log = fixture.open();
    fixture.record(&log).expect("recorded");
    let kept = log.checkpoint().expect("signed");
    for (bytes, path) in &old {
        fs::write(path, bytes).expect("put back");
    }
    let unpinned = common::verify_with(&fixture.directory(), &Trust::default());
    assert_eq!(unpinned.verdict, Verdict::Intact, "the directory alone is what it once was");
    let trust = Trust::default().expecting(kept);
    assert_eq!(kinds(&common::verify_with(&fixture.directory(), &trust)), [ProblemKind::ExpectedHead]);
    // The checkpoint beside the keys tells it too.
    let log = fixture.open();
    for _ in 0..10 {
        fixture.record(&log).expect("recorded");
    }
    for file in fixture.files() {
        fs::remove_file(file).expect("removed");
    }
    for (bytes, path) in &old {
        fs::write(path, bytes).expect("put back");
    }
    assert_eq!(kinds(&fixture.verify()), [ProblemKind::ExpectedHead]);
}

#[test]
fn a_slot_of_the_head_that_was_torn_with_the_power_is_recorded() {
    let fixture = Fixture::with_events(3);
    let path = fixture.directory().join("head");
    let mut head = fs::read(&path).expect("read");
    let generation = |at: usize| u64::from_le_bytes(head[at + 24..at + 32].try_into().expect("eight bytes"));
    let newest = if generation(0) > generation(4096) { 0 } else { 4096 };
    head[newest + 100..newest + 240].fill(0);
    fs::write(&path, head).expect("written");
    assert!(matches!(fixture.record(&fixture.open()), Err(AuditError::NoHead { .. })));
    fixture.clock.restart();
    fixture.record(&fixture.open()).expect("recorded");
    let report = fixture.assert_intact();
    assert!(
        report.notes.iter().any(|note| note.what.contains("was torn when the machine stopped")),
        "{:?}",
        report.notes
    );
}
