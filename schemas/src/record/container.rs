//! Avro object container files: what Avro's own tools write, with the schema at the beginning.
//!
//! ```text
//! 4F 62 6A 01 | metadata: avro.schema, avro.codec | mark, 16 bytes
//! records in the block | bytes of the block | block, compressed | the mark again          … until the end
//! ```
//!
//! Read as a stream, a block at a time, so that a pipe will do and the memory is bounded: the library's own reader takes
//! what a length claims, and inflates without a limit, which is no way to treat what a client sent.

use std::io::{self, Read};

use super::decode::varint;
use super::{DecodeError, Record, RecordSchema};
use crate::name::shortened;

/// First four bytes of a container.
pub const MAGIC: [u8; 4] = *b"Obj\x01";
/// The most that the metadata may have, in bytes.
const MAX_METADATA: usize = 1 << 20;
/// The most that a block may have, in bytes, compressed or not. Writers close one after 16 to 64 KiB by default.
pub const MAX_BLOCK: usize = 64 << 20;

/// Why a container cannot be read any further.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes cannot be had.
    #[error(transparent)]
    Io(io::Error),
    /// It does not begin as a container does.
    #[error("does not begin with `Obj` and 01, as an Avro object container does")]
    NoContainer,
    /// It ends within its metadata or a block.
    #[error("ends in the middle of {0}")]
    Ended(String),
    /// Its schema is none of raw records.
    #[error("its schema {0}")]
    Schema(super::Error),
    /// Its compression is not known here.
    #[error("its codec `{0}` is not read here: write it with `null`, `deflate` or `snappy`")]
    Codec(String),
    /// Something in it cannot be.
    #[error("{place}: {reason}")]
    Broken {
        /// The metadata, or a block by its number from 0.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Null,
    Deflate,
    Snappy,
}

/// A container that is being read.
#[derive(Debug)]
pub struct Container<R> {
    input: Input<R>,
    schema: RecordSchema,
    codec: Codec,
    mark: [u8; 16],
    /// The current block, inflated, and how far it is read.
    block: Vec<u8>,
    at: usize,
    /// Records of the block that are still to come.
    left: i64,
    blocks: u64,
}

impl<R: Read> Container<R> {
    /// Reads the beginning of a container. `reader` is read a few bytes at a time: give a buffered one.
    pub fn open(reader: R) -> Result<Self, Error> {
        let mut input = Input { reader, place: "its beginning".to_owned() };
        let mut magic = [0; 4];
        input.fill(&mut magic)?;
        if magic != MAGIC {
            return Err(Error::NoContainer);
        }
        input.place = "its metadata".to_owned();
        let (schema, codec) = metadata(&mut input)?;
        let mut mark = [0; 16];
        input.fill(&mut mark)?;
        Ok(Self { input, schema, codec, mark, block: Vec::new(), at: 0, left: 0, blocks: 0 })
    }

    /// The schema its records were written with.
    pub fn schema(&self) -> &RecordSchema {
        &self.schema
    }

    /// Records that can be had without reading any further.
    pub fn at_hand(&self) -> u64 {
        self.left.unsigned_abs()
    }

    /// The next record, of the container's own schema; `None` at the end. After an error there is nothing to go on with:
    /// records have no marks between them.
    pub fn next_record(&mut self) -> Result<Option<Record>, Error> {
        if self.left == 0 && !self.next_block()? {
            return Ok(None);
        }
        let mut rest = &self.block[self.at..];
        let record = Record::decode(&self.schema, &mut rest).map_err(|error| match error {
            DecodeError::Ended { .. } => self.input.broken(format!("its last record is cut off: {error}")),
            DecodeError::Invalid { .. } => self.input.broken(error.to_string()),
        })?;
        self.at = self.block.len() - rest.len();
        self.left -= 1;
        if self.left == 0 && !rest.is_empty() {
            return Err(self.input.broken(format!("{} bytes follow its last record", rest.len())));
        }
        Ok(Some(record))
    }

    /// Reads blocks up to one with records in it; false at the end.
    fn next_block(&mut self) -> Result<bool, Error> {
        loop {
            self.input.place = format!("block {}", self.blocks);
            let Some(records) = self.input.number_or_end()? else { return Ok(false) };
            let bytes = self.input.length(MAX_BLOCK)?;
            let mut raw = vec![0; bytes];
            self.input.fill(&mut raw)?;
            let mut mark = [0; 16];
            self.input.fill(&mut mark)?;
            if mark != self.mark {
                return Err(self.input.broken("it does not end with the container's mark".to_owned()));
            }
            self.block = inflate(self.codec, raw).map_err(|reason| self.input.broken(reason))?;
            // A record takes a byte at least, so no count can be larger than that.
            if records < 0 || records.unsigned_abs() > self.block.len() as u64 {
                return Err(self.input.broken(format!("{records} records in {} bytes", self.block.len())));
            }
            (self.left, self.at) = (records, 0);
            self.blocks += 1;
            if records > 0 {
                return Ok(true);
            }
        }
    }
}

