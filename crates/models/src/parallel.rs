//! Independent pieces of work over a few threads, results in order.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

thread_local! {
    /// Whether this thread works for [`map`] beside others.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Marks its thread as busy until it is dropped, also by a panic.
struct Busy(bool);

impl Busy {
    fn set() -> Self {
        Self(BUSY.replace(true))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.set(self.0);
    }
}

/// The number of threads to use: what was asked for, else one per core. Work within [`map`] that runs on several threads gets
/// one: its siblings use the other cores.
pub(crate) fn threads(requested: Option<usize>) -> usize {
    if BUSY.get() {
        return 1;
    }
    requested.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get)).max(1)
}

/// `work(scratch, i)` for every `i` of `0..count`, in order of `i`. Each thread has a `scratch` of its own.
///
/// The calling thread works too, so a helper the system refuses to start only costs time.
pub(crate) fn map<S, T: Send>(
    count: usize,
    threads: usize,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(count));
    let shared = threads.min(count) > 1;
    let worker = || {
        let _busy = shared.then(Busy::set);
        let mut own = scratch();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            let result = work(&mut own, index);
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            let _ = thread::Builder::new().spawn_scoped(scope, worker);
        }
        worker();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_within_work_keeps_to_its_thread() {
        let inner = |threads| map(4, threads, || (), |(), _| super::threads(Some(8)));
        assert_eq!(inner(2), [1; 4]);
        assert_eq!(inner(1), [8; 4]);
        assert_eq!(threads(Some(8)), 8);
    }

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [1, 2, 7] {
            let squares = map(100, threads, || (), |(), i| i * i);
            assert_eq!(squares, (0..100).map(|i| i * i).collect::<Vec<_>>());
        }
        assert!(map(0, 4, || (), |(), i| i).is_empty());
    }
}
