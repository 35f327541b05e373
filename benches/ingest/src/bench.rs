//! What all scenarios share: the broker with the loaded topic, the program that is measured, and where files go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::Command;

use crate::load::{self, Loaded};
use crate::stack::{Engine, Kafka, Process, repository};

/// The pipeline's raw topic.
pub const TOPIC: &str = "bench.raw";
/// Where dead letters go.
pub const REJECTED: &str = "bench.rejected";
/// Where peers send what they reject.
pub const PEER_REJECTED: &str = "bench.peer.rejected";
/// The view that never shows a position twice.
pub const VIEW: &str = "bench_features";
/// Topics that a run of the processor fills; deleted before each run, so that every run begins alike.
const FILLED: [&str; 8] = [
    REJECTED,
    "bench.profiles",
    "bench.drift",
    "bench.predictions",
    "driftmill.models",
    "driftmill.trainings",
    "driftmill.runs",
    "driftmill.sources",
];
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The `driftmill` program.
    pub binary: PathBuf,
    /// Records in the topic.
    pub records: u64,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Runs of each system.
    pub repetitions: usize,
    /// Where results go.
    pub out: PathBuf,
    /// Folder of the built peers; absent: none are run.
    pub peers: Option<PathBuf>,
    /// How long a peer may drain: what it has done by then is its rate.
    pub peer_limit: Duration,
    /// Record a `perf` profile of the processor into `out`.
    pub profile: bool,
}

/// A broker with a loaded topic.
#[derive(Debug)]
pub struct Bench {
    /// What was asked for.
    pub plan: Plan,
    /// The broker.
    pub kafka: Kafka,
    /// What is in the topic.
    pub loaded: Loaded,
    /// `CREATE TABLE` and `CREATE VIEW` statements of the feature table, as the program makes them.
    pub ddl: Vec<String>,
    folder: TempDir,
}

