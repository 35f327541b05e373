//! How many records the storage itself takes and gives per second, without network, protocol and client.
//!
//! ```sh
//! cargo run --workspace --release --locked --ignore-rust-version --example storage_throughput
//! ```
//!
//! Method: four tasks, one a partition, each with one batch of 500 uncompressed records of 200 bytes in flight, one after
//! the other, 4 GB in all unless the first argument says how many records. Then four readers, 1 MiB a fetch, which count
//! records by the batches' headers. Segments with both durabilities and the library's memory engine, in this order, in
//! one run. What the whole broker makes of it is measured by `broker_throughput` of `driftmill-embedded`.

#![allow(clippy::unwrap_used, reason = "a measurement that fails says where")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use driftmill_segments::{Clock, Durability, Options, SegmentStore};
use nisshi_sans_io::IsolationLevel;
use nisshi_sans_io::create_topics_request::CreatableTopic;
use nisshi_sans_io::record::{Record, deflated, inflated};
use nisshi_storage::{ArcDynStorage, StorageContainer, Topition};
use nisshi_storage_dynostore::MemoryEngineFactory;
use tokio::time::Instant;
use url::Url;

const PARTITIONS: i32 = 4;
const RECORDS_A_BATCH: u64 = 500;
const SIZE: usize = 200;

#[tokio::main]
async fn main() {
    let records: u64 = std::env::args().nth(1).map_or(20_000_000, |records| records.parse().unwrap());
    for durability in [Durability::Process, Durability::Power] {
        let home = tempfile::tempdir().unwrap();
        let clock = Clock::new(|| SystemTime::UNIX_EPOCH);
        let advertised = Url::parse("tcp://127.0.0.1:9092").unwrap();
        let options = Options { durability, ..Options::new(home.path().join("store"), clock, advertised) };
        let store = SegmentStore::open(options).unwrap();
        measure(&format!("segments, {durability:?}"), Arc::new(store.clone()), records).await;
        store.close().unwrap();
    }
    // It keeps everything: a tenth is enough to see its speed.
    measure("memory", memory().await, records / 10).await;
}

async fn measure(name: &str, storage: ArcDynStorage, records: u64) {
    let topic = CreatableTopic::default().name("t".to_owned()).num_partitions(PARTITIONS).replication_factor(1);
    storage.create_topic(topic.assignments(Some(Vec::new())).configs(Some(Vec::new())), false).await.unwrap();
    let each = records / RECORDS_A_BATCH / u64::try_from(PARTITIONS).unwrap();
    let batch = batch();

    let produced = each_partition(&storage, |storage, topition| {
        let batch = batch.clone();
        async move {
            for _ in 0..each {
                storage.produce(None, &topition, batch.clone()).await.unwrap();
            }
        }
    })
    .await;
    let consumed = each_partition(&storage, |storage, topition| async move {
        let (mut offset, wait) = (0, Duration::from_secs(60));
        while u64::try_from(offset).unwrap() < each * RECORDS_A_BATCH {
            let isolation = IsolationLevel::ReadUncommitted;
            let batches = storage.fetch(&topition, offset, 1, 1 << 20, isolation, wait).await.unwrap();
            offset = batches.last().unwrap().max_offset() + 1;
        }
    })
    .await;
    let rate = |time: Duration| (each * RECORDS_A_BATCH * 4) as f64 / time.as_secs_f64() / 1e6;
    println!("{name}: {:.2} M produced/s, {:.2} M fetched/s", rate(produced), rate(consumed));
}

async fn each_partition<F>(storage: &ArcDynStorage, work: impl Fn(ArcDynStorage, Topition) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let started = Instant::now();
    let start = |partition| tokio::spawn(work(storage.clone(), Topition::new("t", partition)));
    let tasks: Vec<_> = (0..PARTITIONS).map(start).collect();
    for task in tasks {
        task.await.unwrap();
    }
    started.elapsed()
}

fn batch() -> deflated::Batch {
    let last = i32::try_from(RECORDS_A_BATCH).unwrap() - 1;
    let mut builder =
        inflated::Batch::builder().producer_id(-1).producer_epoch(-1).base_sequence(-1).last_offset_delta(last);
    for delta in 0..=last {
        builder = builder.record(Record::builder().offset_delta(delta).value(Some(Bytes::from(vec![7; SIZE]))));
    }
    deflated::Batch::try_from(builder.build().unwrap()).unwrap()
}

async fn memory() -> ArcDynStorage {
    let mut builder = StorageContainer::builder();
    builder.with_factory(Arc::new(MemoryEngineFactory));
    let url = |url| Url::parse(url).unwrap();
    builder
        .cluster_id("c")
        .node_id(1)
        .advertised_listener(url("tcp://127.0.0.1:9092"))
        .storage(url("memory://"))
        .silent(true)
        .build()
        .await
        .unwrap()
}
