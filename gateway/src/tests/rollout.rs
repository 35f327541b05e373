//! Two versions that answer: in the shadow, for a share of the requests, and after a promotion.

use driftmill_platform::registry::{Rollout, Stage};
use driftmill_schemas::message::Prediction;
use driftmill_schemas::pipeline::{Feature, Loaded};
use driftmill_schemas::record::RecordSchema;
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Gateway, bundled, constant, flower_tensors, output};
use crate::follower::{self, Outcome};

/// Version 4 takes over from version 3.
fn step(stage: Stage, share: f64) -> Rollout {
    Rollout {
        pipeline: "iris".to_owned(),
        rollout: "r".to_owned(),
        step: 0,
        begun: 0,
        at: 0,
        run_id: Uuid::nil(),
        cause: String::new(),
        challenger: 4,
        champion: 3,
        stage,
        share,
        alias_sequence: 3,
        reason: String::new(),
        facts: String::new(),
    }
}

/// Version 3 answers setosa, version 4 is `challenger`.
async fn gateway(challenger: &Loaded, stage: Stage, share: f64) -> Gateway {
    let iris = bundled("iris");
    let gateway = Gateway::new(vec![iris.clone()]);
    gateway.serve("iris", 3, constant(&iris, 0)).await;
    gateway.catalog.register("iris", 4, constant(challenger, 1));
    gateway.catalog.roll_out(step(stage, share));
    refresh(&gateway).await;
    gateway
}

async fn refresh(gateway: &Gateway) -> Outcome {
    follower::refresh(&gateway.app, gateway.served("iris")).await.unwrap()
}

