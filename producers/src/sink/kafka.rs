//! Kafka as a sink.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::config;
use driftmill_platform::kafka::{
    Admin, BatchPolicy, Consumer, ConsumerOptions, Error as KafkaError, Outgoing, Position, Producer,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Seen, Sink};
use crate::Error;

/// Longest silence of a topic that has more to deliver.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends through an idempotent producer, and reads with a consumer without a group.
pub(crate) struct KafkaSink {
    producer: Producer,
    admin: Admin,
    settings: config::Kafka,
}

impl KafkaSink {
    pub(crate) fn new(producer: Producer, admin: Admin, settings: config::Kafka) -> Self {
        Self { producer, admin, settings }
    }
}

impl Sink for KafkaSink {
    type Acknowledgement = BoxFuture<'static, Result<(i32, i64), Error>>;

    async fn ends(&self, topic: &str) -> Result<Vec<i64>, Error> {
        Ok(self.admin.watermarks(topic).await?.into_iter().map(|(_, end)| end).collect())
    }

    async fn read(
        &self,
        topic: &str,
        from: &[i64],
        to: &[i64],
        visit: &mut (dyn FnMut(Seen<'_>) + Send),
    ) -> Result<(), Error> {
        // What retention has taken away cannot be read, and needs not be: its beginning is the beginning.
        let kept = self.admin.watermarks(topic).await?;
        let mut reached: Vec<i64> =
            kept.iter().enumerate().map(|(p, (low, _))| from.get(p).copied().unwrap_or(0).max(*low)).collect();
        let done = |reached: &[i64]| reached.iter().zip(to).all(|(at, to)| at >= to);
        if done(&reached) {
            return Ok(());
        }
        let starts = reached.clone();
        let positions = move |_: &str, partitions: &[i32]| -> Result<Vec<Position>, KafkaError> {
            let start = |partition: &i32| usize::try_from(*partition).ok().and_then(|p| starts.get(p).copied());
            Ok(partitions.iter().map(|partition| start(partition).map_or(Position::Beginning, Position::At)).collect())
        };
        let batch = BatchPolicy::default();
        let options = ConsumerOptions { topic: topic.to_owned(), group: None, headers: true, batch };
        let cancel = CancellationToken::new();
        let _stop = cancel.clone().drop_guard();
        let mut consumer = Consumer::start(&self.settings, options, Arc::new(positions), &cancel)?;
        while !done(&reached) {
            let batch = match tokio::time::timeout(PATIENCE, consumer.next()).await {
                Ok(Some(batch)) => batch?,
                Ok(None) | Err(_) => return Err(Error::Stalled(topic.to_owned())),
            };
            for i in 0..batch.len() {
                let Ok(partition) = usize::try_from(batch.partitions()[i]) else { continue };
                let offset = batch.offsets()[i];
                let Some(at) = reached.get_mut(partition) else { continue };
                *at = offset + 1;
                if to.get(partition).is_some_and(|to| offset < *to) {
                    visit(Seen { partition, offset, headers: batch.headers(i), payload: batch.payload(i) });
                }
            }
        }
        consumer.close().await;
        Ok(())
    }

    async fn start(&self, topic: &str, message: Outgoing) -> Result<Self::Acknowledgement, Error> {
        let acknowledgement = self.producer.start(topic, message).await?;
        Ok(async move { Ok(acknowledgement.wait().await?) }.boxed())
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    fn message(partition: i32, text: &str) -> Outgoing {
        let headers = vec![("h".to_owned(), text.as_bytes().to_vec())];
        Outgoing { payload: text.as_bytes().to_vec(), headers, partition: Some(partition), ..Outgoing::default() }
    }

    #[tokio::test]
    async fn what_was_sent_is_found_again_between_any_offsets() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 3, 1).unwrap();
        let settings = config::Kafka { brokers: cluster.bootstrap_servers(), ..config::Kafka::default() };
        let producer = Producer::new(&settings, Duration::from_millis(1)).unwrap();
        let sink = KafkaSink::new(producer, Admin::new(&settings).unwrap(), settings);
        assert_eq!(sink.ends("t").await.unwrap(), [0, 0, 0]);
        let mut waiting = Vec::new();
        for (partition, text) in [(0, "a"), (1, "b"), (0, "c"), (0, "d"), (1, "e")] {
            waiting.push(sink.start("t", message(partition, text)).await.unwrap());
        }
        let acknowledged = futures::future::try_join_all(waiting).await.unwrap();
        assert_eq!(acknowledged, [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)]);
        let ends = sink.ends("t").await.unwrap();
        assert_eq!(ends, [3, 2, 0]);
        for (from, to, wanted) in [
            ([0, 0, 0], [3, 2, 0], "abcde"),
            ([1, 2, 0], [3, 2, 0], "cd"),
            ([1, 0, 0], [2, 1, 0], "bc"),
            ([3, 2, 0], [3, 2, 0], ""),
        ] {
            let mut found = Vec::new();
            let visit = &mut |seen: Seen<'_>| {
                assert_eq!(seen.headers, [("h".to_owned(), seen.payload.to_vec())]);
                found.push(String::from_utf8(seen.payload.to_vec()).unwrap());
            };
            sink.read("t", &from, &to, visit).await.unwrap();
            found.sort();
            assert_eq!(found.concat(), wanted, "{from:?} to {to:?}");
        }
    }

    #[tokio::test]
    async fn a_record_without_a_partition_goes_where_its_entity_s_other_records_are() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 7, 1).unwrap();
        let settings = config::Kafka { brokers: cluster.bootstrap_servers(), ..config::Kafka::default() };
        let producer = Producer::new(&settings, Duration::from_millis(1)).unwrap();
        for entity in ["21", "foobar", "abc", "customer 7", "é"] {
            let message = Outgoing { key: entity.as_bytes().to_vec(), payload: vec![1], ..Outgoing::default() };
            let (partition, _) = producer.send("t", message).await.unwrap();
            assert_eq!(partition, crate::partition::partition(entity.as_bytes(), 0, 7), "{entity}");
        }
    }
}
