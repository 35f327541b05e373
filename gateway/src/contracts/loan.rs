//! The loan contract: `POST /predict/` with one request for a loan.
//!
//! Its fields are those of the record except the label. Every one must be there; a field with gaps may be null. Errors of
//! the schema are 422 in FastAPI's shape, all of them at once; anything else is `{"detail": "…"}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::record::{Field, FieldKind, Value};
use serde::Serialize;
use serde_json::{Map, json};

use crate::Error;
use crate::answer::{self, Answer};
use crate::app::{App, Served};
use crate::asked::Asked;
use crate::body::{self, Body};
use crate::fault::{Fault, Shape};
use crate::model::Rows;
use crate::request_id::RequestId;

/// The dialect's name.
pub(crate) const NAME: &str = "loan";

/// The answer is a number, so every class must be one.
pub(crate) fn check(served: &Served) -> Result<(), Error> {
    match served.loaded.pipeline.label.classes.iter().find(|class| class.parse::<i64>().is_err()) {
        None => Ok(()),
        Some(class) => Err(Error::Contract {
            pipeline: served.name.to_string(),
            dialect: NAME,
            reason: format!("its class `{class}` is no whole number, and the contract's `prediction` is one"),
        }),
    }
}

/// The fields of a request for `served`, in the record's order.
pub(crate) fn fields<'a>(all: &'a [Field], served: &'a Served) -> impl Iterator<Item = (usize, &'a Field)> {
    let label = &served.loaded.pipeline.label.field;
    all.iter().enumerate().filter(move |(_, field)| field.name != *label)
}

#[derive(Serialize)]
struct Prediction {
    prediction: i64,
}

/// One fault of the schema, as FastAPI's clients know it.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(rename = "type")]
    kind: &'static str,
    loc: Vec<serde_json::Value>,
    msg: String,
    input: serde_json::Value,
}

/// Why there is no prediction.
pub(crate) enum LoanFault {
    /// 422.
    Schema(Vec<Detail>),
    /// Any other status.
    Other(Fault),
}

impl From<Fault> for LoanFault {
    fn from(fault: Fault) -> Self {
        Self::Other(fault)
    }
}

impl AsRef<str> for LoanFault {
    fn as_ref(&self) -> &str {
        match self {
            Self::Schema(_) => "the request lacks fields that this version needs",
            Self::Other(fault) => fault.as_ref(),
        }
    }
}

impl IntoResponse for LoanFault {
    fn into_response(self) -> Response {
        match self {
            Self::Schema(detail) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "detail": detail }))).into_response()
            }
            Self::Other(fault) => fault.respond(Shape::Detail),
        }
    }
}

pub(crate) async fn predict(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    body: Body,
) -> Result<Response, LoanFault> {
    let served = app.loan.clone().ok_or_else(|| Fault::not_found("no pipeline serves the loan contract"))?;
    let bytes = body::bytes(body)?;
    let chosen = served.slot.choose(&id).ok_or_else(|| {
        Fault::bad_request(format!(
            "the pipeline `{}` has no model that serves: train one, or promote one by hand",
            served.name
        ))
    })?;
    let read_for = Arc::clone(&served);
    let read = move |bytes: &[u8], rows| read(bytes, rows, &read_for).map(|rows| ((), rows));
    Asked { app, served, dialect: NAME, id }.answer(bytes, chosen, read, render).await
}

fn read(bytes: &[u8], mut rows: Rows, served: &Served) -> Result<Rows, LoanFault> {
    let object = object(bytes)?;
    let model = Arc::clone(rows.model());
    let mut faults = Vec::new();
    for (index, field) in fields(&model.schema.fields, served) {
        match object.get(&field.name) {
            None => faults.push(detail("missing", Some(&field.name), "Field required", json!(object))),
            Some(value) => match Value::from_json(value, field) {
                Ok(value) => rows.record()[index] = value,
                Err(_) => faults.push(wrong_type(field, value)),
            },
        }
    }
    let known = || fields(&model.schema.fields, served).map(|(_, field)| field.name.as_str());
    for (key, value) in &object {
        if !known().any(|name| name == key) {
            let shown: String = key.chars().take(60).collect();
            let msg = format!("Extra inputs are not permitted{}", did_you_mean(key, known()));
            faults.push(detail("extra_forbidden", Some(&shown), &msg, value.clone()));
        }
    }
    if !faults.is_empty() {
        return Err(LoanFault::Schema(faults));
    }
    rows.push()?;
    Ok(rows)
}

fn object(bytes: &[u8]) -> Result<Map<String, serde_json::Value>, LoanFault> {
    let fault = |detail| Err(LoanFault::Schema(vec![detail]));
    if bytes.is_empty() {
        return fault(detail("missing", None, "Field required", serde_json::Value::Null));
    }
    match serde_json::from_slice(bytes) {
        Ok(serde_json::Value::Object(object)) => Ok(object),
        Ok(other) => {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            fault(detail("model_attributes_type", None, msg, other))
        }
        Err(error) => {
            let mut detail = detail("json_invalid", None, &format!("JSON decode error: {error}"), json!({}));
            detail.loc.push(json!(error.column()));
            fault(detail)
        }
    }
}

fn detail(kind: &'static str, field: Option<&str>, msg: &str, input: serde_json::Value) -> Detail {
    let loc = std::iter::once("body").chain(field).map(|part| json!(part)).collect();
    Detail { kind, loc, msg: msg.to_owned(), input: shortened(input) }
}

/// What a value should have been, in the words of the validator that earlier clients know.
fn wrong_type(field: &Field, value: &serde_json::Value) -> Detail {
    let fraction = value.as_f64().is_some_and(|number| number.fract() != 0.0);
    let (kind, msg) = match field.kind {
        FieldKind::Int | FieldKind::Long if fraction => {
            ("int_from_float", "Input should be a valid integer, got a number with a fractional part")
        }
        FieldKind::Int | FieldKind::Long => ("int_type", "Input should be a valid integer"),
        FieldKind::Float | FieldKind::Double => ("float_type", "Input should be a valid number"),
        FieldKind::Boolean => ("bool_type", "Input should be a valid boolean"),
        FieldKind::String | FieldKind::Bytes => ("string_type", "Input should be a valid string"),
        FieldKind::Timestamp => ("datetime_type", "Input should be a valid datetime"),
    };
    detail(kind, Some(&field.name), msg, value.clone())
}

/// The input as it came, unless repeating it would make the error longer than the request was worth.
fn shortened(input: serde_json::Value) -> serde_json::Value {
    const MOST: usize = 1_000;
    let text = input.to_string();
    if text.len() <= MOST {
        return input;
    }
    let start: String = text.chars().take(100).collect();
    json!(format!("{start}… ({} bytes)", text.len()))
}

fn render((): (), answer: &Answer, _: &RequestId) -> Result<Vec<u8>, LoanFault> {
    let class = answer.class_names().next().unwrap_or_default();
    let prediction = class.parse().map_err(|_| {
        Fault::internal(format!(
            "model version {} answered `{class}`, which is no whole number",
            answer.model().version
        ))
    })?;
    Ok(answer::json(&Prediction { prediction })?)
}
