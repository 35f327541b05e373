//! `POST /api/v1/pipelines/{pipeline}/records`: records pushed by whoever makes them.
//!
//! ```text
//! body ─► place (bytes in hand are bounded: 429) ─► records ─┬─► good ─► Kafka ─► acknowledged ─┬─► answer
//!                                                            └─► bad, with line and field ──────┘
//! ```
//!
//! **Per record.** Each record is judged by itself, by the code that reads a JSON-lines source; the good ones are sent, and
//! the answer counts them and names every other one. So a push is not a transaction:
//!
//! | status | records |
//! |---|---|
//! | 200 | Kafka holds all of them |
//! | 207 | Kafka holds the good ones; `errors` names the bad ones |
//! | 422 | all of them are bad |
//! | 503 | Kafka did not acknowledge those that `errors` names `NotAcknowledged`; it holds the other good ones |
//! | 400, 404, 409, 413, 415, 429 | nothing was sent |
//!
//! A bad record becomes no dead letter: whoever pushed it has it, and now knows why; two owners would mend it twice.
//! Expectations are judged by the processors, later, and what breaks one does become a dead letter.
//!
//! **At least once.** Who gets no answer, or a 503, and pushes again may send a record twice. There is no key to prevent
//! that, because Kafka's log and the table behind it tell records apart by position only; a request that brings an
//! `Idempotency-Key` is refused, lest somebody rely on it.

mod format;
mod inlet;
mod labels;
mod read;
mod split;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use serde::Serialize;

use self::format::Format;
pub(crate) use self::inlet::{Broker, Inlet, PATIENCE, Place};
use self::read::{Bad, Reading, Stamp};
use crate::app::{App, Served};
use crate::fault::Fault;
use crate::params::Params;
use crate::request_id::RequestId;
use crate::{api, body};

/// The most records of one request.
pub(crate) const MOST_RECORDS: usize = 10_000;
/// How long the body may take to arrive.
const UPLOAD: Duration = Duration::from_secs(30);

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/pipelines/{pipeline}/records", post(push))
        .route("/api/v1/pipelines/{pipeline}/labels", post(labels::push))
}

/// What became of the records of one request.
#[derive(Debug, Serialize)]
struct Report<'a> {
    pipeline: &'a str,
    records: usize,
    accepted: usize,
    rejected: usize,
    unacknowledged: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    errors: Vec<Bad>,
}

async fn push(
    State(app): State<Arc<App>>,
    Params(name): Params<String>,
    Extension(id): Extension<RequestId>,
    request: Request,
) -> Result<Response, Fault> {
    let served = api::served(&app, &name)?;
    let (format, place, bytes) = receive(&app, request).await?;
    let stamp = Stamp { framing: app.inlet.framing(served).await?, at: app.clock.now(), request: id };
    let reader = Arc::clone(served);
    let heavy = body::is_heavy(&bytes);
    let reading = body::off_loop(heavy, move || read::read(&bytes, format, &reader, &stamp)).await?;
    deliver(&app, served, Arc::clone(&served.raw), reading, place).await
}

/// A body, once there is a place for it.
async fn receive(app: &App, request: Request) -> Result<(Format, Place, Bytes), Fault> {
    refuse_promises(request.headers())?;
    let format = Format::of(request.headers())?;
    let place = app.inlet.admit(declared_bytes(request.headers()))?;
    let bytes = tokio::time::timeout(UPLOAD, Bytes::from_request(request, &())).await.map_err(|_| {
        let message = format!("the body did not arrive within {} s", UPLOAD.as_secs());
        Fault::new(StatusCode::REQUEST_TIMEOUT, message)
    })?;
    Ok((format, place, body::bytes(bytes)?))
}

/// Sends what is good to `topic` and answers what became of each.
async fn deliver(
    app: &App,
    served: &Served,
    topic: Arc<str>,
    reading: Reading,
    place: Place,
) -> Result<Response, Fault> {
    let (places, messages): (Vec<_>, Vec<_>) = reading.messages.into_iter().unzip();
    let outcomes = app.inlet.send(topic, messages, place).await?;
    let mut errors = reading.bad;
    let rejected = errors.len();
    app.meters.rejected(&served.name, errors.iter().map(|bad| bad.kind));
    let late = places.into_iter().zip(outcomes).filter_map(|(place, outcome)| {
        let error = outcome.err()?;
        Some(place.bad(None, "NotAcknowledged", error.to_string()))
    });
    errors.extend(late);
    errors.sort_by_key(|bad| bad.record);
    let unacknowledged = errors.len() - rejected;
    let accepted = reading.records - errors.len();
    app.meters.pushed(&served.name, accepted, unacknowledged);
    let report = Report {
        pipeline: &served.name,
        records: reading.records,
        accepted,
        rejected,
        unacknowledged,
        error: None,
        errors,
    };
    Ok(answer(report))
}

fn answer(report: Report<'_>) -> Response {
    let records = report.records;
    let (status, error) = match (report.accepted, report.rejected, report.unacknowledged) {
        (_, 0, 0) => (StatusCode::OK, None),
        (0, _, 0) => (StatusCode::UNPROCESSABLE_ENTITY, Some(format!("all of the {records} records are bad"))),
        (_, bad, 0) => (StatusCode::MULTI_STATUS, Some(format!("{bad} of {records} records are bad"))),
        (_, _, late) => {
            let message = format!("Kafka did not acknowledge {late} of {records} records: push those again");
            (StatusCode::SERVICE_UNAVAILABLE, Some(message))
        }
    };
    let error = error.map(|error| format!("{error}; `errors` names them"));
    let mut response = (status, Json(Report { error, ..report })).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// What a client may rely on and would not get.
fn refuse_promises(headers: &HeaderMap) -> Result<(), Fault> {
    if headers.contains_key("idempotency-key") {
        return Err(Fault::bad_request(
            "`Idempotency-Key` is not supported: records that are pushed again are sent again; push without it",
        ));
    }
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(b"identity".as_slice(), HeaderValue::as_bytes);
    if encoding.eq_ignore_ascii_case(b"identity") {
        return Ok(());
    }
    Err(Fault::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "a `Content-Encoding` is not read here: send the body as it is (blocks of Avro containers may be compressed)",
    ))
}

/// The body's size, as far as it is declared: else the largest there may be.
fn declared_bytes(headers: &HeaderMap) -> usize {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    declared.unwrap_or(body::LIMIT).min(body::LIMIT)
}
