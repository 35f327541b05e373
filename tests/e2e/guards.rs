//! Settings without which rows are lost or doubled in silence: each is looked at where it takes effect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use axum::http::Uri;
use driftmill_platform::clickhouse::{ClickHouse, InsertBody, migrate, pipeline_migrations, platform_migrations};
use driftmill_platform::config::{self, Secret};
use driftmill_platform::kafka::{
    Admin, BatchPolicy, Consumer, ConsumerOptions, OffsetRange, Outgoing, Position, TopicSpec,
};
use driftmill_platform::stage::token;
use driftmill_schemas::pipeline;
use driftmill_schemas::topic::{self, Topics};
use tokio_util::sync::CancellationToken;

use crate::harness::{Backend, Options, Stack, repository};

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

/// Rows `0..rows` of partition 0 as an Arrow stream of many small batches, as the processors write it.
fn stream(rows: usize) -> Vec<u8> {
    let batch = |start: usize| {
        let offsets = start..rows.min(start + 4_096);
        let partitions: ArrayRef = Arc::new(Int32Array::from(vec![0; offsets.len()]));
        let offsets: ArrayRef = Arc::new(Int64Array::from_iter_values(offsets.map(|offset| offset as i64)));
        RecordBatch::try_from_iter([("_partition", partitions), ("_offset", offsets)]).unwrap()
    };
    let mut writer = StreamWriter::try_new(Vec::new(), &batch(0).schema()).unwrap();
    (0..rows).step_by(4_096).for_each(|start| writer.write(&batch(start)).unwrap());
    writer.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pieces_of_a_batch_become_one_block() {
    let backend = tables().await;
    // More than the server gathers into one block by itself.
    let rows = 1_200_000;
    let insert = InsertBody {
        table: "iris_features_rows".to_owned(),
        format: "ArrowStream",
        body: stream(rows).into(),
        rows: rows as u64,
        token: "pieces".to_owned(),
    };
    backend.clickhouse.insert(&insert).await.unwrap();
    // Every block has a number of its own, whatever is merged afterwards.
    let blocks = "SELECT max(max_block_number) - min(min_block_number) + 1 FROM system.parts \
                  WHERE database = currentDatabase() AND table = 'iris_features_rows'";
    assert_eq!(answer(&backend, blocks).await, "1");
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
async fn an_insert_says_itself_what_a_server_s_defaults_would_decide_otherwise() {
    // Stands in for ClickHouse and notes what it is asked, because a server tells only what is in force, and not who said so.
    let asked: Arc<Mutex<Vec<Uri>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let server = axum::Router::new().fallback(async move |uri: Uri| noted.lock().unwrap().push(uri));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, server).await });
    let (user, database) = ("u".to_owned(), "d".to_owned());
    let clickhouse = ClickHouse::new(&config::ClickHouse { url, user, password: Secret::new("p"), database });
    let insert = InsertBody {
        table: "t".to_owned(),
        format: "ArrowStream",
        body: "rows".into(),
        rows: 1,
        token: "its token".to_owned(),
    };
    clickhouse.insert(&insert).await.unwrap();
    clickhouse.execute("INSERT INTO t SELECT 1").await.unwrap();
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(asked.len(), 2, "{asked:?}");
    let settings: Vec<BTreeMap<_, _>> =
        asked.iter().map(|uri| url::form_urlencoded::parse(uri.query().unwrap().as_bytes()).collect()).collect();
    for (name, value) in [
        ("async_insert", "0"),
        ("insert_deduplicate", "1"),
        ("deduplicate_blocks_in_dependent_materialized_views", "1"),
        ("max_insert_block_size", "100000000"),
        ("min_insert_block_size_rows", "100000000"),
        ("min_insert_block_size_bytes", "0"),
        ("input_format_parallel_parsing", "0"),
    ] {
        assert!(settings.iter().all(|said| said.get(name).is_some_and(|said| said == value)), "{name}: {settings:?}");
    }
    assert_eq!(settings[0]["insert_deduplication_token"], "its token");
    serving.abort();
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
    let range = |from| [OffsetRange { topic: "t".to_owned(), partition: 0, from, to: 9 }];
    assert_ne!(token("stage", &range(1), b"rows"), token("stage", &range(2), b"rows"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rows_of_the_same_offsets_are_not_taken_for_a_repeat() {
    let backend = tables().await;
    let range = [OffsetRange { topic: "iris.raw".to_owned(), partition: 0, from: 7, to: 8 }];
    // What another build, or another pipeline file, makes of the same record.
    for label in ["setosa", "virginica"] {
        let body = format!("_partition,_offset,label\n0,7,{label}\n").into_bytes();
        let insert = InsertBody {
            table: "iris_features_rows".to_owned(),
            format: "CSVWithNames",
            token: token("ingest.iris", &range, &body),
            body: body.into(),
            rows: 1,
        };
        backend.clickhouse.insert(&insert).await.unwrap();
    }
    assert_eq!(answer(&backend, "SELECT groupArray(label) FROM iris_features").await, "['virginica']");
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_have_the_partitions_they_were_declared_with_and_not_those_a_broker_gives_them() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    let admin = Admin::new(&stack.kafka).unwrap();
    let topics = Topics::of("iris");
    let mut found = BTreeMap::new();
    for name in topics.all().into_iter().chain([topic::MODELS, topic::TRAININGS, topic::RUNS, topic::SCHEMAS]) {
        found.insert(name, admin.partitions(name).await.unwrap());
    }
    let wanted = found.keys().map(|name| (*name, if *name == topics.raw { 2 } else { 1 })).collect();
    assert_eq!(found, wanted);
    assert!(stack.stop().await);
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
