use std::time::SystemTime;

use bytes::Bytes;
use driftmill_segments::{Clock, Options};
use nisshi_sans_io::create_topics_request::CreatableTopic;
use nisshi_sans_io::record::{Record, deflated, inflated};
use nisshi_storage::{Storage as _, Topition};
use tempfile::TempDir;
use url::Url;

use super::*;

const WAIT: i32 = 10_000;

/// A store with a topic `t` of three partitions.
async fn service() -> (TempDir, FetchService) {
    let home = tempfile::tempdir().unwrap();
    let clock = Clock::new(|| SystemTime::UNIX_EPOCH);
    let options = Options::new(home.path().join("store"), clock, Url::parse("tcp://127.0.0.1:9092").unwrap());
    let store = SegmentStore::open(options).unwrap();
    let topic = CreatableTopic::default().name("t".to_owned()).num_partitions(3).replication_factor(1);
    store.create_topic(topic.assignments(Some(Vec::new())).configs(Some(Vec::new())), false).await.unwrap();
    (home, FetchService::new(store))
}

/// One batch with one record of `size` bytes.
async fn produce(service: &FetchService, partition: i32, size: usize) {
    let record = Record::builder().value(Some(Bytes::from(vec![0; size])));
    let batch = inflated::Batch::builder().producer_id(-1).base_sequence(-1).record(record).build().unwrap();
    let batch = deflated::Batch::try_from(batch).unwrap();
    service.store.produce(None, &Topition::new("t", partition), batch).await.unwrap();
}

/// Asks for partitions from an offset on, `partition_bytes` of each.
fn request(partitions: &[(i32, i64)], partition_bytes: i32) -> FetchRequest {
    let partition = |(index, offset): &(i32, i64)| {
        FetchPartition::default().partition(*index).fetch_offset(*offset).partition_max_bytes(partition_bytes)
    };
    let topic = FetchTopic::default().topic(Some("t".to_owned()));
    let topic = topic.partitions(Some(partitions.iter().map(partition).collect()));
    FetchRequest::default().topics(Some(vec![topic])).max_wait_ms(WAIT).min_bytes(1).max_bytes(Some(1 << 20))
}

/// For each partition: error, end, and the offsets of the batches.
async fn fetch(service: &FetchService, request: FetchRequest) -> Vec<(ErrorCode, i64, Vec<i64>)> {
    let responses = service.fetch(&request).await;
    let data = responses.iter().flat_map(|topic| topic.partitions.iter().flatten());
    data.map(|data| {
        let batches = data.records.iter().flat_map(|frame| &frame.batches);
        let offsets = batches.map(|batch| batch.base_offset).collect();
        (ErrorCode::try_from(data.error_code).unwrap(), data.high_watermark, offsets)
    })
    .collect()
}

#[tokio::test]
async fn what_is_there_is_returned_from_all_partitions() {
    let (_home, service) = service().await;
    for partition in [0, 2] {
        produce(&service, partition, 100).await;
        produce(&service, partition, 100).await;
    }
    let found = fetch(&service, request(&[(0, 0), (1, 0), (2, 1)], 1_000)).await;
    let none = ErrorCode::None;
    assert_eq!(found, [(none, 2, vec![0, 1]), (none, 0, vec![]), (none, 2, vec![1])]);
}

#[tokio::test]
async fn only_the_first_partition_with_records_may_go_beyond_its_limit() {
    let (_home, service) = service().await;
    for _ in 0..3 {
        for partition in 0..3 {
            produce(&service, partition, 1_000).await;
        }
    }
    let offsets = |found: Vec<(ErrorCode, i64, Vec<i64>)>| found.into_iter().map(|(.., offsets)| offsets);
    let all = [(0, 3), (1, 0), (2, 0)];
    let found: Vec<_> = offsets(fetch(&service, request(&all, 10)).await).collect();
    assert_eq!(found, [vec![], vec![0], vec![]]);
    let found: Vec<_> = offsets(fetch(&service, request(&all, 2_500)).await).collect();
    assert_eq!(found, [vec![], vec![0, 1], vec![0, 1]]);
    // The request's own limit covers all partitions.
    let found: Vec<_> = offsets(fetch(&service, request(&all, 2_500).max_bytes(Some(3_500))).await).collect();
    assert_eq!(found, [vec![], vec![0, 1], vec![0]]);
}

#[tokio::test]
async fn an_offset_or_topic_that_is_not_there_is_answered_at_once() {
    let (_home, service) = service().await;
    produce(&service, 0, 100).await;
    let wrong = [(0, 2), (0, -1), (3, 0), (-1, 0)];
    let codes = fetch(&service, request(&wrong, 1_000)).await.into_iter().map(|(code, ..)| code);
    let (range, unknown) = (ErrorCode::OffsetOutOfRange, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(codes.collect::<Vec<_>>(), [range, range, unknown, unknown]);
    let topic = FetchTopic::default().topic_id(Some([7; 16])).partitions(Some(vec![FetchPartition::default()]));
    let by_id = FetchRequest::default().topics(Some(vec![topic])).max_wait_ms(WAIT).min_bytes(1);
    assert_eq!(fetch(&service, by_id).await[0].0, ErrorCode::UnknownTopicId);
    assert!(fetch(&service, FetchRequest::default()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_record_ends_the_wait_and_nothing_else_does_before_its_time() {
    let (_home, service) = service().await;
    let began = Instant::now();
    let waited = fetch(&service, request(&[(0, 0), (1, 0)], 1_000)).await;
    assert!(waited.iter().all(|(.., offsets)| offsets.is_empty()));
    assert_eq!(began.elapsed().as_millis(), u128::from(WAIT.unsigned_abs()));

    // At least 300 bytes are asked for: the first record is not enough.
    let asked = Instant::now();
    let waiting = tokio::spawn({
        let service = service.clone();
        async move { fetch(&service, request(&[(0, 0), (1, 0)], 1_000).min_bytes(300)).await }
    });
    produce(&service, 1, 100).await;
    produce(&service, 1, 200).await;
    let found = waiting.await.unwrap();
    assert_eq!(found[1].2, [0, 1]);
    assert!(asked.elapsed().as_millis() < u128::from(WAIT.unsigned_abs()), "the fetch waited for its time");
}
