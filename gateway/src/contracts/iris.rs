//! The iris contract: `POST /predict` with a matrix of measurements, `POST /train` with forest parameters.
//!
//! `predictions` are class indices and `target_names` the name of each row's class, in the order of the rows: that is
//! what `{"predictions":[0,…],"target_names":["setosa",…]}` shows, and a client that reads either list row by row is
//! right. A matrix has the columns of the model's inputs, in the order of its metadata.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use driftmill_schemas::message::{RunEvent, RunState, TrainingRequest};
use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::record::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, json};

use crate::Error;
use crate::answer::{self, Answer};
use crate::app::{App, Served};
use crate::asked::Asked;
use crate::body::{self, Body};
use crate::fault::Fault;
use crate::model::Rows;
use crate::request_id::RequestId;
use crate::trainings;

/// The dialect's name.
pub(crate) const NAME: &str = "iris";

const NOT_TRAINED: &str = "Model not trained. Train the model first using /train.";
const NO_INPUT: &str = "No input data provided";
const BAD_INPUT: &str = "Invalid input format. It should be a list of list of numbers";
const TRAINED: &str = "Model trained and logged to MLflow";

/// How long a client may wait for a training.
const TRAINING_LIMIT: Duration = Duration::from_secs(600);
/// Parameters a client may set, with the largest value of each; the smallest is 1.
const PARAMS: [(&str, u64); 2] = [("n_estimators", 10_000), ("max_depth", 1_000)];
/// Names of the metrics in the contract, and the trainer's.
const METRICS: [(&str, &str); 4] = [
    ("accuracy", "accuracy"),
    ("precision", "weighted_precision"),
    ("recall", "weighted_recall"),
    ("f1_score", "weighted_f1"),
];

/// A matrix of numbers must be able to hold every input.
pub(crate) fn check(served: &Served) -> Result<(), Error> {
    match served.input_fields().find(|field| !field.kind.is_numeric()) {
        None => Ok(()),
        Some(field) => Err(Error::Contract {
            pipeline: served.name.to_string(),
            dialect: NAME,
            reason: format!("its features use `{}`, a {}, and its rows are numbers", field.name, field.kind.title()),
        }),
    }
}

fn served(app: &App) -> Result<Arc<Served>, Fault> {
    app.iris.clone().ok_or_else(|| Fault::not_found("no pipeline serves the iris contract"))
}

#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Prediction<'a> {
    predictions: &'a [usize],
    target_names: Vec<&'a str>,
}

pub(crate) async fn predict(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    body: Body,
) -> Result<Response, Fault> {
    let served = served(&app)?;
    let bytes = body::bytes(body)?;
    let chosen = served.slot.choose(&id).ok_or_else(|| Fault::bad_request(NOT_TRAINED))?;
    Asked { app, served, dialect: NAME, id }.answer(bytes, chosen, read, render).await
}

fn read(bytes: &[u8], mut rows: Rows) -> Result<((), Rows), Fault> {
    let no_input = || Fault::bad_request(NO_INPUT);
    let bad_input = || Fault::bad_request(BAD_INPUT);
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(no_input());
    }
    let question: Question<'_> =
        serde_json::from_slice(bytes).map_err(|e| Fault::bad_request(format!("the body: {e}")))?;
    let input = question.input.ok_or_else(no_input)?.get();
    let matrix: Vec<Vec<serde_json::Value>> = serde_json::from_str(input).map_err(|_| bad_input())?;
    if matrix.is_empty() {
        return Err(no_input());
    }
    if !matrix.iter().flatten().all(serde_json::Value::is_number) {
        return Err(bad_input());
    }
    rows.check_count(matrix.len())?;
    let model = Arc::clone(rows.model());
    let width = model.inputs().len();
    for (row, values) in matrix.iter().enumerate() {
        if values.len() != width {
            let names: Vec<&str> = model.input_fields().map(|field| field.name.as_str()).collect();
            return Err(Fault::bad_request(format!(
                "row {row} of the input has {} numbers; the model takes {width}: {}",
                values.len(),
                names.join(", ")
            )));
        }
        for (&index, value) in model.inputs().iter().zip(values) {
            let field = &model.schema.fields[index];
            rows.record()[index] = Value::from_json(value, field)
                .map_err(|e| Fault::bad_request(format!("row {row} of the input: {e}")))?;
        }
        rows.push()?;
    }
    Ok(((), rows))
}

fn render((): (), answer: &Answer, _: &RequestId) -> Result<Vec<u8>, Fault> {
    answer::json(&Prediction { predictions: answer.class_indices(), target_names: answer.class_names().collect() })
}

pub(crate) async fn train(State(app): State<Arc<App>>, body: Body) -> Result<Json<serde_json::Value>, Fault> {
    let served = served(&app)?;
    let params = params(&body::bytes(body)?)?;
    let request = TrainingRequest {
        params,
        // Whoever asked is served by the new model as soon as the answer says so.
        direct: true,
        ..TrainingRequest::new(app.ids.uuid(), &*served.name, "iris contract", app.clock.now())
    };
    let mut ticket = app.trainings.request(&request).await.map_err(|error| match error {
        trainings::Error::Busy => Fault::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
        _ => Fault::unavailable(error.to_string()),
    })?;
    let goes_on =
        format!("training {} goes on; /api/v1/pipelines/{}/models will show its model", request.id, served.name);
    let event = tokio::select! {
        event = ticket.outcome() => event,
        () = app.stop.cancelled() => None,
        () = tokio::time::sleep(TRAINING_LIMIT) => {
            let message = format!("no outcome within {} s: {goes_on}", TRAINING_LIMIT.as_secs());
            return Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, message));
        }
    };
    let event = event.ok_or_else(|| Fault::unavailable(format!("the gateway is shutting down; {goes_on}")))?;
    outcome(&event)
}

/// An empty body trains with the pipeline's own parameters. `"max_depth": null` is a parameter: no limit.
fn params(bytes: &[u8]) -> Result<Map<String, serde_json::Value>, Fault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let params: Map<String, serde_json::Value> = body::parse(bytes)?;
    for (name, value) in &params {
        let Some((_, most)) = PARAMS.iter().find(|(known, _)| known == name) else {
            let shown: String = name.chars().take(60).collect();
            let hint = did_you_mean(name, PARAMS.map(|(known, _)| known));
            return Err(Fault::bad_request(format!("there is no parameter `{shown}`{hint}")));
        };
        let unlimited = name == "max_depth" && value.is_null();
        if !unlimited && !value.as_u64().is_some_and(|value| (1..=*most).contains(&value)) {
            return Err(Fault::bad_request(format!("`{name}` must be a whole number from 1 to {most}")));
        }
    }
    Ok(params)
}

/// A model that a gate refused was trained all the same: the contract's answer, with the refusal added.
fn outcome(event: &RunEvent) -> Result<Json<serde_json::Value>, Fault> {
    let metrics: Map<String, serde_json::Value> =
        METRICS.iter().map(|(ours, trainers)| ((*ours).to_owned(), json!(event.metrics.get(*trainers)))).collect();
    let mut answer = json!({ "message": TRAINED, "metrics": metrics });
    match event.state {
        RunState::Promoted => {}
        RunState::Refused | RunState::RollingOut | RunState::RolledBack => {
            answer["promoted"] = json!(false);
            answer["reason"] = json!(event.detail);
        }
        RunState::Failed | RunState::TimedOut | RunState::Started => {
            return Err(Fault::internal(format!("the training failed: {}", event.detail)));
        }
    }
    Ok(Json(answer))
}
