//! Avro binary encoding back into values, one record at a time; `Record::encode` is its other half. A length in the bytes
//! is believed only as far as there are bytes, so nothing that is read here can exhaust the memory.

use super::{Field, FieldKind, Record, RecordSchema, Value};

/// Why bytes are no record of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the bytes end in the middle of field `{field}`")]
    Ended {
        /// The field.
        field: String,
    },
    /// They cannot be what the schema says.
    #[error("field `{field}`: {reason}")]
    Invalid {
        /// The field.
        field: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Why a number of variable length cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VarintError {
    Ended,
    TooLong,
}

/// Takes a zig-zag number off the front of `bytes`.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<i64, VarintError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(VarintError::Ended)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(VarintError::TooLong);
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
        }
    }
    Err(VarintError::TooLong)
}

impl Record {
    /// Takes a record of `schema` off the front of `bytes`, which then begin behind it.
    pub fn decode(schema: &RecordSchema, bytes: &mut &[u8]) -> Result<Self, DecodeError> {
        let values = schema.fields.iter().map(|field| decode_value(field, bytes)).collect::<Result<_, _>>()?;
        Ok(Self { values })
    }
}

fn decode_value(field: &Field, bytes: &mut &[u8]) -> Result<Value, DecodeError> {
    let invalid = |reason| DecodeError::Invalid { field: field.name.clone(), reason };
    let ended = || DecodeError::Ended { field: field.name.clone() };
    let number = |bytes: &mut &[u8]| {
        varint(bytes).map_err(|error| match error {
            VarintError::Ended => ended(),
            VarintError::TooLong => invalid("a number of more than 64 bits"),
        })
    };
    if field.nullable {
        match usize::try_from(number(bytes)?) {
            Ok(branch) if branch == field.null_branch => return Ok(Value::Null),
            Ok(0 | 1) => {}
            _ => return Err(invalid("a branch that its union does not have")),
        }
    }
    match field.kind {
        FieldKind::Boolean => match take(bytes, 1).ok_or_else(ended)? {
            [0] => Ok(Value::Boolean(false)),
            [1] => Ok(Value::Boolean(true)),
            _ => Err(invalid("neither true nor false")),
        },
        FieldKind::Int => {
            let number = number(bytes)?;
            i32::try_from(number).map_err(|_| invalid("a number of more than 32 bits"))?;
            Ok(Value::Long(number))
        }
        FieldKind::Long | FieldKind::Timestamp => Ok(Value::Long(number(bytes)?)),
        FieldKind::Float => {
            let (head, rest) = bytes.split_first_chunk::<4>().ok_or_else(ended)?;
            *bytes = rest;
            Ok(Value::Double(f64::from(f32::from_le_bytes(*head))))
        }
        FieldKind::Double => {
            let (head, rest) = bytes.split_first_chunk::<8>().ok_or_else(ended)?;
            *bytes = rest;
            Ok(Value::Double(f64::from_le_bytes(*head)))
        }
        FieldKind::Bytes => {
            let length = usize::try_from(number(bytes)?).map_err(|_| invalid("bytes of a negative length"))?;
            Ok(Value::Bytes(take(bytes, length).ok_or_else(ended)?.to_vec()))
        }
        FieldKind::String => {
            let length = usize::try_from(number(bytes)?).map_err(|_| invalid("a text of a negative length"))?;
            let text = take(bytes, length).ok_or_else(ended)?;
            std::str::from_utf8(text).map(|text| Value::String(text.to_owned())).map_err(|_| invalid("no valid UTF-8"))
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"type":"record","name":"r","fields":[
        {"name":"a","type":["null","double"]},{"name":"b","type":["long","null"]},{"name":"c","type":"string"},
        {"name":"d","type":"boolean"},{"name":"e","type":"float"},{"name":"f","type":["null","int"]},
        {"name":"g","type":["null","bytes"]}]}"#;

    fn records() -> Vec<Record> {
        let text = |text: &str| Value::String(text.to_owned());
        let record = |values: [Value; 6]| {
            let bytes = if values[0] == Value::Null { Value::Null } else { Value::Bytes(vec![0, 0xff, 7]) };
            Record { values: values.into_iter().chain([bytes]).collect() }
        };
        vec![
            record([Value::Null, Value::Null, text(""), Value::Boolean(true), Value::Double(0.5), Value::Null]),
            record([
                Value::Double(-1.25),
                Value::Long(i64::MIN),
                text("é"),
                Value::Boolean(false),
                Value::Double(-0.0),
                Value::Long(-70_000),
            ]),
            record([
                Value::Double(1e300),
                Value::Long(i64::MAX),
                text("x"),
                Value::Boolean(true),
                Value::Double(1.0),
                Value::Long(0),
            ]),
        ]
    }

    #[test]
    fn what_was_encoded_comes_back_one_after_the_other() {
        let schema = RecordSchema::parse(TEXT).unwrap();
        let mut bytes = Vec::new();
        records().iter().for_each(|record| record.encode(&schema, &mut bytes).unwrap());
        let mut rest = bytes.as_slice();
        for record in records() {
            assert_eq!(Record::decode(&schema, &mut rest).unwrap(), record);
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn bytes_that_are_cut_anywhere_are_an_error() {
        let schema = RecordSchema::parse(TEXT).unwrap();
        let mut bytes = Vec::new();
        records()[1].encode(&schema, &mut bytes).unwrap();
        for cut in 0..bytes.len() {
            assert!(matches!(Record::decode(&schema, &mut &bytes[..cut]), Err(DecodeError::Ended { .. })), "{cut}");
        }
    }

    #[test]
    fn lengths_branches_and_numbers_that_cannot_be_are_refused() {
        let one = |kind: &str| {
            RecordSchema::parse(&format!(r#"{{"type":"record","name":"r","fields":[{{"name":"x","type":{kind}}}]}}"#))
                .unwrap()
        };
        let ended = "the bytes end in the middle of field `x`";
        for (kind, bytes, wanted) in [
            (r#""string""#, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][..], ended),
            (r#""string""#, &[0x03], "negative"),
            (r#""bytes""#, &[0x03], "negative"),
            (r#""bytes""#, &[0x08, 1, 2], ended),
            (r#""string""#, &[0x02, 0xff], "UTF-8"),
            (r#""boolean""#, &[2], "neither true nor false"),
            (r#"["null","int"]"#, &[4], "branch"),
            (r#"["null","int"]"#, &[1], "branch"),
            (r#""int""#, &[0x80, 0x80, 0x80, 0x80, 0x10], "32 bits"),
            (r#""long""#, &[0xff; 11], "64 bits"),
            (r#""long""#, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "64 bits"),
        ] {
            let error = Record::decode(&one(kind), &mut &*bytes).unwrap_err().to_string();
            assert!(error.contains(wanted), "{kind}: {error}");
        }
    }
}
