//! Kafka, through librdkafka: topics, an idempotent producer, and a consumer that resumes from positions of ours.

mod admin;
mod batch;
mod consumer;
mod ending;
mod error;
mod fetch;
mod held;
mod producer;
mod range;
mod ranges;
mod watermarks;

pub use admin::{Admin, TopicSpec};
pub use batch::{Coverage, Headers, MessageBatch, OffsetRange, mark};
pub use consumer::{Age, BatchPolicy, Consumer, ConsumerOptions, Handle, Position, Positions};
pub use ending::EndsInTime;
pub use error::Error;
pub use fetch::Fetcher;
pub use producer::{Acknowledgement, Outgoing, Producer};
pub use range::read_range;
pub use ranges::merged;

use rdkafka::ClientConfig;

use crate::config;

/// The largest record that topics of ours accept, in bytes. What is larger goes to the object store, and its address
/// into the record.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

/// What a client is for; properties written as `consumer.…` or `producer.…` reach only their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Admin,
    Consumer,
    Producer,
}

/// The librdkafka configuration that every client of ours starts from.
fn client(settings: &config::Kafka) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "driftmill")
        // A broker that restarts is found again within a second, not after librdkafka's default of ten.
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.keepalive.enable", "true")
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("log_level", "4");
    client
}

/// Sets what the user asks for; what must not be changed is set after it.
fn customise(client: &mut ClientConfig, settings: &config::Kafka, kind: Kind) {
    for (property, value) in &settings.properties {
        match (property.split_once('.'), kind) {
            (Some(("consumer", rest)), Kind::Consumer) | (Some(("producer", rest)), Kind::Producer) => {
                client.set(rest, value.reveal());
            }
            (Some(("consumer" | "producer", _)), _) => {}
            _ => {
                client.set(property, value.reveal());
            }
        }
    }
}
