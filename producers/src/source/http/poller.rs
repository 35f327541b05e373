//! Round after round: when to ask, for which page, and which rows are new.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::backoff::Backoff;
use driftmill_schemas::pipeline::HttpSource;
use driftmill_schemas::record::{Record, RecordSchema, Value};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};
use url::Url;

use super::client::{Answer, Request, Transport, Validators};
use super::cursor::{CursorField, Mark};
use super::failure::Failure;
use super::memory::Memory;
use super::paging::{self, MOST_PAGES, Page};
use super::rows::Rows;
use crate::Error;
use crate::source::{Content, Fingerprint, Identity, Item, Live, More, Opening, Position};

/// Pauses after failures: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Failures in a row after which a source that asks only once gives up.
const PATIENCE: u32 = 8;

/// What a source goes on from, besides the rows it remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// The greatest value of the cursor's field in whole rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<Mark>,
    /// Validators of the last round's only page, and the address they are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    url: Url,
    validators: Validators,
}

/// A round that goes on.
struct Round {
    page: Page,
    /// Its number, from 1.
    number: u64,
    /// The first page's address.
    base: Url,
    /// The value of the cursor's field that it asks for.
    since: Option<Mark>,
    /// The greatest value of the cursor's field so far.
    greatest: Option<Mark>,
    /// Its value in the row that came last.
    last: Option<Mark>,
}

/// Asks for rows, and yields those that are new.
pub(super) struct Poller<T> {
    transport: T,
    pipeline: String,
    name: String,
    declared: HttpSource,
    url: Url,
    schema: RecordSchema,
    rows: Rows,
    key: Vec<usize>,
    cursor: Option<CursorField>,
    ordered: bool,
    memory: Memory,
    state: State,
    /// What was written down last.
    written: Option<Arc<str>>,
    round: Option<Round>,
    /// When the next round begins.
    due: Option<Instant>,
    ended: bool,
    backoff: Option<Backoff>,
    seed: u64,
    /// Failures since the last answer.
    failures: u32,
    position: Position,
    live: Live,
}

impl<T: Transport> Poller<T> {
    /// A poller for the source called `name`, which goes on where `opening` says.
    pub(super) fn new(
        transport: T,
        (pipeline, name): (&str, &str),
        declared: &HttpSource,
        schema: &RecordSchema,
        opening: Opening,
    ) -> Result<Self, String> {
        let url = Url::parse(&declared.url).map_err(|error| format!("`url`: {error}"))?;
        let key = declared
            .key
            .iter()
            .map(|field| schema.index(field).ok_or_else(|| format!("`key`: the schema has no field `{field}`")));
        let state = opening.state.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let seed = Fingerprint::of([pipeline.as_bytes(), name.as_bytes(), declared.url.as_bytes()]);
        Ok(Self {
            transport,
            pipeline: pipeline.to_owned(),
            name: name.to_owned(),
            key: key.collect::<Result<_, _>>()?,
            cursor: declared.cursor.as_ref().map(|cursor| CursorField::new(cursor, schema)).transpose()?,
            ordered: declared.cursor.as_ref().is_some_and(|cursor| cursor.ordered),
            rows: Rows::new(declared, schema),
            declared: declared.clone(),
            url,
            schema: schema.clone(),
            memory: Memory::new(opening.known, declared.window),
            state,
            written: opening.state,
            round: None,
            due: None,
            ended: false,
            backoff: None,
            seed: seed.bytes().iter().fold(0, |seed, byte| (seed << 8) ^ u64::from(*byte)),
            failures: 0,
            position: opening.position,
            live: opening.live,
        })
    }

    /// The next items, after as long a wait as it takes; none when a source that asks once has ended. May be dropped
    /// while it waits. An error only for a source that asks once: what is polled goes on until it is answered.
    pub(super) async fn fill(&mut self) -> Result<Vec<Item>, Error> {
        loop {
            if self.ended {
                return Ok(Vec::new());
            }
            if self.round.is_none() {
                if let Some(due) = self.due {
                    sleep_until(due).await;
                }
                self.begin_round();
            }
            match self.page().await {
                Ok(items) if items.is_empty() => {}
                Ok(items) => return Ok(items),
                Err(failure) => {
                    let pause = self.failed(&failure);
                    if self.declared.every.is_none() && self.failures >= PATIENCE {
                        let (url, reason) = (self.declared.shown_url().to_owned(), failure.to_string());
                        return Err(Error::Api { url, reason, tries: self.failures });
                    }
                    sleep(pause).await;
                }
            }
        }
    }

