//! Health, metrics and the documents.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa_swagger_ui::Config;

use crate::app::App;
use crate::fault::Fault;

const OPENAPI: &str = "/openapi.json";
/// The page's assets are named relative to it, and it is served with and without a slash at the end.
const BASE: &str = "<head><base href=\"/docs/\">";

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/health", get(async || Json(json!({ "status": "ok" }))))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route(OPENAPI, get(openapi))
        .route("/docs", get(async || docs("index.html")))
        .route("/docs/", get(async || docs("index.html")))
        .route("/docs/{file}", get(async |Path(file): Path<String>| docs(&file)))
}

/// Why the gateway is not ready for traffic; `None` when it is: each pipeline that has a champion serves one, and no
/// shutdown has begun.
pub(crate) fn not_ready(app: &App) -> Option<String> {
    if app.stop.is_cancelled() {
        return Some("the gateway is shutting down".to_owned());
    }
    let waiting: Vec<&str> =
        app.pipelines.values().filter(|served| !served.slot.is_settled()).map(|served| &*served.name).collect();
    (!waiting.is_empty()).then(|| format!("the champions of these pipelines are being loaded: {}", waiting.join(", ")))
}

async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    match not_ready(&app) {
        None => (StatusCode::OK, Json(json!({ "status": "ready" }))),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready", "error": reason }))),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], app.metrics.encode())
}

async fn openapi(State(app): State<Arc<App>>) -> impl IntoResponse {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], app.openapi.clone())
}

fn docs(file: &str) -> Result<Response, Fault> {
    let not_found = || Fault::not_found("there is no such file; /docs is the page");
    let config = Arc::new(Config::from(OPENAPI));
    let found = utoipa_swagger_ui::serve(file, config).map_err(|e| Fault::internal(e.to_string()))?;
    let found = found.ok_or_else(not_found)?;
    let body = match (file, std::str::from_utf8(&found.bytes)) {
        ("index.html", Ok(page)) => Bytes::from(page.replacen("<head>", BASE, 1)),
        _ => Bytes::from(found.bytes.into_owned()),
    };
    let kind = HeaderValue::from_str(&found.content_type).map_err(|_| not_found())?;
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    if found.gzpipped {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
