//! How long records wait for company before they are written.
//!
//! Every insert costs the server a part and some milliseconds, however few its rows. So a batch is as old as some writes
//! take: with three, writing keeps the server busy for a quarter of the time at most, unless there is that much to write.

use std::time::Duration;

/// The oldest a batch becomes.
const MOST: Duration = Duration::from_secs(1);
/// Up to so many active parts the server merges in its stride; ClickHouse itself slows inserts down at 1,000.
const CALM: u64 = 100;
/// From so many on it needs all the time there is.
const CROWDED: u64 = 400;

/// The age of batches, from what writing them takes and how many parts the server has to merge.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    least: Duration,
    /// Writes that a batch waits for.
    writes: u32,
    write: Duration,
    parts: u64,
}

impl Pace {
    /// Starts with `least` and never goes below it; then as long as so many `writes` take.
    pub(super) fn new(least: Duration, writes: u32) -> Self {
        Self { least, writes, write: Duration::ZERO, parts: 0 }
    }

    /// A write took that long: an average in which the last writes count most.
    pub(super) fn wrote(&mut self, took: Duration) {
        self.write = (self.write * 7 + took.min(MOST)) / 8;
    }

    /// A table has so many active parts, the most of any table that is written.
    pub(super) fn parts(&mut self, parts: u64) {
        self.parts = parts;
    }

    /// How old the next batch may become.
    pub(super) fn age(&self) -> Duration {
        let calm = (self.write * self.writes).clamp(self.least.min(MOST), MOST);
        let crowd = self.parts.clamp(CALM, CROWDED) - CALM;
        let share = u32::try_from(crowd).unwrap_or(u32::MAX);
        let whole = u32::try_from(CROWDED - CALM).unwrap_or(u32::MAX);
        calm + (MOST - calm) / whole * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(20);

    fn after(writes: usize, took: u64, parts: u64) -> u128 {
        let mut pace = Pace::new(LEAST, 3);
        (0..writes).for_each(|_| pace.wrote(Duration::from_millis(took)));
        pace.parts(parts);
        pace.age().as_millis()
    }

    #[test]
    fn batches_wait_for_three_writes_within_bounds() {
        assert_eq!(after(0, 0, 0), 20);
        assert_eq!(after(100, 3, 0), 20);
        assert!((85..=90).contains(&after(100, 30, 0)));
        assert_eq!(after(100, 5_000, 0), 1_000);
    }

    #[test]
    fn many_parts_slow_the_writing_down_before_the_server_does() {
        assert_eq!(after(0, 0, 100), 20);
        assert!((500..=520).contains(&after(0, 0, 250)));
        assert!((999..=1_000).contains(&after(0, 0, 5_000)));
    }
}
