//! Moves items from a source to a sink.
//!
//! Two halves run side by side. One reads, paces and starts messages; the other waits for their acknowledgements in the
//! order of the items, counts them and writes checkpoints. The queue between them bounds what is in flight.

use std::collections::HashSet;
use std::time::Duration;

use driftmill_platform::clock::SharedClock;
use driftmill_platform::kafka::{Headers, MAX_RECORD_BYTES, Outgoing};
use driftmill_platform::store::Store;
use driftmill_schemas::name::shortened;
use driftmill_schemas::record::Encoder;
use driftmill_schemas::topic::Topics;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Error;
use crate::checkpoint::SOURCES_TOPIC;
use crate::dead_letter::dead_letter;
use crate::encode::outgoing;
use crate::job::Job;
use crate::keeper::{Keeper, Lane, Spot, Step};
use crate::plan::Plan;
use crate::progress::{Progress, Summary, Unread};
use crate::rate::Limiter;
use crate::resume::resume;
use crate::sink::Sink;
use crate::source::{Content, Identity, Item, Live, Opening, Position, Reason, RecordSource};
use crate::surroundings::Surroundings;

/// How often a checkpoint is written: what the next run must read of the topics after a crash.
pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// Messages that wait for their acknowledgement, at most. Their bytes are bounded by the producer's queue.
const IN_FLIGHT: usize = 10_000;
/// Items read at once, and the bytes of originals that end such a batch early.
const BATCH_ITEMS: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
/// How long a cancelled run waits for acknowledgements, and for its last checkpoint.
const DRAIN: Duration = Duration::from_secs(3);
const LAST_WORD: Duration = Duration::from_secs(1);
/// Characters of a reason that a summary shows.
const REASON_SHOWN: usize = 300;

/// What a run works with.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub store: &'a Store,
    pub clock: &'a SharedClock,
    pub progress: &'a watch::Sender<Progress>,
    pub checkpoint_every: Duration,
    /// What sources that are no files read.
    pub around: &'a Surroundings,
}

/// A message under way, or an item that needs none.
struct Pending<A> {
    step: Step,
    message: Option<(Lane, A)>,
    unread: Option<(&'static str, Unread)>,
}

/// Sends the job's source through `sink`; see [`crate::run`].
pub(crate) async fn produce<S: Sink>(
    sink: &S,
    job: &Job,
    tools: Tools<'_>,
    cancel: &CancellationToken,
) -> Result<Summary, Error> {
    let plan = Plan::new(job)?;
    let limiter =
        Limiter::new(plan.rate).map_err(|reason| Error::Declaration { source_name: plan.name.clone(), reason })?;
    let topics = Topics::of(&plan.pipeline);
    let flow = Flow { sink, plan: &plan, topics: &topics, tools, encoder: Encoder::new(&job.loaded, job.framing) };
    // A source that waits for something to come ends with the run, also with one that failed.
    let stop = cancel.child_token();
    let _stop = stop.clone().drop_guard();
    let prepared = async {
        let mut keeper = resume(sink, &plan, &topics, tools.store, plan.restart).await?;
        let memory = keeper.memory();
        let opening = Opening {
            position: keeper.position(),
            state: memory.state.clone(),
            places: memory.places.clone(),
            known: memory.known.all(tools.store).await?,
            live: Live {
                runtime: Handle::current(),
                cancel: stop.clone(),
                progress: tools.progress.clone(),
                clock: tools.clock.clone(),
                framing: job.framing,
                around: tools.around.clone(),
            },
        };
        let (opener, loaded) = (plan.clone(), job.loaded.clone());
        let source = blocking(move || opener.open(&loaded, opening)).await??;
        keeper.begin_at(source.places());
        // From here on the offsets are known by which the next run finds what this one sends.
        flow.save(&mut keeper, false).await?;
        Ok::<_, Error>((source, keeper))
    };
    let (source, keeper) = tokio::select! {
        biased;
        () = cancel.cancelled() => return Ok(Summary::default()),
        prepared = prepared => prepared?,
    };
    flow.run(source, keeper, limiter, cancel, stop).await
}

struct Flow<'a, S> {
    sink: &'a S,
    plan: &'a Plan,
    topics: &'a Topics,
    tools: Tools<'a>,
    encoder: Encoder<'a>,
}

