//! `<pipeline>.rejected` → `<pipeline>_dead_letters`.

use async_trait::async_trait;
use driftmill_platform::kafka::MessageBatch;
use driftmill_schemas::message::dead_letter as header;
use serde_json::{Map, Value, json};

use super::{output, time};
use driftmill_platform::stage::{Error, Output, Stage};

/// Characters of the original that the table shows; the original itself stays in the topic.
const PREVIEW: usize = 2_000;

/// Dead letters, readable by SQL.
#[derive(Debug)]
pub struct DeadLetters {
    name: String,
    table: String,
}

impl DeadLetters {
    /// The sink of `pipeline`.
    pub fn new(pipeline: &str) -> Self {
        Self { name: format!("dead_letters.{pipeline}"), table: format!("{pipeline}_dead_letters_rows") }
    }
}

#[async_trait]
impl Stage for DeadLetters {
    fn name(&self) -> &str {
        &self.name
    }

    async fn process(&mut self, batch: &MessageBatch) -> Result<Output, Error> {
        Ok(output(&self.name, &self.table, batch, |i| Some(row(batch, i))))
    }
}

/// A header of message `i` as text; empty when there is none.
pub(crate) fn header_text(batch: &MessageBatch, i: usize, name: &str) -> String {
    let value = batch.headers(i).iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// What dead letter `i` is about, by its own name: however often that is refused, it is one row.
pub(crate) fn origin(batch: &MessageBatch, i: usize) -> String {
    let text = |name: &str| header_text(batch, i, name);
    match (text(header::TOPIC).as_str(), text(header::SEQUENCE).as_str()) {
        ("", "") => format!("{}/{}/{}", batch.topic(), batch.partitions()[i], batch.offsets()[i]),
        ("", sequence) => sequence.to_owned(),
        (topic, _) => format!("{topic}/{}/{}", text(header::PARTITION), text(header::OFFSET)),
    }
}

/// The beginning of an original as the table shows it: text, with `\u{fffd}` for what is none.
pub(crate) fn preview(payload: &[u8]) -> String {
    String::from_utf8_lossy(&payload[..payload.len().min(4 * PREVIEW)]).chars().take(PREVIEW).collect()
}

fn row(batch: &MessageBatch, i: usize) -> Map<String, Value> {
    let text = |name: &str| header_text(batch, i, name);
    let number = |name: &str| text(name).parse::<i64>().unwrap_or(-1);
    let payload = batch.payload(i);
    let row = json!({
        "origin": origin(batch, i),
        "at": time(batch.timestamps()[i]),
        "stage": text(header::STAGE),
        "error": text(header::EXCEPTION_CLASS),
        "message": text(header::EXCEPTION_MESSAGE),
        "expectation": text(header::EXPECTATION),
        "origin_topic": text(header::TOPIC),
        "origin_partition": number(header::PARTITION),
        "origin_offset": number(header::OFFSET),
        "source": text(header::SOURCE),
        "original": text(header::ORIGINAL),
        "bytes": payload.len(),
        "preview": preview(payload),
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}
