//! The embedded engine, when it ends by itself and when it is stopped.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use crate::harness::{Options, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_is_started_again_and_no_record_is_lost_or_there_twice() {
    let stack = Stack::start_embedded(Options { pipelines: &["loan"], sources: false, ..Options::default() }).await;
    let mut command = stack.command();
    let producing = command.args(["produce", "loan", "--source", "requests", "--rows", "60000", "--rate", "20000"]);
    let mut producing = producing.stdout(Stdio::null()).spawn().unwrap();
    for rows in [1_000, 20_000, 40_000] {
        stack.sql_becomes(&format!("SELECT count() >= {rows} FROM loan_features"), "1").await;
        stack.kill_engine();
    }
    // Who hangs up in the middle of a request's head has killed engines before.
    let port = stack.clickhouse_settings.url.port().unwrap();
    for _ in 0..4 {
        if let Ok(mut hasty) = TcpStream::connect(("127.0.0.1", port)) {
            let _ = hasty.write_all(b"POST / HTTP/1.1\r\nHost: local");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(tokio::task::spawn_blocking(move || producing.wait()).await.unwrap().unwrap().success());
    stack.sql_becomes("SELECT count() FROM loan_features", "60000").await;
    let audit = stack.cli_ok(&["audit", "loan"]).await;
    assert!(audit.contains("balanced"), "{audit}");
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_stop_in_the_middle_of_work_the_engine_is_there_until_nobody_needs_it() {
    let stack = Stack::start_embedded(Options { pipelines: &["loan"], sources: false, ..Options::default() }).await;
    let mut command = stack.command();
    command.args(["produce", "loan", "--source", "requests", "--rows", "1000000", "--rate", "20000"]);
    let mut producing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    stack.sql_becomes("SELECT count() >= 20000 FROM loan_features", "1").await;
    let (well, log) = stack.stop_and_tell().await;
    producing.kill().unwrap();
    producing.wait().unwrap();
    let engine = log.find("stopping the ClickHouse engine").unwrap_or_else(|| panic!("{log}"));
    let stages: Vec<usize> = log.match_indices(" stopped stage=").map(|(place, _)| place).collect();
    assert!(well && stages.len() >= 5 && stages.iter().all(|place| *place < engine), "{log}");
}
