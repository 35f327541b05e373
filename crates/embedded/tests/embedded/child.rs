//! The engine's process never outlives the one it serves. Two guards see to that, and either hides that the other is gone:
//! here each is alone.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use driftmill_embedded::engine::library;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{Embedded, program};

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is the engine, or has it as its child.
struct Started {
    process: Child,
    stdin: Option<ChildStdin>,
    /// What the engine writes: they end when it does, whoever else is still there.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    /// Starts `command` with the arguments of the hidden role, but for the parent; returns when the engine serves.
    async fn serving(mut command: Command, data_dir: &Path, parent: Option<u32>) -> Self {
        // What the engine starts from.
        Embedded::start(data_dir).await.stop().await;
        command.arg(program()).arg("engine-child").arg(library::locate().unwrap()).arg(data_dir).arg("0");
        command.args(parent.map(|parent| parent.to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take().unwrap());
        let mut lines = BufReader::new(stdout).lines();
        let port = timeout(PATIENCE, lines.next_line()).await.expect("the engine says its port").unwrap();
        port.expect("the engine says its port before it ends").parse::<u16>().unwrap();
        Self { process, stdin, lines }
    }

    async fn engine_ends(&mut self) {
        let next = timeout(PATIENCE, self.lines.next_line()).await.expect("the engine ends");
        assert_eq!(next.unwrap(), None);
    }
}

#[tokio::test]
async fn an_engine_ends_with_its_parent_although_its_standard_input_stays_open() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // With something left to do the shell does not become the engine, but has it as its child.
    shell.args(["-c", r#""$@" $$; true"#, "sh"]);
    let mut started = Started::serving(shell, home.path(), None).await;
    started.process.kill().await.unwrap();
    started.engine_ends().await;
    assert!(started.stdin.is_some(), "held open until here");
}

#[tokio::test]
async fn an_engine_ends_with_its_standard_input_although_its_parent_lives() {
    let home = tempfile::tempdir().unwrap();
    let mut started = Started::serving(Command::new("env"), home.path(), Some(std::process::id())).await;
    started.stdin = None;
    started.engine_ends().await;
}

#[tokio::test]
async fn an_engine_whose_parent_is_gone_before_it_starts_does_not_start() {
    let home = tempfile::tempdir().unwrap();
    Embedded::start(home.path()).await.stop().await;
    let mut command = Command::new(program());
    command.arg("engine-child").arg(library::locate().unwrap()).arg(home.path()).args(["0", &i32::MAX.to_string()]);
    // Open, so that its end is not what ends the child.
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let _open = child.stdin.take();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("the child ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("Orphaned"), "{said}");
}
