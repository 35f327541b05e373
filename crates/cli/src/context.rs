//! What every role is built from: adapters, chosen once from the settings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use driftmill_platform::backoff::{Backoff, until_done};
use driftmill_platform::clickhouse::{ClickHouse, first_fields, migrate, pipeline_migrations, platform_migrations};
use driftmill_platform::clock::{SharedClock, SystemClock};
use driftmill_platform::config::Settings;
use driftmill_platform::kafka::{Admin, Producer, TopicSpec};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::registry::Registry;
use driftmill_platform::schema_registry::SchemaRegistry;
use driftmill_platform::schemas::{AnnouncedSchemas, Schemas};
use driftmill_platform::stage::{Services, StageMetrics};
use driftmill_platform::store::Store;
use driftmill_producers::SourceMetrics;
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::topic::{self, Topics};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::pipelines;

/// Adapters and pipelines of this process.
#[derive(Debug, Clone)]
pub struct Context {
    pub settings: Settings,
    pub pipelines: Vec<Arc<Loaded>>,
    pub clickhouse: ClickHouse,
    pub producer: Producer,
    pub store: Store,
    pub registry: Registry,
    pub schemas: Schemas,
    pub metrics: Metrics,
    pub stage_metrics: StageMetrics,
    pub source_metrics: SourceMetrics,
    pub clock: SharedClock,
}

impl Context {
    /// Loads the pipelines and makes the clients; nothing is contacted yet.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        let pipelines = pipelines::load_all(&settings.pipelines)?;
        let clickhouse = ClickHouse::new(&settings.clickhouse);
        let producer = Producer::new(&settings.kafka, Duration::from_millis(5))?;
        let store = Store::open(&settings.object_store)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let registry = Registry::new(clickhouse.clone(), store.clone(), producer.clone(), Arc::clone(&clock));
        let schemas = Schemas::new(
            AnnouncedSchemas::new(settings.kafka.clone(), producer.clone()),
            settings.schema_registry.clone().map(SchemaRegistry::new).transpose()?,
            Arc::clone(&clock),
        );
        let metrics = Metrics::default();
        Ok(Self {
            pipelines,
            clickhouse,
            producer,
            store,
            registry,
            schemas,
            stage_metrics: StageMetrics::new(&metrics),
            source_metrics: SourceMetrics::new(&metrics),
            metrics,
            clock,
            settings,
        })
    }

    /// Services of a stage's runner.
    pub fn services(&self) -> Services {
        Services {
            kafka: self.settings.kafka.clone(),
            clickhouse: self.clickhouse.clone(),
            producer: self.producer.clone(),
            clock: Arc::clone(&self.clock),
            metrics: self.stage_metrics.clone(),
        }
    }

    /// Waits for Kafka and ClickHouse, creates the topics and tables that are missing. Every role does so at its start,
    /// several at once if need be.
    pub async fn prepare(&self, cancel: &CancellationToken) -> anyhow::Result<()> {
        self.tables(cancel).await?;
        let admin = Admin::new(&self.settings.kafka)?;
        let specs = topic_specs(&self.pipelines);
        until_done(
            cancel,
            patient(),
            |error, _| warn!(%error, "waiting for Kafka"),
            || async { admin.ensure(&specs).await },
        )
        .await
        .with_context(|| format!("Kafka at {}", self.settings.kafka.brokers))
    }

    /// Waits for ClickHouse and creates the tables that are missing.
    pub async fn tables(&self, cancel: &CancellationToken) -> anyhow::Result<()> {
        let mut migrations = platform_migrations();
        migrations.extend(self.pipelines.iter().flat_map(|loaded| pipeline_migrations(&loaded.pipeline)));
        migrations.extend(self.pipelines.iter().map(|loaded| first_fields(&loaded.pipeline, &loaded.schema)));
        let unfit = until_done(
            cancel,
            patient(),
            |error, _| warn!(%error, "waiting for ClickHouse"),
            || async {
                match migrate(&self.clickhouse, &migrations).await {
                    // The database of a production cluster is made by its owner; ours is made by us.
                    Err(e) if e.error.to_string().contains("UNKNOWN_DATABASE") => {
                        let url = &self.settings.clickhouse.url;
                        warn!(%url, database = self.clickhouse.database(), "the database does not exist: create it");
                        Err(e)
                    }
                    Err(e) => Err(e),
                    Ok(()) => {
                        let mut unfit = Vec::new();
                        for loaded in &self.pipelines {
                            unfit.extend(self.clickhouse.widen_features(&loaded.pipeline).await?);
                            self.clickhouse.make_feature_view(&loaded.pipeline.name).await?;
                        }
                        Ok(unfit)
                    }
                }
            },
        )
        .await
        .with_context(|| format!("ClickHouse at {}", self.settings.clickhouse.url))?;
        anyhow::ensure!(
            unfit.is_empty(),
            "features need other names, because columns of theirs hold fields that are no numbers: {}",
            unfit.join(", ")
        );
        Ok(())
    }
}

fn patient() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(3), 0)
}

/// The topics of these pipelines and those that belong to none.
fn topic_specs(pipelines: &[Arc<Loaded>]) -> Vec<TopicSpec> {
    let spec = |name: &str, partitions, compacted| TopicSpec { name: name.to_owned(), partitions, compacted };
    let mut specs = vec![
        spec(topic::MODELS, 1, true),
        spec(topic::TRAININGS, 1, false),
        spec(topic::RUNS, 1, false),
        spec(topic::SOURCES, 1, true),
        spec(topic::SCHEMAS, 1, true),
    ];
    for loaded in pipelines {
        let topics = Topics::of(&loaded.pipeline.name);
        specs.push(spec(&topics.raw, loaded.pipeline.topics.partitions, false));
        for name in [&topics.rejected, &topics.profiles, &topics.drift, &topics.predictions, &topics.labels] {
            // One partition: their order is what makes a window, and none of them is hot.
            specs.push(spec(name, 1, false));
        }
    }
    specs
}

/// Opens a log file that only its owner can read.
pub fn log_file(path: &Path) -> anyhow::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("log file `{}`", path.display()))
}
