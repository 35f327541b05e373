//! One record in hand: what producers encode and the gateway receives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Field, FieldKind, RecordSchema, time};

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Missing.
    Null,
    /// Boolean.
    Boolean(bool),
    /// Int, long, or milliseconds since 1970 UTC.
    Long(i64),
    /// Float or double.
    Double(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// Why a text or a JSON value is not a value of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The field has no value and must have one.
    #[error("field `{field}` is missing")]
    Missing {
        /// The field.
        field: String,
    },
    /// The value has another type, or does not fit into the type.
    #[error("field `{field}`: {found} is no {wanted}")]
    WrongType {
        /// The field.
        field: String,
        /// What was found, shortened.
        found: String,
        /// The type of the field.
        wanted: &'static str,
    },
    /// The text is no point in time as it was said to be written.
    #[error("field `{field}`: `{found}` is no date by the format `{format}`")]
    WrongFormat {
        /// The field.
        field: String,
        /// What was found, shortened.
        found: String,
        /// The strftime format.
        format: String,
    },
    /// A key that is no field.
    #[error("there is no field `{field}`{hint}")]
    Unknown {
        /// The key.
        field: String,
        /// "did you mean", or nothing.
        hint: String,
    },
}

impl ValueError {
    /// The kind, for counting: `MissingValue`, `WrongType` or `UnknownKey`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "MissingValue",
            Self::WrongType { .. } | Self::WrongFormat { .. } => "WrongType",
            Self::Unknown { .. } => "UnknownKey",
        }
    }

    /// The field that is at fault.
    pub fn field(&self) -> &str {
        match self {
            Self::Missing { field }
            | Self::WrongType { field, .. }
            | Self::WrongFormat { field, .. }
            | Self::Unknown { field, .. } => field,
        }
    }
}

impl Value {
    /// No value, where `field` allows that.
    pub fn null(field: &Field) -> Result<Self, ValueError> {
        if field.nullable { Ok(Self::Null) } else { Err(ValueError::Missing { field: field.name.clone() }) }
    }

