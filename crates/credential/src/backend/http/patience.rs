//! An end for what takes many exchanges: a server can always name one page, one folder more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::super::Fault;

/// So many exchanges one listing may take.
const MAX_EXCHANGES: usize = 10_000;
/// A listing may take so many times what one exchange may.
const TIMES: u32 = 10;

/// How long one listing is carried on.
pub(crate) struct Patience {
    until: Instant,
    left: AtomicUsize,
}

impl Patience {
    /// Patience where one exchange may take `exchange`.
    pub(super) fn new(exchange: Duration) -> Self {
        Self { until: Instant::now() + exchange * TIMES, left: AtomicUsize::new(MAX_EXCHANGES) }
    }

    /// To be asked before each exchange.
    ///
    /// # Errors
    /// Malformed, when there is no end to it.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let is_left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if is_left && Instant::now() < self.until {
            return Ok(());
        }
        Err(Fault::malformed("the list does not end"))
    }
}
