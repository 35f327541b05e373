//! Schemas that producers announced in the topic `driftmill.schemas`.
//!
//! Its one partition is the order of versions. A producer reads it to its end, compares, and adds its own; two at once see
//! afterwards who was first, and the later one takes its announcement back if it does not go together with the earlier. A
//! reader looks from where it stopped to the end, once for all schemas of a batch: what a message names was announced
//! before it was written, so it is there, or nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftmill_schemas::message::SchemaAnnouncement;
use driftmill_schemas::pipeline::Pipeline;
use driftmill_schemas::record::RecordSchema;
use driftmill_schemas::record::compatibility::Version;
use driftmill_schemas::topic;
use rdkafka::error::KafkaError;
use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Error, check};
use crate::config;
use crate::kafka::{self, Admin, Outgoing, Producer, read_range};

/// How long reading what is new in the topic may take: it holds a few records.
const PATIENCE: Duration = Duration::from_secs(30);
/// Schemas kept of the topic. Whoever could announce more of them could as well fill the raw topic.
const MOST: usize = 10_000;

/// The topic, as far as it is read. Clones share it.
#[derive(Debug, Clone)]
pub struct AnnouncedSchemas {
    kafka: config::Kafka,
    producer: Producer,
    admin: Arc<OnceCell<Admin>>,
    log: Arc<Mutex<Log>>,
}

/// What was read of the topic.
#[derive(Debug, Default)]
struct Log {
    next: i64,
    /// By pipeline and fingerprint: where it was announced, and its text.
    schemas: BTreeMap<(String, u64), (i64, String)>,
}

impl Log {
    /// Takes the record at `offset`; what is none of ours is passed over. A schema that was announced twice counts from the
    /// first time on.
    fn take(&mut self, offset: i64, payload: &[u8]) {
        let Ok(announced) = serde_json::from_slice::<SchemaAnnouncement>(payload) else { return };
        let Ok(print) = u64::from_str_radix(&announced.fingerprint, 16) else { return };
        let key = (announced.pipeline, print);
        if announced.withdrawn {
            self.schemas.remove(&key);
        } else if self.schemas.len() < MOST {
            self.schemas.entry(key).or_insert((offset, announced.schema));
        }
    }

    fn text(&self, pipeline: &str, print: u64) -> Option<&str> {
        self.schemas.get(&(pipeline.to_owned(), print)).map(|(_, text)| text.as_str())
    }

    /// The versions announced before offset `before`, the oldest first.
    fn versions(&self, pipeline: &str, before: i64) -> Vec<Version> {
        let of_pipeline = self.schemas.range((pipeline.to_owned(), 0)..=(pipeline.to_owned(), u64::MAX));
        let mut texts: Vec<(i64, &str)> =
            of_pipeline.map(|(_, (offset, text))| (*offset, text.as_str())).filter(|(at, _)| *at < before).collect();
        texts.sort_unstable();
        (1..).zip(texts).filter_map(|(number, (_, text))| Version::parse(number, text).ok()).collect()
    }
}

impl AnnouncedSchemas {
    /// The topic of this cluster; nothing is contacted yet.
    pub fn new(kafka: config::Kafka, producer: Producer) -> Self {
        Self { kafka, producer, admin: Arc::default(), log: Arc::default() }
    }

    /// The text of each of these schemas of `pipeline`, if it was announced.
    pub async fn find(&self, pipeline: &str, prints: &[u64]) -> Result<Vec<Option<String>>, kafka::Error> {
        if prints.is_empty() {
            return Ok(Vec::new());
        }
        let mut log = self.log.lock().await;
        if prints.iter().any(|print| log.text(pipeline, *print).is_none()) {
            self.read_on(&mut log).await?;
        }
        Ok(prints.iter().map(|print| log.text(pipeline, *print).map(str::to_owned)).collect())
    }

