//! What one run of one system gave.

use serde::Serialize;
use tokio::time::Instant;

use crate::proc::{self, Memory};
use crate::stack::{Engine, Process};

/// CPU seconds, user and system.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Cpu {
    /// The system that is measured.
    pub system: f64,
    /// The broker.
    pub kafka: f64,
    /// ClickHouse.
    pub engine: f64,
    /// This harness: polling, sampling, and the sink where there is one.
    pub harness: f64,
    /// Everything else that ran on this machine meanwhile.
    pub others: f64,
    /// Denied by the host under a virtual machine.
    pub stolen: f64,
    /// Seconds on the wall in which all this was used.
    pub wall: f64,
}

/// Whether every record is accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Records in the topic.
    pub offsets: u64,
    /// Rows that the view shows.
    pub rows: u64,
    /// Rows in the table underneath, before replaced ones are merged away.
    pub stored: u64,
    /// Dead letters, one a position.
    pub dead_letters: u64,
    /// Offsets with neither.
    pub lost: i64,
    /// Positions that the view shows more than once.
    pub twice: u64,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// What was done.
    pub scenario: &'static str,
    /// Who did it.
    pub system: String,
    /// Partitions of the topic.
    pub partitions: i32,
    /// From 1.
    pub repetition: usize,
    /// Rows (or records) done in `seconds`.
    pub rows: u64,
    /// From the first visible rows to the last.
    pub seconds: f64,
    /// From the start of the process to the first visible rows.
    pub start_seconds: f64,
    /// `rows / seconds`.
    pub rows_per_second: f64,
    /// From the start of the process to the last visible rows.
    pub cpu: Cpu,
    /// Peaks, in KiB.
    pub memory: Memory,
    /// The count check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Whatever else is worth knowing.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl Measurement {
    /// Rows a second of the measured system's own CPU time.
    pub fn rows_per_cpu_second(&self) -> f64 {
        self.done() as f64 / self.cpu.system.max(0.01)
    }

    /// Rows a second of CPU time of system, broker and engine together.
    pub fn rows_per_all_cpu_second(&self) -> f64 {
        self.done() as f64 / (self.cpu.system + self.cpu.kafka + self.cpu.engine).max(0.01)
    }

    /// A number of `more`.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.more.get(key).and_then(serde_json::Value::as_f64)
    }

    /// CPU time is counted from the start of the process, so the rows are too.
    fn done(&self) -> u64 {
        self.more.get("all_rows").and_then(serde_json::Value::as_u64).unwrap_or(self.rows)
    }
}

/// The CPU clocks of everybody involved, read at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    system: f64,
    kafka: f64,
    engine: f64,
    harness: f64,
    machine: f64,
    stolen: f64,
    at: Instant,
}

/// Who is involved.
#[derive(Debug, Clone, Copy)]
pub struct Involved<'a> {
    /// The broker.
    pub kafka: Option<&'a Process>,
    /// ClickHouse.
    pub engine: Option<&'a Engine>,
    /// A process of the harness besides this one.
    pub helper: Option<&'a Process>,
}

impl Involved<'_> {
    /// Reads the clocks; `system` may not have started yet.
    pub fn clocks(&self, system: Option<&Process>) -> anyhow::Result<Clocks> {
        let of = |process: Option<&Process>| process.map_or(Ok(0.0), |p| proc::cpu_seconds(p.pid()));
        let (machine, stolen) = proc::machine_seconds()?;
        Ok(Clocks {
            system: of(system)?,
            kafka: of(self.kafka)?,
            engine: self.engine.map_or(Ok(0.0), |e| proc::cpu_seconds(e.pid()))?,
            harness: of(self.helper)? + proc::cpu_seconds(std::process::id())?,
            machine,
            stolen,
            at: Instant::now(),
        })
    }
}

impl Clocks {
    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Cpu {
        let (system, kafka) = (self.system - earlier.system, self.kafka - earlier.kafka);
        let (engine, harness) = (self.engine - earlier.engine, self.harness - earlier.harness);
        let others = (self.machine - earlier.machine) - (system + kafka + engine + harness);
        let (stolen, wall) = (self.stolen - earlier.stolen, (self.at - earlier.at).as_secs_f64());
        Cpu { system, kafka, engine, harness, others: others.max(0.0), stolen, wall }
    }
}
