//! Request bodies: bytes within the limit, then JSON.

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use bytes::Bytes;
use driftmill_schemas::pipeline::FeatureType;
use serde::de::DeserializeOwned;

use crate::app::{App, Served};
use crate::fault::Fault;

/// Bytes a body may have.
pub(crate) const LIMIT: usize = 16 << 20;
/// Bytes it may have where a pipeline takes images: as numbers, one of 224 × 224 has up to 3 MiB.
const IMAGES_LIMIT: usize = 64 << 20;
/// A body beyond this is parsed off the event loop.
const HEAVY_BYTES: usize = 64 << 10;

/// A body as an extractor found it.
pub(crate) type Body = Result<Bytes, BytesRejection>;

/// Bytes that a body with rows to answer may have.
pub(crate) fn limit(app: &App) -> usize {
    let of_images = |served: &Served| served.loaded.pipeline.features.iter().any(|f| f.kind == FeatureType::Image);
    if app.pipelines.values().any(|served| of_images(served)) { IMAGES_LIMIT } else { LIMIT }
}

/// The bytes, or why there are none.
pub(crate) fn bytes(body: Body) -> Result<Bytes, Fault> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Fault::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body is larger than {} MiB ({} MiB where a pipeline takes images): send the rows in several requests",
                LIMIT >> 20,
                IMAGES_LIMIT >> 20
            ),
        ),
        status => Fault::new(status, "the body could not be read to its end"),
    })
}

/// Parses a JSON object; the error says where it goes wrong.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    match bytes.trim_ascii_start().first() {
        None => return Err(Fault::bad_request("the body is empty: send a JSON object")),
        // serde would take a list for a struct, too.
        Some(b'[') => return Err(Fault::bad_request("the body is a list: send a JSON object")),
        Some(_) => {}
    }
    // serde_json itself stops at 128 levels of nesting, so no body can exhaust the stack.
    serde_json::from_slice(bytes).map_err(|e| Fault::bad_request(format!("the body: {e}")))
}

/// Runs `work` where it holds nobody up: here when the body is small, else on a thread that may be busy.
pub(crate) async fn off_loop<T, E>(heavy: bool, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Fault> + Send + 'static,
{
    if !heavy {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::internal("the request failed inside of the gateway; its log has the details").into()),
    }
}

/// Whether parsing so many bytes would be felt by other requests.
pub(crate) fn is_heavy(bytes: &Bytes) -> bool {
    bytes.len() > HEAVY_BYTES
}
