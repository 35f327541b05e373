//! The schema of a raw record: a flat Avro record of scalar fields, each nullable or not.

use apache_avro::schema::{RecordField, Schema};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm};

/// Why an Avro schema cannot describe raw records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no Avro schema.
    #[error("is no Avro schema: {0}")]
    Avro(String),
    /// The top level is not a record.
    #[error("describes a {0}: a raw record must be an Avro record")]
    NotARecord(String),
    /// A field's type is outside of what a pipeline can hold.
    #[error(
        "field `{field}` has the type {found}: use boolean, int, long, float, double, string, bytes or timestamp-millis, or a \
         union of null and one of these"
    )]
    Unsupported {
        /// The field.
        field: String,
        /// Its type.
        found: String,
    },
}

/// The type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// Avro `boolean`.
    Boolean,
    /// Avro `int`: 32 bits.
    Int,
    /// Avro `long`: 64 bits.
    Long,
    /// Avro `float`.
    Float,
    /// Avro `double`.
    Double,
    /// Avro `string`.
    String,
    /// Avro `bytes`: base64 in JSON. No feature and no rule is made of them.
    Bytes,
    /// Avro `long` with the logical type `timestamp-millis`: milliseconds since 1970 UTC.
    Timestamp,
}

impl FieldKind {
    /// Whether values are numbers (booleans count as 0 and 1 nowhere by themselves).
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Float | Self::Double)
    }

    /// The name people read in errors.
    pub fn title(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp-millis",
        }
    }
}

/// One field of a raw record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub kind: FieldKind,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// In a nullable field: which branch of the union is null (0 or 1).
    pub null_branch: usize,
    /// The schema's documentation of the field.
    pub doc: Option<String>,
}

/// A parsed schema with the fingerprint that names it on the wire.
#[derive(Debug, Clone)]
pub struct RecordSchema {
    /// The fields, in the order they are encoded.
    pub fields: Vec<Field>,
    /// The schema's JSON text.
    pub text: String,
    /// CRC-64-AVRO (Rabin) fingerprint of the parsing canonical form.
    pub fingerprint: u64,
    avro: Schema,
}

impl PartialEq for RecordSchema {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields && self.fingerprint == other.fingerprint
    }
}

impl RecordSchema {
    /// Parses the JSON text of an Avro schema.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let avro = Schema::parse_str(text).map_err(|e| Error::Avro(e.to_string()))?;
        let Schema::Record(record) = &avro else {
            return Err(Error::NotARecord(kind_name(&avro)));
        };
        let fields = record.fields.iter().map(field).collect::<Result<Vec<_>, _>>()?;
        // The Rabin fingerprint comes from arrow-avro: apache-avro canonicalises logical types in a way of its own, and
        // other implementations would not find the schema by it.
        let fingerprint = AvroSchema::new(text.to_owned())
            .fingerprint(FingerprintAlgorithm::Rabin)
            .map_err(|e| Error::Avro(e.to_string()))?;
        let Fingerprint::Rabin(fingerprint) = fingerprint else {
            return Err(Error::Avro("its Rabin fingerprint cannot be computed".to_owned()));
        };
        Ok(Self { fields, text: text.to_owned(), fingerprint, avro })
    }

    /// The field called `name`.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Position of the field called `name`.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The fields' names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// The schema as apache-avro holds it (compatibility checks, registries).
    pub fn avro(&self) -> &Schema {
        &self.avro
    }
}

/// The field, if a pipeline can hold its type.
pub(super) fn field(field: &RecordField) -> Result<Field, Error> {
    let unsupported = |found: &Schema| Error::Unsupported { field: field.name.clone(), found: kind_name(found) };
    let (inner, nullable, null_branch) = match &field.schema {
        Schema::Union(union) => match union.variants() {
            [Schema::Null, inner] => (inner, true, 0),
            [inner, Schema::Null] => (inner, true, 1),
            _ => return Err(unsupported(&field.schema)),
        },
        inner => (inner, false, 0),
    };
    let kind = match inner {
        Schema::Boolean => FieldKind::Boolean,
        Schema::Int => FieldKind::Int,
        Schema::Long => FieldKind::Long,
        Schema::Float => FieldKind::Float,
        Schema::Double => FieldKind::Double,
        Schema::String => FieldKind::String,
        Schema::Bytes => FieldKind::Bytes,
        Schema::TimestampMillis => FieldKind::Timestamp,
        other => return Err(unsupported(other)),
    };
    Ok(Field { name: field.name.clone(), kind, nullable, null_branch, doc: field.doc.clone() })
}

