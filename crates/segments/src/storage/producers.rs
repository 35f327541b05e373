//! Producer ids, and the refusal of transactions.

use nisshi_sans_io::ErrorCode;
use nisshi_sans_io::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use nisshi_sans_io::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use nisshi_sans_io::txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic};
use nisshi_storage::{
    ProducerIdResponse, Result, TxnAddPartitionsRequest, TxnAddPartitionsResponse, TxnOffsetCommitRequest,
    producer_claim,
};

use super::api;
use crate::store::Inner;

/// The answer to everything about transactions. Clients take it for final and say so at once, where most other codes
/// make them try again until they run out of time.
pub(super) const NO_TRANSACTIONS: ErrorCode = ErrorCode::UnsupportedVersion;

pub(super) fn init(
    inner: &Inner,
    transactional: bool,
    producer_id: Option<i64>,
    producer_epoch: Option<i16>,
) -> Result<ProducerIdResponse> {
    // What an idempotent producer claims to be is of no account: it is given a new id.
    if let Err(error) = producer_claim(producer_id, producer_epoch) {
        return Ok(ProducerIdResponse::failed(error));
    }
    if transactional {
        return Ok(ProducerIdResponse::failed(NO_TRANSACTIONS));
    }
    let id = inner.allocate_producer().map_err(api)?;
    Ok(ProducerIdResponse { id, epoch: 0, error: ErrorCode::None })
}

pub(super) fn refuse_partitions(request: TxnAddPartitionsRequest) -> TxnAddPartitionsResponse {
    let topic = |topic: &AddPartitionsToTxnTopic| {
        let refused = topic.partitions.iter().flatten().map(|partition| {
            AddPartitionsToTxnPartitionResult::default()
                .partition_index(*partition)
                .partition_error_code(NO_TRANSACTIONS.into())
        });
        AddPartitionsToTxnTopicResult::default().name(topic.name.clone()).results_by_partition(Some(refused.collect()))
    };
    match request {
        TxnAddPartitionsRequest::VersionZeroToThree { topics, .. } => {
            TxnAddPartitionsResponse::VersionZeroToThree(topics.iter().map(topic).collect())
        }
        TxnAddPartitionsRequest::VersionFourPlus { transactions } => {
            let refused = transactions.iter().map(|transaction| {
                AddPartitionsToTxnResult::default()
                    .transactional_id(transaction.transactional_id.clone())
                    .topic_results(Some(transaction.topics.iter().flatten().map(topic).collect()))
            });
            TxnAddPartitionsResponse::VersionFourPlus(refused.collect())
        }
    }
}

pub(super) fn refuse_offsets(request: TxnOffsetCommitRequest) -> Vec<TxnOffsetCommitResponseTopic> {
    let topics = request.topics.iter().map(|topic| {
        let refused = topic.partitions.iter().flatten().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .partition_index(partition.partition_index)
                .error_code(NO_TRANSACTIONS.into())
        });
        TxnOffsetCommitResponseTopic::default().name(topic.name.clone()).partitions(Some(refused.collect()))
    });
    topics.collect()
}
