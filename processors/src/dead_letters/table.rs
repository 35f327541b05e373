//! The table of dead letters and that of their marks. Everything a user gives is bound, never pasted.

use std::collections::{BTreeSet, HashMap, HashSet};

use clickhouse::Row;
use clickhouse::query::Query;
use driftmill_platform::clickhouse::{ClickHouse, Error, FeatureTable, quote};
use driftmill_schemas::topic::Topics;
use serde::{Deserialize, Serialize};

/// The last millisecond that the column `at` holds, of the year 2299.
const LAST: i64 = 10_413_791_999_999;
/// The names of a page stand in one query: more than ClickHouse takes by itself.
const QUERY_BYTES: &str = "16777216";

/// Which letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind only.
    pub kind: Option<String>,
    /// Refused at or after this time, milliseconds since 1970 UTC.
    pub since: Option<i64>,
    /// Refused before this time, milliseconds since 1970 UTC.
    pub until: Option<i64>,
}

impl Filter {
    const CONDITION: &str = "(? = '' OR error = ?) AND at >= fromUnixTimestamp64Milli(toInt64(?)) \
                             AND at < fromUnixTimestamp64Milli(toInt64(?))";

    fn bind(&self, query: Query) -> Query {
        let kind = self.kind.as_deref().unwrap_or_default();
        let (since, until) = (self.since.unwrap_or(0), self.until.unwrap_or(LAST));
        query.bind(kind).bind(kind).bind(since.clamp(0, LAST)).bind(until.clamp(0, LAST))
    }
}

/// One dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its name: `topic/partition/offset` of the record it is about, or source and number of the item.
    pub origin: String,
    /// When it was refused last, milliseconds since 1970 UTC.
    pub at: i64,
    /// The stage that refused it: `source`, `decode`, `expectation`, …
    pub stage: String,
    /// Kind of the reason.
    pub kind: String,
    /// The reason, for people.
    pub message: String,
    /// Topic, partition and offset of the record; a letter of a source has no topic.
    pub topic: String,
    /// See `topic`.
    pub partition: i32,
    /// See `topic`.
    pub offset: i64,
    /// Where a source found it: `file:line`.
    pub source: String,
    /// The hash of its bytes in the object store, if they are there.
    pub original: String,
    /// Bytes that the letter holds.
    pub bytes: u64,
    /// Their beginning, as text.
    pub preview: String,
    /// Partition and offset of the letter in the topic of dead letters.
    pub rejected: (i32, i64),
    /// When the last replay that made a row of it began, milliseconds since 1970 UTC.
    pub begun_at: Option<i64>,
    /// When a replay that made a row of it was finished, milliseconds since 1970 UTC.
    pub replayed_at: Option<i64>,
}

/// Letters that have stage, kind and place in common.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Group {
    /// The stage.
    pub stage: String,
    /// The kind.
    pub kind: String,
    /// The topic, or the file of a source.
    pub place: String,
    /// How many.
    pub letters: u64,
    /// How many of them were replayed.
    pub replayed: u64,
    /// Time of the first, milliseconds since 1970 UTC.
    pub first: i64,
    /// Time of the last, milliseconds since 1970 UTC.
    pub last: i64,
}

#[derive(Row, Deserialize)]
struct LetterRow {
    origin: String,
    millis: i64,
    stage: String,
    error: String,
    reason: String,
    origin_topic: String,
    origin_partition: i32,
    origin_offset: i64,
    source: String,
    original: String,
    bytes: u64,
    preview: String,
    rejected_partition: i32,
    rejected_offset: i64,
}

impl From<LetterRow> for Letter {
    fn from(row: LetterRow) -> Self {
        Self {
            origin: row.origin,
            at: row.millis,
            stage: row.stage,
            kind: row.error,
            message: row.reason,
            topic: row.origin_topic,
            partition: row.origin_partition,
            offset: row.origin_offset,
            source: row.source,
            original: row.original,
            bytes: row.bytes,
            preview: row.preview,
            rejected: (row.rejected_partition, row.rejected_offset),
            begun_at: None,
            replayed_at: None,
        }
    }
}

