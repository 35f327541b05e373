//! Cells of Arrow columns as values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use driftmill_schemas::record::Value;

const MILLIS_A_DAY: i64 = 86_400_000;

/// A value of a row.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// The field it is for, by its place in the schema.
    pub(super) field: usize,
    pub(super) column: Arc<str>,
    pub(super) value: Value,
}

/// The value at `row` of a column of one of the types that fill fields. Times become milliseconds, rounded down; a number
/// that 64 bits with a sign do not hold becomes the nearest float, which is no long.
pub(super) fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => Value::Long(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Value::Long(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Value::Long(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Long(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::Long(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Value::Long(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Value::Long(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => {
            let number = array.as_primitive::<UInt64Type>().value(row);
            i64::try_from(number).map_or(Value::Double(number as f64), Value::Long)
        }
        DataType::Float32 => Value::Double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        // Its digits are read as those of a text are: to the nearest float.
        DataType::Decimal128(..) => {
            let digits = array.as_primitive::<Decimal128Type>().value_as_string(row);
            digits.parse().map_or(Value::String(digits), Value::Double)
        }
        DataType::Utf8 => Value::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Value::String(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Value::String(array.as_string_view().value(row).to_owned()),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Value::Bytes(array.as_binary::<i64>().value(row).to_vec()),
        DataType::BinaryView => Value::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::Date32 => Value::Long(i64::from(array.as_primitive::<Date32Type>().value(row)) * MILLIS_A_DAY),
        DataType::Date64 => Value::Long(array.as_primitive::<Date64Type>().value(row)),
        DataType::Timestamp(unit, _) => time(array, *unit, row),
        // Columns of other types were refused when the file was opened.
        _ => Value::Null,
    }
}

fn time(array: &ArrayRef, unit: TimeUnit, row: usize) -> Value {
    match unit {
        TimeUnit::Second => {
            let seconds = array.as_primitive::<TimestampSecondType>().value(row);
            seconds.checked_mul(1_000).map_or(Value::Double(seconds as f64 * 1e3), Value::Long)
        }
        TimeUnit::Millisecond => Value::Long(array.as_primitive::<TimestampMillisecondType>().value(row)),
        TimeUnit::Microsecond => {
            Value::Long(array.as_primitive::<TimestampMicrosecondType>().value(row).div_euclid(1_000))
        }
        TimeUnit::Nanosecond => {
            Value::Long(array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1_000_000))
        }
    }
}

/// A row as one line of JSON: what a dead letter keeps of it. A number that JSON cannot write is a text.
pub(super) fn json(cells: &[Cell]) -> Vec<u8> {
    let object: serde_json::Map<String, serde_json::Value> = cells
        .iter()
        .map(|cell| {
            let value = match &cell.value {
                Value::Null => serde_json::Value::Null,
                Value::Boolean(value) => (*value).into(),
                Value::Long(value) => (*value).into(),
                Value::Double(value) if value.is_finite() => (*value).into(),
                Value::Double(value) => value.to_string().into(),
                Value::String(value) => value.as_str().into(),
                Value::Bytes(_) => cell.value.to_text().into(),
            };
            (cell.column.to_string(), value)
        })
        .collect();
    serde_json::Value::Object(object).to_string().into_bytes()
}
