//! Trainings that are wished for, and what became of them.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Method;
use driftmill_schemas::message;
use serde_json::{Value, json};

use super::fixture::{Gateway, Reply, request};

const HERE: &str = "127.0.0.1:9";

async fn wish(gateway: &Gateway, body: &str, key: Option<&str>, peer: &str, kind: &str) -> Reply {
    let mut request = request(Method::POST, "/api/v1/pipelines/iris/trainings", Body::from(body.to_owned()));
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    if let Some(key) = key {
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
    }
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    gateway.send(request).await
}

#[tokio::test]
async fn a_wish_is_handed_to_the_trainer_and_says_where_its_run_will_be() {
    let mut gateway = Gateway::with_models().await;
    let body = r#"{"params":{"n_estimators":7},"reason":" new labels "}"#;
    let reply = wish(&gateway, body, None, HERE, "application/json").await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let asked = gateway.trainings.recv().await.unwrap();
    assert_eq!((asked.pipeline.as_str(), asked.reason.as_str(), asked.force), ("iris", "new labels", false));
    assert_eq!(asked.params, *json!({ "n_estimators": 7 }).as_object().unwrap());
    let run = message::run_id("iris", &asked.cause());
    let look = format!("/api/v1/pipelines/iris/runs/{run}");
    assert_eq!(reply.json(), json!({ "pipeline": "iris", "request": asked.id, "run": run, "look": look }));
    assert_eq!(reply.headers["location"], look);
    // It is not there before the trainer has begun.
    let (status, told) = gateway.get(&look).await.error();
    assert!(status == 404 && told.contains("yet"), "{told}");
    gateway.catalog.put_run("iris", run);
    let found = gateway.get(&look).await.json();
    assert_eq!((&found["run"], &found["state"]), (&json!(run), &json!("promoted")));
    assert_eq!(found["logs"][0]["line"], "fitted");
    let listed = gateway.get("/api/v1/pipelines/iris/runs?limit=1").await.json();
    assert_eq!(listed["runs"][0]["run"], json!(run));
    assert_eq!(gateway.get("/api/v1/pipelines/loan/runs").await.json()["runs"], json!([]));
}

#[tokio::test]
async fn wishes_of_one_key_are_one_run_and_others_are_not() {
    let mut gateway = Gateway::with_models().await;
    let mut ids = Vec::new();
    for key in [Some("a"), Some("a"), Some("b"), None, None] {
        let reply = wish(&gateway, "{}", key, HERE, "application/json").await;
        assert_eq!(reply.json()["request"], json!(gateway.trainings.recv().await.unwrap().id));
        ids.push(reply.json()["run"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    let distinct: std::collections::HashSet<String> = ids.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 4, "{ids:?}");
}

#[tokio::test]
async fn a_wish_needs_this_machine_json_and_what_can_be_done() {
    let gateway = Gateway::with_models().await;
    let (json, long) = ("application/json; charset=utf-8", "x".repeat(1_001));
    let large = format!(r#"{{"params":{{"a":"{}"}}}}"#, "x".repeat(70_000));
    for (body, key, peer, kind, status) in [
        ("{}", Some("k"), HERE, json, 202),
        ("{}", None, "10.0.0.1:1", json, 403),
        ("{}", None, HERE, "text/plain", 415),
        ("", None, HERE, json, 400),
        (r#"{"force":true}"#, None, HERE, json, 400),
        (r#"{"params":[1]}"#, None, HERE, json, 400),
        (r#"{"search":true}"#, None, HERE, json, 400),
        (&format!(r#"{{"reason":"{long}"}}"#), None, HERE, json, 400),
        (&large, None, HERE, json, 413),
        ("{}", Some(" "), HERE, json, 400),
        ("{}", Some(&"k".repeat(256)), HERE, json, 400),
    ] {
        let reply = wish(&gateway, body, key, peer, kind).await;
        assert_eq!(reply.status.as_u16(), status, "{key:?} {peer} {kind}: {}", reply.text());
    }
    for path in ["iris/runs?limit=0", "iris/runs?limit=x", "iris/runs?page=2", "iris/runs?limit=1001"] {
        assert_eq!(gateway.get(&format!("/api/v1/pipelines/{path}")).await.error().0, 400, "{path}");
    }
    for path in ["lone/runs", "iris/runs/x", "iris/runs/00000000-0000-0000-0000-000000000000"] {
        assert_eq!(gateway.get(&format!("/api/v1/pipelines/{path}")).await.error().0, 404, "{path}");
    }
}
