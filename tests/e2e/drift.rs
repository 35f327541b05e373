//! A stream that drifts, a model that is replaced, and a process that is killed.

use serde_json::json;

use crate::harness::{Options, Stack};

/// Offsets of the raw topic are accounted for: every one is a row or a dead letter, none is both, none is there twice.
const BALANCE: &str = "SELECT (SELECT count() FROM iris_features) + \
                       (SELECT count() FROM iris_dead_letters WHERE origin_topic = 'iris.raw') \
                       AS accounted";

#[tokio::test(flavor = "multi_thread")]
async fn a_drifted_stream_gets_a_new_model_and_kill_9_loses_nothing() {
    let mut stack = Stack::start(Options::default()).await;
    let first = stack.serves("iris", |_| true).await;
    stack.cli_ok(&["produce", "iris", "--source", "shifted", "--rate", "1500"]).await;
    let second = stack.serves("iris", |version| version > first).await;

    let verdict = format!("SELECT count() > 0 FROM iris_drift WHERE verdict = 'drifted' AND model_version = {first}");
    stack.sql_becomes(&verdict, "1").await;
    let cause = format!(
        "SELECT any(startsWith(cause, 'drift ')) FROM runs WHERE state = 'promoted' AND model_version = {second}"
    );
    stack.sql_becomes(&cause, "1").await;

    let body =
        json!({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]});
    let (_, answer) = stack.post("/v2/models/iris/infer", body).await;
    assert_eq!(answer["model_version"], second.to_string(), "{answer}");
    stack.sql_becomes(BALANCE, "4150").await;
    // An answer does not wait for its record: what is killed in the moments between takes the record with it.
    let logged = format!("SELECT count() FROM iris_predictions WHERE model_version = {second}");
    stack.sql_becomes(&logged, "1").await;

    stack.kill();
    let stack = stack.restart().await;
    stack.serves("iris", |version| version >= second).await;
    assert_eq!(stack.sql(BALANCE).await, "4150");
    assert_eq!(stack.sql("SELECT uniqExact(_partition, _offset) FROM iris_features").await, "4150");
    assert_eq!(stack.sql(&logged).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_the_stream_loses_nothing_and_repeats_nothing() {
    let mut stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    for round in 0..3 {
        let mut command = stack.command();
        command.args(["produce", "iris", "--source", "shifted", "--rate", "800"]);
        let log = std::env::temp_dir().join(format!("driftmill-produce-{}-{round}.log", std::process::id()));
        let mut producer = crate::harness::Process::start("driftmill produce", command, log.clone());
        let wanted = 150 + 400 * (round + 1);
        crate::harness::eventually("some of the stream is there", async || {
            let rows: u64 = stack.try_sql("SELECT count() FROM iris_features").await.ok()?.parse().ok()?;
            (rows >= wanted).then_some(())
        })
        .await;
        producer.kill();
        stack.kill();
        stack = stack.restart().await;
        drop(producer);
        std::fs::remove_file(log).unwrap();
    }
    // The producer resumes where it stopped: in the end every record of the source is there once.
    stack.cli_ok(&["produce", "iris", "--source", "shifted", "--rate", "5000"]).await;
    stack.sql_becomes(BALANCE, "4150").await;
    let rows = stack.sql("SELECT count() FROM iris_features").await;
    assert_eq!(rows, "4150");
}
