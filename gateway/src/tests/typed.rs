//! Models of texts, images and categories, and models that answer values.

use std::sync::Arc;

use driftmill_models::{Column, Table, Target};
use driftmill_schemas::pipeline::Loaded;
use ndarray::Array1;
use serde_json::{Value, json};

use super::fixture::{Gateway, artifact_of_table, output, pipeline, tensors};

const AVRO: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"said","type":["null","string"],"default":null},
    {"name":"colour","type":["null","string"],"default":null},
    {"name":"photo","type":["null","bytes"],"default":null},
    {"name":"price","type":["null","double"],"default":null}]}"#;

/// A pipeline whose label is the price.
fn prices() -> Loaded {
    let yaml = "version: 1\nname: prices\nschema: record.avsc\nfeatures:\n  - { name: colour, type: category }\n  \
                - { name: width, sql: IMAGE_WIDTH(photo) }\nlabel:\n  field: price\ntraining:\n  \
                algorithm: random_forest\npromotion:\n  metric: rmse\n";
    pipeline(yaml, AVRO)
}

/// A model of red things of 1 and blue things of 9.
fn priced() -> bytes::Bytes {
    let colours = (0..40).map(|i| Some(Arc::from(if i % 2 == 0 { "red" } else { "blue" }))).collect();
    let table = Table::new(40, vec![Column::Text(colours), Column::Number(vec![f64::NAN; 40])]).unwrap();
    let target = Target::Values(Array1::from_shape_fn(40, |i| if i % 2 == 0 { 1.0 } else { 9.0 }));
    artifact_of_table(&prices(), "random_forest", json!({ "n_estimators": 10 }), &table, &target)
}

#[tokio::test]
async fn a_value_is_answered_as_a_number_over_every_dialect_and_logged() {
    let gateway = Gateway::new(vec![prices()]);
    gateway.serve("prices", 1, priced()).await;
    let metadata = gateway.get("/v2/models/prices").await.json();
    assert_eq!(metadata["outputs"], json!([{ "name": "predict", "datatype": "FP64", "shape": [-1] }]));
    let request = tensors(&[("colour", "BYTES", json!(["red", "blue", null]))]);
    let reply = gateway.post("/v2/models/prices/infer", &request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    let values: Vec<f64> = output(&answer, "predict").iter().map(|value| value.as_f64().unwrap()).collect();
    assert_eq!(&values[..2], [1.0, 9.0]);
    let records = json!({ "dataframe_records": [{ "colour": "red" }, { "colour": "blue" }, { "colour": null }] });
    let predictions = gateway.post("/invocations", &records).await.json()["predictions"].clone();
    assert_eq!(predictions, json!(values));
    gateway.log_is_quiet().await;
    let logged = gateway.sink.predictions();
    let first = &logged[0].2;
    assert_eq!((first.value, first.prediction.as_str()), (Some(1.0), "1"));
    assert_eq!((first.texts["colour"].as_deref(), first.features["width"]), (Some("red"), None));
    assert!(first.probabilities.is_empty());
}

#[tokio::test]
async fn pixels_base64_and_lists_are_the_same_image_and_a_damaged_one_is_refused() {
    let gateway = Gateway::new(vec![prices()]);
    gateway.serve("prices", 1, priced()).await;
    // Two rows of three grey pixels.
    let image = b"P6 3 2 255 \x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80";
    let base64 = {
        let field = prices().schema.fields[2].clone();
        let value = driftmill_schemas::record::Value::Bytes(image.to_vec());
        assert_eq!(field.name, "photo");
        value.to_text().unwrap()
    };
    let grey = 128.0 / 255.0;
    let lists = json!([[
        [[grey, grey, grey], [grey, grey, grey], [grey, grey, grey]],
        [[grey, grey, grey], [grey, grey, grey], [grey, grey, grey]]
    ]]);
    let tensor = |datatype: &str, data: Value| json!({ "inputs": [{ "name": "photo", "shape": [1, 2, 3, 3], "datatype": datatype, "data": data }] });
    let requests = [
        tensors(&[("photo", "BYTES", json!([base64]))]),
        tensor("FP32", lists.clone()),
        tensor("FP32", json!(vec![grey; 18])),
        tensor("UINT8", json!(vec![128; 18])),
    ];
    for request in &requests {
        let reply = gateway.post("/v2/models/prices/infer", request).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let reply = gateway.post("/invocations", &json!({ "inputs": { "photo": lists } })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    gateway.log_is_quiet().await;
    let widths: Vec<_> = gateway.sink.predictions().iter().map(|(_, _, logged)| logged.features["width"]).collect();
    assert_eq!(widths, [Some(3.0); 5]);
    for (request, expected) in [
        (tensor("INT32", json!(vec![1; 18])), "FP32 from 0 to 1"),
        (tensor("FP32", json!(vec![7.5; 18])), "row 0"),
        (tensors(&[("photo", "BYTES", json!(["no base64!"]))]), "row 0"),
    ] {
        let (status, error) = gateway.post("/v2/models/prices/infer", &request).await.error();
        assert!(status == 400 && error.contains(expected), "{status} {error}");
    }
}

fn reviews() -> Loaded {
    let yaml = "version: 1\nname: reviews\nschema: record.avsc\nfeatures:\n  - { name: said, type: text }\n  \
                - { name: photo, type: image, side: 8 }\nlabel:\n  field: colour\n  classes: [blue, red]\ntraining:\n  \
                algorithm: text_classifier\n";
    pipeline(yaml, AVRO)
}

fn read() -> bytes::Bytes {
    let texts = (0..60).map(|i| Some(Arc::from(["like a rose in may", "the deep sea below"][i % 2]))).collect();
    let table = Table::new(60, vec![Column::Text(texts), Column::Image { side: 8, pixels: vec![None; 60] }]).unwrap();
    let target = Target::Classes { labels: Array1::from_shape_fn(60, |i| (i + 1) % 2), n_classes: 2 };
    artifact_of_table(&reviews(), "text_classifier", json!({}), &table, &target)
}

#[tokio::test]
async fn texts_are_answered_and_an_image_that_cannot_be_decoded_is_named() {
    let gateway = Gateway::new(vec![reviews()]);
    gateway.serve("reviews", 1, read()).await;
    let request = tensors(&[("said", "BYTES", json!(["a rose", "the sea"]))]);
    let reply = gateway.post("/v2/models/reviews/infer", &request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(*output(&reply.json(), "predict"), [json!("red"), json!("blue")]);
    let damaged = tensors(&[("said", "BYTES", json!(["a rose"])), ("photo", "BYTES", json!(["AAAA"]))]);
    let (status, error) = gateway.post("/v2/models/reviews/infer", &damaged).await.error();
    assert!(status == 400 && error.contains("row 0, image `photo`"), "{status} {error}");
}
