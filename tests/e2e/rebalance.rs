//! Partitions that move between the members of a group. Those that stay are read on without a break; of those that go,
//! nothing is held back and nothing is kept.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftmill_platform::kafka::{
    Admin, BatchPolicy, Consumer, ConsumerOptions, MessageBatch, Outgoing, Position, Producer, TopicSpec,
};
use tokio_util::sync::CancellationToken;

use crate::harness::{Backend, PATIENCE, eventually};

const PARTITIONS: i32 = 4;

/// A member of the group that notes which partitions it was ever given, each time it was.
struct Member {
    consumer: Consumer,
    given: Arc<Mutex<Vec<i32>>>,
}

impl Member {
    /// Joins the group; it is full with as many messages as there are partitions.
    fn join(backend: &Backend, topic: &str, group: Option<&str>) -> Self {
        let given: Arc<Mutex<Vec<i32>>> = Arc::default();
        let noted = Arc::clone(&given);
        let positions = Arc::new(move |_: &str, partitions: &[i32]| {
            noted.lock().unwrap().extend_from_slice(partitions);
            // Whoever gets a partition a second time reads it a second time.
            Ok(vec![Position::Beginning; partitions.len()])
        });
        let options = ConsumerOptions {
            topic: topic.to_owned(),
            group: group.map(str::to_owned),
            headers: false,
            batch: BatchPolicy { rows: PARTITIONS as usize, age: Duration::from_millis(1), ..BatchPolicy::default() },
        };
        let consumer = Consumer::start(&backend.kafka, options, positions, &CancellationToken::new()).unwrap();
        Self { consumer, given }
    }

    fn given(&self) -> Vec<i32> {
        let mut given = self.given.lock().unwrap().clone();
        given.sort_unstable();
        given
    }

    /// Waits until it was given so many partitions, without taking anything of what it reads.
    async fn is_given(&self, count: usize) -> BTreeSet<i32> {
        eventually("partitions are assigned", async || (self.given().len() == count).then_some(())).await;
        self.given().into_iter().collect()
    }

    /// Takes so many messages: the partition and offset of each.
    async fn take(&mut self, count: usize) -> BTreeSet<(i32, i64)> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let next = tokio::time::timeout(PATIENCE, self.consumer.next()).await;
            let batch: MessageBatch = next.expect("messages arrive").unwrap().unwrap();
            taken.extend(batch.partitions().iter().copied().zip(batch.offsets().iter().copied()));
        }
        let places: BTreeSet<_> = taken.iter().copied().collect();
        assert_eq!((taken.len(), places.len()), (count, count), "more than was sent, or something twice: {taken:?}");
        places
    }
}

async fn topic(backend: &Backend) -> (String, Producer) {
    let name = backend.unique("moving");
    let spec = TopicSpec { name: name.clone(), partitions: PARTITIONS as u32, compacted: false };
    Admin::new(&backend.kafka).unwrap().ensure(&[spec]).await.unwrap();
    (name, backend.services().producer)
}

/// Sends one record to each partition.
async fn send(producer: &Producer, topic: &str) {
    let record = |partition| Outgoing { payload: b"r".to_vec(), partition: Some(partition), ..Outgoing::default() };
    producer.send_all(topic, (0..PARTITIONS).map(record).collect()).await.unwrap();
}

fn places(partitions: &BTreeSet<i32>, offset: i64) -> BTreeSet<(i32, i64)> {
    partitions.iter().map(|partition| (*partition, offset)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_stay_are_read_on_while_others_move() {
    let backend = Backend::start().await;
    let (topic, producer) = topic(&backend).await;
    let mut first = Member::join(&backend, &topic, Some("movers"));
    let all: BTreeSet<i32> = (0..PARTITIONS).collect();
    assert_eq!(first.is_given(4).await, all);
    send(&producer, &topic).await;
    assert_eq!(first.take(4).await, places(&all, 0));

    let mut second = Member::join(&backend, &topic, Some("movers"));
    let moved = second.is_given(2).await;
    let stayed: BTreeSet<i32> = &all - &moved;
    send(&producer, &topic).await;

    assert_eq!(first.take(2).await, places(&stayed, 1));
    assert_eq!(second.take(4).await, &places(&moved, 0) | &places(&moved, 1));
    // Were everything taken away and given out anew, what stays would have been given twice.
    assert_eq!(first.given(), (0..PARTITIONS).collect::<Vec<_>>());
    first.consumer.close().await;
    second.consumer.close().await;
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_member_gives_its_partitions_up_at_once_and_nothing_of_them_is_handed_over_later() {
    let backend = Backend::start().await;
    let (topic, producer) = topic(&backend).await;
    let mut first = Member::join(&backend, &topic, Some("movers"));
    let all = first.is_given(4).await;
    send(&producer, &topic).await;
    first.take(4).await;

    // Nobody takes what it reads from now on, and it may gather no more than this. Another reader shows that it is there.
    send(&producer, &topic).await;
    let mut witness = Member::join(&backend, &topic, None);
    assert_eq!(witness.take(8).await.len(), 8);
    witness.consumer.close().await;

    // The group waits for its busy member to let go, and for nothing else.
    let mut second = Member::join(&backend, &topic, Some("movers"));
    let moved = second.is_given(2).await;
    let stayed: BTreeSet<i32> = &all - &moved;
    assert_eq!(second.take(4).await, &places(&moved, 0) | &places(&moved, 1));

    assert_eq!(first.take(2).await, places(&stayed, 1));
    send(&producer, &topic).await;
    assert_eq!(first.take(2).await, places(&stayed, 2));
    assert_eq!(second.take(2).await, places(&moved, 2));
    first.consumer.close().await;
    second.consumer.close().await;
    backend.stop().await;
}
