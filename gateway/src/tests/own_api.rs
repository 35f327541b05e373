//! Our own API.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Method;
use serde_json::{Value, json};

use super::fixture::{Gateway, Reply, bundled, iris_forest, request};

#[tokio::test]
async fn pipelines_say_what_they_are_and_what_they_serve() {
    let gateway = Gateway::new(vec![bundled("iris"), bundled("loan")]);
    gateway.serve("iris", 3, iris_forest()).await;
    let all = gateway.get("/api/v1/pipelines").await.json();
    let names: Vec<_> = all["pipelines"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(names, ["iris", "loan"]);
    let iris = gateway.get("/api/v1/pipelines/iris").await.json();
    assert_eq!(iris, all["pipelines"][0]);
    assert_eq!((&iris["served_version"], &iris["aliases"][0]["alias"]), (&json!(3), &json!("champion")));
    assert_eq!(iris["features"][2], json!({ "name": "petal_length", "sql": "petal_length" }));
    let loan = gateway.get("/api/v1/pipelines/loan").await.json();
    assert_eq!((&loan["served_version"], &loan["aliases"]), (&Value::Null, &json!([])));
    let versions = gateway.get("/api/v1/pipelines/iris/models").await.json();
    assert_eq!(
        (&versions["models"][0]["version"], &versions["models"][0]["metrics"]["accuracy"]),
        (&json!(3), &json!(0.97))
    );
    let (status, message) = gateway.get("/api/v1/pipelines/lone").await.error();
    assert!(status == 404 && message.contains("did you mean `loan`"), "{message}");
}

async fn promote(gateway: &Gateway, version: &str, body: &str, peer: &str, kind: &str) -> Reply {
    let path = format!("/api/v1/pipelines/iris/models/{version}/promote");
    let mut request = request(Method::POST, &path, Body::from(body.to_owned()));
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    gateway.send(request).await
}

#[tokio::test]
async fn a_version_is_promoted_by_hand_with_a_reason() {
    let gateway = Gateway::with_models().await;
    gateway.catalog.put("iris", 2, iris_forest());
    gateway.catalog.put("iris", 3, iris_forest());
    let reply = promote(&gateway, "2", r#"{"reason":" looks better "}"#, "127.0.0.1:9", "application/json").await;
    let wanted = json!({ "pipeline": "iris", "alias": "champion", "version": 2, "reason": "looks better" });
    assert_eq!((reply.status.as_u16(), reply.json()), (200, wanted));
    // The task that follows the registry has been woken.
    gateway.served("iris").wake.notified().await;
    let aliases = gateway.get("/api/v1/pipelines/iris").await.json()["aliases"].clone();
    assert_eq!((&aliases[0]["version"], &aliases[0]["reason"]), (&json!(2), &json!("looks better")));
}

#[tokio::test]
async fn a_promotion_needs_this_machine_json_a_reason_and_a_version_that_exists() {
    let gateway = Gateway::with_models().await;
    let (json, here, body) = ("application/json; charset=utf-8", "[::ffff:127.0.0.1]:1", r#"{"reason":"x"}"#);
    for (version, body, peer, kind, status) in [
        ("3", body, here, json, 200),
        ("3", body, "10.0.0.1:1", json, 403),
        ("3", body, here, "text/plain", 415),
        ("9", body, here, json, 404),
        ("x", body, here, json, 404),
        ("3", r#"{"reason":"  "}"#, here, json, 400),
        ("3", r#"{"raeson":"x"}"#, here, json, 400),
        ("3", "", here, json, 400),
    ] {
        let reply = promote(&gateway, version, body, peer, kind).await;
        assert_eq!(reply.status.as_u16(), status, "{version} {body} {peer} {kind}: {}", reply.text());
    }
    // A peer that nobody knows is not this machine.
    assert_eq!(gateway.post("/api/v1/pipelines/iris/models/3/promote", &json!({ "reason": "x" })).await.error().0, 403);
}
