//! One request that is to be answered, and the way every dialect gets there.
//!
//! ```text
//! rows ─► the chosen version ─┬─ answers ─► response ─► log ─► the other version, unheard ─► log
//!                             └─ fails ───► the other version, if there is one, answers
//! ```

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;

use crate::answer::Answer;
use crate::app::{App, Served};
use crate::body;
use crate::fault::Fault;
use crate::model::{LoadedModel, Rows};
use crate::request_id::RequestId;
use crate::slot::Chosen;

/// Requests with more rows than this are answered off the event loop.
const HEAVY_ROWS: usize = 1_000;
/// Says in every dialect which version answered.
pub(crate) const MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");

/// What work of models of texts and images waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Until few others are at such work.
    ForMemory,
    /// It has its place already.
    ForNobody,
}

/// What every prediction needs to know of its request.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) app: Arc<App>,
    pub(crate) served: Arc<Served>,
    pub(crate) dialect: &'static str,
    pub(crate) id: RequestId,
}

impl Asked {
    /// Reads `bytes` into rows, answers them with the chosen version, renders the answer as JSON and logs it. Work that others
    /// would feel leaves the event loop. The log takes the rows last, with nothing to wait for between it and the
    /// response: what is logged is what was answered.
    pub(crate) async fn answer<P, E>(
        self,
        bytes: Bytes,
        chosen: Chosen,
        read: impl FnOnce(&[u8], Rows) -> Result<(P, Rows), E> + Clone + Send + 'static,
        render: impl FnOnce(P, &Answer, &RequestId) -> Result<Vec<u8>, E> + Clone + Send + 'static,
    ) -> Result<Response, E>
    where
        P: Send + 'static,
        E: From<Fault> + AsRef<str> + Send + 'static,
    {
        let heavy = body::is_heavy(&bytes);
        let Chosen { model, other, unloadable } = chosen;
        let Some(other) = other else {
            let (json, answer) = self.attempt(Wait::ForMemory, heavy, bytes, model, read, render).await?;
            let response = response(json, answer.model().version);
            self.app.log.record(&self, answer);
            if let Some((version, why)) = unloadable {
                self.app.log.record_failure(&self, version, true, &why);
            }
            return Ok(response);
        };
        let version = model.version;
        let first = self.attempt(Wait::ForMemory, heavy, bytes.clone(), model, read.clone(), render.clone());
        // A version that is tried out may panic, and the client is to hear nothing of it.
        match caught(first).await {
            Ok((json, answer)) => {
                let response = response(json, version);
                self.app.log.record(&self, answer);
                self.compare(heavy, bytes, other, read);
                Ok(response)
            }
            Err(error) => {
                // Only if the other version answers is it not the request's fault.
                let attempt = self.attempt(Wait::ForMemory, heavy, bytes, other, read, render);
                let Ok((json, answer)) = attempt.await else { return Err(error) };
                let response = response(json, answer.model().version);
                self.app.log.record(&self, answer);
                self.app.log.record_failure(&self, version, false, error.as_ref());
                Ok(response)
            }
        }
    }

    /// One version's answer.
    async fn attempt<P, E>(
        &self,
        wait: Wait,
        heavy: bool,
        bytes: Bytes,
        model: Arc<LoadedModel>,
        read: impl FnOnce(&[u8], Rows) -> Result<(P, Rows), E> + Send + 'static,
        render: impl FnOnce(P, &Answer, &RequestId) -> Result<Vec<u8>, E> + Send + 'static,
    ) -> Result<(Vec<u8>, Answer), E>
    where
        P: Send + 'static,
        E: From<Fault> + Send + 'static,
    {
        let rows = model.rows(self.served.loaded.pipeline.serving.max_rows);
        // A small body may hold a large image, and a text takes longer than numbers do. Few at once: each may need memory.
        let is_plain = model.is_plain();
        let waits = !is_plain && wait == Wait::ForMemory;
        let _permit = if waits { self.app.heavy.acquire().await.ok() } else { None };
        let (rest, rows) = body::off_loop(heavy, move || read(&bytes, rows)).await?;
        let id = self.id.clone();
        body::off_loop(!is_plain || rows.len() > HEAVY_ROWS, move || {
            let answer = rows.answer()?;
            render(rest, &answer, &id).map(|json| (json, answer))
        })
        .await
    }

    /// Lets another version answer the same request, unheard. What finds no room is not compared: requests come first.
    fn compare<P, E>(
        &self,
        heavy: bool,
        bytes: Bytes,
        other: Arc<LoadedModel>,
        read: impl FnOnce(&[u8], Rows) -> Result<(P, Rows), E> + Send + 'static,
    ) where
        P: Send + 'static,
        E: From<Fault> + AsRef<str> + Send + 'static,
    {
        let (asked, version) = (self.clone(), other.version);
        let weight = if other.is_plain() { bytes.len() } else { usize::MAX };
        let comparing = async move {
            let attempt = asked.attempt(Wait::ForNobody, heavy, bytes, other, read, |_, _, _| Ok(Vec::new()));
            match caught(attempt).await {
                Ok((_, answer)) => asked.app.log.record_unheard(&asked, answer),
                Err(error) => asked.app.log.record_failure(&asked, version, true, error.as_ref()),
            }
        };
        if !self.app.shadows.start(weight, comparing) {
            self.app.meters.not_compared(&self.served.name);
        }
    }
}

/// An attempt, of which a panic is a fault as any other.
async fn caught<T, E: From<Fault>>(attempt: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let outcome = AssertUnwindSafe(attempt).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(Fault::internal("the model failed inside of the gateway").into()))
}

fn response(json: Vec<u8>, version: u64) -> Response {
    let mut response = json.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(MODEL_VERSION, HeaderValue::from(version));
    response
}
