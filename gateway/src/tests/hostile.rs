//! Bodies that mean no good.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use super::fixture::{Gateway, flower_tensors, loan, request};

const ENDPOINTS: [&str; 6] = [
    "/predict",
    "/predict/",
    "/train",
    "/v2/models/iris/infer",
    "/api/v1/pipelines/iris/models/3/promote",
    "/api/v1/pipelines/iris/records",
];

#[tokio::test]
async fn nothing_that_is_no_request_is_answered_or_breaks_anything() {
    let mut gateway = Gateway::with_models().await;
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let bodies: Vec<Vec<u8>> = vec![
        b"\xff\xfe\x00".to_vec(),
        b"{\"input\": \"\xff\"}".to_vec(),
        b"null".to_vec(),
        b"true".to_vec(),
        b"1e999".to_vec(),
        b"NaN".to_vec(),
        b"{\"input\":[[NaN,1,1,1]]}".to_vec(),
        b"{\"input\":[[1e999,1,1,1]]}".to_vec(),
        b"{\"input\":[[Infinity,1,1,1]]}".to_vec(),
        b"{\"inputs\":[{\"name\":\"input\",\"shape\":[1,4],\"datatype\":\"FP64\",\"data\":[1e999,1,1,1]}]}".to_vec(),
        b"{\"inputs\":[[[[]]]]}".to_vec(),
        b"{\"n_estimators\":1e400}".to_vec(),
        b"{\"reason\":[]}".to_vec(),
        b"{\"age\":1,\"age\":2}".to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"input\":", "}").into_bytes(),
        format!("{{\"input\":{}}}", deep("[", "]")).into_bytes(),
        format!(
            "{{\"inputs\":[{{\"name\":\"input\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":{}}}]}}",
            deep("[", "]")
        )
        .into_bytes(),
        "\0".repeat(1_000).into_bytes(),
    ];
    for path in ENDPOINTS {
        for body in &bodies {
            let reply = gateway.send(request(Method::POST, path, Body::from(body.clone()))).await;
            let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert!(reply.status.is_client_error(), "{path} answered {} to {start}", reply.status);
            assert!(reply.json().is_object() && reply.bytes.len() < 10_000, "{path} to {start}");
        }
    }
    assert!(gateway.trainings.try_recv().is_err());
    assert!(gateway.sink.predictions().is_empty() && gateway.broker.records().is_empty());
}

#[tokio::test]
async fn numbers_at_the_edge_of_their_type_are_answered_or_refused_but_never_bent() {
    let gateway = Gateway::with_models().await;
    for number in ["1.7976931348623157e308", "5e-324", "-0.0", "123456789012345678901234567890"] {
        let body = format!("{{\"input\":[[{number},1,1,1]]}}");
        assert_eq!(gateway.post_text("/predict", &body).await.status, 200, "{number}");
    }
    for years in [json!(2_147_483_648_i64), json!(1e300), json!(-0.5), json!(u64::MAX)] {
        assert_eq!(gateway.post("/predict/", &loan(&[("loan_duration_years", years)])).await.status, 422);
    }
    assert_eq!(gateway.post("/predict/", &loan(&[("id", json!(9_223_372_036_854_775_808_u64))])).await.status, 422);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_in_the_shape_of_its_surface() {
    let gateway = Gateway::with_models().await;
    for path in ENDPOINTS.into_iter().filter(|path| !path.ends_with("/promote")) {
        let reply = gateway.send(request(Method::POST, path, Body::from(vec![b' '; (16 << 20) + 1]))).await;
        assert_eq!(reply.status.as_u16(), 413, "{path}");
        let key = if path == "/predict/" { "detail" } else { "error" };
        assert!(reply.json()[key].as_str().unwrap().contains("16 MiB"), "{path}");
    }
}

#[tokio::test]
async fn rows_beyond_the_pipeline_s_limit_are_refused_and_those_within_are_answered() {
    let gateway = Gateway::with_models().await;
    let most = gateway.post("/v2/models/iris/infer", &flower_tensors(&vec![[1.0; 4]; 10_000])).await;
    assert_eq!(most.status, 200);
    for (path, body) in [
        ("/v2/models/iris/infer", flower_tensors(&vec![[1.0; 4]; 10_001])),
        ("/predict", json!({ "input": vec![[1.0; 4]; 10_001] })),
    ] {
        let (status, message) = gateway.post(path, &body).await.error();
        assert!(status == 400 && message.contains("more than 10000 rows"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_runs_into_the_time_limit() {
    let gateway = Gateway::with_models().await;
    for (path, key) in [("/predict", "error"), ("/predict/", "detail")] {
        let endless = Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
        let reply = gateway.send(request(Method::POST, path, endless)).await;
        assert_eq!(reply.status, 408);
        assert!(reply.json()[key].as_str().unwrap().contains("30 s"));
    }
}
