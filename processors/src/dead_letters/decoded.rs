//! A refused record as its fields, for people.

use driftmill_platform::kafka::{Headers, MessageBatch};
use driftmill_platform::schemas::{Found, Schemas};
use driftmill_schemas::pipeline::Loaded;

use crate::ingest::{AvroDecoder, fields};

/// Field and value of the record in `payload`, as text, by the pipeline's schema; the error says why it cannot be decoded.
pub async fn decoded(
    payload: &[u8],
    loaded: &Loaded,
    schemas: &Schemas,
) -> Result<Vec<(String, Option<String>)>, String> {
    let mut decoder = AvroDecoder::new(loaded.schema.clone());
    let mut batch = MessageBatch::new("", false);
    batch.push(0, 0, 0, payload, Headers::new());
    let unknown = decoder.unknown(&AvroDecoder::named(&batch));
    for (named, found) in schemas.find(&loaded.pipeline.name, &unknown).await.map_err(|e| e.to_string())? {
        match found {
            Found::Schema(text) => decoder.learn(named, text),
            Found::Nowhere(reason) => decoder.give_up(named, reason),
        }
    }
    let decoded = decoder.decode(&batch, 0..batch.len());
    if let Some(fault) = decoded.faults.into_iter().next() {
        return Err(fault.message);
    }
    let columns = decoded.parts.into_iter().next().map(|(columns, _)| columns);
    let columns = columns.ok_or_else(|| "there is no record".to_owned())?;
    let value = |name: &str| fields::texts(&columns, name).iter().next().flatten().map(str::to_owned);
    Ok(columns.schema().fields().iter().map(|field| (field.name().clone(), value(field.name()))).collect())
}
