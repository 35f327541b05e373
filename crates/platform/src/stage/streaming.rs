//! Consumes a topic with a stage that works on messages as they come. Only what it makes of them is held until it is
//! written, so that a large insert needs no large batch of messages before it. There are two outputs at most: one that grows,
//! and one that is being written.
//!
//! ```text
//! piece ─► add ─┐ held, until it is old or large enough and the last output is written
//! piece ─► add ─┼─────────────────────────────────────────────► finish ─► writer
//! piece ─► add ─┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::runner::{self, Feed};
use super::writer::Work;
use super::{Error, Output, Streaming};
use crate::backoff::{Backoff, unless_late};
use crate::error::{Retry, Retryable as _};
use crate::kafka::{Age, BatchPolicy, Consumer, Coverage, Handle, MessageBatch, OffsetRange};

/// Messages gone through together: what is made of them stays in the processor's caches, and is small beside the output.
pub const PIECE: usize = 4_096;

/// How pieces are gathered. Under load they are full at once; else a few milliseconds of messages are worth the work that
/// every piece is, whatever its size.
const PIECES: BatchPolicy = BatchPolicy { rows: PIECE, bytes: 2 << 20, age: Duration::from_millis(5) };

/// Feeds a streaming stage.
pub(super) struct Pieces<S> {
    pub(super) stage: S,
    /// Bytes of output that are enough for an insert.
    pub(super) enough: usize,
    /// How long what is held waits for company.
    pub(super) age: Age,
    pub(super) cancel: CancellationToken,
}

/// What was added since the last output.
#[derive(Default)]
struct Held {
    coverage: BTreeMap<i32, Coverage>,
    since: Option<Instant>,
    bytes: usize,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.coverage.is_empty()
    }

    /// Whether every partition of `piece` goes on where it stands here. One that was elsewhere meanwhile does not.
    fn is_followed_by(&self, piece: &[Coverage]) -> bool {
        piece.iter().all(|next| self.coverage.get(&next.range.partition).is_none_or(|held| held.is_followed_by(next)))
    }

    fn add(&mut self, piece: Vec<Coverage>, bytes: usize) {
        for next in piece {
            match self.coverage.get_mut(&next.range.partition) {
                Some(held) => held.append(next),
                None => drop(self.coverage.insert(next.range.partition, next)),
            }
        }
        self.bytes = bytes;
        self.since.get_or_insert_with(Instant::now);
    }
}

impl<S: Streaming> Feed for Pieces<S> {
    fn name(&self) -> &str {
        self.stage.name()
    }

    fn gathering(&self) -> BatchPolicy {
        PIECES
    }

    fn paced(&self, _: &Handle) -> Age {
        self.age.clone()
    }

