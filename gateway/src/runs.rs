//! Our own API on trainings: wish for one, and look at what became of them.
//!
//! A wish is answered with 202 as soon as Kafka holds it, and with the address of its run, which is there once the trainer has
//! taken it up. With an `Idempotency-Key` the wish can be sent again: wishes of one key are one run, and the first one counts.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use driftmill_schemas::message::{self, TrainingRequest};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::info;
use uuid::Uuid;

use crate::api::{self, FromThisMachine};
use crate::app::App;
use crate::body::{self, Body};
use crate::fault::Fault;
use crate::params::Params;
use crate::trainings;

/// Bytes that a wish may have: it travels in a message.
const MOST_BYTES: usize = 64 << 10;
/// Bytes of a reason, and of a key.
const LONGEST_REASON: usize = 1_000;
const LONGEST_KEY: usize = 255;
/// Runs that are listed at most, and without a limit.
pub(crate) const MOST_RUNS: u32 = 1_000;
const RUNS: u32 = 50;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/pipelines/{pipeline}/trainings", post(train))
        .route("/api/v1/pipelines/{pipeline}/runs", get(runs))
        .route("/api/v1/pipelines/{pipeline}/runs/{run}", get(run))
}

/// A wish as clients send it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    params: Map<String, Value>,
    search: bool,
    reason: String,
}

async fn train(
    State(app): State<Arc<App>>,
    _: FromThisMachine,
    Params(name): Params<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let served = api::served(&app, &name)?;
    api::is_declared_json(&headers)?;
    let bytes = body::bytes(body)?;
    if bytes.len() > MOST_BYTES {
        let message = format!("a wish for a training has at most {} KiB", MOST_BYTES >> 10);
        return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let Wish { params, search, reason } = body::parse(&bytes)?;
    let reason = reason.trim().to_owned();
    if reason.len() > LONGEST_REASON {
        return Err(Fault::bad_request(format!("`reason` has at most {LONGEST_REASON} bytes")));
    }
    let pipeline = served.name.to_string();
    if search && served.loaded.pipeline.training.search.is_none() {
        let message = format!("there is nothing to search for: {pipeline} declares no `training.search`");
        return Err(Fault::bad_request(message));
    }
    let id = match key(&headers)? {
        Some(key) => message::id_of(&["idempotency key", &pipeline, key]),
        None => app.ids.uuid(),
    };
    let (requested_by, at) = ("api".to_owned(), app.clock.now());
    let request = TrainingRequest { params, search, reason, ..TrainingRequest::new(id, pipeline, requested_by, at) };
    app.trainings.wish(&request).await.map_err(|error| match error {
        trainings::Error::Busy => Fault::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
        _ => Fault::unavailable(error.to_string()),
    })?;
    let run = message::run_id(&request.pipeline, &request.cause());
    info!(pipeline = request.pipeline, request = %id, %run, "a training was wished for");
    let look = format!("/api/v1/pipelines/{}/runs/{run}", request.pipeline);
    let answer = json!({ "pipeline": request.pipeline, "request": id, "run": run, "look": look });
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, look)], Json(answer)).into_response())
}

/// The key of the request, if it has one.
fn key(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str().map(str::trim) {
        Ok(key) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(Some(key)),
        _ => Err(Fault::bad_request(format!("an `Idempotency-Key` has 1 to {LONGEST_KEY} visible ASCII characters"))),
    }
}

async fn runs(
    State(app): State<Arc<App>>,
    Params(name): Params<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Fault> {
    let served = api::served(&app, &name)?;
    let limit = limit(query.as_deref().unwrap_or_default())?;
    let runs = app.catalog.runs(&served.name, limit).await.map_err(api::registry_fault)?;
    Ok(Json(json!({ "runs": runs })))
}

fn limit(query: &str) -> Result<u32, Fault> {
    let mut limit = RUNS;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let given = pair.strip_prefix("limit=").and_then(|given| given.parse().ok());
        limit = given.filter(|given| (1..=MOST_RUNS).contains(given)).ok_or_else(|| {
            let shown: String = pair.chars().take(60).collect();
            Fault::bad_request(format!("`{shown}`: give `limit`, a whole number from 1 to {MOST_RUNS}"))
        })?;
    }
    Ok(limit)
}

async fn run(State(app): State<Arc<App>>, Params((name, run)): Params<(String, String)>) -> Result<Json<Value>, Fault> {
    let served = api::served(&app, &name)?;
    let none = || {
        let shown: String = run.chars().take(60).collect();
        Fault::not_found(format!(
            "there is no run `{shown}` of {}, or none yet: one that was wished for is there once the trainer has taken it up",
            served.name
        ))
    };
    let id: Uuid = run.parse().map_err(|_| none())?;
    let found = app.catalog.run(&served.name, id).await.map_err(api::registry_fault)?;
    Ok(Json(json!(found.ok_or_else(none)?)))
}
