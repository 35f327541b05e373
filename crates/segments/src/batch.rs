//! The fixed part of a record batch, as Kafka writes it since 0.11 (magic 2), and the batch as bytes.
//!
//! ```text
//!  0 base offset i64      23 last offset delta i32    43 producer id i64      61 records, as they came
//!  8 length i32           27 base timestamp i64       51 producer epoch i16
//! 12 leader epoch i32     35 max timestamp i64        53 base sequence i32
//! 16 magic i8                                         57 record count u32
//! 17 crc u32 ── of everything from byte 21 on ──►
//! 21 attributes i16
//! ```
//!
//! Base offset and leader epoch lie outside of the checksum: the broker sets them without touching anything else.

use bytes::{Buf, BufMut, Bytes};
use crc_fast::{CrcAlgorithm, Digest};
use nisshi_sans_io::record::deflated;

/// Bytes before the records.
pub(crate) const HEADER: usize = 61;
/// Bytes that the field `length` does not count.
const PREFIX: usize = 12;
/// Where the checksum begins.
const CRC_FROM: usize = 21;
/// A length beyond this is not a batch: Kafka's own limit of a request is far below.
const MAX_LENGTH: usize = 1 << 30;

/// What the store needs to know of a batch it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub base_offset: i64,
    /// Bytes of the whole batch.
    pub size: u64,
    pub crc: u32,
    pub last_offset_delta: i32,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
}

impl Header {
    /// Reads the header at the beginning of `bytes`; `None` when there is none, whole or in part.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut at = bytes.get(..HEADER)?;
        let base_offset = at.get_i64();
        let length = usize::try_from(at.get_i32()).ok()?;
        let _leader_epoch = at.get_i32();
        let magic = at.get_i8();
        let crc = at.get_u32();
        let _attributes = at.get_i16();
        let last_offset_delta = at.get_i32();
        let _base_timestamp = at.get_i64();
        let max_timestamp = at.get_i64();
        let producer_id = at.get_i64();
        let producer_epoch = at.get_i16();
        let base_sequence = at.get_i32();
        let plausible = magic == 2
            && (HEADER - PREFIX..=MAX_LENGTH).contains(&length)
            && base_offset >= 0
            && last_offset_delta >= 0
            && base_offset.checked_add(i64::from(last_offset_delta) + 1).is_some();
        plausible.then_some(Self {
            base_offset,
            size: (length + PREFIX) as u64,
            crc,
            last_offset_delta,
            max_timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
        })
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    /// Whether the batch carries sequence numbers.
    pub fn is_idempotent(&self) -> bool {
        self.producer_id >= 0 && self.base_sequence >= 0
    }
}

/// The header of `batch` as bytes, with `base_offset` in place of the producer's.
pub(crate) fn encode_header(batch: &deflated::Batch, base_offset: i64) -> [u8; HEADER] {
    let mut header = [0_u8; HEADER];
    let mut at = &mut header[..];
    at.put_i64(base_offset);
    at.put_i32(i32::try_from(HEADER - PREFIX + batch.record_data.len()).unwrap_or(i32::MAX));
    // One node, one leader, one epoch.
    at.put_i32(0);
    at.put_i8(2);
    at.put_u32(batch.crc);
    at.put_i16(batch.attributes);
    at.put_i32(batch.last_offset_delta);
    at.put_i64(batch.base_timestamp);
    at.put_i64(batch.max_timestamp);
    at.put_i64(batch.producer_id);
    at.put_i16(batch.producer_epoch);
    at.put_i32(batch.base_sequence);
    at.put_u32(batch.record_count);
    header
}

/// A stored batch in the protocol's terms. The records share memory with `bytes`, which hold exactly one batch.
pub(crate) fn to_deflated(bytes: &Bytes) -> Option<deflated::Batch> {
    let mut at = bytes.get(..HEADER)?;
    Some(deflated::Batch {
        base_offset: at.get_i64(),
        batch_length: at.get_i32(),
        partition_leader_epoch: at.get_i32(),
        magic: at.get_i8(),
        crc: at.get_u32(),
        attributes: at.get_i16(),
        last_offset_delta: at.get_i32(),
        base_timestamp: at.get_i64(),
        max_timestamp: at.get_i64(),
        producer_id: at.get_i64(),
        producer_epoch: at.get_i16(),
        base_sequence: at.get_i32(),
        record_count: at.get_u32(),
        record_data: bytes.slice(HEADER..),
    })
}

/// Whether `bytes`, exactly one batch, match their checksum.
pub(crate) fn is_intact(header: &Header, bytes: &[u8]) -> bool {
    bytes.get(CRC_FROM..).is_some_and(|checked| crc(checked) == header.crc)
}

/// CRC-32C.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(bytes);
    // The digest is 64 bits wide for every algorithm; this one fills the lower half.
    (digest.finalize() & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::batch;

    #[test]
    fn a_batch_keeps_its_records_and_its_checksum_at_a_new_offset() {
        let sent = batch(&[b"one", b"two"]);
        let mut bytes = encode_header(&sent, 7_000).to_vec();
        bytes.extend_from_slice(&sent.record_data);
        let header = Header::parse(&bytes).unwrap();
        assert_eq!((header.base_offset, header.next_offset()), (7_000, 7_002));
        assert_eq!(header.size, bytes.len() as u64);
        assert!(is_intact(&header, &bytes));
        let stored = to_deflated(&Bytes::from(bytes)).unwrap();
        assert_eq!(stored.computed_crc(), stored.crc);
        assert_eq!(stored.record_data, sent.record_data);
    }

    #[test]
    fn what_is_not_a_batch_is_not_taken_for_one() {
        assert_eq!(Header::parse(&[0; HEADER]), None);
        assert_eq!(Header::parse(&[0xff; HEADER]), None);
        let sent = batch(&[b"one"]);
        let bytes = encode_header(&sent, 0);
        assert_eq!(Header::parse(&bytes[..HEADER - 1]), None);
    }

    #[test]
    fn one_flipped_bit_is_noticed() {
        let sent = batch(&[b"one"]);
        let mut bytes = encode_header(&sent, 0).to_vec();
        bytes.extend_from_slice(&sent.record_data);
        let header = Header::parse(&bytes).unwrap();
        for at in CRC_FROM..bytes.len() {
            bytes[at] ^= 1;
            assert!(!is_intact(&header, &bytes), "byte {at}");
            bytes[at] ^= 1;
        }
    }
}