    /// Adds `schema` to the versions of `pipeline`, unless it is one of them.
    pub async fn announce(&self, pipeline: &Pipeline, schema: &RecordSchema, at: i64) -> Result<(), Error> {
        let (name, print) = (&pipeline.name, schema.fingerprint);
        let mode = pipeline.compatibility.unwrap_or_default();
        let mut log = self.log.lock().await;
        self.read_on(&mut log).await?;
        if log.text(name, print).is_some() {
            return Ok(());
        }
        check(pipeline, mode, &log.versions(name, i64::MAX), schema)?;
        let announcement = SchemaAnnouncement {
            pipeline: name.clone(),
            fingerprint: format!("{print:016x}"),
            schema: schema.text.clone(),
            at,
            withdrawn: false,
        };
        self.send(&announcement).await?;
        self.read_on(&mut log).await?;
        // What somebody else announced in between was not compared yet.
        let before = log.schemas.get(&(name.clone(), print)).map_or(i64::MAX, |(offset, _)| *offset);
        if let Err(refusal) = check(pipeline, mode, &log.versions(name, before), schema) {
            self.send(&SchemaAnnouncement { withdrawn: true, ..announcement }).await?;
            return Err(refusal);
        }
        info!(pipeline = name, fingerprint = announcement.fingerprint, %mode, "a new version of the schema is announced");
        Ok(())
    }

    async fn send(&self, announcement: &SchemaAnnouncement) -> Result<(), kafka::Error> {
        let key = format!("{}/{}", announcement.pipeline, announcement.fingerprint).into_bytes();
        // Texts and a number: there is nothing in it that JSON could not hold.
        let payload = serde_json::to_vec(announcement).unwrap_or_default();
        self.producer.send(topic::SCHEMAS, Outgoing { key, payload, ..Outgoing::default() }).await.map(|_| ())
    }

    /// Reads what was announced since the last time.
    async fn read_on(&self, log: &mut Log) -> Result<(), kafka::Error> {
        let admin = self.admin.get_or_try_init(|| async { Admin::new(&self.kafka) }).await?;
        let Some((first, end)) = admin.watermarks(topic::SCHEMAS).await?.first().copied() else { return Ok(()) };
        if end < log.next {
            // The topic was made anew.
            *log = Log::default();
        }
        let from = log.next.max(first);
        let cancel = CancellationToken::new();
        let _stop = cancel.clone().drop_guard();
        let reading = read_range(&self.kafka, topic::SCHEMAS, from, end, &cancel, |batch, i| {
            log.take(batch.offsets()[i], batch.payload(i));
        });
        let late =
            || kafka::Error::Request { doing: format!("read `{}`", topic::SCHEMAS), error: KafkaError::Canceled };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err(late()))?;
        log.next = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(print: u64, withdrawn: bool) -> Vec<u8> {
        let schema = r#"{"type":"record","name":"r","fields":[]}"#.to_owned();
        let (pipeline, fingerprint) = ("p".to_owned(), format!("{print:016x}"));
        serde_json::to_vec(&SchemaAnnouncement { pipeline, fingerprint, schema, at: 0, withdrawn }).unwrap()
    }

    #[test]
    fn versions_are_numbered_as_they_were_announced_first() {
        let mut log = Log::default();
        for (offset, payload) in (0..).zip([
            announcement(9, false),
            b"garbage".to_vec(),
            announcement(3, false),
            announcement(9, false),
            announcement(5, false),
            announcement(5, true),
        ]) {
            log.take(offset, &payload);
        }
        let numbers = |before| log.versions("p", before).iter().map(|version| version.number).collect::<Vec<_>>();
        assert_eq!((numbers(i64::MAX), numbers(2), numbers(0)), (vec![1, 2], vec![1], vec![]));
        assert!(log.text("p", 9).is_some() && log.text("p", 5).is_none() && log.text("q", 9).is_none());
        assert!(log.versions("q", i64::MAX).is_empty());
    }
}
