//! The columns of a decoded batch that are not features: entity, label and event time.

use std::fmt::{Display, Write as _};

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};

/// Values of a column as text, as people write them: `1` and not `1.0` for an int. Null when there is no such column.
pub fn texts(columns: &RecordBatch, name: &str) -> StringArray {
    let rows = columns.num_rows();
    let Some(column) = columns.column_by_name(name) else { return StringArray::new_null(rows) };
    let column = column.as_ref();
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            let mut builder = StringBuilder::with_capacity(rows, texts.total_buffer_bytes_used() + 12 * rows);
            texts.iter().for_each(|text| builder.append_option(text));
            builder.finish()
        }
        DataType::Utf8 => column.as_string::<i32>().clone(),
        DataType::Int32 => numbers::<Int32Type>(column),
        DataType::Int64 => numbers::<Int64Type>(column),
        DataType::Float32 => numbers::<Float32Type>(column),
        DataType::Float64 => numbers::<Float64Type>(column),
        DataType::Timestamp(TimeUnit::Millisecond, _) => numbers::<TimestampMillisecondType>(column),
        DataType::Boolean => written(column.as_boolean().iter(), rows),
        _ => StringArray::new_null(rows),
    }
}

fn numbers<T: ArrowPrimitiveType<Native: Display>>(column: &dyn Array) -> StringArray {
    written(column.as_primitive::<T>().iter(), column.len())
}

fn written(values: impl Iterator<Item = Option<impl Display>>, rows: usize) -> StringArray {
    let mut builder = StringBuilder::with_capacity(rows, 8 * rows);
    for value in values {
        match value {
            // The builder takes any text, so writing to it does not fail.
            Some(value) => match write!(builder, "{value}") {
                Ok(()) => builder.append_value(""),
                Err(_) => builder.append_null(),
            },
            None => builder.append_null(),
        }
    }
    builder.finish()
}

/// Writes the values of a timestamp column, milliseconds since 1970 UTC, to `out`; where there is none, `out` stays.
pub fn times(columns: &RecordBatch, name: &str, out: &mut [i64]) {
    let column = columns.column_by_name(name).and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>());
    let Some(column) = column else { return };
    for (out, value) in out.iter_mut().zip(column) {
        if let Some(value) = value {
            *out = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringViewArray};

    #[test]
    fn texts_are_written_as_people_write_them() {
        let columns: [(&str, ArrayRef); 3] = [
            ("float", Arc::new(Float64Array::from(vec![Some(1.0), None, Some(2.5)]))),
            ("long", Arc::new(Int64Array::from(vec![Some(-1), Some(0), None]))),
            ("text", Arc::new(StringViewArray::from(vec![Some("é"), None, Some("longer than twelve bytes")]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let of = |name: &str| texts(&batch, name).iter().map(|t| t.map(str::to_owned)).collect::<Vec<_>>();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("float"), [some("1"), None, some("2.5")]);
        assert_eq!(of("long"), [some("-1"), some("0"), None]);
        assert_eq!(of("text"), [some("é"), None, some("longer than twelve bytes")]);
        assert_eq!(of("nothing"), [None, None, None]);
    }
}
