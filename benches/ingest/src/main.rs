//! The ingestion benchmark: our pipeline, its ceiling and its peers on one broker, one topic and one table.
//!
//! ```text
//! make bench-ingest ── bench-ingest run ──► Apache Kafka, loaded once
//!                                            ├─ drain    driftmill process ─► engine, all cores shared
//!                                            └─ alone    driftmill process on core 0 ─► sink on core 1
//! ```

mod alone;
mod bench;
mod ceiling;
mod ceiling_runs;
mod drain;
mod embedded;
mod latency;
mod load;
mod machine;
mod measure;
mod peers;
mod plot;
mod proc;
mod profile;
mod record;
mod report;
mod sink;
mod stack;
mod visible;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::bench::{Bench, Plan};
use crate::ceiling::Part;
use crate::machine::Machine;
use crate::measure::Measurement;
use crate::peers::Peer;

/// Measures ingestion. `make bench-ingest` builds everything and calls this.
#[derive(Debug, Parser)]
#[command(name = "bench-ingest", max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and write results.
    Run(Run),
    /// A ClickHouse that costs nothing, in front of a real one.
    Sink {
        #[arg(long)]
        mode: sink::Mode,
        #[arg(long)]
        upstream: Url,
        #[arg(long)]
        port: u16,
        #[arg(long)]
        folder: PathBuf,
    },
    /// What the machine allows, in a process of its own.
    Ceiling(ceiling::Options),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The `driftmill` program to measure.
    #[arg(long)]
    bin: PathBuf,
    /// What to run; absent: everything.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Records in the topic.
    #[arg(long, default_value_t = 3_000_000)]
    records: u64,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// Runs of each system.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Where results go.
    #[arg(long)]
    out: PathBuf,
    /// Folder of the built peers; absent: without them.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Records a second of the latency scenario.
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Seconds of the latency scenario that are measured.
    #[arg(long, default_value_t = 15)]
    latency_seconds: u64,
    /// Seconds that a peer may work off the backlog.
    #[arg(long, default_value_t = 25)]
    peer_seconds: u64,
    /// Record a profile of the processor with `perf`.
    #[arg(long)]
    profile: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// A backlog into the real engine.
    Drain,
    /// The processor on one core, rows swallowed.
    Alone,
    /// Raw consume, raw insert, both.
    Ceiling,
    /// What else reads the topic and fills the table, as in `drain`.
    Peers,
    /// `driftmill up`: embedded broker and engine, produced and ingested at the same time.
    Embedded,
    /// Produced to queryable at a steady rate, ours and the peers'.
    Latency,
}

/// Runs of what varies less than our own throughput, or takes longer.
const STEADY: usize = 3;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run(arguments) => tokio::select! {
            done = run(arguments) => done,
            // Dropped children are killed, dropped folders removed.
            stopped = stopped() => stopped,
        },
        Command::Ceiling(options) => ceiling::run(options).await,
        Command::Sink { mode, upstream, port, folder } => sink::serve(mode, upstream, port, folder).await,
    }
}

/// Waits until somebody wants an end.
async fn stopped() -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminated.recv() => {}
    }
    anyhow::bail!("stopped before its end: there are no results")
}

async fn run(arguments: Run) -> anyhow::Result<()> {
    let wanted = |scenario| arguments.only.is_empty() || arguments.only.contains(&scenario);
    let plan = Plan {
        binary: std::path::absolute(&arguments.bin)?,
        records: arguments.records,
        partitions: arguments.partitions,
        repetitions: arguments.repetitions,
        out: std::path::absolute(&arguments.out)?,
        peers: arguments.peers.as_deref().map(std::path::absolute).transpose()?,
        peer_limit: Duration::from_secs(arguments.peer_seconds),
        profile: arguments.profile,
    };
    let machine = Machine::look(&plan.binary, stack::repository());
    let bench = Bench::prepare(plan).await?;
    let peers: Vec<Peer> = match &bench.plan.peers {
        Some(folder) => Peer::ALL.into_iter().filter(|peer| peer.is_built(folder)).collect(),
        None => Vec::new(),
    };
    let mut runs = Runs::default();
    if wanted(Scenario::Ceiling) {
        eprintln!("keeping the inserts of one drain");
        ceiling_runs::keep(&bench).await?;
    }
    // In turn, so that a machine that gets slower or faster does so for everybody.
    for repetition in 1..=bench.plan.repetitions {
        if wanted(Scenario::Drain) {
            runs.add(drain::run(&bench, repetition).await?);
        }
        if wanted(Scenario::Ceiling) && repetition <= STEADY {
            for part in [Part::Consume, Part::Insert, Part::Both] {
                runs.add(ceiling_runs::run(&bench, part, repetition).await?);
            }
        }
        if wanted(Scenario::Alone) {
            runs.add(alone::run(&bench, repetition).await?);
        }
        if wanted(Scenario::Peers) && repetition <= STEADY {
            for &peer in &peers {
                runs.add_if(peers::drain(&bench, peer, repetition).await);
            }
        }
    }
    if wanted(Scenario::Embedded) {
        for repetition in 1..=bench.plan.repetitions.min(STEADY) {
            runs.add(embedded::run(&bench, repetition, bench.plan.records / 15).await?);
        }
    }
    if wanted(Scenario::Latency) {
        // The last one: it empties the topic.
        let measured_for = Duration::from_secs(arguments.latency_seconds);
        for repetition in 1..=bench.plan.repetitions.min(STEADY) {
            runs.add(latency::ours(&bench, repetition, arguments.rate, measured_for).await?);
            for &peer in peers.iter().filter(|_| wanted(Scenario::Peers)) {
                let rate = peers::steady_rate(peer, &runs.0, arguments.rate);
                runs.add_if(latency::of_peer(&bench, peer, repetition, rate, measured_for).await);
            }
        }
    }
    report::write(&bench, &machine, &runs.0)?;
    bench.kafka.process.stop().await
}

/// Everything measured so far.
#[derive(Debug, Default)]
struct Runs(Vec<Measurement>);

impl Runs {
    /// A peer that fails does not end the benchmark: it is told, and missing in the table.
    fn add_if(&mut self, run: anyhow::Result<Measurement>) {
        match run {
            Ok(run) => self.add(run),
            Err(error) => eprintln!("left out: {error:#}"),
        }
    }

    fn add(&mut self, run: Measurement) {
        report::line(&run);
        self.0.push(run);
    }
}
