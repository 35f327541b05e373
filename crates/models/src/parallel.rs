//! Independent pieces of work over a few threads, results in order; and a team of threads for the many small steps of a fit.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rayon::iter::{IndexedParallelIterator as _, IntoParallelIterator as _, ParallelIterator as _};

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

/// The most threads of a team: more than one a core, so that results can be shown not to depend on their number.
const THREADS_PER_CORE: usize = 4;

/// Threads that wait for the next step of one fit: to start them anew for each would cost more than most steps do.
pub(crate) struct Team {
    pool: Option<rayon::ThreadPool>,
    threads: usize,
}

impl Team {
    /// A team of so many threads, the calling one among them. Should the system refuse to start them, that one works alone.
    pub fn new(threads: usize) -> Self {
        // More than the machine has only cost their start.
        let threads = threads.min(THREADS_PER_CORE * self::threads(None));
        let pool = (threads > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok()).flatten();
        Self { threads: pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads), pool }
    }

    /// How many work at a time.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on one of the threads, so that the steps within it need not be handed over to them.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// `work` on every item, in any order.
    pub fn each<T: Send>(&self, items: Vec<T>, work: impl Fn(T) + Sync) {
        match &self.pool {
            Some(pool) if items.len() > 1 => pool.install(|| items.into_par_iter().with_max_len(1).for_each(&work)),
            _ => items.into_iter().for_each(work),
        }
    }
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

    #[test]
    fn a_team_does_every_piece_of_work_once() {
        for threads in [1, 2, 7] {
            let team = Team::new(threads);
            let mut numbers = vec![0; 100];
            team.each(numbers.iter_mut().enumerate().collect(), |(index, number)| *number += index);
            assert_eq!(numbers, (0..100).collect::<Vec<_>>());
            assert_eq!(team.run(|| 3), 3);
        }
    }
}
