//! Images in JSON: Base64 of an encoded image, or its pixels as numbers.

use driftmill_schemas::record::{Field, FieldKind, Value};

/// The value of a field; one of bytes may also be a data URL, or an image's pixels as nested lists `[height][width][3]` of
/// numbers in 0..=1. The error does not say where.
pub(crate) fn value(json: &serde_json::Value, field: &Field) -> Result<Value, String> {
    match (field.kind, json) {
        (FieldKind::Bytes, serde_json::Value::Array(rows)) => {
            nested(rows).map(Value::Bytes).map_err(|reason| format!("field `{}`: {reason}", field.name))
        }
        (FieldKind::Bytes, serde_json::Value::String(text)) if text.starts_with("data:") => {
            let base64 = text.split_once(";base64,").map(|(_, base64)| serde_json::Value::from(base64));
            let base64 = base64.ok_or_else(|| format!("field `{}`: a data URL holds `;base64,`", field.name))?;
            Value::from_json(&base64, field).map_err(|e| e.to_string())
        }
        _ => Value::from_json(json, field).map_err(|e| e.to_string()),
    }
}

/// How deeply lists are nested, going by the first value of each.
pub(crate) fn depth(json: &serde_json::Value) -> usize {
    let mut depth = 0;
    let mut value = Some(json);
    while let Some(list) = value.and_then(serde_json::Value::as_array) {
        depth += 1;
        value = list.first();
    }
    depth
}

/// The lengths of nested lists, going by the first value of each.
pub(crate) fn dimensions(json: &serde_json::Value) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut value = Some(json);
    while let Some(list) = value.and_then(serde_json::Value::as_array) {
        lengths.push(list.len());
        value = list.first();
    }
    lengths
}

/// An encoded image of pixels as nested lists.
fn nested(rows: &[serde_json::Value]) -> Result<Vec<u8>, String> {
    let wrong = || "an image is a list [height][width][3] of numbers from 0 to 1".to_owned();
    let width = rows.first().and_then(|row| row.as_array()).map_or(0, Vec::len);
    let mut numbers = Vec::with_capacity(rows.len().saturating_mul(width).saturating_mul(3).min(1 << 20));
    for row in rows {
        let row = row.as_array().filter(|row| row.len() == width).ok_or_else(wrong)?;
        for pixel in row {
            let pixel = pixel.as_array().filter(|pixel| pixel.len() == 3).ok_or_else(wrong)?;
            for channel in pixel {
                numbers.push(channel.as_f64().ok_or_else(wrong)? as f32);
            }
        }
    }
    driftmill_vision::encode_floats(&numbers, rows.len(), width).map_err(|e| e.to_string())
}

/// An encoded image of the pixels of `height` × `width` in a row of a tensor; `scale` is what a full channel is.
pub(crate) fn flat(values: &[serde_json::Value], height: usize, width: usize, scale: f64) -> Result<Vec<u8>, String> {
    let channel = |value: &serde_json::Value| value.as_f64().map(|value| (value / scale) as f32);
    let numbers: Option<Vec<f32>> = values.iter().map(channel).collect();
    let numbers = numbers.ok_or("an image is numbers, and one of them is something else")?;
    driftmill_vision::encode_floats(&numbers, height, width).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn photo() -> Field {
        let avro = r#"{"type":"record","name":"r","fields":[{"name":"photo","type":["null","bytes"],"default":null}]}"#;
        driftmill_schemas::record::RecordSchema::parse(avro).unwrap().fields[0].clone()
    }

    #[test]
    fn pixels_as_lists_and_as_a_tensor_are_the_same_image() {
        let lists = json!([[[0, 0.5, 1], [1, 0, 0]], [[0, 1, 0], [0, 0, 1]]]);
        let flat_values: Vec<serde_json::Value> =
            [0.0, 0.5, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0].map(Into::into).into();
        let Value::Bytes(bytes) = value(&lists, &photo()).unwrap() else { panic!("no bytes") };
        assert_eq!(bytes, flat(&flat_values, 2, 2, 1.0).unwrap());
    }

    #[test]
    fn base64_and_data_urls_are_bytes_and_what_is_neither_is_refused() {
        let bytes = Ok(Value::Bytes(b"bytes".to_vec()));
        assert_eq!(value(&json!("Ynl0ZXM="), &photo()), bytes);
        assert_eq!(value(&json!("data:image/png;base64,Ynl0ZXM="), &photo()), bytes);
        for wrong in
            [json!("data:image/png,x"), json!("/etc/passwd?"), json!([[1, 2]]), json!([[[0, 0, 7.5]]]), json!(7)]
        {
            assert!(value(&wrong, &photo()).is_err(), "{wrong}");
        }
    }
}
