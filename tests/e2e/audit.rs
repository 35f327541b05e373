//! Every record is a row, a dead letter or a known loss, once; and what is not is found.

use driftmill_platform::clickhouse::{
    ClickHouse, Ledger, LedgerEntry, migrate, pipeline_migrations, platform_migrations,
};
use driftmill_platform::kafka::{Admin, Coverage, OffsetRange, Outgoing, Producer, TopicSpec};
use driftmill_processors::audit::{Balance, Error, audit};
use driftmill_schemas::pipeline::load;
use serde_json::Value;
use std::time::Duration;

use crate::harness::{Backend, Options, Stack, copy_pipelines};

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_accounts_for_rows_and_dead_letters() {
    let stack = Stack::start(Options::default()).await;
    let producer = Producer::new(&stack.kafka, Duration::from_millis(1)).unwrap();
    for payload in [&b"no Avro"[..], b"neither"] {
        producer.send("iris.raw", Outgoing { payload: payload.to_vec(), ..Outgoing::default() }).await.unwrap();
    }
    stack.sql_becomes("SELECT sum(to_offset - from_offset) >= 152 FROM ledger WHERE stage = 'ingest.iris'", "1").await;
    let told = stack.cli_ok(&["audit", "iris"]).await;
    assert!(told.contains("balanced"), "{told}");
    let told: Value = serde_json::from_str(&stack.cli_ok(&["audit", "--json"]).await).unwrap();
    let sum = |key: &str| {
        told["partitions"].as_array().unwrap().iter().map(|balance| balance[key].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((sum("rows"), sum("dead_letters"), sum("missing"), sum("twice")), (150, 2, 0, 0), "{told}");
    // The audit that never ends comes to the same.
    let continuous = "SELECT sum(rows), sum(dead_letters), sum(missing), sum(twice) FROM audits FINAL";
    stack.sql_becomes(continuous, "150\t2\t0\t0").await;

    let delete = "ALTER TABLE iris_features_rows DELETE WHERE _offset = 7 SETTINGS mutations_sync = 2";
    stack.clickhouse.execute(delete).await.unwrap();
    let refused = stack.cli(&["audit", "iris"]).await;
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && error.contains("7..8"), "{error}");
}

struct Tables {
    clickhouse: ClickHouse,
    admin: Admin,
    backend: Backend,
}

/// The tables of `iris` and its topics, without any process.
async fn tables() -> Tables {
    let backend = Backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let pipelines = copy_pipelines(&["iris"], folder.path());
    let loaded = load(&pipelines.join("iris/pipeline.yaml")).unwrap();
    let clickhouse = backend.clickhouse.clone();
    migrate(&clickhouse, &[platform_migrations(), pipeline_migrations(&loaded.pipeline)].concat()).await.unwrap();
    let admin = Admin::new(&backend.kafka).unwrap();
    let specs =
        ["iris.raw", "iris.rejected"].map(|name| TopicSpec { name: name.to_owned(), partitions: 1, compacted: false });
    admin.ensure(&specs).await.unwrap();
    Tables { clickhouse, admin, backend }
}

impl Tables {
    async fn entered(&self, from: i64, to: i64, lost: Vec<(i64, i64)>, absent: Vec<(i64, i64)>) {
        let range = OffsetRange { topic: "iris.raw".to_owned(), partition: 0, from, to };
        let coverage = Coverage { lost, absent, ..range.into() };
        let entry = LedgerEntry { coverage, rows: 0, rejected: 0 };
        Ledger::new(self.clickhouse.clone(), "ingest.iris").enter(&[entry], 0).await.unwrap();
    }

    async fn rows(&self, from: i64, to: i64) {
        let insert = format!(
            "INSERT INTO iris_features_rows (_partition, _offset) SELECT 0, {from} + number FROM numbers({})",
            to - from
        );
        self.clickhouse.execute(&insert).await.unwrap();
    }

    async fn dead_letter(&self, offset: i64) {
        let insert = format!(
            "INSERT INTO iris_dead_letters_rows (_partition, _offset, origin, origin_topic, origin_partition, origin_offset) \
             VALUES (0, {offset}, 'iris.raw/0/{offset}', 'iris.raw', 0, {offset})"
        );
        self.clickhouse.execute(&insert).await.unwrap();
    }

    async fn balance(&self) -> Balance {
        let found = audit(&self.clickhouse, &self.admin, "iris", |_| None, Duration::ZERO).await.unwrap();
        found.into_iter().next().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_and_markers_are_told_from_what_is_missing() {
    let tables = tables().await;
    tables.entered(10, 40, vec![(10, 15)], vec![]).await;
    // What a processor that was thought dead enters late, over the range of its successor.
    tables.entered(12, 60, vec![(12, 15)], vec![(30, 31)]).await;
    tables.rows(15, 30).await;
    tables.rows(31, 59).await;
    tables.dead_letter(59).await;
    let balance = tables.balance().await;
    assert_eq!((balance.from, balance.to, balance.rows, balance.dead_letters), (10, 60, 43, 1), "{balance:?}");
    assert_eq!((balance.lost, balance.absent, balance.missing, balance.twice), (5, 1, 0, 0), "{balance:?}");

    tables.entered(60, 70, vec![], vec![]).await;
    tables.rows(60, 62).await;
    tables.rows(64, 68).await;
    let balance = tables.balance().await;
    assert_eq!((balance.missing, balance.examples), (4, vec![(62, 64), (68, 70)]));

    tables.dead_letter(60).await;
    assert_eq!(tables.balance().await.twice, 1, "a row and a dead letter of the same record");
    tables.backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_passed_over_is_missing_whatever_the_ledger_says() {
    let tables = tables().await;
    let producer = tables.backend.services().producer;
    for payload in [b"a", b"b", b"c", b"d"] {
        producer.send("iris.raw", Outgoing { payload: payload.to_vec(), ..Outgoing::default() }).await.unwrap();
    }
    // A reader that drops records sees a hole, too, and says that nothing was there.
    tables.entered(0, 4, vec![], vec![(1, 3)]).await;
    tables.rows(0, 1).await;
    tables.rows(3, 4).await;
    let balance = tables.balance().await;
    assert_eq!((balance.rows, balance.absent, balance.missing, balance.examples), (2, 0, 2, vec![(1, 3)]));
    tables.backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_waits_for_dead_letters_on_their_way() {
    let tables = tables().await;
    tables.entered(0, 1, vec![], vec![]).await;
    let letter = Outgoing { payload: b"x".to_vec(), ..Outgoing::default() };
    tables.backend.services().producer.send("iris.rejected", letter).await.unwrap();
    let error = audit(&tables.clickhouse, &tables.admin, "iris", |_| None, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Unsettled { waiting: 1, .. }), "{error}");
    tables.backend.stop().await;
}
