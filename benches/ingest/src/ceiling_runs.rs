//! Runs the ceiling: keeps the inserts of one drain, then makes them again.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::process::Command;

use crate::alone::Sink;
use crate::bench::{Bench, TOPIC};
use crate::ceiling::{Outcome, Part};
use crate::drain::{self, Seen};
use crate::measure::{Involved, Measurement};
use crate::proc;
use crate::sink::Mode;
use crate::stack::{Engine, Process};

const LOOK: Duration = Duration::from_millis(20);

/// One drain, not measured, whose inserts into the feature table are kept.
pub async fn keep(bench: &Bench) -> anyhow::Result<()> {
    bench.reset().await?;
    let engine = bench.engine().await?;
    let sink = Sink::start(bench, &engine, Mode::Keep, None).await?;
    let mut process = bench.processor(&engine, &sink.url, None)?;
    drain::watch(&engine, &mut process, bench.expected_rows(), None).await?;
    process.stop().await?;
    sink.process.stop().await?;
    engine.stop().await;
    Ok(())
}

/// One run of one part.
pub async fn run(bench: &Bench, part: Part, repetition: usize) -> anyhow::Result<Measurement> {
    let engine = bench.engine().await?;
    bench.make_feature_table(&engine).await?;
    let report = bench.path("ceiling.json");
    let involved = Involved { kafka: Some(&bench.kafka.process), engine: Some(&engine), helper: None };
    let before = involved.clocks(None)?;
    let mut process = start(bench, &engine, part)?;
    let mut memory = proc::Memory::default();
    while !process.has_ended()? {
        // An ended process that nobody has asked after yet has no memory any more.
        let now = proc::memory(process.pid()).unwrap_or_default();
        if now.rss > memory.rss {
            memory = now;
        }
        tokio::time::sleep(LOOK).await;
    }
    let outcome: Outcome = match std::fs::read(&report) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => bail!("the ceiling did not report: {}", process.last_words()),
    };
    std::fs::remove_file(&report)?;
    let mut cpu = involved.clocks(None)?.since(&before);
    // The kernel forgets an ended process: it measured itself. The harness did not run besides looking.
    cpu.others = (cpu.others - outcome.cpu).max(0.0);
    cpu.system = outcome.cpu;
    let rows = if part == Part::Consume { bench.loaded.records } else { bench.feature_rows(&engine).await? };
    engine.stop().await;
    let (scenario, name) = match part {
        Part::Consume => ("ceiling", "consume"),
        Part::Insert => ("ceiling", "insert"),
        Part::Both => ("ceiling", "consume + insert"),
    };
    let seen = Seen { first: 0.0, first_rows: 0, last: outcome.seconds, rows };
    let mut measured = drain::measurement(scenario, name, bench, repetition, seen, cpu, memory, None);
    measured.more.insert("inserts".to_owned(), json!(outcome.inserts));
    Ok(measured)
}

fn start(bench: &Bench, engine: &Engine, part: Part) -> anyhow::Result<Process> {
    let (user, password, _) = engine.login();
    let file = bench.path("password");
    std::fs::write(&file, password).context("the password file")?;
    let part = match part {
        Part::Consume => "consume",
        Part::Insert => "insert",
        Part::Both => "both",
    };
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["ceiling", "--part", part, "--brokers", &bench.kafka.brokers, "--topic", TOPIC])
        .args(["--records", &bench.loaded.records.to_string(), "--url", engine.url(), "--user", user])
        // So that the engine need not wait for the next body.
        .args(["--at-once", "2"])
        .arg("--password-file")
        .arg(&file)
        .arg("--folder")
        .arg(bench.path("kept"))
        .arg("--report")
        .arg(bench.path("ceiling.json"));
    Process::start("the ceiling", &command, &bench.path("ceiling.log"), None)
}
