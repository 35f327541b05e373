//! `driftmill up`: the embedded broker and the engine, records produced and ingested at the same time in one process.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::Instant;

use crate::bench::{Bench, TOPIC};
use crate::drain::{self, Seen};
use crate::load;
use crate::measure::{Involved, Measurement};
use crate::proc::{self, Sampler};
use crate::stack::{Engine, Login, Process, free_port};

const LOOK: Duration = Duration::from_millis(100);
const STARTS: Duration = Duration::from_secs(60);

/// Produces `records` into `driftmill up` and waits until their rows are visible. The clock starts with the first record.
pub async fn run(bench: &Bench, repetition: usize, records: u64) -> anyhow::Result<Measurement> {
    let (port, data) = (free_port()?, bench.path(&format!("up-{repetition}")));
    let mut command = Command::new(&bench.plan.binary);
    command
        .args(["up", "--no-sources", "--json", "--clickhouse-port", "0", "--gateway-listen", "127.0.0.1:0"])
        .args(["--broker-port", &port.to_string()])
        .arg("--data-dir")
        .arg(&data)
        .arg("--pipelines")
        .arg(bench.path("pipelines"));
    let log = bench.path(&format!("up-{repetition}.log"));
    let mut process = Process::start("driftmill up", &command, &log, None)?;
    let login = ready(&mut process, &log).await?;
    let engine = Engine::of(login, child(process.pid()).context("`driftmill up` has no engine")?)?;

    let involved = Involved { kafka: None, engine: Some(&engine), helper: None };
    let before = involved.clocks(Some(&process))?;
    let sampler = Sampler::start(process.pid());
    let (brokers, partitions, started) = (format!("127.0.0.1:{port}"), bench.plan.partitions, Instant::now());
    let filling = tokio::task::spawn_blocking(move || load::fill(&brokers, TOPIC, partitions, records));
    let loaded = filling.await??;
    let produced = started.elapsed();
    let seen = drain::watch(&engine, &mut process, loaded.records - loaded.rejected, None).await?;
    let cpu = involved.clocks(Some(&process))?.since(&before);
    let samples = sampler.finish().await?;
    process.stop().await?;
    std::fs::remove_dir_all(&data)?;

    let all = Seen { first: 0.0, first_rows: 0, last: produced.as_secs_f64() + seen.last, rows: seen.rows };
    let memory = proc::peak(&samples);
    let mut measured = drain::measurement("embedded", "driftmill up", bench, repetition, all, cpu, memory, None);
    measured.more.insert("produced_per_second".to_owned(), json!(loaded.records as f64 / loaded.seconds));
    Ok(measured)
}

/// Waits for the line that says where everything is.
async fn ready(process: &mut Process, log: &std::path::Path) -> anyhow::Result<Login> {
    let started = Instant::now();
    loop {
        process.check()?;
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if let Some(ready) = lines.into_iter().find(|line| line["ready"] == true) {
            let of = |key: &str| ready[key].as_str().map(str::to_owned).with_context(|| format!("no `{key}`: {ready}"));
            let file = std::fs::read_to_string(of("credentials")?)?;
            let field = |name: &str| {
                let line = file.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                line.with_context(|| format!("the credentials have no {name}"))
            };
            return Ok(Login {
                url: field("CLICKHOUSE_URL=")?,
                user: field("CLICKHOUSE_USER=")?,
                password: field("CLICKHOUSE_PASSWORD=")?,
                database: field("CLICKHOUSE_DATABASE=")?,
            });
        }
        if started.elapsed() > STARTS {
            bail!("`driftmill up` is not ready after {STARTS:?}: {}", process.last_words());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The one child of a process, whichever of its threads made it.
fn child(pid: u32) -> Option<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    threads.flatten().find_map(|thread| {
        let children = std::fs::read_to_string(thread.path().join("children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    })
}
