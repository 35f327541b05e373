use std::time::{Duration, SystemTime};

use nisshi_sans_io::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use nisshi_sans_io::{ErrorCode, ListOffset};
use nisshi_storage::{ArcDynStorage, Error, Topition};

use super::{TIME, UNCOMMITTED, batch, code, fetch, read, topic};

pub(crate) async fn records_have_consecutive_offsets_and_come_back_as_they_were(storage: &ArcDynStorage) {
    let topition = topic(storage, "records", 2, &[]).await;
    let stage = storage.offset_stage(&topition).await.unwrap();
    assert_eq!((stage.log_start, stage.high_watermark, stage.last_stable), (0, 0, 0));
    let mut expected = Vec::new();
    for i in 0..20_i64 {
        let values = [format!("{i}a"), format!("{i}b"), format!("{i}c")];
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        assert_eq!(storage.produce(None, &topition, batch(&values, TIME)).await.unwrap(), i * 3);
        expected.extend((i * 3..).zip(values.iter().map(|value| (*value).to_owned())));
    }
    assert_eq!(read(storage, &topition, 0).await.into_iter().collect::<Vec<_>>(), expected);
    let stage = storage.offset_stage(&topition).await.unwrap();
    assert_eq!((stage.log_start, stage.high_watermark, stage.last_stable), (0, 60, 60));
    assert!(fetch(storage, &topition, 60, 1_000).await.unwrap().is_empty());
    assert!(read(storage, &Topition::new("records", 1), 0).await.is_empty());
}

pub(crate) async fn a_fetch_keeps_to_its_limit_but_returns_one_batch(storage: &ArcDynStorage) {
    let topition = topic(storage, "limits", 1, &[]).await;
    let value = "x".repeat(1_000);
    for _ in 0..10 {
        storage.produce(None, &topition, batch(&[&value], TIME)).await.unwrap();
    }
    assert_eq!(fetch(storage, &topition, 0, 1).await.unwrap().len(), 1);
    let some = fetch(storage, &topition, 2, 3_500).await.unwrap();
    assert_eq!(some[0].base_offset, 2);
    // The contract lets a read go beyond its limit by one batch.
    assert!((3..=4).contains(&some.len()), "{}", some.len());
    assert_eq!(fetch(storage, &topition, 0, 1 << 20).await.unwrap().len(), 10);
}

pub(crate) async fn a_fetch_in_the_middle_of_a_batch_returns_it_whole(storage: &ArcDynStorage) {
    let topition = topic(storage, "middle", 1, &[]).await;
    for _ in 0..3 {
        storage.produce(None, &topition, batch(&["a", "b", "c"], TIME)).await.unwrap();
    }
    let found = fetch(storage, &topition, 4, 1_000).await.unwrap();
    assert_eq!(found.iter().map(|batch| batch.base_offset).collect::<Vec<_>>(), [3, 6]);
}

pub(crate) async fn what_does_not_exist_is_unknown(storage: &ArcDynStorage) {
    topic(storage, "known", 1, &[]).await;
    for topition in [Topition::new("known", 1), Topition::new("known", -1), Topition::new("unknown", 0)] {
        let produced = storage.produce(None, &topition, batch(&["a"], TIME)).await;
        assert_eq!(code(produced), ErrorCode::UnknownTopicOrPartition);
        assert_eq!(code(storage.offset_stage(&topition).await), ErrorCode::UnknownTopicOrPartition);
        let listed = storage.list_offsets(UNCOMMITTED, &[(topition, ListOffset::Latest)]).await.unwrap();
        assert_eq!((listed[0].1.error_code, listed[0].1.offset), (ErrorCode::UnknownTopicOrPartition, None));
    }
}