// A stranger's reason may be of any length; ours are shorter than this.
const COLUMNS: &str = "origin, toUnixTimestamp64Milli(at) AS millis, stage, error, \
                       leftUTF8(message, 2000) AS reason, origin_topic, \
                       origin_partition, origin_offset, source, original, bytes, preview, \
                       _partition AS rejected_partition, _offset AS rejected_offset";

/// The mark of a letter that is replayed. Times are milliseconds since 1970 UTC; not replayed yet: 0.
#[derive(Row, Serialize, Deserialize)]
pub(crate) struct MarkRow {
    pub(crate) origin: String,
    pub(crate) origin_partition: i32,
    pub(crate) origin_offset: i64,
    pub(crate) begun_at: i64,
    pub(crate) replayed_at: i64,
}

#[derive(Row, Deserialize)]
struct Position {
    partition: i32,
    offset: i64,
}

/// The dead letters of one pipeline.
#[derive(Debug, Clone)]
pub struct Table {
    clickhouse: ClickHouse,
    topics: Topics,
    letters: String,
    rows: String,
    replays: String,
    features: String,
}

impl Table {
    /// The dead letters of `pipeline`.
    pub fn of(clickhouse: ClickHouse, pipeline: &str) -> Self {
        Self {
            clickhouse,
            topics: Topics::of(pipeline),
            letters: quote(&format!("{pipeline}_dead_letters")),
            rows: quote(&format!("{pipeline}_dead_letters_rows")),
            replays: format!("{pipeline}_replays_rows"),
            features: quote(&FeatureTable::of(pipeline).rows),
        }
    }

    /// The topics of the pipeline.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Whether `letter` is about a record of the raw topic, which alone has a position to be replayed at.
    pub fn is_raw(&self, letter: &Letter) -> bool {
        let Letter { origin, topic, partition, offset, .. } = letter;
        *topic == self.topics.raw && *offset >= 0 && *origin == format!("{topic}/{partition}/{offset}")
    }

    /// The letters by stage, kind and place, the most frequent first.
    pub async fn groups(&self, filter: &Filter) -> Result<Vec<Group>, Error> {
        let sql = format!(
            "SELECT stage, error AS kind, \
             if(source = '', origin_topic, replaceRegexpOne(source, ':[0-9]+$', '')) AS place, count() AS letters, \
             countIf(replayed_at IS NOT NULL) AS replayed, toUnixTimestamp64Milli(min(at)) AS first, \
             toUnixTimestamp64Milli(max(at)) AS last FROM {} WHERE {} GROUP BY stage, kind, place \
             ORDER BY letters DESC, stage, kind, place LIMIT 1000",
            self.letters,
            Filter::CONDITION
        );
        let query = filter.bind(self.clickhouse.client().query(&sql));
        self.clickhouse.in_time("count dead letters", query.fetch_all()).await
    }

    /// The newest letters, `replayed` ones only if asked for.
    pub async fn newest(&self, filter: &Filter, replayed: bool, limit: u64) -> Result<Vec<Letter>, Error> {
        let condition = format!("({replayed} OR replayed_at IS NULL) AND {}", Filter::CONDITION);
        let query = self.select(&self.letters, &condition, "ORDER BY at DESC, origin LIMIT ?");
        self.fetch(filter.bind(query).bind(limit)).await
    }

    /// How many letters there are.
    pub async fn count(&self, filter: &Filter) -> Result<u64, Error> {
        let sql = format!("SELECT count() FROM {} FINAL WHERE {}", self.rows, Filter::CONDITION);
        let query = filter.bind(self.clickhouse.client().query(&sql));
        self.clickhouse.in_time("count dead letters", query.fetch_one()).await
    }

