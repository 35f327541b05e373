//! What every broker must keep for us, and what our consumer promises on top of it.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::config::{self, Membership, Secret};
use driftmill_platform::kafka::{
    Admin, BatchPolicy, Consumer, ConsumerOptions, Error, MessageBatch, Outgoing, Position, TopicSpec, mark,
};
use tokio_util::sync::CancellationToken;

use crate::harness::Backend;

async fn topic(backend: &Backend, partitions: u32) -> String {
    let name = backend.unique("contract");
    let spec = TopicSpec { name: name.clone(), partitions, compacted: false };
    Admin::new(&backend.kafka).unwrap().ensure(&[spec]).await.unwrap();
    name
}

fn record(payload: &[u8], partition: i32) -> Outgoing {
    Outgoing {
        key: b"k".to_vec(),
        payload: payload.to_vec(),
        headers: vec![("h".to_owned(), vec![0, 255])],
        timestamp: Some(1_700_000_000_123),
        partition: Some(partition),
    }
}

fn start(backend: &Backend, topic: &str, group: Option<&str>, from: Position, cancel: &CancellationToken) -> Consumer {
    start_with(&backend.kafka, topic, group, from, cancel)
}

fn start_with(
    kafka: &config::Kafka,
    topic: &str,
    group: Option<&str>,
    from: Position,
    cancel: &CancellationToken,
) -> Consumer {
    let options = ConsumerOptions {
        topic: topic.to_owned(),
        group: group.map(str::to_owned),
        headers: true,
        batch: BatchPolicy { rows: 2_000, ..BatchPolicy::default() },
    };
    let positions = Arc::new(move |_: &str, partitions: &[i32]| Ok(vec![from; partitions.len()]));
    Consumer::start(kafka, options, positions, cancel).unwrap()
}

async fn read(consumer: &mut Consumer, count: usize) -> Vec<MessageBatch> {
    let mut batches: Vec<MessageBatch> = Vec::new();
    while batches.iter().map(MessageBatch::len).sum::<usize>() < count {
        let next = tokio::time::timeout(Duration::from_secs(60), consumer.next()).await.expect("messages arrive");
        batches.push(next.unwrap().unwrap());
    }
    batches
}

async fn complaint(consumer: &mut Consumer) -> Error {
    let next = tokio::time::timeout(Duration::from_secs(60), consumer.next()).await;
    next.expect("the consumer complains").unwrap().unwrap_err()
}

