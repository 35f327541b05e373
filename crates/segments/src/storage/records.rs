//! Producing, fetching, offsets of records, and deleting records.

use nisshi_sans_io::delete_records_request::DeleteRecordsTopic;
use nisshi_sans_io::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use nisshi_sans_io::record::deflated;
use nisshi_sans_io::{ErrorCode, ListOffset, to_system_time, to_timestamp};
use nisshi_storage::{
    DELETE_RECORDS_INVALID_LOW_WATERMARK, Error, ListOffsetResponse, OffsetStage, Result, Topition,
    delete_records_cutoff, max_message_bytes,
};

use super::api;
use crate::error::Error as StoreError;
use crate::journal::Key;
use crate::log::PartitionLog;
use crate::store::{Inner, SegmentStore};

const UNKNOWN: Error = Error::Api(ErrorCode::UnknownTopicOrPartition);

pub(super) async fn produce(
    store: &SegmentStore,
    transaction_id: Option<&str>,
    topition: &Topition,
    batch: deflated::Batch,
) -> Result<i64> {
    let (topic, log) = store.0.log(topition).ok_or(UNKNOWN)?;
    if transaction_id.is_some() || batch.is_transactional() {
        return Err(Error::Api(super::producers::NO_TRANSACTIONS));
    }
    max_message_bytes::ensure_batch_fits(&batch, topic.max_message_bytes)?;
    let mut progress = log.watch();
    let appended = store
        .blocking(move |inner| {
            let options = &inner.shared.options;
            log.append(&batch, topic.limits(options), options.clock.millis()).map_err(api)
        })
        .await?;
    // With the default durability this is so already.
    let settled = progress.wait_for(|progress| progress.visible >= appended.end || progress.failed).await;
    match settled {
        Ok(progress) if progress.visible >= appended.end => Ok(appended.base_offset),
        _ => Err(Error::Api(ErrorCode::KafkaStorageError)),
    }
}

pub(super) async fn fetch(
    store: &SegmentStore,
    topition: &Topition,
    offset: i64,
    max_bytes: u32,
) -> Result<Vec<deflated::Batch>> {
    let (_, log) = store.0.log(topition).ok_or(UNKNOWN)?;
    crate::store::read(log, offset, usize::try_from(max_bytes).unwrap_or(usize::MAX)).await.map_err(api)
}

pub(super) fn offset_stage(inner: &Inner, topition: &Topition) -> Result<OffsetStage> {
    let (_, log) = inner.log(topition).ok_or(UNKNOWN)?;
    Ok(stage(&log))
}

fn stage(log: &PartitionLog) -> OffsetStage {
    let visible = log.progress().visible;
    OffsetStage { last_stable: visible, high_watermark: visible, log_start: log.start().min(visible) }
}

pub(super) fn list_offsets(inner: &Inner, offsets: Vec<(Topition, ListOffset)>) -> Vec<(Topition, ListOffsetResponse)> {
    let answer = |topition: &Topition, wanted: ListOffset| {
        let (_, log) = inner.log(topition).ok_or(UNKNOWN)?;
        let found = |offset| ListOffsetResponse { offset: Some(offset), ..ListOffsetResponse::default() };
        Ok(match wanted {
            ListOffset::Earliest => found(stage(&log).log_start),
            ListOffset::Latest => found(stage(&log).high_watermark),
            ListOffset::Timestamp(time) => match log.find_time(to_timestamp(&time)?).map_err(api)? {
                None => ListOffsetResponse::default(),
                Some((offset, time)) => ListOffsetResponse { timestamp: to_system_time(time).ok(), ..found(offset) },
            },
        })
    };
    let answers = offsets.into_iter().map(|(topition, wanted)| {
        // Trouble with one partition is no reason to say nothing of the others.
        let response = answer(&topition, wanted).unwrap_or_else(|error: Error| {
            let error_code = if let Error::Api(code) = error { code } else { ErrorCode::UnknownServerError };
            ListOffsetResponse { error_code, ..ListOffsetResponse::default() }
        });
        (topition, response)
    });
    answers.collect()
}

pub(super) fn delete(inner: &Inner, topics: &[DeleteRecordsTopic]) -> Result<Vec<DeleteRecordsTopicResult>> {
    let partition = |name: &str, index: i32, offset: i64| {
        let result = DeleteRecordsPartitionResult::default().partition_index(index);
        match delete_before(inner, &Topition::new(name, index), offset) {
            Ok(low) => result.low_watermark(low).error_code(ErrorCode::None.into()),
            Err(code) => result.low_watermark(DELETE_RECORDS_INVALID_LOW_WATERMARK).error_code(code.into()),
        }
    };
    let topic = |topic: &DeleteRecordsTopic| {
        let partitions = topic.partitions.iter().flatten();
        let results = partitions.map(|wanted| partition(&topic.name, wanted.partition_index, wanted.offset)).collect();
        DeleteRecordsTopicResult::default().name(topic.name.clone()).partitions(Some(results))
    };
    Ok(topics.iter().map(topic).collect())
}

fn delete_before(inner: &Inner, topition: &Topition, offset: i64) -> Result<i64, ErrorCode> {
    let (topic, log) = inner.log(topition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let cutoff = delete_records_cutoff(offset, &stage(&log))?;
    let delete = || {
        let key = Key::LogStart(topic.id.into_bytes(), topition.partition());
        inner.journal.apply(vec![(key, Some(cutoff.to_be_bytes().to_vec()))])?;
        inner.settle()?;
        log.delete_before(cutoff, inner.shared.options.clock.millis())
    };
    delete().map_err(|error: StoreError| match api(error) {
        Error::Api(code) => code,
        _ => ErrorCode::UnknownServerError,
    })?;
    Ok(cutoff)
}
