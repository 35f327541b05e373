//! A whole Driftmill whose models and snapshots are in S3.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{BUCKET, Options, Process, S3Server, Stack, eventually, files_below, free_port, output};

const FLOWERS: &str = r#"{"input": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}"#;

async fn stack(server: &S3Server) -> Stack {
    let mut environment = server.environment();
    environment.push(("DRIFTMILL_OBJECT_STORE".to_owned(), format!("s3://{BUCKET}/driftmill")));
    Stack::start(Options { environment, ..Options::default() }).await
}

async fn predictions(stack: &Stack, gateway: &str) -> Option<Value> {
    let body: Value = serde_json::from_str(FLOWERS).unwrap();
    let answer = stack.http.post(format!("{gateway}/predict")).json(&body).send().await.ok()?;
    let answer: Value = answer.error_for_status().ok()?.json().await.ok()?;
    Some(answer["predictions"].clone())
}

/// Another gateway beside the stack's own, which has nothing but the registry and the bucket.
fn gateway(stack: &Stack, folder: &std::path::Path) -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = stack.command();
    command.arg("serve").env("DRIFTMILL_GATEWAY_LISTEN", &address);
    (Process::start("another gateway", command, folder.join("gateway.log")), format!("http://{address}"))
}

fn train(stack: &Stack, folder: &std::path::Path, trees: u32) -> Process {
    let mut command: Command = stack.command();
    command.args(["train", "iris", "--direct", "--param", &format!("n_estimators={trees}")]);
    Process::start("driftmill train", command, folder.join("train.log"))
}

async fn ends_well(mut training: Process) {
    let status = eventually("the training ends", async || training.ending()).await;
    assert!(status.success(), "{}", training.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_snapshots_are_in_s3_for_gateways_and_commands_elsewhere() {
    let (server, folder) = (S3Server::start().await, tempfile::tempdir().unwrap());
    let stack = stack(&server).await;
    let first = stack.serves("iris", |_| true).await;
    let objects = files_below(&server.files());
    assert!(objects.len() >= 3 && objects.iter().all(|path| path.starts_with("driftmill/sha256")), "{objects:?}");
    assert!(files_below(&stack.data().join("objects")).is_empty(), "no object is on this machine's disk");

    let (_process, elsewhere) = gateway(&stack, folder.path());
    let told = eventually("another gateway answers", async || predictions(&stack, &elsewhere).await).await;
    assert_eq!(told, json!([0, 2]));

    ends_well(train(&stack, folder.path(), 20)).await;
    let second = stack.serves("iris", |version| version > first).await;
    let listed = stack.cli_ok(&["models", "list", "iris"]).await;
    assert!(listed.contains("champion") && listed.lines().count() > 2, "{listed}");
    stack.cli_ok(&["models", "rollback", "iris"]).await;
    assert_eq!(stack.serves("iris", |version| version != second).await, first);

    let to = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    stack.cli_ok(&["models", "export", "iris", "1", "--to", &to("exported")]).await;
    let exported = |name: &str| std::fs::read(folder.path().join("exported").join(name)).unwrap();
    let model = exported("iris-v1.model");

    let snapshot = stack.sql("SELECT any(snapshot) FROM model_versions WHERE pipeline = 'iris' AND version = 1").await;
    assert!(stack.cli_ok(&["data", "list", "iris"]).await.contains(&snapshot[..8]));
    assert!(stack.cli_ok(&["data", "show", &snapshot[..12]]).await.contains("petal_length"));
    stack.cli_ok(&["data", "restore", &snapshot, "--to", &to("restored")]).await;
    assert_eq!(std::fs::read(folder.path().join("restored/iris-v1.model")).unwrap(), model);
    stack.cli_ok(&["data", "export", &snapshot, "--to", &to("rows.csv")]).await;
    let rows = std::fs::read_to_string(folder.path().join("rows.csv")).unwrap();
    assert_eq!(rows.lines().count(), 151);

    // Whoever has the links needs neither a key nor Driftmill.
    let links = stack.cli_ok(&["models", "export", "iris", "1", "--link", "--expires", "15m"]).await;
    let links: Vec<(&str, &str)> = links.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!(links.len(), 3);
    for (name, link) in links {
        let bytes = stack.http.get(link).send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        assert!(bytes == exported(name), "{name}");
    }
    let link = stack.cli_ok(&["data", "export", &snapshot, "--link"]).await;
    let (name, link) = link.trim_end().split_once('\t').unwrap();
    let bytes = stack.http.get(link).send().await.unwrap().bytes().await.unwrap();
    assert!(bytes == exported(name), "{name}");

    let mut command = stack.command();
    let secret = "n0t-the-secret";
    command.args(["data", "show", &snapshot]).env("AWS_SECRET_ACCESS_KEY", secret);
    let output = tokio::task::spawn_blocking(move || output(&command)).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("AWS_SECRET_ACCESS_KEY") && !said.contains(secret), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_s3_is_down_the_gateway_answers_and_a_training_waits_and_no_model_is_half_there() {
    let (mut server, folder) = (S3Server::start().await, tempfile::tempdir().unwrap());
    let stack = stack(&server).await;
    let first = stack.serves("iris", |_| true).await;
    let runs = "SELECT uniqExact(run_id) FROM runs WHERE pipeline = 'iris' AND state = 'started'";

    // Asked for while it is down.
    server.kill();
    let training = train(&stack, folder.path(), 20);
    stack.sql_becomes(runs, "2").await;
    assert_eq!(predictions(&stack, &stack.gateway).await, Some(json!([0, 2])));
    assert_eq!(stack.serves("iris", |_| true).await, first);
    let snapshot = stack.sql("SELECT any(snapshot) FROM model_versions WHERE pipeline = 'iris'").await;
    let output = stack.cli(&["data", "show", &snapshot]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(&server.endpoint()), "{said}");
    server.start_again().await;
    ends_well(training).await;
    let second = stack.serves("iris", |version| version > first).await;

    // Killed while one is on, which is held there.
    let mut training = train(&stack, folder.path(), 4_000);
    stack.sql_becomes(runs, "3").await;
    training.signal(Signal::STOP);
    server.kill();
    assert!(training.is_running(), "it ended before the server was killed");
    training.signal(Signal::CONT);
    server.start_again().await;
    ends_well(training).await;
    stack.serves("iris", |version| version > second).await;

    // Each version that is registered is whole.
    let versions = stack.sql("SELECT count(), uniqExact(run_id) FROM model_versions WHERE pipeline = 'iris'").await;
    assert_eq!(versions, "3\t3");
    let store = server.store("driftmill");
    let hashes = stack
        .sql("SELECT arrayStringConcat(groupUniqArrayArray([artifact, reference, snapshot]), ' ') FROM model_versions")
        .await;
    for hash in hashes.split(' ') {
        store.get(hash).await.unwrap();
    }
}