    fn begin_round(&mut self) {
        self.due = self.declared.every.map(|every| Instant::now() + Duration::from_secs_f64(every));
        let mut base = self.url.clone();
        if let Some((name, value)) = self.cursor.as_ref().and_then(|c| c.parameter(self.state.reached.as_ref())) {
            base.query_pairs_mut().append_pair(name, &value);
        }
        let page = paging::first(self.declared.paging.as_ref());
        let since = self.state.reached.clone();
        self.round = Some(Round { page, number: 1, base, greatest: since.clone(), since, last: None });
        self.memory.begin_round();
    }

    /// Asks for the round's next page, and moves on behind it.
    async fn page(&mut self) -> Result<Vec<Item>, Failure> {
        let Some(round) = &self.round else { return Ok(Vec::new()) };
        let url = paging::url(&round.base, self.declared.paging.as_ref(), &round.page);
        let known = self.state.known.as_ref().filter(|known| round.number == 1 && known.url == url);
        let request =
            Request { url: url.clone(), known: known.map(|known| known.validators.clone()).unwrap_or_default() };
        let answer = self.transport.get(request).await?;
        if answer.unchanged {
            self.answered("nothing_new");
            self.round = None;
            self.ended = self.declared.every.is_none();
            return Ok(Vec::new());
        }
        let rows = self.rows.read(&answer.body).map_err(Failure::Unusable)?;
        let next = self.next_page(&url, &answer, rows.len() as u64)?;
        let mut items = self.new_items(rows)?;
        self.answered(if items.is_empty() { "nothing_new" } else { "records" });
        match (next, &mut self.round) {
            (Some(page), Some(round)) => {
                round.page = page;
                round.number += 1;
                items.extend(self.end_page());
            }
            _ => items.extend(self.end_round(url, answer)),
        }
        Ok(items)
    }

    fn next_page(&self, url: &Url, answer: &Answer, rows: u64) -> Result<Option<Page>, Failure> {
        let Some(round) = &self.round else { return Ok(None) };
        let paging = self.declared.paging.as_ref();
        let next = paging::next(paging, &round.page, url, answer, rows, self.transport.secret());
        let next = next.map_err(Failure::Unusable)?;
        if next.is_some() && round.number >= MOST_PAGES {
            return Err(Failure::Unusable(format!("a round has more than {MOST_PAGES} pages")));
        }
        Ok(next)
    }

    /// Those rows of a page that were never answered before, as items. After a failure, nothing is remembered of the page.
    fn new_items(&mut self, rows: Vec<Content>) -> Result<Vec<Item>, Failure> {
        let Some(round) = &mut self.round else { return Ok(Vec::new()) };
        let mut found = Vec::with_capacity(rows.len());
        let (mut greatest, mut last) = (round.greatest.clone(), round.last.clone());
        for (row, content) in (1..).zip(rows) {
            let content = match &self.cursor {
                Some(cursor) => cursor.checked(&self.schema, content),
                None => content,
            };
            let mark = match (&self.cursor, &content) {
                (Some(cursor), Content::Record(record)) => cursor.mark(record),
                _ => None,
            };
            if mark.is_some() {
                if self.ordered && mark < last {
                    let number = round.number;
                    return Err(Failure::Unusable(format!(
                        "page {number}, row {row} lies before the row above it, and `cursor` says `ordered: true`"
                    )));
                }
                last.clone_from(&mark);
                if mark < self.state.reached {
                    continue;
                }
                if mark > greatest {
                    greatest.clone_from(&mark);
                }
            }
            found.push((row, content, mark));
        }
        if !self.memory.has_room_for(found.len()) {
            let window = self.declared.window;
            return Err(Failure::Unusable(format!(
                "a round answers more than {window} rows, and no more are remembered: raise `window` up to 50000, or give \
                 a `cursor` with `ordered: true`"
            )));
        }
        (round.greatest, round.last) = (greatest, last);
        let number = round.number;
        let mut items = Vec::new();
        for (row, content, mark) in found {
            let fingerprint = self.fingerprint(&content);
            if !self.memory.is_new(fingerprint, mark) {
                continue;
            }
            let place = format!("{}, page {number}, row {row}", self.declared.shown_url());
            let more = More { place: Some(place), ..More::of(Identity::Hash(fingerprint)) };
            let sequence = self.position.sequence;
            self.position.sequence += 1;
            items.push(Item { sequence, line: row, content, next: self.position, more: Some(Box::new(more)) });
        }
        Ok(items)
    }

