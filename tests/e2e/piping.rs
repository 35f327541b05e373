//! Rows from the standard input.

use std::io::Write as _;
use std::process::Stdio;

use crate::harness::{Options, Stack};

fn lines(ids: std::ops::Range<u32>) -> String {
    let line = |id| {
        format!(
            "{{\"sepal_length\":{}.0,\"sepal_width\":3.5,\"petal_length\":1.4,\"petal_width\":0.2,\"species\":\"setosa\"}}\n",
            id + 1
        )
    };
    ids.map(line).collect()
}

/// Runs `driftmill produce iris --stdin` on `input` to its end.
async fn produce(stack: &Stack, more: &[&str], input: String) -> (bool, String) {
    let output = stack.feed(&[&["produce", "iris", "--stdin"], more].concat(), input).await;
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_pipe_is_fed_again_and_every_row_is_there_once() {
    let stack = Stack::start(Options { sources: false, ..Options::default() }).await;
    // Open for ever, so that the kill finds it in the middle.
    let mut command = stack.command();
    command.args(["produce", "iris", "--stdin"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines(0..7).as_bytes()).unwrap();
    stack.sql_becomes("SELECT count() FROM iris_features", "7").await;
    child.kill().unwrap();
    child.wait().unwrap();
    drop(stdin);

    // The writer stops in the middle of a row: that row is not sent, and comes whole the next time.
    let torn = lines(0..10);
    let (ok, told) = produce(&stack, &["--resume"], torn[..torn.len() - 5].to_owned()).await;
    assert!(!ok && told.contains("9 rows are acknowledged") && told.contains("--skip 9"), "{told}");
    let (ok, told) = produce(&stack, &["--resume"], lines(0..12)).await;
    assert!(ok && told.contains("3 records sent, 9 were there already"), "{told}");
    let all = "SELECT count(), uniqExact(sepal_length), max(sepal_length) FROM iris_features";
    stack.sql_becomes(all, "12\t12\t12").await;

    let (ok, told) = produce(&stack, &["--skip", "11"], lines(0..12)).await;
    assert!(ok && told.contains("1 records sent, 11 were there already"), "{told}");
    let csv = "sepal_length,sepal_width,petal_length,petal_width,species\n15,3.5,1.4,0.2,setosa\n";
    assert!(produce(&stack, &["--format", "csv"], csv.to_owned()).await.0);
    stack.sql_becomes("SELECT count(), max(sepal_length) FROM iris_features", "14\t15").await;
}
