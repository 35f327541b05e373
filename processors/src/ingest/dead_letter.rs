//! A dead letter: the original bytes, with the reason in the headers Kafka Connect uses.

use driftmill_platform::kafka::{Headers, MAX_RECORD_BYTES, Outgoing};
use driftmill_schemas::message::dead_letter as header;

/// Characters of a reason that are kept.
const MOST_REASON: usize = 2_000;

/// Where a refused message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Kafka's time of it, milliseconds since 1970 UTC.
    pub timestamp: i64,
}

/// Makes the dead letter of the message at `place`. Its key is that place, so a compacted topic, and every reader that
/// keeps the last record of a key, holds one per refused message however often it was processed.
pub fn dead_letter(place: Place<'_>, stage: &str, kind: &str, reason: &str, original: &[u8]) -> Outgoing {
    let Place { topic, partition, offset, timestamp } = place;
    let text = |key: &str, value: String| (key.to_owned(), value.into_bytes());
    // Somebody else's record may be larger than what we may send. Its place is named, where all of it still is.
    let kept = &original[..original.len().min(MAX_RECORD_BYTES)];
    let reason: String = reason.chars().take(MOST_REASON).collect();
    let mut headers: Headers = vec![
        text(header::TOPIC, topic.to_owned()),
        text(header::PARTITION, partition.to_string()),
        text(header::OFFSET, offset.to_string()),
        text(header::TIMESTAMP, timestamp.to_string()),
        text(header::STAGE, stage.to_owned()),
        text(header::EXCEPTION_CLASS, kind.to_owned()),
        text(header::EXCEPTION_MESSAGE, reason),
    ];
    if kept.len() < original.len() {
        headers.push(text(header::FULL_LENGTH, original.len().to_string()));
    }
    Outgoing {
        key: format!("{topic}/{partition}/{offset}").into_bytes(),
        payload: kept.to_vec(),
        headers,
        timestamp: None,
        partition: None,
    }
}
