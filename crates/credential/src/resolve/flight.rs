//! What is asked for by several at once is read once.
//!
//! While a read is under way, those who ask for the same wait for the *next* one, which they share: an answer always
//! comes from a read that began after it was asked for, so a value that was rotated away before is never served.
//!
//! Nobody waits for another's read while others may wait for his, so there is no circle.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::{BackendError, ErrorKind, ReadRequest, Resolved, VersionRequest};
use crate::context::Clock;

type Answer = Result<Resolved, BackendError>;

/// How many failures are remembered.
const MAX_REMEMBERED: usize = 4096;

/// What makes two requests the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    backend: String,
    location: String,
    version: VersionRequest,
    /// Errors name it, so two references for one location are two keys.
    reference: String,
}

impl Key {
    pub(super) fn new(backend: &str, request: &ReadRequest) -> Self {
        Self {
            backend: backend.to_owned(),
            location: request.location.clone(),
            version: request.version.clone(),
            reference: request.reference.as_str().to_owned(),
        }
    }
}

/// A read that several wait for.
#[derive(Default)]
struct Flight {
    /// `None` until it has ended; the inner `None` where it ended without an answer.
    answer: Mutex<Option<Option<Arc<Answer>>>>,
}

/// A key that is being read, or about to be.
struct Slot {
    is_running: bool,
    /// The read after this one, and how many wait for it.
    next: Option<Arc<Flight>>,
}

#[derive(Default)]
struct State {
    slots: HashMap<Key, Slot>,
    #[cfg(test)]
    waiting: usize,
    failures: HashMap<Key, (Duration, BackendError)>,
}

/// The reads under way, and the failures of a moment ago.
#[derive(Default)]
pub(super) struct Flights {
    state: Mutex<State>,
    changed: Condvar,
}

/// What a caller does about one of its requests.
enum Part {
    /// Reads it now.
    Now,
    /// Reads it when the read under way has ended, for all who wait with it.
    Later(Arc<Flight>),
    /// Waits for somebody else's read.
    Shared(Arc<Flight>),
}

