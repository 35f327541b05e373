//! The processor alone on one core; broker, sink, engine and this harness share the other. The sink swallows the feature
//! rows; ledger and dead letters go to a real engine whose files are in memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::process::Command;
use tokio::time::Instant;

use crate::bench::{Bench, TOPIC};
use crate::drain::{Seen, measurement};
use crate::measure::{Involved, Measurement};
use crate::proc::{self, Sampler};
use crate::profile::Profile;
use crate::sink::{Counts, Mode};
use crate::stack::{Engine, Process, free_port, pin};

/// Where the processor runs.
const PROCESSOR: &str = "0";
/// Where everything else runs.
const REST: &str = "1";
const ALL: &str = "0,1";
const LOOK: Duration = Duration::from_millis(50);
const STALLED: Duration = Duration::from_secs(60);

/// A sink in a process of its own.
#[derive(Debug)]
pub struct Sink {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub url: String,
}

impl Sink {
    /// Starts a sink in front of `engine`, and waits until it answers.
    pub async fn start(bench: &Bench, engine: &Engine, mode: Mode, cores: Option<&str>) -> anyhow::Result<Self> {
        let port = free_port()?;
        let folder = bench.path("kept");
        std::fs::create_dir_all(&folder)?;
        let mode = if mode == Mode::Swallow { "swallow" } else { "keep" };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["sink", "--mode", mode, "--upstream", engine.url(), "--port", &port.to_string()]);
        command.arg("--folder").arg(&folder);
        let mut process = Process::start("the sink", &command, &bench.path("sink.log"), cores)?;
        let sink_url = format!("http://127.0.0.1:{port}/");
        for _ in 0..200 {
            process.check()?;
            if counts(&sink_url).await.is_ok() {
                return Ok(Self { process, url: sink_url });
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the sink does not answer")
    }

    /// What it swallowed or kept.
    pub async fn counts(&self) -> anyhow::Result<Counts> {
        counts(&self.url).await
    }
}

async fn counts(url: &str) -> anyhow::Result<Counts> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    Ok(http.get(format!("{url}bench/counts")).send().await?.json().await?)
}

/// One run.
pub async fn run(bench: &Bench, repetition: usize) -> anyhow::Result<Measurement> {
    bench.reset().await?;
    let engine = Engine::start(in_memory(), &bench.plan.binary).await?;
    let sink = Sink::start(bench, &engine, Mode::Swallow, Some(REST)).await?;
    pin(engine.pid(), REST)?;
    bench.kafka.process.pin(REST)?;
    pin(std::process::id(), REST)?;
    let measured = measure(bench, repetition, &engine, &sink).await;
    pin(std::process::id(), ALL)?;
    bench.kafka.process.pin(ALL)?;
    sink.process.stop().await?;
    engine.stop().await;
    measured
}

async fn measure(bench: &Bench, repetition: usize, engine: &Engine, sink: &Sink) -> anyhow::Result<Measurement> {
    let involved = Involved { kafka: Some(&bench.kafka.process), engine: Some(engine), helper: Some(&sink.process) };
    let before = involved.clocks(None)?;
    let mut process = bench.processor(engine, &sink.url, Some(PROCESSOR))?;
    let sampler = Sampler::start(process.pid());
    let profile = bench.plan.profile.then(|| Profile::start(process.pid(), &bench.plan.out, "alone")).transpose()?;
    let seen = watch(engine, &mut process, bench.loaded.records).await?;
    let cpu = involved.clocks(Some(&process))?.since(&before);
    let samples = sampler.finish().await?;
    if let Some(profile) = profile {
        profile.finish().await?;
    }
    process.stop().await?;
    let counts = sink.counts().await?;
    let mut measured = measurement("alone", "driftmill", bench, repetition, seen, cpu, proc::peak(&samples), None);
    measured.more.insert("inserts".to_owned(), json!(counts.inserts));
    measured.more.insert("insert_bytes_a_row".to_owned(), json!(counts.bytes / bench.expected_rows().max(1)));
    Ok(measured)
}

/// Looks how far the ledger has got until it holds `wanted` offsets.
async fn watch(engine: &Engine, process: &mut Process, wanted: u64) -> anyhow::Result<Seen> {
    let query = format!(
        "SELECT sum(reached) FROM (SELECT partition, max(to_offset) AS reached FROM ledger WHERE topic = '{TOPIC}' \
         GROUP BY partition)"
    );
    let started = Instant::now();
    let mut moved = started;
    let mut seen = Seen { first: 0.0, first_rows: 0, last: 0.0, rows: 0 };
    while seen.rows < wanted {
        process.check()?;
        // The table comes with the processor's first start.
        let rows: u64 = match engine.sql(&query).await {
            Ok(text) => text.parse().context("the ledger")?,
            Err(_) => 0,
        };
        let at = started.elapsed().as_secs_f64();
        if rows > seen.rows {
            if seen.rows == 0 {
                (seen.first, seen.first_rows) = (at, rows);
            }
            (seen.last, seen.rows, moved) = (at, rows, Instant::now());
        }
        if moved.elapsed() > STALLED {
            bail!("the ledger stands at {rows} of {wanted} for {STALLED:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(seen)
}

/// A folder in memory, so that no disk has a say.
fn in_memory() -> &'static Path {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared } else { Path::new("/tmp") }
}
