//! `/health` and `/metrics` of the roles that serve nothing else.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use driftmill_platform::metrics::Metrics;
use driftmill_platform::supervisor::{OnError, Supervisor};

/// The content type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves them at `address` as a task of `supervisor`.
pub async fn serve(address: SocketAddr, metrics: Metrics, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("the metrics address {address} cannot be used"))?;
    let router = Router::new()
        .route("/health", get(|| async { axum::Json(serde_json::json!({"status": "ok"})) }))
        .route("/metrics", get(move || async move { ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.encode()) }));
    supervisor.spawn("metrics", OnError::Log, |cancel| async move {
        axum::serve(listener, router).with_graceful_shutdown(cancel.cancelled_owned()).await
    });
    Ok(())
}
