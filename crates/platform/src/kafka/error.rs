//! What goes wrong with Kafka.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::error::{Retry, Retryable};

/// A failed Kafka call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The client could not be made: a property is wrong. Its value is not told, as it may be a password.
    #[error("Kafka client: {reason}")]
    Client {
        /// What is wrong with which property.
        reason: String,
    },
    /// There is nothing to read.
    #[error("topic `{0}` does not exist, or the broker did not say where it is")]
    NoTopic(String),
    /// A request failed.
    #[error("Kafka, {doing}: {error}")]
    Request {
        /// What was being done.
        doing: String,
        /// librdkafka's error.
        error: KafkaError,
    },
    /// A topic is laid out in another way than the pipeline asks.
    #[error(
        "topic `{topic}` has {found} partitions and the pipeline asks for {wanted}: add them by hand, or change the pipeline file"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// Partitions it has.
        found: usize,
        /// Partitions asked for.
        wanted: u32,
    },
    /// The position to resume from is not in the topic.
    #[error(
        "topic `{topic}` partition {partition} ends at offset {end}, and offset {wanted} was already processed: the topic \
         was deleted and made anew. Restore it, or give the pipeline a new name, so that old and new records do not mix"
    )]
    Recreated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The next offset by the ledger.
        wanted: i64,
        /// The topic's end.
        end: i64,
    },
    /// Another record stands where the last processed one stood.
    #[error(
        "topic `{topic}` partition {partition} holds another record at offset {offset} than the one that was processed \
         there: the topic was deleted and made anew. Restore it, or give the pipeline a new name, so that old and new \
         records do not mix"
    )]
    Replaced {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset of the record.
        offset: i64,
    },
    /// Another process is the group's member of our name.
    #[error(
        "topic `{topic}`: another process runs under this one's `kafka_instance` and has its partitions now: give each \
         process a name of its own"
    )]
    Fenced {
        /// The topic.
        topic: String,
    },
    /// Positions could not be read from the ledger.
    #[error("positions: {0}")]
    Positions(String),
    /// The producer's queue had no place in time.
    #[error("too many records wait for Kafka")]
    Full,
    /// The consumer's thread is gone.
    #[error("the consumer has ended")]
    Ended,
}

impl Error {
    pub(super) fn client(error: KafkaError) -> Self {
        let reason = match error {
            KafkaError::ClientConfig(_, what, property, _) => format!("{what} (property `{property}`)"),
            other => other.to_string(),
        };
        Self::Client { reason }
    }

    pub(super) fn request(doing: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let doing = doing.into();
        move |error| Self::Request { doing, error }
    }

    /// librdkafka's error code, when there is one.
    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Self::Request { error, .. } => error.rdkafka_error_code(),
            _ => None,
        }
    }
}

impl Retryable for Error {
    fn retry(&self) -> Retry {
        match self {
            // Positions were asked for again and again before they became an error: the partition would stay unread.
            Self::Client { .. }
            | Self::Partitions { .. }
            | Self::Recreated { .. }
            | Self::Replaced { .. }
            | Self::Fenced { .. }
            | Self::Positions(_)
            | Self::NoTopic(_)
            | Self::Ended => Retry::Never,
            Self::Full => Retry::Later,
            Self::Request { .. } => match self.code() {
                Some(
                    RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::ClusterAuthorizationFailed
                    | RDKafkaErrorCode::SaslAuthenticationFailed
                    | RDKafkaErrorCode::Authentication
                    | RDKafkaErrorCode::InvalidTopic
                    | RDKafkaErrorCode::Fatal,
                ) => Retry::Never,
                _ => Retry::Later,
            },
        }
    }
}
