//! Settings without which rows are lost or doubled in silence: each is looked at where it takes effect.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::clickhouse::{InsertBody, migrate, pipeline_migrations, platform_migrations};
use driftmill_platform::config::Secret;
use driftmill_platform::kafka::{Admin, BatchPolicy, Consumer, ConsumerOptions, Outgoing, Position, TopicSpec};
use driftmill_platform::stage::token;
use driftmill_schemas::pipeline;
use tokio_util::sync::CancellationToken;

use crate::harness::{Backend, repository};

async fn tables() -> Backend {
    let backend = Backend::start().await;
    let iris = pipeline::load(&repository().join("pipelines/iris/pipeline.yaml")).unwrap();
    migrate(&backend.clickhouse, &[platform_migrations(), pipeline_migrations(&iris.pipeline)].concat()).await.unwrap();
    backend
}

async fn answer(backend: &Backend, query: &str) -> String {
    let bytes = backend.clickhouse.bytes(query, "TabSeparated").await.unwrap();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_any_size_is_one_block_so_that_its_repeat_is_recognised() {
    let backend = tables().await;
    // More than ClickHouse puts into one block by itself.
    let rows = 1_200_000;
    let mut body = String::from("_partition,_offset\n");
    (0..rows).for_each(|offset| body.push_str(&format!("0,{offset}\n")));
    let insert = InsertBody {
        table: "iris_features_rows".to_owned(),
        format: "CSVWithNames",
        body: body.into(),
        rows,
        token: "large".to_owned(),
    };
    backend.clickhouse.insert(&insert).await.unwrap();
    assert_eq!(backend.clickhouse.most_active_parts(&["iris_features_rows"]).await.unwrap(), 1);
    backend.clickhouse.insert(&insert).await.unwrap();
    assert_eq!(answer(&backend, "SELECT count() FROM iris_features_rows").await, rows.to_string());
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_remembers_tokens_writes_through_and_is_not_split_into_partitions() {
    let backend = tables().await;
    let tables = "FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' \
                  AND name != 'schema_migrations'";
    let all: u64 = answer(&backend, &format!("SELECT count() {tables}")).await.parse().unwrap();
    assert!(all >= 9, "{all} tables");
    let guarded = format!(
        "SELECT count() {tables} AND engine_full LIKE '%non_replicated_deduplication_window = 1000%' \
         AND engine_full LIKE '%fsync_after_insert = 1%' AND partition_key = ''"
    );
    assert_eq!(answer(&backend, &guarded).await, all.to_string());
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_column_is_filled_by_the_server_which_would_fill_it_otherwise_the_next_time() {
    let backend = tables().await;
    let filled = "SELECT groupArray(table || '.' || name) FROM system.columns WHERE database = currentDatabase() \
                  AND default_expression != '' AND table != 'schema_migrations'";
    assert_eq!(answer(&backend, filled).await, "[]");
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_insert_is_written_and_not_queued() {
    let backend = tables().await;
    let settings = "SELECT getSetting('async_insert'), getSetting('insert_deduplicate'), \
                    getSetting('input_format_parallel_parsing')";
    assert_eq!(answer(&backend, settings).await, "false\ttrue\tfalse");
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_hangs_onto_a_table_counts_a_repeated_insert_once() {
    let backend = tables().await;
    for statement in [
        "CREATE TABLE counts (rows UInt64) ENGINE = MergeTree ORDER BY tuple() \
         SETTINGS non_replicated_deduplication_window = 100",
        "CREATE MATERIALIZED VIEW counting TO counts AS SELECT count() AS rows FROM iris_features_rows",
    ] {
        backend.clickhouse.execute(statement).await.unwrap();
    }
    let insert = |body: &str, token: &str| InsertBody {
        table: "iris_features_rows".to_owned(),
        format: "CSVWithNames",
        body: body.to_owned().into(),
        rows: 2,
        token: token.to_owned(),
    };
    let (first, second) = ("_partition,_offset\n0,1\n0,2\n", "_partition,_offset\n0,3\n0,4\n");
    // The view makes the same of both: only the token tells a repetition from two batches that are alike.
    for (body, token) in [(first, "1"), (first, "1"), (second, "2"), (second, "2")] {
        backend.clickhouse.insert(&insert(body, token)).await.unwrap();
    }
    assert_eq!(answer(&backend, "SELECT count(), sum(rows) FROM counts").await, "2\t4");
    backend.stop().await;
}

#[test]
fn a_token_names_the_rows_and_not_only_their_offsets() {
    assert_eq!(token("stage", &[], b"rows"), token("stage", &[], b"rows"));
    assert_ne!(token("stage", &[], b"rows"), token("stage", &[], b"rowz"));
    assert_ne!(token("stage", &[], b"rows"), token("other", &[], b"rows"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_busy_for_long_neither_leaves_the_group_nor_fills_the_memory() {
    let backend = Backend::start().await;
    let topic = backend.unique("busy");
    let spec = TopicSpec { name: topic.clone(), partitions: 1, compacted: false };
    Admin::new(&backend.kafka).unwrap().ensure(&[spec]).await.unwrap();
    let producer = backend.services().producer;
    let records = (0..100_u8).map(|i| Outgoing { payload: vec![i; 1_000], ..Outgoing::default() }).collect();
    producer.send_all(&topic, records).await.unwrap();

    let mut kafka = backend.kafka.clone();
    for property in ["consumer.max.poll.interval.ms", "consumer.session.timeout.ms"] {
        kafka.properties.insert(property.to_owned(), Secret::new("6000"));
    }
    let options = ConsumerOptions {
        topic,
        group: Some("busy".to_owned()),
        headers: false,
        batch: BatchPolicy { rows: 10, bytes: 4_096, age: Duration::from_millis(1) },
    };
    let assignments = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&assignments);
    let positions = Arc::new(move |_: &str, partitions: &[i32]| {
        counter.fetch_add(partitions.len(), std::sync::atomic::Ordering::SeqCst);
        Ok(vec![Position::Beginning; partitions.len()])
    });
    let mut consumer = Consumer::start(&kafka, options, positions, &CancellationToken::new()).unwrap();
    let mut found = Vec::new();
    while found.len() < 100 {
        let batch = consumer.next().await.unwrap().unwrap();
        assert!(batch.byte_len() <= 5_000, "{} bytes in one batch", batch.byte_len());
        let first = found.is_empty();
        found.extend((0..batch.len()).map(|i| batch.payload(i)[0]));
        if first {
            // Longer than the broker waits for a consumer that does not poll.
            tokio::time::sleep(Duration::from_secs(8)).await;
        }
    }
    assert_eq!(found, (0..100).collect::<Vec<u8>>());
    assert_eq!(assignments.load(std::sync::atomic::Ordering::SeqCst), 1, "the partition was never taken away");
    consumer.close().await;
    backend.stop().await;
}
