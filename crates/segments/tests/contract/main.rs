//! What every storage of the broker library promises: one suite, run against the library's own memory engine, which says
//! what is expected, and against the segment store.

#![allow(clippy::unwrap_used, missing_docs)]

mod groups;
mod producers;
mod records;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use driftmill_segments::{Clock, Durability, Options, SegmentStore};
use nisshi_sans_io::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use nisshi_sans_io::record::{Record, deflated, inflated};
use nisshi_sans_io::{ErrorCode, IsolationLevel};
use nisshi_storage::{ArcDynStorage, Error, StorageContainer, Topition};
use nisshi_storage_dynostore::MemoryEngineFactory;
use tempfile::TempDir;
use url::Url;

/// The time of all records, milliseconds since 1970.
const TIME: i64 = 1_700_000_000_000;
const UNCOMMITTED: IsolationLevel = IsolationLevel::ReadUncommitted;

/// Runs each function of the suite against each storage.
macro_rules! contract {
    ($($module:ident :: $name:ident)+) => {
        mod memory {
            $(#[tokio::test] async fn $name() { crate::$module::$name(&crate::memory().await).await; })+
        }
        mod segments {
            $(#[tokio::test] async fn $name() {
                let (_home, storage) = crate::segments(driftmill_segments::Durability::Process);
                crate::$module::$name(&storage).await;
            })+
        }
        mod segments_synced {
            $(#[tokio::test] async fn $name() {
                let (_home, storage) = crate::segments(driftmill_segments::Durability::Power);
                crate::$module::$name(&storage).await;
            })+
        }
    };
}

contract! {
    topics::a_topic_is_there_until_it_is_deleted
    topics::a_topic_of_the_same_name_is_another_one
    topics::a_configuration_is_changed_in_whole_or_not_at_all
    topics::the_cluster_is_one_broker
    records::records_have_consecutive_offsets_and_come_back_as_they_were
    records::a_fetch_keeps_to_its_limit_but_returns_one_batch
    records::a_fetch_in_the_middle_of_a_batch_returns_it_whole
    records::what_does_not_exist_is_unknown
    records::offsets_are_found_by_time
    records::a_batch_beyond_the_topics_limit_is_refused
    records::records_are_deleted_up_to_an_offset
    producers::a_repeated_batch_is_stored_once
    producers::a_batch_out_of_order_is_refused
    producers::a_new_epoch_replaces_the_old_one
    producers::producer_ids_are_unique
    groups::a_group_is_replaced_only_by_who_has_seen_it
    groups::committed_offsets_are_kept_by_group
    groups::a_deleted_group_is_gone
    groups::committed_offsets_of_a_deleted_topic_are_gone
}

async fn memory() -> ArcDynStorage {
    let mut builder = StorageContainer::builder();
    builder.with_factory(Arc::new(MemoryEngineFactory));
    builder
        .cluster_id("contract")
        .node_id(7)
        .advertised_listener(Url::parse("tcp://127.0.0.1:9092").unwrap())
        .storage(Url::parse("memory://").unwrap())
        .silent(true)
        .build()
        .await
        .unwrap()
}

fn segments(durability: Durability) -> (TempDir, ArcDynStorage) {
    let home = tempfile::tempdir().unwrap();
    let clock = Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_millis(TIME.unsigned_abs()));
    let advertised = Url::parse("tcp://127.0.0.1:9092").unwrap();
    let options = Options::new(home.path().join("store"), clock, advertised);
    let options = Options { durability, cluster_id: "contract".to_owned(), node_id: 7, ..options };
    (home, Arc::new(SegmentStore::open(options).unwrap()))
}

/// Makes a topic and returns its first partition.
async fn topic(storage: &ArcDynStorage, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Topition {
    storage.create_topic(creatable(name, partitions, configs), false).await.unwrap();
    Topition::new(name, 0)
}

fn creatable(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let config = |(name, value): &(&str, &str)| {
        CreatableTopicConfig::default().name((*name).to_owned()).value(Some((*value).to_owned()))
    };
    CreatableTopic::default()
        .name(name.to_owned())
        .num_partitions(partitions)
        .replication_factor(1)
        .assignments(Some(Vec::new()))
        .configs(Some(configs.iter().map(config).collect()))
}

/// A batch of these values, one second apart from `time` on.
fn batch(values: &[&str], time: i64) -> deflated::Batch {
    let last = i32::try_from(values.len()).unwrap() - 1;
    let mut builder = inflated::Batch::builder()
        .base_timestamp(time)
        .max_timestamp(time + i64::from(last) * 1_000)
        .producer_id(-1)
        .producer_epoch(-1)
        .base_sequence(-1)
        .last_offset_delta(last);
    for (delta, value) in (0_i32..).zip(values) {
        let record = Record::builder().offset_delta(delta).timestamp_delta(i64::from(delta) * 1_000);
        builder = builder.record(record.value(Some(Bytes::copy_from_slice(value.as_bytes()))));
    }
    deflated::Batch::try_from(builder.build().unwrap()).unwrap()
}

/// A batch of an idempotent producer.
fn sequenced(producer_id: i64, epoch: i16, sequence: i32, records: usize) -> deflated::Batch {
    let mut sent = batch(&vec!["value"; records], TIME);
    (sent.producer_id, sent.producer_epoch, sent.base_sequence) = (producer_id, epoch, sequence);
    sent.crc = sent.computed_crc();
    sent
}

/// Offset and value of every record from `offset` on.
async fn read(storage: &ArcDynStorage, topition: &Topition, mut offset: i64) -> BTreeMap<i64, String> {
    let mut stored = BTreeMap::new();
    loop {
        let batches = fetch(storage, topition, offset, 1 << 20).await.unwrap();
        let Some(last) = batches.last() else { return stored };
        for batch in &batches {
            assert_eq!(batch.computed_crc(), batch.crc);
            for record in inflated::Batch::try_from(batch).unwrap().records {
                let at = batch.base_offset + i64::from(record.offset_delta);
                stored.insert(at, String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
        offset = last.max_offset() + 1;
    }
}

async fn fetch(
    storage: &ArcDynStorage,
    topition: &Topition,
    offset: i64,
    max_bytes: u32,
) -> Result<Vec<deflated::Batch>, Error> {
    storage.fetch(topition, offset, 1, max_bytes, UNCOMMITTED, Duration::from_secs(5)).await
}

fn code<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ErrorCode {
    match outcome {
        Err(Error::Api(code)) => code,
        other => panic!("{other:?}"),
    }
}
