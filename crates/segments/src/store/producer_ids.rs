//! Ids for idempotent producers, none given away twice.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::journal::{Journal, Key};

/// Ids noted as given away at once; a restart skips what is left of them.
const BLOCK: i64 = 1_000;

/// The next id, and the one from which on none is noted.
#[derive(Debug)]
pub(super) struct ProducerIds(Mutex<(i64, i64)>);

impl ProducerIds {
    /// Goes on after everything that was noted, and after `seen`.
    pub fn open(journal: &Journal, seen: i64) -> Result<Self> {
        let noted = journal.get(&Key::ProducerIds).and_then(|value| Some(i64::from_be_bytes(value.try_into().ok()?)));
        let next = noted.unwrap_or(1).max(seen.saturating_add(1)).max(1);
        Ok(Self(Mutex::new((next, next))))
    }

    /// A new id. It is noted durably, as a repeated one would make new batches look like old ones.
    pub fn allocate(&self, journal: &Journal) -> Result<i64> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, noted) = *ids;
        if next >= noted {
            let noted = next.saturating_add(BLOCK);
            journal.apply(vec![(Key::ProducerIds, Some(noted.to_be_bytes().to_vec()))])?;
            journal.sync()?;
            ids.1 = noted;
        }
        ids.0 = next.saturating_add(1);
        Ok(next)
    }

    /// The id given away last.
    pub fn last(&self) -> i64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 - 1
    }
}
