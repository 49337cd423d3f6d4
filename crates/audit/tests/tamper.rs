//! Whatever is done to the files of a log, a verification finds it and names the record.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Fixture, event, kinds, record_starts, verify_with};
use custody_audit::verify::{ProblemKind, Trust, Verdict, VerifyReport};
use custody_audit::{Durability, Filter, Text, query};
use proptest::prelude::*;

/// The files of a log as bytes, so that they can be changed and written to another place.
struct Bytes {
    place: tempfile::TempDir,
    files: Vec<(PathBuf, Vec<u8>)>,
    fixture: Fixture,
}

impl Bytes {
    /// A log with several files, checkpoints, a change of key and a clock that was set.
    fn new() -> Self {
        let fixture = Fixture::with_events(12);
        let log = fixture.open();
        log.rotate_key(Text::new("yearly")).expect("rotated");
        fixture.clock.set_by(-60_000);
        for _ in 0..25 {
            fixture.record(&log).expect("recorded");
        }
        let report = fixture.assert_intact();
        assert!(report.files.len() >= 3);
        let files = fixture.files().into_iter().map(|path| (path.clone(), fs::read(path).expect("read"))).collect();
        Bytes { place: tempfile::tempdir().expect("directory"), files, fixture }
    }

    /// Verifies these files with the log's own head and keys.
    fn verify(&self, files: &[(PathBuf, Vec<u8>)]) -> VerifyReport {
        let head = fs::read(self.fixture.directory().join("head")).expect("read");
        self.verify_with_head(files, &head)
    }

    fn verify_with_head(&self, files: &[(PathBuf, Vec<u8>)], head: &[u8]) -> VerifyReport {
        let directory = self.place.path().join("copy");
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).expect("directory");
        for (path, bytes) in files {
            fs::write(directory.join(path.file_name().expect("a name")), bytes).expect("written");
        }
        fs::write(directory.join("head"), head).expect("written");
        verify_with(&directory, &Trust::default().with_keys(self.fixture.keys.clone()))
    }

    fn copy_directory(&self) -> PathBuf {
        self.place.path().join("copy")
    }

    /// Every record: its file, where it starts and where it ends.
    fn records(&self) -> Vec<(usize, usize, usize)> {
        let of_file = |(index, (_, bytes)): (usize, &(PathBuf, Vec<u8>))| {
            let starts = record_starts(bytes);
            starts.windows(2).map(move |pair| (index, pair[0], pair[1])).collect::<Vec<_>>()
        };
        self.files.iter().enumerate().flat_map(of_file).collect()
    }
}

fn sequence(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("eight bytes"))
}

fn names(report: &VerifyReport, sequence: u64) -> bool {
    report.problems.iter().any(|problem| {
        problem.sequence.is_some_and(|first| first <= sequence && sequence <= problem.through.unwrap_or(first))
    })
}

#[test]
fn an_unchanged_copy_is_intact() {
    let bytes = Bytes::new();
    assert_eq!(bytes.verify(&bytes.files).verdict, Verdict::Intact);
}

#[test]
fn every_removed_record_is_named() {
    let bytes = Bytes::new();
    for (file, start, end) in bytes.records() {
        let mut files = bytes.files.clone();
        let removed = sequence(&files[file].1, start);
        files[file].1.drain(start..end);
        let report = bytes.verify(&files);
        assert_eq!(report.verdict, Verdict::Violated, "record {removed}");
        assert!(names(&report, removed), "record {removed}: {:?}", report.problems);
        let summary = query(&bytes.copy_directory(), &Filter::default(), |_| std::ops::ControlFlow::Continue(()));
        assert!(!summary.expect("read").is_complete() || removed == 1, "record {removed}");
    }
}

#[test]
fn every_repeated_record_is_named() {
    let bytes = Bytes::new();
    for (file, start, end) in bytes.records() {
        let mut files = bytes.files.clone();
        let repeated = sequence(&files[file].1, start);
        let copy = files[file].1[start..end].to_vec();
        files[file].1.splice(end..end, copy);
        let report = bytes.verify(&files);
        assert!(kinds(&report).contains(&ProblemKind::Duplicated), "record {repeated}");
        assert!(names(&report, repeated), "record {repeated}: {:?}", report.problems);
    }
}

#[test]
fn every_exchange_of_two_neighbours_is_named() {
    let bytes = Bytes::new();
    for pair in bytes.records().windows(2) {
        let [(file, start, middle), (other, _, end)] = pair else { unreachable!("windows of two") };
        if file != other {
            continue;
        }
        let mut files = bytes.files.clone();
        files[*file].1[*start..*end].rotate_left(middle - start);
        let report = bytes.verify(&files);
        let first = sequence(&bytes.files[*file].1, *start);
        assert_eq!(report.verdict, Verdict::Violated);
        assert!(names(&report, first), "record {first}: {:?}", report.problems);
    }
}