    /// The letters of these names, sorted by name; names that there are not are left out.
    pub async fn named(&self, origins: &[String]) -> Result<Vec<Letter>, Error> {
        let query = self.select(&format!("{} FINAL", self.rows), "origin IN ?", "ORDER BY origin");
        self.fetch(query.bind(origins).with_setting("max_query_size", QUERY_BYTES)).await
    }

    /// The next letters after the one called `after`, by name, replayed ones among them: pages that follow the sorting key
    /// need neither memory nor a second look at what came before, however many there are.
    pub async fn page(&self, filter: &Filter, after: &str, limit: u64) -> Result<Vec<Letter>, Error> {
        let condition = format!("{} AND origin > ?", Filter::CONDITION);
        let query = self.select(&format!("{} FINAL", self.rows), &condition, "ORDER BY origin LIMIT ?");
        self.fetch(filter.bind(query).bind(after).bind(limit)).await
    }

    fn select(&self, from: &str, condition: &str, tail: &str) -> Query {
        self.clickhouse.client().query(&format!("SELECT {COLUMNS} FROM {from} WHERE {condition} {tail}"))
    }

    async fn fetch(&self, query: Query) -> Result<Vec<Letter>, Error> {
        let rows = self.clickhouse.in_time("read dead letters", query.fetch_all::<LetterRow>()).await?;
        let mut letters: Vec<Letter> = rows.into_iter().map(Letter::from).collect();
        // Only these can have marks; the name of another may be of any length.
        let origins = letters.iter().filter(|letter| self.is_raw(letter)).map(|letter| letter.origin.as_str());
        let marks = self.marks(&origins.collect::<Vec<_>>()).await?;
        for letter in &mut letters {
            if let Some(mark) = marks.get(&letter.origin) {
                letter.begun_at = Some(mark.begun_at);
                letter.replayed_at = Some(mark.replayed_at).filter(|at| *at > 0);
            }
        }
        Ok(letters)
    }

    async fn marks(&self, origins: &[&str]) -> Result<HashMap<String, MarkRow>, Error> {
        if origins.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = format!("SELECT ?fields FROM {} FINAL WHERE origin IN ?", quote(&self.replays));
        let query = self.clickhouse.client().query(&sql).bind(origins).with_setting("max_query_size", QUERY_BYTES);
        let marks = self.clickhouse.in_time("read the marks of replays", query.fetch_all::<MarkRow>()).await?;
        Ok(marks.into_iter().map(|mark| (mark.origin.clone(), mark)).collect())
    }

    /// Marks letters as begun, or, with `replayed_at`, as replayed. Times are milliseconds since 1970 UTC.
    pub async fn mark(&self, letters: &[&Letter], begun_at: i64, replayed_at: Option<i64>) -> Result<(), Error> {
        if letters.is_empty() {
            return Ok(());
        }
        let mark = |letter: &&Letter| MarkRow {
            origin: letter.origin.clone(),
            origin_partition: letter.partition,
            origin_offset: letter.offset,
            begun_at,
            replayed_at: replayed_at.unwrap_or(0),
        };
        self.clickhouse.insert_rows(&self.replays, &letters.iter().map(mark).collect::<Vec<_>>()).await
    }

    /// Those of the positions (partition, offset) that have a row in the feature table.
    pub async fn rows_at(&self, positions: &BTreeSet<(i32, i64)>) -> Result<HashSet<(i32, i64)>, Error> {
        if positions.is_empty() {
            return Ok(HashSet::new());
        }
        let sql = format!(
            "SELECT DISTINCT _partition AS partition, _offset AS offset FROM {} WHERE (_partition, _offset) IN ?",
            self.features
        );
        let positions: Vec<&(i32, i64)> = positions.iter().collect();
        let query = self.clickhouse.client().query(&sql).bind(positions).with_setting("max_query_size", QUERY_BYTES);
        let found = self.clickhouse.in_time("look for rows of replays", query.fetch_all::<Position>()).await?;
        Ok(found.into_iter().map(|position| (position.partition, position.offset)).collect())
    }
}
