//! What the embedded infrastructure promises, seen from outside: the example program is started, used and killed.
//! Needs the engine (`make setup`).

#![allow(clippy::unwrap_used)]

mod child;
mod engine;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use url::Url;

/// The example, as built beside this test.
fn program() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().unwrap().parent().unwrap().join("examples/embedded");
    assert!(program.is_file(), "{} is built by `cargo test` unless single targets are chosen", program.display());
    program
}

/// A running example.
struct Embedded {
    process: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    broker: Option<String>,
    url: Url,
    engine_pid: i32,
}

impl Embedded {
    async fn start(data_dir: &Path) -> Self {
        let mut process = Command::new(program())
            .arg(data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = process.stdin.take().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut broker = None;
        loop {
            let line = lines.next_line().await.unwrap().expect("the example says where the engine is before it ends");
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["broker", address] => broker = Some(address.to_owned()),
                ["clickhouse", url, "pid", pid] => {
                    let (url, engine_pid) = (url.parse().unwrap(), pid.parse().unwrap());
                    return Self { process, stdin, lines, broker, url, engine_pid };
                }
                _ => panic!("unexpected line: {line}"),
            }
        }
    }

    /// Runs a query; returns the answer and whether it was a success.
    async fn query(&self, login: Option<&Login>, query: &str) -> (bool, String) {
        let mut request = reqwest::Client::builder().no_proxy().build().unwrap().post(self.url.clone());
        if let Some(Login { user, password }) = login {
            request = request.header("X-ClickHouse-User", user).header("X-ClickHouse-Key", password);
        }
        let response = request.body(query.to_owned()).send().await.unwrap();
        (response.status().is_success(), response.text().await.unwrap().trim().to_owned())
    }

    async fn answer(&self, login: &Login, query: &str) -> String {
        let (success, answer) = self.query(Some(login), query).await;
        assert!(success, "{query}: {answer}");
        answer
    }

    /// Closes the example's standard input and waits for its orderly end.
    async fn stop(self) {
        let Self { mut process, stdin, mut lines, .. } = self;
        drop(stdin);
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("stopped"));
        assert!(process.wait().await.unwrap().success());
    }
}

/// What the credentials file says.
struct Login {
    user: String,
    password: String,
}

impl Login {
    fn of(data_dir: &Path) -> Self {
        let file = std::fs::read_to_string(data_dir.join("clickhouse-credentials")).unwrap();
        let value = |name| file.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        Self { user: value("CLICKHOUSE_USER="), password: value("CLICKHOUSE_PASSWORD=") }
    }
}

#[tokio::test]
async fn the_tables_are_open_to_whoever_knows_the_password_and_to_nobody_else() {
    let home = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(home.path()).await;
    let login = Login::of(home.path());
    embedded.answer(&login, "CREATE TABLE driftmill.t (a Int32) ENGINE = ReplacingMergeTree ORDER BY a").await;
    embedded.answer(&login, "INSERT INTO driftmill.t SELECT number FROM numbers(1000)").await;
    assert_eq!(embedded.answer(&login, "SELECT sum(a) FROM driftmill.t").await, "499500");
    assert_eq!(embedded.answer(&login, "SELECT engine FROM system.databases WHERE name = 'driftmill'").await, "Atomic");
    assert_eq!(embedded.answer(&login, "SELECT timezone(), getSetting('async_insert')").await, "UTC\tfalse");

    for refused in ["SELECT * FROM driftmill.t", "DROP TABLE driftmill.t", "SYSTEM STOP LISTEN HTTP"] {
        let (success, answer) = embedded.query(None, refused).await;
        assert!(!success, "{refused}: {answer}");
    }
    let stranger = Login { password: "guess".to_owned(), ..Login::of(home.path()) };
    assert!(!embedded.query(Some(&stranger), "SELECT 1").await.0);
    // Our user has its database and no way out of it.
    for refused in ["SELECT * FROM file('/etc/passwd', 'LineAsString')", "CREATE DATABASE other", "CREATE USER other"] {
        let (success, answer) = embedded.query(Some(&login), refused).await;
        assert!(!success, "{refused}: {answer}");
    }
    embedded.stop().await;
}

#[tokio::test]
async fn a_killed_program_takes_its_engine_along_and_loses_nothing_that_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().join("my data");
    let mut first = Embedded::start(&data_dir).await;
    let login = Login::of(&data_dir);
    first.answer(&login, "CREATE TABLE driftmill.t (a Int32) ENGINE = MergeTree ORDER BY a").await;
    first.answer(&login, "INSERT INTO driftmill.t VALUES (1), (2), (3)").await;

    let mut connection = TcpStream::connect(("127.0.0.1", first.url.port().unwrap())).await.unwrap();

    first.process.kill().await.unwrap();
    // At once: the next start has to cope with an engine that is still on its way out.
    let second = Embedded::start(&data_dir).await;

    assert_eq!(second.answer(&login, "SELECT sum(a) FROM driftmill.t").await, "6");
    // An open connection ends with the process at its other end.
    assert!(matches!(connection.read(&mut [0]).await, Ok(0) | Err(_)));
    second.stop().await;
}

#[tokio::test]
async fn a_stopped_program_has_stopped_its_engine() {
    let home = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(home.path()).await;
    let engine_pid = embedded.engine_pid;
    embedded.stop().await;
    assert!(!Path::new(&format!("/proc/{engine_pid}")).exists());
}

#[tokio::test]
async fn an_engine_that_dies_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let mut process = Command::new(program())
        .arg(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let pid = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Some((_, pid)) = line.split_once(" pid ") {
            break pid.parse().unwrap();
        }
    };
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();

    let mut said = String::new();
    process.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert!(said.contains("the ClickHouse engine ended unexpectedly (signal: 9"), "{said}");
}

#[tokio::test]
async fn a_second_program_on_the_folder_is_told_about_the_first() {
    let home = tempfile::tempdir().unwrap();
    let first = Embedded::start(home.path()).await;
    let second = Command::new(program()).arg(home.path()).stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success());
    let holder = format!("is in use by process {} (`{}", first.process.id().unwrap(), program().display());
    assert!(said.contains(&holder), "{said}");
    first.stop().await;
}

#[tokio::test]
async fn a_second_engine_on_the_store_is_told_about_the_first() {
    let home = tempfile::tempdir().unwrap();
    let (one, other) = (home.path().join("one"), home.path().join("other"));
    let first = Embedded::start(&one).await;
    std::fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(one.join("clickhouse"), other.join("clickhouse")).unwrap();

    let second = Command::new(program()).arg(&other).stdin(Stdio::null()).output().await.unwrap();

    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("is in use by process {} (`", first.engine_pid)), "{said}");
    first.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output =
        Command::new(program()).arg(home.path()).args(["0", &port]).stdin(Stdio::null()).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}: another program already does")), "{said}");
}

#[tokio::test]
async fn a_library_that_is_not_there_says_what_to_run() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(program())
        .arg(home.path().join("data"))
        .env_remove("DRIFTMILL_CHDB_LIB")
        .env("XDG_CACHE_HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("run `make setup`"), "{said}");
}

#[tokio::test]
async fn the_broker_is_there_exactly_when_it_is_compiled_in() {
    let home = tempfile::tempdir().unwrap();
    let embedded = Embedded::start(home.path()).await;
    assert_eq!(embedded.broker.is_some(), cfg!(feature = "broker"));
    if let Some(address) = &embedded.broker {
        TcpStream::connect(address).await.unwrap();
    }
    embedded.stop().await;
}
