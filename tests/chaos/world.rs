//! The system under test, with everything that can be broken in reach.
//!
//! ```text
//! Apache Kafka                                        embedded broker
//!   load, truth ─► Kafka                                load, truth ─► driftmill up (broker, engine, every role)
//!   processor 0 ─► proxy ─► Kafka                       processor 0 ─► its broker
//!               └► proxy ─► engine ◄── audit                        └► proxy ─► its engine ◄── audit
//!   processor 1, likewise
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use driftmill_embedded::EmbeddedEngine;
use driftmill_platform::config;
use futures::FutureExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::links::Link;
use super::proxy::Proxy;
use super::records::{PIPELINE, PIPELINE_FILE, SCHEMA};
use super::schedule::{Action, Fault, Target};
use super::sql::Sql;
use crate::harness::{
    BrokerKind, PATIENCE, Process, binary, child_of, eventually, free_port, settings_of, start_engine, start_kafka,
};

/// A running system.
pub struct World {
    base: Base,
    processors: Vec<Processor>,
    pub brokers: String,
    pub sql: Sql,
    clickhouse: config::ClickHouse,
    /// Engines that ended by themselves. ClickHouse does so when a client hangs up in the middle of a request; it is
    /// started again, and the rest must ride that out like any other death.
    crashes: AtomicUsize,
    folder: TempDir,
}

/// Broker and engine. A lock is held for as long as a fault lasts: the next one on the same target waits.
enum Base {
    Apart {
        kafka: Mutex<Process>,
        kafka_port: u16,
        detours: Vec<(u16, u16)>,
        engine: Mutex<Option<Box<EmbeddedEngine>>>,
    },
    Up {
        process: Mutex<Process>,
        broker_port: u16,
        engine_port: u16,
    },
}

struct Processor {
    process: Mutex<Process>,
    clickhouse: Link,
    /// Absent where nothing can stand between: the embedded broker tells its clients its own address.
    kafka: Option<Link>,
}

impl World {
    /// Starts everything and waits until the pipeline's tables and topics are there.
    pub async fn start(broker: BrokerKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = folder.path().join("pipelines").join(PIPELINE);
        std::fs::create_dir_all(&pipeline).unwrap();
        std::fs::write(pipeline.join("pipeline.yaml"), PIPELINE_FILE).unwrap();
        std::fs::write(pipeline.join("record.avsc"), SCHEMA).unwrap();
        let world = match broker {
            BrokerKind::Kafka => Self::start_apart(folder).await,
            BrokerKind::Embedded => Self::start_up(folder).await,
        };
        eventually("the tables are there", async || {
            world.sql.ask(&format!("SELECT count() FROM {PIPELINE}_features")).await.ok()
        })
        .await;
        world
    }

