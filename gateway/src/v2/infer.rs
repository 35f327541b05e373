//! `POST …/infer`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use driftmill_schemas::name::did_you_mean;
use serde::{Deserialize, Serialize};

use super::metadata::{PREDICT, PROBABILITIES};
use super::tensor::{self, InputTensor};
use super::{NAME, loaded, served};
use crate::answer::{self, Answer, Asked};
use crate::app::App;
use crate::body::{self, Body};
use crate::fault::Fault;
use crate::model::Rows;
use crate::params::Params;
use crate::request_id::RequestId;

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
    Numbers(&'a [f64]),
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
    let model = loaded(&served, version)?;
    let bytes = body::bytes(body)?;
    if headers.contains_key(BINARY_HEADER) {
        return Err(Fault::bad_request("tensors in binary form are not known here: send `data` as JSON"));
    }
    let asked = Asked { app, served, dialect: NAME, id };
    asked.answer(bytes, model, read, render).await
}

fn read(bytes: &[u8], mut rows: Rows) -> Result<(Wanted, Rows), Fault> {
    let request: InferRequest = body::parse(bytes)?;
    let outputs = selected(request.outputs.as_deref().unwrap_or_default())?;
    tensor::read(&request.inputs, &mut rows)?;
    Ok((Wanted { id: request.id, outputs }, rows))
}

/// The outputs asked for, in that order; all of them when none is named.
fn selected(requested: &[RequestedOutput]) -> Result<Vec<Output>, Fault> {
    if requested.is_empty() {
        return Ok(vec![Output::Predict, Output::Probabilities]);
    }
    let mut outputs = Vec::with_capacity(2);
    for RequestedOutput { name } in requested {
        let output = match name.as_str() {
            PREDICT => Output::Predict,
            PROBABILITIES => Output::Probabilities,
            other => {
                let shown: String = other.chars().take(60).collect();
                let hint = did_you_mean(other, [PREDICT, PROBABILITIES]);
                return Err(Fault::bad_request(format!("the model has no output `{shown}`{hint}")));
            }
        };
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    }
    Ok(outputs)
}

fn render(wanted: Wanted, answer: &Answer, request_id: &RequestId) -> Result<Vec<u8>, Fault> {
    let (model, rows) = (answer.model(), answer.rows());
    let outputs = wanted.outputs.iter().map(|output| match output {
        Output::Predict => OutputTensor {
            name: PREDICT,
            shape: vec![rows],
            datatype: "BYTES",
            data: OutputData::Classes(answer.class_names().collect()),
        },
        Output::Probabilities => OutputTensor {
            name: PROBABILITIES,
            shape: vec![rows, model.card.classes.len()],
            datatype: "FP64",
            data: OutputData::Numbers(answer.all_probabilities()),
        },
    });
    answer::json(&InferResponse {
        model_name: &model.card.pipeline,
        model_version: model.version.to_string(),
        id: wanted.id.as_deref().unwrap_or_else(|| request_id.as_str()),
        outputs: outputs.collect(),
    })
}
