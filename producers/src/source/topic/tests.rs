//! Reading a topic of a broker that holds it in memory.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::clock::ManualClock;
use driftmill_platform::config;
use driftmill_platform::kafka::{Outgoing, Producer};
use driftmill_schemas::pipeline::{Loaded, load};
use driftmill_schemas::record::framing::SchemaRef;
use driftmill_schemas::record::{Encoder, Record, Value};
use rdkafka::mocking::MockCluster;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::progress::Progress;
use crate::surroundings::Surroundings;

struct World {
    _cluster: MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
    kafka: config::Kafka,
    loaded: Loaded,
    _folder: tempfile::TempDir,
}

impl World {
    /// A topic of two partitions that holds the records 0 to 9, even ones in the first.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipeline.yaml");
        std::fs::write(
            &file,
            "{ version: 1, name: t, schema: r.avsc, features: [{ name: id }], label: { field: id, classes: ['0', '1'] },
               training: { algorithm: constant } }",
        )
        .unwrap();
        let schema = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"}]}"#;
        std::fs::write(folder.path().join("r.avsc"), schema).unwrap();
        let loaded = load(&file).unwrap();
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("other.raw", 2, 1).unwrap();
        let kafka = config::Kafka { brokers: cluster.bootstrap_servers(), ..config::Kafka::default() };
        let world = Self { _cluster: cluster, kafka, loaded, _folder: folder };
        world.write(0..10).await;
        world
    }

    async fn write(&self, ids: std::ops::Range<i64>) {
        let encoder = Encoder::new(&self.loaded, self.framing());
        let producer = Producer::new(&self.kafka, Duration::from_millis(1)).unwrap();
        let message = |id: i64| Outgoing {
            payload: encoder.payload(&Record { values: vec![Value::Long(id)] }).unwrap(),
            partition: Some((id % 2) as i32),
            timestamp: Some(1_000 + id),
            ..Outgoing::default()
        };
        producer.send_all("other.raw", ids.map(message).collect()).await.unwrap();
    }

    fn framing(&self) -> SchemaRef {
        SchemaRef::Fingerprint(self.loaded.schema.fingerprint)
    }

    /// Reads until the end, or `most` items.
    async fn read(&self, declared: &str, places: &[(i32, i64)], most: usize) -> Result<Vec<Item>, Error> {
        let declared: TopicSource = serde_json::from_str(&format!(r#"{{"name":"other.raw"{declared}}}"#)).unwrap();
        let cancel = CancellationToken::new();
        let live = Live {
            runtime: Handle::current(),
            cancel: cancel.clone(),
            progress: watch::Sender::<Progress>::default(),
            clock: Arc::new(ManualClock::at(0)),
            framing: self.framing(),
            around: Surroundings { kafka: self.kafka.clone(), ..Surroundings::default() },
        };
        let places = places.iter().copied().collect();
        let opening = Opening { position: Position::default(), state: None, places, known: Default::default(), live };
        let loaded = self.loaded.clone();
        let _stop = cancel.drop_guard();
        tokio::task::spawn_blocking(move || {
            let mut reader = TopicReader::open("s", &declared, &loaded, opening)?;
            let mut items = Vec::new();
            while items.len() < most {
                let Some(item) = reader.next()? else { break };
                items.push(item);
            }
            Ok(items)
        })
        .await
        .unwrap()
    }
}

/// Partition, offset, and the id it should be.
fn places(items: &[Item]) -> Vec<(i32, i64)> {
    let mut found: Vec<_> = items
        .iter()
        .map(|item| {
            let Identity::Place(partition, offset) = item.identity() else { panic!() };
            let Content::Framed(record, _) = &item.content else { panic!("{item:?}") };
            assert_eq!(record.values, [Value::Long(2 * offset + i64::from(partition))]);
            let more = item.more.as_ref().unwrap();
            assert_eq!(more.timestamp, Some(1_000 + 2 * offset + i64::from(partition)));
            assert_eq!(more.place.as_deref(), Some(format!("other.raw/{partition}/{offset}").as_str()));
            (partition, offset)
        })
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_read_from_anywhere_to_anywhere_and_goes_on() {
    let world = World::new().await;
    let all: Vec<_> = [0, 1].into_iter().flat_map(|p| (0..5).map(move |o| (p, o))).collect();
    let ends = r#","follow":false"#;
    assert_eq!(places(&world.read(ends, &[], 99).await.unwrap()), all);
    assert_eq!(places(&world.read(ends, &[(0, 4), (1, 5)], 99).await.unwrap()), [(0, 4)]);
    let range = r#","from":{"at":{"0":1}},"to":{"0":3,"1":1}"#;
    assert_eq!(places(&world.read(range, &[], 99).await.unwrap()), [(0, 1), (0, 2), (1, 0)]);
    // From the end, and what comes later; a second run knows where that was.
    assert!(world.read(r#","from":"end","follow":false"#, &[], 99).await.unwrap().is_empty());
    world.write(10..14).await;
    assert_eq!(
        places(&world.read(r#","from":"end""#, &[(0, 5), (1, 5)], 4).await.unwrap()),
        [(0, 5), (0, 6), (1, 5), (1, 6)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_or_made_anew_is_told() {
    let world = World::new().await;
    let error = world.read("", &[(0, 99)], 1).await.unwrap_err();
    assert!(matches!(error, Error::TopicRecreated { wanted: 99, end: 5, .. }), "{error}");
}
