//! Answers that became worse.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Options, Stack};

fn few_rows_suffice(pipelines: &Path) {
    let file = pipelines.join("iris/pipeline.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("retrain_rows: 600", "retrain_rows: 100")).unwrap();
}

/// Two hundred answers to one request, of which so many percent turn out to be wrong.
async fn window(stack: &Stack, id: &str, wrong: usize) {
    let rows = vec![[5.1, 3.5, 1.4, 0.2]; 200];
    let (status, answer) = stack.post_as(Some(id), "/invocations?model=iris", json!({ "inputs": rows })).await;
    assert_eq!(status, 200, "{answer}");
    let label = |row: usize| if row % 100 < wrong { "virginica" } else { "setosa" };
    let labels: Vec<Value> = (0..200).map(|row| json!({ "request_id": id, "row": row, "label": label(row) })).collect();
    let (status, answer) = stack.post("/api/v1/pipelines/iris/labels", json!(labels)).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_say_the_champion_became_worse_are_a_reason_to_train() {
    let stack = Stack::start(Options { edit: few_rows_suffice, ..Options::default() }).await;
    stack.serves("iris", |_| true).await;
    let judged = |number: u64| {
        format!(
            "SELECT (judgement, labels) FROM performance FINAL WHERE pipeline = 'iris' AND model_version = 1 AND number = {number}"
        )
    };
    window(&stack, "good", 2).await;
    stack.sql_becomes(&judged(0), "('kept',200)").await;
    window(&stack, "bad", 40).await;
    stack.sql_becomes(&judged(1), "('worse',200)").await;
    assert_eq!(
        stack.sql("SELECT count() FROM iris_drift WHERE stream = 'performance'").await,
        "0",
        "one window is none"
    );
    window(&stack, "worse", 40).await;

    stack
        .sql_becomes(
            "SELECT groupUniqArray(window) FROM iris_drift WHERE stream = 'performance'",
            "['performance-v1-2']",
        )
        .await;
    let caused = "SELECT count() > 0 FROM runs WHERE pipeline = 'iris' AND state != 'started' \
                  AND startsWith(cause, 'drift performance-v1-2 away from version 1')";
    stack.sql_becomes(caused, "1").await;
    let decision = "SELECT decision FROM drift_decisions FINAL WHERE pipeline = 'iris' AND window = 'performance-v1-2'";
    assert_eq!(stack.sql(decision).await, "train");
    let told = stack.cli_ok(&["drift", "list", "iris", "--stream", "performance"]).await;
    assert!(told.contains("window 1: measured accuracy 0.600") && told.contains("worse by"), "{told}");
    let told = stack.cli(&["drift", "explain", "iris", "performance-v1-2"]).await;
    assert!(String::from_utf8_lossy(&told.stderr).contains("driftmill performance iris"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_comes_late_is_judged_in_the_window_of_its_answer() {
    let stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    let rows = vec![[5.1, 3.5, 1.4, 0.2]; 200];
    let (status, _) = stack.post_as(Some("early"), "/invocations?model=iris", json!({ "inputs": rows })).await;
    assert_eq!(status, 200);
    let judged = "SELECT (judgement, labels, isNotNull(estimated)) FROM performance FINAL WHERE pipeline = 'iris' AND number = 0";
    stack.sql_becomes(judged, "('too_few_labels',0,1)").await;
    window(&stack, "later", 0).await;
    let labels: Vec<Value> =
        (0..200).map(|row| json!({ "request_id": "early", "row": row, "label": "setosa" })).collect();
    assert_eq!(stack.post("/api/v1/pipelines/iris/labels", json!(labels)).await.0, 200);
    stack.sql_becomes(judged, "('kept',200,1)").await;
}
