//! A process to be killed: opens the store in the folder it is given, appends until it ends, and says on standard output
//! what was acknowledged. `tests/kill.rs` reads along.
//!
//! ```text
//! ready
//! ack <partition> <offset> <value>
//! commit <partition> <offset>
//! producer <id>
//! ```

#![allow(clippy::unwrap_used, reason = "a process for tests")]

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use driftmill_segments::{Clock, Options, SegmentStore};
use nisshi_sans_io::ErrorCode;
use nisshi_sans_io::create_topics_request::CreatableTopic;
use nisshi_sans_io::record::{Record, deflated, inflated};
use nisshi_storage::{Error, OffsetCommitRequest, Storage as _, Topition};
use url::Url;

const PARTITIONS: i32 = 3;

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    let clock = Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let mut options = Options::new(folder, clock, Url::parse("tcp://127.0.0.1:9092").unwrap());
    // Small, so that segments are closed, synced and deleted while it is killed.
    options.segment_bytes = 20_000;
    options.sync_interval = Duration::from_millis(5);
    let store = SegmentStore::open(options).unwrap();
    let topic = CreatableTopic::default()
        .name("kill".to_owned())
        .num_partitions(PARTITIONS)
        .replication_factor(1)
        .assignments(Some(Vec::new()))
        .configs(Some(Vec::new()));
    match store.create_topic(topic, false).await {
        Ok(_) | Err(Error::Api(ErrorCode::TopicAlreadyExists)) => {}
        Err(error) => panic!("{error}"),
    }
    let producer = store.init_producer(None, 0, None, None).await.unwrap();
    say(&format!("producer {}", producer.id));
    say("ready");

    let mut tasks = Vec::new();
    for partition in 0..PARTITIONS {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let topition = Topition::new("kill", partition);
            let mut sequence = 0;
            for round in 0_u64.. {
                let padding = "x".repeat(usize::try_from(round % 50).unwrap() * 20);
                let value = |i: u64| format!("{}-{partition}-{round}-{i}-{padding}", producer.id);
                let values: Vec<String> = (0..1 + round % 7).map(value).collect();
                let count = i32::try_from(values.len()).unwrap();
                let base = store.produce(None, &topition, batch(&values, producer.id, sequence)).await.unwrap();
                sequence += count;
                for (i, value) in (0..).zip(&values) {
                    say(&format!("ack {partition} {} {value}", base + i));
                }
                if round % 10 == 0 {
                    let commit = OffsetCommitRequest::default().offset(base);
                    store.offset_commit("group", None, &[(topition.clone(), commit)]).await.unwrap();
                    say(&format!("commit {partition} {base}"));
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// One line, whole and at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

fn batch(values: &[String], producer_id: i64, sequence: i32) -> deflated::Batch {
    let mut builder = inflated::Batch::builder()
        .base_timestamp(1_700_000_000_000)
        .max_timestamp(1_700_000_000_000)
        .producer_id(producer_id)
        .producer_epoch(0)
        .base_sequence(sequence)
        .last_offset_delta(i32::try_from(values.len()).unwrap() - 1);
    for (delta, value) in (0..).zip(values) {
        builder = builder.record(Record::builder().offset_delta(delta).value(Some(Bytes::from(value.clone()))));
    }
    deflated::Batch::try_from(builder.build().unwrap()).unwrap()
}
