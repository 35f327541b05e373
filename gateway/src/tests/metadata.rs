//! What the protocol says of the server and its models.

use serde_json::json;

use super::fixture::{Gateway, bundled, iris_forest};
use crate::follower;

#[tokio::test]
async fn the_server_says_what_it_is() {
    let gateway = Gateway::with_models().await;
    let server = gateway.get("/v2").await.json();
    assert_eq!(server, json!({ "name": "driftmill", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }));
    assert_eq!(gateway.get("/v2/health/live").await.status, 200);
}

#[tokio::test]
async fn a_model_names_its_inputs_and_outputs_with_and_without_its_version() {
    let gateway = Gateway::with_models().await;
    let input = |name: &str| json!({ "name": name, "datatype": "FP64", "shape": [-1] });
    let inputs = ["sepal_length", "sepal_width", "petal_length", "petal_width"].map(input);
    let wanted = json!({
        "name": "iris",
        "versions": ["3"],
        "platform": "driftmill",
        "inputs": inputs,
        "outputs": [
            { "name": "predict", "datatype": "BYTES", "shape": [-1] },
            {
                "name": "probabilities", "datatype": "FP64", "shape": [-1, 3],
                "parameters": { "classes": ["setosa", "versicolor", "virginica"] },
            },
        ],
    });
    assert_eq!(gateway.get("/v2/models/iris").await.json(), wanted);
    assert_eq!(gateway.get("/v2/models/iris/versions/3").await.json(), wanted);
    assert_eq!(gateway.get("/v2/models/iris/versions/3/ready").await.json(), json!({ "name": "iris", "ready": true }));
    // Seven of eight features are fields; the eighth is made of two of them.
    let loan = gateway.get("/v2/models/loan").await.json();
    let inputs: Vec<_> = loan["inputs"].as_array().unwrap().iter().map(|input| input["name"].clone()).collect();
    assert_eq!(inputs.len(), 7);
    assert!(!inputs.contains(&json!("id")) && !inputs.contains(&json!("loan_approval")));
}

#[tokio::test]
async fn what_is_not_there_is_404_with_a_way_out() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    for path in ["/v2/models/iris", "/v2/models/iris/ready", "/v2/models/iris/versions/1"] {
        let (status, message) = gateway.get(path).await.error();
        assert!(status == 404 && message.contains("no version that serves yet"), "{message}");
    }
    gateway.serve("iris", 3, iris_forest()).await;
    let (status, message) = gateway.get("/v2/models/irsi").await.error();
    assert!(status == 404 && message.contains("did you mean `iris`"), "{message}");
    for version in ["2", "4", "x", "03x", "-3", "99999999999999999999999"] {
        for path in ["", "/ready"] {
            let (status, message) = gateway.get(&format!("/v2/models/iris/versions/{version}{path}")).await.error();
            assert!(status == 404 && message.contains("version 3 serves"), "{message}");
        }
        assert_eq!(gateway.post(&format!("/v2/models/iris/versions/{version}/infer"), &json!({})).await.error().0, 404);
    }
}

#[tokio::test]
async fn readiness_waits_for_every_champion_and_ends_with_the_shutdown() {
    let gateway = Gateway::new(vec![bundled("iris"), bundled("loan")]);
    gateway.catalog.put("iris", 1, iris_forest());
    let (status, message) = gateway.get("/v2/health/ready").await.error();
    assert!(status == 400 && message.contains("iris, loan"), "{message}");
    // A pipeline without a champion is nothing to wait for.
    assert_eq!(follower::refresh(&gateway.app, gateway.served("loan")).await.unwrap(), follower::Outcome::NoChampion);
    let reply = gateway.get("/ready").await;
    assert!(reply.status == 503 && reply.text().contains("iris") && !reply.text().contains("loan"));
    follower::refresh(&gateway.app, gateway.served("iris")).await.unwrap();
    assert_eq!(gateway.get("/ready").await.json(), json!({ "status": "ready" }));
    assert_eq!(gateway.get("/v2/health/ready").await.status, 200);
    assert_eq!(gateway.get("/v2/models/iris/ready").await.status, 200);
    assert_eq!(gateway.get("/v2/models/loan/ready").await.status, 404);
    gateway.stop.cancel();
    assert_eq!(gateway.get("/ready").await.status, 503);
    assert_eq!(gateway.get("/health").await.json(), json!({ "status": "ok" }));
}
