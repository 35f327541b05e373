//! What the tests of this crate share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use nisshi_sans_io::record::{Record, deflated, inflated};

use crate::options::Clock;

/// The time of all records: 14 November 2023.
pub(crate) const TIME: i64 = 1_700_000_000_000;

/// Key and value.
pub(crate) type KeyValue<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// An uncompressed batch with these values, without keys.
pub(crate) fn batch(values: &[&[u8]]) -> deflated::Batch {
    let keyed: Vec<KeyValue<'_>> = values.iter().map(|value| (None, Some(*value))).collect();
    keyed_batch(&keyed, TIME, 0)
}

/// A batch of keys and values at `time` with these attributes (0 to 4 name a codec).
pub(crate) fn keyed_batch(records: &[KeyValue<'_>], time: i64, attributes: i16) -> deflated::Batch {
    let mut builder = inflated::Batch::builder()
        .attributes(attributes)
        .base_timestamp(time)
        .max_timestamp(time)
        .producer_id(-1)
        .producer_epoch(-1)
        .base_sequence(-1)
        .last_offset_delta(i32::try_from(records.len()).unwrap() - 1);
    for (delta, (key, value)) in records.iter().enumerate() {
        builder = builder.record(
            Record::builder()
                .offset_delta(i32::try_from(delta).unwrap())
                .key(key.map(Bytes::copy_from_slice))
                .value(value.map(Bytes::copy_from_slice)),
        );
    }
    deflated::Batch::try_from(builder.build().unwrap()).unwrap()
}

/// The values of a stored batch, by offset.
pub(crate) fn values(batch: &deflated::Batch) -> Vec<(i64, Option<Bytes>)> {
    let batch = inflated::Batch::try_from(batch).unwrap();
    let value = |record: &Record| (batch.base_offset + i64::from(record.offset_delta), record.value.clone());
    batch.records.iter().map(value).collect()
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(TIME)))
    }

    pub fn clock(&self) -> Clock {
        let millis = self.0.clone();
        Clock::new(move || {
            SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis.load(Ordering::SeqCst)).unwrap())
        })
    }
}
