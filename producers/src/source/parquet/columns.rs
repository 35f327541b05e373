//! Which column of a Parquet file fills which field, and whether its type can.

use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use driftmill_schemas::name;
use driftmill_schemas::pipeline::ParquetSource;
use driftmill_schemas::record::{FieldKind, RecordSchema};

use crate::Error;

/// A column that fills a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its place in the file.
    pub(super) index: usize,
    pub(super) name: Arc<str>,
    /// The field's place in the schema.
    pub(super) field: usize,
}

/// The columns that fill fields, in the file's order. Every other one must be ignored by name, and every field that must
/// have a value needs one.
pub(super) fn columns(
    file: &str,
    found: &Schema,
    declared: &ParquetSource,
    schema: &RecordSchema,
) -> Result<Vec<Column>, Error> {
    let mut columns: Vec<Column> = Vec::new();
    for (index, column) in found.fields().iter().enumerate() {
        let name = column.name();
        let field = match declared.columns.get(name) {
            Some(field) => schema.index(field),
            None if declared.ignore.contains(name) => continue,
            None => schema.index(name),
        };
        let field = field.ok_or_else(|| {
            let hint = name::did_you_mean(name, schema.names());
            let reason = format!(
                "unknown column `{name}`{hint}; map it under `columns`, or list it under `ignore` of the source"
            );
            Error::Parquet { file: file.to_owned(), reason }
        })?;
        let wanted = &schema.fields[field];
        if !fits(column.data_type(), wanted.kind) {
            let (found, kind) = (column.data_type(), wanted.kind.title());
            let reason =
                format!("column `{name}` holds {found}, which cannot fill the field `{}` of type {kind}", wanted.name);
            return Err(Error::Parquet { file: file.to_owned(), reason });
        }
        if let Some(other) = columns.iter().find(|other| other.field == field) {
            return Err(Error::HeaderTwice {
                file: file.to_owned(),
                field: wanted.name.clone(),
                first: other.name.to_string(),
                second: name.clone(),
            });
        }
        columns.push(Column { index, name: name.as_str().into(), field });
    }
    let lacks = |index: usize| columns.iter().all(|column| column.field != index);
    if let Some((_, field)) = schema.fields.iter().enumerate().find(|(i, field)| !field.nullable && lacks(*i)) {
        let near = name::nearest(&field.name, found.fields().iter().map(|column| column.name().as_str()));
        return Err(Error::MissingColumn {
            file: file.to_owned(),
            field: field.name.clone(),
            header: found.fields().iter().map(|column| format!("`{}`", column.name())).collect::<Vec<_>>().join(", "),
            hint: near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default(),
        });
    }
    Ok(columns)
}

/// Whether values of a column can be values of a field; each is looked at again when it comes.
fn fits(found: &DataType, wanted: FieldKind) -> bool {
    use FieldKind::{Boolean, Bytes, String, Timestamp};
    match found {
        DataType::Boolean => wanted == Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            wanted.is_numeric()
        }
        DataType::Int64 | DataType::UInt64 => wanted.is_numeric() || wanted == Timestamp,
        DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => wanted.is_numeric(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => wanted == Bytes,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => wanted == String || wanted == Timestamp,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => wanted == Timestamp,
        _ => false,
    }
}
