//! What the kernel says about processes: CPU time and memory.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The kernel's clock ticks a second; 100 on every Linux of today.
const TICKS: f64 = 100.0;
const EVERY: Duration = Duration::from_millis(100);

/// CPU seconds, user and system, that a process and its ended threads have used.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
    // The second field is the name in parentheses, which may hold anything.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/PID/stat has another form")?;
    Ok((user + system) / TICKS)
}

/// CPU seconds that this machine has spent on anything, and those it was denied by its host.
pub fn machine_seconds() -> anyhow::Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> = first.split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    let [user, nice, system, _idle, _wait, irq, softirq, steal, ..] = fields[..] else {
        anyhow::bail!("/proc/stat has another form");
    };
    Ok(((user + nice + system + irq + softirq) / TICKS, steal / TICKS))
}

/// Resident memory in KiB.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Memory {
    /// All of it.
    pub rss: u64,
    /// Heap, stacks and written data: what the process made.
    pub anonymous: u64,
    /// Mapped files: code and libraries.
    pub file: u64,
}

/// Resident memory of a process now.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid}"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_end_matches(" kB").trim().parse::<u64>().ok()
    };
    Ok(Memory {
        rss: field("VmRSS:").unwrap_or(0),
        anonymous: field("RssAnon:").unwrap_or(0),
        file: field("RssFile:").unwrap_or(0),
    })
}

/// One look at a process's memory.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Seconds since the first look.
    pub at: f64,
    /// Memory then.
    pub memory: Memory,
}

/// Looks at a process's memory ten times a second.
#[derive(Debug)]
pub struct Sampler {
    stop: CancellationToken,
    task: JoinHandle<Vec<Sample>>,
}

impl Sampler {
    /// Starts looking.
    pub fn start(pid: u32) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let started = Instant::now();
            let mut samples = Vec::new();
            while let Ok(memory) = memory(pid) {
                samples.push(Sample { at: started.elapsed().as_secs_f64(), memory });
                tokio::select! {
                    () = tokio::time::sleep(EVERY) => {}
                    () = stopped.cancelled() => break,
                }
            }
            samples
        });
        Self { stop, task }
    }

    /// Stops, and returns what was seen.
    pub async fn finish(self) -> anyhow::Result<Vec<Sample>> {
        self.stop.cancel();
        self.task.await.context("the sampler")
    }
}

/// The greatest of each kind of memory.
pub fn peak(samples: &[Sample]) -> Memory {
    samples.iter().fold(Memory::default(), |peak, sample| Memory {
        rss: peak.rss.max(sample.memory.rss),
        anonymous: peak.anonymous.max(sample.memory.anonymous),
        file: peak.file.max(sample.memory.file),
    })
}

/// Writes samples as CSV: seconds, then KiB.
pub fn write_csv(path: &Path, samples: &[Sample]) -> anyhow::Result<()> {
    let mut text = String::from("seconds,rss_kib,anonymous_kib,file_kib\n");
    for Sample { at, memory } in samples {
        text.push_str(&format!("{at:.2},{},{},{}\n", memory.rss, memory.anonymous, memory.file));
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
