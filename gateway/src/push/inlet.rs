//! The way of pushed records into Kafka: bounded, and answered only when it is known what became of each.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::error::{Retry, Retryable};
use driftmill_platform::kafka::{self, Outgoing, Producer};
use driftmill_platform::schemas::{self, Announce};
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::record::framing::SchemaRef;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::app::Served;
use crate::body;
use crate::fault::Fault;

/// How long Kafka may take to acknowledge a record before it is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// How long the records of one request may wait for a place in the producer's queue.
const QUEUEING: Duration = Duration::from_secs(10);
/// Bytes of bodies that may be in hand at once, from their first byte to their last acknowledgement.
const BYTES_IN_HAND: u32 = 8 * body::LIMIT as u32;
/// What the smallest request counts as.
const LEAST: usize = 4 << 10;

/// The port to Kafka.
pub(crate) trait Broker: Send + Sync {
    /// Sends the records in order and says what became of each. An error is final: the record is not sent later, though
    /// it may have arrived already without our knowing.
    fn send(&self, topic: Arc<str>, records: Vec<Outgoing>) -> BoxFuture<'static, Vec<Result<(), kafka::Error>>>;
}

impl Broker for Producer {
    fn send(&self, topic: Arc<str>, records: Vec<Outgoing>) -> BoxFuture<'static, Vec<Result<(), kafka::Error>>> {
        let producer = self.clone();
        Box::pin(async move {
            let until = Instant::now() + QUEUEING;
            let mut started = Vec::with_capacity(records.len());
            let mut full = None;
            for record in records {
                // Once one has found no place, those behind it must not overtake it.
                let outcome = match &full {
                    Some(error) => Err(kafka::Error::clone(error)),
                    None => match tokio::time::timeout_at(until, producer.start(&topic, record)).await {
                        Ok(outcome) => outcome,
                        Err(_) => Err(full.insert(kafka::Error::Full).clone()),
                    },
                };
                started.push(outcome);
            }
            let mut outcomes = Vec::with_capacity(started.len());
            for acknowledgement in started {
                outcomes.push(match acknowledgement {
                    Ok(acknowledgement) => acknowledgement.wait().await.map(|_| ()),
                    Err(error) => Err(error),
                });
            }
            outcomes
        })
    }
}

/// What every pushed record passes through.
pub(crate) struct Inlet {
    broker: Arc<dyn Broker>,
    schemas: Arc<dyn Announce>,
    bytes: Arc<Semaphore>,
}

/// The right to hold a body in memory.
#[derive(Debug)]
pub(crate) struct Place(OwnedSemaphorePermit);

impl Inlet {
    /// An inlet into `broker`, for records whose schemas are announced to `schemas`.
    pub(crate) fn new(broker: Arc<dyn Broker>, schemas: Arc<dyn Announce>) -> Self {
        Self { broker, schemas, bytes: Arc::new(Semaphore::new(BYTES_IN_HAND as usize)) }
    }

    /// A place for a body of `bytes`; 429 while too many are in hand.
    pub(crate) fn admit(&self, bytes: usize) -> Result<Place, Fault> {
        let wanted = u32::try_from(bytes.max(LEAST)).unwrap_or(BYTES_IN_HAND);
        let place = Arc::clone(&self.bytes).try_acquire_many_owned(wanted).map_err(|_| {
            let message = "too many pushed records wait for Kafka: push these again in a few seconds";
            Fault::new(axum::http::StatusCode::TOO_MANY_REQUESTS, message)
        })?;
        Ok(Place(place))
    }

    /// How records of a pipeline name their schema, which is announced before the first of them. 409 when it does not go
    /// together with its earlier versions: the pipeline file of this gateway is to be mended, not the request.
    pub(crate) async fn framing(&self, served: &Served) -> Result<SchemaRef, Fault> {
        let Loaded { pipeline, schema, .. } = &*served.loaded;
        let announcing = served.framing.get_or_try_init(|| self.schemas.announce(pipeline, schema));
        let late =
            || Fault::unavailable("the pipeline's schema could not be announced in time: push again in a moment");
        let announced = tokio::time::timeout(PATIENCE, announcing).await.map_err(|_| late())?;
        announced.copied().map_err(|error| match error {
            error @ (schemas::Error::Incompatible { .. } | schemas::Error::Refused { .. }) => {
                Fault::new(axum::http::StatusCode::CONFLICT, error.to_string())
            }
            error if error.retry() == Retry::Later => Fault::unavailable(error.to_string()),
            error => Fault::internal(error.to_string()),
        })
    }

    /// Sends messages and says what became of each; the place is held until that is known, also when the client has gone.
    pub(crate) async fn send(
        &self,
        topic: Arc<str>,
        messages: Vec<Outgoing>,
        place: Place,
    ) -> Result<Vec<Result<(), kafka::Error>>, Fault> {
        let sending = self.broker.send(topic, messages);
        let sent = tokio::spawn(async move {
            let outcomes = sending.await;
            drop(place.0);
            outcomes
        });
        sent.await.map_err(|_| Fault::internal("the push failed inside of the gateway; its log has the details"))
    }
}
