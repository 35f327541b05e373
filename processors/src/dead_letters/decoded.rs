//! A refused record as its fields, for people.

use driftmill_platform::kafka::{Headers, MessageBatch};
use driftmill_platform::schema_registry::SchemaRegistry;
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::record::framing::SchemaRef;

use crate::ingest::{AvroDecoder, fields};

/// Field and value of the record in `payload`, as text, by the pipeline's schema; the error says why it cannot be decoded.
pub async fn decoded(
    payload: &[u8],
    loaded: &Loaded,
    schemas: Option<&SchemaRegistry>,
) -> Result<Vec<(String, Option<String>)>, String> {
    let mut decoder = AvroDecoder::new(loaded.schema.clone());
    let mut batch = MessageBatch::new("", false);
    batch.push(0, 0, 0, payload, Headers::new());
    for named in decoder.unknown(&batch) {
        if let (SchemaRef::RegistryId(id), Some(registry)) = (named, schemas) {
            decoder.learn(named, registry.schema(id).await.map_err(|e| e.to_string())?);
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
