//! Our own API: pipelines, their models, and promotion by hand.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use driftmill_platform::registry::{self, CHAMPION};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;

use crate::app::{App, Served};
use crate::body::{self, Body};
use crate::fault::Fault;
use crate::params::Params;

/// The longest reason for a promotion, in bytes.
const MAX_REASON: usize = 1_000;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/pipelines", get(pipelines))
        .route("/api/v1/pipelines/{pipeline}", get(pipeline))
        .route("/api/v1/pipelines/{pipeline}/models", get(models))
        .route("/api/v1/pipelines/{pipeline}/models/{version}/promote", post(promote))
}

async fn pipelines(State(app): State<Arc<App>>) -> Result<Json<Value>, Fault> {
    let all = futures::future::try_join_all(app.pipelines.values().map(|served| describe(&app, served))).await?;
    Ok(Json(json!({ "pipelines": all })))
}

async fn pipeline(State(app): State<Arc<App>>, Params(name): Params<String>) -> Result<Json<Value>, Fault> {
    describe(&app, served(&app, &name)?).await.map(Json)
}

async fn models(State(app): State<Arc<App>>, Params(name): Params<String>) -> Result<Json<Value>, Fault> {
    let versions = app.catalog.versions(&served(&app, &name)?.name).await.map_err(registry_fault)?;
    Ok(Json(json!({ "models": versions })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    reason: String,
}

async fn promote(
    State(app): State<Arc<App>>,
    _: FromThisMachine,
    Params((name, version)): Params<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Fault> {
    let served = served(&app, &name)?;
    let version: u64 = version.parse().map_err(|_| {
        let shown: String = version.chars().take(30).collect();
        Fault::not_found(format!("`{shown}` is no version number"))
    })?;
    is_declared_json(&headers)?;
    let Promotion { reason } = body::parse(&body::bytes(body)?)?;
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON {
        return Err(Fault::bad_request(format!("say in `reason` why, in 1 to {MAX_REASON} bytes: it is kept")));
    }
    app.catalog.promote(&served.name, version, reason).await.map_err(registry_fault)?;
    info!(pipeline = &*served.name, version, reason, "promoted by hand");
    served.wake.notify_one();
    Ok(Json(json!({ "pipeline": &*served.name, "alias": CHAMPION, "version": version, "reason": reason })))
}

pub(crate) fn served<'a>(app: &'a App, name: &str) -> Result<&'a Arc<Served>, Fault> {
    app.pipelines.get(name).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let hint = driftmill_schemas::name::did_you_mean(name, app.pipelines.keys().map(|key| &**key));
        Fault::not_found(format!("there is no pipeline `{shown}`{hint}"))
    })
}

async fn describe(app: &App, served: &Served) -> Result<Value, Fault> {
    let aliases = app.catalog.aliases(&served.name).await.map_err(registry_fault)?;
    let pipeline = &served.loaded.pipeline;
    let features: Vec<Value> =
        pipeline.features.iter().map(|feature| json!({ "name": feature.name, "sql": feature.expression() })).collect();
    Ok(json!({
        "name": pipeline.name,
        "description": pipeline.description,
        "features": features,
        "label": { "field": pipeline.label.field, "classes": pipeline.label.classes },
        "dialects": pipeline.serving.dialects,
        "served_version": served.slot.get().map(|model| model.version),
        "aliases": aliases,
    }))
}

/// That the body is declared as JSON: a page of another origin can make a browser post a form or plain text here, but not that.
pub(crate) fn is_declared_json(headers: &HeaderMap) -> Result<(), Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json"));
    }
    Ok(())
}

pub(crate) fn registry_fault(error: registry::Error) -> Fault {
    match error {
        registry::Error::NoVersion { .. } => Fault::not_found(error.to_string()),
        _ => Fault::unavailable(format!("the registry: {error}")),
    }
}

/// Lets a request through only if it comes from this machine: without authentication, whoever can reach the port could
/// otherwise decide which model serves, or keep the trainer busy.
pub(crate) struct FromThisMachine;

impl<S: Send + Sync> FromRequestParts<S> for FromThisMachine {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(peer)) if peer.ip().to_canonical().is_loopback() => Ok(Self),
            _ => Err(Fault::new(
                StatusCode::FORBIDDEN,
                "models are trained and promoted from the gateway's own machine only; elsewhere use `driftmill train` and \
                 `driftmill models promote`",
            )),
        }
    }
}
