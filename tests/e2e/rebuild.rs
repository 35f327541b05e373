//! Features made anew from the raw topic.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use driftmill_platform::clickhouse::Claim;
use serde_json::{Value, json};

use crate::harness::{Options, Stack};

fn bytes_of(table: &str) -> String {
    format!("SELECT * FROM {table} ORDER BY _partition, _offset")
}

async fn loans(rows: u32) -> Stack {
    let stack = Stack::start(Options { pipelines: &["loan"], sources: false, ..Options::default() }).await;
    stack.cli_ok(&["produce", "loan", "--source", "requests", "--rows", &rows.to_string()]).await;
    stack.sql_becomes("SELECT count() FROM loan_features", &rows.to_string()).await;
    stack
}

fn request(id: u32, past: u32) -> Value {
    json!({ "id": id, "age": 30.0, "annual_income": 1000.0, "loan_amount": 500.0, "loan_duration_years": 2,
            "had_past_default": past, "loan_approval": id % 2 })
}

async fn push(stack: &Stack, requests: &[Value]) {
    let (status, report) = stack.post("/api/v1/pipelines/loan/records", json!(requests)).await;
    assert_eq!(status, 200, "{report}");
}

fn edit(pipelines: &Path, changes: &[(&str, &str)]) {
    let file = pipelines.join("loan/pipeline.yaml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    std::fs::write(file, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_rebuilt_from_the_topic_is_the_live_one_byte_for_byte() {
    let stack = loans(1_000).await;
    push(&stack, &[request(5_001, 0), request(5_002, 7), request(5_003, 1)]).await;
    stack.sql_becomes("SELECT count() FROM loan_features", "1002").await;
    let said = stack.cli_ok(&["replay", "loan"]).await;
    assert!(said.contains("1002 rows are the same, 0 differ, 0 are rejected now, 0 were rejected"), "{said}");
    let live = stack.clickhouse.bytes(&bytes_of("loan_features"), "RowBinary").await.unwrap();
    let rebuilt = stack.clickhouse.bytes(&bytes_of("loan_features_v1"), "RowBinary").await.unwrap();
    assert!(!live.is_empty() && live == rebuilt);

    stack.cli_ok(&["replay", "loan", "--discard"]).await;
    let said = stack.cli_ok(&["replay", "loan", "--verify"]).await;
    assert!(said.contains("the topic gives the rows that are there"), "{said}");
    // A row that the topic does not give is found, wherever it came from.
    let change = "ALTER TABLE loan_features_rows UPDATE age = 31 WHERE _offset = 3 SETTINGS mutations_sync = 2";
    stack.clickhouse.execute(change).await.unwrap();
    let found = stack.cli(&["replay", "loan", "--verify", "--from", "2"]).await;
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(!found.status.success() && said.contains(" 2 differ") && said.contains("loan.raw/0/3"), "{said}");
    assert_eq!(stack.sql("SELECT count() FROM system.tables WHERE name LIKE 'loan_features_v%'").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_features_are_put_in_force_at_once_and_every_record_stays_accounted_for() {
    let stack = loans(90_000).await;
    push(&stack, &[request(190_001, 7), request(190_002, 1)]).await;
    stack.sql_becomes("SELECT count() FROM loan_dead_letters", "1").await;
    stack.sql_becomes("SELECT count() FROM loan_features", "90001").await;
    // Another formula; one record that was refused is good, and many that were good are refused.
    edit(
        &stack.pipelines,
        &[
            ("sql: loan_amount / NULLIF", "sql: 2 * loan_amount / NULLIF"),
            (r#"one_of: ["0", "1"] }"#, r#"one_of: ["0", "1", "7"] }"#),
            ("{ field: credit_score, between: [0, 1000] }", "{ field: credit_score, between: [400, 1000] }"),
        ],
    );
    let refused: u64 = stack.sql("SELECT countIf(credit_score < 400) FROM loan_features").await.parse().unwrap();
    let formula = "SELECT arraySort(groupUniqArray(round(amount_to_income * annual_income / loan_amount))) FROM loan_features \
                   WHERE amount_to_income > 0";
    assert_eq!(stack.sql(formula).await, "[1]");

    // Killed in the middle, twice, it goes on; the readers see nothing of it.
    for chunks in [1, 3] {
        let mut command = stack.command();
        let mut replay = command.args(["replay", "loan"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let entered = format!("SELECT count() >= {chunks} FROM ledger FINAL WHERE stage = 'rebuild.loan.1'");
        stack.sql_becomes(&entered, "1").await;
        replay.kill().unwrap();
        replay.wait().unwrap();
    }
    assert_eq!(stack.sql(formula).await, "[1]");

    let watched = tokio::spawn({
        let (clickhouse, sql) = (stack.clickhouse.clone(), formula.to_owned());
        async move {
            let mut seen = Vec::new();
            while seen.last().is_none_or(|last| last != "[2]") {
                let answer = clickhouse.bytes(&sql, "TabSeparated").await.unwrap();
                seen.push(String::from_utf8_lossy(&answer).trim().to_owned());
            }
            seen
        }
    });
    let said = stack.cli_ok(&["replay", "loan", "--swap"]).await;
    assert!(said.contains(&format!("{refused} are rejected now, 1 were rejected and are rows now")), "{said}");
    let seen = watched.await.unwrap();
    assert!(seen.iter().all(|found| found == "[1]" || found == "[2]"), "{seen:?}");

    let rows = (90_002 - refused).to_string();
    stack.sql_becomes("SELECT count() FROM loan_features", &rows).await;
    let replayed = "SELECT countIf(replayed_at IS NULL), countIf(replayed_at IS NOT NULL) FROM loan_dead_letters";
    stack.sql_becomes(replayed, &format!("{refused}\t1")).await;
    let audit = stack.cli_ok(&["audit", "loan"]).await;
    assert!(audit.contains("balanced"), "{audit}");

    // The processors go on where they were, and once they have the new file, everything is of one kind.
    let mut stack = stack;
    stack.kill();
    let stack = stack.restart().await;
    push(&stack, &[request(190_003, 7), request(190_004, 1)]).await;
    let rows = (90_004 - refused).to_string();
    stack.sql_becomes("SELECT count() FROM loan_features", &rows).await;
    assert_eq!(stack.sql(formula).await, "[2]");
    // Rows are visible a moment before the ledger has them, and a replay goes as far as that.
    let reached = "SELECT sum(reached) FROM (SELECT max(to_offset) AS reached FROM ledger \
                   WHERE stage = 'ingest.loan' GROUP BY partition)";
    stack.sql_becomes(reached, "90004").await;
    let verified = stack.cli_ok(&["replay", "loan", "--verify"]).await;
    assert!(verified.contains(&format!("{rows} rows are the same, 0 differ")), "{verified}");

    // A part of the topic: what an earlier version holds of the rest stays.
    edit(&stack.pipelines, &[("sql: 2 * loan_amount", "sql: 3 * loan_amount")]);
    stack.cli_ok(&["replay", "loan", "--from", "0:0", "--to", "0:100", "--swap"]).await;
    assert_eq!(stack.sql(formula).await, "[2,3]");
    assert_eq!(stack.sql("SELECT count() FROM loan_features").await, rows);
    let tripled = "SELECT min(_offset) >= 0 AND max(_offset) < 100 AND max(_partition) = 0 FROM loan_features \
                   WHERE round(amount_to_income * annual_income / loan_amount) = 3";
    assert_eq!(stack.sql(tripled).await, "1");
    let audit = stack.cli_ok(&["audit", "loan"]).await;
    assert!(audit.contains("balanced"), "{audit}");
    // What was refused, was good in between, and is refused once more, is open again; and nothing else is.
    edit(&stack.pipelines, &[(r#"one_of: ["0", "1", "7"] }"#, r#"one_of: ["0", "1"] }"#)]);
    stack.cli_ok(&["replay", "loan", "--swap"]).await;
    stack.sql_becomes("SELECT count() FROM loan_features WHERE had_past_default = 7", "0").await;
    let marks_are_right = "SELECT count() FROM loan_dead_letters WHERE (replayed_at IS NOT NULL) != \
                           ((origin_partition, origin_offset) IN (SELECT _partition, _offset FROM loan_features))";
    stack.sql_becomes(marks_are_right, "0").await;
    let audit = stack.cli_ok(&["audit", "loan"]).await;
    assert!(audit.contains("balanced"), "{audit}");
    // One version stands in for live rows, and no more than one is kept.
    let tables = "SELECT groupArray(name) FROM system.tables WHERE name LIKE 'loan_features_v%'";
    assert_eq!(stack.sql(tables).await, "['loan_features_v4_rows']");
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replay_waits_for_another_and_new_columns_never_hide_what_is_in_force() {
    let stack = loans(1_000).await;
    stack.cli_ok(&["replay", "loan", "--swap"]).await;
    let claim = Claim::of(&stack.clickhouse, "replay.loan").await.unwrap().unwrap();
    assert!(Claim::of(&stack.clickhouse, "replay.loan").await.unwrap().is_none());
    let mut waiting = std::pin::pin!(stack.cli(&["replay", "loan", "--verify"]));
    let early = tokio::time::timeout(Duration::from_secs(3), &mut waiting).await;
    assert!(early.is_err(), "it waits");
    assert!(claim.holds().await.unwrap());
    claim.release().await.unwrap();
    assert!(waiting.await.status.success());

    // Every process prepares the tables at its start; a reader sees all rows all the while.
    edit(
        &stack.pipelines,
        &[("  - name: amount_to_income", "  - name: age_squared\n    sql: age * age\n  - name: amount_to_income")],
    );
    let watched = tokio::spawn({
        let clickhouse = stack.clickhouse.clone();
        async move {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..200 {
                let answer = clickhouse.bytes("SELECT count() FROM loan_features", "TabSeparated").await.unwrap();
                seen.insert(String::from_utf8_lossy(&answer).trim().to_owned());
            }
            seen
        }
    });
    stack.cli_ok(&["audit", "loan"]).await;
    assert_eq!(watched.await.unwrap().into_iter().collect::<Vec<_>>(), ["1000"]);
    assert_eq!(stack.sql("SELECT countIf(age_squared IS NULL) FROM loan_features").await, "1000");
    // Killed as it is, a claim is somebody else's after a while.
    drop(Claim::of(&stack.clickhouse, "replay.loan").await.unwrap().unwrap());
    stack.cli_ok(&["replay", "loan", "--swap"]).await;
    assert_eq!(stack.sql("SELECT countIf(age_squared = age * age) > 900 FROM loan_features").await, "1");
}