impl Bench {
    /// Starts a broker, lets the program make its topics and tables, and loads the topic.
    pub async fn prepare(plan: Plan) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&plan.out)?;
        let folder = tempfile::Builder::new().prefix("driftmill-bench-").tempdir()?;
        copy_pipeline(folder.path(), plan.partitions)?;
        eprintln!("starting Apache Kafka");
        let kafka = Kafka::start(&folder.path().join("kafka")).await?;
        let loaded = Loaded { records: 0, rejected: 0, bytes: 0, seconds: 0.0 };
        let mut bench = Self { plan, kafka, loaded, ddl: Vec::new(), folder };
        bench.ddl = bench.make_tables().await?;
        eprintln!("loading {} records into {} partitions", bench.plan.records, bench.plan.partitions);
        let (brokers, plan) = (bench.kafka.brokers.clone(), bench.plan.clone());
        let fill = move || load::fill(&brokers, TOPIC, plan.partitions, plan.records);
        bench.loaded = tokio::task::spawn_blocking(fill).await??;
        let Loaded { records, bytes, seconds, .. } = bench.loaded;
        eprintln!(
            "loaded in {seconds:.1} s: {:.0} records/s of {} bytes",
            records as f64 / seconds,
            bytes / records.max(1)
        );
        Ok(bench)
    }

    /// Lets the program make topics and tables, and reads how it made the feature table.
    async fn make_tables(&self) -> anyhow::Result<Vec<String>> {
        let engine = self.engine().await?;
        let mut process = self.processor(&engine, engine.url(), None)?;
        let made = async {
            // The topics come last.
            while engine.sql(&format!("EXISTS {VIEW}")).await? != "1" || !self.has_topic()? {
                process.check()?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, made).await.context("the program makes no tables")??;
        // The table before the view on it.
        let names = format!("SELECT name FROM system.tables WHERE name LIKE '{VIEW}%' ORDER BY engine = 'View'");
        let mut ddl = Vec::new();
        for name in engine.sql(&names).await?.lines() {
            ddl.push(engine.sql(&format!("SHOW CREATE TABLE {name} FORMAT TSVRaw")).await?);
        }
        process.stop().await?;
        engine.stop().await;
        Ok(ddl)
    }

    fn has_topic(&self) -> anyhow::Result<bool> {
        self.kafka.has_topics(&[TOPIC, REJECTED])
    }

    /// A new, empty engine.
    pub async fn engine(&self) -> anyhow::Result<Engine> {
        Engine::start(self.folder.path(), &self.plan.binary).await
    }

    /// Removes what earlier runs left in the broker, but for the loaded topic.
    pub async fn reset(&self) -> anyhow::Result<()> {
        self.kafka.delete(&FILLED).await
    }

    /// A file or folder of this run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts `driftmill process` against the ClickHouse at `url`, with the login of `engine`.
    pub fn processor(&self, engine: &Engine, url: &str, cores: Option<&str>) -> anyhow::Result<Process> {
        let (user, password, database) = engine.login();
        let mut command = Command::new(&self.plan.binary);
        command
            .arg("process")
            .env("DRIFTMILL_KAFKA_BROKERS", &self.kafka.brokers)
            .env("DRIFTMILL_CLICKHOUSE_URL", url)
            .env("DRIFTMILL_CLICKHOUSE_USER", user)
            .env("DRIFTMILL_CLICKHOUSE_PASSWORD", password)
            .env("DRIFTMILL_CLICKHOUSE_DATABASE", database)
            .env("DRIFTMILL_DATA_DIR", self.path("data"))
            .env("DRIFTMILL_PIPELINES", self.path("pipelines"));
        Process::start("driftmill process", &command, &self.path("processor.log"), cores)
    }

    /// Makes the feature table and its view in an empty engine, as the program makes them.
    pub async fn make_feature_table(&self, engine: &Engine) -> anyhow::Result<()> {
        for statement in &self.ddl {
            engine.sql(statement).await?;
        }
        Ok(())
    }

    /// The table under the view, without its database.
    pub fn feature_table(&self) -> anyhow::Result<&str> {
        let create = self.ddl.first().context("the program made no feature table")?;
        let name = create.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split_whitespace().next());
        name.and_then(|name| name.rsplit('.').next()).with_context(|| format!("`{create}` creates no table"))
    }

    /// Rows in the feature table.
    pub async fn feature_rows(&self, engine: &Engine) -> anyhow::Result<u64> {
        engine.number(&format!("SELECT sum(rows) FROM system.parts WHERE active AND table LIKE '{VIEW}%'")).await
    }

    /// Means of all features over the first offsets of a partition: who computes the same features gets the same means.
    pub async fn feature_means(&self, engine: &Engine) -> anyhow::Result<Vec<Option<f64>>> {
        let named = format!(
            "SELECT name FROM system.columns WHERE table = '{VIEW}' AND type = 'Nullable(Float64)' ORDER BY position"
        );
        let columns = engine.sql(&named).await?;
        let means: Vec<String> = columns.lines().map(|name| format!("avg(`{name}`)")).collect();
        let query = format!("SELECT {} FROM {VIEW} WHERE _partition = 0 AND _offset < 2000", means.join(", "));
        Ok(engine.sql(&query).await?.split('\t').map(|mean| mean.parse().ok()).collect())
    }

    /// Rows that must come out of the topic.
    pub fn expected_rows(&self) -> u64 {
        self.loaded.records - self.loaded.rejected
    }
}

/// The pipeline with another number of partitions.
fn copy_pipeline(folder: &Path, partitions: i32) -> anyhow::Result<()> {
    let (from, to) = (repository().join("benches/ingest/pipeline"), folder.join("pipelines/bench"));
    std::fs::create_dir_all(&to)?;
    std::fs::copy(from.join("record.avsc"), to.join("record.avsc"))?;
    let file = std::fs::read_to_string(from.join("pipeline.yaml")).context("the benchmark's pipeline")?;
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    let line = lines.iter_mut().find(|line| line.trim_start().starts_with("partitions:"));
    *line.context("pipeline.yaml names no partitions")? = format!("  partitions: {partitions}");
    std::fs::write(to.join("pipeline.yaml"), lines.join("\n"))?;
    Ok(())
}