pub(crate) async fn offsets_are_found_by_time(storage: &ArcDynStorage) {
    let topition = topic(storage, "times", 1, &[]).await;
    // Records at 0, 1, 2 s, then at 10 and 11 s, then back at 5 s.
    storage.produce(None, &topition, batch(&["a", "b", "c"], TIME)).await.unwrap();
    storage.produce(None, &topition, batch(&["d", "e"], TIME + 10_000)).await.unwrap();
    storage.produce(None, &topition, batch(&["f"], TIME + 5_000)).await.unwrap();
    let at = |millis: i64| {
        ListOffset::Timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis((TIME + millis).unsigned_abs()))
    };
    let expected = [
        (ListOffset::Earliest, Some(0), None),
        (ListOffset::Latest, Some(6), None),
        (at(-1_000), Some(0), Some(TIME)),
        (at(1_000), Some(1), Some(TIME + 1_000)),
        (at(1_001), Some(2), Some(TIME + 2_000)),
        (at(3_000), Some(3), Some(TIME + 10_000)),
        (at(11_000), Some(4), Some(TIME + 11_000)),
        (at(11_001), None, None),
    ];
    for (wanted, offset, time) in expected {
        let listed = storage.list_offsets(UNCOMMITTED, &[(topition.clone(), wanted)]).await.unwrap();
        let (_, response) = &listed[0];
        assert_eq!((response.error_code, response.offset), (ErrorCode::None, offset), "{wanted:?}");
        if matches!(wanted, ListOffset::Timestamp(_)) {
            assert_eq!(response.timestamp().unwrap(), time, "{wanted:?}");
        }
    }
}

pub(crate) async fn a_batch_beyond_the_topics_limit_is_refused(storage: &ArcDynStorage) {
    let topition = topic(storage, "small", 1, &[("max.message.bytes", "500")]).await;
    let refused = storage.produce(None, &topition, batch(&[&"x".repeat(500)], TIME)).await;
    assert!(matches!(refused, Err(Error::MessageTooLarge { limit: 500, .. })), "{refused:?}");
    assert_eq!(storage.produce(None, &topition, batch(&["x"], TIME)).await.unwrap(), 0);
}

pub(crate) async fn records_are_deleted_up_to_an_offset(storage: &ArcDynStorage) {
    let topition = topic(storage, "deleted", 2, &[]).await;
    for _ in 0..5 {
        storage.produce(None, &topition, batch(&["a", "b"], TIME)).await.unwrap();
    }
    let delete = async |name: &str, partition: i32, offset: i64| {
        let partition = DeleteRecordsPartition::default().partition_index(partition).offset(offset);
        let request = DeleteRecordsTopic::default().name(name.to_owned()).partitions(Some(vec![partition]));
        let results = storage.delete_records(&[request]).await.unwrap();
        let result = results[0].partitions.as_ref().unwrap()[0].clone();
        (ErrorCode::try_from(result.error_code).unwrap(), result.low_watermark)
    };
    assert_eq!(delete("deleted", 0, 4).await, (ErrorCode::None, 4));
    assert_eq!(storage.offset_stage(&topition).await.unwrap().log_start, 4);
    assert_eq!(read(storage, &topition, 4).await.len(), 6);
    // It never goes back.
    assert_eq!(delete("deleted", 0, 2).await, (ErrorCode::None, 4));
    assert_eq!(delete("deleted", 0, 11).await, (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete("deleted", 0, -2).await, (ErrorCode::OffsetOutOfRange, -1));
    assert_eq!(delete("deleted", 0, -1).await, (ErrorCode::None, 10));
    assert_eq!(delete("deleted", 2, 0).await, (ErrorCode::UnknownTopicOrPartition, -1));
    assert_eq!(delete("nobody", 0, 0).await, (ErrorCode::UnknownTopicOrPartition, -1));
    let earliest = storage.list_offsets(UNCOMMITTED, &[(topition.clone(), ListOffset::Earliest)]).await.unwrap();
    assert_eq!(earliest[0].1.offset, Some(10));
    assert_eq!(storage.produce(None, &topition, batch(&["c"], TIME)).await.unwrap(), 10);
    assert_eq!(read(storage, &topition, 10).await.len(), 1);
}
