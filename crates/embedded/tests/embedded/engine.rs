//! What the engine is configured with, looked at where it takes effect.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Embedded, Login};

/// Everything below `folder`, links left out.
fn below(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| !path.is_symlink())
        .flat_map(|path| if path.is_dir() { [vec![path.clone()], below(&path)].concat() } else { vec![path] })
        .collect()
}

#[tokio::test]
async fn whoever_has_no_password_may_start_the_listener_and_read_two_tables_without_content() {
    let home = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(home.path()).await;
    let grants = "SELECT access_type, database, table FROM system.grants WHERE user_name = 'default' ORDER BY ALL \
                  FORMAT TSV";
    let granted = embedded.answer(&Login::of(home.path()), grants).await;
    assert_eq!(granted, "SELECT\tsystem\tnumbers\nSELECT\tsystem\tone\nSYSTEM LISTEN\t\\N\t\\N");
    embedded.stop().await;
}

#[tokio::test]
async fn what_the_engine_writes_is_private_too() {
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().join("data");
    let embedded = Embedded::start(&data_dir).await;
    let login = Login::of(&data_dir);
    embedded.answer(&login, "CREATE TABLE driftmill.t (a Int32) ENGINE = MergeTree ORDER BY a").await;
    embedded.answer(&login, "INSERT INTO driftmill.t VALUES (1)").await;
    let written = below(&data_dir.join("clickhouse"));
    assert!(written.len() > 10, "{written:?}");
    for path in [written, vec![data_dir.join("engine.log"), data_dir.join("engine.stderr")]].concat() {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:o} {}", mode & 0o777, path.display());
    }
    embedded.stop().await;
}

#[tokio::test]
async fn a_config_xml_in_the_engine_s_folder_is_not_its_configuration() {
    let home = tempfile::tempdir().unwrap();
    let foreign = "<clickhouse><timezone>Asia/Tokyo</timezone></clickhouse>";
    std::fs::write(home.path().join("config.xml"), foreign).unwrap();
    let embedded = Embedded::start(home.path()).await;
    assert_eq!(embedded.answer(&Login::of(home.path()), "SELECT serverTimezone()").await, "UTC");
    embedded.stop().await;
}

#[tokio::test]
async fn leftovers_of_system_tables_are_gone_after_a_start_and_our_tables_are_not() {
    let home = tempfile::tempdir().unwrap();
    let first = Embedded::start(home.path()).await;
    let login = Login::of(home.path());
    first.answer(&login, "CREATE TABLE driftmill.t (a Int32) ENGINE = MergeTree ORDER BY a").await;
    first.answer(&login, "INSERT INTO driftmill.t VALUES (1), (2)").await;
    // Nothing of the engine's own is kept: it would be in the way at the next start.
    let kept = "SELECT count() FROM system.tables WHERE database = 'system' AND data_paths != []";
    assert_eq!(first.answer(&login, kept).await, "0");
    first.stop().await;
    let leftover = home.path().join("clickhouse/data/system/query_log");
    std::fs::create_dir_all(&leftover).unwrap();
    std::fs::write(leftover.join("format_version.txt"), "1").unwrap();

    let second = Embedded::start(home.path()).await;

    assert!(!leftover.exists());
    assert_eq!(second.answer(&login, "SELECT sum(a) FROM driftmill.t").await, "3");
    second.stop().await;
}

#[tokio::test]
async fn the_engine_s_pools_are_those_of_a_machine_that_has_other_work() {
    let home = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(home.path()).await;
    let login = Login::of(home.path());
    // The pools begin with the first table that needs them.
    embedded.answer(&login, "CREATE TABLE driftmill.t (a Int32) ENGINE = MergeTree ORDER BY a").await;
    let sizes = "SELECT metric, value FROM system.metrics WHERE metric IN ('BackgroundMergesAndMutationsPoolSize', \
                 'BackgroundCommonPoolSize', 'BackgroundSchedulePoolSize', 'BackgroundMovePoolSize', \
                 'BackgroundFetchesPoolSize') ORDER BY metric FORMAT TSV";
    let sizes = embedded.answer(&login, sizes).await;
    let expected = [
        "BackgroundCommonPoolSize\t2",
        "BackgroundFetchesPoolSize\t1",
        "BackgroundMergesAndMutationsPoolSize\t4",
        "BackgroundMovePoolSize\t1",
        "BackgroundSchedulePoolSize\t8",
    ];
    assert_eq!(sizes.lines().collect::<Vec<_>>(), expected);
    embedded.stop().await;
}

#[tokio::test]
async fn a_table_that_needs_a_keeper_is_refused_at_once() {
    let home = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(home.path()).await;
    let replicated = "CREATE TABLE driftmill.r (a Int32) ENGINE = ReplicatedMergeTree('/r', 'one') ORDER BY a";
    let (success, answer) = embedded.query(Some(&Login::of(home.path())), replicated).await;
    assert!(!success && answer.contains("Not enough privileges"), "{answer}");
    embedded.stop().await;
}
