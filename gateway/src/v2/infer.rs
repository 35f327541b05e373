//! `POST …/infer`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use driftmill_schemas::name::did_you_mean;
use serde::{Deserialize, Serialize};

use super::metadata::{LOWER, PREDICT, PROBABILITIES, UPPER};
use super::tensor::{self, InputTensor};
use super::{NAME, loaded, nothing_serves, served};
use crate::answer::{self, Answer};
use crate::app::App;
use crate::asked::Asked;
use crate::body::{self, Body};
use crate::fault::Fault;
use crate::model::{LoadedModel, Rows};
use crate::params::Params;
use crate::request_id::RequestId;
use crate::slot::Chosen;

/// The header of the protocol's binary extension.
const BINARY_HEADER: &str = "inference-header-content-length";

/// A request. Keys of extensions are passed over.
#[derive(Debug, Deserialize)]
struct InferRequest {
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<InputTensor>,
    #[serde(default)]
    outputs: Option<Vec<RequestedOutput>>,
}

#[derive(Debug, Deserialize)]
struct RequestedOutput {
    name: String,
}

/// An output of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Predict,
    Probabilities,
    Lower,
    Upper,
}

impl Output {
    /// Those of a model, in the order of its metadata.
    fn of(model: &LoadedModel) -> &'static [Self] {
        match (model.card.classes.is_empty(), model.tells_intervals()) {
            (false, _) => &[Self::Predict, Self::Probabilities],
            (true, false) => &[Self::Predict],
            (true, true) => &[Self::Predict, Self::Lower, Self::Upper],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Predict => PREDICT,
            Self::Probabilities => PROBABILITIES,
            Self::Lower => LOWER,
            Self::Upper => UPPER,
        }
    }
}

/// What of the request the response needs.
struct Wanted {
    id: Option<String>,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct InferResponse<'a> {
    model_name: &'a str,
    model_version: String,
    id: &'a str,
    outputs: Vec<OutputTensor<'a>>,
}

#[derive(Serialize)]
struct OutputTensor<'a> {
    name: &'static str,
    shape: Vec<usize>,
    datatype: &'static str,
    data: OutputData<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutputData<'a> {
    Classes(Vec<&'a str>),
    Numbers(Cow<'a, [f64]>),
}

pub(super) async fn model(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    Params(name): Params<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    infer(app, id, &name, None, &headers, body).await
}

pub(super) async fn version(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    Params((name, version)): Params<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    infer(app, id, &name, Some(&version), &headers, body).await
}

async fn infer(
    app: Arc<App>,
    id: RequestId,
    name: &str,
    version: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let served = Arc::clone(served(&app, name)?);
    // Whoever names a version wants that one, and no other instead.
    let chosen = match version {
        Some(_) => Chosen::only(loaded(&served, version)?),
        None => served.slot.choose(&id).ok_or_else(|| nothing_serves(&served))?,
    };
    let bytes = body::bytes(body)?;
    if headers.contains_key(BINARY_HEADER) {
        return Err(Fault::bad_request("tensors in binary form are not known here: send `data` as JSON"));
    }
    let asked = Asked { app, served, dialect: NAME, id };
    asked.answer(bytes, chosen, read, render).await
}

fn read(bytes: &[u8], mut rows: Rows) -> Result<(Wanted, Rows), Fault> {
    let request: InferRequest = body::parse(bytes)?;
    let outputs = selected(request.outputs.as_deref().unwrap_or_default(), rows.model())?;
    tensor::read(&request.inputs, &mut rows)?;
    Ok((Wanted { id: request.id, outputs }, rows))
}

/// The outputs asked for, in that order; all of them when none is named.
fn selected(requested: &[RequestedOutput], model: &LoadedModel) -> Result<Vec<Output>, Fault> {
    let all = Output::of(model);
    if requested.is_empty() {
        return Ok(all.to_vec());
    }
    let mut outputs = Vec::with_capacity(2);
    for RequestedOutput { name } in requested {
        let Some(&output) = all.iter().find(|output| output.name() == name) else {
            let shown: String = name.chars().take(60).collect();
            let hint = did_you_mean(name, all.iter().map(|output| output.name()));
            return Err(Fault::bad_request(format!("the model has no output `{shown}`{hint}")));
        };
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    }
    Ok(outputs)
}

fn render(wanted: Wanted, answer: &Answer, request_id: &RequestId) -> Result<Vec<u8>, Fault> {
    let (model, rows) = (answer.model(), answer.rows());
    let bounds = |of: fn(&(f64, f64)) -> f64| answer.intervals().unwrap_or_default().iter().map(of).collect();
    let outputs = wanted.outputs.iter().map(|output| {
        let (datatype, data) = match output {
            Output::Predict if model.card.classes.is_empty() => ("FP64", OutputData::Numbers(answer.values().into())),
            Output::Predict => ("BYTES", OutputData::Classes(answer.class_names().collect())),
            Output::Probabilities => ("FP64", OutputData::Numbers(answer.all_probabilities().into())),
            Output::Lower => ("FP64", OutputData::Numbers(bounds(|bounds| bounds.0))),
            Output::Upper => ("FP64", OutputData::Numbers(bounds(|bounds| bounds.1))),
        };
        let mut shape = vec![rows];
        if *output == Output::Probabilities {
            shape.push(model.card.classes.len());
        }
        OutputTensor { name: output.name(), shape, datatype, data }
    });
    answer::json(&InferResponse {
        model_name: &model.card.pipeline,
        model_version: model.version.to_string(),
        id: wanted.id.as_deref().unwrap_or_else(|| request_id.as_str()),
        outputs: outputs.collect(),
    })
}
