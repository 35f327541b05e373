//! Expectations that look beyond one record: sets, repetitions, times, windows.

use std::path::Path;
use std::sync::Arc;

use driftmill_platform::clock::{Clock, SystemClock};
use driftmill_platform::metrics::Metrics;
use driftmill_processors::expectations::{self, ExpectationMetrics};
use driftmill_schemas::pipeline;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{Options, Stack};

const AVRO: &str = r#"{"type":"record","name":"order","fields":[
    {"name":"id","type":"string"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"amount","type":["null","double"],"default":null},{"name":"country","type":["null","string"],"default":null},
    {"name":"shop","type":["null","string"],"default":null},{"name":"email","type":["null","string"],"default":null},
    {"name":"kept","type":["null","string"],"default":null}]}"#;
const PIPELINE: &str = "version: 1
name: orders
schema: record.avsc
topics: { partitions: 1 }
event_time: at
expectations:
  - { field: amount, between: [0, 10000] }
  - { field: country, known_in: { file: countries.csv, column: code } }
  - { field: shop, known_in: { query: 'SELECT id FROM shops', refresh: 1 } }
  - { field: email, matches: '^[^@]+@[^@]+$', severity: warn }
  - { unique: { fields: [id], records: 1000 } }
  - { name: in time, fresh: { within: 3600, ahead: 60 }, severity: quarantine }
  - { name: few gaps, field: amount, null_rate: { at_most: 0.25, per: 5, min_rows: 4 }, severity: quarantine }
  - { name: busy, volume: { at_least: 4, per: 5 } }
features:
  - name: amount
label: { field: kept, classes: ['no', 'yes'] }
training: { algorithm: constant, min_rows: 1 }
";

fn declare(pipelines: &Path) {
    let folder = pipelines.join("orders");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("pipeline.yaml"), PIPELINE).unwrap();
    std::fs::write(folder.join("record.avsc"), AVRO).unwrap();
    std::fs::write(folder.join("countries.csv"), "name,code\nGermany,DE\nFrance,FR\n").unwrap();
}

fn order(id: &str, at: i64) -> Value {
    let kept = if id.bytes().last().is_some_and(|last| last.is_multiple_of(2)) { "yes" } else { "no" };
    json!({ "id": id, "at": at, "amount": 5.0, "country": "DE", "shop": "7", "email": "a@b", "kept": kept })
}

fn but(mut order: Value, field: &str, value: Value) -> Value {
    order[field] = value;
    order
}

/// Two minutes ahead.
#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> i64 {
        SystemClock.now() + 120_000
    }
}

/// One more watch over the expectations, beside the one of the processors.
fn watch_ahead(stack: &Stack) -> CancellationToken {
    let cancel = CancellationToken::new();
    let loaded = Arc::new(pipeline::load(&stack.pipelines.join("orders/pipeline.yaml")).unwrap());
    let metrics = ExpectationMetrics::new(&Metrics::default());
    tokio::spawn(expectations::watch(loaded, stack.clickhouse.clone(), metrics, Arc::new(Ahead), cancel.clone()));
    cancel
}

