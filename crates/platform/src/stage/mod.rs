//! Runs a stage over a topic, exactly once in effect.
//!
//! ```text
//! consumer ─► messages ─► stage ─► output ─► writer: 1. records sent and acknowledged ─► 2. inserts acknowledged
//!                                                    ─► 3. ledger ─► 4. group commit
//! ```
//! A crash before 3 repeats the messages from the first one that is not entered. What 1 and 2 did is done again with the same
//! positions: rows replace themselves, records carry the position they are about. A crash after 3 repeats nothing. The
//! writer works on one output at a time, in order.
//!
//! A [`Stage`] makes its output of one batch after the other. A [`Streaming`] stage, through which everything goes, works on
//! the next messages while its last output is being written, and what it has written is entered some outputs at a time.

mod finished;
mod metrics;
mod pace;
mod runner;
mod streaming;
mod writer;

pub use metrics::StageMetrics;
pub use runner::{run, stream};
pub use streaming::PIECE;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use crc_fast::CrcAlgorithm;

use crate::clickhouse::{self, ClickHouse, InsertBody};
use crate::clock::SharedClock;
use crate::config;
use crate::error::{Retry, Retryable};
use crate::kafka::{self, BatchPolicy, MessageBatch, OffsetRange, Outgoing, Producer};

/// Why a stage stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// ClickHouse.
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::Error),
    /// The stage itself cannot go on.
    #[error("stage `{stage}`: {reason}")]
    Stage {
        /// The stage.
        stage: String,
        /// Why.
        reason: String,
    },
    /// Something the stage needs is away.
    #[error("stage `{stage}` waits: {reason}")]
    Waiting {
        /// The stage.
        stage: String,
        /// For what.
        reason: String,
    },
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            Self::Kafka(e) => e.retry(),
            Self::ClickHouse(e) => e.retry(),
            Self::Stage { .. } => Retry::Never,
            Self::Waiting { .. } => Retry::Later,
        }
    }
}

/// What became of the messages of one partition of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows written.
    pub rows: u64,
    /// Dead letters written.
    pub rejected: u64,
}

/// What a stage made of a batch.
#[derive(Debug, Default)]
pub struct Output {
    /// Records to send: topic and record.
    pub records: Vec<(String, Outgoing)>,
    /// Inserts to make, in order.
    pub inserts: Vec<InsertBody>,
    /// Per partition.
    pub tallies: BTreeMap<i32, Tally>,
}

/// Turns batches of one topic into output.
#[async_trait]
pub trait Stage: Send {
    /// Name in the ledger, the logs and the consumer group; never changes.
    fn name(&self) -> &str;

    /// Makes output of a batch. The same batch must give the same rows at the same positions, however often it comes.
    /// An error that says `Later` is tried again with the same batch.
    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error>;
}

/// Turns messages of one topic into output as they come.
#[async_trait]
pub trait Streaming: Send {
    /// Name in the ledger, the logs and the consumer group; never changes.
    fn name(&self) -> &str;

    /// Takes the next messages: of each partition those that follow what was added since the last output. Returns the bytes
    /// of the output so far. The same messages must give the same rows at the same positions, however often they come. An
    /// error that says `Later` has added nothing, and the same messages are added again.
    async fn add(&mut self, piece: &MessageBatch) -> Result<usize, Error>;

    /// The output of everything that was added since the last time: the offsets `ranges`, by partition.
    fn finish(&mut self, ranges: &[OffsetRange]) -> Result<Output, Error>;

    /// Forgets what was added since the last output: it is added again, or nobody's here.
    fn discard(&mut self);
}

/// Names exactly these bytes of these offsets of this stage, so that a repeated insert of them is recognised. The bytes
/// count too: another build or pipeline file may make other rows of the same offsets, and the server drops an insert whose
/// token it knows without looking at it.
pub fn token(stage: &str, ranges: &[OffsetRange], body: &[u8]) -> String {
    let mut token = format!("{stage} {:016x}", crc_fast::checksum(CrcAlgorithm::Crc64Nvme, body));
    for range in ranges {
        token.push_str(&format!(" {}:{}-{}", range.partition, range.from, range.to));
    }
    token
}

/// What a runner needs.
#[derive(Debug, Clone)]
pub struct Services {
    /// How to reach Kafka.
    pub kafka: config::Kafka,
    /// Where inserts go and the ledger is.
    pub clickhouse: ClickHouse,
    /// Sends records.
    pub producer: Producer,
    /// Time of ledger entries.
    pub clock: SharedClock,
    /// What is counted.
    pub metrics: StageMetrics,
}

/// What a stage reads, and how.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The topic.
    pub topic: String,
    /// Whether headers are read.
    pub headers: bool,
    /// How much becomes one output; its age is the shortest one. Of a streaming stage, the bytes are those of the output.
    pub batch: BatchPolicy,
    /// How many times as long as a write takes messages wait for company.
    pub writes: u32,
}

impl Reading {
    /// A topic of some records a second: one batch after the other.
    pub fn of(topic: impl Into<String>) -> Self {
        // Nobody waits for these as for features, and what little there is in a batch costs the server as much.
        let batch = BatchPolicy { rows: 5_000, bytes: 2 << 20, age: Duration::from_millis(100) };
        Self { topic: topic.into(), headers: false, batch, writes: 12 }
    }

    /// A topic that everything goes through, for a streaming stage.
    pub fn hot(topic: impl Into<String>) -> Self {
        let batch = BatchPolicy { bytes: 12 << 20, ..BatchPolicy::default() };
        Self { topic: topic.into(), headers: false, batch, writes: 2 }
    }

    /// Reads headers, too.
    pub fn with_headers(self) -> Self {
        Self { headers: true, ..self }
    }
}
