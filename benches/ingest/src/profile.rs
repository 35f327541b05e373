//! A `perf` profile of a process while it is measured, for those who tune it. It costs the process a few per cent.

use std::path::Path;

use anyhow::Context as _;
use tokio::process::Command;

use crate::stack::Process;

/// A profile in the making.
#[derive(Debug)]
pub struct Profile {
    recorder: Process,
}

impl Profile {
    /// Starts recording process `pid` into `<folder>/perf-<name>.data`.
    pub fn start(pid: u32, folder: &Path, name: &str) -> anyhow::Result<Self> {
        let file = folder.join(format!("perf-{name}.data"));
        let mut command = Command::new("perf");
        command.args(["record", "--freq", "1999", "--call-graph", "fp", "--pid", &pid.to_string(), "--output"]);
        command.arg(&file);
        let log = folder.join(format!("perf-{name}.log"));
        let recorder = Process::start("perf", &command, &log, None).context("PROFILE=1 needs `perf`")?;
        eprintln!("profile: perf report --input {}", file.display());
        Ok(Self { recorder })
    }

    /// Writes the profile down.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.recorder.stop().await
    }
}
