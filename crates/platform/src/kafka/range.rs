//! Reads a known range of a topic with one partition: state that is rebuilt from the stream.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{BatchPolicy, Consumer, ConsumerOptions, Error, MessageBatch, Position, Positions};
use crate::config;

/// Calls `each` with the messages of `topic` at offsets `from..to`, in order, in batches. Offsets that compaction or
/// retention removed are passed over; the end of the range must have been written.
pub async fn read_range(
    settings: &config::Kafka,
    topic: &str,
    from: i64,
    to: i64,
    cancel: &CancellationToken,
    mut each: impl FnMut(&MessageBatch, usize),
) -> Result<(), Error> {
    if from >= to {
        return Ok(());
    }
    let options =
        ConsumerOptions { topic: topic.to_owned(), group: None, headers: false, batch: BatchPolicy::default() };
    let positions: Arc<dyn Positions> =
        Arc::new(move |_: &str, partitions: &[i32]| Ok(vec![Position::At(from); partitions.len()]));
    let mut consumer = Consumer::start(settings, options, positions, cancel)?;
    let mut reached = from;
    while reached < to {
        let batch = consumer.next().await.ok_or(Error::Ended)??;
        for i in 0..batch.len() {
            let offset = batch.offsets()[i];
            if offset < to {
                each(&batch, i);
            }
            reached = reached.max(offset + 1);
        }
    }
    consumer.close().await;
    Ok(())
}
