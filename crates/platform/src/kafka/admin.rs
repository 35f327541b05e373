//! Topics: created explicitly, because auto-created ones get somebody else's layout.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::watermarks::watermarks;
use super::{EndsInTime, Error, Kind, client, customise, held};
use crate::config;
use crate::error::{Retry, Retryable as _};

const PATIENCE: Duration = Duration::from_secs(10);

/// A topic as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: u32,
    /// Whether only the last record of each key is kept.
    pub compacted: bool,
}

/// Looks at topics and creates them.
pub struct Admin {
    admin: EndsInTime<AdminClient<DefaultClientContext>>,
    reader: Arc<EndsInTime<BaseConsumer>>,
    records: ClientConfig,
    replication: i32,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl Admin {
    /// A client for the cluster.
    pub fn new(settings: &config::Kafka) -> Result<Self, Error> {
        let mut config = client(settings);
        customise(&mut config, settings, Kind::Admin);
        Ok(Self {
            admin: EndsInTime::new(config.create().map_err(Error::client)?),
            reader: Arc::new(EndsInTime::new(config.create().map_err(Error::client)?)),
            records: held::reader(settings),
            replication: settings.replication.max(1),
        })
    }

    /// Creates the topics that do not exist. One that exists with fewer partitions is an error; more are fine.
    pub async fn ensure(&self, specs: &[TopicSpec]) -> Result<(), Error> {
        let mut partitions = Vec::with_capacity(specs.len());
        for spec in specs {
            partitions.push(self.partitions(&spec.name).await?);
        }
        let missing: Vec<&TopicSpec> =
            specs.iter().zip(&partitions).filter(|(_, n)| **n == 0).map(|(s, _)| s).collect();
        if !missing.is_empty() {
            self.create(&missing).await?;
        }
        for (spec, found) in specs.iter().zip(partitions) {
            let found = if found == 0 { self.visible_partitions(&spec.name).await? } else { found };
            if found < spec.partitions as usize {
                return Err(Error::Partitions { topic: spec.name.clone(), found, wanted: spec.partitions });
            }
        }
        Ok(())
    }

    /// Partitions of a topic that exists: a broker shows a new one only after a moment, whoever made it.
    async fn visible_partitions(&self, topic: &str) -> Result<usize, Error> {
        let visible = async {
            loop {
                match self.partitions(topic).await? {
                    0 => tokio::time::sleep(Duration::from_millis(50)).await,
                    found => return Ok(found),
                }
            }
        };
        tokio::time::timeout(PATIENCE, visible).await.unwrap_or_else(|_| Err(Error::NoTopic(topic.to_owned())))
    }

    async fn create(&self, specs: &[&TopicSpec]) -> Result<(), Error> {
        let limit = super::MAX_RECORD_BYTES + 65_536;
        let limit = limit.to_string();
        let topics: Vec<NewTopic<'_>> = specs
            .iter()
            .map(|spec| {
                let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
                NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(self.replication))
                    .set("cleanup.policy", if spec.compacted { "compact" } else { "delete" })
                    .set("max.message.bytes", &limit)
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        let made = self.admin.create_topics(&topics, &options).await.map_err(Error::request("create topics"))?;
        for outcome in made {
            match outcome {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    let error = rdkafka::error::KafkaError::AdminOp(code);
                    return Err(Error::Request { doing: format!("create topic `{topic}`"), error });
                }
            }
        }
        Ok(())
    }

    /// Number of partitions of `topic`; 0 when it does not exist.
    pub async fn partitions(&self, topic: &str) -> Result<usize, Error> {
        let topic = topic.to_owned();
        self.blocking(move |reader| {
            let metadata = reader
                .fetch_metadata(Some(&topic), PATIENCE)
                .map_err(Error::request(format!("look at topic `{topic}`")))?;
            Ok(metadata.topics().iter().find(|t| t.name() == topic).map_or(0, |t| t.partitions().len()))
        })
        .await
    }

    /// First offset kept and next offset to come of every partition of `topic`.
    pub async fn watermarks(&self, topic: &str) -> Result<Vec<(i64, i64)>, Error> {
        let partitions = self.partitions(topic).await?;
        let topic = topic.to_owned();
        self.blocking(move |reader| {
            let partitions: Vec<i32> = (0..i32::try_from(partitions).unwrap_or(i32::MAX)).collect();
            let found = watermarks(reader, &topic, &partitions, PATIENCE);
            let found = found.map_err(Error::request(format!("look at topic `{topic}`")))?;
            let known = found.into_iter().map(|(partition, ends)| {
                ends.map_err(Error::request(format!("look at topic `{topic}` partition {partition}")))
            });
            known.collect()
        })
        .await
    }

    /// The first offset of every partition of `topic` whose record has this time, milliseconds since 1970 UTC, or a later
    /// one; the next offset to come where none has.
    pub async fn offsets_at(&self, topic: &str, at: i64) -> Result<Vec<i64>, Error> {
        let ends = self.watermarks(topic).await?;
        let topic = topic.to_owned();
        self.blocking(move |reader| {
            let looking = || Error::request(format!("look for a time in topic `{topic}`"));
            let mut wanted = TopicPartitionList::new();
            for partition in (0..).take(ends.len()) {
                wanted.add_partition_offset(&topic, partition, Offset::Offset(at)).map_err(looking())?;
            }
            let found = reader.offsets_for_times(wanted, PATIENCE).map_err(looking())?;
            let offset = |(partition, end): (i32, i64)| match found.find_partition(&topic, partition)?.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => Some(end),
            };
            let places = (0..).zip(ends.iter().map(|(_, end)| *end));
            Ok(places.map(|(partition, end)| offset((partition, end)).unwrap_or(end)).collect())
        })
        .await
    }

    /// The offsets in `ranges`, half-open, disjoint and ascending, at which the partition holds a record that consumers
    /// see; what retention has deleted is left out. Reads the records, so it is for few ranges.
    pub async fn held(&self, topic: &str, partition: i32, ranges: Vec<(i64, i64)>) -> Result<Vec<i64>, Error> {
        let (config, topic) = (self.records.clone(), topic.to_owned());
        let looking = tokio::task::spawn_blocking(move || held::held(&config, &topic, partition, &ranges));
        looking.await.map_err(|_| Error::Ended)?
    }

    // librdkafka's look-ups block their thread. A broker that has just made a topic, or just started, answers for some
    // moments that it leads nothing: that passes.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl Fn(&BaseConsumer) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let work = Arc::new(work);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (reader, work) = (Arc::clone(&self.reader), Arc::clone(&work));
            let answer = tokio::task::spawn_blocking(move || work(&reader)).await.map_err(|_| Error::Ended)?;
            match answer {
                Err(error) if error.retry() == Retry::Later && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                answer => return answer,
            }
        }
    }
}
