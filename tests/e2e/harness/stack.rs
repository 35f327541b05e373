//! The whole of Driftmill, as a user starts it: `driftmill up` in one process, or Apache Kafka and one process a role.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use driftmill_embedded::EmbeddedEngine;
use driftmill_platform::clickhouse::ClickHouse;
use driftmill_platform::config;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::backend::{self, BrokerKind, binary, free_port};
use super::{Process, child_of, copy_pipelines, eventually};

/// What a stack is started with.
pub struct Options<'a> {
    /// Bundled pipelines to run.
    pub pipelines: &'a [&'a str],
    /// Whether automatic sources start.
    pub sources: bool,
    /// Changes the copies of the pipelines before anything starts.
    pub edit: fn(&Path),
    /// The URL of a schema registry, if there is to be one.
    pub registry: Option<String>,
    /// Further environment of every process, such as where the objects are.
    pub environment: Vec<(String, String)>,
}

impl Options<'_> {
    fn environment(&self) -> Vec<(String, String)> {
        let registry = self.registry.iter().map(|url| ("DRIFTMILL_SCHEMA_REGISTRY".to_owned(), url.clone()));
        self.environment.iter().cloned().chain(registry).collect()
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { pipelines: &["iris"], sources: true, edit: |_| {}, registry: None, environment: Vec::new() }
    }
}

enum Parts {
    /// `driftmill up`.
    One(Process),
    /// A broker, an engine, and a process a role.
    Many { kafka: Process, engine: Option<Box<EmbeddedEngine>>, roles: Vec<Process> },
}

/// A running stack.
pub struct Stack {
    parts: Parts,
    sources: bool,
    environment: Vec<(String, String)>,
    kafka_port: u16,
    pub gateway: String,
    pub kafka: config::Kafka,
    pub clickhouse_settings: config::ClickHouse,
    pub clickhouse: ClickHouse,
    pub pipelines: PathBuf,
    pub http: reqwest::Client,
    folder: TempDir,
}

impl Stack {
    /// Starts a stack and waits until its gateway answers.
    pub async fn start(options: Options<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipelines = copy_pipelines(options.pipelines, folder.path());
        (options.edit)(&pipelines);
        let (sources, environment) = (options.sources, options.environment());
        let kafka_port = free_port();
        match BrokerKind::chosen() {
            BrokerKind::Embedded => Self::start_up(folder, pipelines, sources, environment, kafka_port).await,
            BrokerKind::Kafka => Self::start_roles(folder, pipelines, sources, environment, kafka_port).await,
        }
    }

    /// Starts `driftmill up` with everything embedded, whatever the other tests run on.
    pub async fn start_embedded(options: Options<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipelines = copy_pipelines(options.pipelines, folder.path());
        (options.edit)(&pipelines);
        let (sources, environment) = (options.sources, options.environment());
        Self::start_up(folder, pipelines, sources, environment, free_port()).await
    }

    async fn start_up(
        folder: TempDir,
        pipelines: PathBuf,
        sources: bool,
        environment: Vec<(String, String)>,
        kafka_port: u16,
    ) -> Self {
        let mut command = Command::new(binary());
        command.envs(environment.iter().cloned());
        command
            .args(["up", "--json", "--clickhouse-port", "0", "--gateway-listen", "127.0.0.1:0"])
            .args(["--broker-port", &kafka_port.to_string()])
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--pipelines")
            .arg(&pipelines);
        if !sources {
            command.arg("--no-sources");
        }
        let mut process = Process::start("driftmill up", command, folder.path().join("up.log"));
        let ready: Value = serde_json::from_str(&process.line()).unwrap();
        assert_eq!(ready["ready"], true, "{ready}");
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        let credentials = std::fs::read_to_string(text("credentials")).unwrap();
        let password_file = folder.path().join("data/clickhouse.password");
        assert!(!credentials.is_empty());
        let clickhouse_settings = config::ClickHouse {
            url: text("clickhouse").parse().unwrap(),
            user: "driftmill".to_owned(),
            password: config::Secret::from_file(&password_file).unwrap(),
            database: "driftmill".to_owned(),
        };
        let kafka = config::Kafka { brokers: text("kafka"), replication: 1, ..config::Kafka::default() };
        let gateway = text("gateway");
        let parts = Parts::One(process);
        Self::of(parts, folder, pipelines, sources, environment, gateway, kafka, kafka_port, clickhouse_settings).await
    }

