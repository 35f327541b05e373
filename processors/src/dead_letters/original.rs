//! The bytes a dead letter is about: from the letter itself, from where they were refused, or from the object store.

use std::collections::{BTreeSet, HashMap};

use driftmill_platform::config;
use driftmill_platform::kafka::{Fetcher, MAX_RECORD_BYTES, MessageBatch};
use driftmill_platform::store::{self, Store};
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::topic::Topics;

use super::{Error, Letter};
use crate::sinks::dead_letters::{header_text, origin, preview};

/// Where bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The letter in the topic of dead letters.
    Letter,
    /// The record in the raw topic.
    Raw,
    /// The object store.
    Store,
    /// The table, which holds only their beginning, as text.
    Preview,
}

/// The bytes of one letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The bytes.
    pub payload: Vec<u8>,
    /// Kafka's time of the record, milliseconds since 1970 UTC.
    pub timestamp: i64,
    /// Whether they are all of the original.
    pub whole: bool,
    /// Where they come from.
    pub whence: Whence,
}

/// Finds the bytes of letters.
#[derive(Debug)]
pub struct Originals {
    fetcher: Fetcher,
    store: Store,
    topics: Topics,
}

impl Originals {
    /// Finds those of the pipeline with these topics.
    pub fn new(kafka: &config::Kafka, store: Store, topics: Topics) -> Result<Self, Error> {
        Ok(Self { fetcher: Fetcher::new(kafka)?, store, topics })
    }