/// The schema and the codec: the rest of the metadata is the writer's own.
fn metadata<R: Read>(input: &mut Input<R>) -> Result<(RecordSchema, Codec), Error> {
    let (mut schema, mut codec, mut budget) = (None, None, MAX_METADATA);
    loop {
        let entries = match input.number()? {
            0 => break,
            // A negative count is followed by the bytes that a reader could skip.
            count if count < 0 => {
                input.number()?;
                count.unsigned_abs()
            }
            count => count.unsigned_abs(),
        };
        for _ in 0..entries {
            let key = input.bytes(&mut budget)?;
            let value = input.bytes(&mut budget)?;
            match key.as_slice() {
                b"avro.schema" => schema = Some(value),
                b"avro.codec" => codec = Some(value),
                _ => {}
            }
        }
    }
    let schema = schema.ok_or_else(|| input.broken("it has no `avro.schema`".to_owned()))?;
    let schema = std::str::from_utf8(&schema).map_err(|_| input.broken("its schema is no valid UTF-8".to_owned()))?;
    let codec = match codec.as_deref() {
        None | Some(b"null") => Codec::Null,
        Some(b"deflate") => Codec::Deflate,
        Some(b"snappy") => Codec::Snappy,
        Some(other) => return Err(Error::Codec(shortened(&String::from_utf8_lossy(other), 40))),
    };
    Ok((RecordSchema::parse(schema).map_err(Error::Schema)?, codec))
}

fn inflate(codec: Codec, raw: Vec<u8>) -> Result<Vec<u8>, String> {
    let too_large = || format!("it inflates to more than {} MiB", MAX_BLOCK >> 20);
    match codec {
        Codec::Null => Ok(raw),
        Codec::Deflate => miniz_oxide::inflate::decompress_to_vec_with_limit(&raw, MAX_BLOCK).map_err(|error| {
            if error.output.len() >= MAX_BLOCK { too_large() } else { "it is no valid deflate stream".to_owned() }
        }),
        Codec::Snappy => {
            let invalid = || "it is no valid snappy block".to_owned();
            let (body, sum) = raw.split_last_chunk::<4>().ok_or_else(invalid)?;
            if snap::raw::decompress_len(body).map_err(|_| invalid())? > MAX_BLOCK {
                return Err(too_large());
            }
            let block = snap::raw::Decoder::new().decompress_vec(body).map_err(|_| invalid())?;
            if crc32fast::hash(&block) != u32::from_be_bytes(*sum) {
                return Err("its checksum is another one than that of its content".to_owned());
            }
            Ok(block)
        }
    }
}

/// The bytes, and what is being read of them.
#[derive(Debug)]
struct Input<R> {
    reader: R,
    place: String,
}