impl<S: Sink> Flow<'_, S> {
    async fn run(
        &self,
        source: Box<dyn RecordSource>,
        mut keeper: Keeper,
        limiter: Limiter,
        cancel: &CancellationToken,
        stop: CancellationToken,
    ) -> Result<Summary, Error> {
        let total = source.total_hint();
        let start = keeper.position();
        self.tools.progress.send_replace(Progress {
            already_there: start.sequence,
            position: start,
            total,
            ..Progress::default()
        });
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let lanes = [keeper.partitions(Lane::Raw), keeper.partitions(Lane::Rejected)];
        let sending = self.send(source, keeper.present().collect(), lanes, limiter, sender, &stop);
        let mut settled = Settled::new(start);
        let settling = self.settle(receiver, &mut keeper, &mut settled, &stop);
        let drained = async {
            tokio::select! {
                () = settling => true,
                () = async { cancel.cancelled().await; tokio::time::sleep(DRAIN).await } => false,
            }
        };
        let (sent, drained) = tokio::join!(sending, drained);
        let quiet = drained && settled.fault.is_none();
        let last = tokio::time::timeout(
            if cancel.is_cancelled() { LAST_WORD } else { Duration::MAX },
            self.save(&mut keeper, quiet),
        );
        match last.await {
            Ok(Ok(())) => {}
            // The topics tell what this checkpoint would have told.
            Ok(Err(error)) => warn!(source = self.plan.key, %error, "the last checkpoint could not be written"),
            Err(_) => warn!(source = self.plan.key, "the last checkpoint was not acknowledged in time"),
        }
        let mut summary = settled.summary;
        let polled = *self.tools.progress.borrow();
        (summary.polls, summary.failed_polls) = (polled.polls, polled.failed_polls);
        if let Some(fault) = settled.fault {
            return Err(fault);
        }
        summary.complete = sent? && drained;
        summary.position = keeper.position();
        if summary.complete && summary.position.sequence == 0 {
            summary.notes.push(format!("`{}` holds no records", self.plan.origin));
        }
        Ok(summary)
    }

    /// Reads, paces and starts messages until the source ends (true) or `stop` fires (false).
    async fn send(
        &self,
        mut source: Box<dyn RecordSource>,
        present: HashSet<Identity>,
        partitions: [usize; 2],
        mut limiter: Limiter,
        pending: mpsc::Sender<Pending<S::Acknowledgement>>,
        stop: &CancellationToken,
    ) -> Result<bool, Error> {
        loop {
            // A pipe may have nothing to read for as long as it likes.
            let (back, items, fault) = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(false),
                read = blocking(move || batch(source)) => read?,
            };
            source = back;
            if items.is_empty() {
                return fault.map_or(Ok(true), Err);
            }
            for mut item in items {
                if self.plan.limit.is_some_and(|limit| item.sequence >= limit) {
                    return Ok(true);
                }
                let step = step(&mut item);
                // A place for the acknowledgement comes first: nothing is ever started that nobody waits for.
                let place = tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(false),
                    place = pending.reserve() => match place {
                        Ok(place) => place,
                        Err(_) => return Ok(false),
                    },
                };
                let done = self.plan.limit.is_some_and(|limit| step.next.sequence >= limit);
                if item.content == Content::Nothing || present.contains(&step.identity) {
                    place.send(Pending { step, message: None, unread: None });
                    if done {
                        return Ok(true);
                    }
                    continue;
                }
                let started = async {
                    limiter.turn().await;
                    let (lane, message, unread) = self.message(item, partitions).await?;
                    let topic = if lane == Lane::Raw { &self.topics.raw } else { &self.topics.rejected };
                    let acknowledgement = self.sink.start(topic, message).await?;
                    Ok::<_, Error>(Pending { step, message: Some((lane, acknowledgement)), unread })
                };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(false),
                    started = started => place.send(started?),
                }
                // Who waits for the next one may wait for long.
                if done {
                    return Ok(true);
                }
            }
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
    }

    /// The message that an item becomes.
    async fn message(
        &self,
        item: Item,
        partitions: [usize; 2],
    ) -> Result<(Lane, Outgoing, Option<(&'static str, Unread)>), Error> {
        let (identity, more) = (item.identity(), item.more.as_deref());
        let timestamp = more.and_then(|more| more.timestamp);
        let place = more.and_then(|more| more.place.clone());
        let place = place.unwrap_or_else(|| format!("{}:{}", self.plan.origin, item.line));
        let make = |lane, key, payload, headers| {
            let count = partitions[usize::from(lane == Lane::Rejected)];
            let message = outgoing(key, payload, headers, &self.plan.key, (identity, item.sequence), count);
            Outgoing { timestamp: Some(timestamp.unwrap_or_else(|| self.tools.clock.now())), ..message }
        };
        let (reason, original) = match item.content {
            Content::Unreadable { reason, original } => (reason, original),
            Content::Framed(record, payload) => {
                return Ok((Lane::Raw, make(Lane::Raw, self.encoder.key(&record), payload, Headers::new()), None));
            }
            // Nobody sends it.
            Content::Nothing => (Reason::Json(String::new()), Vec::new()),
            Content::Record(record) => match self.encoder.payload(&record) {
                Ok(payload) if payload.len() <= MAX_RECORD_BYTES => {
                    return Ok((Lane::Raw, make(Lane::Raw, self.encoder.key(&record), payload, Headers::new()), None));
                }
                // The encoded record is the only original there is here.
                Ok(payload) => (Reason::too_long(payload.len() as u64, payload.len()), payload),
                Err(error) => (Reason::Value(error), format!("{record:?}").into_bytes()),
            },
        };
        let (headers, value) = dead_letter(self.tools.store, &place, &reason, original).await?;
        let unread = Unread { place, reason: shortened(&reason.to_string(), REASON_SHOWN) };
        // Keyed by the item, so that a reader who keeps the last of each key holds one, as for every dead letter.
        let mut message = make(Lane::Rejected, Vec::new(), value, headers);
        message.key = format!("{}:{identity}", self.plan.key).into_bytes();
        Ok((Lane::Rejected, message, Some((reason.kind(), unread))))
    }

    /// Waits for the acknowledgements in order. After one that failed, the others are still waited for, so that nothing is
    /// in flight when the error is returned, but nothing counts any more.
    async fn settle(
        &self,
        mut pending: mpsc::Receiver<Pending<S::Acknowledgement>>,
        keeper: &mut Keeper,
        settled: &mut Settled,
        stop: &CancellationToken,
    ) {
        let (mut saved, mut behind) = (Instant::now(), false);
        loop {
            let due = saved + self.tools.checkpoint_every.max(keeper.patience());
            let received = tokio::select! {
                biased;
                received = pending.recv() => received,
                // Nothing more comes for now: the next run is to find this one at its end.
                () = tokio::time::sleep_until(due), if behind && settled.fault.is_none() => {
                    self.save_by_the_way(keeper).await;
                    (saved, behind) = (Instant::now(), false);
                    continue;
                }
            };
            let Some(Pending { step, message, unread }) = received else { return };
            let spot = match message {
                None => None,
                Some((lane, acknowledgement)) => match acknowledgement.await {
                    Ok((partition, offset)) => {
                        Some(Spot { lane, partition: usize::try_from(partition).unwrap_or_default(), offset })
                    }
                    Err(error) => {
                        settled.fault.get_or_insert(error);
                        stop.cancel();
                        continue;
                    }
                },
            };
            if settled.fault.is_some() {
                continue;
            }
            let next = step.next;
            let nothing = next.sequence == keeper.position().sequence;
            keeper.advance(step, spot);
            if !nothing {
                settled.count(spot, unread);
            }
            self.tools.progress.send_modify(|progress| settled.report(progress, next));
            behind = true;
            if Instant::now() >= due {
                self.save_by_the_way(keeper).await;
                (saved, behind) = (Instant::now(), false);
            }
        }
    }

    /// A stale checkpoint is a true one, as the topics tell the rest: without this one, it goes on.
    async fn save_by_the_way(&self, keeper: &mut Keeper) {
        if let Err(error) = self.save(keeper, false).await {
            warn!(source = self.plan.key, %error, "a checkpoint could not be written");
        }
    }

    async fn save(&self, keeper: &mut Keeper, quiet: bool) -> Result<(), Error> {
        if !self.plan.forgets() {
            keeper.seal(self.tools.store).await?;
        }
        let evidence = self.plan.evidence(keeper.position()).await;
        let at = self.tools.clock.now();
        let checkpoint = keeper.checkpoint(&self.plan.pipeline, &self.plan.key, quiet, evidence, at);
        let message = Outgoing {
            key: checkpoint.key().into_bytes(),
            // It is made of strings and numbers, which always are JSON.
            payload: serde_json::to_vec(&checkpoint).unwrap_or_default(),
            headers: Headers::new(),
            timestamp: Some(at),
            partition: Some(0),
        };
        self.sink.start(SOURCES_TOPIC, message).await?.await?;
        Ok(())
    }
}

