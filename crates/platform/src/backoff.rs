//! Waiting between tries: exponential, jittered from a seed, and cut short by cancellation.

use std::future::Future;
use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use crate::error::{Retry, Retryable};

/// Growing pauses.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    most: Duration,
    random: StdRng,
}

impl Backoff {
    /// Pauses that start at `first`, double, and stay at `most`; each is drawn from the upper half of its length, so that
    /// clients that failed together do not come back together.
    pub fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self { next: first, most, random: StdRng::seed_from_u64(seed) }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let whole = self.next.min(self.most);
        self.next = (whole * 2).min(self.most);
        whole.mul_f64(self.random.random_range(0.5..=1.0))
    }
}

/// Calls `attempt` until it succeeds, fails for good, or `cancel` fires (then the last error is returned). `told` hears
/// of every failure that is followed by another try.
pub async fn until_done<T, E, F, Fut>(
    cancel: &CancellationToken,
    mut backoff: Backoff,
    mut told: impl FnMut(&E, Duration),
    mut attempt: F,
) -> Result<T, E>
where
    E: Retryable,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) if error.retry() == Retry::Never => return Err(error),
            Err(error) => {
                let pause = backoff.pause();
                told(&error, pause);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancel.cancelled() => return Err(error),
                }
            }
        }
    }
}

/// Awaits `work`, for `late` more after `cancel` fires; then it is given up.
pub async fn unless_late<T>(cancel: &CancellationToken, late: Duration, work: impl Future<Output = T>) -> Option<T> {
    let too_late = async {
        cancel.cancelled().await;
        tokio::time::sleep(late).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = too_late => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_are_the_same_for_the_same_seed() {
        let draw = |seed| {
            let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(800), seed);
            (0..6).map(|_| backoff.pause().as_millis()).collect::<Vec<_>>()
        };
        let pauses = draw(1);
        for (pause, whole) in pauses.iter().zip([100, 200, 400, 800, 800, 800]) {
            assert!((whole / 2..=whole).contains(pause), "{pauses:?}");
        }
        assert_eq!(pauses, draw(1));
    }

    #[derive(Debug, PartialEq)]
    struct Fault(Retry);

    impl Retryable for Fault {
        fn retry(&self) -> Retry {
            self.0
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_that_is_for_good_is_not_tried_again() {
        let mut tries = 0;
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(1), 0);
        let outcome: Result<(), _> = until_done(
            &CancellationToken::new(),
            backoff,
            |_, _| (),
            || {
                tries += 1;
                let fault = if tries < 3 { Retry::Later } else { Retry::Never };
                async move { Err(Fault(fault)) }
            },
        )
        .await;
        assert_eq!((outcome, tries), (Err(Fault(Retry::Never)), 3));
    }
}
