//! The two Avro framings a record may travel in. Both are always read; which one is written depends on whether a schema
//! registry is configured.
//!
//! ```text
//! single object   C3 01 | fingerprint, 8 bytes little-endian | body      (Avro specification, no server needed)
//! Confluent wire  00    | schema id,   4 bytes big-endian    | body      (what Kafka tools with a registry read)
//! ```

/// First two bytes of single-object encoding.
pub const SINGLE_OBJECT_MARKER: [u8; 2] = [0xC3, 0x01];
/// First byte of the Confluent wire format.
pub const CONFLUENT_MARKER: u8 = 0;

/// How a record names its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaRef {
    /// CRC-64-AVRO fingerprint.
    Fingerprint(u64),
    /// Id in a schema registry.
    RegistryId(u32),
}

/// Why the beginning of a message names no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Shorter than any frame.
    #[error("{0} bytes are too few for an Avro frame")]
    TooShort(usize),
    /// Starts with neither marker.
    #[error("begins with {0:02x} {1:02x}: neither single-object Avro (c3 01) nor the Confluent wire format (00)")]
    UnknownMarker(u8, u8),
}

/// Splits a message into the schema it names and its body.
pub fn split(message: &[u8]) -> Result<(SchemaRef, &[u8]), Error> {
    match message {
        [0xC3, 0x01, rest @ ..] => match rest.split_first_chunk::<8>() {
            Some((print, body)) => Ok((SchemaRef::Fingerprint(u64::from_le_bytes(*print)), body)),
            None => Err(Error::TooShort(message.len())),
        },
        [CONFLUENT_MARKER, rest @ ..] => match rest.split_first_chunk::<4>() {
            Some((id, body)) => Ok((SchemaRef::RegistryId(u32::from_be_bytes(*id)), body)),
            None => Err(Error::TooShort(message.len())),
        },
        [first, second, ..] => Err(Error::UnknownMarker(*first, *second)),
        _ => Err(Error::TooShort(message.len())),
    }
}

/// Appends the head of a frame to `out`; the Avro body follows.
pub fn begin(schema: SchemaRef, out: &mut Vec<u8>) {
    match schema {
        SchemaRef::Fingerprint(print) => {
            out.extend_from_slice(&SINGLE_OBJECT_MARKER);
            out.extend_from_slice(&print.to_le_bytes());
        }
        SchemaRef::RegistryId(id) => {
            out.push(CONFLUENT_MARKER);
            out.extend_from_slice(&id.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_framings_come_back_as_they_were_written() {
        for schema in [SchemaRef::Fingerprint(0x0123_4567_89ab_cdef), SchemaRef::RegistryId(7)] {
            let mut message = Vec::new();
            begin(schema, &mut message);
            message.extend_from_slice(b"body");
            assert_eq!(split(&message), Ok((schema, b"body".as_slice())));
        }
    }

    #[test]
    fn anything_else_is_an_error_and_never_a_panic() {
        for bytes in [&b""[..], b"\x00", b"\xc3", b"\xc3\x01abc", b"\x00\x00\x00", b"{\"a\":1}", b"\xff\xff"] {
            assert!(split(bytes).is_err(), "{bytes:?}");
        }
    }
}