    /// The bytes of one letter, whatever it is about.
    pub async fn of(&mut self, letter: &Letter) -> Result<Kept, Error> {
        if !letter.original.is_empty() {
            match self.store.get(&letter.original).await {
                Ok(bytes) => {
                    let (payload, timestamp) = (bytes.to_vec(), letter.at);
                    return Ok(Kept { payload, timestamp, whole: true, whence: Whence::Store });
                }
                // Somebody else's store, or one that was tidied up: the letter shows the beginning.
                Err(store::Error::Missing { .. } | store::Error::NoBucket { .. } | store::Error::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let found = self.find(&[letter]).await?.pop().flatten();
        Ok(found.unwrap_or_else(|| Kept {
            payload: letter.preview.clone().into_bytes(),
            timestamp: letter.at,
            whole: false,
            whence: Whence::Preview,
        }))
    }

    /// The bytes of each letter from the topics; `None` where retention took both the letter and its record, or others
    /// stand in their places. A record is looked up only where its letter does not do.
    pub async fn find(&mut self, letters: &[&Letter]) -> Result<Vec<Option<Kept>>, Error> {
        let places: BTreeSet<(i32, i64)> = letters.iter().map(|letter| letter.rejected).collect();
        let kept = self.fetcher.fetch(&self.topics.rejected, places).await?;
        let places = index(&kept);
        let kept: Vec<Option<(Kept, bool)>> = letters
            .iter()
            .map(|letter| from_letter(letter, &kept, *places.get(&letter.rejected)?, &self.topics.raw))
            .collect();
        let unsure = |(letter, kept): &(&&Letter, &Option<(Kept, bool)>)| {
            letter.topic == self.topics.raw && kept.as_ref().is_none_or(|(_, sure)| !sure)
        };
        let wanted = letters.iter().zip(&kept).filter(unsure).map(|(letter, _)| (letter.partition, letter.offset));
        let raw = self.fetcher.fetch(&self.topics.raw, wanted.collect()).await?;
        let places = index(&raw);
        let found = letters.iter().zip(kept).map(|(letter, kept)| {
            let record = places.get(&(letter.partition, letter.offset)).filter(|_| letter.topic == self.topics.raw);
            record.and_then(|i| from_record(letter, &raw, *i)).or(kept.map(|(kept, _)| kept))
        });
        Ok(found.collect())
    }
}

fn index(batch: &MessageBatch) -> HashMap<(i32, i64), usize> {
    (0..batch.len()).map(|i| ((batch.partitions()[i], batch.offsets()[i]), i)).collect()
}

/// What message `i` of the dead letters' topic keeps of `letter`, and whether it tells all there is to know: letters of
/// earlier builds do not say when their record was written.
fn from_letter(letter: &Letter, batch: &MessageBatch, i: usize, raw: &str) -> Option<(Kept, bool)> {
    // Another letter: the topic was made anew.
    if origin(batch, i) != letter.origin {
        return None;
    }
    let whole = header_text(batch, i, header::FULL_LENGTH).is_empty() && letter.original.is_empty();
    let written = header_text(batch, i, header::TIMESTAMP).parse().ok();
    let sure = whole && (written.is_some() || letter.topic != raw);
    let timestamp = written.unwrap_or(batch.timestamps()[i]);
    Some((Kept { payload: batch.payload(i).to_vec(), timestamp, whole, whence: Whence::Letter }, sure))
}

/// Message `i` of the raw topic, if it is the one that `letter` is about.
fn from_record(letter: &Letter, batch: &MessageBatch, i: usize) -> Option<Kept> {
    let payload = batch.payload(i);
    let (held, there) = (letter.bytes, payload.len() as u64);
    let cut = held == MAX_RECORD_BYTES as u64 && there > held;
    let same = (there == held || cut) && preview(payload) == letter.preview;
    let (payload, timestamp) = (payload.to_vec(), batch.timestamps()[i]);
    same.then_some(Kept { payload, timestamp, whole: true, whence: Whence::Raw })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Place, dead_letter};

    fn letter(bytes: usize, preview: &str) -> Letter {
        Letter {
            origin: "p.raw/0/7".to_owned(),
            at: 9,
            stage: "decode".to_owned(),
            kind: "NotAvro".to_owned(),
            message: String::new(),
            topic: "p.raw".to_owned(),
            partition: 0,
            offset: 7,
            source: String::new(),
            original: String::new(),
            bytes: bytes as u64,
            preview: preview.to_owned(),
            rejected: (0, 3),
            begun_at: None,
            replayed_at: None,
        }
    }

    /// The letter about `offset` as it stands in its topic, written at 9, without the headers called `without`.
    fn sent(offset: i64, original: &[u8], without: &str) -> MessageBatch {
        let place = Place { topic: "p.raw", partition: 0, offset, timestamp: 5 };
        let mut record = dead_letter(place, "decode", "NotAvro", "", original);
        record.headers.retain(|(name, _)| name != without);
        let mut batch = MessageBatch::new("p.rejected", true);
        batch.push(0, 3, 9, &record.payload, record.headers);
        batch
    }

    #[test]
    fn a_letter_tells_all_there_is_to_know_unless_it_is_cut_or_of_an_earlier_build() {
        let of = |batch: &MessageBatch| from_letter(&letter(3, "abc"), batch, 0, "p.raw");
        let (kept, sure) = of(&sent(7, b"abc", "")).unwrap();
        assert_eq!((kept.payload.as_slice(), kept.timestamp, kept.whole, sure), (&b"abc"[..], 5, true, true));
        let (kept, sure) = of(&sent(7, b"abc", header::TIMESTAMP)).unwrap();
        assert_eq!((kept.timestamp, kept.whole, sure), (9, true, false), "its own time, for want of a better one");
        let (kept, sure) = of(&sent(7, &vec![b'x'; MAX_RECORD_BYTES + 1], "")).unwrap();
        assert_eq!((kept.whole, sure), (false, false));
        assert_eq!(of(&sent(8, b"abc", "")), None, "the letter of another record");
    }

    #[test]
    fn a_record_is_taken_only_if_it_is_the_one_that_was_refused() {
        let there = |payload: &[u8]| {
            let mut batch = MessageBatch::new("p.raw", true);
            batch.push(0, 7, 5, payload, Vec::new());
            batch
        };
        let kept = from_record(&letter(3, "abc"), &there(b"abc"), 0).unwrap();
        assert_eq!((kept.timestamp, kept.whole, kept.whence), (5, true, Whence::Raw));
        assert_eq!(from_record(&letter(3, "abc"), &there(b"abd"), 0), None);
        assert_eq!(from_record(&letter(3, "abc"), &there(b"abcd"), 0), None);
        let long = vec![b'x'; MAX_RECORD_BYTES + 1];
        assert!(from_record(&letter(MAX_RECORD_BYTES, &preview(&long)), &there(&long), 0).is_some());
        assert_eq!(from_record(&letter(MAX_RECORD_BYTES, "y"), &there(&long), 0), None);
    }
}