    /// What a row is told from others by.
    fn fingerprint(&self, content: &Content) -> Fingerprint {
        match content {
            Content::Record(record) if self.key.is_empty() => {
                let mut bytes = Vec::new();
                match record.encode(&self.schema, &mut bytes) {
                    Ok(()) => Fingerprint::of([&b"row"[..], &bytes]),
                    Err(_) => Fingerprint::of([&b"row"[..], format!("{record:?}").as_bytes()]),
                }
            }
            Content::Record(record) => key(record, &self.key),
            Content::Unreadable { original, .. } => Fingerprint::of([&b"unreadable"[..], original]),
            Content::Framed(_, bytes) => Fingerprint::of([&b"framed"[..], bytes]),
            Content::Nothing => Fingerprint::of([]),
        }
    }

    /// The round is over: what the next one, and the next run, go on from.
    fn end_round(&mut self, url: Url, answer: Answer) -> Option<Item> {
        let round = self.round.take()?;
        self.ended = self.declared.every.is_none();
        let moved = round.greatest > round.since;
        self.state.reached.clone_from(&round.greatest);
        let validators = answer.validators;
        let names_a_state = validators.etag.is_some() || validators.last_modified.is_some();
        // Of several pages, the first may stay as it was while another changes.
        self.state.known = (round.number == 1 && names_a_state).then_some(Known { url, validators });
        let forget = match &round.greatest {
            Some(reached) => self.memory.forget_before_round(reached, moved),
            None => self.memory.forget_oldest(),
        };
        self.write_down(forget)
    }

    /// A page is over, and others follow: if rows come in the order of the cursor, everything up to here is known.
    fn end_page(&mut self) -> Option<Item> {
        let greatest = self.round.as_ref().filter(|_| self.ordered)?.greatest.clone()?;
        if self.state.reached.as_ref() == Some(&greatest) {
            return None;
        }
        let forget = self.memory.forget_before(&greatest);
        self.state.reached = Some(greatest);
        self.write_down(forget)
    }

    /// An item that sends nothing and tells what is to be remembered; `None` when that is what was told last.
    fn write_down(&mut self, forget: Vec<Fingerprint>) -> Option<Item> {
        // It is made of texts and numbers, which always are JSON.
        let state: Arc<str> = serde_json::to_string(&self.state).unwrap_or_default().into();
        if forget.is_empty() && self.written.as_ref() == Some(&state) {
            return None;
        }
        self.written = Some(Arc::clone(&state));
        let sequence = self.position.sequence;
        let more = More { state: Some(state), forget, ..More::of(Identity::Number(sequence)) };
        Some(Item { sequence, line: 0, content: Content::Nothing, next: self.position, more: Some(Box::new(more)) })
    }

    fn answered(&mut self, outcome: &'static str) {
        self.failures = 0;
        self.backoff = None;
        self.live.around.metrics.polled(&self.pipeline, &self.name, outcome);
        self.live.progress.send_modify(|progress| progress.polls += 1);
        debug!(pipeline = self.pipeline, source = self.name, outcome, "polled");
    }

    /// Records a failure; how long to wait before the next try.
    fn failed(&mut self, failure: &Failure) -> Duration {
        self.failures += 1;
        self.live.around.metrics.polled(&self.pipeline, &self.name, failure.kind());
        self.live.progress.send_modify(|progress| {
            progress.polls += 1;
            progress.failed_polls += 1;
        });
        let seed = self.seed;
        let backoff = self.backoff.get_or_insert_with(|| Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, seed));
        let pause = backoff.pause().max(failure.retry_after().unwrap_or_default());
        let (url, page) = (self.declared.shown_url(), self.round.as_ref().map_or(1, |round| round.number));
        let (pipeline, source, failures) = (&self.pipeline, &self.name, self.failures);
        warn!(pipeline, source, url, page, error = %failure, failures, ?pause, "a poll failed, and is made again");
        // A page's token or address may be worth nothing any more: what is known is passed over.
        if page > 1 && !failure.passes() {
            self.begin_again();
        }
        pause
    }

    /// Goes back to the round's first page.
    fn begin_again(&mut self) {
        if let Some(round) = &mut self.round {
            round.page = paging::first(self.declared.paging.as_ref());
            round.number = 1;
            round.last = None;
        }
    }
}

/// The fingerprint of the fields that tell a row from others.
fn key(record: &Record, fields: &[usize]) -> Fingerprint {
    let values: Vec<_> = fields
        .iter()
        .map(|index| {
            let text = record.values.get(*index).and_then(Value::to_text);
            text.map_or_else(|| vec![0], |text| [&[1], text.as_bytes()].concat())
        })
        .collect();
    Fingerprint::of(std::iter::once(&b"key"[..]).chain(values.iter().map(Vec::as_slice)))
}