impl Flights {
    /// Reads what nobody reads and waits for the rest: one answer for each request, in their order.
    pub(super) fn read(
        &self,
        keys: &[Key],
        requests: &[ReadRequest],
        clock: &dyn Clock,
        remember: Duration,
        read: &dyn Fn(&[ReadRequest]) -> Vec<Answer>,
    ) -> Vec<Answer> {
        let mut answers: HashMap<&Key, Arc<Answer>> = HashMap::new();
        let mut first: HashMap<&Key, usize> = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            first.entry(key).or_insert(index);
        }
        let mut parts = self.join(&first, &mut answers, clock.elapsed());
        let mut ready: Vec<(&Key, Option<Arc<Flight>>)> = Vec::new();
        parts.retain(|key, part| match part {
            Part::Now => {
                ready.push((key, None));
                false
            }
            _ => true,
        });
        loop {
            if !ready.is_empty() {
                ready.sort_by_key(|(key, _)| first[key]);
                let wanted: Vec<ReadRequest> = ready.iter().map(|(key, _)| requests[first[key]].clone()).collect();
                let mut running = Running { flights: self, keys: std::mem::take(&mut ready) };
                let read = read(&wanted).into_iter().map(Arc::new).collect::<Vec<_>>();
                self.remember(&running.keys, &read, clock.elapsed() + remember);
                for ((key, flight), answer) in running.keys.iter().zip(read) {
                    if let Some(flight) = flight {
                        *lock(&flight.answer) = Some(Some(Arc::clone(&answer)));
                    }
                    answers.insert(key, answer);
                }
                running.end();
            }
            if !parts.values().any(|part| matches!(part, Part::Later(_))) {
                break;
            }
            ready = self.wait_for_turn(&mut parts);
        }
        for (key, part) in parts {
            if let Part::Shared(flight) = part
                && let Some(answer) = self.wait_for_answer(&flight)
            {
                answers.insert(key, answer);
            }
        }
        distribute(keys, requests, answers)
    }

    /// Forgets failures: something was written, or somebody wants to look again.
    pub(super) fn forget(&self) {
        lock(&self.state).failures.clear();
    }

    /// How many had to wait so far.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.state).waiting
    }

    fn join<'k>(
        &self,
        keys: &HashMap<&'k Key, usize>,
        answers: &mut HashMap<&'k Key, Arc<Answer>>,
        now: Duration,
    ) -> HashMap<&'k Key, Part> {
        let mut state = lock(&self.state);
        let mut parts = HashMap::new();
        for &key in keys.keys() {
            match state.failures.get(key) {
                Some((until, error)) if *until > now => {
                    answers.insert(key, Arc::new(Err(error.clone())));
                    continue;
                }
                Some(_) => drop(state.failures.remove(key)),
                None => {}
            }
            let part = match state.slots.get_mut(key) {
                None => {
                    state.slots.insert(key.clone(), Slot { is_running: true, next: None });
                    Part::Now
                }
                Some(slot) => match &slot.next {
                    Some(next) => Part::Shared(Arc::clone(next)),
                    None => Part::Later(Arc::clone(slot.next.insert(Arc::default()))),
                },
            };
            #[cfg(test)]
            if !matches!(part, Part::Now) {
                state.waiting += 1;
            }
            parts.insert(key, part);
        }
        parts
    }

    /// Waits until at least one read that this caller leads may begin; takes all that may.
    fn wait_for_turn<'k>(&self, parts: &mut HashMap<&'k Key, Part>) -> Vec<(&'k Key, Option<Arc<Flight>>)> {
        let mut state = lock(&self.state);
        loop {
            let mut ready = Vec::new();
            parts.retain(|key, part| {
                let Part::Later(flight) = part else { return true };
                let slot = state.slots.get_mut(*key).expect("a slot stays as long as somebody waits for it");
                if slot.is_running {
                    return true;
                }
                slot.is_running = true;
                slot.next = None;
                ready.push((*key, Some(Arc::clone(flight))));
                false
            });
            if !ready.is_empty() {
                return ready;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn wait_for_answer(&self, flight: &Flight) -> Option<Arc<Answer>> {
        let mut state = lock(&self.state);
        loop {
            if let Some(answer) = &*lock(&flight.answer) {
                return answer.clone();
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn remember(&self, keys: &[(&Key, Option<Arc<Flight>>)], answers: &[Arc<Answer>], until: Duration) {
        let mut state = lock(&self.state);
        for ((key, _), answer) in keys.iter().zip(answers) {
            if let Err(error) = &**answer
                && matches!(error.kind, ErrorKind::NotFound | ErrorKind::Denied)
            {
                if state.failures.len() >= MAX_REMEMBERED {
                    state.failures.clear();
                }
                state.failures.insert((*key).clone(), (until, error.clone()));
            }
        }
    }
}

/// Reads under way; ends them even where the backend panics.
struct Running<'f, 'k> {
    flights: &'f Flights,
    keys: Vec<(&'k Key, Option<Arc<Flight>>)>,
}

impl Running<'_, '_> {
    fn end(&mut self) {
        let mut state = lock(&self.flights.state);
        for (key, flight) in self.keys.drain(..) {
            if let Some(flight) = flight {
                lock(&flight.answer).get_or_insert(None);
            }
            match state.slots.get_mut(key) {
                Some(slot) if slot.next.is_some() => slot.is_running = false,
                _ => drop(state.slots.remove(key)),
            }
        }
        self.flights.changed.notify_all();
    }
}

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Gives each request its answer; the last one that needs a value gets the value itself, the others a copy.
fn distribute(keys: &[Key], requests: &[ReadRequest], mut answers: HashMap<&Key, Arc<Answer>>) -> Vec<Answer> {
    let mut needed: HashMap<&Key, usize> = HashMap::new();
    for key in keys {
        *needed.entry(key).or_default() += 1;
    }
    let mut give = |key: &Key, request: &ReadRequest| {
        let left = needed.get_mut(key).map_or(0, |left| {
            *left -= 1;
            *left
        });
        let answer = if left == 0 { answers.remove(key) } else { answers.get(key).cloned() };
        let Some(answer) = answer else {
            let why = "the read that this one waited for ended without an answer";
            return Err(BackendError::new(ErrorKind::Unreachable, "resolver", &request.reference, why, "try again"));
        };
        Arc::try_unwrap(answer).unwrap_or_else(|shared| match &*shared {
            Ok(resolved) => Ok(Resolved { value: resolved.value.duplicate(), metadata: resolved.metadata.clone() }),
            Err(error) => Err(error.clone()),
        })
    };
    keys.iter().zip(requests).map(|(key, request)| give(key, request)).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
