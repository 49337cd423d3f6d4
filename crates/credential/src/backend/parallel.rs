//! Independent requests at the same time: a bounded number of threads, answers in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Applies `work` to each item on at most `limit` threads, and gives the answers in the items' order.
///
/// One item is worked on by the calling thread. A panic in `work` is passed on.
pub(crate) fn map<T: Sync, R: Send>(items: &[T], limit: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = items.len().min(limit.max(1));
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let run = || {
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            let answer = work(item);
            answers.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(answer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that cannot be had is no failure: those that are there do its share.
            if std::thread::Builder::new().stack_size(512 * 1024).spawn_scoped(scope, run).is_err() {
                break;
            }
        }
        run();
    });
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.into_iter().map(|answer| answer.expect("every index was taken by a thread that finished")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..300).collect();
        for limit in [0, 1, 7, 64, 1000] {
            assert_eq!(map(&items, limit, |item| item * 2), items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(map(&[] as &[u8], 8, |item| *item), Vec::<u8>::new());
    }
}
