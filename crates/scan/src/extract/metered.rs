//! How much is read: of one file in all, and of what stands between members.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// What headers may measure that stand between two members: a library keeps them in memory.
pub(super) const MAX_HEADERS: u64 = 4 << 20;

/// What may be read yet.
#[derive(Clone)]
pub(super) struct Meter(Rc<Cell<u64>>);

impl Meter {
    pub(super) fn new(bytes: u64) -> Meter {
        Meter(Rc::new(Cell::new(bytes)))
    }

    /// The reader, as far as it may be read.
    pub(super) fn read<R: Read>(&self, inner: R) -> Metered<R> {
        Metered { inner, left: self.clone() }
    }

    pub(super) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }
}

/// A reader that fails where too much is read of it.
pub(super) struct Metered<R> {
    inner: R,
    left: Meter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.left.0.get();
        if left == 0 && !out.is_empty() {
            return Err(io::Error::other(Limit));
        }
        let most = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut out[..most])?;
        self.left.0.set(left - read as u64);
        Ok(read)
    }
}

/// Too much was read.
#[derive(Debug)]
struct Limit;

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a limit on what is read is reached")
    }
}

impl std::error::Error for Limit {}

/// Whether an error is that of a meter, however often it was wrapped.
pub(super) fn is_limit(error: &io::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|error| error as _);
    while let Some(error) = source {
        if error.is::<Limit>() || error.downcast_ref::<io::Error>().is_some_and(is_limit) {
            return true;
        }
        source = error.source();
    }
    false
}
