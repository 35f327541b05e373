//! A Confluent-compatible schema registry: the one call a reader needs and the one a writer needs.

use std::time::Duration;

use driftmill_schemas::name;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Retry, Retryable};

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry is away.
    #[error("schema registry, {doing}: {error}")]
    Away {
        /// What was being done.
        doing: String,
        /// The HTTP client's error.
        error: reqwest::Error,
    },
    /// The registry said no.
    #[error("schema registry, {doing}: {status}: {message}")]
    Refused {
        /// What was being done.
        doing: String,
        /// HTTP status.
        status: u16,
        /// The registry's own words.
        message: String,
    },
    /// This machine cannot make HTTP requests.
    #[error("schema registry client: {0}")]
    Client(reqwest::Error),
    /// The URL cannot be extended.
    #[error("schema registry URL `{0}` is no base URL")]
    Url(Url),
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Away { .. } => Retry::Later,
            Self::Refused { status, .. } if *status >= 500 || *status == 429 => Retry::Later,
            Self::Refused { .. } | Self::Url(_) | Self::Client(_) => Retry::Never,
        }
    }
}

/// A client of one registry.
#[derive(Debug, Clone)]
pub struct SchemaRegistry {
    base: Url,
    http: reqwest::Client,
}

#[derive(Deserialize)]
struct Schema {
    schema: String,
}

#[derive(Serialize)]
struct NewSchema<'a> {
    schema: &'a str,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

impl SchemaRegistry {
    /// A client for the registry at `base`.
    pub fn new(base: Url) -> Result<Self, Error> {
        // Without a limit, a registry that hangs would hold up a stage for ever.
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().map_err(Error::Client)?;
        Ok(Self { base, http })
    }

    /// The Avro schema with that id.
    pub async fn schema(&self, id: u32) -> Result<String, Error> {
        let doing = format!("fetch schema {id}");
        let url = self.url(&["schemas", "ids", &id.to_string()])?;
        let answer = self.http.get(url).send().await;
        Ok(read::<Schema>(doing, answer).await?.schema)
    }

    /// Registers `schema` under `<topic>-value`, or finds it there, and returns its id. The registry refuses one that is
    /// incompatible by the subject's own rule.
    pub async fn register(&self, topic: &str, schema: &str) -> Result<u32, Error> {
        let subject = format!("{topic}-value");
        debug_assert!(
            name::check(topic.split('.').next().unwrap_or_default()).is_ok(),
            "topics begin with a pipeline's name"
        );
        let doing = format!("register the schema of `{subject}`");
        let url = self.url(&["subjects", &subject, "versions"])?;
        let answer = self.http.post(url).json(&NewSchema { schema }).send().await;
        Ok(read::<Registered>(doing, answer).await?.id)
    }

    fn url(&self, path: &[&str]) -> Result<Url, Error> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| Error::Url(self.base.clone()))?.pop_if_empty().extend(path);
        Ok(url)
    }
}

async fn read<T: for<'a> Deserialize<'a>>(
    doing: String,
    answer: Result<reqwest::Response, reqwest::Error>,
) -> Result<T, Error> {
    let away = |error: reqwest::Error| Error::Away { doing: doing.clone(), error: error.without_url() };
    let response = answer.map_err(away)?;
    let status = response.status();
    if status.is_success() {
        return response.json().await.map_err(away);
    }
    let message = response.json::<Complaint>().await.map(|c| c.message).unwrap_or_default();
    Err(Error::Refused { doing, status: status.as_u16(), message })
}
