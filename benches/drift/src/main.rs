//! What our drift library says and costs: `benches/drift/bench.py` asks it and its peers alike. The question is JSON on
//! standard input, the answer one JSON object on standard output.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures time as it goes by")]

mod agree;
mod detect;
mod judge;
mod level;
mod measure;
mod question;
mod speed;

use std::io::Read as _;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use serde::de::DeserializeOwned;

/// Answers one question.
#[derive(Parser)]
struct Arguments {
    /// What is asked.
    task: Task,
}

#[derive(Clone, Copy, ValueEnum)]
enum Task {
    /// Values a second that a profile counts, a distribution at a time.
    Update,
    /// A table against a table: CPU seconds of the reference, of the live profile and of the verdict.
    Contest,
    /// Bytes a feature and pane.
    Memory,
    /// D and p of pairs of samples.
    Pairs,
    /// χ², PSI and Jensen–Shannon of tables of counts, q-values of p-values.
    Counts,
    /// Reports of windows.
    Judge,
    /// Alarms of the detector between windows.
    Detect,
}

fn main() -> anyhow::Result<()> {
    let asked = Arguments::parse();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let answer = match asked.task {
        Task::Update => speed::update(&read(&text)?),
        Task::Contest => speed::contest(&read(&text)?),
        Task::Memory => speed::memory(&read(&text)?),
        Task::Pairs => agree::pairs(&read(&text)?),
        Task::Counts => agree::counts(&read(&text)?),
        Task::Judge => judge::judge(&read(&text)?),
        Task::Detect => detect::detect(&read(&text)?),
    }?;
    println!("{answer}");
    Ok(())
}

fn read<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).context("the question on standard input")
}
