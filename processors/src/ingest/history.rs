//! What stands in a topic before the messages at hand.

use async_trait::async_trait;
use driftmill_platform::config;
use driftmill_platform::kafka::{self, Fetcher, MessageBatch};

/// Reads messages that were processed already.
#[async_trait]
pub trait History: Send {
    /// The next messages of one partition at offsets `from..to`, in order, and the offset to go on from: `to` when that was
    /// all. Those that are gone are left out.
    async fn read(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<(MessageBatch, i64), kafka::Error>;
}

/// The topic itself; a client is made when it is asked for the first time.
pub struct TopicHistory {
    settings: config::Kafka,
    fetcher: Option<Fetcher>,
}

impl TopicHistory {
    /// Topics of the cluster.
    pub fn new(settings: config::Kafka) -> Self {
        Self { settings, fetcher: None }
    }
}

#[async_trait]
impl History for TopicHistory {
    async fn read(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<(MessageBatch, i64), kafka::Error> {
        let fetcher = match &mut self.fetcher {
            Some(fetcher) => fetcher,
            none => none.insert(Fetcher::new(&self.settings)?),
        };
        fetcher.scan(topic, partition, from, to).await
    }
}

/// There was nothing before.
pub struct NoHistory;

#[async_trait]
impl History for NoHistory {
    async fn read(&mut self, topic: &str, _: i32, _: i64, to: i64) -> Result<(MessageBatch, i64), kafka::Error> {
        Ok((MessageBatch::new(topic, false), to))
    }
}
