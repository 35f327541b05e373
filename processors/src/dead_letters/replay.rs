//! Runs the bytes of dead letters through the ingest stage once more.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::backoff::Backoff;
use driftmill_platform::clickhouse::ClickHouse;
use driftmill_platform::clock::SharedClock;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::kafka::{Headers, MessageBatch, Outgoing, Producer};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::schemas::Schemas;
use driftmill_platform::stage::token;
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::pipeline::Loaded;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Error, Kept, Letter, Originals, Table, advice};
use crate::ingest::champion::Known;
use crate::ingest::{AddedColumns, History, Ingest, IngestMetrics, Needs};

/// Bytes of originals that are held at once, one letter more at most.
const MOST_BYTES: u64 = 8 << 20;

/// What a replay made of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A row at the position of its record; with a dry run, it would.
    Row,
    /// Nothing: an earlier replay made a row of it.
    Already,
    /// It is refused still.
    Refused {
        /// Kind of the reason now.
        kind: String,
        /// The reason now.
        message: String,
    },
    /// No replay can help; why, and what to do.
    Impossible(String),
}

/// Replays letters of one pipeline, whose file is taken as it is now.
///
/// No pane of drift counts is made: a pane stands for a range of offsets, and the ones that letters come from have theirs.
#[derive(Debug)]
pub struct Replayer {
    pipeline: String,
    table: Table,
    originals: Originals,
    ingest: Ingest,
    clickhouse: ClickHouse,
    producer: Producer,
    clock: SharedClock,
    dry: bool,
}

