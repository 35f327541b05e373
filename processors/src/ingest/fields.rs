//! The columns of a decoded batch that are not features: entity, label and event time.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

/// Values of a column as text, as people write them: `1` and not `1.0` for an int. Empty when there is no such column.
pub fn texts(columns: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let Some(column) = columns.column_by_name(name) else { return vec![None; columns.num_rows()] };
    let of =
        |text: &dyn Fn(usize) -> String| (0..column.len()).map(|i| (!column.is_null(i)).then(|| text(i))).collect();
    match column.data_type() {
        DataType::Utf8View => of(&|i| column.as_string_view().value(i).to_owned()),
        DataType::Utf8 => of(&|i| column.as_string::<i32>().value(i).to_owned()),
        DataType::Int32 => of(&|i| column.as_primitive::<Int32Type>().value(i).to_string()),
        DataType::Int64 => of(&|i| column.as_primitive::<Int64Type>().value(i).to_string()),
        DataType::Float32 => of(&|i| column.as_primitive::<Float32Type>().value(i).to_string()),
        DataType::Float64 => of(&|i| column.as_primitive::<Float64Type>().value(i).to_string()),
        DataType::Boolean => of(&|i| column.as_boolean().value(i).to_string()),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            of(&|i| column.as_primitive::<TimestampMillisecondType>().value(i).to_string())
        }
        _ => vec![None; columns.num_rows()],
    }
}

/// Values of a timestamp column, milliseconds since 1970 UTC.
pub fn times(columns: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let column = columns.column_by_name(name).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
    match column {
        Some(column) => column.iter().collect(),
        None => vec![None; columns.num_rows()],
    }
}
