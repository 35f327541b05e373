//! What can be wrong at the start, each one clear sentence and an exit code.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::harness::{BrokerKind, binary, copy_pipelines, output};

fn up(folder: &std::path::Path, arguments: &[&str]) -> Output {
    let pipelines = copy_pipelines(&["iris"], folder);
    let mut command = Command::new(binary());
    command.args(["up", "--json", "--no-sources", "--pipelines"]).arg(pipelines);
    output(command.arg("--data-dir").arg(folder.join("data")).args(arguments))
}

fn sentence(output: &Output) -> String {
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_else(|| panic!("no error line in:\n{text}"))
        .to_owned()
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let free = ["--broker-port", "0", "--clickhouse-port", "0", "--gateway-listen", "127.0.0.1:0"];
    for flag in [0, 2] {
        let mut arguments = free;
        arguments[flag + 1] = &port;
        assert!(sentence(&up(folder.path(), &arguments)).contains(&port), "{}", arguments[flag]);
    }
    let address = format!("127.0.0.1:{port}");
    let mut arguments = free;
    arguments[5] = &address;
    assert!(sentence(&up(folder.path(), &arguments)).contains(&port));
}

#[test]
fn a_data_folder_held_by_another_process_is_said_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let held = driftmill_embedded::DataDir::acquire(&data).unwrap();
    let arguments = ["--broker-port", "0", "--clickhouse-port", "0", "--gateway-listen", "127.0.0.1:0"];
    let said = sentence(&up(folder.path(), &arguments));
    assert!(said.contains(&std::process::id().to_string()), "{said}");
    drop(held);
}

#[test]
fn a_missing_engine_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipelines = copy_pipelines(&["iris"], folder.path());
    let mut command = Command::new(binary());
    command
        .args(["up", "--json", "--broker-port", "0", "--clickhouse-port", "0", "--gateway-listen", "127.0.0.1:0"])
        .arg("--pipelines")
        .arg(pipelines)
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .env("DRIFTMILL_CHDB_LIB", folder.path().join("nothing.so"));
    let said = sentence(&output(&command));
    assert!(said.contains("make setup") || said.contains("nothing.so"), "{said}");
}

#[test]
fn a_wrong_pipeline_file_is_refused_with_file_line_and_fix() {
    let folder = tempfile::tempdir().unwrap();
    let pipelines = copy_pipelines(&["iris"], folder.path());
    let file = pipelines.join("iris/pipeline.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let cases = [
        (text.replace("features:", "featurs:"), "did you mean `features`"),
        (text.replace("- name: petal_width", "- name: petal_width\n    sql: petal_widht * 2"), "petal_width"),
        (text.replace("partitions: 2", "partitions: 0"), "1 to 1000"),
        (text.replace("random_forest", "random_forrest"), "random_forest"),
    ];
    for (broken, expected) in cases {
        std::fs::write(&file, broken).unwrap();
        let ended = output(Command::new(binary()).args(["check", "iris", "--pipelines"]).arg(&pipelines));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains(expected), "{said}");
        assert!(said.contains("pipeline.yaml:"), "{said}");
    }
}

#[test]
fn settings_are_shown_without_secrets_and_unknown_ones_refused() {
    let asked = |variable, value| output(Command::new(binary()).arg("--print-config").env(variable, value));
    let told = asked("DRIFTMILL_CLICKHOUSE_PASSWORD", "hunter2");
    let shown = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.success() && shown.contains("brokers") && !shown.contains("hunter2"), "{shown}");
    assert!(sentence(&asked("DRIFTMILL_KAFKA_BROKER", "x")).contains("KAFKA_BROKERS"));
}

#[test]
fn the_chosen_broker_is_one_that_exists() {
    assert!(matches!(BrokerKind::chosen(), BrokerKind::Embedded | BrokerKind::Kafka));
}