/// A pipeline whose model needs what no client sends.
fn needs_more() -> Loaded {
    let mut iris = bundled("iris");
    let field = r#"{ "name": "stem_length", "type": "double" },"#;
    let text = iris.schema.text.replacen(r#""fields": ["#, &format!(r#""fields": [{field}"#), 1);
    iris.schema = RecordSchema::parse(&text).unwrap();
    assert!(iris.schema.index("stem_length").is_some(), "{text}");
    iris.pipeline.features.push(Feature { name: "stem_length".to_owned(), ..Feature::default() });
    iris
}

/// Asks `times` times; returns the versions that answered. Every answer is whole.
async fn ask(gateway: &Gateway, times: usize) -> Vec<u64> {
    let mut versions = Vec::new();
    for _ in 0..times {
        let reply = gateway.post("/v2/models/iris/infer", &flower_tensors(&[[1.0; 4]; 2])).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answer = reply.json();
        let version: u64 = answer["model_version"].as_str().unwrap().parse().unwrap();
        assert_eq!(reply.headers["x-model-version"], version.to_string());
        let class = if version == 3 { "setosa" } else { "versicolor" };
        assert_eq!(output(&answer, "predict"), &vec![json!(class); 2]);
        versions.push(version);
        // Requests of a server leave each other, and what runs beside them, some time.
        while gateway.app.shadows.is_busy() {
            tokio::task::yield_now().await;
        }
    }
    versions
}

/// What is logged once there is so much of it.
async fn logged(gateway: &Gateway, rows: usize) -> Vec<Prediction> {
    loop {
        let logged = gateway.sink.predictions();
        if logged.len() >= rows {
            return logged.into_iter().map(|(_, _, prediction)| prediction).collect();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn in_the_shadow_it_answers_every_request_and_nobody_hears_it() {
    let gateway = gateway(&bundled("iris"), Stage::Shadow, 0.0).await;
    assert_eq!(ask(&gateway, 10).await, [3; 10]);
    let logged = logged(&gateway, 40).await;
    for prediction in &logged {
        let expected = if prediction.shadow { (4, "versicolor") } else { (3, "setosa") };
        assert_eq!((prediction.model_version, prediction.prediction.as_str()), expected);
    }
    // Both of each request, under the same id and row.
    let heard = |shadow| {
        let mut ids: Vec<_> =
            logged.iter().filter(|it| it.shadow == shadow).map(|it| (&it.request_id, it.row)).collect();
        ids.sort();
        ids
    };
    assert_eq!(heard(true), heard(false));
    assert_eq!(gateway.app.meters.log_rows("iris"), (20, 20, 0), "what is unheard is no answer");
}

#[tokio::test]
async fn a_share_of_the_requests_is_answered_by_the_challenger_and_the_other_version_answers_beside() {
    let gateway = gateway(&bundled("iris"), Stage::Canary, 0.25).await;
    let versions = ask(&gateway, 400).await;
    let by_challenger = versions.iter().filter(|version| **version == 4).count();
    assert!((60..140).contains(&by_challenger), "{by_challenger}");
    let logged = logged(&gateway, 1_600).await;
    let unheard = logged.iter().filter(|it| it.shadow && it.model_version == 3).count();
    assert_eq!(unheard, 2 * by_challenger);
}

#[tokio::test]
async fn who_asks_for_a_version_gets_it_and_no_other() {
    let gateway = gateway(&bundled("iris"), Stage::Shadow, 0.0).await;
    for version in ["3", "4"] {
        let path = format!("/v2/models/iris/versions/{version}/infer");
        let answer = gateway.post(&path, &flower_tensors(&[[1.0; 4]])).await.json();
        assert_eq!(answer["model_version"], version);
    }
    assert_eq!(gateway.get("/v2/models/iris/versions/4/ready").await.status, 200);
    assert_eq!(gateway.get("/v2/models/iris/versions/5/ready").await.status, 404);
    assert_eq!(logged(&gateway, 2).await.iter().filter(|it| it.shadow).count(), 0);
}

#[tokio::test]
async fn where_the_challenger_fails_the_champion_answers_and_the_failure_is_kept() {
    let gateway = gateway(&needs_more(), Stage::Canary, 0.9).await;
    assert_eq!(ask(&gateway, 50).await, [3; 50], "no client hears of it");
    let logged = logged(&gateway, 150).await;
    let failures: Vec<_> = logged.iter().filter(|it| !it.failure.is_empty()).collect();
    assert_eq!(failures.len(), 50, "whether it was to be heard or not");
    assert!(failures.iter().all(|it| it.model_version == 4 && it.failure.contains("stem_length")));
    // A request that no version can answer is its own fault.
    let reply = gateway.post("/v2/models/iris/infer", &json!({ "inputs": [] })).await;
    assert_eq!(reply.status, 400);
    tokio::task::yield_now().await;
    assert_eq!(gateway.sink.predictions().len(), 150);
}

#[tokio::test]
async fn one_that_cannot_be_loaded_takes_nothing_from_the_champion() {
    let iris = bundled("iris");
    let gateway = Gateway::new(vec![iris.clone()]);
    gateway.catalog.register("iris", 4, bytes::Bytes::from_static(b"no model"));
    gateway.catalog.roll_out(step(Stage::Canary, 0.5));
    gateway.serve("iris", 3, constant(&iris, 0)).await;
    assert_eq!(ask(&gateway, 20).await, [3; 20]);
    assert!(gateway.app.metrics.encode().contains(r#"swaps_total{model="iris",outcome="failed"} 1"#));
    // That it could not is told of every request.
    let logged = logged(&gateway, 60).await;
    let failures: Vec<_> = logged.iter().filter(|it| !it.failure.is_empty()).collect();
    assert!(failures.len() == 20 && failures.iter().all(|it| it.model_version == 4 && it.shadow), "{failures:?}");
}

#[tokio::test]
async fn after_its_promotion_the_earlier_champion_answers_unheard_and_is_back_at_once() {
    let gateway = gateway(&bundled("iris"), Stage::Canary, 0.25).await;
    // The alias moves a moment before the rollout says so.
    gateway.catalog.promote_by_hand("iris", 4);
    assert_eq!(refresh(&gateway).await, Outcome::Swapped(4));
    assert_eq!(ask(&gateway, 5).await, [4; 5]);
    gateway.catalog.roll_out(step(Stage::Probation, 1.0));
    assert_eq!(refresh(&gateway).await, Outcome::Current);
    assert_eq!(ask(&gateway, 5).await, [4; 5]);
    let unheard = logged(&gateway, 40).await.iter().filter(|it| it.shadow && it.model_version == 3).count();
    assert_eq!(unheard, 20);
    // Back, without a byte being read: the version is in memory.
    gateway.catalog.forget("iris", 3);
    gateway.catalog.promote_by_hand("iris", 3);
    assert_eq!(refresh(&gateway).await, Outcome::Swapped(3));
    gateway.catalog.roll_out(step(Stage::RolledBack, 1.0));
    refresh(&gateway).await;
    assert_eq!(ask(&gateway, 5).await, [3; 5]);
}
