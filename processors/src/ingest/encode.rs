//! Rows of the feature table as one insert body.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

/// Rows to be written, in columns of equal length. Number columns hold NaN where a value is missing.
#[derive(Debug, Default)]
pub struct Rows {
    /// Kafka partition.
    pub partitions: Vec<i32>,
    /// Kafka offset.
    pub offsets: Vec<i64>,
    /// Milliseconds since 1970 UTC.
    pub event_times: Vec<i64>,
    /// What the record is about.
    pub entities: Vec<Option<String>>,
    /// Class.
    pub labels: Vec<Option<String>>,
    /// Whether an expectation set the row aside.
    pub quarantined: Vec<bool>,
    /// One column a feature.
    pub features: Vec<Vec<f64>>,
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
            Arc::new(StringArray::from(rows.entities)),
            Arc::new(StringArray::from(rows.labels)),
            Arc::new(rows.quarantined.into_iter().map(u8::from).collect::<UInt8Array>()),
        ];
        for column in rows.features {
            let column: Float64Array = column.into_iter().map(|x| (!x.is_nan()).then_some(x)).collect();
            columns.push(Arc::new(column));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &self.schema)?;
        writer.write(&batch)?;
        writer.finish()?;
        writer.into_inner()
    }
}
