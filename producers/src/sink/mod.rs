//! The port: where messages go, and where earlier ones are found again.

mod kafka;
#[cfg(test)]
pub(crate) mod memory;

use std::future::Future;

use driftmill_platform::kafka::Outgoing;
pub(crate) use kafka::KafkaSink;

use crate::Error;

/// A message that an earlier run sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub partition: usize,
    pub offset: i64,
    pub headers: &'a [(String, Vec<u8>)],
    pub payload: &'a [u8],
}

/// A log with partitions.
///
/// * Messages that were started one after the other for one partition are stored in that order, each once.
/// * An acknowledged message is stored for good. One that is not may be stored or lost.
pub(crate) trait Sink: Send + Sync {
    /// An acknowledgement to come: partition and offset.
    type Acknowledgement: Future<Output = Result<(i32, i64), Error>> + Send;

    /// The next offset of each partition of `topic`; empty when there is no such topic.
    fn ends(&self, topic: &str) -> impl Future<Output = Result<Vec<i64>, Error>> + Send;

    /// Shows every message of `topic` in `from..to`, which hold an offset a partition, to `visit`: in order within a
    /// partition.
    fn read(
        &self,
        topic: &str,
        from: &[i64],
        to: &[i64],
        visit: &mut (dyn FnMut(Seen<'_>) + Send),
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes a message. Dropped before it is done, it has not taken it.
    fn start(
        &self,
        topic: &str,
        message: Outgoing,
    ) -> impl Future<Output = Result<Self::Acknowledgement, Error>> + Send;
}
