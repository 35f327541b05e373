//! What is measured, as processes: Apache Kafka, the ClickHouse engine, our processor, a peer. All end with us.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use driftmill_embedded::{EmbeddedEngine, EngineOptions};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// How long anything may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(120);
/// Kafka's script is made for short tests: a broker that is measured gets both compilers and a heap of its own.
const JVM: &str = "-XX:TieredStopAtLevel=4 -Xms512m -Xmx512m";

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A child process that dies with us, its output in a log file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, on the processors `cores` (as `taskset -c` names them) if given; appends to `log`.
    pub fn start(name: &str, command: &Command, log: &Path, cores: Option<&str>) -> anyhow::Result<Self> {
        let inner = command.as_std();
        // The parent's death reaches the child although it was exec'ed by others: the kernel keeps the wish over exec.
        let mut outer = Command::new("setpriv");
        outer.args(["--pdeathsig", "KILL", "--"]);
        if let Some(cores) = cores {
            outer.args(["taskset", "-c", cores]);
        }
        outer.arg(inner.get_program()).args(inner.get_args());
        for (key, value) in inner.get_envs() {
            match value {
                Some(value) => outer.env(key, value),
                None => outer.env_remove(key),
            };
        }
        if let Some(folder) = inner.get_current_dir() {
            outer.current_dir(folder);
        }
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = outer
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let pid = child.id().context("a process that has just started has an id")?;
        Ok(Self { child, pid, name: name.to_owned(), log: log.to_owned() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// An error with the end of its log when it is there no more.
    pub fn check(&mut self) -> anyhow::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        bail!("{} ended ({status}):\n{}", self.name, self.last_words())
    }

    /// Whether it is there no more.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// SIGTERM; SIGKILL if that does not help in time.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = Pid::from_raw(self.pid.cast_signed()) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        if tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// Moves all its threads to the processors `cores`.
    pub fn pin(&self, cores: &str) -> anyhow::Result<()> {
        pin(self.pid, cores)
    }
}

/// Moves all threads of a process to the processors `cores`.
pub fn pin(pid: u32, cores: &str) -> anyhow::Result<()> {
    let done = std::process::Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", cores, &pid.to_string()])
        .output()
        .context("taskset")?;
    anyhow::ensure!(done.status.success(), "taskset: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// A running Apache Kafka.
#[derive(Debug)]
pub struct Kafka {
    /// The broker's process.
    pub process: Process,
    /// `host:port`.
    pub brokers: String,
}

impl Kafka {
    /// Starts a broker in `folder` and waits until it answers.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let (port, controller) = (free_port()?, free_port()?);
        let mut command = Command::new(repository().join("scripts/kafka-server.sh"));
        command.arg(folder).args([port.to_string(), controller.to_string()]).env("_JAVA_OPTIONS", JVM);
        let mut process = Process::start("Apache Kafka", &command, &folder.join("output.log"), None)?;
        let brokers = format!("127.0.0.1:{port}");
        let admin = admin(&brokers)?;
        let asked = async {
            while admin.inner().fetch_metadata(None, Duration::from_secs(2)).is_err() {
                process.check()?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, asked).await.context("Apache Kafka does not answer")??;
        Ok(Self { process, brokers })
    }

    /// Whether all these topics exist.
    pub fn has_topics(&self, names: &[&str]) -> anyhow::Result<bool> {
        // A busy broker answers late or in part: then they are not known to exist.
        let Ok(metadata) = admin(&self.brokers)?.inner().fetch_metadata(None, Duration::from_secs(5)) else {
            return Ok(false);
        };
        Ok(names.iter().all(|name| metadata.topics().iter().any(|topic| topic.name() == *name)))
    }

    /// Makes a topic that is empty.
    pub async fn recreate(&self, topic: &str, partitions: i32) -> anyhow::Result<()> {
        self.delete(&[topic]).await?;
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let made = admin(&self.brokers)?.create_topics(&[new], &AdminOptions::new()).await.context("create a topic")?;
        made.into_iter().try_for_each(|one| one.map(drop).map_err(|(name, code)| anyhow::anyhow!("{name}: {code}")))?;
        while !self.has_topics(&[topic])? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Deletes topics and waits until they are gone.
    pub async fn delete(&self, topics: &[&str]) -> anyhow::Result<()> {
        let admin = admin(&self.brokers)?;
        admin.delete_topics(topics, &AdminOptions::new()).await.context("delete topics")?;
        let gone = async {
            loop {
                let there = admin.inner().fetch_metadata(None, Duration::from_secs(5));
                if there.is_ok_and(|there| there.topics().iter().all(|topic| !topics.contains(&topic.name()))) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.context("topics do not go away")?
    }
}

fn admin(brokers: &str) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        // A broker that has not started yet is no news.
        .set("log_level", "0")
        .create()
        .context("Kafka's admin client")
}

/// A running ClickHouse engine, and a client of it. Its files go with it.
#[derive(Debug)]
pub struct Engine {
    login: Login,
    pid: u32,
    http: reqwest::Client,
    /// Absent: another process runs the engine.
    own: Option<(EmbeddedEngine, TempDir)>,
}

/// How to reach an engine.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its address.
    pub url: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database.
    pub database: String,
}

impl Engine {
    /// Starts an engine whose files are in a new folder in `parent`. `binary` is the program that knows the hidden role.
    pub async fn start(parent: &Path, binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("driftmill-bench-engine-").tempdir_in(parent)?;
        let options = EngineOptions {
            data_dir: folder.path().to_owned(),
            port: None,
            child_command: vec![binary.into(), "engine-child".into()],
        };
        let engine = EmbeddedEngine::start(options, CancellationToken::new()).await?;
        let login = Login {
            url: engine.url().to_string(),
            user: engine.user().to_owned(),
            password: engine.password().to_owned(),
            database: engine.database().to_owned(),
        };
        Ok(Self { pid: engine.pid(), own: Some((engine, folder)), ..Self::of(login, 0)? })
    }

    /// An engine that another process runs as process `pid`.
    pub fn of(login: Login, pid: u32) -> anyhow::Result<Self> {
        Ok(Self { login, pid, http: reqwest::Client::builder().no_proxy().build()?, own: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Address of its HTTP interface.
    pub fn url(&self) -> &str {
        &self.login.url
    }

    /// User, password, database.
    pub fn login(&self) -> (&str, &str, &str) {
        (&self.login.user, &self.login.password, &self.login.database)
    }

    /// The answer to a query, tab separated, without its last line end.
    pub async fn sql(&self, query: &str) -> anyhow::Result<String> {
        let answer = self
            .http
            .post(format!("{}?database={}", self.login.url, self.login.database))
            .header("X-ClickHouse-User", &self.login.user)
            .header("X-ClickHouse-Key", &self.login.password)
            .body(query.to_owned())
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(status.is_success(), "`{query}`: {text}");
        Ok(text.trim_end().to_owned())
    }

    /// A number.
    pub async fn number(&self, query: &str) -> anyhow::Result<u64> {
        let text = self.sql(query).await?;
        text.parse().with_context(|| format!("`{query}` gives `{text}`"))
    }

    /// Ends it, if it is ours, and removes its files.
    pub async fn stop(self) {
        if let Some((engine, _folder)) = self.own {
            engine.stop().await;
        }
    }
}
