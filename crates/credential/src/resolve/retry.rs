//! Trying again what may pass: with jitter, as long as the server says, within a limit.

use std::time::Duration;

use crate::Context;
use crate::backend::{Backend, BackendError, ErrorKind, ReadRequest, Resolved};

/// How failures that may pass ([`ErrorKind::is_transient`]) are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is sent, the first time included.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one. The wait is a random part of it,
    /// so that callers who failed together do not come back together.
    pub first_wait: Duration,
    /// No wait of our own is longer than this.
    pub longest_wait: Duration,
    /// After this much time nothing is tried again. Where a server says to wait for longer, its answer is final.
    pub limit: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(3),
            limit: Duration::from_secs(15),
        }
    }
}

impl Retry {
    /// Reads, and reads those again that failed for a passing reason.
    pub(super) fn read(
        &self,
        backend: &dyn Backend,
        requests: &[ReadRequest],
        context: &Context,
    ) -> Vec<Result<Resolved, BackendError>> {
        let start = context.clock.elapsed();
        let mut answers = complete(backend, requests);
        for attempt in 1..self.attempts {
            let again: Vec<usize> = (0..answers.len()).filter(|&i| is_transient(&answers[i])).collect();
            if again.is_empty() {
                break;
            }
            let asked = again.iter().filter_map(|&i| answers[i].as_ref().err()?.retry_after).max();
            let wait = self.wait(attempt, context.randomness.fraction()).max(asked.unwrap_or_default());
            if context.clock.elapsed().saturating_sub(start) + wait > self.limit {
                break;
            }
            context.clock.sleep(wait);
            let subset: Vec<ReadRequest> = again.iter().map(|&i| requests[i].clone()).collect();
            for (index, answer) in again.into_iter().zip(complete(backend, &subset)) {
                answers[index] = answer;
            }
        }
        answers
    }

    fn wait(&self, attempt: u32, fraction: f64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        doubled.min(self.longest_wait).mul_f64(fraction.clamp(0.0, 1.0))
    }
}

fn is_transient(answer: &Result<Resolved, BackendError>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind.is_transient())
}

/// One answer for each request, whatever the backend does.
fn complete(backend: &dyn Backend, requests: &[ReadRequest]) -> Vec<Result<Resolved, BackendError>> {
    let answers = backend.read(requests);
    if answers.len() == requests.len() {
        return answers;
    }
    // Which answer belongs to which request cannot be told any more.
    let fault = |request: &ReadRequest| {
        let why = "the number of answers differs from that of the requests";
        let fix = "report this as a fault of the backend";
        Err(BackendError::new(ErrorKind::Malformed, backend.name(), &request.reference, why, fix))
    };
    requests.iter().map(fault).collect()
}
