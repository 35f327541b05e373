//! What every request passes through: its id, its time limit, the net under panics, and the metrics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;
use tokio::time::Instant;
use tracing::{debug, error};

use crate::app::App;
use crate::fault::Fault;
use crate::request_id;
use crate::route::Route;

/// Wraps a route.
pub(crate) async fn front(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = app.ids.take(request.headers());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = Route::of(&app, matched.as_ref().map(MatchedPath::as_str), request.uri().path());
    let method = known_method(request.method());
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(route.clone());

    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    let outcome = match route.limit {
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| limit),
        None => Ok(work.await),
    };
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            error!(request = id.as_str(), dialect = route.dialect, "a request panicked");
            Fault::internal("the request failed inside of the gateway; its log has the details").respond(route.shape)
        }
        Err(limit) => {
            let message = format!("the request took longer than {} s", limit.as_secs());
            Fault::new(StatusCode::REQUEST_TIMEOUT, message).respond(route.shape)
        }
    };
    if let Some(value) = id.header() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let (status, took) = (response.status().as_u16(), started.elapsed());
    app.meters.request(&route.model, route.dialect, method, status, took);
    debug!(request = id.as_str(), dialect = route.dialect, model = &*route.model, method, status, ?took, "answered");
    response
}

/// Methods are labels, and a client may invent some.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
