//! The prediction log: every answered row becomes a record of `<pipeline>.predictions`.
//!
//! ```text
//! answered rows ─┬─► permits left ──► task: serialise, enqueue, await ─┬─► acknowledged
//!                └─► none left ─────► dropped (full)                   └─► dropped (delivery, shutdown)
//! ```
//! Responses never wait for it. Memory is bounded by the permits; what finds none, or is refused by Kafka, is counted, so
//! that at any time: rows answered = acknowledged + dropped + on their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use driftmill_platform::clock::SharedClock;
use driftmill_platform::kafka::{Outgoing, Producer};
use driftmill_schemas::message::Prediction;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::meters::{Drop as Reason, Meters};

/// Rows that may be on their way to Kafka at once.
const ROWS_IN_FLIGHT: u32 = 50_000;
/// Characters of a failure that are kept.
const MOST_TOLD: usize = 500;
/// Between two warnings about rows that were dropped, milliseconds.
const WARN_EVERY: i64 = 10_000;

/// The port to the stream.
pub(crate) trait Sink: Send + Sync {
    /// Sends the records in order; the future yields how many were acknowledged, and the first error if not all were.
    /// While the queue is full it waits.
    fn deliver(&self, topic: Arc<str>, records: Vec<Outgoing>) -> BoxFuture<'static, (usize, Option<String>)>;
}

impl Sink for Producer {
    fn deliver(&self, topic: Arc<str>, records: Vec<Outgoing>) -> BoxFuture<'static, (usize, Option<String>)> {
        let producer = self.clone();
        Box::pin(async move {
            let mut fault = None;
            let mut waiting = Vec::with_capacity(records.len());
            for record in records {
                match producer.start(&topic, record).await {
                    Ok(acknowledgement) => waiting.push(acknowledgement),
                    Err(error) => fault = fault.or(Some(error.to_string())),
                }
            }
            let mut acknowledged = 0;
            for acknowledgement in waiting {
                match acknowledgement.wait().await {
                    Ok(_) => acknowledged += 1,
                    Err(error) => fault = fault.or(Some(error.to_string())),
                }
            }
            (acknowledged, fault)
        })
    }
}

/// Sends answers to the log.
pub(crate) struct PredictionLog {
    sink: Arc<dyn Sink>,
    permits: Arc<Semaphore>,
    capacity: u32,
    on_their_way: TaskTracker,
    shared: Arc<Shared>,
}

struct Shared {
    meters: Meters,
    clock: SharedClock,
    warned_at: AtomicI64,
}

impl PredictionLog {
    /// A log into `sink`.
    pub(crate) fn new(sink: Arc<dyn Sink>, meters: Meters, clock: SharedClock) -> Self {
        Self::with_capacity(sink, meters, clock, ROWS_IN_FLIGHT)
    }

    /// A log that lets `rows` rows be on their way at once.
    pub(crate) fn with_capacity(sink: Arc<dyn Sink>, meters: Meters, clock: SharedClock, rows: u32) -> Self {
        Self {
            sink,
            permits: Arc::new(Semaphore::new(rows as usize)),
            capacity: rows,
            on_their_way: TaskTracker::new(),
            shared: Arc::new(Shared { meters, clock, warned_at: AtomicI64::new(i64::MIN) }),
        }
    }

    /// Takes an answer. Never waits.
    pub(crate) fn record(&self, asked: &Asked, answer: Answer) {
        let (model, rows) = (&asked.served.name, answer.rows());
        self.shared.meters.answered(model, &answer);
        let wanted = u32::try_from(rows).unwrap_or(u32::MAX).min(self.capacity);
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_many_owned(wanted) else {
            self.shared.dropped(model, rows, Reason::Full, "too many rows wait for Kafka");
            return;
        };
        self.shared.meters.enqueued(model, rows);
        let mut way = OnItsWay { shared: Arc::clone(&self.shared), model: Arc::clone(model), rows, _permit: permit };
        let (sink, topic) = (Arc::clone(&self.sink), Arc::clone(&asked.served.topic));
        let (id, dialect, at) = (asked.id.clone(), asked.dialect, self.shared.clock.now());
        self.on_their_way.spawn(async move {
            let records = predictions(&answer, id.as_str(), dialect, at).iter().map(record).collect();
            drop(answer);
            let (acknowledged, fault) = sink.deliver(topic, records).await;
            way.arrived(acknowledged, fault.as_deref());
        });
    }

    /// Takes an answer that nobody was told. It is left out where the log is busy: what was told comes first.
    pub(crate) fn record_unheard(&self, asked: &Asked, answer: Answer) {
        let (at, rows) = (self.shared.clock.now(), answer.rows());
        let kept = self.beside(asked, rows, false, move |id, dialect| {
            let mut predictions = predictions(&answer, id, dialect, at);
            predictions.iter_mut().for_each(|prediction| prediction.shadow = true);
            predictions
        });
        if kept {
            self.shared.meters.compared(&asked.served.name);
        }
    }