#[test]
fn every_boundary_that_a_log_is_cut_at_is_told() {
    let bytes = Bytes::new();
    for (file, start, _) in bytes.records() {
        let mut files = bytes.files[..=file].to_vec();
        let first_missing = sequence(&files[file].1, start);
        files[file].1.truncate(start);
        let report = bytes.verify(&files);
        assert!(kinds(&report).contains(&ProblemKind::Truncated), "cut before {first_missing}: {:?}", report.problems);
        assert!(names(&report, first_missing));
    }
}

#[test]
fn every_removed_file_is_told() {
    let bytes = Bytes::new();
    for index in 0..bytes.files.len() {
        let mut files = bytes.files.clone();
        let (path, content) = files.remove(index);
        let report = bytes.verify(&files);
        assert_eq!(report.verdict, Verdict::Violated, "{}", path.display());
        assert!(names(&report, sequence(&content, 96)), "{}: {:?}", path.display(), report.problems);
    }
    assert_eq!(bytes.verify(&[]).verdict, Verdict::Violated);
}

#[test]
fn a_file_of_another_log_does_not_fit() {
    let (bytes, other) = (Bytes::new(), Bytes::new());
    for index in 0..bytes.files.len().min(other.files.len()) {
        let mut files = bytes.files.clone();
        files[index].1.clone_from(&other.files[index].1);
        let report = bytes.verify(&files);
        assert!(kinds(&report).contains(&ProblemKind::ForeignFile), "{:?}", report.problems);
    }
    let head = fs::read(other.fixture.directory().join("head")).expect("read");
    let report = bytes.verify_with_head(&bytes.files, &head);
    assert_eq!(kinds(&report), [ProblemKind::Head]);
    let whole = bytes.verify_with_head(&other.files, &head);
    assert_eq!(whole.verdict, Verdict::Violated, "the pin knows which log it should be");
}

#[test]
fn a_chain_that_was_made_anew_without_the_key_is_told() {
    let bytes = Bytes::new();
    let records = bytes.records();
    // Every record from the tenth on is written anew with another payload and right hashes: all but signatures is right.
    let mut files = bytes.files.clone();
    let mut previous: Option<[u8; 32]> = None;
    for &(file, start, end) in &records[9..] {
        let content = &mut files[file].1;
        if let Some(hash) = previous {
            content[start + 44..start + 76].copy_from_slice(&hash);
            if start == 96 {
                content[32..64].copy_from_slice(&hash);
                let header = sha256(&[b"custody-audit/file/1\n", &content[..64]]);
                content[64..96].copy_from_slice(&header);
            }
        }
        let text = content[start + 80..end - 32].to_vec();
        if let Some(at) = text.windows(7).position(|window| window == b"allowed") {
            content[start + 80 + at..start + 87 + at].copy_from_slice(b"alLowed");
        }
        let checksum = crc32fast::hash(&content[start..start + 76]);
        content[start + 76..start + 80].copy_from_slice(&checksum.to_le_bytes());
        let hash = sha256(&[b"custody-audit/record/1\n", &content[start..start + 76], &content[start + 80..end - 32]]);
        content[end - 32..end].copy_from_slice(&hash);
        previous = Some(hash);
    }
    let report = bytes.verify(&files);
    assert!(kinds(&report).contains(&ProblemKind::Signature), "{:?}", report.problems);
    assert!(!kinds(&report).contains(&ProblemKind::Altered));
}

#[test]
fn a_clock_that_was_set_without_a_record_of_it_is_told() {
    let mut fixture = Fixture::new();
    fixture.options.checkpoint_every = 100;
    let log = fixture.open();
    fixture.record(&log).expect("recorded");
    fixture.clock.set_by(3_600_000);
    fixture.record(&log).expect("recorded");
    let path = fixture.newest();
    let mut bytes = fs::read(&path).expect("read");
    let starts = record_starts(&bytes);
    // The record about the jump is taken out, and the one after it chained anew.
    let (jump, next, end) = (starts[starts.len() - 3], starts[starts.len() - 2], starts[starts.len() - 1]);
    let previous: [u8; 32] = bytes[jump + 44..jump + 76].try_into().expect("a hash");
    let number = sequence(&bytes, jump);
    bytes[next + 8..next + 16].copy_from_slice(&number.to_le_bytes());
    bytes[next + 44..next + 76].copy_from_slice(&previous);
    let checksum = crc32fast::hash(&bytes[next..next + 76]);
    bytes[next + 76..next + 80].copy_from_slice(&checksum.to_le_bytes());
    let hash = sha256(&[b"custody-audit/record/1\n", &bytes[next..next + 76], &bytes[next + 80..end - 32]]);
    bytes[end - 32..].copy_from_slice(&hash);
    bytes.drain(jump..next);
    fs::write(&path, &bytes).expect("written");
    let report = fixture.verify();
    assert!(kinds(&report).contains(&ProblemKind::Clock), "{:?}", report.problems);
}

