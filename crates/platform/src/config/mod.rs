//! Configuration of a process: file < environment < flags. URLs, secrets, ports and parallelism live here; what a
//! pipeline *is* lives in its own file.

mod layer;
mod secret;

pub use layer::{ENVIRONMENT, Error, Layer};
pub use secret::Secret;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;
use url::Url;

use crate::telemetry::LogFormat;

/// Everything a process needs to know about where it runs.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// Kafka.
    pub kafka: Kafka,
    /// ClickHouse.
    pub clickhouse: ClickHouse,
    /// Object store URL.
    pub object_store: Url,
    /// Folder with one folder per pipeline.
    pub pipelines: PathBuf,
    /// Folder for everything a process keeps on its own disk.
    pub data_dir: PathBuf,
    /// Confluent-compatible schema registry; absent: records are framed as single objects.
    pub schema_registry: Option<Url>,
    /// Where the gateway listens.
    pub gateway_listen: SocketAddr,
    /// Where roles other than the gateway serve `/metrics` and `/health`; absent: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Tracing filter.
    pub log: String,
    /// Form of log lines.
    pub log_format: LogFormat,
}

/// How to reach Kafka.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Kafka {
    /// Bootstrap servers, `host:port` separated by commas.
    pub brokers: String,
    /// Any other librdkafka property (TLS, SASL), passed through as it is. Values are masked when printed.
    pub properties: BTreeMap<String, Secret>,
    /// Copies of each topic that this build creates.
    pub replication: i32,
    /// How partitions are shared with other processes.
    pub membership: Membership,
}

/// How the stages of this process share the partitions of a topic with those of other processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Membership {
    /// As a member of the stage's consumer group that is new at every start. After a crash its partitions stay with the
    /// dead member until the group's session ends.
    #[default]
    Dynamic,
    /// As the group's member of this name, which no other process may have: started again, it has its partitions back
    /// at once; stopped, it keeps them until the session ends.
    Static(String),
    /// There is no other process, so no group is asked: all partitions are read from the start on.
    Alone,
}

/// How to reach ClickHouse.
#[derive(Debug, Clone, Serialize)]
pub struct ClickHouse {
    /// HTTP(S) URL.
    pub url: Url,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// Database that holds everything of ours.
    pub database: String,
}

impl Settings {
    /// Puts the layers together, later ones over earlier ones, and fills in defaults that are safe on one machine.
    pub fn from_layers(layers: impl IntoIterator<Item = Layer>) -> Result<Self, Error> {
        let layer = layers.into_iter().fold(Layer::default(), Layer::over);
        let urls = [
            ("clickhouse_url", &layer.clickhouse_url),
            ("object_store", &layer.object_store),
            ("schema_registry", &layer.schema_registry),
        ];
        for (place, url) in urls {
            if url.as_ref().is_some_and(|url| url.password().is_some()) {
                let reason = "holds a password, and URLs are logged: give user and password by settings of their own";
                return Err(Error::Value { place: place.to_owned(), reason: reason.to_owned() });
            }
        }
        let data_dir = layer.data_dir.unwrap_or_else(|| PathBuf::from(".driftmill"));
        let object_store = match layer.object_store {
            Some(url) => url,
            None => folder_url(&data_dir.join("objects"))?,
        };
        let password = match (layer.clickhouse_password, layer.clickhouse_password_file) {
            (Some(password), _) => password,
            (None, Some(file)) => Secret::from_file(&file)?,
            (None, None) => Secret::default(),
        };
        let local = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self {
            kafka: Kafka {
                brokers: layer.kafka_brokers.unwrap_or_else(|| "127.0.0.1:9092".to_owned()),
                properties: layer.kafka_properties.unwrap_or_default(),
                replication: layer.kafka_replication.unwrap_or(1),
                membership: layer.kafka_instance.map_or(Membership::Dynamic, Membership::Static),
            },
            clickhouse: ClickHouse {
                url: layer.clickhouse_url.map_or_else(|| parse_url("http://127.0.0.1:8123"), Ok)?,
                user: layer.clickhouse_user.unwrap_or_else(|| "driftmill".to_owned()),
                password,
                database: layer.clickhouse_database.unwrap_or_else(|| "driftmill".to_owned()),
            },
            object_store,
            pipelines: layer.pipelines.unwrap_or_else(|| PathBuf::from("pipelines")),
            data_dir,
            schema_registry: layer.schema_registry,
            gateway_listen: layer.gateway_listen.unwrap_or_else(|| local(8080)),
            metrics_listen: layer.metrics_listen,
            // The libraries underneath tell of every request at `info`.
            log: layer.log.unwrap_or_else(|| "warn,driftmill=info".to_owned()),
            log_format: layer.log_format.unwrap_or_default(),
        })
    }

    /// The settings as YAML, with every secret masked.
    pub fn print(&self) -> Result<String, Error> {
        serde_saphyr::to_string(self).map_err(|e| Error::Print(e.to_string()))
    }
}

/// `file://` URL of a folder that need not exist yet.
pub fn folder_url(folder: &std::path::Path) -> Result<Url, Error> {
    let absolute = std::path::absolute(folder)
        .map_err(|e| Error::Value { place: "data_dir".to_owned(), reason: format!("`{}`: {e}", folder.display()) })?;
    Url::from_directory_path(&absolute).map_err(|()| Error::Value {
        place: "data_dir".to_owned(),
        reason: format!("`{}` cannot be written as a URL", absolute.display()),
    })
}

fn parse_url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|e| Error::Value { place: text.to_owned(), reason: e.to_string() })
}
