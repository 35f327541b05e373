//! `POST /api/v1/pipelines/{pipeline}/labels`: what turned out to be true of predictions, however late.
//!
//! A label names the request by the `X-Request-Id` that its answer carried, and the row within it. The answer says of each what
//! `records` says: 200, 207, 422, 503. A label that is sent again, or corrected, takes the place of the earlier one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use driftmill_platform::kafka::Outgoing;
use driftmill_schemas::message;
use driftmill_schemas::pipeline::Label as Declared;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::format::Format;
use super::read::{Place, Reading};
use super::split::{self, Element};
use super::{deliver, receive};
use crate::app::App;
use crate::fault::Fault;
use crate::params::Params;
use crate::{api, body};

/// Bytes of a request's id at most, and of a label.
const LONGEST: usize = 128;
const LONGEST_LABEL: usize = 1_000;
/// Bytes of a label as it is written in JSON, where every one of its bytes may be an escape.
const LONGEST_WRITTEN: usize = 6 * LONGEST_LABEL + 2;

/// One label as clients send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given<'b> {
    request_id: String,
    #[serde(default)]
    row: u32,
    /// Not read before it is known to be short.
    #[serde(borrow)]
    label: &'b RawValue,
}

pub(super) async fn push(
    State(app): State<Arc<App>>,
    Params(name): Params<String>,
    request: Request,
) -> Result<Response, Fault> {
    let served = api::served(&app, &name)?;
    let (format, place, bytes) = receive(&app, request).await?;
    if format == Format::Avro {
        return Err(Fault::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "labels are sent as application/json (an object, or an array of objects) or application/x-ndjson",
        ));
    }
    let (reader, at) = (Arc::clone(served), app.clock.now());
    let reading =
        body::off_loop(body::is_heavy(&bytes), move || read(&bytes, format, &reader.loaded.pipeline.label, at));
    deliver(&app, served, Arc::clone(&served.labels), reading.await?, place).await
}

fn read(bytes: &Bytes, format: Format, declared: &Declared, at: i64) -> Result<Reading, Fault> {
    let elements = if format == Format::Lines { split::lines(bytes)? } else { split::json(bytes)? };
    if elements.is_empty() {
        return Err(Fault::bad_request("the body holds no labels"));
    }
    let mut reading = Reading { records: elements.len(), ..Reading::default() };
    for (record, Element { line, text }) in elements.into_iter().enumerate() {
        let place = Place::of(record, line);
        let Some(text) = text else {
            reading.bad.push(place.not_utf8());
            continue;
        };
        let label = serde_json::from_str::<Given<'_>>(text).map_err(|e| (None, "InvalidJson", e.to_string()));
        match label.and_then(|given| checked(given, declared, at)) {
            Ok(label) => {
                // A struct of texts and numbers is always JSON.
                let payload = serde_json::to_vec(&label).unwrap_or_default();
                let key = label.request_id.into_bytes();
                reading.messages.push((place, Outgoing { key, payload, timestamp: Some(at), ..Outgoing::default() }));
            }
            Err((field, kind, reason)) => reading.bad.push(place.bad(field, kind, reason)),
        }
    }
    Ok(reading)
}

type Fine<T> = Result<T, (Option<&'static str>, &'static str, String)>;

fn checked(given: Given<'_>, declared: &Declared, at: i64) -> Fine<message::Label> {
    let Given { request_id, row, label } = given;
    if request_id.is_empty() || request_id.len() > LONGEST {
        let reason = format!("the `X-Request-Id` of an answer has 1 to {LONGEST} bytes");
        return Err((Some("request_id"), "MissingValue", reason));
    }
    let wrong = |reason: String| (Some("label"), "WrongType", reason);
    let read = (label.get().len() <= LONGEST_WRITTEN).then(|| serde_json::from_str(label.get()));
    let label = match read.and_then(Result::ok).unwrap_or(Value::Null) {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return Err(wrong(format!("a label is a text of 1 to {LONGEST_LABEL} bytes, a number or a boolean"))),
    };
    if label.is_empty() || label.len() > LONGEST_LABEL {
        return Err(wrong(format!("a label has 1 to {LONGEST_LABEL} bytes")));
    }
    if declared.is_value() {
        if !label.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(wrong(format!("`{}` is a number in this pipeline", declared.field)));
        }
    } else if !declared.open && declared.class_index(&label).is_none() {
        let classes = declared.classes.join(", ");
        return Err((Some("label"), "UnknownClass", format!("`{label}` is no class of this pipeline: {classes}")));
    }
    Ok(message::Label { request_id, row, label, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(classes: &[&str]) -> Declared {
        let classes = classes.iter().map(|class| (*class).to_owned()).collect();
        Declared { field: "y".to_owned(), classes, ..Declared::default() }
    }

    #[test]
    fn every_label_is_judged_by_itself() {
        let text = "{\"request_id\": \"a\", \"label\": \"yes\"}\n\n{\"request_id\": \"b\", \"row\": 3, \"label\": \"maybe\"}\n\
             {\"request_id\": \"\", \"label\": \"no\"}\n{\"label\": \"no\"}\n";
        let body = Bytes::from([text.as_bytes(), b"\xff\n"].concat());
        let reading = read(&body, Format::Lines, &declared(&["yes", "no"]), 7).unwrap();
        assert_eq!((reading.records, reading.messages.len()), (5, 1));
        let label: message::Label = serde_json::from_slice(&reading.messages[0].1.payload).unwrap();
        assert_eq!(label, message::Label { request_id: "a".to_owned(), row: 0, label: "yes".to_owned(), at: 7 });
        let bad = serde_json::to_value(&reading.bad).unwrap();
        let told: Vec<(u64, &str)> = bad
            .as_array()
            .unwrap()
            .iter()
            .map(|bad| (bad["line"].as_u64().unwrap(), bad["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [(3, "UnknownClass"), (4, "MissingValue"), (5, "InvalidJson"), (6, "InvalidEncoding")]);
    }

    #[test]
    fn values_are_numbers() {
        let read_one = |label: &str| {
            let body = Bytes::from(format!("[{{\"request_id\": \"a\", \"label\": {label}}}]"));
            let reading = read(&body, Format::Json, &declared(&[]), 0).unwrap();
            reading.messages.len()
        };
        assert_eq!(
            (read_one("1.5"), read_one("\"2\""), read_one("\"x\""), read_one("null"), read_one("[1]")),
            (1, 1, 0, 0, 0)
        );
        assert!(read(&Bytes::from(" "), Format::Json, &declared(&[]), 0).is_err());
    }
}
