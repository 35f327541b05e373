//! How long after it was produced a record can be queried, at a steady rate.
//!
//! After a primer, a thread produces the same number of records each millisecond and notes when; record `i` gets the offset
//! `PRIMER + i / partitions` of partition `i % partitions`. Whenever the table has a new part it is asked for the highest offset of
//! each partition: what is new is visible since this answer, at the latest. A record's latency is the time from its
//! hand-over to the producer to the arrival of the first answer that includes it. The producer's own waiting counts, and so
//! does the question: the true figures are smaller by as much as that takes.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::time::Instant;

use crate::bench::{Bench, PEER_REJECTED, TOPIC, VIEW};
use crate::drain::{self, Seen};
use crate::load;
use crate::measure::{Involved, Measurement};
use crate::peers::Peer;
use crate::proc::{self, Sampler};
use crate::record::{Readings, SEED};
use crate::stack::{Engine, Process};
use crate::visible::Visible;

/// How often it is looked whether there is anything new.
const POLL: Duration = Duration::from_millis(2);
/// What a peer's batch may wait to become full.
const FLUSH: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(1);
/// What the producer may wait for company: librdkafka's default.
const LINGER: Duration = Duration::from_millis(5);
/// Records of each partition that must be visible before the clock starts: then the system has started and has partitions.
const PRIMER: u64 = 500;
/// Produced at the rate before the measured time, so that everything is warm.
const WARM_UP: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(60);
/// Event time of the first record: 2026-01-01 00:00 UTC.
const FIRST_EVENT: i64 = 1_767_225_600_000;

/// What was produced.
struct Produced {
    /// When each tick's records were handed over.
    ticks: Vec<Instant>,
    /// Which records break an expectation, by number.
    rejected: Vec<u64>,
}