    /// Takes that a version failed to answer a request, which another one answered.
    pub(crate) fn record_failure(&self, asked: &Asked, version: u64, shadow: bool, why: &str) {
        let (at, failure) = (self.shared.clock.now(), why.chars().take(MOST_TOLD).collect());
        // As likely to be kept as the answer would have been: one that was heard is always logged.
        let kept = self.beside(asked, 1, !shadow, move |id, dialect| {
            vec![Prediction {
                request_id: id.to_owned(),
                row: 0,
                at,
                model_version: version,
                dialect: dialect.to_owned(),
                entity: None,
                features: Default::default(),
                texts: Default::default(),
                prediction: String::new(),
                probabilities: Vec::new(),
                value: None,
                interval: None,
                shadow,
                micros: 0,
                failure,
            }]
        });
        if kept {
            self.shared.meters.failed_to_answer(&asked.served.name);
        }
    }

    /// Sends what is kept beside the answers that were told; whether there was room.
    fn beside(
        &self,
        asked: &Asked,
        rows: usize,
        is_due: bool,
        make: impl FnOnce(&str, &str) -> Vec<Prediction> + Send + 'static,
    ) -> bool {
        let wanted = u32::try_from(rows).unwrap_or(u32::MAX).min(self.capacity);
        let busy = !is_due && self.permits.available_permits() < self.capacity as usize / 2;
        let permit = Arc::clone(&self.permits).try_acquire_many_owned(wanted);
        let (Ok(permit), false) = (permit, busy) else {
            self.shared.meters.not_compared(&asked.served.name);
            return false;
        };
        let (sink, topic) = (Arc::clone(&self.sink), Arc::clone(&asked.served.topic));
        let (id, dialect) = (asked.id.clone(), asked.dialect);
        self.on_their_way.spawn(async move {
            let records = make(id.as_str(), dialect).iter().map(record).collect();
            // Evidence that is missing is missed by nobody: a rollout waits for more.
            let _ = sink.deliver(topic, records).await;
            drop(permit);
        });
        true
    }

    /// Waits until what is on its way has arrived, or `limit` is over; what has not arrived then is counted as dropped
    /// when the runtime ends its task.
    pub(crate) async fn close(&self, limit: Duration) {
        self.on_their_way.close();
        if tokio::time::timeout(limit, self.on_their_way.wait()).await.is_err() {
            warn!(requests = self.on_their_way.len(), "the prediction log did not reach Kafka before the shutdown");
        }
    }
}

/// Rows between the log and Kafka; those that have not arrived when it is dropped never will.
struct OnItsWay {
    shared: Arc<Shared>,
    model: Arc<str>,
    rows: usize,
    _permit: OwnedSemaphorePermit,
}

impl OnItsWay {
    fn arrived(&mut self, acknowledged: usize, fault: Option<&str>) {
        let rows = std::mem::take(&mut self.rows);
        self.shared.meters.acknowledged(&self.model, acknowledged);
        if acknowledged < rows {
            let fault = fault.unwrap_or("no acknowledgement");
            self.shared.dropped(&self.model, rows - acknowledged, Reason::Delivery, fault);
        }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if self.rows > 0 {
            self.shared.dropped(&self.model, self.rows, Reason::Shutdown, "the process ends");
        }
    }
}

impl Shared {
    fn dropped(&self, model: &Arc<str>, rows: usize, why: Reason, because: &str) {
        self.meters.dropped(model, rows, why);
        let now = self.clock.now();
        let last = self.warned_at.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= WARN_EVERY;
        if due && self.warned_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            warn!(
                pipeline = &**model,
                rows, because, "answered rows are missing in the prediction log; see the metrics"
            );
        }
    }
}

fn predictions(answer: &Answer, request_id: &str, dialect: &str, at: i64) -> Vec<Prediction> {
    let rows = (0..answer.rows()).map(|row| {
        let value = answer.values().get(row).copied();
        let prediction = match value {
            Some(value) => value.to_string(),
            None => answer.class_name(row).to_owned(),
        };
        Prediction {
            request_id: request_id.to_owned(),
            row: u32::try_from(row).unwrap_or(u32::MAX),
            at,
            model_version: answer.model().version,
            dialect: dialect.to_owned(),
            entity: answer.entity(row).map(str::to_owned),
            features: answer.named_features(row).collect(),
            texts: answer.named_texts(row).collect(),
            prediction,
            probabilities: answer.probabilities(row).to_vec(),
            // JSON knows no number that is none.
            value: value.filter(|value| value.is_finite()),
            interval: answer.intervals().map(|all| all[row]).filter(|(low, high)| low.is_finite() && high.is_finite()),
            shadow: false,
            micros: answer.micros(),
            failure: String::new(),
        }
    });
    rows.collect()
}

fn record(prediction: &Prediction) -> Outgoing {
    // A struct of texts and finite numbers is always JSON.
    let payload = serde_json::to_vec(prediction).unwrap_or_default();
    let key = prediction.request_id.as_bytes().to_vec();
    Outgoing { key, payload, timestamp: Some(prediction.at), ..Outgoing::default() }
}
