//! Our pipeline works off a backlog into the real engine: broker, engine and processor share the machine.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, json};
use tokio::time::Instant;

use crate::bench::{Bench, REJECTED, TOPIC, VIEW};
use crate::measure::{Audit, Involved, Measurement};
use crate::proc::{self, Sampler};
use crate::profile::Profile;
use crate::stack::{Engine, Process};

const LOOK: Duration = Duration::from_millis(100);
/// No new row for so long is an error.
const STALLED: Duration = Duration::from_secs(60);

/// When rows became visible.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Seconds from the start to the first rows.
    pub first: f64,
    /// How many came first.
    pub first_rows: u64,
    /// Seconds from the start to the last rows.
    pub last: f64,
    /// How many there were then.
    pub rows: u64,
}

/// One drain by our processor.
pub async fn run(bench: &Bench, repetition: usize) -> anyhow::Result<Measurement> {
    bench.reset().await?;
    let engine = bench.engine().await?;
    let involved = Involved { kafka: Some(&bench.kafka.process), engine: Some(&engine), helper: None };
    let before = involved.clocks(None)?;
    let mut process = bench.processor(&engine, engine.url(), None)?;
    let sampler = Sampler::start(process.pid());
    let profile = bench.plan.profile.then(|| Profile::start(process.pid(), &bench.plan.out, "drain")).transpose()?;
    let seen = watch(&engine, &mut process, bench.expected_rows(), None).await?;
    let cpu = involved.clocks(Some(&process))?.since(&before);
    let samples = sampler.finish().await?;
    if let Some(profile) = profile {
        profile.finish().await?;
    }
    dead_letters_come(bench, &engine).await?;
    process.stop().await?;
    let audit = audit(bench, &engine).await?;
    let means = bench.feature_means(&engine).await?;
    engine.stop().await;
    if repetition == 1 {
        proc::write_csv(&bench.plan.out.join("memory-drain.csv"), &samples)?;
    }
    let memory = proc::peak(&samples);
    let mut measured = measurement("drain", "driftmill", bench, repetition, seen, cpu, memory, Some(audit));
    measured.more.insert("means".to_owned(), json!(means));
    Ok(measured)
}

/// Looks how many rows the table holds until there are `wanted`, or until `limit` is over.
pub async fn watch(
    engine: &Engine,
    process: &mut Process,
    wanted: u64,
    limit: Option<Duration>,
) -> anyhow::Result<Seen> {
    // Metadata only: it costs the engine next to nothing, and a part is visible to queries when it is active.
    let query = format!("SELECT sum(rows) FROM system.parts WHERE active AND table LIKE '{VIEW}%'");
    let started = Instant::now();
    let mut moved = started;
    let mut seen = Seen { first: 0.0, first_rows: 0, last: 0.0, rows: 0 };
    loop {
        process.check()?;
        let rows = engine.number(&query).await?;
        let at = started.elapsed().as_secs_f64();
        if rows > seen.rows {
            if seen.rows == 0 {
                (seen.first, seen.first_rows) = (at, rows);
            }
            (seen.last, seen.rows, moved) = (at, rows, Instant::now());
        }
        if rows >= wanted || limit.is_some_and(|limit| started.elapsed() > limit) {
            return Ok(seen);
        }
        if moved.elapsed() > STALLED {
            let letters = "SELECT concat(error, ': ', message, ', ', toString(count())) FROM bench_dead_letters \
                           GROUP BY error, message LIMIT 5";
            let letters = engine.sql(letters).await.unwrap_or_default();
            bail!("no new row for {STALLED:?}: {rows} of {wanted} are there. Dead letters:\n{letters}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the dead letters are in their table, too: they go through a topic of their own.
async fn dead_letters_come(bench: &Bench, engine: &Engine) -> anyhow::Result<()> {
    let query = "SELECT uniqExact(origin) FROM bench_dead_letters";
    let all = async {
        while engine.number(query).await? < bench.loaded.rejected {
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(STALLED, all).await.with_context(|| format!("dead letters of `{REJECTED}` are missing"))?
}

/// Counts rows and dead letters against offsets.
async fn audit(bench: &Bench, engine: &Engine) -> anyhow::Result<Audit> {
    let rows = engine.number(&format!("SELECT count() FROM {VIEW}")).await?;
    let positions = engine.number(&format!("SELECT uniqExact(_partition, _offset) FROM {VIEW}")).await?;
    let parts = format!("SELECT sum(rows) FROM system.parts WHERE active AND table LIKE '{VIEW}%'");
    let stored = engine.number(&parts).await?;
    let letters = format!("SELECT count() FROM bench_dead_letters WHERE origin_topic = '{TOPIC}'");
    let dead_letters = engine.number(&letters).await?;
    let offsets = bench.loaded.records;
    let lost = offsets as i64 - positions as i64 - dead_letters as i64;
    Ok(Audit { offsets, rows, stored, dead_letters, lost, twice: rows - positions })
}

/// Puts a measurement together.
#[allow(clippy::too_many_arguments, reason = "the fields of one record")]
pub fn measurement(
    scenario: &'static str,
    system: &str,
    bench: &Bench,
    repetition: usize,
    seen: Seen,
    cpu: crate::measure::Cpu,
    memory: proc::Memory,
    audit: Option<Audit>,
) -> Measurement {
    let (rows, seconds) = (seen.rows - seen.first_rows, seen.last - seen.first);
    let mut more = Map::new();
    more.insert("all_rows".to_owned(), json!(seen.rows));
    Measurement {
        scenario,
        system: system.to_owned(),
        partitions: bench.plan.partitions,
        repetition,
        rows,
        seconds,
        start_seconds: seen.first,
        rows_per_second: rows as f64 / seconds.max(0.001),
        cpu,
        memory,
        audit,
        more,
    }
}