/// A type's name, for people.
pub(super) fn kind_name(schema: &Schema) -> String {
    match serde_json::to_value(schema) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(serde_json::Value::Object(object)) => {
            let of = |key: &str| object.get(key).and_then(|v| v.as_str()).map(str::to_owned);
            of("logicalType").or_else(|| of("type")).unwrap_or_else(|| "complex type".to_owned())
        }
        Ok(serde_json::Value::Array(_)) => "union".to_owned(),
        _ => "complex type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOWER: &str = r#"{"type":"record","name":"flower","fields":[
        {"name":"length","type":"double"},
        {"name":"species","type":["null","string"],"default":null},
        {"name":"seen","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;

    #[test]
    fn scalars_and_nullable_scalars_are_fields() {
        let schema = RecordSchema::parse(FLOWER).unwrap();
        let kinds: Vec<_> = schema.fields.iter().map(|f| (f.kind, f.nullable)).collect();
        assert_eq!(kinds, [(FieldKind::Double, false), (FieldKind::String, true), (FieldKind::Timestamp, false)]);
    }

    #[test]
    fn the_fingerprint_ignores_white_space_docs_and_defaults_but_not_types() {
        let base = RecordSchema::parse(FLOWER).unwrap().fingerprint;
        let spaced = FLOWER.replace(':', " : ").replace(r#","default" : null"#, "");
        assert_eq!(RecordSchema::parse(&spaced).unwrap().fingerprint, base);
        assert_ne!(RecordSchema::parse(&FLOWER.replace("double", "float")).unwrap().fingerprint, base);
    }

    #[test]
    fn the_fingerprint_is_the_one_of_the_avro_specification() {
        // CRC-64-AVRO of the canonical form `"int"` is 7275d51a3f395c8f in the reference implementation's tests.
        let int = AvroSchema::new(r#""int""#.to_owned()).fingerprint(FingerprintAlgorithm::Rabin).unwrap();
        assert_eq!(int, Fingerprint::Rabin(0x7275_d51a_3f39_5c8f));
    }

    /// CRC-64-AVRO as the specification writes it, bit by bit.
    fn rabin(text: &str) -> u64 {
        const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
        text.bytes().fold(EMPTY, |print, byte| {
            (0..8).fold(print ^ u64::from(byte), |print, _| (print >> 1) ^ (EMPTY & 0_u64.wrapping_sub(print & 1)))
        })
    }

    #[test]
    fn a_logical_type_leaves_no_trace_in_the_fingerprint() {
        assert_eq!(rabin(r#""int""#), 0x7275_d51a_3f39_5c8f);
        // The parsing canonical form: without defaults and attributes of types, and a type without attributes is its name.
        let canonical = concat!(
            r#"{"name":"flower","type":"record","fields":[{"name":"length","type":"double"},"#,
            r#"{"name":"species","type":["null","string"]},{"name":"seen","type":"long"}]}"#
        );
        assert_eq!(RecordSchema::parse(FLOWER).unwrap().fingerprint, rabin(canonical));
    }

    #[test]
    fn nested_types_are_refused_by_name() {
        let nested = r#"{"type":"record","name":"r","fields":[{"name":"xs","type":{"type":"array","items":"int"}}]}"#;
        let error = RecordSchema::parse(nested).unwrap_err().to_string();
        assert!(error.contains("`xs`") && error.contains("array"), "{error}");
        assert!(matches!(RecordSchema::parse(r#""int""#), Err(Error::NotARecord(_))));
        assert!(matches!(RecordSchema::parse("{"), Err(Error::Avro(_))));
    }
}
