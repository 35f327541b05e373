//! Fetches from the segment store.
//!
//! The library's own service sleeps while there is nothing to return, so a record waits for up to half of a consumer's
//! `fetch.max.wait.ms`, and it lets the first partition of a request take all of the request's bytes. This one returns
//! as soon as there is enough, and keeps to every limit, with one batch let through so that no consumer gets stuck.

use std::time::Duration;

use driftmill_segments::{Follower, Partition, SegmentStore};
use futures::future::select_all;
use nisshi_sans_io::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use nisshi_sans_io::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use nisshi_sans_io::record::deflated::{Batch, Frame};
use nisshi_sans_io::{ApiKey, ErrorCode, RequestInput};
use nisshi_storage::{Error, TopicId};
use rama::Service;
use tokio::time::{Instant, timeout_at};
use tracing::error;

/// The most a response holds, whatever the consumer allows: memory for one connection.
const MOST_BYTES: usize = 16 << 20;
/// The longest a request is held: consumers give up after half a minute or more.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Bytes of a batch that are not records.
const HEADER: usize = 61;

/// Answers fetches.
#[derive(Debug, Clone)]
pub(super) struct FetchService {
    store: SegmentStore,
}

/// What one look at all partitions gave.
struct Round {
    responses: Vec<FetchableTopicResponse>,
    bytes: usize,
    failed: bool,
    /// The partitions, with the end of each at the time.
    ends: Vec<(Follower, i64)>,
}

impl FetchService {
    pub fn new(store: SegmentStore) -> Self {
        Self { store }
    }

    async fn fetch(&self, request: &FetchRequest) -> Vec<FetchableTopicResponse> {
        let topics = request.topics.as_deref().unwrap_or_default();
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(LONGEST_WAIT);
        let deadline = Instant::now() + wait;
        let enough = usize::try_from(request.min_bytes).unwrap_or(0);
        let most = request.max_bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(MOST_BYTES);
        loop {
            let mut round = self.round(topics, most.min(MOST_BYTES)).await;
            let idle = round.ends.is_empty();
            if round.failed || idle || round.bytes >= enough || Instant::now() >= deadline {
                return round.responses;
            }
            let more = round.ends.iter_mut().map(|(follower, end)| Box::pin(follower.beyond(*end)));
            // A last round after the deadline: what came meanwhile need not wait for the next request.
            let _ = timeout_at(deadline, select_all(more)).await;
        }
    }

    async fn round(&self, topics: &[FetchTopic], most: usize) -> Round {
        let mut round =
            Round { responses: Vec::with_capacity(topics.len()), bytes: 0, failed: false, ends: Vec::new() };
        for topic in topics {
            let id = TopicId::from(topic);
            let mut partitions = Vec::new();
            for wanted in topic.partitions.iter().flatten() {
                let data = match self.store.partition(&id, wanted.partition) {
                    Some(partition) => round.partition(&partition, wanted, most).await,
                    None => Err(match id {
                        TopicId::Name(_) => ErrorCode::UnknownTopicOrPartition,
                        TopicId::Id(_) => ErrorCode::UnknownTopicId,
                    }),
                };
                partitions.push(data.unwrap_or_else(|code| {
                    round.failed = true;
                    partition_data(wanted.partition, code, (-1, -1), Vec::new())
                }));
            }
            let response = FetchableTopicResponse::default().topic(topic.topic.clone()).topic_id(topic.topic_id);
            round.responses.push(response.partitions(Some(partitions)));
        }
        round
    }
}

impl Round {
    async fn partition(
        &mut self,
        partition: &Partition,
        wanted: &FetchPartition,
        most: usize,
    ) -> Result<PartitionData, ErrorCode> {
        // Followed first: what arrives between a look and the wait ends the wait.
        let follower = partition.follow();
        let offsets = partition.offsets();
        if wanted.fetch_offset < offsets.start || wanted.fetch_offset > offsets.end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        self.ends.push((follower, offsets.visible));
        let limit = usize::try_from(wanted.partition_max_bytes).unwrap_or(0).min(most.saturating_sub(self.bytes));
        let mut batches = Vec::new();
        if wanted.fetch_offset < offsets.visible && (limit > 0 || self.bytes == 0) {
            batches = partition.read(wanted.fetch_offset, limit).await.map_err(|error| {
                error!(topic = partition.topic(), partition = wanted.partition, %error, "a fetch failed");
                match error {
                    driftmill_segments::Error::Corrupt { .. } => ErrorCode::CorruptMessage,
                    _ => ErrorCode::KafkaStorageError,
                }
            })?;
            let size = size(&batches);
            // Only the first partition that has something may go beyond its limit, by one batch.
            if size > limit && self.bytes > 0 {
                batches.clear();
            } else {
                self.bytes += size;
            }
        }
        let seen = partition.offsets();
        Ok(partition_data(wanted.partition, ErrorCode::None, (seen.visible, seen.start), batches))
    }
}

fn size(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.record_data.len() + HEADER).sum()
}

/// `ends` are the offset after the last record and the first offset.
fn partition_data(index: i32, error: ErrorCode, ends: (i64, i64), batches: Vec<Batch>) -> PartitionData {
    let (visible, start) = ends;
    PartitionData::default()
        .partition_index(index)
        .error_code(error.into())
        .high_watermark(visible)
        .last_stable_offset(Some(visible))
        .log_start_offset(Some(start))
        .diverging_epoch(None)
        .current_leader(None)
        .snapshot_id(None)
        .aborted_transactions(Some(Vec::new()))
        .preferred_read_replica(Some(-1))
        .records((!batches.is_empty()).then_some(Frame { batches }))
}

impl ApiKey for FetchService {
    const KEY: i16 = FetchRequest::KEY;
}

impl Service<RequestInput<FetchRequest>> for FetchService {
    type Output = FetchResponse;
    type Error = Error;

    async fn serve(&self, input: RequestInput<FetchRequest>) -> Result<Self::Output, Self::Error> {
        let responses = self.fetch(&input.request).await;
        // Without sessions: every request names all of its partitions.
        Ok(FetchResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(Some(ErrorCode::None.into()))
            .session_id(Some(0))
            .node_endpoints(Some(Vec::new()))
            .responses(Some(responses)))
    }
}

#[cfg(test)]
mod tests;
