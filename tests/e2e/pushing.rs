//! Records pushed over the gateway.

use driftmill_schemas::pipeline;
use driftmill_schemas::record::framing::SchemaRef;
use driftmill_schemas::record::{Encoder, Record, Value as Cell};
use serde_json::{Value, json};

use crate::harness::{Options, Stack, repository};

async fn push(stack: &Stack, kind: &str, body: Vec<u8>) -> (u16, Value) {
    let url = format!("{}/api/v1/pipelines/iris/records", stack.gateway);
    let response = stack.http.post(url).header("content-type", kind).body(body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn flower(length: f64, species: &str) -> Value {
    json!({ "sepal_length": length, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2, "species": species })
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_records_become_feature_rows_and_the_bad_ones_are_named() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    let lines = format!("{}\n{{\"sepal_length\":\"long\"}}\n{}\n", flower(1.0, "setosa"), flower(2.0, "virginica"));
    let (status, report) = push(&stack, "application/x-ndjson", lines.into_bytes()).await;
    assert_eq!((status, &report["accepted"]), (207, &json!(2)), "{report}");
    assert_eq!((&report["errors"][0]["line"], &report["errors"][0]["field"]), (&json!(2), &json!("sepal_length")));

    let array = json!([flower(3.0, "setosa"), flower(4.0, "setosa")]).to_string().into_bytes();
    assert_eq!(push(&stack, "application/json", array).await.0, 200);

    let iris = pipeline::load(&repository().join("pipelines/iris/pipeline.yaml")).unwrap();
    let encoder = Encoder::new(&iris, SchemaRef::Fingerprint(iris.schema.fingerprint));
    let values = [5.0, 3.5, 1.4, 0.2].map(Cell::Double).into_iter().chain([Cell::String("setosa".to_owned())]);
    let avro = encoder.payload(&Record { values: values.collect() }).unwrap();
    assert_eq!(push(&stack, "application/avro", avro).await.0, 200);

    stack.sql_becomes("SELECT arraySort(groupArray(sepal_length)) FROM iris_features", "[1,2,3,4,5]").await;
    // What the schema allows and an expectation does not is a dead letter, as for every source.
    let (status, _) = push(&stack, "application/json", flower(-1.0, "setosa").to_string().into_bytes()).await;
    assert_eq!(status, 200);
    stack.sql_becomes("SELECT count() FROM iris_dead_letters WHERE error = 'BrokenExpectation'", "1").await;
    let audit = stack.cli_ok(&["audit", "iris"]).await;
    assert!(audit.contains("balanced"), "{audit}");
}
