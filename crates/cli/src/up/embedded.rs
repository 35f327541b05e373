//! The broker and the engine of `driftmill up`, and the settings that point to them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use driftmill_embedded::engine::{EngineChildArgs, run_engine_child};
use driftmill_embedded::lock::ensure_free_space;
use driftmill_embedded::{BrokerOptions, BrokerStorage, DataDir, EmbeddedBroker, EmbeddedEngine, EngineOptions};
use driftmill_platform::config::{ClickHouse, Kafka, Membership, Secret, Settings};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::args::Up;

/// The hidden role of the engine's child process.
const ENGINE_CHILD: &str = "engine-child";
/// A start needs little; a disk with less than this left will be full in the middle of something.
const FREE_SPACE: u64 = 512 << 20;

/// Runs the hidden role when the command line says so.
pub fn engine_child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ENGINE_CHILD {
        return None;
    }
    let outcome = EngineChildArgs::parse(arguments).and_then(run_engine_child);
    let Err(error) = outcome;
    eprintln!("{error}");
    Some(ExitCode::FAILURE)
}

/// Takes the data folder for this process.
pub fn claim(folder: &Path) -> anyhow::Result<DataDir> {
    let data = DataDir::acquire(folder)?;
    ensure_free_space(data.path(), FREE_SPACE)?;
    super::running::forget(data.path());
    Ok(data)
}

/// An engine that ends by itself is started again, so many times in so long: what kills it more often is not to be cured by
/// that.
const RESTARTS: (usize, Duration) = (10, Duration::from_secs(60));
/// Pause after a start that failed.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// What `up` started.
pub struct Embedded {
    broker: Option<EmbeddedBroker>,
    engine: Mutex<EmbeddedEngine>,
    /// How to start the engine again, where its clients know it to be.
    engine_options: EngineOptions,
    settings: Settings,
}

impl Embedded {
    /// Starts broker and engine. The settings say where they are from then on; no role can tell them from a cluster.
    pub async fn start(settings: Settings, up: &Up, cancel: &CancellationToken) -> anyhow::Result<Self> {
        let data_dir = std::path::absolute(&settings.data_dir)?;
        let port = |port: u16| (port != 0).then_some(port);
        let program = std::env::current_exe().context("this program does not know its own path")?;
        let engine = EngineOptions {
            data_dir: data_dir.clone(),
            port: port(up.clickhouse_port),
            child_command: vec![program.into(), ENGINE_CHILD.into()],
        };
        let broker =
            BrokerOptions { data_dir: data_dir.clone(), port: port(up.broker_port), storage: BrokerStorage::default() };
        // Not with the token of the roles: these two outlive them, and `stop` ends them.
        let own = CancellationToken::new();
        let (started, broker) = tokio::try_join!(
            async { EmbeddedEngine::start(engine.clone(), cancel.clone()).await.map_err(anyhow::Error::from) },
            async {
                if up.external_kafka {
                    return Ok(None);
                }
                EmbeddedBroker::start(broker, own).await.map(Some).map_err(anyhow::Error::from)
            }
        )?;
        let kafka = match &broker {
            Some(broker) => of_our_broker(broker.bootstrap(), up.join_groups),
            None => settings.kafka.clone(),
        };
        let clickhouse = ClickHouse {
            url: started.url().clone(),
            user: started.user().to_owned(),
            password: Secret::new(started.password()),
            database: started.database().to_owned(),
        };
        let settings = Settings { kafka, clickhouse, data_dir, ..settings };
        let engine_options = EngineOptions { port: started.url().port(), ..engine };
        Ok(Self { broker, engine: Mutex::new(started), engine_options, settings })
    }

    /// Settings that point to what was started.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Keeps the engine running until one of them cannot be kept, and says which and why. An engine that ends by itself is
    /// started again: its clients, which repeat what was not acknowledged, go on as they do after a network fault.
    pub async fn keep(&self, cancel: &CancellationToken) -> String {
        let broker = async {
            match &self.broker {
                Some(broker) => broker.failed().await.to_string(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = self.keep_engine(cancel) => reason,
            reason = broker => reason,
        }
    }

    async fn keep_engine(&self, cancel: &CancellationToken) -> String {
        let mut engine = self.engine.lock().await;
        let mut ends: Vec<Instant> = Vec::new();
        let mut reason = engine.died().await;
        loop {
            ends.retain(|end| end.elapsed() < RESTARTS.1);
            ends.push(Instant::now());
            if ends.len() > RESTARTS.0 {
                return format!("{reason}; that was the {}th time in {} s", ends.len(), RESTARTS.1.as_secs());
            }
            warn!(reason, "starting it again");
            match EmbeddedEngine::start(self.engine_options.clone(), cancel.clone()).await {
                Ok(started) => {
                    *engine = started;
                    reason = engine.died().await;
                }
                // Whatever killed the last one may be at work still.
                Err(error) => {
                    reason = format!("the ClickHouse engine cannot be started again: {error}");
                    tokio::time::sleep(RESTART_PAUSE).await;
                }
            }
        }
    }

    /// Stops both.
    pub async fn stop(self) {
        self.engine.into_inner().stop().await;
        if let Some(broker) = self.broker
            && let Err(error) = broker.stop().await
        {
            warn!(%error, "the broker did not stop cleanly");
        }
    }
}

/// How our own broker is spoken to.
fn of_our_broker(brokers: String, join_groups: bool) -> Kafka {
    Kafka {
        brokers,
        // Records end a fetch's wait at once; partitions that are assigned meanwhile wait for its end.
        properties: BTreeMap::from([("consumer.fetch.wait.max.ms".to_owned(), Secret::new("100"))]),
        replication: 1,
        membership: if join_groups { Membership::Dynamic } else { Membership::Alone },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_of_our_broker_do_not_wait_long_for_the_end_of_a_fetch_that_began_before_them() {
        let kafka = of_our_broker("127.0.0.1:9092".to_owned(), false);
        let wait: u32 = kafka.properties["consumer.fetch.wait.max.ms"].reveal().parse().unwrap();
        assert!(wait <= 100, "{wait} ms");
    }

    #[test]
    fn who_is_alone_with_our_broker_waits_for_no_group() {
        assert_eq!(of_our_broker(String::new(), false).membership, Membership::Alone);
        assert_eq!(of_our_broker(String::new(), true).membership, Membership::Dynamic);
    }
}
