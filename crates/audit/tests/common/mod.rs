//! A log in a temporary directory, with clocks and disks that do as they are told.
#![allow(dead_code, reason = "each test file uses a part of this module")]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use custody_audit::verify::{ProblemKind, Trust, Verdict, VerifyReport, verify};
use custody_audit::{
    Action, AuditError, AuditLog, Clock, Disk, Durability, Event, Medium, MemoryKeys, Moment, Options, Outcome,
    Principal, Receipt,
};
use tempfile::TempDir;

pub struct Fixture {
    place: TempDir,
    pub keys: MemoryKeys,
    pub clock: Arc<FakeClock>,
    pub disk: Arc<FakeDisk>,
    pub options: Options,
}

impl Fixture {
    pub fn new() -> Self {
        let (clock, disk) = (Arc::new(FakeClock::default()), Arc::new(FakeDisk::default()));
        let options = Options {
            checkpoint_every: 5,
            max_file_bytes: 4000,
            clock: clock.clone(),
            medium: disk.clone(),
            ..Options::default()
        };
        Fixture { place: tempfile::tempdir().expect("directory"), keys: MemoryKeys::default(), clock, disk, options }
    }

    pub fn directory(&self) -> PathBuf {
        self.place.path().join("audit")
    }

    pub fn open(&self) -> AuditLog {
        AuditLog::open(&self.directory(), self.keys.clone(), self.options.clone()).expect("opens")
    }

    /// A log with so many events.
    pub fn with_events(count: usize) -> Self {
        let fixture = Self::new();
        let log = fixture.open();
        for _ in 0..count {
            fixture.record(&log).expect("recorded");
        }
        fixture
    }

    pub fn record(&self, log: &AuditLog) -> Result<Receipt, AuditError> {
        self.clock.advance(10);
        log.record_as(&event(), Durability::Group)
    }

    pub fn verify(&self) -> VerifyReport {
        verify_with(&self.directory(), &Trust::default().with_keys(self.keys.clone()))
    }

    pub fn assert_intact(&self) -> VerifyReport {
        let report = self.verify();
        assert_eq!(report.verdict, Verdict::Intact, "{:#?}", report.problems);
        report
    }

    /// Log files, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory()).expect("directory");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        files.sort();
        files
    }

    pub fn newest(&self) -> PathBuf {
        self.files().pop().expect("a file")
    }
}

pub fn verify_with(directory: &Path, trust: &Trust) -> VerifyReport {
    verify(directory, trust).expect("the directory can be read")
}

pub fn kinds(report: &VerifyReport) -> Vec<ProblemKind> {
    report.problems.iter().map(|problem| problem.kind).collect()
}

pub fn event() -> Event {
    let reference = "cred://aws/production/readonly".parse().expect("a reference");
    Event::new(Action::Resolve, Outcome::Allowed, Principal::current()).reference(&reference).backend("local")
}

/// Where each record of a file starts, and where the last one ends.
pub fn record_starts(bytes: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (vec![96], 96);
    while at < bytes.len() {
        let payload = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes"));
        at += 80 + payload as usize + 32;
        starts.push(at);
    }
    starts
}

/// Wall clock and time since boot move together, unless the wall clock is set or the machine started anew.
pub struct FakeClock {
    wall_ms: AtomicI64,
    since_boot_ms: AtomicU64,
    boot: AtomicU64,
}

impl Default for FakeClock {
    fn default() -> Self {
        let wall_ms = AtomicI64::new(1_790_000_000_000);
        FakeClock { wall_ms, since_boot_ms: AtomicU64::new(1_000_000), boot: AtomicU64::new(1) }
    }
}

impl FakeClock {
    pub fn advance(&self, ms: u64) {
        self.wall_ms.fetch_add(ms.cast_signed(), Ordering::SeqCst);
        self.since_boot_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn set_by(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn restart(&self) {
        self.boot.fetch_add(1, Ordering::SeqCst);
        self.since_boot_ms.store(1000, Ordering::SeqCst);
    }

    pub fn timestamp(&self) -> jiff::Timestamp {
        self.now().timestamp()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Moment {
        Moment {
            wall_ns: self.wall_ms.load(Ordering::SeqCst) * 1_000_000,
            since_boot_ns: self.since_boot_ms.load(Ordering::SeqCst) * 1_000_000,
            boot: self.boot.load(Ordering::SeqCst),
        }
    }
}

/// A disk that fails when told to.
#[derive(Default)]
pub struct FakeDisk {
    /// The next append writes so many bytes and then fails like this.
    pub append_failure: Mutex<Option<(usize, io::ErrorKind)>>,
    /// The next flush fails.
    pub sync_failure: Mutex<Option<io::ErrorKind>>,
    pub syncs: AtomicUsize,
}

impl Medium for FakeDisk {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        match self.append_failure.lock().expect("lock").take() {
            Some((written, kind)) => {
                Disk.append(file, &bytes[..written.min(bytes.len())])?;
                Err(kind.into())
            }
            None => Disk.append(file, bytes),
        }
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        match self.sync_failure.lock().expect("lock").take() {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }
}