/// Our pipeline.
pub async fn ours(bench: &Bench, repetition: usize, rate: u64, measured_for: Duration) -> anyhow::Result<Measurement> {
    bench.reset().await?;
    bench.kafka.recreate(TOPIC, bench.plan.partitions).await?;
    let engine = bench.engine().await?;
    let process = bench.processor(&engine, engine.url(), None)?;
    let existing = async {
        while engine.sql(&format!("EXISTS {VIEW}")).await? != "1" {
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, existing).await.context("the program makes no tables")??;
    let measured = run(bench, "driftmill", &engine, process, repetition, rate, measured_for).await;
    engine.stop().await;
    measured
}

/// A peer.
pub async fn of_peer(
    bench: &Bench,
    peer: Peer,
    repetition: usize,
    rate: u64,
    measured_for: Duration,
) -> anyhow::Result<Measurement> {
    bench.kafka.recreate(PEER_REJECTED, 1).await?;
    bench.kafka.recreate(TOPIC, bench.plan.partitions).await?;
    let engine = bench.engine().await?;
    bench.make_feature_table(&engine).await?;
    let process = peer.start(bench, &engine, &format!("{peer:?}-latency-{repetition}"), FLUSH)?;
    let measured = run(bench, peer.name(), &engine, process, repetition, rate, measured_for).await;
    engine.stop().await;
    measured
}

/// Measures a system that has just been started on the empty topic. `rate` is records a second.
async fn run(
    bench: &Bench,
    system: &str,
    engine: &Engine,
    mut process: Process,
    repetition: usize,
    rate: u64,
    measured_for: Duration,
) -> anyhow::Result<Measurement> {
    let (brokers, partitions) = (bench.kafka.brokers.clone(), bench.plan.partitions);
    let fill = move || load::fill(&brokers, TOPIC, partitions, PRIMER * partitions as u64);
    let primer = tokio::task::spawn_blocking(fill).await??;
    drain::watch(engine, &mut process, primer.records - primer.rejected, None).await?;
    let involved = Involved { kafka: Some(&bench.kafka.process), engine: Some(engine), helper: None };
    let before = involved.clocks(Some(&process))?;
    let sampler = Sampler::start(process.pid());
    let per_tick = rate / 1000;
    let ticks = (WARM_UP + measured_for).as_millis() as u64;
    let (brokers, partitions) = (bench.kafka.brokers.clone(), bench.plan.partitions);
    let producing = tokio::task::spawn_blocking(move || produce(&brokers, partitions, per_tick, ticks));
    let all = per_tick * ticks;
    let answers = watch(bench, engine, &mut process, all).await;
    let produced = producing.await??;
    let answers = answers?;
    let cpu = involved.clocks(Some(&process))?.since(&before);
    let samples = sampler.finish().await?;
    process.stop().await?;

    let warm = per_tick * WARM_UP.as_millis() as u64;
    let (mut latencies, mut jumped) = (Vec::with_capacity((all - warm) as usize), 0);
    for answer in &answers {
        let of = |offset: i64| (offset as u64 - PRIMER) * partitions as u64 + answer.partition as u64;
        let mut wanted = 0;
        for number in (answer.after + 1..=answer.to).map(of) {
            let Some(sent) = produced.ticks.get((number / per_tick) as usize) else {
                bail!("record {number} was never sent")
            };
            if produced.rejected.binary_search(&number).is_ok() {
                continue;
            }
            wanted += 1;
            if number >= warm {
                latencies.push((answer.at - *sent).as_secs_f64() * 1000.0);
            }
        }
        // A later record became visible before an earlier one: then the earlier one's figure is too small.
        jumped += u64::from(answer.rows < wanted);
    }
    latencies.sort_by(f64::total_cmp);
    let quantile = |q: f64| latencies.get(((latencies.len() - 1) as f64 * q) as usize).copied().unwrap_or_default();
    let seen = Seen { first: 0.0, first_rows: 0, last: measured_for.as_secs_f64(), rows: latencies.len() as u64 };
    let mut measured = drain::measurement("latency", system, bench, repetition, seen, cpu, proc::peak(&samples), None);
    measured.more.insert("all_rows".to_owned(), json!(all));
    measured.more.insert("p50_ms".to_owned(), json!(quantile(0.5)));
    measured.more.insert("p90_ms".to_owned(), json!(quantile(0.9)));
    measured.more.insert("p99_ms".to_owned(), json!(quantile(0.99)));
    measured.more.insert("max_ms".to_owned(), json!(quantile(1.0)));
    let asking: f64 = answers.iter().map(|answer| answer.took.as_secs_f64()).sum();
    measured.more.insert("poll_took_ms".to_owned(), json!(1000.0 * asking / answers.len().max(1) as f64));
    measured.more.insert("polls".to_owned(), json!(answers.len()));
    measured.more.insert("polls_out_of_order".to_owned(), json!(jumped));
    Ok(measured)
}

/// Produces `per_tick` records a millisecond, `ticks` times.
fn produce(brokers: &str, partitions: i32, per_tick: u64, ticks: u64) -> anyhow::Result<Produced> {
    let producer = load::producer(brokers, LINGER)?;
    let mut readings = Readings::new(SEED)?;
    let mut produced = Produced { ticks: Vec::with_capacity(ticks as usize), rejected: Vec::new() };
    let mut payload = Vec::new();
    let started = Instant::now();
    for tick in 0..ticks {
        let due = started + TICK * tick as u32;
        while let Some(early) = due.checked_duration_since(Instant::now()).filter(|early| !early.is_zero()) {
            std::thread::sleep(early);
        }
        produced.ticks.push(Instant::now());
        for number in tick * per_tick..(tick + 1) * per_tick {
            payload.clear();
            if readings.next(FIRST_EVENT + tick as i64, &mut payload) {
                produced.rejected.push(number);
            }
            load::send(&producer, TOPIC, (number % partitions as u64) as i32, &payload)?;
        }
        producer.poll(Duration::ZERO);
    }
    rdkafka::producer::Producer::flush(&producer, PATIENCE).context("flush")?;
    Ok(produced)
}

/// Offsets of a partition that an answer showed for the first time.
struct Answer {
    at: Instant,
    /// How long the table took to answer.
    took: Duration,
    partition: usize,
    /// Highest offset known before.
    after: i64,
    /// Highest offset now.
    to: i64,
    /// Rows between.
    rows: u64,
}

/// Asks until the last records are visible.
async fn watch(bench: &Bench, engine: &Engine, process: &mut Process, all: u64) -> anyhow::Result<Vec<Answer>> {
    let partitions = bench.plan.partitions;
    let table = bench.feature_table()?;
    let mut reached = vec![PRIMER as i64 - 1; partitions as usize];
    // The last record of a partition may be one that is rejected: a few short of the end is the end.
    let slack = 20;
    let end = (PRIMER + all / partitions as u64) as i64 - slack;
    let (mut answers, mut moved) = (Vec::new(), Instant::now());
    let mut visible = Visible::of(engine, table).await?;
    while reached.iter().any(|offset| *offset < end) {
        process.check()?;
        let asked = Instant::now();
        let news = visible.look(engine, &reached).await?;
        let at = Instant::now();
        for (partition, (to, rows)) in news {
            let place = reached.get_mut(partition).context("a partition that does not exist")?;
            answers.push(Answer { at, took: at - asked, partition, after: *place, to, rows });
            (*place, moved) = (to, at);
        }
        if moved.elapsed() > PATIENCE {
            bail!("no new row for {PATIENCE:?}; visible are offsets up to {reached:?} of {end}");
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(answers)
}