    async fn start_roles(
        folder: TempDir,
        pipelines: PathBuf,
        sources: bool,
        environment: Vec<(String, String)>,
        kafka_port: u16,
    ) -> Self {
        let kafka_process = backend::start_kafka(&folder.path().join("kafka"), kafka_port, &[]).await;
        let engine = backend::start_engine(folder.path(), None).await;
        let clickhouse_settings = backend::settings_of(&engine);
        let kafka =
            config::Kafka { brokers: format!("127.0.0.1:{kafka_port}"), replication: 1, ..config::Kafka::default() };
        let gateway = format!("http://127.0.0.1:{}", free_port());
        let parts = Parts::Many { kafka: kafka_process, engine: Some(Box::new(engine)), roles: Vec::new() };
        let mut stack =
            Self::of(parts, folder, pipelines, sources, environment, gateway, kafka, kafka_port, clickhouse_settings)
                .await;
        stack.spawn_roles();
        stack.answers().await;
        stack
    }

    #[allow(clippy::too_many_arguments)]
    async fn of(
        parts: Parts,
        folder: TempDir,
        pipelines: PathBuf,
        sources: bool,
        environment: Vec<(String, String)>,
        gateway: String,
        kafka: config::Kafka,
        kafka_port: u16,
        clickhouse_settings: config::ClickHouse,
    ) -> Self {
        let clickhouse = ClickHouse::new(&clickhouse_settings);
        let http = reqwest::Client::builder().no_proxy().timeout(super::PATIENCE).build().unwrap();
        let stack = Self {
            parts,
            sources,
            environment,
            kafka_port,
            gateway,
            kafka,
            clickhouse_settings,
            clickhouse,
            pipelines,
            http,
            folder,
        };
        if matches!(stack.parts, Parts::One(_)) {
            stack.answers().await;
        }
        stack
    }

    async fn answers(&self) {
        let health = format!("{}/health", self.gateway);
        eventually("the gateway answers", async || {
            self.http.get(&health).send().await.ok()?.status().is_success().then_some(())
        })
        .await;
    }

    fn spawn_roles(&mut self) {
        let mut wanted = vec!["process", "drift", "train", "serve"];
        if self.sources {
            wanted.push("produce");
        }
        let started: Vec<Process> = wanted
            .into_iter()
            .map(|role| {
                let mut command = self.command();
                command.arg(role).env("DRIFTMILL_GATEWAY_LISTEN", self.gateway.trim_start_matches("http://"));
                Process::start(&format!("driftmill {role}"), command, self.folder.path().join(format!("{role}.log")))
            })
            .collect();
        if let Parts::Many { roles, .. } = &mut self.parts {
            *roles = started;
        }
    }

