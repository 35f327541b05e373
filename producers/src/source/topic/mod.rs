//! Another topic as a source.
//!
//! ```text
//! partition 0   …  7   8   9 │ 10  11      acknowledged up to 9: the next run begins at 10
//! partition 1   …  2   3 │ 4  (5)  6       5 is there already: its message says so, see `Checkpoint`
//! ```
//!
//! Records of a partition come in its order, those of different partitions in any. Each is found by its place. What
//! retention deleted before it was read is told, and passed over.

mod decode;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::backoff::Backoff;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::kafka::{
    Admin, BatchPolicy, Consumer, ConsumerOptions, Error as KafkaError, MessageBatch, Position as Start,
};
use driftmill_platform::schemas::Found;
use driftmill_schemas::pipeline::{Loaded, TopicSource, TopicStart};
use driftmill_schemas::record::RecordSchema;
use tracing::warn;

use self::decode::{Decoder, Lookup};
use super::{Content, Identity, Item, Live, More, Opening, Position, RecordSource, Total};
use crate::Error;

/// What is read at once.
const BATCH: BatchPolicy = BatchPolicy { rows: 10_000, bytes: 4 << 20, age: Duration::from_millis(20) };
/// How long a topic is silent before it is asked whether there is anything left to come.
const SILENCE: Duration = Duration::from_secs(1);

/// The records of another topic. Item = message.
pub(crate) struct TopicReader {
    topic: String,
    decoder: Decoder,
    consumer: Consumer,
    admin: Admin,
    batch: Option<(MessageBatch, usize)>,
    /// For each partition: the offset that is read next.
    places: BTreeMap<i32, i64>,
    begins: BTreeMap<i32, i64>,
    /// For each partition: where the reading ends; absent: nowhere.
    until: Option<BTreeMap<i32, i64>>,
    position: Position,
    live: Live,
}

impl TopicReader {
    /// Opens the topic that the source called `name` declares.
    pub(crate) fn open(name: &str, declared: &TopicSource, loaded: &Loaded, opening: Opening) -> Result<Self, Error> {
        let at_fault = |reason: String| Error::Declaration { source_name: name.to_owned(), reason };
        let written = match &declared.schema {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(loaded.folder.join(path));
                let text = text.map_err(|error| at_fault(format!("`{path}` cannot be read: {error}")))?;
                Some(RecordSchema::parse(&text).map_err(|error| at_fault(format!("`{path}`: {error}")))?)
            }
        };
        let decoder = Decoder::new(&loaded.schema, written, &declared.columns, &declared.ignore, opening.live.framing)
            .map_err(at_fault)?;
        let Opening { position, places: known, live, .. } = opening;
        let kafka = &live.around.kafka;
        let admin = Admin::new(kafka)?;
        let marks = live.wait(admin.watermarks(&declared.name)).ok_or(Error::ShuttingDown)??;
        if marks.is_empty() {
            return Err(at_fault(format!("there is no topic `{}`", declared.name)));
        }
        let marks: BTreeMap<i32, (i64, i64)> = (0..).zip(marks).collect();
        let begins = begins(declared, &known, &marks)?;
        let until = (!declared.follows()).then(|| {
            marks.iter().map(|(partition, (_, end))| (*partition, *declared.to.get(partition).unwrap_or(end))).collect()
        });
        let starts = begins.clone();
        let positions = move |_: &str, partitions: &[i32]| -> Result<Vec<Start>, KafkaError> {
            Ok(partitions.iter().map(|p| starts.get(p).map_or(Start::Beginning, |at| Start::At(*at))).collect())
        };
        let options = ConsumerOptions { topic: declared.name.clone(), group: None, headers: false, batch: BATCH };
        let consumer = Consumer::start(kafka, options, Arc::new(positions), &live.cancel)?;
        let (topic, places, batch) = (declared.name.clone(), begins.clone(), None);
        Ok(Self { topic, decoder, consumer, admin, batch, places, begins, until, position, live })
    }

    /// Whether everything up to where the reading ends is read.
    fn done(&self) -> bool {
        self.until.as_ref().is_some_and(|until| {
            until.iter().all(|(partition, end)| self.places.get(partition).is_some_and(|at| at >= end))
        })
    }

    fn is_wanted(&self, partition: i32, offset: i64) -> bool {
        self.until.as_ref().is_none_or(|until| until.get(&partition).is_some_and(|end| offset < *end))
    }

    /// The next batch; `None` at the end, or when the run is over.
    fn fetch(&mut self) -> Result<Option<MessageBatch>, Error> {
        while !self.done() {
            let bounded = self.until.is_some();
            let consumer = &mut self.consumer;
            let next = self.live.wait(async {
                if bounded {
                    tokio::time::timeout(SILENCE, consumer.next()).await.ok()
                } else {
                    Some(consumer.next().await)
                }
            });
            match next {
                None | Some(Some(None)) => return Ok(None),
                Some(None) => self.pass_over_nothing()?,
                Some(Some(Some(Err(error)))) if error.retry() == Retry::Later => {
                    warn!(topic = self.topic, %error, "the topic is read on in a moment");
                }
                Some(Some(Some(batch))) => {
                    let batch = batch?;
                    for coverage in batch.coverage() {
                        let partition = coverage.range.partition;
                        for (from, to) in coverage.lost {
                            let topic = &self.topic;
                            warn!(topic, partition, from, to, "records were deleted before they were read");
                        }
                        if batch.is_empty() {
                            self.places.insert(partition, coverage.range.to);
                        }
                    }
                    return Ok(Some(batch));
                }
            }
        }
        Ok(None)
    }

    /// Offsets at which there is no record are waited for in vain.
    fn pass_over_nothing(&mut self) -> Result<(), Error> {
        for (&partition, &end) in self.until.iter().flatten() {
            let Some(at) = self.places.get_mut(&partition).filter(|at| **at < end) else { continue };
            let looking = self.admin.held(&self.topic, partition, vec![(*at, end)]);
            let held = self.live.wait(looking).ok_or(Error::ShuttingDown)??;
            *at = held.first().copied().unwrap_or(end);
        }
        Ok(())
    }

    /// The content of a message, when its schema is known or found.
    fn content(&mut self, payload: &[u8]) -> Option<Content> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5), 0);
        loop {
            let named = match self.decoder.content(payload) {
                Lookup::Done(content) => return Some(content),
                Lookup::Wanted(named) => named,
            };
            let Some(schemas) = self.live.around.schemas.clone() else {
                self.decoder.is_unknown(named, "is written with a schema that is looked for nowhere".to_owned());
                continue;
            };
            // Announced under the pipeline whose raw topic it is.
            let pipeline = self.topic.strip_suffix(".raw").unwrap_or(&self.topic).to_owned();
            match self.live.wait(schemas.find(&pipeline, &[named]))? {
                Ok(found) => match found.into_iter().next() {
                    Some((_, Found::Schema(text))) => self.decoder.learn(named, &text),
                    Some((_, Found::Nowhere(reason))) => {
                        let way_out = "; or name the schema under `schema`";
                        self.decoder.is_unknown(named, format!("{reason}{way_out}"));
                    }
                    None => self.decoder.is_unknown(named, "is written with a schema that was not found".to_owned()),
                },
                Err(error) => {
                    warn!(topic = self.topic, %error, "a schema is asked for once more in a moment");
                    let pause = backoff.pause();
                    self.live.wait(async { tokio::time::sleep(pause).await })?;
                }
            }
        }
    }
}

