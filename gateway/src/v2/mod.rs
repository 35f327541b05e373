//! The Open Inference Protocol V2 over HTTP and JSON: one model per pipeline, of which the champion is loaded.

mod infer;
mod metadata;
mod nested;
mod tensor;

pub(crate) use metadata::datatype;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::{App, Served};
use crate::fault::Fault;
use crate::model::LoadedModel;

/// The dialect's name in logs and metrics.
pub(crate) const NAME: &str = "v2";

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v2", get(metadata::server))
        .route("/v2/health/live", get(metadata::live))
        .route("/v2/health/ready", get(metadata::ready))
        .route("/v2/models/{model}", get(metadata::model))
        .route("/v2/models/{model}/versions/{version}", get(metadata::version))
        .route("/v2/models/{model}/ready", get(metadata::model_ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(metadata::version_ready))
        .route("/v2/models/{model}/infer", post(infer::model))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer::version))
}

/// The pipeline called `name`.
fn served<'a>(app: &'a App, name: &str) -> Result<&'a Arc<Served>, Fault> {
    app.pipelines.get(name).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let hint = driftmill_schemas::name::did_you_mean(name, app.pipelines.keys().map(|key| &**key));
        Fault::not_found(format!("there is no model `{shown}`{hint}"))
    })
}

/// Its serving model, or the one with the number `version` if one is asked for.
fn loaded(served: &Served, version: Option<&str>) -> Result<Arc<LoadedModel>, Fault> {
    let Some(serving) = served.slot.serving() else { return Err(nothing_serves(served)) };
    let Some(wanted) = version else { return Ok(Arc::clone(&serving.champion)) };
    let beside = serving.beside.iter().map(|beside| &beside.model);
    let mut all = std::iter::once(&serving.champion).chain(beside);
    all.find(|model| wanted.parse() == Ok(model.version)).cloned().ok_or_else(|| {
        let shown: String = wanted.chars().take(30).collect();
        Fault::not_found(format!(
            "version {shown} of model `{}` is not loaded: version {} serves",
            served.name, serving.champion.version
        ))
    })
}

fn nothing_serves(served: &Served) -> Fault {
    Fault::not_found(format!(
        "model `{}` has no version that serves yet: one does as soon as a training is promoted",
        served.name
    ))
}
