//! Requests to the server, and what its answers mean.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::names::cut;
use crate::settings::Login;
use crate::{Error, MlflowSettings, Said};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// For a request and its answer.
const ANSWER: Duration = Duration::from_secs(30);
/// The slowest that a file may be sent, bytes a second.
const SLOWEST_UPLOAD: u64 = 128 * 1024;
/// The longest that a server may ask to be left alone.
const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// How much of a server's words is told.
const WORDS: usize = 500;

/// A client of one server. Its debug text holds no secret.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    settings: MlflowSettings,
    http: reqwest::Client,
}

/// Where in the API: its name and version, then a path.
const TRACKING: [&str; 3] = ["api", "2.0", "mlflow"];
const ARTIFACTS: [&str; 4] = ["api", "2.0", "mlflow-artifacts", "artifacts"];

impl Client {
    pub(crate) fn new(settings: &MlflowSettings) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("driftmill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // A login goes to the server that it was given for, and to no other.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Error::Settings(format!("the HTTP client for MLflow: {}", told(error))))?;
        Ok(Self { settings: settings.clone(), http })
    }

    /// The answer to a question. `doing` says for people what it is good for.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let mut url = self.url(&TRACKING, path)?;
        url.query_pairs_mut().extend_pairs(query);
        read(doing, self.send(doing, self.http.get(url)).await?).await
    }

    /// The answer to a message.
    pub(crate) async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        doing: &str,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let url = self.url(&TRACKING, path)?;
        read(doing, self.send(doing, self.http.request(method, url).json(body)).await?).await
    }

    /// The answer to a `POST`.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        doing: &str,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Error> {
        self.send_json(Method::POST, doing, path, body).await
    }

    /// Sends a file to a place that the server named, such as `mlflow-artifacts:/1/abc/artifacts`. One that is there is
    /// replaced.
    pub(crate) async fn upload(&self, what: &str, folder: &str, name: &str, body: Bytes) -> Result<(), Error> {
        let Some(path) = proxied(folder) else {
            return Err(Error::NoUpload { what: what.to_owned(), place: cut(&without_login(folder), WORDS) });
        };
        let path: Vec<&str> = path.split('/').chain(name.split('/')).filter(|part| !part.is_empty()).collect();
        let doing = format!("send {name} of {what}");
        let limit = ANSWER + Duration::from_secs(body.len() as u64 / SLOWEST_UPLOAD);
        let request = self.http.put(self.url(&ARTIFACTS, &path)?).timeout(limit).body(body);
        self.send(&doing, request.header(header::CONTENT_TYPE, "application/octet-stream")).await.map(|_| ())
    }

    fn url(&self, api: &[&str], path: &[&str]) -> Result<Url, Error> {
        let mut url = self.settings.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Settings("MLFLOW_TRACKING_URI is no base URL".to_owned()))?
            .pop_if_empty()
            .extend(api)
            .extend(path);
        Ok(url)
    }

    /// The answer, if it is a good one.
    async fn send(&self, doing: &str, request: RequestBuilder) -> Result<Response, Error> {
        let request = match &self.settings.login {
            None => request,
            Some(Login::Basic { user, password }) => request.basic_auth(user, Some(password)),
            Some(Login::Bearer(token)) => request.bearer_auth(token),
        };
        let response = request.send().await.map_err(|error| match error.is_builder() {
            // Such as a token that cannot be a header.
            true => Error::Settings(format!("the settings of MLflow make no request: {}", told(error))),
            false => away(doing, error),
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let doing = doing.to_owned();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(rest);
        let said = said(status, &response.text().await.unwrap_or_default());
        Err(match status.as_u16() {
            500.. | 408 | 425 | 429 => Error::Busy { doing, said, retry_after },
            _ => Error::Refused { doing, said },
        })
    }
}

async fn read<T: DeserializeOwned>(doing: &str, response: Response) -> Result<T, Error> {
    let body = response.bytes().await.map_err(|error| away(doing, error))?;
    serde_json::from_slice(&body)
        .map_err(|error| Error::Answer { doing: doing.to_owned(), reason: format!("the answer is another: {error}") })
}

fn away(doing: &str, error: reqwest::Error) -> Error {
    Error::Away { doing: doing.to_owned(), reason: told(error) }
}

/// An error of the client with its causes, and without the URL.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Complaint {
    error_code: String,
    message: String,
}

fn said(status: StatusCode, body: &str) -> Said {
    let (code, message) = match serde_json::from_str::<Complaint>(body) {
        Ok(Complaint { error_code, message }) => (error_code, message),
        // A page of a proxy says nothing that its status does not.
        Err(_) if body.trim_start().starts_with('<') => Default::default(),
        Err(_) => (String::new(), body.to_owned()),
    };
    let message = if message.is_empty() { status.canonical_reason().unwrap_or_default().to_owned() } else { message };
    Said { status: status.as_u16(), code, message: cut(message.trim(), WORDS) }
}

/// What `Retry-After` asks for in seconds. A date is left to whoever tries again: there is no clock here.
fn rest(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_REST))
}

/// The path below the server's own store of files; `None` when files are kept elsewhere.
fn proxied(folder: &str) -> Option<&str> {
    let rest = folder.strip_prefix("mlflow-artifacts:")?;
    // `mlflow-artifacts://host/path` is the same server by another name.
    match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map(|(_, path)| path),
        None => Some(rest),
    }
}

/// The address without what may be a secret: a login, a query, a fragment.
fn without_login(place: &str) -> String {
    let place = place.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = place.split_once("://") else { return place.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_seconds_and_bounded() {
        assert_eq!(rest(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(rest("999999999"), Some(LONGEST_REST));
        assert_eq!(rest("Sun, 06 Nov 1994 08:49:40 GMT"), None);
    }

    #[test]
    fn files_go_only_where_the_server_takes_them() {
        assert_eq!(proxied("mlflow-artifacts:/1/a/artifacts"), Some("/1/a/artifacts"));
        assert_eq!(proxied("mlflow-artifacts://h:5000/1/a"), Some("1/a"));
        assert_eq!(proxied("s3://bucket/1/a"), None);
        assert_eq!(without_login("ftp://ann:pw@h/x"), "ftp://h/x");
        assert_eq!(without_login("s3://bucket/x"), "s3://bucket/x");
    }
}
