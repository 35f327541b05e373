//! CPU time and memory of this process.

use anyhow::{Context as _, bail};
use cpu_time::ProcessTime;

/// What `work` answers, and its CPU seconds.
pub fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let started = ProcessTime::try_now()?;
    let answer = work()?;
    Ok((answer, started.try_elapsed()?.as_secs_f64()))
}

/// Resident memory, in bytes.
pub fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let Some(line) = status.lines().find(|line| line.starts_with("VmRSS")) else { bail!("there is no VmRSS") };
    Ok(line.split_whitespace().nth(1).context("no figure")?.parse::<f64>()? * 1024.0)
}
