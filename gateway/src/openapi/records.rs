//! Record fields as JSON Schema, and values to show in examples.

use driftmill_schemas::record::{Field, FieldKind};
use serde_json::{Value, json};

/// The schema of a field's values.
pub(super) fn schema(field: &Field) -> Value {
    let (kind, format) = match field.kind {
        FieldKind::Boolean => ("boolean", None),
        FieldKind::Int => ("integer", Some("int32")),
        FieldKind::Long => ("integer", Some("int64")),
        FieldKind::Float => ("number", Some("float")),
        FieldKind::Double => ("number", Some("double")),
        FieldKind::String => ("string", None),
        FieldKind::Bytes => ("string", Some("byte")),
        FieldKind::Timestamp => ("string", Some("date-time")),
    };
    let mut schema = json!({ "type": if field.nullable { json!([kind, "null"]) } else { json!(kind) } });
    if let Some(format) = format {
        schema["format"] = json!(format);
    }
    if let Some(doc) = &field.doc {
        schema["description"] = json!(doc);
    }
    schema
}

/// A value of the field.
pub(super) fn example(field: &Field) -> Value {
    match field.kind {
        FieldKind::Boolean => json!(true),
        FieldKind::Int | FieldKind::Long => json!(1),
        FieldKind::Float | FieldKind::Double => json!(1.5),
        FieldKind::String => json!("text"),
        FieldKind::Bytes => json!("Ynl0ZXM="),
        FieldKind::Timestamp => json!("2026-01-31T12:00:00Z"),
    }
}
