//! What was measured on, for the results.

use std::path::Path;

use serde::Serialize;

/// A machine and the versions of what ran on it.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processor and how many of it we have.
    pub processor: String,
    /// GiB of memory.
    pub memory_gib: f64,
    /// Kernel.
    pub kernel: String,
    /// Whether the processor is shared with strangers.
    pub virtual_machine: bool,
    /// What runs, with versions.
    pub software: Vec<String>,
    /// Load averages of 1, 5 and 15 minutes before the first run.
    pub load_before: String,
}

impl Machine {
    /// This machine. `binary` is the measured program, `repository` its sources.
    pub fn look(binary: &Path, repository: &Path) -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let (cpu, memory) = (file("/proc/cpuinfo"), file("/proc/meminfo"));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kib: f64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
        let said = |program: &str, arguments: &[&str]| {
            let output = std::process::Command::new(program).args(arguments).current_dir(repository).output().ok()?;
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_owned())
        };
        let pom = std::fs::read_to_string(repository.join("tests/kafka/pom.xml")).unwrap_or_default();
        let kafka = pom.split("<kafka.version>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("?");
        let commit = said("git", &["describe", "--always", "--dirty"]).unwrap_or_default();
        let mut software = vec![
            format!("{} ({commit})", said(&binary.to_string_lossy(), &["--version"]).unwrap_or_default()),
            format!("Apache Kafka {kafka}, KRaft, one node, heap 512 MiB"),
        ];
        software.extend(said("java", &["-version"]));
        Self {
            processor: format!("{} × {cores}", field(&cpu, "model name")),
            memory_gib: kib / 1024.0 / 1024.0,
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            virtual_machine: field(&cpu, "flags").split(' ').any(|flag| flag == "hypervisor"),
            software,
            load_before: file("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        }
    }

    /// As a list in Markdown.
    pub fn markdown(&self) -> String {
        let kind = if self.virtual_machine { "virtual machine" } else { "hardware" };
        let Self { processor, memory_gib, kernel, load_before, .. } = self;
        let mut text = format!(
            "- {kind}, {processor}, {memory_gib:.0} GiB, Linux {kernel}; load average before the first run: {load_before}\n"
        );
        for one in &self.software {
            text.push_str(&format!("- {one}\n"));
        }
        text
    }
}