fn offsets(batches: &[MessageBatch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.offsets().to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_back_as_they_were_sent_in_the_order_of_their_partition() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 1).await;
    let producer = backend.services().producer;
    // More than come in one run of polls, more than one batch holds.
    let records = (0..5_000).map(|i: i32| record(&i.to_be_bytes(), 0)).collect();
    producer.send_all(&topic, records).await.unwrap();
    let cancel = CancellationToken::new();
    let mut consumer = start(&backend, &topic, Some("readers"), Position::Beginning, &cancel);
    let batches = read(&mut consumer, 5_000).await;
    assert_eq!(offsets(&batches), (0..5_000).collect::<Vec<i64>>());
    let first = &batches[0];
    assert_eq!(first.payload(7), 7_i32.to_be_bytes());
    assert_eq!(first.headers(7), [("h".to_owned(), vec![0, 255])]);
    assert_eq!(first.timestamps()[7], 1_700_000_000_123);
    consumer.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_starts_where_it_is_told_and_not_where_the_group_was() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 1).await;
    let producer = backend.services().producer;
    producer.send_all(&topic, (0..100).map(|i: i32| record(&i.to_be_bytes(), 0)).collect()).await.unwrap();
    let cancel = CancellationToken::new();
    let mut consumer = start(&backend, &topic, Some("group"), Position::Beginning, &cancel);
    let batches = read(&mut consumer, 100).await;
    for batch in &batches {
        consumer.handle().commit(&batch.ranges()).unwrap();
    }
    consumer.close().await;
    let mut consumer = start(&backend, &topic, Some("group"), Position::At(40), &cancel);
    assert_eq!(offsets(&read(&mut consumer, 60).await), (40..100).collect::<Vec<i64>>());
    consumer.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_a_group_sees_every_partition_from_the_end_on() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 3).await;
    let producer = backend.services().producer;
    producer.send(&topic, record(b"before", 1)).await.unwrap();
    let cancel = CancellationToken::new();
    let mut consumer = start(&backend, &topic, None, Position::End, &cancel);
    // Where the end is, is decided when the first fetch arrives; a record sent again and again shows when it has.
    let seen = crate::harness::eventually("a record sent after the start arrives", async || {
        for partition in 0..3 {
            producer.send(&topic, record(b"after", partition)).await.unwrap();
        }
        match tokio::time::timeout(Duration::from_millis(300), consumer.next()).await {
            Ok(batch) => Some(batch.unwrap().unwrap()),
            Err(_) => None,
        }
    })
    .await;
    assert!((0..seen.len()).all(|i| seen.payload(i) == b"after"));
    consumer.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_tells_at_which_offsets_it_holds_records() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 2).await;
    let producer = backend.services().producer;
    for _ in 0..20 {
        producer.send(&topic, record(b"x", 1)).await.unwrap();
    }
    let admin = Admin::new(&backend.kafka).unwrap();
    let ranges = vec![(-5, 1), (2, 3), (10, 12), (18, 25), (30, 40)];
    assert_eq!(admin.held(&topic, 1, ranges.clone()).await.unwrap(), [0, 2, 10, 11, 18, 19]);
    assert!(admin.held(&topic, 0, ranges).await.unwrap().is_empty());
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_beyond_the_end_is_a_topic_made_anew() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 1).await;
    backend.services().producer.send(&topic, record(b"x", 0)).await.unwrap();
    let cancel = CancellationToken::new();
    let mut consumer = start(&backend, &topic, Some("late"), Position::At(1_000), &cancel);
    let error = complaint(&mut consumer).await;
    assert!(matches!(error, Error::Recreated { .. }) && error.to_string().contains("made anew"), "{error}");
    consumer.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_after_the_record_that_was_processed_last_and_only_if_it_is_still_that_one() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 1).await;
    let producer = backend.services().producer;
    for payload in [b"a", b"b", b"c"] {
        producer.send(&topic, record(payload, 0)).await.unwrap();
    }
    let cancel = CancellationToken::new();
    let mut consumer = start(&backend, &topic, Some("marks"), Position::Beginning, &cancel);
    let all = read(&mut consumer, 3).await;
    consumer.close().await;
    let time = all[0].timestamps()[0];
    let found = |payload: &[u8]| Position::After { next: 2, mark: mark(time, payload) };

    let mut consumer = start(&backend, &topic, Some("marks"), found(b"b"), &cancel);
    let rest = read(&mut consumer, 1).await;
    assert_eq!((rest[0].len(), rest[0].payload(0), rest[0].ranges()[0].from), (1, &b"c"[..], 2));
    consumer.close().await;

    let mut consumer = start(&backend, &topic, Some("marks"), found(b"another"), &cancel);
    let error = complaint(&mut consumer).await;
    assert!(matches!(error, Error::Replaced { offset: 1, .. }) && error.to_string().contains("made anew"), "{error}");
    assert!(consumer.next().await.is_none(), "nothing of a foreign topic is handed over");
    consumer.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_partitions_and_the_rest_takes_over() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 4).await;
    let producer = backend.services().producer;
    let cancel = CancellationToken::new();
    let mut first = start(&backend, &topic, Some("pair"), Position::Beginning, &cancel);
    for partition in 0..4 {
        producer.send(&topic, record(b"1", partition)).await.unwrap();
    }
    read(&mut first, 4).await;
    let mut second = start(&backend, &topic, Some("pair"), Position::Beginning, &cancel);
    // Positions are those of the callback, so whoever is assigned a partition reads it from its beginning.
    read(&mut second, 1).await;
    first.close().await;
    let mut partitions = std::collections::BTreeSet::new();
    crate::harness::eventually("the second member reads every partition", async || {
        for partition in 0..4 {
            producer.send(&topic, record(b"2", partition)).await.unwrap();
        }
        let batch = second.next().await?.ok()?;
        partitions.extend(batch.partitions().iter().copied());
        (partitions.len() == 4).then_some(())
    })
    .await;
    second.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namesake_has_the_partitions_at_once_and_the_first_of_the_name_is_told() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 2).await;
    let producer = backend.services().producer;
    let cancel = CancellationToken::new();
    // Longer than anybody here waits: nothing comes by the end of a session.
    let properties = [("consumer.session.timeout.ms".to_owned(), Secret::new("240000"))].into();
    let membership = Membership::Static("one".to_owned());
    let kafka = config::Kafka { membership, properties, ..backend.kafka.clone() };
    let mut first = start_with(&kafka, &topic, Some("names"), Position::Beginning, &cancel);
    producer.send(&topic, record(b"a", 0)).await.unwrap();
    read(&mut first, 1).await;
    let mut second = start_with(&kafka, &topic, Some("names"), Position::Beginning, &cancel);
    read(&mut second, 1).await;
    producer.send(&topic, record(b"b", 1)).await.unwrap();
    read(&mut second, 1).await;
    // It hears of it with its next heartbeat, and may read on until then.
    let error = crate::harness::eventually("the first is told", async || first.next().await.unwrap().err()).await;
    assert!(matches!(error, Error::Fenced { .. }) && error.to_string().contains("kafka_instance"), "{error}");
    first.close().await;
    second.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_alone_reads_everything_whatever_a_group_thinks() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 2).await;
    let producer = backend.services().producer;
    let cancel = CancellationToken::new();
    let mut member = start(&backend, &topic, Some("shared"), Position::Beginning, &cancel);
    producer.send(&topic, record(b"a", 0)).await.unwrap();
    read(&mut member, 1).await;
    let kafka = config::Kafka { membership: Membership::Alone, ..backend.kafka.clone() };
    let mut alone = start_with(&kafka, &topic, Some("shared"), Position::Beginning, &cancel);
    producer.send(&topic, record(b"b", 1)).await.unwrap();
    assert_eq!(read(&mut alone, 2).await.iter().map(MessageBatch::len).sum::<usize>(), 2);
    alone.close().await;
    member.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_fewer_partitions_than_asked_for_is_an_error_for_people() {
    let backend = Backend::start().await;
    let name = topic(&backend, 1).await;
    let spec = TopicSpec { name, partitions: 3, compacted: false };
    let error = Admin::new(&backend.kafka).unwrap().ensure(&[spec]).await.unwrap_err();
    assert!(matches!(error, Error::Partitions { found: 1, wanted: 3, .. }), "{error}");
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_partitions_are_read_from_their_middle_without_a_wait_for_each() {
    let backend = Backend::start().await;
    let topic = topic(&backend, 64).await;
    let producer = backend.services().producer;
    let records = (0..64 * 4).map(|i: i32| record(&i.to_be_bytes(), i % 64)).collect();
    producer.send_all(&topic, records).await.unwrap();
    assert_eq!(Admin::new(&backend.kafka).unwrap().watermarks(&topic).await.unwrap(), [(0, 4); 64]);
    let cancel = CancellationToken::new();
    let mut consumer = start(&backend, &topic, None, Position::At(3), &cancel);
    let batches = tokio::time::timeout(Duration::from_secs(25), read(&mut consumer, 64)).await;
    assert_eq!(offsets(&batches.expect("no partition waits for another's fetch")), [3; 64]);
    consumer.close().await;
}
