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

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { topic: "t.raw", partition: 3, offset: 41, timestamp: 5 };

    #[test]
    fn a_dead_letter_holds_the_original_bytes_under_the_names_that_kafka_connect_gives() {
        let original = [0, 159, 146, 150, b'x'];
        let letter = dead_letter(PLACE, "decode", "NotAvro", "no Avro", &original);
        assert_eq!(letter.payload, original);
        let headers: Vec<_> =
            letter.headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect();
        let connect = [
            ("__connect.errors.topic", "t.raw"),
            ("__connect.errors.partition", "3"),
            ("__connect.errors.offset", "41"),
            ("__connect.errors.stage", "decode"),
            ("__connect.errors.exception.class.name", "NotAvro"),
            ("__connect.errors.exception.message", "no Avro"),
        ];
        assert!(connect.iter().all(|header| headers.contains(header)), "{headers:?}");
    }

    #[test]
    fn the_letters_of_one_message_have_one_key_and_those_of_two_have_two() {
        let key = |place, reason| dead_letter(place, "decode", "NotAvro", reason, b"x").key;
        assert_eq!(key(PLACE, "a reason"), key(PLACE, "another one, after a replay"));
        assert_ne!(key(PLACE, "a reason"), key(Place { offset: 42, ..PLACE }, "a reason"));
        assert_ne!(key(PLACE, "a reason"), key(Place { partition: 4, ..PLACE }, "a reason"));
    }
}