    /// Bytes that a text takes up, so that whoever gathers values knows how much they are; a number is nothing beside.
    pub fn weight(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// The value as people write it; `None` when it is missing.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(value) => Some(value.to_string()),
            Self::Long(value) => Some(value.to_string()),
            Self::Double(value) => Some(value.to_string()),
            Self::String(value) => Some(value.clone()),
            Self::Bytes(value) => Some(BASE64.encode(value)),
        }
    }

    /// Reads the text of a cell. `1.0` is an int where ints are wanted; nothing else is bent.
    pub fn from_text(text: &str, field: &Field) -> Result<Self, ValueError> {
        let wrong = || ValueError::WrongType {
            field: field.name.clone(),
            found: format!("`{}`", shorten(text)),
            wanted: field.kind.title(),
        };
        let trimmed = text.trim();
        match field.kind {
            FieldKind::String => Ok(Self::String(text.to_owned())),
            FieldKind::Bytes => BASE64.decode(trimmed).map(Self::Bytes).map_err(|_| not_base64(field, trimmed)),
            FieldKind::Boolean => match trimmed {
                "true" | "True" | "TRUE" | "1" => Ok(Self::Boolean(true)),
                "false" | "False" | "FALSE" | "0" => Ok(Self::Boolean(false)),
                _ => Err(wrong()),
            },
            FieldKind::Float | FieldKind::Double => {
                let number: f64 = trimmed.parse().map_err(|_| wrong())?;
                if number.is_finite() { Ok(Self::Double(number)) } else { Err(wrong()) }
            }
            FieldKind::Int | FieldKind::Long => {
                let number = match trimmed.parse::<i64>() {
                    Ok(number) => number,
                    Err(_) => whole(trimmed.parse::<f64>().map_err(|_| wrong())?).ok_or_else(wrong)?,
                };
                fits(number, field.kind).ok_or_else(wrong)
            }
            FieldKind::Timestamp => {
                if let Ok(millis) = trimmed.parse::<i64>() {
                    return Ok(Self::Long(millis));
                }
                time::iso(trimmed).map(Self::Long).ok_or_else(wrong)
            }
        }
    }

    /// Reads the text of a cell that holds a point in time, written by the strftime format `format`.
    pub fn from_time(text: &str, format: &str, field: &Field) -> Result<Self, ValueError> {
        time::by(text, format).map(Self::Long).ok_or_else(|| ValueError::WrongFormat {
            field: field.name.clone(),
            found: shorten(text.trim()),
            format: format.to_owned(),
        })
    }

    /// Takes a value of another schema as a value of `field`, by the rules of [`Value::from_json`]: a whole number is an int
    /// or a float as wanted, a text may be a timestamp, and nothing else is bent.
    pub fn for_field(self, field: &Field) -> Result<Self, ValueError> {
        let wrong = |value: Self| ValueError::WrongType {
            field: field.name.clone(),
            found: shorten(&value.to_text().unwrap_or_default()),
            wanted: field.kind.title(),
        };
        match (self, field.kind) {
            (Self::Null, _) => Self::null(field),
            (value @ Self::Boolean(_), FieldKind::Boolean)
            | (value @ Self::String(_), FieldKind::String)
            | (value @ Self::Bytes(_), FieldKind::Bytes) => Ok(value),
            (Self::Long(number), FieldKind::Int | FieldKind::Long | FieldKind::Timestamp) => {
                fits(number, field.kind).ok_or_else(|| wrong(Self::Long(number)))
            }
            (Self::Long(number), FieldKind::Float | FieldKind::Double) => Ok(Self::Double(number as f64)),
            (Self::Double(number), FieldKind::Float | FieldKind::Double) if number.is_finite() => {
                Ok(Self::Double(number))
            }
            (Self::Double(number), FieldKind::Int | FieldKind::Long | FieldKind::Timestamp) => {
                whole(number).and_then(|n| fits(n, field.kind)).ok_or_else(|| wrong(Self::Double(number)))
            }
            (Self::String(text), FieldKind::Timestamp) => {
                time::iso(&text).map(Self::Long).ok_or_else(|| wrong(Self::String(text)))
            }
            (value, _) => Err(wrong(value)),
        }
    }

    /// Takes a JSON value as a value of `field`.
    pub fn from_json(json: &serde_json::Value, field: &Field) -> Result<Self, ValueError> {
        let wrong = || ValueError::WrongType {
            field: field.name.clone(),
            found: shorten(&json.to_string()),
            wanted: field.kind.title(),
        };
        match (json, field.kind) {
            (serde_json::Value::Null, _) if field.nullable => Ok(Self::Null),
            (serde_json::Value::Null, _) => Err(ValueError::Missing { field: field.name.clone() }),
            (serde_json::Value::Bool(value), FieldKind::Boolean) => Ok(Self::Boolean(*value)),
            (serde_json::Value::String(text), FieldKind::String) => Ok(Self::String(text.clone())),
            (serde_json::Value::String(text), FieldKind::Bytes) => {
                BASE64.decode(text).map(Self::Bytes).map_err(|_| not_base64(field, text))
            }
            (serde_json::Value::String(text), FieldKind::Timestamp) => {
                time::iso(text).map(Self::Long).ok_or_else(wrong)
            }
            (serde_json::Value::Number(number), FieldKind::Float | FieldKind::Double) => {
                number.as_f64().filter(|n| n.is_finite()).map(Self::Double).ok_or_else(wrong)
            }
            (serde_json::Value::Number(number), FieldKind::Int | FieldKind::Long | FieldKind::Timestamp) => number
                .as_i64()
                .or_else(|| number.as_f64().and_then(whole))
                .and_then(|n| fits(n, field.kind))
                .ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

/// A record in the order of its schema's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// One value a field.
    pub values: Vec<Value>,
}

impl Record {
    /// Takes a JSON object. Absent keys are null; a key that is no field is refused, because dropping what somebody sent
    /// is losing data.
    pub fn from_json(
        object: &serde_json::Map<String, serde_json::Value>,
        schema: &RecordSchema,
    ) -> Result<Self, ValueError> {
        if let Some(field) = object.keys().find(|key| schema.field(key).is_none()) {
            let hint = crate::name::did_you_mean(field, schema.names());
            return Err(ValueError::Unknown { field: shorten(field), hint });
        }
        let null = serde_json::Value::Null;
        let values = schema
            .fields
            .iter()
            .map(|field| Value::from_json(object.get(&field.name).unwrap_or(&null), field))
            .collect::<Result<_, _>>()?;
        Ok(Self { values })
    }

    /// Appends the record's Avro binary encoding to `out`. The values must be of the schema's kinds, as the constructors
    /// of this module make them; a null in a field that is not nullable is an error.
    pub fn encode(&self, schema: &RecordSchema, out: &mut Vec<u8>) -> Result<(), ValueError> {
        for (value, field) in self.values.iter().zip(&schema.fields) {
            encode_value(value, field, out)?;
        }
        Ok(())
    }
}

/// Avro binary encoding (specification 1.12, "Binary encoding"): zig-zag varints, little-endian floats, union branch
/// number before the value.
fn encode_value(value: &Value, field: &Field, out: &mut Vec<u8>) -> Result<(), ValueError> {
    if field.nullable {
        let branch = if matches!(value, Value::Null) { field.null_branch } else { 1 - field.null_branch };
        zigzag(branch as i64, out);
    }
    match (value, field.kind) {
        (Value::Null, _) if field.nullable => {}
        (Value::Null, _) => return Err(ValueError::Missing { field: field.name.clone() }),
        (Value::Boolean(value), FieldKind::Boolean) => out.push(u8::from(*value)),
        (Value::Long(value), FieldKind::Int | FieldKind::Long | FieldKind::Timestamp) => zigzag(*value, out),
        (Value::Double(value), FieldKind::Double) => out.extend_from_slice(&value.to_le_bytes()),
        (Value::Double(value), FieldKind::Float) => out.extend_from_slice(&(*value as f32).to_le_bytes()),
        (Value::String(value), FieldKind::String) => {
            zigzag(value.len() as i64, out);
            out.extend_from_slice(value.as_bytes());
        }
        (Value::Bytes(value), FieldKind::Bytes) => {
            zigzag(value.len() as i64, out);
            out.extend_from_slice(value);
        }
        (other, kind) => {
            return Err(ValueError::WrongType {
                field: field.name.clone(),
                found: shorten(&format!("{other:?}")),
                wanted: kind.title(),
            });
        }
    }
    Ok(())
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn whole(number: f64) -> Option<i64> {
    // Beyond 2^53 neighbouring integers share one float, so a float there is no longer one particular integer.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

fn fits(number: i64, kind: FieldKind) -> Option<Value> {
    if kind == FieldKind::Int && i32::try_from(number).is_err() {
        return None;
    }
    Some(Value::Long(number))
}

fn not_base64(field: &Field, text: &str) -> ValueError {
    ValueError::WrongType {
        field: field.name.clone(),
        found: format!("`{}`", shorten(text)),
        wanted: "base64 of bytes",
    }
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    let start: String = text.chars().take(SHOWN).collect();
    format!("{start}… ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldKind) -> Field {
        Field { name: "x".to_owned(), kind, nullable: false, null_branch: 0, doc: None }
    }

    #[test]
    fn text_is_read_by_the_field_type() {
        let cases = [
            ("1.5", FieldKind::Double, Some(Value::Double(1.5))),
            (" 2 ", FieldKind::Long, Some(Value::Long(2))),
            ("35.0", FieldKind::Int, Some(Value::Long(35))),
            ("35.5", FieldKind::Int, None),
            ("3000000000", FieldKind::Int, None),
            ("3000000000", FieldKind::Long, Some(Value::Long(3_000_000_000))),
            ("inf", FieldKind::Double, None),
            ("NaN", FieldKind::Double, None),
            ("abc", FieldKind::Double, None),
            ("True", FieldKind::Boolean, Some(Value::Boolean(true))),
            ("yes", FieldKind::Boolean, None),
            ("1970-01-01T00:00:01Z", FieldKind::Timestamp, Some(Value::Long(1000))),
            ("1970-01-02", FieldKind::Timestamp, Some(Value::Long(86_400_000))),
            ("1e300", FieldKind::Long, None),
            ("AP8=", FieldKind::Bytes, Some(Value::Bytes(vec![0, 255]))),
            ("AP8", FieldKind::Bytes, None),
        ];
        for (text, kind, wanted) in cases {
            assert_eq!(Value::from_text(text, &field(kind)).ok(), wanted, "{text} as {kind:?}");
        }
    }

    #[test]
    fn what_is_encoded_is_what_the_avro_library_reads() {
        let text = r#"{"type":"record","name":"r","fields":[
            {"name":"a","type":["null","double"]},{"name":"b","type":["long","null"]},{"name":"c","type":"string"},
            {"name":"d","type":"boolean"},{"name":"e","type":"float"},{"name":"f","type":["null","int"]}]}"#;
        let schema = RecordSchema::parse(text).unwrap();
        let json = r#"{"a":1.25,"b":null,"c":"é","d":true,"e":0.5,"f":-70000}"#;
        let record = Record::from_json(&serde_json::from_str(json).unwrap(), &schema).unwrap();
        let mut bytes = Vec::new();
        record.encode(&schema, &mut bytes).unwrap();
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(schema.avro()).build().unwrap();
        let read = reader.read_value(&mut bytes.as_slice()).unwrap();
        let back: serde_json::Value = read.try_into().unwrap();
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }

    #[test]
    fn a_record_with_an_unknown_key_is_refused_with_the_nearest_field() {
        let schema =
            RecordSchema::parse(r#"{"type":"record","name":"r","fields":[{"name":"petal_length","type":"double"}]}"#)
                .unwrap();
        let object = serde_json::from_str(r#"{"petal_lenght":1.0}"#).unwrap();
        let error = Record::from_json(&object, &schema).unwrap_err().to_string();
        assert!(error.contains("did you mean `petal_length`"), "{error}");
    }

    #[test]
    fn a_huge_text_is_shortened_in_the_error() {
        let error = Value::from_text(&"x".repeat(10_000_000), &field(FieldKind::Long)).unwrap_err().to_string();
        assert!(error.len() < 400, "{}", error.len());
    }
}