/// Where each partition is begun: where an earlier run stopped, or as declared.
fn begins(
    declared: &TopicSource,
    known: &BTreeMap<i32, i64>,
    marks: &BTreeMap<i32, (i64, i64)>,
) -> Result<BTreeMap<i32, i64>, Error> {
    let begin = |(&partition, &(low, end)): (&i32, &(i64, i64))| {
        let topic = &declared.name;
        let at = match (known.get(&partition), &declared.from) {
            (Some(&wanted), _) if wanted > end => {
                let (topic, partition) = (topic.clone(), usize::try_from(partition).unwrap_or_default());
                return Err(Error::TopicRecreated { topic, partition, wanted, end });
            }
            (Some(&at), _) if at < low => {
                warn!(topic, partition, from = at, to = low, "records were deleted before they were read");
                low
            }
            (Some(&at), _) => at,
            // A partition that was added later is begun with its first record.
            (None, TopicStart::End) if known.is_empty() => end,
            (None, TopicStart::At(offsets)) => offsets.get(&partition).copied().unwrap_or(low).clamp(low, end),
            (None, _) => low,
        };
        Ok((partition, at))
    };
    marks.iter().map(begin).collect()
}

impl RecordSource for TopicReader {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            let Some((batch, at)) = &mut self.batch else {
                match self.fetch()? {
                    Some(batch) => self.batch = Some((batch, 0)),
                    None => return Ok(None),
                }
                continue;
            };
            if *at >= batch.len() {
                if let Some((batch, _)) = self.batch.take() {
                    self.consumer.recycle(batch);
                }
                continue;
            }
            let i = *at;
            *at += 1;
            let (partition, offset, timestamp) = (batch.partitions()[i], batch.offsets()[i], batch.timestamps()[i]);
            let payload = batch.payload(i).to_vec();
            self.places.insert(partition, offset + 1);
            if !self.is_wanted(partition, offset) {
                continue;
            }
            let Some(content) = self.content(&payload) else { return Ok(None) };
            let more = More {
                place: Some(format!("{}/{partition}/{offset}", self.topic)),
                timestamp: (timestamp > 0).then_some(timestamp),
                ..More::of(Identity::Place(partition, offset))
            };
            let sequence = self.position.sequence;
            self.position.sequence += 1;
            let (next, line) = (self.position, u64::try_from(offset).unwrap_or_default());
            return Ok(Some(Item { sequence, line, content, next, more: Some(Box::new(more)) }));
        }
    }

    fn total_hint(&self) -> Option<Total> {
        None
    }

    fn at_hand(&self) -> bool {
        self.batch.as_ref().is_some_and(|(batch, at)| *at < batch.len()) || self.done()
    }

    fn places(&self) -> BTreeMap<i32, i64> {
        self.begins.clone()
    }
}
