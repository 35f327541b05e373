//! Which windows are to be judged.

use std::collections::BTreeSet;

/// Windows that wait at most: older ones are judged first, so these are years of minutes.
const MOST_WAITING: usize = 1_000_000;

/// The windows of one length, named by their start in milliseconds since 1970 UTC.
#[derive(Debug)]
pub struct Due {
    per: i64,
    /// How long after its end a window is judged, in milliseconds: rows are on their way.
    grace: i64,
    waiting: BTreeSet<i64>,
    /// Windows that began before this one were looked at, rows or not.
    looked: i64,
}

impl Due {
    /// Nothing waits. Windows without rows are judged from the one at `from` on.
    pub fn new(per: i64, grace: i64, from: i64) -> Self {
        Self { per, grace, waiting: BTreeSet::new(), looked: start(from, per) }
    }

    /// Windows without rows are judged from the one at `from` on.
    pub fn go_on_from(&mut self, from: i64) {
        self.looked = start(from, self.per);
    }

    /// Rows came into these windows.
    pub fn touched(&mut self, starts: impl IntoIterator<Item = i64>) {
        let room = MOST_WAITING.saturating_sub(self.waiting.len());
        self.waiting.extend(starts.into_iter().take(room));
    }

    /// At most `most` windows that are over at `now`, the oldest first, each once.
    pub fn take(&mut self, now: i64, most: usize) -> Vec<i64> {
        // No more than a day of windows without rows is made up for: the clock may have been set.
        let over = start(now - self.grace, self.per);
        self.looked = self.looked.max(over - 86_400_000 / self.per * self.per);
        while self.looked < over {
            self.waiting.insert(self.looked);
            self.looked += self.per;
        }
        let mut due: Vec<i64> = self.waiting.range(..over).copied().take(most).collect();
        due.iter().for_each(|start| {
            self.waiting.remove(start);
        });
        due.sort_unstable();
        due
    }

    /// These were not judged after all.
    pub fn put_back(&mut self, starts: Vec<i64>) {
        self.waiting.extend(starts);
    }
}

/// The start of the window of `per` milliseconds that `at` lies in.
pub fn start(at: i64, per: i64) -> i64 {
    at.saturating_sub(at.rem_euclid(per))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_due_when_it_is_over_with_or_without_rows() {
        let mut due = Due::new(100, 10, 250);
        assert!(due.take(309, 9).is_empty(), "the first may still get rows");
        assert_eq!(due.take(310, 9), [200]);
        due.touched([100, 300, -100, 900]);
        assert_eq!(due.take(320, 9), [-100, 100], "late rows count again");
        assert_eq!(due.take(620, 2), [300, 400]);
        assert_eq!(due.take(620, 2), [500]);
        assert_eq!(due.take(1_010, 9), [600, 700, 800, 900]);
        due.put_back(vec![700]);
        assert_eq!(due.take(1_010, 9), [700]);
    }

    #[test]
    fn a_clock_that_jumps_makes_a_day_of_windows_at_most() {
        let mut due = Due::new(60_000, 0, 0);
        assert_eq!(due.take(400 * 86_400_000, 10_000).len(), 1_440);
    }

    #[test]
    fn times_before_1970_have_windows_too() {
        assert_eq!((start(-1, 100), start(-100, 100), start(99, 100)), (-100, -100, 0));
        assert_eq!(start(i64::MIN, 60_000), i64::MIN, "whatever a record claims");
    }
}
