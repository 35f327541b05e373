//! A small HTTP API of flowers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Rows of a page.
const PAGE: usize = 25;

/// What the API holds and was asked.
#[derive(Default)]
pub struct Asked {
    pub rows: usize,
    /// Requests so far.
    pub requests: usize,
    /// Requests for the last page that were answered.
    pub rounds: usize,
    /// Requests of the form `If-None-Match` that were answered by 304.
    pub unchanged: usize,
    /// The next answers are these, and no rows.
    pub broken: Vec<Response>,
}

impl Asked {
    /// Rounds that were answered with rows.
    pub fn fetched(&self) -> usize {
        self.rounds - self.unchanged
    }
}

/// A running server; it ends with its value.
pub struct Api {
    state: Arc<Mutex<Asked>>,
    pub url: String,
    server: JoinHandle<()>,
}

impl Api {
    /// Starts one that holds so many rows.
    pub async fn start(rows: usize) -> Self {
        let state = Arc::new(Mutex::new(Asked { rows, ..Asked::default() }));
        let router = Router::new()
            .route("/pages", get(pages))
            .route("/all", get(all))
            .route("/since", get(since))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { state, url, server }
    }

    pub fn state(&self) -> MutexGuard<'_, Asked> {
        self.state.lock().unwrap()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn flower(number: usize) -> Value {
    let length = 1.0 + number as f64 / 100.0;
    json!({ "length": length, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2, "species": "setosa", "id": number })
}

type Shared = State<Arc<Mutex<Asked>>>;

/// Pages by number, which want a token; every seventh request fails.
async fn pages(State(state): Shared, headers: HeaderMap, Query(query): Query<HashMap<String, String>>) -> Response {
    if headers.get("authorization").is_none_or(|value| value != "Bearer s3cret-token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut state = state.lock().unwrap();
    state.requests += 1;
    if state.requests.is_multiple_of(7) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let page: usize = query["page"].parse().unwrap();
    let rows: Vec<_> = ((page - 1) * PAGE..state.rows.min(page * PAGE)).map(flower).collect();
    if rows.is_empty() {
        state.rounds += 1;
    }
    axum::Json(json!({ "data": rows })).into_response()
}

/// All rows at once, with an ETag.
async fn all(State(state): Shared, headers: HeaderMap) -> Response {
    let mut state = state.lock().unwrap();
    state.requests += 1;
    if let Some(broken) = state.broken.pop() {
        return broken;
    }
    let etag = format!("\"{}\"", state.rows);
    state.rounds += 1;
    if headers.get("if-none-match").is_some_and(|value| *value == *etag) {
        state.unchanged += 1;
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let rows: Vec<_> = (0..state.rows).map(flower).collect();
    ([("etag", etag)], axum::Json(rows)).into_response()
}

/// Lines of those from an id on, at most a page, in order.
async fn since(State(state): Shared, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut state = state.lock().unwrap();
    state.requests += 1;
    state.rounds += 1;
    let from = query.get("from").map_or(0, |from| (from.parse::<f64>().unwrap()).round() as usize);
    let lines: String = (from..state.rows.min(from + PAGE)).map(|n| format!("{}\n", flower(n))).collect();
    lines.into_response()
}
