//! What ClickHouse must keep for us: inserts that may be repeated, migrations from two processes, the ledger, the registry.

use driftmill_platform::clickhouse::{
    ClickHouse, InsertBody, Ledger, LedgerEntry, migrate, pipeline_migrations, platform_migrations,
};
use driftmill_platform::kafka::{Admin, Coverage, OffsetRange, Position, TopicSpec};
use driftmill_platform::registry::{CHAMPION, NewVersion};
use driftmill_schemas::{pipeline, topic};

use crate::harness::{Backend, repository, settings_of, start_engine};

fn iris() -> pipeline::Loaded {
    pipeline::load(&repository().join("pipelines/iris/pipeline.yaml")).unwrap()
}

async fn count(backend: &Backend, table: &str) -> String {
    let bytes = backend.clickhouse.bytes(&format!("SELECT count() FROM {table}"), "TabSeparated").await.unwrap();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_may_run_twice_and_from_two_processes_at_once() {
    let backend = Backend::start().await;
    let mut migrations = platform_migrations();
    migrations.extend(pipeline_migrations(&iris().pipeline));
    let (one, two) = tokio::join!(migrate(&backend.clickhouse, &migrations), migrate(&backend.clickhouse, &migrations));
    one.unwrap();
    two.unwrap();
    migrate(&backend.clickhouse, &migrations).await.unwrap();
    assert_eq!(count(&backend, "schema_migrations FINAL").await, migrations.len().to_string());
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_feature_becomes_a_column_beside_the_old_rows() {
    let backend = Backend::start().await;
    let mut pipeline = iris().pipeline;
    migrate(&backend.clickhouse, &pipeline_migrations(&pipeline)).await.unwrap();
    pipeline.features.push(pipeline::Feature {
        name: "area".to_owned(),
        sql: Some("petal_length * petal_width".to_owned()),
        ..Default::default()
    });
    migrate(&backend.clickhouse, &[platform_migrations(), pipeline_migrations(&pipeline)].concat()).await.unwrap();
    // The view follows apart: which rows it shows is not the columns' to say.
    backend.clickhouse.make_feature_view("iris").await.unwrap();
    assert_eq!(count(&backend, "(SELECT area FROM iris_features)").await, "0");
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_insert_twice_and_the_same_positions_twice_are_there_once() {
    let backend = Backend::start().await;
    migrate(&backend.clickhouse, &pipeline_migrations(&iris().pipeline)).await.unwrap();
    let row = |offset: i64| {
        format!(
            r#"{{"_partition":0,"_offset":{offset},"event_time":"2026-01-01 00:00:00.000","label":"setosa","_quarantined":0,"sepal_length":1.5}}"#
        )
    };
    let insert = |offsets: &[i64], token: &str| InsertBody {
        table: "iris_features_rows".to_owned(),
        format: "JSONEachRow",
        body: offsets.iter().map(|offset| row(*offset)).collect::<Vec<_>>().join("\n").into(),
        rows: offsets.len() as u64,
        token: token.to_owned(),
    };
    for _ in 0..2 {
        backend.clickhouse.insert(&insert(&[0, 1, 2], "0-3")).await.unwrap();
    }
    assert_eq!(count(&backend, "iris_features_rows").await, "3", "the token recognises a repeat");
    // After a crash the batches are cut in another way: other tokens, the same positions.
    backend.clickhouse.insert(&insert(&[1, 2, 3, 4], "1-5")).await.unwrap();
    assert_eq!(count(&backend, "iris_features").await, "5", "the view shows a position once");
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_is_made_when_it_is_repeated_after_the_engine_was_killed_in_the_middle_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let insert = InsertBody {
        table: "iris_features_rows".to_owned(),
        format: "JSONEachRow",
        body:
            r#"{"_partition":0,"_offset":7,"event_time":"2026-01-01 00:00:00.000","label":"setosa","_quarantined":0}"#
                .into(),
        rows: 1,
        token: "7-8".to_owned(),
    };
    let engine = start_engine(folder.path(), None).await;
    let clickhouse = ClickHouse::new(&settings_of(&engine));
    migrate(&clickhouse, &pipeline_migrations(&iris().pipeline)).await.unwrap();
    clickhouse.insert(&insert).await.unwrap();
    let parts = "SELECT path FROM system.parts WHERE active AND table = 'iris_features_rows'";
    let part = clickhouse.bytes(parts, "TabSeparatedRaw").await.unwrap();
    let part = std::path::Path::new(std::str::from_utf8(&part).unwrap().trim_end()).to_owned();
    // As it is left when the engine ends after it has noted the block and before the part has its place.
    drop(engine);
    std::fs::remove_dir_all(folder.path().join(part)).unwrap();

    let engine = start_engine(folder.path(), None).await;
    let clickhouse = ClickHouse::new(&settings_of(&engine));
    let count = async || clickhouse.bytes("SELECT count() FROM iris_features_rows", "TabSeparated").await.unwrap();
    for _ in 0..2 {
        clickhouse.insert(&insert).await.unwrap();
        assert_eq!(count().await, "1\n");
    }
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_says_where_to_resume() {
    let backend = Backend::start().await;
    migrate(&backend.clickhouse, &platform_migrations()).await.unwrap();
    let ledger = Ledger::new(backend.clickhouse.clone(), "stage");
    let entry = |partition, from, to| LedgerEntry {
        coverage: Coverage {
            lost: vec![(from, from + 1)],
            tail: (partition == 0).then_some(7),
            ..OffsetRange { topic: "t".to_owned(), partition, from, to }.into()
        },
        rows: 1,
        rejected: 0,
    };
    ledger.enter(&[entry(0, 0, 10), entry(2, 5, 7)], 1).await.unwrap();
    ledger.enter(&[entry(0, 10, 12)], 2).await.unwrap();
    let resumed = ledger.resume("t", &[0, 1, 2]).await.unwrap();
    let after = Position::After { next: 12, mark: 7 };
    assert_eq!(resumed, [after, Position::Beginning, Position::At(7)]);
    assert_eq!(ledger.resume("another", &[0]).await.unwrap(), [Position::Beginning]);
    // Partition 1 was never read, so what it holds is all to come.
    assert_eq!(ledger.lag("t", &[(0, 15), (4, 9), (0, 7)]).await.unwrap(), [3, 5, 0]);
    let other = Ledger::new(backend.clickhouse.clone(), "another stage");
    assert_eq!(other.resume("t", &[0]).await.unwrap(), [Position::Beginning]);
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_thinned_out_says_the_same_even_after_a_crash_in_the_middle() {
    let backend = Backend::start().await;
    migrate(&backend.clickhouse, &platform_migrations()).await.unwrap();
    let ledger = Ledger::new(backend.clickhouse.clone(), "stage");
    let entry = |from: i64| LedgerEntry {
        coverage: Coverage {
            lost: vec![(from, from + 1)],
            absent: vec![(from + 2, from + 4)],
            tail: Some(1_000 + from.unsigned_abs()),
            ..OffsetRange { topic: "t".to_owned(), partition: 0, from, to: from + 10 }.into()
        },
        rows: 6,
        rejected: 1,
    };
    for from in (0..100).step_by(10) {
        ledger.enter(&[entry(from)], 1_000 + from).await.unwrap();
    }
    let said = async || {
        let sums = "SELECT min(from_offset), max(to_offset), sum(rows), sum(rejected), \
                    length(arrayDistinct(arrayFlatten(groupArray(lost)))) FROM ledger FINAL";
        let sums = backend.clickhouse.bytes(sums, "TabSeparated").await.unwrap();
        (String::from_utf8_lossy(&sums).into_owned(), ledger.resume("t", &[0]).await.unwrap())
    };
    let before = said().await;
    assert_eq!(before.0, "0\t100\t60\t10\t10\n");
    ledger.compact("t", 0, 1_050).await.unwrap();
    assert_eq!((said().await, count(&backend, "ledger FINAL").await), (before.clone(), "6".to_owned()));
    // Killed before the old entries were taken away: they come to the same when it is done again.
    ledger.enter(&[entry(10), entry(20)], 1_010).await.unwrap();
    ledger.compact("t", 0, 1_080).await.unwrap();
    assert_eq!((said().await, count(&backend, "ledger FINAL").await), (before, "3".to_owned()));
    backend.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_numbered_kept_whole_and_found_by_its_alias() {
    let backend = Backend::start().await;
    migrate(&backend.clickhouse, &platform_migrations()).await.unwrap();
    let specs =
        [topic::MODELS, topic::RUNS].map(|name| TopicSpec { name: name.to_owned(), partitions: 1, compacted: true });
    Admin::new(&backend.kafka).unwrap().ensure(&specs).await.unwrap();
    let registry = backend.registry();
    let new = |artifact: &'static [u8]| NewVersion {
        pipeline: "p".to_owned(),
        run_id: uuid::Uuid::now_v7(),
        algorithm: "constant".to_owned(),
        artifact: artifact.into(),
        reference: b"{}".as_slice().into(),
        snapshot: "hash".to_owned(),
        rows: 3,
        metrics: [("accuracy".to_owned(), 0.5)].into(),
        gates: Vec::new(),
    };
    assert!(registry.resolve("p", CHAMPION).await.unwrap().is_none());
    let one = registry.register(new(b"one")).await.unwrap();
    let two = registry.register(new(b"two")).await.unwrap();
    assert_eq!((one.version, two.version), (1, 2));
    registry.set_alias("p", CHAMPION, 1, "first").await.unwrap();
    registry.set_alias("p", CHAMPION, 2, "better").await.unwrap();
    registry.set_alias("p", CHAMPION, 1, "rolled back").await.unwrap();
    let champion = registry.resolve("p", CHAMPION).await.unwrap().unwrap();
    assert_eq!(champion, one);
    assert_eq!(registry.artifact(&champion).await.unwrap().as_ref(), b"one");
    assert!(registry.set_alias("p", CHAMPION, 9, "no").await.is_err());
    backend.stop().await;
}
