//! What an object store must keep for us, over a folder and over a real S3 server alike; and what people are told when
//! S3 does not do it.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use driftmill_platform::config;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::store::{Error, Store};
use futures::future::try_join_all;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use tempfile::TempDir;
use url::Url;

use crate::harness::{S3Server, eventually, files_below, open_bucket};

/// A store, and the folder in which its objects are files.
struct Adapter {
    store: Store,
    files: PathBuf,
    _folder: Option<TempDir>,
    server: Option<S3Server>,
}

impl Adapter {
    fn file(&self, hash: &str) -> PathBuf {
        self.files.join("sha256").join(&hash[..2]).join(hash)
    }
}

/// Every adapter there is.
async fn adapters() -> [Adapter; 2] {
    let folder = tempfile::tempdir().unwrap();
    let url = config::folder_url(folder.path()).unwrap();
    let local = Adapter {
        store: Store::open(&url).unwrap(),
        files: folder.path().to_owned(),
        _folder: Some(folder),
        server: None,
    };
    let server = S3Server::start().await;
    let s3 = Adapter {
        store: server.store("some/where"),
        files: server.files().join("some/where"),
        _folder: None,
        server: Some(server),
    };
    [local, s3]
}

fn noise(seed: u64, size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}

const MANY_PARTS: usize = 70 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_object_comes_back_by_its_hash_and_may_be_put_twice() {
    for adapter in adapters().await {
        for bytes in [Bytes::new(), Bytes::from_static(b"model"), noise(1, 1 << 20)] {
            let hash = adapter.store.put(bytes.clone()).await.unwrap();
            assert_eq!(adapter.store.put(bytes.clone()).await.unwrap(), hash);
            assert_eq!(adapter.store.get(&hash).await.unwrap(), bytes, "{:?}", adapter.store);
            assert!(adapter.file(&hash).is_file(), "{:?}", adapter.store);
        }
        assert_eq!(files_below(&adapter.files).len(), 3, "and nothing beside it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_object_is_named_with_its_store() {
    for adapter in adapters().await {
        let missing = "0".repeat(64);
        let error = adapter.store.get(&missing).await.unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
        assert_eq!(error.retry(), Retry::Never);
        let place = if adapter.server.is_some() { "s3://models/some/where" } else { "/" };
        assert!(error.to_string().contains(&missing) && error.to_string().contains(place), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_object_is_an_error_and_half_an_object_is_made_whole_by_the_next_put() {
    for adapter in adapters().await {
        let hash = adapter.store.put(Bytes::from_static(b"model")).await.unwrap();
        for damaged in [&b"m0del"[..], b"mod"] {
            std::fs::write(adapter.file(&hash), damaged).unwrap();
            let error = adapter.store.get(&hash).await.unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            assert_eq!(error.retry(), Retry::Never);
        }
        adapter.store.put(Bytes::from_static(b"model")).await.unwrap();
        assert_eq!(adapter.store.get(&hash).await.unwrap(), "model");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_many_parts_comes_back_whole() {
    let bytes = noise(2, MANY_PARTS);
    for adapter in adapters().await {
        let hash = adapter.store.put(bytes.clone()).await.unwrap();
        assert_eq!(adapter.store.put(bytes.clone()).await.unwrap(), hash);
        // Not by `assert_eq`: nobody wants to read 70 MiB.
        assert!(adapter.store.get(&hash).await.unwrap() == bytes, "{:?}", adapter.store);
        assert_eq!(files_below(&adapter.files).len(), 1, "no part stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_object_may_be_put_by_many_at_once() {
    for adapter in adapters().await {
        for (size, many) in [(1 << 10, 24), (20 << 20, 3)] {
            let bytes = noise(3, size);
            let puts = try_join_all((0..many).map(|_| adapter.store.put(bytes.clone()))).await.unwrap();
            assert!(puts.iter().all(|hash| *hash == puts[0]));
            assert!(adapter.store.get(&puts[0]).await.unwrap() == bytes, "{:?}", adapter.store);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_of_one_bucket_do_not_see_each_other() {
    let server = S3Server::start().await;
    let (one, two, all) = (server.store("one"), server.store("two/of%20them/"), server.store(""));
    let hash = one.put(Bytes::from_static(b"model")).await.unwrap();
    assert!(matches!(two.get(&hash).await.unwrap_err(), Error::Missing { .. }));
    two.put(Bytes::from_static(b"model")).await.unwrap();
    assert!(matches!(all.get(&hash).await.unwrap_err(), Error::Missing { .. }));
    all.put(Bytes::from_static(b"model")).await.unwrap();
    let object = format!("sha256/{}/{hash}", &hash[..2]);
    let mut expected = [object.clone(), format!("one/{object}"), format!("two/of them/{object}")].map(PathBuf::from);
    expected.sort();
    assert_eq!(files_below(&server.files()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_says_which_variable_is_wrong_and_shows_no_secret() {
    let server = S3Server::start().await;
    let with = |name: &str, value: &str| {
        let mut environment = server.environment();
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
        open_bucket("", environment)
    };
    for (name, value) in [("AWS_SECRET_ACCESS_KEY", "n0t-the-secret"), ("AWS_ACCESS_KEY_ID", "nobody")] {
        let store = with(name, value);
        let put = store.put(Bytes::from_static(b"model")).await.unwrap_err();
        let get = store.get(&"0".repeat(64)).await.unwrap_err();
        for error in [put, get] {
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert_eq!(error.retry(), Retry::Never);
            let text = format!("{error} {error:?} {store:?}");
            assert!(error.to_string().contains(name), "{error}");
            assert!(!text.contains("n0t-the-secret") && !text.contains(&server.secret), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named() {
    let server = S3Server::start().await;
    let url = Url::parse("s3://nothing-here/prefix").unwrap();
    let store = Store::open_with(&url, server.environment()).unwrap();
    let put = store.put(Bytes::from_static(b"model")).await.unwrap_err();
    let put_in_parts = store.put(noise(4, 20 << 20)).await.unwrap_err();
    let get = store.get(&"0".repeat(64)).await.unwrap_err();
    for error in [put, put_in_parts, get] {
        assert!(matches!(error, Error::NoBucket { .. }), "{error}");
        assert!(error.to_string().contains("s3://nothing-here/prefix at http://127.0.0.1:"), "{error}");
        assert_eq!(error.retry(), Retry::Never);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_waited_for() {
    let mut server = S3Server::start().await;
    let store = server.store("");
    let hash = store.put(Bytes::from_static(b"model")).await.unwrap();
    server.kill();
    let put = store.put(Bytes::from_static(b"another")).await.unwrap_err();
    let get = store.get(&hash).await.unwrap_err();
    for error in [put, get] {
        assert_eq!(error.retry(), Retry::Later, "{error}");
        assert!(error.to_string().contains(&server.endpoint()), "{error}");
    }
    server.start_again().await;
    assert_eq!(store.get(&hash).await.unwrap(), "model");
    store.put(Bytes::from_static(b"another")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_takes_an_object_has_no_half_of_it() {
    let mut server = S3Server::start().await;
    let (store, bytes) = (server.store(""), noise(5, MANY_PARTS));
    let putting = tokio::spawn({
        let (store, bytes) = (store.clone(), bytes.clone());
        async move { store.put(bytes).await }
    });
    let files = server.files();
    eventually("parts arrive", async || (!files_below(&files).is_empty()).then_some(())).await;
    server.kill();
    // It may have been faster than we were.
    if let Err(error) = putting.await.unwrap() {
        assert_eq!(error.retry(), Retry::Later, "{error}");
    }
    server.start_again().await;
    let hash = store.put(bytes.clone()).await.unwrap();
    assert!(store.get(&hash).await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_can_read_along_is_asked_for_by_name() {
    let server = S3Server::start().await;
    let mut environment = server.environment();
    environment.retain(|(name, _)| name != "AWS_ALLOW_HTTP");
    let refused = Store::open_with(&Url::parse("s3://models").unwrap(), environment).unwrap_err();
    assert!(refused.to_string().contains("AWS_ALLOW_HTTP=true"), "{refused}");
    for name in ["AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"] {
        let mut environment = server.environment();
        environment.retain(|(known, _)| known != "AWS_ENDPOINT_URL");
        environment.push((name.to_owned(), server.endpoint()));
        open_bucket("", environment).put(Bytes::from_static(b"model")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_downloads_one_object_without_a_key_and_no_other() {
    let [local, s3] = adapters().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let hash = s3.store.put(Bytes::from_static(b"model")).await.unwrap();
    let other = s3.store.put(Bytes::from_static(b"another")).await.unwrap();
    let link = s3.store.link(&hash, "iris-v1.model", Duration::from_secs(900)).await.unwrap();
    assert!(link.query().unwrap().contains("X-Amz-Expires=900"));
    let answer = http.get(link.clone()).send().await.unwrap();
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"iris-v1.model\"");
    assert_eq!(answer.text().await.unwrap(), "model");

    let elsewhere =
        link.as_str().replace(&hash, &other).replace(&format!("/{}/", &hash[..2]), &format!("/{}/", &other[..2]));
    let longer = link.as_str().replace("X-Amz-Expires=900", "X-Amz-Expires=90000");
    let bare = link.as_str().split('?').next().unwrap().to_owned();
    for forged in [elsewhere, longer, bare] {
        assert_eq!(http.get(forged).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    let missing = s3.store.link(&"0".repeat(64), "x", Duration::from_secs(900)).await.unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing}");

    let hash = local.store.put(Bytes::from_static(b"model")).await.unwrap();
    let none = local.store.link(&hash, "x", Duration::from_secs(900)).await.unwrap_err();
    assert!(none.to_string().contains("--to"), "{none}");
}

/// What a server says to a put that depends on a condition.
#[derive(Clone, Copy)]
enum Conditions {
    /// It knows none, as older ones do.
    Unknown,
    /// Somebody else is putting the same object, as AWS says now and then.
    Conflict,
}

/// Stands before a server and answers conditional puts itself.
async fn before(server: &S3Server, conditions: Conditions) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let router = axum::Router::new().fallback(pass_on).with_state((server.endpoint(), http, conditions));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn pass_on(
    State((server, http, conditions)): State<(String, reqwest::Client, Conditions)>,
    request: Request,
) -> Response {
    if request.method() == Method::PUT && request.headers().contains_key("if-none-match") {
        let (status, code) = match conditions {
            Conditions::Unknown => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Conditions::Conflict => (StatusCode::CONFLICT, "ConditionalRequestConflict"),
        };
        return (status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>")).into_response();
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    // With the host that was asked for, which is signed.
    let answer = http
        .request(parts.method, format!("{server}{}", parts.uri))
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove("transfer-encoding");
    *response.body_mut() = Body::from(answer.bytes().await.unwrap());
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_knows_no_conditions_or_reports_a_conflict_keeps_objects_all_the_same() {
    let server = S3Server::start().await;
    for (seed, conditions) in [(6, Conditions::Unknown), (7, Conditions::Conflict)] {
        let detour = before(&server, conditions).await;
        let store = open_bucket("", server.environment_at(&detour));
        let bytes = noise(seed, 4096);
        for _ in 0..2 {
            let hash = store.put(bytes.clone()).await.unwrap();
            assert_eq!(store.get(&hash).await.unwrap(), bytes);
        }
    }
    let mut environment = server.environment();
    environment.push(("AWS_CONDITIONAL_PUT".to_owned(), "disabled".to_owned()));
    open_bucket("told", environment).put(Bytes::from_static(b"model")).await.unwrap();
}
