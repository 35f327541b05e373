//! An HTTP API that is asked for rows, round after round.
//!
//! ```text
//! round:  wait until it is due ─► page ─► rows ─► those not remembered are items ─► next page … ─► end of the round
//!                                  │ failed: counted, told, and asked again after a pause that grows
//!                                  └ 304: nothing new
//! ```
//!
//! **What is promised.** A row that the API answers in a round is sent once: its fingerprint goes with the message, and is
//! remembered from then on. A killed run finds in the topics what had arrived, begins the round anew, and passes over what
//! it knows. Rows are told apart by `key`, or by all fields of the record; two rows that are equal in these are one. With a
//! `cursor`, rows before the greatest value of an earlier round are known to have been sent, and only those at that value
//! are remembered. Without one, at least `window` rows are remembered, and every row for as long as the API answers it.
//!
//! **What is not.** A row that appears and is gone between two rounds; a row that appears with a cursor's value below one
//! that was answered in an earlier round; and a row that the API stopped answering, `window` others ago, and then answers
//! again, which is sent again.

mod client;
mod cursor;
mod failure;
mod memory;
mod paging;
mod pointer;
mod poller;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use driftmill_schemas::pipeline::HttpSource;
use driftmill_schemas::record::RecordSchema;

use self::client::Client;
use self::poller::Poller;
use super::{Item, Live, Opening, RecordSource, Total};
use crate::Error;

/// The rows of an API. Item = row that was not answered before.
pub(crate) struct HttpReader {
    poller: Poller<Client>,
    items: VecDeque<Item>,
    live: Live,
}

impl HttpReader {
    /// Begins to poll what `declared` names, for the source called `name`. Nothing is asked yet.
    pub(crate) fn open(
        pipeline: &str,
        name: &str,
        declared: &HttpSource,
        schema: &RecordSchema,
        opening: Opening,
    ) -> Result<Self, Error> {
        let at_fault = |reason: String| Error::Declaration { source_name: name.to_owned(), reason };
        let environment = |name: &str| std::env::var(name).ok();
        let client = Client::new(declared, &environment, opening.live.clock.clone()).map_err(at_fault)?;
        let live = opening.live.clone();
        let poller = Poller::new(client, (pipeline, name), declared, schema, opening).map_err(at_fault)?;
        Ok(Self { poller, items: VecDeque::new(), live })
    }
}

impl RecordSource for HttpReader {
    fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.items.is_empty() {
            let Some(filled) = self.live.wait(self.poller.fill()) else { return Ok(None) };
            self.items.extend(filled?);
        }
        Ok(self.items.pop_front())
    }

    fn total_hint(&self) -> Option<Total> {
        None
    }

    fn at_hand(&self) -> bool {
        !self.items.is_empty()
    }
}
