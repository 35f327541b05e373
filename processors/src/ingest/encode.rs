//! Rows of the feature table as one insert body.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt8Array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat;

/// Rows to be written, in columns of equal length. Number columns hold NaN where a value is missing.
#[derive(Debug, Default)]
pub struct Rows {
    /// Kafka partition.
    pub partitions: Vec<i32>,
    /// Kafka offset.
    pub offsets: Vec<i64>,
    /// Milliseconds since 1970 UTC.
    pub event_times: Vec<i64>,
    /// What each record is about, in pieces.
    pub entities: Vec<StringArray>,
    /// Classes, in pieces.
    pub labels: Vec<StringArray>,
    /// 1 where an expectation set the row aside.
    pub quarantined: Vec<u8>,
    /// One column a feature.
    pub features: Vec<Vec<f64>>,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }
}

/// Encodes rows as `ArrowStream` for the feature table with these feature columns.
#[derive(Debug)]
pub struct Encoder {
    schema: SchemaRef,
}

impl Encoder {
    /// An encoder for a table with these feature columns.
    pub fn new<'a>(features: impl IntoIterator<Item = &'a str>) -> Self {
        let mut fields = vec![
            Field::new("_partition", DataType::Int32, false),
            Field::new("_offset", DataType::Int64, false),
            Field::new("event_time", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
            Field::new("entity", DataType::Utf8, true),
            Field::new("label", DataType::Utf8, true),
            Field::new("_quarantined", DataType::UInt8, false),
        ];
        fields.extend(features.into_iter().map(|name| Field::new(name, DataType::Float64, true)));
        Self { schema: Arc::new(Schema::new(fields)) }
    }

    /// The body: all rows in one record batch.
    pub fn encode(&self, rows: Rows) -> Result<Vec<u8>, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(rows.partitions)),
            Arc::new(Int64Array::from(rows.offsets)),
            Arc::new(TimestampMillisecondArray::from(rows.event_times).with_timezone("UTC")),
            joined(&rows.entities)?,
            joined(&rows.labels)?,
            Arc::new(UInt8Array::from(rows.quarantined)),
        ];
        columns.extend(rows.features.into_iter().map(|values| Arc::new(numbers(values)) as ArrayRef));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let mut writer =
            StreamWriter::try_new(Vec::with_capacity(batch.get_array_memory_size() + 4_096), &self.schema)?;
        writer.write(&batch)?;
        writer.finish()?;
        writer.into_inner()
    }
}

fn joined(pieces: &[StringArray]) -> Result<ArrayRef, ArrowError> {
    match pieces {
        [piece] => Ok(Arc::new(piece.clone())),
        pieces => concat(&pieces.iter().map(|piece| piece as &dyn Array).collect::<Vec<_>>()),
    }
}

fn numbers(values: Vec<f64>) -> Float64Array {
    let present = BooleanBuffer::collect_bool(values.len(), |row| !values[row].is_nan());
    let nulls = NullBuffer::new(present);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Float64Array::new(values.into(), nulls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;
    use arrow_ipc::reader::StreamReader;

    #[test]
    fn a_body_holds_every_row_in_one_batch_and_nan_becomes_null() {
        let rows = Rows {
            partitions: vec![0, 1, 1],
            offsets: vec![5, 7, 9],
            event_times: vec![1, 2, 3],
            entities: vec![StringArray::from(vec![Some("a")]), StringArray::from(vec![None, Some("b")])],
            labels: vec![StringArray::new_null(3)],
            quarantined: vec![0, 1, 0],
            features: vec![vec![1.0, f64::NAN, 3.0], vec![4.0, 5.0, 6.0]],
        };
        let body = Encoder::new(["x", "y"]).encode(rows).unwrap();
        let batches: Vec<RecordBatch> = StreamReader::try_new(&body[..], None).unwrap().map(Result::unwrap).collect();
        let [batch] = &batches[..] else { panic!("{} batches", batches.len()) };
        let x = batch.column_by_name("x").unwrap().as_primitive::<Float64Type>();
        assert_eq!(x.iter().collect::<Vec<_>>(), [Some(1.0), None, Some(3.0)]);
        let entities = batch.column_by_name("entity").unwrap().as_string::<i32>();
        assert_eq!(entities.iter().collect::<Vec<_>>(), [Some("a"), None, Some("b")]);
    }
}
