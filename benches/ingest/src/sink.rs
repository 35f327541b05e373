//! A ClickHouse that costs nothing: everything goes on to a real engine but the inserts into the feature table, which are
//! read at line speed and acknowledged. The same place keeps what our pipeline inserts, for the ceiling to insert again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use clap::ValueEnum;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use url::Url;

/// What is answered here and not by the engine: how much was swallowed or kept.
const COUNTS: &str = "/bench/counts";
/// No insert of ours is nearly as large.
const LARGEST: usize = 1 << 30;

/// What happens to inserts into the feature table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Read, thrown away, acknowledged.
    Swallow,
    /// Passed on, and written to files.
    Keep,
}

/// How much was swallowed or kept.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Inserts.
    pub inserts: u64,
    /// Bytes of their bodies, as they came over the wire.
    pub bytes: u64,
}

struct Sink {
    mode: Mode,
    upstream: Url,
    folder: PathBuf,
    http: reqwest::Client,
    inserts: AtomicU64,
    bytes: AtomicU64,
}

/// Serves on `port` of the loopback interface until the process is ended. Kept bodies go to `folder`, in order.
pub async fn serve(mode: Mode, upstream: Url, port: u16, folder: PathBuf) -> anyhow::Result<()> {
    let sink = Arc::new(Sink {
        mode,
        upstream,
        folder,
        http: reqwest::Client::builder().no_proxy().build()?,
        inserts: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("the sink's port")?;
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    axum::serve(listener, Router::new().fallback(answer).with_state(sink)).await.context("the sink")
}

async fn answer(State(sink): State<Arc<Sink>>, request: Request) -> Response {
    match sink.answer(request).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("the benchmark's sink: {error:#}")).into_response(),
    }
}

impl Sink {
    async fn answer(&self, request: Request) -> anyhow::Result<Response> {
        if request.uri().path() == COUNTS {
            let counts =
                Counts { inserts: self.inserts.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) };
            return Ok(serde_json::to_string(&counts)?.into_response());
        }
        let target = self.upstream.join(request.uri().path_and_query().map_or("/", |both| both.as_str()))?;
        if !is_feature_insert(&target) {
            return self.forward(request, &target, None).await;
        }
        match self.mode {
            Mode::Keep => {
                let number = self.inserts.fetch_add(1, Ordering::Relaxed);
                self.forward(request, &target, Some(number)).await
            }
            Mode::Swallow => {
                let mut body = request.into_body().into_data_stream();
                while let Some(part) = body.next().await {
                    self.bytes.fetch_add(part?.len() as u64, Ordering::Relaxed);
                }
                self.inserts.fetch_add(1, Ordering::Relaxed);
                Ok(StatusCode::OK.into_response())
            }
        }
    }

    async fn forward(&self, request: Request, target: &Url, keep: Option<u64>) -> anyhow::Result<Response> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, LARGEST).await?;
        if let Some(number) = keep {
            self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            keep_insert(&self.folder, number, target, &head.headers, &body)?;
        }
        let mut headers = head.headers;
        for own in [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
            headers.remove(own);
        }
        let answer = self.http.request(head.method, target.clone()).headers(headers).body(body).send().await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(to) = response.headers_mut() {
            *to = answer.headers().clone();
            to.remove(header::TRANSFER_ENCODING);
            to.remove(header::CONTENT_LENGTH);
            to.remove(header::CONNECTION);
        }
        Ok(response.body(Body::from(answer.bytes().await?))?)
    }
}

/// Whether a request inserts into the feature table: by the query in its address, as every client sends it whose body is
/// data.
fn is_feature_insert(target: &Url) -> bool {
    let query = target.query_pairs().find(|(key, _)| key == "query");
    query.is_some_and(|(_, sql)| {
        let words: String = sql.chars().filter(|c| *c != '`' && *c != '"').collect();
        let mut words = words.split_whitespace();
        let into = words.next().zip(words.next());
        let table = words.next().unwrap_or_default();
        into.is_some_and(|(a, b)| a.eq_ignore_ascii_case("INSERT") && b.eq_ignore_ascii_case("INTO"))
            && table.rsplit('.').next().is_some_and(|table| table.starts_with("bench_features"))
    })
}

/// One insert as it was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The address's query part.
    pub query: String,
    /// `Content-Encoding`, if any.
    pub encoding: Option<String>,
}

fn keep_insert(
    folder: &Path,
    number: u64,
    target: &Url,
    headers: &header::HeaderMap,
    body: &[u8],
) -> anyhow::Result<()> {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let kept = Kept { query: target.query().unwrap_or_default().to_owned(), encoding };
    std::fs::write(folder.join(format!("{number:06}.json")), serde_json::to_vec(&kept)?)?;
    std::fs::write(folder.join(format!("{number:06}.body")), body)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_inserts_into_the_feature_table_are_told_apart() {
        let is = |sql: &str| {
            let mut url = Url::parse("http://127.0.0.1/").unwrap();
            url.query_pairs_mut().append_pair("database", "d").append_pair("query", sql);
            is_feature_insert(&url)
        };
        assert!(is("INSERT INTO `bench_features_rows` FORMAT ArrowStream"));
        assert!(is("insert into driftmill.bench_features_rows (a) FORMAT Native"));
        assert!(!is("INSERT INTO ledger FORMAT RowBinary"));
        assert!(!is("SELECT 1 FROM bench_features_rows"));
        assert!(!is("INSERT INTO `bench_dead_letters_rows` FORMAT RowBinary"));
    }
}