    async fn start_apart(folder: TempDir) -> Self {
        let engine_port = free_port();
        let engine = start_engine(folder.path(), Some(engine_port)).await;
        let clickhouse = settings_of(&engine);
        let kafka_port = free_port();
        let (mut detours, mut links) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let port = free_port();
            let kafka = Proxy::start(local(port)).await;
            detours.push((port, kafka.port()));
            links.push((Proxy::start(local(engine_port)).await, Some(kafka)));
        }
        let kafka = start_kafka(&folder.path().join("kafka"), kafka_port, &detours).await;
        let (kafka, engine) = (Mutex::new(kafka), Mutex::new(Some(Box::new(engine))));
        let base = Base::Apart { kafka, kafka_port, detours, engine };
        Self::with(base, format!("127.0.0.1:{kafka_port}"), clickhouse, links, folder)
    }

    async fn start_up(folder: TempDir) -> Self {
        let (broker_port, engine_port) = (free_port(), free_port());
        let process = up(folder.path(), broker_port, engine_port).await.unwrap_or_else(|e| panic!("{e}"));
        let clickhouse = config::ClickHouse {
            url: format!("http://127.0.0.1:{engine_port}/").parse().unwrap(),
            user: "driftmill".to_owned(),
            password: config::Secret::from_file(&folder.path().join("data/clickhouse.password")).unwrap(),
            database: "driftmill".to_owned(),
        };
        let links = vec![(Proxy::start(local(engine_port)).await, None)];
        let base = Base::Up { process: Mutex::new(process), broker_port, engine_port };
        Self::with(base, format!("127.0.0.1:{broker_port}"), clickhouse, links, folder)
    }

    fn with(
        base: Base,
        brokers: String,
        clickhouse: config::ClickHouse,
        links: Vec<(Proxy, Option<Proxy>)>,
        folder: TempDir,
    ) -> Self {
        let sql = Sql::new(&clickhouse);
        let mut world =
            Self { base, processors: Vec::new(), brokers, sql, clickhouse, crashes: AtomicUsize::new(0), folder };
        for (number, (clickhouse, kafka)) in links.into_iter().enumerate() {
            let process = Mutex::new(world.processor(number, clickhouse.port(), kafka.as_ref().map(Proxy::port)));
            let (clickhouse, kafka) = (Link::new(clickhouse), kafka.map(Link::new));
            world.processors.push(Processor { process, clickhouse, kafka });
        }
        world
    }

    fn processor(&self, number: usize, clickhouse: u16, kafka: Option<u16>) -> Process {
        let mut command = Command::new(binary());
        command
            .arg("process")
            .env("DRIFTMILL_CLICKHOUSE_URL", format!("http://127.0.0.1:{clickhouse}/"))
            .env("DRIFTMILL_CLICKHOUSE_PASSWORD", self.clickhouse.password.reveal())
            .env("DRIFTMILL_OBJECT_STORE", config::folder_url(&self.folder.path().join("objects")).unwrap().as_str())
            .env("DRIFTMILL_DATA_DIR", self.folder.path().join(format!("processor-{number}")))
            .env("DRIFTMILL_PIPELINES", self.folder.path().join("pipelines"));
        match kafka {
            Some(port) => {
                // One of each kind: the first is known again after its death, the others are new members every time.
                if number == 0 {
                    command.env("DRIFTMILL_KAFKA_INSTANCE", "processor-0");
                }
                command.env("DRIFTMILL_KAFKA_BROKERS", format!("127.0.0.1:{port}"))
            }
            None => command.env("DRIFTMILL_KAFKA_BROKERS", &self.brokers),
        };
        Process::start(&format!("processor {number}"), command, self.log(number))
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("processor-{number}.log"))
    }

    /// Does what the fault says, and returns when it is over and what was killed runs again.
    pub async fn inflict(&self, fault: &Fault) -> Result<(), String> {
        sleep(fault.at).await;
        match fault.target {
            Target::Processor(number) => self.hit_processor(number, fault.action).await,
            Target::ClickHouseLink(number) => self.processors[number].clickhouse.suffer(fault.action).await,
            Target::KafkaLink(number) => {
                self.processors[number].kafka.as_ref().unwrap().suffer(fault.action).await;
            }
            Target::Engine => return self.hit_engine(fault.action).await,
            Target::Broker | Target::Up => return self.hit_base(fault.action).await,
        }
        Ok(())
    }

    async fn hit_processor(&self, number: usize, action: Action) {
        let Processor { process, clickhouse, kafka } = &self.processors[number];
        let mut process = process.lock().await;
        if let Some(down) = strike(&mut process, action).await {
            sleep(down).await;
            *process = self.processor(number, clickhouse.port(), kafka.as_ref().map(Link::port));
        }
    }

    async fn hit_engine(&self, action: Action) -> Result<(), String> {
        match &self.base {
            Base::Apart { engine: slot, .. } => {
                let mut slot = slot.lock().await;
                let Some(engine) = slot.take_if(|engine| engine.died().now_or_never().is_none()) else {
                    return Ok(());
                };
                let pid = Pid::from_raw(engine.pid().cast_signed()).unwrap();
                match action {
                    Action::Kill { down } => {
                        let port = engine.url().port();
                        let _ = kill_process(pid, Signal::KILL);
                        engine.died().await;
                        drop(engine);
                        sleep(down).await;
                        *slot = Some(Box::new(start_engine(self.folder.path(), port).await));
                    }
                    _ => {
                        pause(pid, action).await;
                        *slot = Some(engine);
                    }
                }
                Ok(())
            }
            Base::Up { process, .. } => {
                let mut process = process.lock().await;
                let Some(pid) = process.is_running().then(|| child_of(process.pid())).flatten() else { return Ok(()) };
                let Action::Kill { down } = action else {
                    pause(pid, action).await;
                    return Ok(());
                };
                let _ = kill_process(pid, Signal::KILL);
                // It starts another one by itself, until that happened too often; then it says so and ends, and whoever
                // watches over it starts it again.
                let outcome = tokio::time::timeout(PATIENCE, async {
                    while process.is_running() && child_of(process.pid()).is_none_or(|child| child == pid) {
                        sleep(Duration::from_millis(20)).await;
                    }
                });
                outcome.await.map_err(|_| "driftmill up neither starts another engine nor ends".to_owned())?;
                if !process.is_running() {
                    sleep(down).await;
                    self.start_up_again(&mut process).await?;
                }
                Ok(())
            }
        }
    }

    async fn hit_base(&self, action: Action) -> Result<(), String> {
        match &self.base {
            Base::Apart { kafka, kafka_port, detours, .. } => {
                let mut kafka = kafka.lock().await;
                if let Some(down) = strike(&mut kafka, action).await {
                    sleep(down).await;
                    *kafka = start_kafka(&self.folder.path().join("kafka"), *kafka_port, detours).await;
                }
                Ok(())
            }
            Base::Up { process, .. } => {
                let mut process = process.lock().await;
                match strike(&mut process, action).await {
                    Some(down) => {
                        sleep(down).await;
                        self.start_up_again(&mut process).await
                    }
                    None => Ok(()),
                }
            }
        }
    }

    async fn start_up_again(&self, process: &mut Process) -> Result<(), String> {
        let Base::Up { broker_port, engine_port, .. } = self.base else { return Ok(()) };
        *process = up(self.folder.path(), broker_port, engine_port).await?;
        Ok(())
    }

    /// SIGSTOP to a processor, until [`Self::wake`].
    pub async fn freeze(&self, number: usize) {
        self.processors[number].process.lock().await.signal(Signal::STOP);
    }

    /// SIGCONT to a processor.
    pub async fn wake(&self, number: usize) {
        self.processors[number].process.lock().await.signal(Signal::CONT);
    }

    /// Processors of their own.
    pub fn processors(&self) -> usize {
        self.processors.len()
    }

    /// The proxy between a processor and ClickHouse.
    pub fn clickhouse_of(&self, number: usize) -> &Proxy {
        self.processors[number].clickhouse.proxy()
    }

    /// Fails when a process has ended that nobody killed: every one must ride out whatever happens to the others. Only an
    /// engine that ended is started again, with whatever ends together with it.
    pub async fn all_run(&self) -> Result<(), String> {
        for processor in &self.processors {
            still_runs(&mut *processor.process.lock().await)?;
        }
        match &self.base {
            Base::Apart { kafka, engine: slot, .. } => {
                still_runs(&mut *kafka.lock().await)?;
                let mut slot = slot.lock().await;
                if let Some(engine) = slot.take_if(|engine| engine.died().now_or_never().is_some()) {
                    self.crashes.fetch_add(1, Ordering::SeqCst);
                    let port = engine.url().port();
                    drop(engine);
                    *slot = Some(Box::new(start_engine(self.folder.path(), port).await));
                }
                Ok(())
            }
            Base::Up { process, .. } => {
                let mut process = process.lock().await;
                let outcome = still_runs(&mut process);
                if outcome.is_err() && process.log().contains(ENGINE_ENDED) {
                    self.crashes.fetch_add(1, Ordering::SeqCst);
                    return self.start_up_again(&mut process).await;
                }
                outcome
            }
        }
    }

    /// Engines that ended by themselves so far.
    pub fn crashes(&self) -> usize {
        self.crashes.load(Ordering::SeqCst)
    }

    /// Copies every log to `target`, and returns what the ledger says.
    pub async fn evidence(&self, target: &Path) -> String {
        std::fs::create_dir_all(target).unwrap();
        for folder in ["", "kafka", "data"] {
            let Ok(entries) = std::fs::read_dir(self.folder.path().join(folder)) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if entry.path().is_file() && (name.ends_with("log") || name.ends_with("stderr")) {
                    let kept = target.join(format!("{folder}{}{name}", if folder.is_empty() { "" } else { "-" }));
                    let _ = std::fs::copy(entry.path(), kept);
                }
            }
        }
        let query = "SELECT stage, partition, max(to_offset), sum(rows), sum(rejected) FROM ledger FINAL \
                     GROUP BY stage, partition ORDER BY stage, partition";
        self.sql.ask(query).await.unwrap_or_else(|error| error)
    }
}

