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

fn row(batch: &MessageBatch, i: usize) -> Map<String, Value> {
    let text = |name: &str| {
        let value = batch.headers(i).iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    let number = |name: &str| text(name).parse::<i64>().unwrap_or(-1);
    let payload = batch.payload(i);
    let preview: String =
        String::from_utf8_lossy(&payload[..payload.len().min(4 * PREVIEW)]).chars().take(PREVIEW).collect();
    let (topic, sequence) = (text(header::TOPIC), text(header::SEQUENCE));
    // What was refused, by its own name: however often it is refused, it is one row.
    let origin = match (topic.as_str(), sequence.as_str()) {
        ("", "") => format!("{}/{}/{}", batch.topic(), batch.partitions()[i], batch.offsets()[i]),
        ("", sequence) => sequence.to_owned(),
        (topic, _) => format!("{topic}/{}/{}", text(header::PARTITION), text(header::OFFSET)),
    };
    let row = json!({
        "origin": origin,
        "at": time(batch.timestamps()[i]),
        "stage": text(header::STAGE),
        "error": text(header::EXCEPTION_CLASS),
        "message": text(header::EXCEPTION_MESSAGE),
        "origin_topic": topic,
        "origin_partition": number(header::PARTITION),
        "origin_offset": number(header::OFFSET),
        "source": text(header::SOURCE),
        "original": text(header::ORIGINAL),
        "bytes": payload.len(),
        "preview": preview,
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}
