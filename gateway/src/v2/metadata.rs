//! What the server and its models are, and whether they are ready.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use driftmill_schemas::record::FieldKind;
use serde_json::{Value, json};

use super::{loaded, served};
use crate::app::App;
use crate::fault::Fault;
use crate::model::LoadedModel;
use crate::params::Params;
use crate::system;

/// Names of the outputs with the bounds that each value lies within.
pub(super) const LOWER: &str = "lower";
pub(super) const UPPER: &str = "upper";
/// Name of the output with the class, or the value, of each row.
pub(super) const PREDICT: &str = "predict";
/// Name of the output with the probability of each class for each row.
pub(super) const PROBABILITIES: &str = "probabilities";

pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": "driftmill", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }))
}

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// The protocol wants a 4xx here where a probe's 503 would be usual; `/ready` gives that.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Fault> {
    match system::not_ready(&app) {
        None => Ok(Json(json!({ "ready": true }))),
        Some(reason) => Err(Fault::bad_request(reason)),
    }
}

pub(super) async fn model(State(app): State<Arc<App>>, Params(name): Params<String>) -> Result<Json<Value>, Fault> {
    Ok(Json(describe(&*loaded(served(&app, &name)?, None)?)))
}

pub(super) async fn version(
    State(app): State<Arc<App>>,
    Params((name, version)): Params<(String, String)>,
) -> Result<Json<Value>, Fault> {
    Ok(Json(describe(&*loaded(served(&app, &name)?, Some(&version))?)))
}

pub(super) async fn model_ready(
    State(app): State<Arc<App>>,
    Params(name): Params<String>,
) -> Result<Json<Value>, Fault> {
    loaded(served(&app, &name)?, None)?;
    Ok(Json(json!({ "name": name, "ready": true })))
}

pub(super) async fn version_ready(
    State(app): State<Arc<App>>,
    Params((name, version)): Params<(String, String)>,
) -> Result<Json<Value>, Fault> {
    loaded(served(&app, &name)?, Some(&version))?;
    Ok(Json(json!({ "name": name, "ready": true })))
}

fn describe(model: &LoadedModel) -> Value {
    let inputs: Vec<Value> = model
        .input_fields()
        .map(|field| json!({ "name": field.name, "datatype": datatype(field.kind), "shape": [-1] }))
        .collect();
    let classes = &model.card.classes;
    let outputs = if classes.is_empty() {
        let mut outputs = vec![json!({ "name": PREDICT, "datatype": "FP64", "shape": [-1] })];
        if model.tells_intervals() {
            outputs.extend([LOWER, UPPER].map(|name| json!({ "name": name, "datatype": "FP64", "shape": [-1] })));
        }
        json!(outputs)
    } else {
        json!([
            { "name": PREDICT, "datatype": "BYTES", "shape": [-1] },
            {
                "name": PROBABILITIES,
                "datatype": "FP64",
                "shape": [-1, classes.len()],
                "parameters": { "classes": classes },
            },
        ])
    };
    json!({
        "name": model.card.pipeline,
        "versions": [model.version.to_string()],
        "platform": "driftmill",
        "inputs": inputs,
        "outputs": outputs,
    })
}

/// The protocol's type for a field.
pub(crate) fn datatype(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Boolean => "BOOL",
        FieldKind::Int => "INT32",
        FieldKind::Long | FieldKind::Timestamp => "INT64",
        FieldKind::Float => "FP32",
        FieldKind::Double => "FP64",
        FieldKind::String | FieldKind::Bytes => "BYTES",
    }
}