    /// The program, pointed to this stack by its environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env("DRIFTMILL_KAFKA_BROKERS", &self.kafka.brokers)
            .env("DRIFTMILL_CLICKHOUSE_URL", self.clickhouse_settings.url.as_str())
            .env("DRIFTMILL_CLICKHOUSE_PASSWORD", self.clickhouse_settings.password.reveal())
            .env("DRIFTMILL_OBJECT_STORE", config::folder_url(&self.objects()).unwrap().as_str())
            .env("DRIFTMILL_PIPELINES", &self.pipelines)
            .envs(self.environment.iter().cloned());
        command
    }

    /// The data folder of `driftmill up`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn objects(&self) -> PathBuf {
        match self.parts {
            Parts::One(_) => self.data().join("objects"),
            Parts::Many { .. } => self.folder.path().join("objects"),
        }
    }

    /// Runs a subcommand to its end.
    pub async fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments);
        tokio::task::spawn_blocking(move || super::output(&command)).await.unwrap()
    }

    /// Runs a subcommand that must succeed, and returns what it printed.
    pub async fn cli_ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "driftmill {arguments:?} failed:\n{out}\n{err}");
        out.into_owned()
    }

    /// Runs a subcommand to its end, with `input` on its standard input.
    pub async fn feed(&self, arguments: &[&str], input: String) -> Output {
        let mut command = tokio::process::Command::from(self.command());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writing = async move {
            // One that refuses to start reads nothing.
            let _ = stdin.write_all(input.as_bytes()).await;
        };
        tokio::join!(child.wait_with_output(), writing).0.unwrap()
    }

    /// First column of the first row of a query, as text.
    pub async fn sql(&self, query: &str) -> String {
        self.try_sql(query).await.unwrap()
    }

    /// Like [`Self::sql`], while tables may not be there yet.
    pub async fn try_sql(&self, query: &str) -> anyhow::Result<String> {
        let bytes = self.clickhouse.bytes(query, "TabSeparated").await?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Waits until a query gives `expected`.
    pub async fn sql_becomes(&self, query: &str, expected: &str) {
        let mut last = String::new();
        let asked = tokio::time::timeout(super::PATIENCE, async {
            loop {
                if let Ok(found) = self.try_sql(query).await {
                    if found == expected {
                        return;
                    }
                    last = found;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        })
        .await;
        assert!(asked.is_ok(), "`{query}` stays at {last}, and not {expected}");
    }

    /// POSTs JSON to a path of the gateway.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.post_as(None, path, body).await
    }

    /// The same, as the request of that id.
    pub async fn post_as(&self, id: Option<&str>, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.gateway)).json(&body);
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// Waits until the gateway serves a version of `pipeline` that `wanted` accepts.
    pub async fn serves(&self, pipeline: &str, wanted: impl Fn(u64) -> bool) -> u64 {
        let url = format!("{}/v2/models/{pipeline}", self.gateway);
        eventually(&format!("the gateway serves {pipeline}"), async || {
            let metadata: Value = self.http.get(&url).send().await.ok()?.json().await.ok()?;
            let version = metadata["versions"][0].as_str()?.parse().ok()?;
            wanted(version).then_some(version)
        })
        .await
    }

    /// `kill -9` of everything that is ours: `driftmill up`, or every role. Apache Kafka and ClickHouse stay.
    pub fn kill(&mut self) {
        match &mut self.parts {
            Parts::One(process) => process.kill(),
            Parts::Many { roles, .. } => roles.iter_mut().for_each(Process::kill),
        }
    }

    /// `kill -9` of the engine that `driftmill up` started. Elsewhere the engine is not ours to start again.
    pub fn kill_engine(&self) {
        let Parts::One(process) = &self.parts else { panic!("`driftmill up` does not run here") };
        let engine = child_of(process.pid()).unwrap();
        rustix::process::kill_process(engine, rustix::process::Signal::KILL).unwrap();
    }

    /// Starts again on the same data.
    pub async fn restart(self) -> Self {
        let Self { parts, folder, pipelines, sources, environment, kafka_port, .. } = self;
        match parts {
            Parts::One(process) => {
                drop(process);
                Self::start_up(folder, pipelines, sources, environment, kafka_port).await
            }
            Parts::Many { kafka, engine, roles } => {
                drop(roles);
                let engine = engine.unwrap();
                let settings = backend::settings_of(&engine);
                let brokers = config::Kafka {
                    brokers: format!("127.0.0.1:{kafka_port}"),
                    replication: 1,
                    ..config::Kafka::default()
                };
                let gateway = format!("http://127.0.0.1:{}", free_port());
                let parts = Parts::Many { kafka, engine: Some(engine), roles: Vec::new() };
                let mut stack =
                    Self::of(parts, folder, pipelines, sources, environment, gateway, brokers, kafka_port, settings)
                        .await;
                stack.spawn_roles();
                stack.answers().await;
                stack
            }
        }
    }

    /// Asks `driftmill up` to stop; whether it ended well, and what it wrote to its log last.
    pub async fn stop_and_tell(mut self) -> (bool, String) {
        let Parts::One(process) = &mut self.parts else { panic!("`driftmill up` does not run here") };
        (process.stop(), process.log())
    }

    /// Asks it to stop, as Ctrl-C does, and says whether it ended well.
    pub async fn stop(mut self) -> bool {
        let well = match &mut self.parts {
            Parts::One(process) => process.stop(),
            // A source that has sent everything has ended by itself.
            Parts::Many { roles, .. } => roles.iter_mut().filter_map(|r| r.is_running().then(|| r.stop())).all(|ok| ok),
        };
        if let Parts::Many { engine, .. } = &mut self.parts
            && let Some(engine) = engine.take()
        {
            engine.stop().await;
        }
        well
    }
}