/// What `driftmill up` says last when its engine has ended.
const ENGINE_ENDED: &str = "error: the ClickHouse engine ended unexpectedly";

fn still_runs(process: &mut Process) -> Result<(), String> {
    match process.ending() {
        None => Ok(()),
        Some(ending) => Err(format!("{} ended by itself ({ending}):\n{}", process.name(), process.log())),
    }
}

/// `kill -9`, and how long it shall be down; or a pause.
async fn strike(process: &mut Process, action: Action) -> Option<Duration> {
    if let Action::Kill { down } = action {
        process.kill();
        return Some(down);
    }
    // The id of one that has ended may be somebody else's by now.
    if process.is_running() {
        pause(process.pid(), action).await;
    }
    None
}

async fn pause(pid: Pid, action: Action) {
    let Action::Stop { lasts } = action else { panic!("{action} is nothing that happens to a process") };
    let _ = kill_process(pid, Signal::STOP);
    sleep(lasts).await;
    let _ = kill_process(pid, Signal::CONT);
}

/// Starts `driftmill up` and waits until it is ready.
async fn up(folder: &Path, broker_port: u16, engine_port: u16) -> Result<Process, String> {
    let mut command = Command::new(binary());
    command
        .args(["up", "--json", "--no-sources", "--join-groups", "--gateway-listen", "127.0.0.1:0"])
        .args(["--broker-port", &broker_port.to_string(), "--clickhouse-port", &engine_port.to_string()])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .arg("--pipelines")
        .arg(folder.join("pipelines"));
    let mut process = Process::start("driftmill up", command, folder.join("up.log"));
    let line = eventually("driftmill up is ready or ends", async || {
        process.try_line().map(Ok).or_else(|| process.ending().map(Err))
    })
    .await;
    match line {
        Ok(line) if line.contains("\"ready\":true") => Ok(process),
        Ok(line) => Err(format!("driftmill up says `{line}` instead of being ready")),
        Err(ending) => Err(format!("driftmill up does not start ({ending}):\n{}", process.log())),
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
