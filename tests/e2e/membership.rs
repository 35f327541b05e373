//! Who has which partition, when members die at the worst moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use driftmill_platform::config::Membership;
use driftmill_platform::kafka::{
    Admin, BatchPolicy, Consumer, ConsumerOptions, EndsInTime, MessageBatch, Outgoing, Position, TopicSpec,
};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tokio_util::sync::CancellationToken;

use crate::harness::{Backend, eventually};

const PARTITIONS: i32 = 4;
const NAME: &str = "processor-0";

/// Takes what it is given, and dies when something of it is to be let go: it never answers again.
#[derive(Default)]
struct Mortal {
    has: AtomicUsize,
    is_dead: AtomicBool,
}

struct Lifeline(Arc<Mortal>);

impl ClientContext for Lifeline {}

impl ConsumerContext for Lifeline {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            consumer.incremental_assign(list).unwrap();
            self.0.has.fetch_add(list.count(), Ordering::SeqCst);
        } else if list.count() > 0 && !self.0.is_dead.swap(true, Ordering::SeqCst) {
            // The second round is never asked for. The test, the polling thread and this hold it; at last the test does not.
            while Arc::strong_count(&self.0) > 2 {
                std::thread::sleep(Duration::from_millis(10));
            }
            consumer.incremental_unassign(list).unwrap();
        } else {
            consumer.incremental_unassign(list).unwrap();
        }
    }
}

fn member(backend: &Backend, topic: &str, membership: Membership, cancel: &CancellationToken) -> Consumer {
    let kafka = driftmill_platform::config::Kafka { membership, ..backend.kafka.clone() };
    let options = ConsumerOptions {
        topic: topic.to_owned(),
        group: Some(topic.to_owned()),
        headers: false,
        batch: BatchPolicy::default(),
    };
    let positions = Arc::new(|_: &str, partitions: &[i32]| Ok(vec![Position::Beginning; partitions.len()]));
    Consumer::start(&kafka, options, positions, cancel).unwrap()
}

/// The partitions of what comes, as long as anything comes soon.
async fn partitions(consumer: &mut Consumer) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    while let Ok(Some(next)) = tokio::time::timeout(Duration::from_millis(200), consumer.next()).await {
        let batch: MessageBatch = next.unwrap();
        found.extend(batch.partitions());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_nobody_got_when_a_named_member_died_between_two_rounds_are_read_all_the_same() {
    let backend = Backend::start().await;
    let topic = backend.unique("forgotten");
    let spec = TopicSpec { name: topic.clone(), partitions: PARTITIONS as u32, compacted: false };
    Admin::new(&backend.kafka).unwrap().ensure(&[spec]).await.unwrap();
    let records = (0..PARTITIONS).map(|p| Outgoing { payload: vec![1], partition: Some(p), ..Outgoing::default() });
    backend.services().producer.send_all(&topic, records.collect()).await.unwrap();

    // It has everything, and dies when it is to let half of it go.
    let mortal = Arc::new(Mortal::default());
    let first: BaseConsumer<Lifeline> = ClientConfig::new()
        .set("bootstrap.servers", &backend.kafka.brokers)
        .set("group.id", &topic)
        .set("group.instance.id", NAME)
        .set("session.timeout.ms", "45000")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .create_with_context(Lifeline(Arc::clone(&mortal)))
        .unwrap();
    let first = EndsInTime::new(first);
    first.subscribe(&[&topic]).unwrap();
    let polling = std::thread::spawn({
        let mortal = Arc::clone(&mortal);
        move || {
            while !mortal.is_dead.load(Ordering::SeqCst) {
                let _ = first.poll(Duration::from_millis(20));
            }
        }
    });
    eventually("the first member has everything", async || {
        (mortal.has.load(Ordering::SeqCst) == PARTITIONS as usize).then_some(())
    })
    .await;
    let cancel = CancellationToken::new();
    let mut second = member(&backend, &topic, Membership::Dynamic, &cancel);
    eventually("the first member dies", async || mortal.is_dead.load(Ordering::SeqCst).then_some(())).await;

    let mut third = member(&backend, &topic, Membership::Static(NAME.to_owned()), &cancel);
    let mut found = BTreeSet::new();
    eventually("every partition is read", async || {
        found.extend(partitions(&mut second).await);
        found.extend(partitions(&mut third).await);
        (found.len() == PARTITIONS as usize).then_some(())
    })
    .await;
    second.close().await;
    third.close().await;
    drop(mortal);
    tokio::task::spawn_blocking(|| polling.join().unwrap()).await.unwrap();
    backend.stop().await;
}
