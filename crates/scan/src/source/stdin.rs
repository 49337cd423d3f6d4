use std::cell::RefCell;
use std::io::Read;

use custody_contract::{Coverage, Surface};

use super::file::{record_scanned, unreadable};
use super::{Found, ScanOptions, Source, SourceError, Target, Worker, scan_once};
use crate::collect::Collector;
use crate::engine::Engine;

/// Standard input, or any other stream of bytes that has no name.
pub struct StdinSource<R> {
    reader: RefCell<R>,
}

impl StdinSource<std::io::Stdin> {
    /// The process's standard input.
    pub fn process() -> Self {
        StdinSource::new(std::io::stdin())
    }
}

impl<R: Read> StdinSource<R> {
    /// Any reader. It is read to its end by the first scan.
    pub fn new(reader: R) -> Self {
        StdinSource { reader: RefCell::new(reader) }
    }
}

impl<R: Read> Source for StdinSource<R> {
    fn scan_into(
        &self,
        engine: &Engine,
        options: &ScanOptions<'_>,
        collector: &mut Collector,
    ) -> Result<Vec<Coverage>, SourceError> {
        let mut account = Coverage::new(Surface::Stdin, "streams");
        let mut worker = Worker::new(engine);
        let mut found = Vec::new();
        options.expect(Surface::Stdin, 1);
        let target = Target { path: None, surface: Surface::Stdin };
        let reader = &mut *self.reader.borrow_mut();
        let (scanned, inside, result) = scan_once(&mut worker, reader, target, &mut |hit: Found| found.push(hit));
        for hit in found {
            worker.add(hit, Surface::Stdin, "-");
        }
        match result {
            Ok(()) => record_scanned(scanned, inside, "-", &mut account),
            Err(error) => {
                account.bytes += scanned.bytes;
                account.record_skipped("-", unreadable(&error));
            }
        }
        options.advance(Surface::Stdin, 1, scanned.bytes);
        collector.merge(worker.collector);
        Ok(vec![account])
    }
}