/// Adapters a replay needs.
pub struct Parts {
    /// Where the letters are.
    pub table: Table,
    /// Where their bytes are.
    pub originals: Originals,
    /// Where rows go.
    pub clickhouse: ClickHouse,
    /// Sends letters that are refused for another reason now.
    pub producer: Producer,
    /// Where schemas are that messages name.
    pub schemas: Schemas,
    /// What stands before the records that letters are about.
    pub history: Box<dyn History>,
    /// Dates the marks.
    pub clock: SharedClock,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Replayer {
    /// A replay for `loaded`; with `dry`, nothing is written.
    pub fn new(loaded: Arc<Loaded>, parts: Parts, dry: bool) -> Result<Self, Error> {
        let Parts { table, originals, clickhouse, producer, schemas, history, clock } = parts;
        let pipeline = loaded.pipeline.name.clone();
        let metrics = IngestMetrics::new(&Metrics::default());
        let added = if dry { AddedColumns::pretended } else { AddedColumns::new };
        let needs = Needs {
            schemas: Some(schemas),
            added: Some(added(clickhouse.clone(), &loaded, metrics.clone())),
            champion: watch::channel(Known::Nobody).1,
            metrics,
            history,
            clickhouse: Some(clickhouse.clone()),
            clock: Arc::clone(&clock),
        };
        let ingest = Ingest::new(loaded, needs)?;
        Ok(Self { pipeline, table, originals, ingest, clickhouse, producer, clock, dry })
    }

    /// What became of each of `letters`. While Kafka, ClickHouse or the schema registry is away, the letters are tried again
    /// and again, until `cancel` fires: trying twice changes nothing.
    pub async fn replay(&mut self, letters: &[Letter], cancel: &CancellationToken) -> Result<Vec<Outcome>, Error> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), letters.len() as u64);
        loop {
            match self.attempt(letters).await {
                Err(error) if error.retry() == Retry::Later => {
                    let pause = backoff.pause();
                    warn!(%error, ?pause, "the replay goes on in a moment");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = cancel.cancelled() => return Err(error),
                    }
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(&mut self, letters: &[Letter]) -> Result<Vec<Outcome>, Error> {
        let mut outcomes: Vec<Option<Outcome>> = letters.iter().map(|letter| self.known(letter)).collect();
        self.finish_begun(letters, &mut outcomes).await?;
        let mut open: Vec<usize> = (0..letters.len()).filter(|i| outcomes[*i].is_none()).collect();
        // As a batch has them: offsets of a partition ascend.
        open.sort_by_key(|i| (letters[*i].partition, letters[*i].offset));
        let sizes: Vec<u64> = open.iter().map(|i| letters[*i].bytes).collect();
        // Records that are compared with those before them are neighbours of these, and not of one another.
        let chunks =
            if self.ingest.looks_back() { (0..sizes.len()).map(|i| i..i + 1).collect() } else { chunks(&sizes) };
        for chunk in chunks {
            let chunk = &open[chunk];
            let found = self.run(&chunk.iter().map(|i| &letters[*i]).collect::<Vec<_>>()).await?;
            chunk.iter().zip(found).for_each(|(i, outcome)| outcomes[*i] = Some(outcome));
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// The outcome of a letter that need not be looked into.
    fn known(&self, letter: &Letter) -> Option<Outcome> {
        if letter.replayed_at.is_some() {
            return Some(Outcome::Already);
        }
        if self.table.is_raw(letter) {
            return None;
        }
        let why = if letter.stage == "source" {
            advice(&self.pipeline, &letter.stage, &letter.kind)
        } else {
            let raw = &self.table.topics().raw;
            format!("it is not about a record of `{raw}`: mend what the reason names and send the record again")
        };
        Some(Outcome::Impossible(why))
    }

    /// Finishes the marks of an earlier replay that ended between the row and the mark.
    async fn finish_begun(&self, letters: &[Letter], outcomes: &mut [Option<Outcome>]) -> Result<(), Error> {
        let begun = |i: &usize| outcomes[*i].is_none() && letters[*i].begun_at.is_some();
        let begun: Vec<usize> = (0..letters.len()).filter(begun).collect();
        let position = |i: usize| (letters[i].partition, letters[i].offset);
        let rows = self.table.rows_at(&begun.iter().map(|i| position(*i)).collect()).await?;
        let done: Vec<usize> = begun.into_iter().filter(|i| rows.contains(&position(*i))).collect();
        if !self.dry {
            let now = self.clock.now();
            let finished: Vec<&Letter> = done.iter().map(|i| &letters[*i]).collect();
            self.table.mark(&finished, now, Some(now)).await?;
        }
        done.into_iter().for_each(|i| outcomes[i] = Some(Outcome::Row));
        Ok(())
    }

    /// The outcomes of letters that fit into memory, sorted by position.
    async fn run(&mut self, letters: &[&Letter]) -> Result<Vec<Outcome>, Error> {
        let kept = self.originals.find(letters).await?;
        let mut batch = MessageBatch::new(&self.table.topics().raw, false);
        for (letter, kept) in letters.iter().zip(&kept) {
            if let Some(Kept { payload, timestamp, whole: true, .. }) = kept {
                batch.push(letter.partition, letter.offset, *timestamp, payload, Headers::new());
            }
        }
        if batch.is_empty() {
            return Ok(letters.iter().map(|_| gone()).collect());
        }
        let output = self.ingest.process(&batch).await?;
        // Without a champion the stage sends nothing but dead letters, whose key is their origin.
        let mut refused: HashMap<Vec<u8>, Outgoing> =
            output.records.into_iter().map(|(_, record)| (record.key.clone(), record)).collect();
        let mut good = Vec::new();
        let mut anew = Vec::new();
        let mut outcomes = Vec::with_capacity(letters.len());
        for (letter, kept) in letters.iter().zip(&kept) {
            let outcome = match (kept, refused.remove(letter.origin.as_bytes())) {
                (Some(Kept { whole: true, .. }), None) => {
                    good.push(*letter);
                    Outcome::Row
                }
                (Some(Kept { whole: true, .. }), Some(record)) => {
                    let text = |name: &str| text(&record.headers, name);
                    let (kind, message) = (text(header::EXCEPTION_CLASS), text(header::EXCEPTION_MESSAGE));
                    if (&kind, &message) != (&letter.kind, &letter.message) {
                        anew.push(record);
                    }
                    Outcome::Refused { kind, message }
                }
                _ => gone(),
            };
            outcomes.push(outcome);
        }
        if !self.dry {
            let begun_at = self.clock.now();
            self.table.mark(&good, begun_at, None).await?;
            for mut insert in output.inserts {
                // A token of this attempt: the table may have lost these very rows since they were inserted last.
                insert.token = token(&format!("replay.{} {begun_at}", self.pipeline), &batch.ranges(), &insert.body);
                self.clickhouse.insert(&insert).await?;
                // Where a version stands in for live rows, that is where the row is looked for.
                if let Some(version) = self.clickhouse.feature_version_in_force(&self.pipeline).await? {
                    insert.table = version.table().rows;
                    self.clickhouse.insert(&insert).await?;
                }
            }
            self.table.mark(&good, begun_at, Some(self.clock.now())).await?;
            self.producer.send_all(&self.table.topics().rejected, anew).await?;
        }
        Ok(outcomes)
    }
}

fn gone() -> Outcome {
    Outcome::Impossible(
        "its bytes are gone: retention took them from the topic of dead letters and from the raw topic, or these were made \
         anew. Its sender has to send the record again"
            .to_owned(),
    )
}

/// A header as text; empty when there is none.
pub(crate) fn text(headers: &Headers, name: &str) -> String {
    let value = headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// Cuts letters of these sizes into runs of [`MOST_BYTES`] at most; a larger letter is a run of its own.
fn chunks(sizes: &[u64]) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0_u64);
    for (i, size) in sizes.iter().enumerate() {
        if i > start && bytes.saturating_add(*size) > MOST_BYTES {
            chunks.push(start..i);
            (start, bytes) = (i, 0);
        }
        bytes = bytes.saturating_add(*size);
    }
    if start < sizes.len() {
        chunks.push(start..sizes.len());
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_held_in_memory_a_few_megabytes_at_a_time() {
        let cut = |sizes: &[u64]| chunks(sizes).into_iter().map(|run| (run.start, run.end)).collect::<Vec<_>>();
        assert_eq!(cut(&[]), []);
        assert_eq!(cut(&[1, 2, 3]), [(0, 3)]);
        assert_eq!(cut(&[MOST_BYTES, 1, MOST_BYTES - 1, 1]), [(0, 1), (1, 3), (3, 4)]);
        assert_eq!(cut(&[1, u64::MAX, u64::MAX]), [(0, 1), (1, 2), (2, 3)]);
    }
}