#[test]
fn a_missing_head_is_told() {
    let fixture = Fixture::with_events(3);
    fs::remove_file(fixture.directory().join("head")).expect("removed");
    assert_eq!(kinds(&fixture.verify()), [ProblemKind::Head]);
    let nothing = tempfile::tempdir().expect("directory");
    assert_eq!(kinds(&verify_with(nothing.path(), &Trust::default())), [ProblemKind::Head]);
}

#[test]
fn an_old_head_before_newer_records_does_not_hide_what_is_cut_afterwards() {
    let fixture = Fixture::with_events(3);
    let head = fs::read(fixture.directory().join("head")).expect("read");
    let log = fixture.open();
    log.record_as(&event(), Durability::Group).expect("recorded");
    let kept = log.checkpoint().expect("signed");
    fs::write(fixture.directory().join("head"), head).expect("put back");
    let path = fixture.newest();
    let bytes = fs::read(&path).expect("read");
    let starts = record_starts(&bytes);
    fs::write(&path, &bytes[..starts[starts.len() - 2]]).expect("cut");
    let report = verify_with(&fixture.directory(), &Trust::default().expecting(kept));
    assert!(kinds(&report).contains(&ProblemKind::ExpectedHead));
}

#[test]
fn a_writer_does_not_fall_back_to_the_older_slot_of_the_head() {
    let fixture = Fixture::with_events(3);
    let path = fixture.newest();
    let (head, bytes) = (fs::read(fixture.directory().join("head")).expect("read"), fs::read(&path).expect("read"));
    let generation = |at: usize| u64::from_le_bytes(head[at + 24..at + 32].try_into().expect("eight bytes"));
    let newest = if generation(0) > generation(4096) { 0 } else { 4096 };
    let mut damaged = head.clone();
    damaged[newest..newest + 240].fill(0);
    let starts = record_starts(&bytes);
    fs::write(&path, &bytes[..starts[starts.len() - 2]]).expect("cut");
    fs::write(fixture.directory().join("head"), &damaged).expect("written");
    assert!(fixture.record(&fixture.open()).expect_err("the newest slot is gone").is_tampering());
    assert!(kinds(&fixture.verify()).contains(&ProblemKind::Head));
}

#[test]
fn a_log_that_is_put_back_under_a_running_writer_is_told() {
    let fixture = Fixture::with_events(3);
    let log = fixture.open();
    fixture.record(&log).expect("recorded");
    let (path, head) = (fixture.newest(), fixture.directory().join("head"));
    let before = (fs::read(&path).expect("read"), fs::read(&head).expect("read"));
    fixture.record(&log).expect("recorded");
    fs::write(&path, before.0).expect("put back");
    fs::write(&head, before.1).expect("put back");
    assert!(matches!(fixture.record(&log), Err(custody_audit::AuditError::Truncated { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_could_be_read_for_ever_is_not_read() {
    let fixture = Fixture::with_events(1);
    std::os::unix::fs::symlink("/dev/zero", fixture.directory().join("audit-00000000000000009999.log"))
        .expect("linked");
    let error = custody_audit::verify::verify(&fixture.directory(), &Trust::default()).expect_err("no file");
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(parts.concat()).into()
}

/// A log that is made once for all cases of a property.
fn shared() -> &'static Bytes {
    static BYTES: std::sync::OnceLock<Bytes> = std::sync::OnceLock::new();
    BYTES.get_or_init(Bytes::new)
}

fn verify_at(place: &Path, files: &[(PathBuf, Vec<u8>)]) -> VerifyReport {
    let bytes = shared();
    for (path, content) in files {
        fs::write(place.join(path.file_name().expect("a name")), content).expect("written");
    }
    fs::copy(bytes.fixture.directory().join("head"), place.join("head")).expect("copied");
    verify_with(place, &Trust::default().with_keys(bytes.fixture.keys.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_byte_goes_unnoticed(file in 0..3usize, at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let place = tempfile::tempdir().expect("directory");
        let mut files = shared().files.clone();
        let at = at.index(files[file].1.len());
        files[file].1[at] ^= flip;
        let report = verify_at(place.path(), &files);
        prop_assert_eq!(report.verdict, Verdict::Violated, "file {}, byte {}", file, at);
        let starts = record_starts(&shared().files[file].1);
        if at >= 96 {
            let record = starts.iter().rposition(|start| *start <= at).expect("behind the header");
            let number = sequence(&shared().files[file].1, starts[record]);
            prop_assert!(names(&report, number), "record {}: {:?}", number, report.problems);
        }
    }

    #[test]
    fn no_removed_or_added_stretch_goes_unnoticed(
        file in 0..3usize,
        at in any::<prop::sample::Index>(),
        length in 1..500usize,
        added in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let place = tempfile::tempdir().expect("directory");
        let mut files = shared().files.clone();
        let content = &mut files[file].1;
        let start = at.index(content.len());
        let end = (start + length).min(content.len());
        content.splice(start..end, added);
        prop_assume!(content != &shared().files[file].1);
        let report = verify_at(place.path(), &files);
        prop_assert_eq!(report.verdict, Verdict::Violated, "file {}, bytes {} to {}", file, start, end);
    }
}