impl<R: Read> Input<R> {
    fn broken(&self, reason: String) -> Error {
        Error::Broken { place: self.place.clone(), reason }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.reader.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Ended(self.place.clone()),
            _ => Error::Io(error),
        })
    }

    fn number(&mut self) -> Result<i64, Error> {
        self.number_or_end()?.ok_or_else(|| Error::Ended(self.place.clone()))
    }

    /// A zig-zag number; `None` when there is not a byte more.
    fn number_or_end(&mut self) -> Result<Option<i64>, Error> {
        let (mut digits, mut length) = ([0; 10], 0);
        loop {
            let byte = &mut digits[length..=length];
            match self.fill(byte) {
                Err(Error::Ended(_)) if length == 0 => return Ok(None),
                outcome => outcome?,
            }
            let last = byte[0] < 0x80;
            length += 1;
            if last || length == digits.len() {
                let too_long = |_| self.broken("a number of more than 64 bits".to_owned());
                return varint(&mut &digits[..length]).map(Some).map_err(too_long);
            }
        }
    }

    fn length(&mut self, most: usize) -> Result<usize, Error> {
        let length = self.number()?;
        let fitting = usize::try_from(length).ok().filter(|length| *length <= most);
        fitting.ok_or_else(|| self.broken(format!("{length} bytes where 0 to {most} can be")))
    }

    fn bytes(&mut self, budget: &mut usize) -> Result<Vec<u8>, Error> {
        let length = self.length(*budget)?;
        // An entry costs something even when it is empty, so that a count of entries is bounded, too.
        *budget = budget.saturating_sub(length.max(1));
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::{Codec as Compression, Schema, Writer};

    use super::super::Value;
    use super::*;

    const TEXT: &str = r#"{"type":"record","name":"r","fields":[
        {"name":"id","type":"long"},{"name":"name","type":["null","string"]}]}"#;

    /// What the library writes: three blocks of two records.
    fn written(codec: Compression) -> Vec<u8> {
        let schema = Schema::parse_str(TEXT).unwrap();
        let mut writer = Writer::with_codec(&schema, Vec::new(), codec).unwrap();
        for id in 0..6_i64 {
            let mut record = apache_avro::types::Record::new(writer.schema()).unwrap();
            record.put("id", id);
            record.put("name", (id % 2 == 0).then(|| "é".repeat(100)));
            writer.append_value(record).unwrap();
            if id % 2 == 1 {
                writer.flush().unwrap();
            }
        }
        writer.into_inner().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Record>, Error> {
        let mut container = Container::open(bytes)?;
        std::iter::from_fn(|| container.next_record().transpose()).collect()
    }

    #[test]
    fn what_the_avro_library_writes_is_read() {
        let wanted: Vec<Record> = (0..6)
            .map(|id| {
                let name = if id % 2 == 0 { Value::String("é".repeat(100)) } else { Value::Null };
                Record { values: vec![Value::Long(id), name] }
            })
            .collect();
        for codec in [Compression::Null, Compression::Deflate(Default::default())] {
            assert_eq!(read(&written(codec)).unwrap(), wanted, "{codec:?}");
        }
    }

    /// A container of one block of that codec.
    fn container(codec: &str, records: u8, block: &[u8]) -> Vec<u8> {
        let text = |bytes: &[u8]| {
            let mut out = Vec::new();
            Record { values: vec![Value::String(String::from_utf8(bytes.to_vec()).unwrap())] }
                .encode(
                    &RecordSchema::parse(r#"{"type":"record","name":"t","fields":[{"name":"t","type":"string"}]}"#)
                        .unwrap(),
                    &mut out,
                )
                .unwrap();
            out
        };
        let length = |length: usize| {
            let long =
                RecordSchema::parse(r#"{"type":"record","name":"t","fields":[{"name":"t","type":"long"}]}"#).unwrap();
            let mut out = Vec::new();
            Record { values: vec![Value::Long(length as i64)] }.encode(&long, &mut out).unwrap();
            out
        };
        let mut out = MAGIC.to_vec();
        out.push(4);
        [&b"avro.codec"[..], codec.as_bytes(), b"avro.schema", TEXT.as_bytes()]
            .iter()
            .for_each(|part| out.extend(text(part)));
        out.push(0);
        out.extend([7; 16]);
        out.push(records * 2);
        out.extend(length(block.len()));
        out.extend(block);
        out.extend([7; 16]);
        out
    }

    /// Records 1 and 2 without names.
    const BLOCK: &[u8] = &[2, 0, 4, 0];

    #[test]
    fn snappy_blocks_are_inflated_and_checked() {
        let mut block = snap::raw::Encoder::new().compress_vec(BLOCK).unwrap();
        block.extend(crc32fast::hash(BLOCK).to_be_bytes());
        assert_eq!(read(&container("snappy", 2, &block)).unwrap().len(), 2);
        *block.last_mut().unwrap() ^= 1;
        assert!(read(&container("snappy", 2, &block)).unwrap_err().to_string().contains("checksum"));
    }

    #[test]
    fn what_cannot_be_is_told_with_its_block() {
        assert_eq!(read(&container("null", 2, BLOCK)).unwrap().len(), 2);
        let mut other_mark = container("null", 2, BLOCK);
        *other_mark.last_mut().unwrap() = 0;
        let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; MAX_BLOCK + 1], 9);
        assert!(bomb.len() < 1 << 20);
        for (bytes, wanted) in [
            (b"Obj\x02".to_vec(), "does not begin"),
            (b"Ob".to_vec(), "middle of its beginning"),
            (container("zstandard", 2, BLOCK), "zstandard"),
            (container("null", 1, BLOCK), "block 0: 2 bytes follow"),
            (container("null", 3, BLOCK), "block 0: its last record is cut off"),
            (container("null", 5, BLOCK), "5 records in 4 bytes"),
            (container("deflate", 2, b"\xff\xff"), "deflate"),
            (container("deflate", 2, &bomb), "more than 64 MiB"),
            (other_mark, "mark"),
        ] {
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }

    #[test]
    fn a_container_that_is_cut_anywhere_gives_whole_blocks_and_then_an_error() {
        let bytes = written(Compression::Null);
        let mut ends = 0;
        for cut in 0..bytes.len() {
            match read(&bytes[..cut]) {
                Ok(records) => {
                    assert_eq!(records.len() % 2, 0);
                    ends += 1;
                }
                Err(error) => assert!(matches!(error, Error::Ended(_)), "{cut}: {error}"),
            }
        }
        // Between two blocks nobody can tell a cut from an end.
        assert_eq!(ends, 3);
    }

    #[test]
    fn a_schema_that_is_no_flat_record_is_refused_with_the_field() {
        let nested = TEXT.replace(r#""type":"long""#, r#""type":{"type":"array","items":"int"}"#);
        let schema = Schema::parse_str(&nested).unwrap();
        let bytes = Writer::new(&schema, Vec::new()).unwrap().into_inner().unwrap();
        // A writer that wrote nothing may have written no beginning either.
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("`id`") || error.contains("beginning"), "{error}");
    }
}
