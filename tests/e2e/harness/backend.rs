//! Broker and engine without any role: what the contract suites talk to.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use driftmill_embedded::{BrokerOptions, BrokerStorage, EmbeddedBroker, EmbeddedEngine, EngineOptions};
use driftmill_platform::clickhouse::ClickHouse;
use driftmill_platform::clock::SystemClock;
use driftmill_platform::config;
use driftmill_platform::kafka::{Admin, Producer};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::registry::Registry;
use driftmill_platform::stage::{Services, StageMetrics};
use driftmill_platform::store::Store;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Process, eventually, repository, watch};

/// Which broker the suite runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerKind {
    /// The one in our process.
    Embedded,
    /// Apache Kafka, one node.
    Kafka,
}

impl BrokerKind {
    /// By `DRIFTMILL_TEST_BROKER`; anything unknown fails the test instead of testing something else.
    pub fn chosen() -> Self {
        match std::env::var("DRIFTMILL_TEST_BROKER").as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok("kafka") => Self::Kafka,
            Ok(other) => panic!("DRIFTMILL_TEST_BROKER={other}: give `embedded` or `kafka`"),
        }
    }
}

/// The built program.
pub fn binary() -> PathBuf {
    watch::this_test();
    let binary = std::env::var_os("DRIFTMILL_BIN")
        .unwrap_or_else(|| panic!("DRIFTMILL_BIN names the built program: run the tests with `make test`"));
    PathBuf::from(binary)
}

/// A port that was free a moment ago, below those that the kernel gives to outgoing connections: a server that takes seconds
/// to start, or that a client tries to reach while it is away, would sooner or later find its port given to a client. No
/// other test of this process is told the same.
pub fn free_port() -> u16 {
    watch::this_test();
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two runs at the same time begin at different places.
    let begin = (std::process::id() % u32::from(COUNT)) as u16;
    (0..COUNT)
        .map(|_| FIRST + (begin + NEXT.fetch_add(7, Ordering::SeqCst) % COUNT) % COUNT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}

/// Starts Apache Kafka in `folder`; a restart on the same folder and port keeps its data. Each of `detours` is a further
/// port it listens on, and the port it tells those who come that way: a proxy's.
pub async fn start_kafka(folder: &std::path::Path, port: u16, detours: &[(u16, u16)]) -> Process {
    std::fs::create_dir_all(folder).unwrap();
    let mut command = Command::new(repository().join("scripts/kafka-server.sh"));
    command.arg(folder).arg(port.to_string()).arg(free_port().to_string());
    command.args(detours.iter().map(|(port, told)| format!("{port}:{told}")));
    let process = Process::start("Apache Kafka", command, folder.join("stderr.log"));
    let settings = config::Kafka { brokers: format!("127.0.0.1:{port}"), replication: 1, ..config::Kafka::default() };
    eventually("Apache Kafka answers", async || Admin::new(&settings).ok()?.partitions("none").await.ok()).await;
    process
}

enum Broker {
    Embedded(EmbeddedBroker),
    Kafka(#[allow(dead_code)] Process),
}

/// Broker and engine.
pub struct Backend {
    pub kafka: config::Kafka,
    pub clickhouse: ClickHouse,
    broker: Option<Broker>,
    engine: Option<EmbeddedEngine>,
    pub folder: TempDir,
}

impl Backend {
    /// Starts both.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (broker, kafka) = match BrokerKind::chosen() {
            BrokerKind::Embedded => {
                let options =
                    BrokerOptions { data_dir: folder.path().to_owned(), port: None, storage: BrokerStorage::default() };
                let broker = EmbeddedBroker::start(options, CancellationToken::new()).await.unwrap();
                let wait = ("consumer.fetch.wait.max.ms".to_owned(), config::Secret::new("100"));
                let kafka = config::Kafka {
                    brokers: broker.bootstrap(),
                    properties: [wait].into(),
                    replication: 1,
                    ..config::Kafka::default()
                };
                (Broker::Embedded(broker), kafka)
            }
            BrokerKind::Kafka => {
                let port = free_port();
                let process = start_kafka(&folder.path().join("kafka"), port, &[]).await;
                let kafka =
                    config::Kafka { brokers: format!("127.0.0.1:{port}"), replication: 1, ..config::Kafka::default() };
                (Broker::Kafka(process), kafka)
            }
        };
        let engine = start_engine(folder.path(), None).await;
        let clickhouse = ClickHouse::new(&settings_of(&engine));
        Self { kafka, clickhouse, broker: Some(broker), engine: Some(engine), folder }
    }

    /// What a stage's runner needs.
    pub fn services(&self) -> Services {
        Services {
            kafka: self.kafka.clone(),
            clickhouse: self.clickhouse.clone(),
            producer: Producer::new(&self.kafka, Duration::from_millis(5)).unwrap(),
            clock: Arc::new(SystemClock),
            metrics: StageMetrics::new(&Metrics::default()),
        }
    }

    /// A registry over this backend.
    pub fn registry(&self) -> Registry {
        let services = self.services();
        let url = config::folder_url(&self.folder.path().join("objects")).unwrap();
        Registry::new(services.clickhouse, Store::open(&url).unwrap(), services.producer, services.clock)
    }

    /// A name nothing else uses.
    pub fn unique(&self, prefix: &str) -> String {
        format!("{prefix}_{}", uuid::Uuid::now_v7().simple())
    }

    /// Stops both.
    pub async fn stop(mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
        if let Some(Broker::Embedded(broker)) = self.broker.take() {
            broker.stop().await.unwrap();
        }
    }
}

/// Starts an engine whose files are in `folder`.
pub async fn start_engine(folder: &std::path::Path, port: Option<u16>) -> EmbeddedEngine {
    let options = EngineOptions {
        data_dir: folder.to_owned(),
        port,
        child_command: vec![binary().into(), "engine-child".into()],
    };
    EmbeddedEngine::start(options, CancellationToken::new()).await.unwrap()
}

/// How to reach an engine.
pub fn settings_of(engine: &EmbeddedEngine) -> config::ClickHouse {
    config::ClickHouse {
        url: engine.url().clone(),
        user: engine.user().to_owned(),
        password: config::Secret::new(engine.password()),
        database: engine.database().to_owned(),
    }
}
