//! What the machine allows: the topic consumed and thrown away, and the inserts that our pipeline made, made again as they
//! were (bodies, settings, tokens), apart and together. Runs in a process of its own, so that its CPU time is its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::ValueEnum;
use futures::StreamExt as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::proc;
use crate::sink::Kept;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Consume the topic.
    Consume,
    /// Insert the kept bodies.
    Insert,
    /// Both at once; a body is inserted when as large a share of the topic is consumed.
    Both,
}

/// What a run needs.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// What is done.
    #[arg(long)]
    pub part: Part,
    /// Kafka bootstrap servers.
    #[arg(long)]
    pub brokers: String,
    /// The topic.
    #[arg(long)]
    pub topic: String,
    /// Records to consume.
    #[arg(long)]
    pub records: u64,
    /// Folder of the kept inserts.
    #[arg(long)]
    pub folder: PathBuf,
    /// ClickHouse.
    #[arg(long)]
    pub url: String,
    /// Its user.
    #[arg(long)]
    pub user: String,
    /// File with its password.
    #[arg(long)]
    pub password_file: PathBuf,
    /// Inserts at once.
    #[arg(long)]
    pub at_once: usize,
    /// Where the outcome is written.
    #[arg(long)]
    pub report: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Outcome {
    /// Seconds, without what was prepared before.
    pub seconds: f64,
    /// CPU seconds of this process in that time.
    pub cpu: f64,
    /// Inserts made.
    pub inserts: usize,
}

/// Does it, and writes the outcome.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let inserts = if options.part == Part::Consume { Vec::new() } else { read(&options.folder)? };
    let (cpu, started) = (proc::cpu_seconds(std::process::id())?, Instant::now());
    let (progress, consumed) = watch::channel(if options.part == Part::Insert { options.records } else { 0 });
    let consuming = async {
        if options.part == Part::Insert {
            return anyhow::Ok(());
        }
        let options = options.clone();
        tokio::task::spawn_blocking(move || consume(&options, &progress)).await?
    };
    let (eaten, inserted) = tokio::join!(consuming, insert(&options, &inserts, &consumed));
    eaten?;
    inserted?;
    let outcome = Outcome {
        seconds: started.elapsed().as_secs_f64(),
        cpu: proc::cpu_seconds(std::process::id())? - cpu,
        inserts: inserts.len(),
    };
    std::fs::write(&options.report, serde_json::to_vec(&outcome)?).context("write the outcome")
}

fn consume(options: &Options, progress: &watch::Sender<u64>) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers)
        .set("group.id", "ceiling")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("queued.min.messages", "200000")
        .set("queued.max.messages.kbytes", "65536")
        .set("fetch.queue.backoff.ms", "1")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(&options.topic), Duration::from_secs(10))?;
    let mut list = TopicPartitionList::new();
    for topic in metadata.topics() {
        for partition in topic.partitions() {
            list.add_partition_offset(topic.name(), partition.id(), Offset::Beginning)?;
        }
    }
    consumer.assign(&list)?;
    let (mut count, mut bytes) = (0, 0);
    while count < options.records {
        let Some(message) = consumer.poll(Duration::from_secs(10)) else { anyhow::bail!("the topic ends at {count}") };
        bytes += message?.payload_len();
        count += 1;
        if count % 4096 == 0 {
            progress.send_replace(count);
        }
    }
    progress.send_replace(count);
    ensure!(bytes > 0, "the records are empty");
    Ok(())
}

async fn insert(options: &Options, inserts: &[(Kept, Bytes)], consumed: &watch::Receiver<u64>) -> anyhow::Result<()> {
    let password = std::fs::read_to_string(&options.password_file)?;
    let (http, count) = (reqwest::Client::builder().no_proxy().build()?, inserts.len() as u64);
    let making = inserts.iter().enumerate().map(|(index, (kept, body))| {
        let mut consumed = consumed.clone();
        let needed = options.records * (index as u64 + 1) / count;
        let mut request = http
            .post(format!("{}?{}", options.url, kept.query))
            .header("X-ClickHouse-User", &options.user)
            .header("X-ClickHouse-Key", password.trim())
            .body(body.clone());
        if let Some(encoding) = &kept.encoding {
            request = request.header("Content-Encoding", encoding);
        }
        async move {
            consumed.wait_for(|so_far| *so_far >= needed).await.context("the consumer ended")?;
            let answer = request.send().await?;
            let status = answer.status();
            let text = answer.text().await?;
            ensure!(status.is_success(), "insert: {text}");
            Ok(())
        }
    });
    let mut answers = futures::stream::iter(making).buffered(options.at_once);
    while let Some(answer) = answers.next().await {
        answer?;
    }
    Ok(())
}

/// The kept inserts, in the order they were made.
fn read(folder: &Path) -> anyhow::Result<Vec<(Kept, Bytes)>> {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    names.retain(|path| path.extension().is_some_and(|e| e == "json"));
    names.sort();
    ensure!(!names.is_empty(), "{} holds no kept inserts", folder.display());
    let one = |path: &PathBuf| {
        let kept = serde_json::from_slice(&std::fs::read(path)?)?;
        Ok((kept, Bytes::from(std::fs::read(path.with_extension("body"))?)))
    };
    names.iter().map(one).collect()
}
