//! Ids that a registry did not know, so that a flood of garbage does not become a flood of requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How long an id that was unknown is not asked for again, in milliseconds. Whoever writes registers first, so it is not
/// known a moment later either, but for a registry that lags behind another.
const REMEMBERED: i64 = 10_000;
/// Ids asked for in vain within [`REMEMBERED`] before none that is new is asked for.
const MOST: usize = 1_000;

/// What to do about an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The registry may know it.
    Registry,
    /// It did not a moment ago.
    Known,
    /// It did not know too many others.
    TooMany,
}

/// Ids that were asked for in vain. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Misses(Arc<Mutex<HashMap<u32, i64>>>);

impl Misses {
    /// Whether to ask for `id`.
    pub fn ask(&self, id: u32, now: i64) -> Ask {
        let mut missed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match missed.get(&id) {
            Some(at) if now - at < REMEMBERED => return Ask::Known,
            _ if missed.len() < MOST => return Ask::Registry,
            _ => {}
        }
        missed.retain(|_, at| now - *at < REMEMBERED);
        if missed.len() < MOST { Ask::Registry } else { Ask::TooMany }
    }

    /// Notes that nobody knows `id`.
    pub fn missed(&self, id: u32, now: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_id_is_asked_for_again_only_after_a_while() {
        let misses = Misses::default();
        assert_eq!(misses.ask(7, 0), Ask::Registry);
        misses.missed(7, 0);
        assert_eq!(misses.ask(7, REMEMBERED - 1), Ask::Known);
        assert_eq!(misses.ask(8, 1), Ask::Registry);
        assert_eq!(misses.ask(7, REMEMBERED), Ask::Registry);
    }

    #[test]
    fn a_flood_of_unknown_ids_is_bounded_and_passes() {
        let misses = Misses::default();
        let asked = (0..100_000).filter(|id| misses.ask(*id, 5) == Ask::Registry).inspect(|id| misses.missed(*id, 5));
        assert_eq!(asked.count(), MOST);
        assert_eq!(misses.0.lock().unwrap().len(), MOST);
        assert_eq!(misses.ask(200_000, 6), Ask::TooMany);
        assert_eq!(misses.ask(200_000, 5 + REMEMBERED), Ask::Registry);
    }
}
