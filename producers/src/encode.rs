//! An item as a message.

use driftmill_platform::kafka::{Headers, Outgoing};

use crate::checkpoint::SEQUENCE_HEADER;
use crate::partition::partition;
use crate::source::Identity;

/// A message of an item of the source called `source`, its `sequence`th, for a topic with that many partitions.
pub(crate) fn outgoing(
    entity: Vec<u8>,
    payload: Vec<u8>,
    mut headers: Headers,
    source: &str,
    (identity, sequence): (Identity, u64),
    partitions: usize,
) -> Outgoing {
    headers.push((SEQUENCE_HEADER.to_owned(), format!("{source}:{identity}").into_bytes()));
    let partition = Some(partition(&entity, sequence, partitions));
    Outgoing { key: entity, payload, headers, timestamp: None, partition }
}