/// What the acknowledgements came to.
struct Settled {
    summary: Summary,
    fault: Option<Error>,
}

impl Settled {
    fn new(start: Position) -> Self {
        Self { summary: Summary { skipped_already_there: start.sequence, ..Summary::default() }, fault: None }
    }

    fn count(&mut self, spot: Option<Spot>, unread: Option<(&'static str, Unread)>) {
        match (spot, unread) {
            (None, _) => self.summary.skipped_already_there += 1,
            (Some(_), None) => self.summary.sent += 1,
            (Some(_), Some((kind, unread))) => self.summary.add_unread(kind, unread),
        }
    }

    fn report(&self, progress: &mut Progress, position: Position) {
        progress.sent = self.summary.sent;
        progress.already_there = self.summary.skipped_already_there;
        progress.unreadable = self.summary.unreadable;
        progress.position = position;
    }
}

/// What is true once `item` is done; takes it out of the item.
fn step(item: &mut Item) -> Step {
    let identity = item.identity();
    let (state, forget) =
        item.more.as_mut().map(|more| (more.state.take(), std::mem::take(&mut more.forget))).unwrap_or_default();
    Step { next: item.next, identity, state, forget }
}

type Batch = (Box<dyn RecordSource>, Vec<Item>, Option<Error>);

/// Some items; none at the end. What was read before an error comes with it.
fn batch(mut source: Box<dyn RecordSource>) -> Batch {
    let (mut items, mut bytes) = (Vec::with_capacity(BATCH_ITEMS), 0);
    while items.len() < BATCH_ITEMS && bytes < BATCH_BYTES {
        match source.next() {
            Ok(Some(item)) => {
                let before = items.last().map_or(item.next.bytes, |last: &Item| last.next.bytes);
                bytes += (item.next.bytes - before) as usize + item.weight();
                items.push(item);
                if !source.at_hand() {
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => return (source, items, Some(error)),
        }
    }
    (source, items, None)
}

/// Runs what may block on the disk where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::ShuttingDown),
    }
}

#[cfg(test)]
mod tests;
