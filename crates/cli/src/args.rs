//! The command line, and how it becomes settings.

mod models;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use driftmill_platform::config::{Layer, Settings};
use url::Url;

pub use self::models::{
    CrossValidate, Data, Evaluate, GoldAsked, Models, Performance, Runs, Schedules, SchedulesCommand, Search, Train,
};
use crate::dead_letters::DeadLetters;
use crate::drift::args::Drift;

/// Event-streaming machine learning: records in, features, a model that stays right about them, predictions out.
#[derive(Debug, Parser)]
#[command(name = "driftmill", version, max_term_width = 110)]
pub struct Arguments {
    /// YAML file with settings; the environment (DRIFTMILL_…) wins over it, flags over both.
    #[arg(long, global = true, env = "DRIFTMILL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show the settings in force, secrets masked, and end.
    #[arg(long)]
    pub print_config: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Settings as flags.
#[derive(Debug, Args)]
struct Flags {
    /// Kafka bootstrap servers.
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    kafka_brokers: Option<String>,
    /// ClickHouse HTTP(S) URL.
    #[arg(long, global = true, value_name = "URL")]
    clickhouse_url: Option<Url>,
    /// ClickHouse user.
    #[arg(long, global = true, value_name = "NAME")]
    clickhouse_user: Option<String>,
    /// File whose first line is the ClickHouse password.
    #[arg(long, global = true, value_name = "FILE")]
    clickhouse_password_file: Option<PathBuf>,
    /// Object store: file:///folder or s3://bucket/prefix.
    #[arg(long, global = true, value_name = "URL")]
    object_store: Option<Url>,
    /// Folder with one folder per pipeline.
    #[arg(long, global = true, value_name = "FOLDER")]
    pipelines: Option<PathBuf>,
    /// Folder for what this process keeps on disk.
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where the gateway listens.
    #[arg(long, global = true, value_name = "ADDRESS")]
    gateway_listen: Option<SocketAddr>,
    /// Where other roles serve /health and /metrics.
    #[arg(long, global = true, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// What is logged, e.g. `info` or `warn,driftmill_processors=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine: broker, ClickHouse, every role, the bundled pipelines.
    #[cfg(feature = "embedded")]
    Up(Up),
    /// Send records of a pipeline's sources to its raw topic.
    Produce(Produce),
    /// Run the stream processors: raw records to features, dead letters, predictions and reports to tables.
    Process,
    /// Run the drift processor: profiles to verdicts; or look at verdicts, and try policies on the past.
    Drift(Drift),
    /// Run the trainer, or train one pipeline now.
    Train(Train),
    /// Run the gateway.
    Serve,
    /// Say whether pipeline files are right, and what each would do.
    Check(Check),
    /// Run pipelines over given records, without a broker or ClickHouse, and compare with the expected rows.
    Test(Test),
    /// Make a first pipeline file from a CSV.
    New(New),
    /// Judge a model on data that it has never seen.
    Evaluate(Evaluate),
    /// How good served predictions were, as far as labels have come, and how good they are expected to be.
    Performance(Performance),
    /// Judge a pipeline's algorithm on the rows of a file by cross-validation; needs nothing that runs.
    CrossValidate(CrossValidate),
    /// Look at models and move the champion.
    #[command(subcommand)]
    Models(Models),
    /// What became of trainings, the newest first; or all of one, with its log.
    Runs(Runs),
    /// When pipelines train by themselves; switch schedules on and off, or train now as one would.
    Schedules(Schedules),
    /// What the newest search among hyper-parameters tried, the best first.
    Search(Search),
    /// Look at the data that models were fitted on, and restore it.
    #[command(subcommand)]
    Data(Data),
    /// Show topics, lag, rows, models and verdicts.
    Status(Status),
    /// Browse what was refused, explain it, and run it once more when it was mended.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Make features anew from the raw topic, beside the live ones; compare them; put them in force.
    Replay(Replay),
    /// Prove that every processed record is a row, a dead letter or a known loss, once.
    Audit(Audit),
    /// Print the JSON Schema of the pipeline file, for editors.
    Schema,
}

/// Ports of `driftmill up`; all on 127.0.0.1.
#[cfg(feature = "embedded")]
#[derive(Debug, Args)]
pub struct Up {
    /// Port of the broker; 0 takes a free one.
    #[arg(long, default_value_t = 9092)]
    pub broker_port: u16,
    /// Port of ClickHouse's HTTP interface; 0 takes a free one.
    #[arg(long, default_value_t = 8123)]
    pub clickhouse_port: u16,
    /// Use the Kafka cluster of --kafka-brokers instead of starting a broker.
    #[arg(long)]
    pub external_kafka: bool,
    /// Share the work with `driftmill process` elsewhere. Without it this process reads everything by itself, and goes on
    /// at once after a crash instead of waiting for the group.
    #[arg(long)]
    pub join_groups: bool,
    /// Do not start the sources that the pipelines start by themselves.
    #[arg(long)]
    pub no_sources: bool,
    /// Status as JSON lines although this is a terminal.
    #[arg(long)]
    pub json: bool,
}

/// What to produce.
#[derive(Debug, Args, Clone)]
pub struct Produce {
    /// The pipeline; absent: every pipeline's automatic sources.
    pub pipeline: Option<String>,
    /// The source; absent: the automatic ones.
    #[arg(long)]
    pub source: Option<String>,
    /// Read this file instead of the one the source names.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Read the standard input: what --source declares of its file, or rows of --format.
    #[arg(long, requires = "pipeline", conflicts_with = "from")]
    pub stdin: bool,
    /// How the rows of the standard input are written.
    #[arg(long, requires = "stdin", conflicts_with = "source", default_value = "json-lines")]
    pub format: Format,
    /// Pass over that many rows of the standard input: those that a run before said are acknowledged.
    #[arg(long, requires = "stdin", value_name = "ROWS", default_value_t = 0)]
    pub skip: u64,
    /// Find out how far the last run came, even one that was killed, and pass over exactly that: feed the standard input
    /// the same rows again, from the first one.
    #[arg(long, requires = "stdin", conflicts_with_all = ["skip", "restart"])]
    pub resume: bool,
    /// Records a second at most.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Records to generate (synthetic sources).
    #[arg(long)]
    pub rows: Option<u64>,
    /// Seed (synthetic sources).
    #[arg(long)]
    pub seed: Option<u64>,
    /// Strength of the label's dependence on the fields (synthetic sources).
    #[arg(long)]
    pub signal: Option<f64>,
    /// Begin anew instead of resuming: every record is sent once more.
    #[arg(long)]
    pub restart: bool,
}

/// A form of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    #[value(alias = "json_lines", alias = "ndjson")]
    JsonLines,
    /// Comma-separated, with a header row.
    Csv,
    /// An Avro object container.
    Avro,
}

