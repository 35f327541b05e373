//! Ids, metrics, documents, and routes that are not there.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Method;
use serde_json::Value;

use super::fixture::{Gateway, bundled, parts, pipeline, request};
use crate::Error;
use crate::app::App;

#[tokio::test]
async fn a_request_id_comes_back_or_is_made() {
    let gateway = Gateway::with_models().await;
    let mut asked = request(Method::GET, "/health", Body::empty());
    asked.headers_mut().insert("x-request-id", "mine-1".parse().unwrap());
    assert_eq!(gateway.send(asked).await.headers["x-request-id"], "mine-1");
    let made = gateway.get("/nothing").await.headers["x-request-id"].to_str().unwrap().to_owned();
    assert!(made.parse::<uuid::Uuid>().is_ok(), "{made}");
}

#[tokio::test]
async fn what_is_not_there_is_an_error_in_json() {
    let gateway = Gateway::with_models().await;
    for path in ["/", "/nothing", "/v2/models", "/predict/more", "/docs/no.js", "/docs/..%2f..%2fetc", "//", "/%ff"] {
        assert_eq!(gateway.get(path).await.error().0, 404, "{path}");
    }
    let reply = gateway.get("/predict").await;
    assert_eq!((reply.error().0, &reply.headers["allow"]), (405, &"POST".parse().unwrap()));
    assert_eq!(gateway.get("/v2/models/%ff").await.error().0, 400);
}

#[tokio::test]
async fn metrics_count_by_route_and_cannot_be_blown_up_from_outside() {
    let gateway = Gateway::with_models().await;
    for i in 0..50 {
        gateway.get(&format!("/nothing/{i}")).await;
        gateway.get(&format!("/v2/models/m{i}")).await;
    }
    gateway.get("/v2/models/iris").await;
    gateway.send(request(Method::from_bytes(b"BREW").unwrap(), "/v2", Body::empty())).await;
    gateway.post_text("/predict", r#"{"input":[[5.1,3.5,1.4,0.2]]}"#).await;
    let reply = gateway.get("/metrics").await;
    assert!(reply.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = reply.text();
    for line in [
        r#"requests_total{model="",dialect="unmatched",method="GET",status="404"} 50"#,
        r#"requests_total{model="",dialect="v2",method="GET",status="404"} 50"#,
        r#"requests_total{model="iris",dialect="v2",method="GET",status="200"} 1"#,
        r#"requests_total{model="",dialect="v2",method="other",status="405"} 1"#,
        r#"requests_total{model="iris",dialect="iris",method="POST",status="200"} 1"#,
        r#"request_duration_seconds_count{model="iris",dialect="iris"} 1"#,
        r#"predictions_total{model="iris",class="setosa"} 1"#,
        r#"model_version{model="iris"} 3"#,
        r#"swaps_total{model="iris",outcome="loaded"} 1"#,
    ] {
        assert!(text.contains(&format!("driftmill_gateway_{line}\n")) || text.contains(line), "{line} in\n{text}");
    }
    assert!(text.lines().filter(|line| line.starts_with("driftmill_gateway_requests_total")).count() < 10);
}

#[tokio::test]
async fn the_page_of_the_documents_and_its_assets_are_served() {
    let gateway = Gateway::with_models().await;
    for path in ["/docs", "/docs/"] {
        let page = gateway.get(path).await;
        assert_eq!((page.status.as_u16(), page.headers["content-type"].to_str().unwrap()), (200, "text/html"));
        assert!(page.text().contains("<base href=\"/docs/\">"));
        let assets: Vec<String> = page
            .text()
            .split(['"', '\''])
            .filter(|part| part.starts_with("./") || part.ends_with(".js") || part.ends_with(".css"))
            .map(|part| part.trim_start_matches("./").to_owned())
            .collect();
        assert!(assets.len() >= 3, "{assets:?}");
        for asset in assets {
            assert_eq!(gateway.get(&format!("/docs/{asset}")).await.status, 200, "{asset}");
        }
    }
    assert!(gateway.get("/docs/swagger-initializer.js").await.text().contains("/openapi.json"));
}

/// Every `$ref` under `value`.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.insert(reference.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_whole_and_its_examples_are_answered() {
    let gateway = Gateway::with_models().await;
    let run = "0197a1d2-1c50-7000-8000-000000000001";
    gateway.catalog.put_run("iris", run.parse().unwrap());
    let document = gateway.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    // Every path of the document leads somewhere.
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{model}", "iris")
            .replace("{pipeline}", "iris")
            .replace("{version}", "3")
            .replace("{run}", run);
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let known = item[method]["responses"].as_object().unwrap();
            if path == "/train" {
                continue;
            }
            let content = &item[method]["requestBody"]["content"]["application/json"];
            let example = match &content["examples"]["iris"]["value"] {
                Value::Null => content["example"].clone(),
                value => value.clone(),
            };
            let method: Method = method.to_uppercase().parse().unwrap();
            let mut asked = request(method.clone(), &path, Body::from(example.to_string()));
            // What only this machine may ask is asked from here.
            asked.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
            let reply = gateway.send(asked).await;
            let status = reply.status.as_str();
            assert!(known.contains_key(status), "{method} {path} answered {status}");
            assert!(reply.status.is_success(), "{method} {path}: {}", reply.text());
        }
    }
    let loan = &document["components"]["schemas"]["LoanRequest"];
    assert_eq!(loan["properties"]["age"]["type"], serde_json::json!(["number", "null"]));
    assert_eq!(loan["properties"]["credit_score"]["description"], "300 to 850");
    assert!(loan["properties"].get("loan_approval").is_none());
}

#[test]
fn pipelines_that_cannot_be_served_together_or_at_all_are_refused_at_the_start() {
    let refused = |pipelines| match App::new(parts(pipelines).0) {
        Ok(_) => panic!("it starts"),
        Err(error) => error,
    };
    let renamed = |from: &str, to: &str| {
        let mut loaded = bundled(from);
        loaded.pipeline.name = to.to_owned();
        loaded
    };
    assert!(matches!(refused(vec![bundled("iris"), bundled("iris")]), Error::Duplicate(_)));
    let error = refused(vec![bundled("iris"), renamed("iris", "tulip")]);
    assert!(
        matches!(&error, Error::Dialect { dialect: "iris", first, second } if first == "iris" && second == "tulip")
    );
    let text = |dialect: &str| {
        pipeline(
            &format!(
                "version: 1\nname: x\nschema: r.avsc\nfeatures: [{{ name: n, sql: LENGTH(t) }}]\n\
                 label: {{ field: y, classes: [a, b] }}\ntraining: {{ algorithm: constant }}\n\
                 serving: {{ dialects: [{dialect}] }}\n"
            ),
            r#"{"type":"record","name":"r","fields":[{"name":"t","type":"string"},{"name":"y","type":["null","string"]}]}"#,
        )
    };
    assert!(matches!(refused(vec![text("iris")]), Error::Contract { dialect: "iris", .. }));
    assert!(matches!(refused(vec![text("loan")]), Error::Contract { dialect: "loan", .. }));
    let mut broken = bundled("iris");
    broken.pipeline.features[1].sql = Some("sepal_widht + 1".to_owned());
    let error = refused(vec![broken]).to_string();
    assert!(error.contains("`sepal_width`") && error.contains("did you mean"), "{error}");
}