async fn push(stack: &Stack, orders: &[Value]) {
    let (status, report) = stack.post("/api/v1/pipelines/orders/records", json!(orders)).await;
    assert_eq!(status, 200, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_an_expectation_is_refused_set_aside_or_told_and_every_window_is_judged() {
    let mut stack =
        Stack::start(Options { pipelines: &["iris"], sources: false, edit: declare, ..Options::default() }).await;
    let now: i64 = stack.sql("SELECT toUnixTimestamp64Milli(now64(3))").await.parse().unwrap();
    // Two windows of five seconds, of which the second has too many nulls.
    let (good, gaps) = (now - now % 5_000 - 60_000, now - now % 5_000 - 30_000);
    let mut orders: Vec<Value> = (0..6).map(|i| order(&format!("good{i}"), good + i)).collect();
    orders.extend((0..6).map(|i| {
        let order = order(&format!("gaps{i}"), gaps + i);
        if i < 2 { but(order, "amount", Value::Null) } else { order }
    }));
    orders.extend([
        but(order("nowhere", good), "country", json!("XX")),
        but(order("noshop", good), "shop", json!("8")),
        but(order("negative", good), "amount", json!(-1.0)),
        order("good1", good),
        but(order("odd", good), "email", json!("nobody")),
        order("late", now - 7_200_000),
        but(order("unknown", good), "country", Value::Null),
    ]);
    push(&stack, &orders).await;
    // The set cannot be asked for yet: nothing is judged without it, and nothing is lost.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(stack.sql("SELECT count() FROM orders_features").await, "0");
    stack.sql("CREATE TABLE shops (id Nullable(UInt32)) ENGINE = MergeTree ORDER BY tuple()").await;
    stack.sql("INSERT INTO shops VALUES (7), (NULL)").await;

    stack.sql_becomes("SELECT count() FROM orders_features", "15").await;
    let refused = "SELECT arraySort(groupArray(expectation)) FROM orders_dead_letters";
    let broken = "['amount between 0 and 10000','country known in countries.csv, code','id unique',\
                  'shop known in SELECT id FROM shops']";
    stack.sql_becomes(refused, broken).await;
    let why = stack.sql("SELECT message FROM orders_dead_letters WHERE expectation = 'id unique'").await;
    assert!(why.contains("offset 1 of the partition has the same values"), "{why}");
    let marked = "SELECT groupArray((_offset, _quarantined, _breaches)) FROM \
                  (SELECT * FROM orders_features WHERE notEmpty(_breaches) ORDER BY _offset)";
    let marks = "[(6,0,['few gaps']),(7,0,['few gaps']),(16,0,['email matches ^[^@]+@[^@]+$']),(17,1,['in time'])]";
    assert_eq!(stack.sql(marked).await, marks);

    // What is remembered is gone with the process, and read from the topic again.
    stack.kill();
    let stack = stack.restart().await;
    push(&stack, &[order("good5", good), order("later", good)]).await;
    stack.sql_becomes("SELECT count() FROM orders_features", "16").await;
    stack.sql_becomes("SELECT count() FROM orders_dead_letters WHERE expectation = 'id unique'", "2").await;

    // Every minute of these is over by this clock.
    let watching = watch_ahead(&stack);
    let results = |title: &str, start: i64| {
        format!(
            "SELECT (checked, broken, met) FROM orders_expectations WHERE expectation = '{title}' \
             AND window_start = fromUnixTimestamp64Milli(toInt64({start}))"
        )
    };
    stack.sql_becomes(&results("few gaps", gaps), "(6,2,0)").await;
    stack.sql_becomes(&results("few gaps", good), "(9,0,1)").await;
    stack.sql_becomes(&results("busy", good), "(9,0,1)").await;
    let email = "SELECT sum(broken), min(met) FROM orders_expectations WHERE expectation LIKE 'email%'";
    stack.sql_becomes(email, "1\t0").await;
    let unique = "SELECT sum(broken) FROM orders_expectations WHERE expectation = 'id unique'";
    stack.sql_becomes(unique, "2").await;
    // Windows that nothing came into break the volume.
    stack.sql_becomes("SELECT min(met) FROM orders_expectations WHERE expectation = 'busy' AND checked = 0", "0").await;

    watching.cancel();
    // 16 rows: without one that came late, and without the 6 of the window with gaps, which the first training still saw.
    stack.cli_ok(&["train", "orders", "--force"]).await;
    stack.sql_becomes("SELECT argMax(rows, version) FROM model_versions WHERE pipeline = 'orders'", "9").await;
    let audit = stack.cli_ok(&["audit", "orders"]).await;
    assert!(audit.contains("balanced"), "{audit}");
    assert!(stack.stop().await);
}
