//! The loop as a newcomer sees it.

use serde_json::json;

use crate::harness::{Options, Stack, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn records_become_features_a_model_and_a_logged_prediction() {
    let stack = Stack::start(Options::default()).await;
    let version = stack.serves("iris", |_| true).await;
    assert_eq!(stack.sql("SELECT count() FROM iris_features").await, "150");

    let body = json!({"input": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]});
    let response = stack
        .http
        .post(format!("{}/predict", stack.gateway))
        .header("X-Request-Id", "first-light")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], "first-light");
    let answer: serde_json::Value = response.json().await.unwrap();
    assert_eq!(answer["predictions"], json!([0, 2]), "{answer}");

    let logged = "SELECT groupArray((row, prediction, model_version, dialect, features['petal_length'])) FROM \
                  (SELECT * FROM iris_predictions WHERE request_id = 'first-light' ORDER BY row)";
    let expected = format!("[(0,'setosa',{version},'iris',1.4),(1,'virginica',{version},'iris',5.2)]");
    stack.sql_becomes(logged, &expected).await;
    assert!(stack.stop().await, "an orderly stop is a success");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_iris_model_makes_no_mistake_on_its_thirty_test_rows() {
    let stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    let metrics =
        stack.sql("SELECT metrics['rows_test'], metrics['accuracy'] FROM model_versions WHERE pipeline = 'iris'").await;
    assert_eq!(metrics, "30\t1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answer_comes_over_every_dialect() {
    let stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    let row = [6.0, 2.7, 5.1, 1.6];
    let (_, contract) = stack.post("/predict", json!({"input": [row]})).await;
    let matrix = json!({"id": "m", "inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": row}]});
    let (status, matrix) = stack.post("/v2/models/iris/infer", matrix).await;
    assert_eq!((status, &matrix["id"]), (200, &json!("m")), "{matrix}");
    let names = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
    let fields: Vec<_> = names
        .iter()
        .zip(row)
        .map(|(name, value)| json!({"name": name, "shape": [1], "datatype": "FP64", "data": [value]}))
        .collect();
    let (_, fields) = stack.post("/v2/models/iris/infer", json!({"inputs": fields})).await;
    assert_eq!(matrix["outputs"], fields["outputs"]);
    let class = contract["predictions"][0].as_u64().unwrap() as usize;
    let predicted = matrix["outputs"][0]["data"][0].as_str().unwrap();
    assert_eq!(predicted, ["setosa", "versicolor", "virginica"][class]);
}

#[tokio::test(flavor = "multi_thread")]
async fn training_over_the_iris_contract_answers_with_metrics_and_survives_a_restart() {
    let mut stack = Stack::start(Options::default()).await;
    let first = stack.serves("iris", |_| true).await;
    let (status, answer) = stack.post("/train", json!({"n_estimators": 20, "max_depth": 5})).await;
    assert_eq!((status, &answer["message"]), (200, &json!("Model trained and logged to MLflow")), "{answer}");
    assert!(answer["metrics"]["f1_score"].as_f64().unwrap() > 0.9, "{answer}");
    let second = stack.serves("iris", |version| version > first).await;
    stack.kill();
    let stack = stack.restart().await;
    assert_eq!(stack.serves("iris", |_| true).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn docs_health_metrics_and_status_are_there() {
    let stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    for (path, content) in
        [("/docs/", "swagger"), ("/openapi.json", "/v2/models"), ("/metrics", "driftmill_"), ("/ready", "ready")]
    {
        let text = eventually(path, async || {
            let response = stack.http.get(format!("{}{path}", stack.gateway)).send().await.ok()?;
            if response.status().is_success() { response.text().await.ok() } else { None }
        })
        .await;
        assert!(text.contains(content), "{path} holds no `{content}`");
    }
    let status = stack.cli_ok(&["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["pipelines"][0]["rows"], 150, "{status}");
    assert_eq!(status["pipelines"][0]["champion"], 1, "{status}");
}
