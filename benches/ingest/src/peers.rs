//! The peers: what else reads the topic and fills the table. Each computes the same features and checks (../peers).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::process::Command;

use crate::bench::{Bench, PEER_REJECTED, TOPIC, VIEW};
use crate::drain;
use crate::measure::{Involved, Measurement};
use crate::proc::{self, Sampler};
use crate::stack::{Engine, Process, repository};

/// What a batch may wait to become full, where throughput counts.
const FLUSH: Duration = Duration::from_secs(1);

/// A system to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Go; `kafka → avro → mapping → http_client`.
    RedpandaConnect,
    /// Python; `Application → sdf → BatchingSink`.
    Quix,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::RedpandaConnect, Self::Quix];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::RedpandaConnect => "Redpanda Connect",
            Self::Quix => "Quix Streams",
        }
    }

    /// Whether `benches/ingest/peers/build.sh` has built it.
    pub fn is_built(self, folder: &Path) -> bool {
        self.program(folder).exists()
    }

    fn program(self, folder: &Path) -> PathBuf {
        match self {
            Self::RedpandaConnect => folder.join("redpanda-connect"),
            Self::Quix => folder.join("quix/bin/python"),
        }
    }

    /// Starts it with a consumer group that nobody has used. A batch that is not full is inserted after `flush`.
    pub fn start(self, bench: &Bench, engine: &Engine, group: &str, flush: Duration) -> anyhow::Result<Process> {
        let folder = bench.plan.peers.as_deref().context("the peers are not built")?;
        let sources = repository().join("benches/ingest/peers");
        let mut command = Command::new(self.program(folder));
        match self {
            Self::RedpandaConnect => {
                command.arg("run").arg(sources.join("redpanda-connect/pipeline.yaml"));
            }
            Self::Quix => {
                command.arg(sources.join("quix/app.py"));
            }
        }
        let (user, password, database) = engine.login();
        command
            .env("BENCH_BROKERS", &bench.kafka.brokers)
            .env("BENCH_TOPIC", TOPIC)
            .env("BENCH_REJECTED", PEER_REJECTED)
            .env("BENCH_GROUP", group)
            .env("BENCH_FLUSH_MS", flush.as_millis().to_string())
            .env("BENCH_TABLE", bench.feature_table()?)
            .env("BENCH_SCHEMA", repository().join("benches/ingest/pipeline/record.avsc"))
            .env("BENCH_CLICKHOUSE_URL", engine.url().trim_end_matches('/'))
            .env("BENCH_CLICKHOUSE_USER", user)
            .env("BENCH_CLICKHOUSE_PASSWORD", password)
            .env("BENCH_CLICKHOUSE_DATABASE", database)
            .current_dir(bench.path(""));
        Process::start(self.name(), &command, &bench.path("peer.log"), None)
    }
}

/// The rate that a peer's latency is measured at: `rate`, or half of what it reached in `measured` if that is less. A system
/// that falls behind has no latency, only a backlog.
pub fn steady_rate(peer: Peer, measured: &[Measurement], rate: u64) -> u64 {
    let drains = measured.iter().filter(|run| run.scenario == "drain" && run.system == peer.name());
    let reached = drains.map(|run| run.rows_per_second / 2.0).fold(f64::INFINITY, f64::min);
    let thousands = (reached.min(rate as f64) / 1000.0) as u64;
    thousands.max(1) * 1000
}

/// One drain by a peer, of as much as it can do within the limit.
pub async fn drain(bench: &Bench, peer: Peer, repetition: usize) -> anyhow::Result<Measurement> {
    bench.kafka.recreate(PEER_REJECTED, 1).await?;
    let engine = bench.engine().await?;
    bench.make_feature_table(&engine).await?;
    let involved = Involved { kafka: Some(&bench.kafka.process), engine: Some(&engine), helper: None };
    let before = involved.clocks(None)?;
    let mut process = peer.start(bench, &engine, &format!("{peer:?}-{repetition}"), FLUSH)?;
    let sampler = Sampler::start(process.pid());
    let seen = drain::watch(&engine, &mut process, bench.expected_rows(), Some(bench.plan.peer_limit)).await?;
    if seen.rows == 0 {
        bail!("{} has inserted nothing in {:?}:\n{}", peer.name(), bench.plan.peer_limit, process.last_words());
    }
    let cpu = involved.clocks(Some(&process))?.since(&before);
    let samples = sampler.finish().await?;
    process.stop().await?;
    let means = bench.feature_means(&engine).await?;
    let stored = engine.number(&format!("SELECT count() FROM {}", bench.feature_table()?)).await?;
    let shown = engine.number(&format!("SELECT count() FROM {VIEW}")).await?;
    engine.stop().await;
    let memory = proc::peak(&samples);
    let mut measured = drain::measurement("drain", peer.name(), bench, repetition, seen, cpu, memory, None);
    measured.more.insert("means".to_owned(), json!(means));
    measured.more.insert("stored_twice".to_owned(), json!(stored - shown));
    Ok(measured)
}
