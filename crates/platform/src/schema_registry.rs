//! A client of a Confluent-compatible schema registry.

use std::time::Duration;

use driftmill_schemas::record::compatibility::Mode;
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
        /// Its error code, three digits of status and two of its own; 0 when it was no registry that answered.
        code: u32,
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

/// A schema that a registry holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Registered {
    /// Its text.
    pub schema: String,
    /// `AVRO`, `PROTOBUF`, `JSON`; absent: Avro.
    #[serde(default, rename = "schemaType")]
    pub kind: Option<String>,
}

#[derive(Serialize)]
struct NewSchema<'a> {
    schema: &'a str,
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}

#[derive(Deserialize)]
struct Level {
    #[serde(rename = "compatibilityLevel")]
    level: String,
}

#[derive(Serialize)]
struct NewLevel {
    compatibility: &'static str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Complaint {
    message: String,
    error_code: u32,
}

impl SchemaRegistry {
    /// A client for the registry at `base`.
    pub fn new(base: Url) -> Result<Self, Error> {
        // Without a limit, a registry that hangs would hold up a stage for ever.
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().map_err(Error::Client)?;
        Ok(Self { base, http })
    }

    /// The schema with that id; `None` when the registry knows of none.
    pub async fn schema(&self, id: u32) -> Result<Option<Registered>, Error> {
        let url = self.url(&["schemas", "ids", &id.to_string()])?;
        known(read(format!("fetch schema {id}"), self.http.get(url).send().await).await)
    }

    /// The id that `schema` has under `subject`, if it is one of its versions.
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<Option<u32>, Error> {
        let url = self.url(&["subjects", subject])?;
        let answer = self.http.post(url).json(&NewSchema { schema }).send().await;
        let id = known(read::<Id>(format!("look for the schema in `{subject}`"), answer).await)?;
        Ok(id.map(|found| found.id))
    }

    /// The numbers of the subject's versions, ascending; none when there is no such subject.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, Error> {
        let url = self.url(&["subjects", subject, "versions"])?;
        let doing = format!("list the versions of `{subject}`");
        let mut versions: Vec<u32> = known(read(doing, self.http.get(url).send().await).await)?.unwrap_or_default();
        versions.sort_unstable();
        Ok(versions)
    }

    /// A version of a subject; `None` when it was deleted.
    pub async fn version(&self, subject: &str, version: u32) -> Result<Option<Registered>, Error> {
        let url = self.url(&["subjects", subject, "versions", &version.to_string()])?;
        known(read(format!("fetch version {version} of `{subject}`"), self.http.get(url).send().await).await)
    }

    /// What new versions of the subject must be compatible with, if that is said of the subject itself.
    pub async fn compatibility(&self, subject: &str) -> Result<Option<Mode>, Error> {
        let url = self.url(&["config", subject])?;
        let doing = format!("read the compatibility of `{subject}`");
        let level = known(read::<Level>(doing, self.http.get(url).send().await).await)?;
        Ok(level.and_then(|found| Mode::named(&found.level)))
    }

    /// Says what new versions of the subject must be compatible with.
    pub async fn set_compatibility(&self, subject: &str, mode: Mode) -> Result<(), Error> {
        let url = self.url(&["config", subject])?;
        let answer = self.http.put(url).json(&NewLevel { compatibility: mode.name() }).send().await;
        read::<serde_json::Value>(format!("set the compatibility of `{subject}` to {mode}"), answer).await.map(|_| ())
    }

    /// Registers `schema` under `subject`, or finds it there, and returns its id. The registry refuses one that is
    /// incompatible by the subject's rule.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        let url = self.url(&["subjects", subject, "versions"])?;
        let answer = self.http.post(url).json(&NewSchema { schema }).send().await;
        Ok(read::<Id>(format!("register the schema of `{subject}`"), answer).await?.id)
    }

    fn url(&self, path: &[&str]) -> Result<Url, Error> {
        let mut url = self.base.clone();
        url.path_segments_mut().map_err(|()| Error::Url(self.base.clone()))?.pop_if_empty().extend(path);
        Ok(url)
    }
}

/// What a registry says is not there is no error. A 404 of something else is: under a wrong address nothing is ever there.
fn known<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::Refused { code: 40_400..=40_499, .. }) => Ok(None),
        Err(error) => Err(error),
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
    let Complaint { message, error_code: code } = response.json().await.unwrap_or_default();
    let message = if code == 0 { format!("{message} (is the address the registry's API?)") } else { message };
    Err(Error::Refused { doing, status: status.as_u16(), code, message: message.trim().to_owned() })
}
