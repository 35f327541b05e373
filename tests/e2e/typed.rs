//! Pipelines of texts, images and series, from the stream to an answer.

use serde_json::{Value, json};

use crate::harness::{Options, Stack};

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn products_of_words_and_pictures_are_learned_answered_and_logged() {
    let stack = Stack::start(Options { pipelines: &["products"], ..Options::default() }).await;
    stack.serves("products", |_| true).await;
    stack.sql_becomes("SELECT count() FROM products_features", "1200").await;
    // The pixels of a square of 64, and a gap where the picture is missing.
    let sizes = "SELECT arraySort(groupUniqArray(length(image))) FROM products_features WHERE image IS NOT NULL";
    assert_eq!(stack.sql(sizes).await, format!("[{}]", 64 * 64 * 3));
    assert_ne!(stack.sql("SELECT countIf(image IS NULL), countIf(text IS NULL) FROM products_features").await, "0\t0");

    let texts = json!(["Ada black hoodie fleece pullover", "Juno tote bag strap duffle"]);
    let request = json!({ "inputs": [
        { "name": "designation", "shape": [2], "datatype": "BYTES", "data": texts },
        { "name": "description", "shape": [2], "datatype": "BYTES", "data": [null, "<p>carry zipper travel</p>"] },
    ] });
    let (status, answer) = stack.post("/v2/models/products/infer", request).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(output(&answer, "predict")["data"], json!(["60", "10"]));
    let records = json!({ "dataframe_records": [
        { "designation": "Ada black hoodie fleece pullover" },
        { "designation": "Juno tote bag strap duffle", "description": "<p>carry zipper travel</p>" },
    ] });
    let (status, same) = stack.post("/invocations?model=products", records).await;
    assert_eq!((status, &same["predictions"]), (200, &json!([60, 10])), "{same}");
    let logged =
        "SELECT count(), uniqExact(prediction), countIf(texts['text'] LIKE '%hoodie%') FROM products_predictions";
    stack.sql_becomes(logged, "4\t2\t2").await;
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_forecast_with_their_bounds_and_logged() {
    let stack = Stack::start(Options { pipelines: &["prices"], ..Options::default() }).await;
    stack.serves("prices", |_| true).await;
    // The made series ends 730 days after the first of January 2024.
    let tomorrow = 1_704_067_200_000_i64 + 730 * 86_400_000;
    let request = json!({ "inputs": [
        { "name": "datetime", "shape": [2], "datatype": "INT64", "data": [tomorrow, tomorrow + 6 * 86_400_000] },
        { "name": "region", "shape": [2], "datatype": "BYTES", "data": ["EU", "TW"] },
    ] });
    let (status, answer) = stack.post("/v2/models/prices/infer", request).await;
    assert_eq!(status, 200, "{answer}");
    let numbers = |name: &str| -> Vec<f64> { serde_json::from_value(output(&answer, name)["data"].clone()).unwrap() };
    let (values, lower, upper) = (numbers("predict"), numbers("lower"), numbers("upper"));
    for row in 0..2 {
        assert!(lower[row] < values[row] && values[row] < upper[row], "{answer}");
    }
    // Their means are 410,000 and 700,000.
    assert!((200_000.0..600_000.0).contains(&values[0]) && (400_000.0..1_000_000.0).contains(&values[1]), "{answer}");
    let logged = "SELECT count(), countIf(value > lower AND value < upper), countIf(texts['series'] = 'EU') FROM prices_predictions";
    stack.sql_becomes(logged, "2\t2\t1").await;
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_none_becomes_a_dead_letter_and_the_others_rows() {
    // Seconds instead of minutes: what describes images is enough for drawn ones.
    let edit = |pipelines: &std::path::Path| {
        let file = pipelines.join("dandelion/pipeline.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, after) = text.split_once("  algorithm: late_fusion").unwrap();
        let after = &after[after.find("  seed:").unwrap()..];
        std::fs::write(&file, format!("{before}  algorithm: image_classifier\n{after}")).unwrap();
    };
    let stack = Stack::start(Options { pipelines: &["dandelion"], edit, ..Options::default() }).await;
    stack.cli_ok(&["produce", "dandelion", "--source", "made"]).await;
    let broken = json!({ "path": "x.png", "hash": "0", "image": "bm8gcGljdHVyZQ==", "label": null });
    let (status, pushed) = stack.post("/api/v1/pipelines/dandelion/records", broken).await;
    assert_eq!(status, 200, "{pushed}");
    stack.sql_becomes("SELECT count() FROM dandelion_features", "400").await;
    stack.sql_becomes("SELECT groupArray(error) FROM dandelion_dead_letters", "['UnreadableImage']").await;
    let told = "SELECT uniqExact(mode), min(width), max(height), countIf(mean_green > mean_blue) > 300 FROM dandelion_features";
    assert_eq!(stack.sql(told).await, "1\t64\t64\t1");

    stack.serves("dandelion", |_| true).await;
    let yellow: Vec<Vec<[f64; 3]>> = vec![vec![[0.95, 0.8, 0.15]; 224]; 224];
    let (status, answer) = stack.post("/invocations", json!({ "inputs": [yellow] })).await;
    assert_eq!(status, 200, "{answer}");
    let probability = answer["predictions"][0][0].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&probability), "{answer}");
    assert_eq!(answer["positive_class"], "dandelion");
    let flat = vec![vec![[0.5; 3]; 10]; 10];
    let (status, refused) = stack.post("/invocations", json!({ "inputs": [flat] })).await;
    assert_eq!(status, 400);
    assert!(refused["message"].as_str().unwrap().contains("[224, 224, 3]"), "{refused}");
    assert!(stack.stop().await);
}
