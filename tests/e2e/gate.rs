//! `loan`: a model that knows nothing is not promoted, and one that knows something is.

use std::path::Path;

use serde_json::json;

use crate::harness::{Options, Stack};

fn options<'a>() -> Options<'a> {
    Options { pipelines: &["loan"], ..Options::default() }
}

const REQUEST: &str = r#"{"id": 1, "age": 35, "annual_income": 107770, "credit_score": 331, "loan_amount": 31580,
    "loan_duration_years": 28, "number_of_open_accounts": 13, "had_past_default": 0}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_no_better_than_the_constant_is_refused_with_its_reason_and_can_be_promoted_by_hand() {
    let stack = Stack::start(options()).await;
    stack.sql_becomes("SELECT any(state) FROM runs WHERE pipeline = 'loan' AND state != 'started'", "refused").await;
    let listed = stack.cli_ok(&["models", "list", "loan"]).await;
    assert!(listed.contains("not better than the constant baseline"), "{listed}");
    let request: serde_json::Value = serde_json::from_str(REQUEST).unwrap();
    let (status, _) = stack.post("/predict/", request.clone()).await;
    assert_ne!(status, 200, "nothing serves before a promotion");

    stack.cli_ok(&["models", "promote", "loan", "1", "--reason", "for the demonstration"]).await;
    stack.serves("loan", |version| version == 1).await;
    let (status, answer) = stack.post("/predict/", request).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["prediction"] == 0 || answer["prediction"] == 1, "{answer}");
    stack
        .sql_becomes(
            "SELECT count() FROM loan_predictions WHERE model_version = 1 AND entity = '1' AND features['age'] = 35",
            "1",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_signal_in_the_data_the_same_pipeline_promotes() {
    fn with_signal(pipelines: &Path) {
        let file = pipelines.join("loan/pipeline.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("signal: 0", "signal: 1.5")).unwrap();
    }
    let stack = Stack::start(Options { edit: with_signal, ..options() }).await;
    stack.serves("loan", |version| version == 1).await;
    let accuracy = stack.sql("SELECT metrics['accuracy'] > 0.65 FROM model_versions WHERE pipeline = 'loan'").await;
    assert_eq!(accuracy, "1");
    let (status, answer) = stack.post("/predict/", json!({"id": "one"})).await;
    assert_eq!(status, 422, "{answer}");
}
