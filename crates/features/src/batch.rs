//! Columns from Arrow batches, as decoders and queries produce them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use driftmill_schemas::record::RecordSchema;

use crate::columns::{Column, Columns, TextColumn, finite};
use crate::truth::Truth;

/// Why a batch cannot be taken as records of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field that may not be null has no column.
    #[error("the batch has no column `{0}`, and the schema wants one")]
    Missing(String),
    /// A column of another type than its field.
    #[error("column `{column}` has the Arrow type {found}, which is no {wanted}")]
    WrongType {
        /// The column.
        column: String,
        /// Its Arrow type.
        found: String,
        /// The type of the field.
        wanted: &'static str,
    },
}

impl Columns {
    /// The rows of `batch`, its columns found by name; a nullable field without a column is null, other columns are
    /// ignored.
    pub fn from_batch(schema: &RecordSchema, batch: &RecordBatch) -> Result<Self, Error> {
        let mut columns = Self::new(schema);
        columns.extend(batch)?;
        Ok(columns)
    }

    /// Appends the rows of `batch`; after an error the columns are as before.
    pub fn extend(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let fields = Arc::clone(&self.fields);
        for (column, field) in self.columns.iter_mut().zip(fields.iter()) {
            let appended = match batch.column_by_name(&field.name) {
                Some(array) => column.append(array).ok_or_else(|| Error::WrongType {
                    column: field.name.clone(),
                    found: array.data_type().to_string(),
                    wanted: field.kind.title(),
                }),
                None if field.nullable => {
                    column.append_nulls(batch.num_rows());
                    Ok(())
                }
                None => Err(Error::Missing(field.name.clone())),
            };
            if let Err(error) = appended {
                self.truncate(self.rows);
                return Err(error);
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }
}

impl Column {
    /// `None` if the array is of another type.
    fn append(&mut self, array: &dyn Array) -> Option<()> {
        match (self, array.data_type()) {
            (column, DataType::Null) => column.append_nulls(array.len()),
            (Self::Boolean(values), DataType::Boolean) => {
                values.extend(array.as_boolean().iter().map(Truth::from_option));
            }
            (Self::Integer(values), DataType::Int32) => {
                values.extend(array.as_primitive::<Int32Type>().iter().map(|value| value.map(i64::from)));
            }
            (Self::Integer(values), DataType::Int64) => values.extend(array.as_primitive::<Int64Type>()),
            (Self::Integer(values), DataType::Timestamp(TimeUnit::Millisecond, _)) => {
                values.extend(array.as_primitive::<TimestampMillisecondType>());
            }
            (Self::Number(values), DataType::Float32) => {
                numbers(array.as_primitive::<Float32Type>(), f64::from, values);
            }
            (Self::Number(values), DataType::Float64) => {
                numbers(array.as_primitive::<Float64Type>(), |value| value, values);
            }
            (Self::Text(column), DataType::Utf8) => texts(array.as_string::<i32>().iter(), column),
            (Self::Text(column), DataType::LargeUtf8) => texts(array.as_string::<i64>().iter(), column),
            (Self::Text(column), DataType::Utf8View) => texts(array.as_string_view().iter(), column),
            (Self::Bytes(values), DataType::Binary) => bytes(array.as_binary::<i32>().iter(), values),
            (Self::Bytes(values), DataType::LargeBinary) => bytes(array.as_binary::<i64>().iter(), values),
            (Self::Bytes(values), DataType::BinaryView) => bytes(array.as_binary_view().iter(), values),
            _ => return None,
        }
        Some(())
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Boolean(values) => values.resize(values.len() + count, Truth::UNKNOWN),
            Self::Integer(values) => values.resize(values.len() + count, None),
            Self::Number(values) => values.resize(values.len() + count, f64::NAN),
            Self::Text(column) => (0..count).for_each(|_| column.push(None)),
            Self::Bytes(values) => values.resize(values.len() + count, None),
        }
    }
}

fn numbers<T: arrow_array::ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    widen: impl Fn(T::Native) -> f64,
    values: &mut Vec<f64>,
) {
    let start = values.len();
    values.extend(array.values().iter().map(|value| finite(widen(*value))));
    if let Some(nulls) = array.nulls() {
        for (value, is_valid) in values[start..].iter_mut().zip(nulls) {
            if !is_valid {
                *value = f64::NAN;
            }
        }
    }
}

fn bytes<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, column: &mut Vec<Option<Arc<[u8]>>>) {
    column.extend(values.map(|value| value.map(Arc::from)));
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>, column: &mut TextColumn) {
    values.for_each(|text| column.push(text));
}
