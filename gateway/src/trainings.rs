//! Asking the trainer for a model, and hearing what became of it.
//!
//! A request goes to `driftmill.trainings`; the trainer answers on `driftmill.runs` with the request's id. One reader
//! hands each final state to whoever waits for it. Who stops waiting leaves nothing behind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use driftmill_platform::kafka::{self, Outgoing, Producer};
use driftmill_schemas::message::{RunEvent, TrainingRequest};
use driftmill_schemas::topic;
use tokio::sync::oneshot;
use tracing::warn;
use uuid::Uuid;

/// Clients that may wait for a training at once.
const MOST_WAITING: usize = 64;

/// The port to the trainer.
#[async_trait]
pub(crate) trait TrainingBus: Send + Sync {
    /// Publishes a request and waits until it is kept.
    async fn publish(&self, request: &TrainingRequest) -> Result<(), kafka::Error>;
}

#[async_trait]
impl TrainingBus for Producer {
    async fn publish(&self, request: &TrainingRequest) -> Result<(), kafka::Error> {
        // A struct of texts and JSON values is always JSON.
        let payload = serde_json::to_vec(request).unwrap_or_default();
        let key = request.pipeline.clone().into_bytes();
        self.send(topic::TRAININGS, Outgoing { key, payload, ..Outgoing::default() }).await.map(|_| ())
    }
}

/// Why nobody waits for a training.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Outcomes are not read yet, so the answer could be missed.
    #[error("the gateway does not follow the trainings yet: Kafka is away or starting; try again in a few seconds")]
    NotReady,
    /// Too many clients wait.
    #[error("{MOST_WAITING} trainings are being waited for already: try again when one has ended")]
    Busy,
    /// The request could not be published.
    #[error("the training could not be requested: {0}")]
    Publish(#[from] kafka::Error),
}

type Waiting = Mutex<HashMap<Uuid, oneshot::Sender<RunEvent>>>;

/// Requests trainings and dispatches their outcomes.
pub(crate) struct Trainings {
    bus: Arc<dyn TrainingBus>,
    waiting: Arc<Waiting>,
    ready: AtomicBool,
}

impl Trainings {
    /// Trainings requested over `bus`.
    pub(crate) fn new(bus: Arc<dyn TrainingBus>) -> Self {
        Self { bus, waiting: Arc::default(), ready: AtomicBool::new(false) }
    }

    /// Says that every outcome from now on will be [`observed`](Self::observe).
    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Publishes a request; the outcome comes to the one who holds the returned ticket.
    pub(crate) async fn request(&self, request: &TrainingRequest) -> Result<Ticket, Error> {
        if !self.ready.load(Ordering::Acquire) {
            return Err(Error::NotReady);
        }
        // Wait first, publish then: the answer may be faster than we are.
        let ticket = self.wait_for(request.id)?;
        self.bus.publish(request).await?;
        Ok(ticket)
    }

    /// Publishes a request whose outcome nobody waits for here.
    pub(crate) async fn wish(&self, request: &TrainingRequest) -> Result<(), Error> {
        Ok(self.bus.publish(request).await?)
    }

    /// Takes one record of the topic of runs.
    pub(crate) fn observe(&self, payload: &[u8]) {
        let event: RunEvent = match serde_json::from_slice(payload) {
            Ok(event) => event,
            Err(error) => return warn!(%error, "an event of a run cannot be read; passing over it"),
        };
        if let Some(id) = event.request_id.filter(|_| event.state.is_final())
            && let Some(waiting) = lock(&self.waiting).remove(&id)
        {
            // The client may have gone in this very moment.
            let _ = waiting.send(event);
        }
    }

    fn wait_for(&self, id: Uuid) -> Result<Ticket, Error> {
        let (sender, outcome) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= MOST_WAITING {
            return Err(Error::Busy);
        }
        waiting.insert(id, sender);
        Ok(Ticket { id, outcome, waiting: Arc::clone(&self.waiting) })
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }
}

/// A place in the list of those who wait.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: Uuid,
    outcome: oneshot::Receiver<RunEvent>,
    waiting: Arc<Waiting>,
}

impl Ticket {
    /// Waits for the outcome; `None` if it can no longer come.
    pub(crate) async fn outcome(&mut self) -> Option<RunEvent> {
        (&mut self.outcome).await.ok()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.waiting).remove(&self.id);
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<Uuid, oneshot::Sender<RunEvent>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