    async fn feed(&mut self, consumer: &mut Consumer, writer: mpsc::Sender<Work>) -> Result<(), Error> {
        // An earlier member of the group may have been fenced in the middle.
        self.stage.discard();
        let mut outlet = Outlet { writer, written: None };
        let mut held = Held::default();
        loop {
            let due = held.since.map(|since| since + self.age.get());
            let is_full = held.bytes >= self.enough;
            let is_due = !held.is_empty() && (is_full || due.is_some_and(|due| due <= Instant::now()));
            tokio::select! {
                biased;
                is_ready = outlet.ready(), if is_due => {
                    if !(is_ready && outlet.send(self.finish(&mut held)?).await) {
                        return Ok(());
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if !is_due && due.is_some() => {}
                // While the writer is busy the output grows, up to its limit.
                piece = consumer.next(), if !is_full => {
                    let piece = match piece {
                        None => return Ok(()),
                        Some(Ok(piece)) => piece,
                        Some(Err(error)) => {
                            runner::complain(self.stage.name(), error)?;
                            continue;
                        }
                    };
                    if !self.take(&piece, &mut held, &mut outlet).await? {
                        return Ok(());
                    }
                    consumer.recycle(piece);
                }
            }
        }
    }
}

/// Where outputs go, one after the other.
struct Outlet {
    writer: mpsc::Sender<Work>,
    /// Tells when the last one is written.
    written: Option<oneshot::Receiver<()>>,
}

impl Outlet {
    /// Waits until the last output is written; false when it never will be. May be given up and asked again.
    async fn ready(&mut self) -> bool {
        let Some(written) = &mut self.written else { return true };
        let is_written = written.await.is_ok();
        if is_written {
            self.written = None;
        }
        is_written
    }

    /// Hands an output over; false when nobody takes it any more.
    async fn send(&mut self, finished: Finished) -> bool {
        let (done, written) = oneshot::channel();
        self.written = Some(written);
        let Finished { coverage, output } = finished;
        self.writer.send(Work { coverage, output, done, entered_later: true }).await.is_ok()
    }
}

/// An output, and the offsets it is of.
struct Finished {
    coverage: Vec<Coverage>,
    output: Output,
}

impl<S: Streaming> Pieces<S> {
    /// Adds a piece, repeated until it is in; false when there is nobody to do it for any more.
    async fn take(&mut self, piece: &MessageBatch, held: &mut Held, outlet: &mut Outlet) -> Result<bool, Error> {
        let coverage = piece.coverage();
        if !held.is_followed_by(&coverage) && !self.flush(held, outlet).await? {
            return Ok(false);
        }
        let seed = piece.offsets().first().copied().unwrap_or_default().unsigned_abs();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5), seed);
        loop {
            let error = match unless_late(&self.cancel, runner::LATE, self.stage.add(piece)).await {
                None => return Ok(false),
                Some(Ok(bytes)) => {
                    held.add(coverage, bytes);
                    return Ok(true);
                }
                Some(Err(error)) if error.retry() == Retry::Never => return Err(error),
                Some(Err(error)) => error,
            };
            let pause = backoff.pause();
            warn!(stage = self.stage.name(), %error, ?pause, "trying again");
            // What is there already must not wait with it.
            if !self.flush(held, outlet).await? {
                return Ok(false);
            }
            if unless_late(&self.cancel, Duration::ZERO, tokio::time::sleep(pause)).await.is_none() {
                return Ok(false);
            }
        }
    }

    /// Hands over what is held, however little; false when nobody takes it any more.
    async fn flush(&mut self, held: &mut Held, outlet: &mut Outlet) -> Result<bool, Error> {
        if held.is_empty() {
            return Ok(true);
        }
        if unless_late(&self.cancel, runner::LATE, outlet.ready()).await != Some(true) {
            return Ok(false);
        }
        Ok(outlet.send(self.finish(held)?).await)
    }

    fn finish(&mut self, held: &mut Held) -> Result<Finished, Error> {
        let coverage: Vec<Coverage> = std::mem::take(held).coverage.into_values().collect();
        let ranges: Vec<OffsetRange> = coverage.iter().map(|coverage| coverage.range.clone()).collect();
        let output = self.stage.finish(&ranges)?;
        Ok(Finished { coverage, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(partition: i32, from: i64, to: i64) -> Coverage {
        Coverage::from(OffsetRange { topic: "t".to_owned(), partition, from, to })
    }

    #[test]
    fn pieces_of_any_partitions_are_held_as_one_range_each() {
        let mut held = Held::default();
        for (piece, bytes) in
            [(vec![covers(1, 4, 9)], 10), (vec![covers(0, 7, 8), covers(1, 9, 10)], 25), (vec![covers(0, 8, 20)], 40)]
        {
            assert!(held.is_followed_by(&piece));
            held.add(piece, bytes);
        }
        let found: Vec<_> = held.coverage.values().map(|c| (c.range.partition, c.range.from, c.range.to)).collect();
        assert_eq!((found, held.bytes), (vec![(0, 7, 20), (1, 4, 10)], 40));
    }

    #[test]
    fn a_partition_that_was_elsewhere_meanwhile_does_not_go_on() {
        let mut held = Held::default();
        held.add(vec![covers(0, 7, 20), covers(1, 0, 5)], 1);
        // Read again from what the ledger has, or from what another processor has written meanwhile.
        for from in [12, 31] {
            assert!(!held.is_followed_by(&[covers(1, 5, 6), covers(0, from, 40)]));
        }
    }
}
