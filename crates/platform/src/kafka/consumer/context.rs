//! librdkafka's callbacks: which partitions come and go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tracing::{debug, info};

use super::bulk::Queue;
use super::{Position, Positions};
use crate::kafka::Error;

/// What a rebalance did, in order.
#[derive(Debug)]
pub(super) enum Change {
    /// These partitions are read from here on.
    Assigned(Vec<(i32, Position)>),
    /// These are not ours any more.
    Revoked(Vec<i32>),
    /// The rebalance failed.
    Failed(Error),
}

/// Changes on their way from the callback to the poller. Both run on one thread, but librdkafka stands between them.
#[derive(Debug, Default)]
pub(super) struct Changes {
    some: AtomicBool,
    list: Mutex<Vec<Change>>,
}

impl Changes {
    pub(super) fn push(&self, change: Change) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        self.some.store(true, Ordering::Release);
    }

    /// What happened since the last call; almost always nothing, which costs one load.
    pub(super) fn take(&self) -> Vec<Change> {
        if !self.some.load(Ordering::Relaxed) || !self.some.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Context {
    pub(super) topic: String,
    pub(super) positions: Arc<dyn Positions>,
    pub(super) changes: Arc<Changes>,
    /// Where messages are led; gone when the poller is, which must be before the client.
    pub(super) queue: OnceLock<Weak<Queue>>,
}

impl Context {
    /// To be called before `partitions` are assigned.
    pub(super) fn lead(&self, consumer: &BaseConsumer<Self>, partitions: &[i32]) {
        if let Some(queue) = self.queue.get().and_then(Weak::upgrade) {
            partitions.iter().for_each(|&partition| queue.lead(consumer, &self.topic, partition));
        }
    }
}

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let partitions: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            info!(topic = self.topic, ?partitions, "partitions assigned");
            self.lead(consumer, &partitions);
            let assigned = resume(list, &self.topic, &partitions, self.positions.as_ref()).and_then(|resumed| {
                let assigned = if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) };
                assigned.map(|()| resumed).map_err(Error::request("assign"))
            });
            self.changes.push(assigned.map_or_else(Change::Failed, Change::Assigned));
        } else {
            info!(topic = self.topic, ?partitions, "partitions revoked");
            self.changes.push(Change::Revoked(partitions));
            let removed = if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() };
            if let Err(error) = removed {
                self.changes.push(Change::Failed(Error::Request { doing: "unassign".to_owned(), error }));
            }
        }
    }
}

/// Asks where to resume and writes the offsets to `list`.
pub(super) fn resume(
    list: &mut TopicPartitionList,
    topic: &str,
    partitions: &[i32],
    positions: &dyn Positions,
) -> Result<Vec<(i32, Position)>, Error> {
    let found = positions.resume(topic, partitions)?;
    let resumed: Vec<(i32, Position)> = partitions.iter().copied().zip(found).collect();
    for &(partition, position) in &resumed {
        let offset = match position {
            Position::Beginning => Offset::Beginning,
            Position::End => Offset::End,
            Position::At(offset) => Offset::Offset(offset),
            // One earlier: that message is compared, and not processed again.
            Position::After { next, .. } => Offset::Offset((next - 1).max(0)),
            Position::Committed => Offset::Stored,
        };
        debug!(topic, partition, ?position, "resuming");
        list.set_partition_offset(topic, partition, offset).map_err(Error::request("resume"))?;
    }
    Ok(resumed)
}
