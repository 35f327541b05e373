//! Replacing the serving model.

use std::sync::Arc;

use bytes::Bytes;
use driftmill_schemas::message::AliasEvent;
use serde_json::json;

use super::fixture::{Gateway, bundled, constant, flower_tensors, iris_forest, output};
use crate::follower;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_concurrent_requests_every_answer_is_whole_and_of_one_version() {
    let iris = bundled("iris");
    let gateway = Arc::new(Gateway::new(vec![iris.clone()]));
    let artifacts: Vec<Bytes> = (0..3).map(|class| constant(&iris, class)).collect();
    gateway.serve("iris", 3, artifacts[0].clone()).await;
    let request = flower_tensors(&[[1.0; 4]; 40]);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (gateway, request) = (Arc::clone(&gateway), request.clone());
            tokio::spawn(async move {
                let mut versions = std::collections::BTreeSet::new();
                while versions.len() < 20 {
                    let reply = gateway.post("/v2/models/iris/infer", &request).await;
                    assert_eq!(reply.status, 200);
                    let answer = reply.json();
                    let version: usize = answer["model_version"].as_str().unwrap().parse().unwrap();
                    let class = ["setosa", "versicolor", "virginica"][version % 3];
                    assert!(output(&answer, "predict").iter().all(|predicted| predicted == class));
                    let probabilities = output(&answer, "probabilities");
                    assert!(
                        probabilities.iter().enumerate().all(|(i, p)| *p == json!(f64::from(i % 3 == version % 3)))
                    );
                    assert_eq!(reply.headers["x-model-version"], version.to_string());
                    versions.insert(version);
                }
            })
        })
        .collect();
    let mut version = 3;
    while !clients.iter().all(tokio::task::JoinHandle::is_finished) {
        version += 1;
        gateway.serve("iris", version, artifacts[version as usize % 3].clone()).await;
        tokio::task::yield_now().await;
    }
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_champion_that_must_not_serve_leaves_the_old_one_in_place() {
    let gateway = Gateway::with_models().await;
    let wrong_pipeline = constant(&bundled("loan"), 0);
    let mut damaged = iris_forest().to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let mut other_signature = bundled("iris");
    other_signature.pipeline.label.classes.pop();
    let (few_classes, _) = (constant(&other_signature, 0), ());
    for (version, artifact) in [(4, Bytes::from_static(b"no model")), (5, damaged.into()), (6, wrong_pipeline)] {
        gateway.catalog.put("iris", version, artifact);
        let error = follower::refresh(&gateway.app, gateway.served("iris")).await.unwrap_err().to_string();
        assert!(error.contains(&format!("version {version}")), "{error}");
        let answer = gateway.post("/v2/models/iris/infer", &flower_tensors(&[[5.1, 3.5, 1.4, 0.2]])).await.json();
        assert_eq!((&answer["model_version"], &output(&answer, "predict")[0]), (&json!("3"), &json!("setosa")));
        assert_eq!(gateway.get("/ready").await.status, 200);
    }
    // The model's own classes count, not those of the file.
    gateway.serve("iris", 7, few_classes).await;
    assert_eq!(gateway.get("/v2/models/iris").await.json()["outputs"][1]["shape"], json!([-1, 2]));
}

#[tokio::test]
async fn an_announcement_wakes_the_pipeline_it_names_and_nothing_else() {
    let gateway = Gateway::new(vec![bundled("iris"), bundled("loan")]);
    gateway.catalog.put("iris", 1, iris_forest());
    let announce = |pipeline: &str, alias: &str| {
        let event = AliasEvent {
            pipeline: pipeline.to_owned(),
            alias: alias.to_owned(),
            version: 1,
            artifact: String::new(),
            at: 0,
            reason: String::new(),
        };
        follower::announced(&gateway.app, &serde_json::to_vec(&event).unwrap());
    };
    let cancel = tokio_util::sync::CancellationToken::new();
    let served = Arc::clone(gateway.served("iris"));
    let task = tokio::spawn(follower::keep_current(Arc::clone(&gateway.app), Arc::clone(&served), cancel.clone()));
    let version = || served.slot.get().map(|model| model.version);
    while version() != Some(1) {
        tokio::task::yield_now().await;
    }
    gateway.catalog.put("iris", 2, iris_forest());
    announce("iris", "challenger");
    announce("nobody", "champion");
    follower::announced(&gateway.app, b"{");
    announce("iris", "champion");
    while version() != Some(2) {
        tokio::task::yield_now().await;
    }
    assert!(gateway.served("loan").slot.get().is_none());
    cancel.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_announcement_is_made_good_and_a_failure_is_tried_again() {
    let gateway = Gateway::new(vec![bundled("iris")]);
    gateway.catalog.put("iris", 1, Bytes::from_static(b"no model"));
    let cancel = tokio_util::sync::CancellationToken::new();
    let served = Arc::clone(gateway.served("iris"));
    let task = tokio::spawn(follower::keep_current(Arc::clone(&gateway.app), Arc::clone(&served), cancel.clone()));
    while !gateway.app.metrics.encode().contains(r#"swaps_total{model="iris",outcome="failed"} 2"#) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(gateway.get("/ready").await.status, 503);
    gateway.catalog.put("iris", 2, iris_forest());
    while served.slot.get().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // Nobody announces version 3.
    gateway.catalog.put("iris", 3, iris_forest());
    while served.slot.get().map(|model| model.version) != Some(3) {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(gateway.get("/metrics").await.text().contains(r#"model_version{model="iris"} 3"#));
    cancel.cancel();
    task.await.unwrap().unwrap();
}