/// What to audit.
#[derive(Debug, Args)]
pub struct Audit {
    /// The pipelines; absent: all.
    #[arg(value_name = "PIPELINE")]
    pub names: Vec<String>,
    /// JSON, one object a pipeline.
    #[arg(long)]
    pub json: bool,
    /// Seconds to wait for dead letters that are on their way to their table.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub wait: u64,
}

/// Which pipelines to check.
#[derive(Debug, Args)]
pub struct Check {
    /// Pipeline names or files; absent: all.
    #[arg(value_name = "PIPELINE")]
    pub names: Vec<String>,
}

/// What to make anew.
#[derive(Debug, Args)]
pub struct Replay {
    /// The pipeline; its file is taken as it is now.
    pub pipeline: String,
    /// Where to begin: a time (2026-01-31T12:00:00Z, 2h, 7d), an offset of every partition, or PARTITION:OFFSET,…; absent:
    /// where the version beside the live rows begins, or the first record the topic holds.
    #[arg(long, value_name = "PLACE")]
    pub from: Option<String>,
    /// Where to end, written alike; absent: after the last record that was processed.
    #[arg(long, value_name = "PLACE")]
    pub to: Option<String>,
    /// Put the new rows in force: one change of the view, for every reader at once.
    #[arg(long, conflicts_with_all = ["verify", "discard"])]
    pub swap: bool,
    /// Only say whether the topic gives the rows that are there; a difference is an error.
    #[arg(long, conflicts_with = "discard")]
    pub verify: bool,
    /// Throw away the rows that stand beside the live ones.
    #[arg(long)]
    pub discard: bool,
}

/// What to test.
#[derive(Debug, Args)]
pub struct Test {
    /// Pipelines, or single cases as PIPELINE/CASE; absent: all cases of all pipelines.
    #[arg(value_name = "PIPELINE[/CASE]")]
    pub names: Vec<String>,
    /// Write what came out as what is expected, into the files of the cases.
    #[arg(long)]
    pub update: bool,
}

/// What to make a pipeline of.
#[derive(Debug, Args)]
pub struct New {
    /// Name of the pipeline.
    pub name: String,
    /// The CSV to look at.
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Column to predict; absent: guessed.
    #[arg(long)]
    pub label: Option<String>,
}

/// How to show the status.
#[derive(Debug, Args)]
pub struct Status {
    /// Show it again every so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub watch: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

impl Arguments {
    /// Settings in force: the `driftmill up` that runs here < file < environment < flags.
    pub fn settings(&self) -> anyhow::Result<Located> {
        let file = match &self.config {
            Some(file) => Layer::from_file(file)?,
            None => Layer::default(),
        };
        let environment = Layer::from_environment(std::env::vars().filter(|(key, _)| key != "DRIFTMILL_CONFIG"))?;
        let flags = &self.flags;
        let flags = Layer {
            kafka_brokers: flags.kafka_brokers.clone(),
            clickhouse_url: flags.clickhouse_url.clone(),
            clickhouse_user: flags.clickhouse_user.clone(),
            clickhouse_password_file: flags.clickhouse_password_file.clone(),
            object_store: flags.object_store.clone(),
            pipelines: flags.pipelines.clone(),
            data_dir: flags.data_dir.clone(),
            gateway_listen: flags.gateway_listen,
            metrics_listen: flags.metrics_listen,
            log: flags.log.clone(),
            ..Layer::default()
        };
        let given = [file, environment, flags];
        // Who names one of the services means other ones than those that run here.
        let named = given.iter().any(|layer| layer.kafka_brokers.is_some() || layer.clickhouse_url.is_some());
        let settings = Settings::from_layers(given.clone()).context("settings")?;
        match (!named).then(|| running(&settings)).flatten() {
            Some(running) => {
                let [file, environment, flags] = given;
                let settings = Settings::from_layers([running, file, environment, flags]).context("settings")?;
                Ok(Located { settings, nothing_runs: false })
            }
            None => Ok(Located { settings, nothing_runs: !named }),
        }
    }
}

/// Settings, and whether there is anything they could point to.
#[derive(Debug, Clone)]
pub struct Located {
    /// The settings.
    pub settings: Settings,
    /// Nobody named a service, and none runs on the data folder.
    pub nothing_runs: bool,
}

/// What the `driftmill up` on this data folder says of itself, if one runs.
fn running(settings: &Settings) -> Option<Layer> {
    #[cfg(feature = "embedded")]
    return crate::up::addresses(&settings.data_dir).ok().flatten();
    #[cfg(not(feature = "embedded"))]
    return None;
}
