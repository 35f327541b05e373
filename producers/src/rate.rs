//! At most so many records a second, evenly.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What may be caught up after a pause: longer ones do not end in a burst.
const SLACK: Duration = Duration::from_millis(100);

/// Paces the caller.
#[derive(Debug)]
pub(crate) struct Limiter {
    interval: Option<Duration>,
    due: Option<Instant>,
}

impl Limiter {
    /// `rate` records a second; `None` is no limit. `Err` says what is wrong with the rate.
    pub(crate) fn new(rate: Option<f64>) -> Result<Self, String> {
        let interval = match rate {
            None => None,
            Some(rate) if rate > 0.0 && rate.is_finite() => Some(
                Duration::try_from_secs_f64(1.0 / rate)
                    .map_err(|_| format!("a rate of {rate} records a second is too low"))?,
            ),
            Some(rate) => return Err(format!("a rate of {rate} records a second: give a number above 0")),
        };
        Ok(Self { interval, due: None })
    }

    /// Waits for the next record's turn. Cancelled, it takes no turn.
    pub(crate) async fn turn(&mut self) {
        let Some(interval) = self.interval else { return };
        let now = Instant::now();
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        let due = self.due.map_or(now, |due| due.max(earliest));
        if due > now {
            sleep_until(due).await;
        }
        self.due = due.checked_add(interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn records_come_evenly() {
        let (mut limiter, start) = (Limiter::new(Some(10.0)).unwrap(), Instant::now());
        let mut at = Vec::new();
        for _ in 0..4 {
            limiter.turn().await;
            at.push(start.elapsed().as_millis());
        }
        assert_eq!(at, [0, 100, 200, 300]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_caught_up_in_a_burst() {
        let mut limiter = Limiter::new(Some(1_000.0)).unwrap();
        limiter.turn().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..1_100 {
            limiter.turn().await;
        }
        assert!((995..=1_005).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    }

    #[test]
    fn rates_that_mean_nothing_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert!(Limiter::new(Some(rate)).is_err(), "{rate}");
        }
        assert!(Limiter::new(None).is_ok());
    }
}
