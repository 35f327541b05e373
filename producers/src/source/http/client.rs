//! One request over HTTP.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use chrono::DateTime;
use driftmill_platform::clock::SharedClock;
use driftmill_schemas::pipeline::{HttpSource, variables};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode, header, redirect};
use url::Url;

use super::failure::Failure;

/// Redirects that are followed.
const REDIRECTS: usize = 5;
/// The longest that an API may ask to be left alone.
const LONGEST_REST: Duration = Duration::from_secs(3_600);

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Without the declared parameters.
    pub url: Url,
    /// Validators of the answer that is known.
    pub known: Validators,
}

/// What names one state of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Validators {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// An answer with rows, or that there is nothing new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Whether the address is in the state that was known (304), and the rest is empty.
    pub unchanged: bool,
    pub validators: Validators,
    /// The `Link` headers.
    pub links: Vec<String>,
    pub body: Vec<u8>,
}

/// Sends requests.
pub(super) trait Transport: Send {
    /// The answer to a request.
    fn get(&self, request: Request) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Whether requests hold secrets, which must not go to another origin.
    fn secret(&self) -> bool;
}

/// An HTTP client with one API's headers.
pub(super) struct Client {
    http: reqwest::Client,
    parameters: Vec<(String, String)>,
    secret: bool,
    timeout: Duration,
    max_bytes: usize,
    clock: SharedClock,
}

impl Client {
    /// A client whose secrets come from `environment`. `Err` says what is missing, without any value.
    pub(super) fn new(
        declared: &HttpSource,
        environment: &dyn Fn(&str) -> Option<String>,
        clock: SharedClock,
    ) -> Result<Self, String> {
        let (mut headers, mut parameters, mut any_secret) = (HeaderMap::new(), Vec::new(), false);
        for (name, text) in &declared.headers {
            let (value, secret) = resolved(text, environment).map_err(|reason| format!("header `{name}`: {reason}"))?;
            let key = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no name of a header"))?;
            let mut value =
                HeaderValue::try_from(value).map_err(|_| format!("header `{name}`: its value cannot be sent"))?;
            value.set_sensitive(secret);
            any_secret |= secret;
            headers.insert(key, value);
        }
        for (name, text) in &declared.parameters {
            let (value, secret) =
                resolved(text, environment).map_err(|reason| format!("parameter `{name}`: {reason}"))?;
            any_secret |= secret;
            parameters.push((name.clone(), value));
        }
        let timeout = Duration::from_secs_f64(declared.timeout);
        let http = reqwest::Client::builder()
            .user_agent(concat!("driftmill/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .timeout(timeout)
            .redirect(redirect::Policy::custom(move |attempt| {
                let from = attempt.previous().last();
                let same = from.is_some_and(|from| from.origin() == attempt.url().origin());
                let weaker = from.is_some_and(|from| from.scheme() == "https") && attempt.url().scheme() != "https";
                if attempt.previous().len() > REDIRECTS || weaker || (any_secret && !same) {
                    attempt.stop()
                } else {
                    attempt.follow()
                }
            }))
            .build()
            .map_err(|error| format!("the HTTP client: {}", told(error)))?;
        Ok(Self { http, parameters, secret: any_secret, timeout, max_bytes: declared.max_bytes, clock })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(error))? {
            if body.len() + chunk.len() > self.max_bytes {
                return Err(Failure::TooLarge(self.max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failure(&self, error: reqwest::Error) -> Failure {
        if error.is_timeout() { Failure::TimedOut(self.timeout) } else { Failure::Unreachable(told(error)) }
    }
}

impl Transport for Client {
    async fn get(&self, request: Request) -> Result<Answer, Failure> {
        let mut url = request.url;
        add_missing(&mut url, &self.parameters);
        let here = url.clone();
        let mut asked = self.http.get(url);
        if let Some(etag) = &request.known.etag {
            asked = asked.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(modified) = &request.known.last_modified {
            asked = asked.header(header::IF_MODIFIED_SINCE, modified);
        }
        let response = asked.send().await.map_err(|error| self.failure(error))?;
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status();
        let validators = Validators { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) };
        match status {
            StatusCode::NOT_MODIFIED => Ok(Answer { unchanged: true, ..Answer::default() }),
            StatusCode::NO_CONTENT => Ok(Answer { validators, ..Answer::default() }),
            _ if status.is_redirection() => {
                let to = text(header::LOCATION).and_then(|to| here.join(&to).ok());
                Err(Failure::Redirected { to: to.map_or_else(|| "nowhere".to_owned(), |to| origin(&to)) })
            }
            _ if !status.is_success() => {
                let retry_after = text(header::RETRY_AFTER).and_then(|text| rest(&text, self.clock.now()));
                Err(Failure::Status { status: status.as_u16(), retry_after })
            }
            _ => {
                let links = response.headers().get_all(header::LINK).iter();
                let links = links.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
                let body = self.read(response).await?;
                Ok(Answer { unchanged: false, validators, links, body })
            }
        }
    }

    fn secret(&self) -> bool {
        self.secret
    }
}

/// Scheme, host and port of a URL, for people.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Adds the parameters that the URL has not: the address of a next page may hold them already.
fn add_missing(url: &mut Url, parameters: &[(String, String)]) {
    let missing: Vec<_> =
        parameters.iter().filter(|(name, _)| url.query_pairs().all(|(other, _)| other != *name)).collect();
    if !missing.is_empty() {
        url.query_pairs_mut().extend_pairs(missing);
    }
}

/// The text with its variables filled in, and whether there were any.
fn resolved(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<(String, bool), String> {
    let (mut value, mut secret) = (String::new(), false);
    for part in variables(text)? {
        match part {
            Ok(plain) => value.push_str(plain),
            Err(name) => {
                secret = true;
                value += &environment(name).ok_or_else(|| format!("the environment variable `{name}` is not set"))?;
            }
        }
    }
    Ok((value, secret))
}

/// What `Retry-After` asks for: seconds, or until a point in time.
fn rest(text: &str, now: i64) -> Option<Duration> {
    let text = text.trim();
    let rest = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
            Duration::from_millis(u64::try_from(until - now).unwrap_or_default())
        }
    };
    Some(rest.min(LONGEST_REST))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_seconds_or_a_date_and_bounded() {
        let now = 784_111_777_000;
        assert_eq!(rest("7", now), Some(Duration::from_secs(7)));
        assert_eq!(rest("Sun, 06 Nov 1994 08:49:40 GMT", now), Some(Duration::from_secs(3)));
        assert_eq!(rest("Sun, 06 Nov 1994 08:49:30 GMT", now), Some(Duration::ZERO));
        assert_eq!(rest("999999999", now), Some(LONGEST_REST));
        assert_eq!(rest("soon", now), None);
    }

    #[test]
    fn variables_are_filled_in_and_missing_ones_are_named() {
        let environment = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        assert_eq!(resolved("Bearer ${TOKEN}", &environment).unwrap(), ("Bearer s3cret".to_owned(), true));
        assert_eq!(resolved("plain", &environment).unwrap(), ("plain".to_owned(), false));
        assert!(resolved("${OTHER}", &environment).unwrap_err().contains("`OTHER` is not set"));
    }

    #[test]
    fn a_parameter_that_a_link_holds_already_is_not_added() {
        let mut url = Url::parse("https://h/x?key=1").unwrap();
        add_missing(&mut url, &[("key".to_owned(), "2".to_owned()), ("a b".to_owned(), "ä".to_owned())]);
        assert_eq!(url.as_str(), "https://h/x?key=1&a+b=%C3%A4");
    }
}
