//! One layer of configuration: what a file, the environment or the flags say, everything optional.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use driftmill_schemas::name;
use serde::Deserialize;
use url::Url;

use super::Secret;
use crate::telemetry::LogFormat;

/// Why configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not parse.
    #[error("{file}:{line}: {message}")]
    File {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// A value is no good.
    #[error("{place}: {reason}")]
    Value {
        /// Variable, file or key.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The settings cannot be shown.
    #[error("the settings cannot be printed: {0}")]
    Print(String),
}

/// What one place says; `None` leaves it to the layer below.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "each is documented in `Settings`")]
pub struct Layer {
    pub kafka_brokers: Option<String>,
    pub kafka_properties: Option<BTreeMap<String, Secret>>,
    pub kafka_replication: Option<i32>,
    pub kafka_instance: Option<String>,
    pub clickhouse_url: Option<Url>,
    pub clickhouse_user: Option<String>,
    pub clickhouse_password: Option<Secret>,
    pub clickhouse_password_file: Option<PathBuf>,
    pub clickhouse_database: Option<String>,
    pub object_store: Option<Url>,
    pub pipelines: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub schema_registry: Option<Url>,
    pub gateway_listen: Option<SocketAddr>,
    pub metrics_listen: Option<SocketAddr>,
    pub log: Option<String>,
    pub log_format: Option<LogFormat>,
}

/// The environment variables that are read, all beginning with `DRIFTMILL_`. Variables of the form
/// `DRIFTMILL_KAFKA_PROPERTY_SASL_MECHANISM` set the librdkafka property `sasl.mechanism`.
pub const ENVIRONMENT: [&str; 16] = [
    "KAFKA_BROKERS",
    "KAFKA_REPLICATION",
    "KAFKA_INSTANCE",
    "CLICKHOUSE_URL",
    "CLICKHOUSE_USER",
    "CLICKHOUSE_PASSWORD",
    "CLICKHOUSE_PASSWORD_FILE",
    "CLICKHOUSE_DATABASE",
    "OBJECT_STORE",
    "PIPELINES",
    "DATA_DIR",
    "SCHEMA_REGISTRY",
    "GATEWAY_LISTEN",
    "METRICS_LISTEN",
    "LOG",
    "LOG_FORMAT",
];

/// Variables with our prefix that other programs of the project read: the build, the tests and the engine's loader.
const ELSEWHERE: [&str; 5] = ["BIN", "DATA", "CHDB_LIB", "KAFKA_HOME", "TEST_"];

const PREFIX: &str = "DRIFTMILL_";
const PROPERTY: &str = "KAFKA_PROPERTY_";

impl Layer {
    /// `upper` where it says something, `self` elsewhere.
    pub fn over(self, upper: Layer) -> Layer {
        Layer {
            kafka_brokers: upper.kafka_brokers.or(self.kafka_brokers),
            kafka_properties: match (self.kafka_properties, upper.kafka_properties) {
                (Some(mut lower), Some(upper)) => {
                    lower.extend(upper);
                    Some(lower)
                }
                (lower, upper) => upper.or(lower),
            },
            kafka_replication: upper.kafka_replication.or(self.kafka_replication),
            kafka_instance: upper.kafka_instance.or(self.kafka_instance),
            clickhouse_url: upper.clickhouse_url.or(self.clickhouse_url),
            clickhouse_user: upper.clickhouse_user.or(self.clickhouse_user),
            clickhouse_password: upper.clickhouse_password.or(self.clickhouse_password),
            clickhouse_password_file: upper.clickhouse_password_file.or(self.clickhouse_password_file),
            clickhouse_database: upper.clickhouse_database.or(self.clickhouse_database),
            object_store: upper.object_store.or(self.object_store),
            pipelines: upper.pipelines.or(self.pipelines),
            data_dir: upper.data_dir.or(self.data_dir),
            schema_registry: upper.schema_registry.or(self.schema_registry),
            gateway_listen: upper.gateway_listen.or(self.gateway_listen),
            metrics_listen: upper.metrics_listen.or(self.metrics_listen),
            log: upper.log.or(self.log),
            log_format: upper.log_format.or(self.log_format),
        }
    }

    /// Reads a YAML file; a key that is not known is refused with its line and the nearest one that is.
    pub fn from_file(file: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::Value { place: file.display().to_string(), reason: format!("cannot be read: {e}") })?;
        serde_saphyr::from_str(&text).map_err(|e| {
            let shown = e.without_snippet().to_string();
            let message = shown.split(" at line ").next().unwrap_or(&shown).to_owned();
            let hint = name::hint_for(&message);
            let line = e.location().map_or(0, |at| at.line());
            Error::File { file: file.display().to_string(), line, message: format!("{message}{hint}") }
        })
    }

    /// Reads the variables that begin with `DRIFTMILL_`; one that is not known is refused with the nearest one that is.
    pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut layer = Self::default();
        for (variable, value) in variables {
            let Some(key) = variable.strip_prefix(PREFIX) else { continue };
            if ELSEWHERE.iter().any(|other| key.starts_with(other) && !ENVIRONMENT.contains(&key)) {
                continue;
            }
            layer.set(key, value).map_err(|reason| Error::Value { place: variable.clone(), reason })?;
        }
        Ok(layer)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), String> {
        fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(value: &str) -> Result<Option<T>, String> {
            value.parse().map(Some).map_err(|e| format!("`{value}`: {e}"))
        }
        // Not echoed: people write passwords into URLs.
        let url = || Url::parse(&value).map(Some).map_err(|e| format!("is no URL: {e}"));
        match key {
            "KAFKA_BROKERS" => self.kafka_brokers = Some(value),
            "KAFKA_REPLICATION" => self.kafka_replication = parsed(&value)?,
            "KAFKA_INSTANCE" => {
                // What brokers take.
                let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
                if value.is_empty() || value.len() > 249 || !value.bytes().all(good) {
                    return Err(format!("`{value}` is no name: give 1 to 249 letters, digits, `.`, `_` or `-`"));
                }
                self.kafka_instance = Some(value);
            }
            "CLICKHOUSE_URL" => self.clickhouse_url = url()?,
            "CLICKHOUSE_USER" => self.clickhouse_user = Some(value),
            "CLICKHOUSE_PASSWORD" => self.clickhouse_password = Some(Secret::new(value)),
            "CLICKHOUSE_PASSWORD_FILE" => self.clickhouse_password_file = Some(value.into()),
            "CLICKHOUSE_DATABASE" => self.clickhouse_database = Some(value),
            "OBJECT_STORE" => self.object_store = url()?,
            "PIPELINES" => self.pipelines = Some(value.into()),
            "DATA_DIR" => self.data_dir = Some(value.into()),
            "SCHEMA_REGISTRY" => self.schema_registry = url()?,
            "GATEWAY_LISTEN" => self.gateway_listen = parsed(&value)?,
            "METRICS_LISTEN" => self.metrics_listen = parsed(&value)?,
            "LOG" => self.log = Some(value),
            "LOG_FORMAT" => {
                self.log_format = Some(match value.as_str() {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => return Err(format!("`{value}` is neither `text` nor `json`")),
                });
            }
            _ => match key.strip_prefix(PROPERTY) {
                Some(property) => {
                    let property = property.to_lowercase().replace('_', ".");
                    self.kafka_properties.get_or_insert_default().insert(property, Secret::new(value));
                }
                None => return Err(format!("is not known{}", name::did_you_mean(key, ENVIRONMENT))),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Membership, Settings};

    fn environment(pairs: &[(&str, &str)]) -> Result<Layer, Error> {
        Layer::from_environment(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn an_upper_layer_wins_and_a_silent_one_does_not() {
        let file = environment(&[("DRIFTMILL_KAFKA_BROKERS", "file:1"), ("DRIFTMILL_LOG", "debug")]).unwrap();
        let flags = environment(&[("DRIFTMILL_KAFKA_BROKERS", "flag:1")]).unwrap();
        let settings = Settings::from_layers([file, flags]).unwrap();
        assert_eq!((settings.kafka.brokers.as_str(), settings.log.as_str()), ("flag:1", "debug"));
    }

    #[test]
    fn an_unknown_variable_or_key_is_refused_with_the_nearest() {
        let error = environment(&[("DRIFTMILL_KAFKA_BROKER", "x")]).unwrap_err().to_string();
        assert!(error.contains("did you mean `KAFKA_BROKERS`"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("driftmill.yaml");
        std::fs::write(&file, "log: info\nkafka_brokes: x\n").unwrap();
        let error = Layer::from_file(&file).unwrap_err().to_string();
        assert!(error.contains("driftmill.yaml:2") && error.contains("did you mean `kafka_brokers`"), "{error}");
    }

    #[test]
    fn an_instance_is_a_member_of_that_name_and_nobody_else_by_default() {
        let membership = |layer| Settings::from_layers([layer]).unwrap().kafka.membership;
        assert_eq!(membership(Layer::default()), Membership::Dynamic);
        let named = environment(&[("DRIFTMILL_KAFKA_INSTANCE", "processor-0.eu_1")]).unwrap();
        assert_eq!(membership(named), Membership::Static("processor-0.eu_1".to_owned()));
        for bad in ["", "two words", "é"] {
            assert!(environment(&[("DRIFTMILL_KAFKA_INSTANCE", bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_masked_wherever_settings_are_shown() {
        let layer = environment(&[
            ("DRIFTMILL_CLICKHOUSE_PASSWORD", "hunter2"),
            ("DRIFTMILL_KAFKA_PROPERTY_SASL_PASSWORD", "hunter3"),
        ])
        .unwrap();
        let settings = Settings::from_layers([layer]).unwrap();
        assert_eq!(settings.kafka.properties["sasl.password"].reveal(), "hunter3");
        let shown = format!("{}{settings:?}", settings.print().unwrap());
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("sasl.password"), "{shown}");
    }
}
