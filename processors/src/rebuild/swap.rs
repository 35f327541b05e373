//! Puts a version in force.
//!
//! Whatever moment this is killed at, every record is a row, a dead letter, or a dead letter that is marked so that a row
//! beside it is no contradiction; and the same command, given again, finishes it.

use std::collections::BTreeSet;

use clickhouse::Row;
use driftmill_platform::clickhouse::{
    ClickHouse, FeatureTable, FeatureVersion, Offsets, covers, quote, quote_text, union,
};
use driftmill_platform::kafka::Outgoing;
use driftmill_schemas::topic::Topics;
use serde::Deserialize;

use super::compare::cut;
use super::{Error, Rebuild, apart, ingest};
use crate::dead_letters::MarkRow;

/// Records that are refused now and are held in memory at once.
const AT_ONCE: usize = 2_000;

#[derive(Debug, Clone, Copy, Row, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct PositionRow {
    partition: i32,
    offset: i64,
}

#[derive(Row, Deserialize)]
struct CountRow {
    count: u64,
}

impl Rebuild {
    /// Puts the version in force in one step, and then clears up behind it. Records that are rows now have their dead letters
    /// marked as replayed; those that are none any more become dead letters.
    pub async fn put_in_force(&mut self) -> Result<(), Error> {
        let pipeline = self.version.pipeline.clone();
        let now = self.services.clock.now();
        self.still_ours().await?;
        let before = self.services.clickhouse.feature_version_in_force(&pipeline).await?;
        let ranges = self.take_over(before.as_ref()).await?;
        self.mark_accepted(now).await?;
        self.refuse(now).await?;
        self.still_ours().await?;
        // From here on the version is the truth; the view follows, also when somebody else has to make it.
        let clickhouse = &self.services.clickhouse;
        self.version = FeatureVersion { state: FeatureVersion::IN_FORCE, ranges, at: now, ..self.version.clone() };
        clickhouse.note_feature_version(&self.version).await?;
        clickhouse.make_feature_view(&pipeline).await?;
        let shown = clickhouse.feature_version_in_force(&pipeline).await?.map(|shown| shown.version);
        if shown != Some(self.version.version) {
            return Err(Error::Impossible(format!(
                "version {} did not come into force: replay once more",
                self.version.version
            )));
        }
        settle(clickhouse, &pipeline, &self.version.ranges, now).await?;
        clickhouse.execute(&format!("DROP VIEW IF EXISTS {}", quote(&self.version.table().view))).await?;
        if let Some(before) = before {
            super::drop_version(clickhouse, before, now).await?;
        }
        // Nobody sees them any more.
        let (live, hidden) = (quote(&FeatureTable::of(&pipeline).rows), self.version.covers());
        clickhouse.execute(&format!("ALTER TABLE {live} DELETE WHERE {hidden}")).await?;
        Ok(())
    }

    /// Takes over what an earlier version stands in for and this one does not; returns what both stand in for.
    async fn take_over(&self, before: Option<&FeatureVersion>) -> Result<Vec<Offsets>, Error> {
        let Some(before) = before else { return Ok(self.version.ranges.clone()) };
        let clickhouse = &self.services.clickhouse;
        let (table, live) = (self.version.table().rows, FeatureTable::of(&self.version.pipeline));
        let columns = clickhouse.copy_columns(&live.rows, &table).await?;
        let (table, view, ours) = (quote(&table), quote(&live.view), self.version.covers());
        for range in cut(&before.ranges) {
            let theirs = covers(&[range]);
            let copy = format!(
                "INSERT INTO {table} ({columns}) SELECT {columns} FROM {view} WHERE ({theirs}) AND NOT ({ours})"
            );
            clickhouse.execute(&copy).await?;
        }
        Ok(union(&[&self.version.ranges[..], &before.ranges[..]].concat()))
    }

    /// Marks the dead letters of records that are rows of this version: a row may come.
    async fn mark_accepted(&self, now: i64) -> Result<(), Error> {
        for range in cut(&self.version.ranges) {
            let rows = format!(
                "SELECT _partition, _offset FROM {} WHERE {}",
                quote(&self.version.table().rows),
                covers(&[range])
            );
            mark(&self.services.clickhouse, &self.version.pipeline, range, &rows, (now, 0)).await?;
        }
        Ok(())
    }

    /// Makes dead letters of the records that are rows in force and none of this version.
    async fn refuse(&mut self, now: i64) -> Result<(), Error> {
        let pipeline = self.version.pipeline.clone();
        let mut judge = ingest(&self.loaded, &self.services)?;
        for range in cut(&self.version.ranges) {
            let covers = covers(&[range]);
            let sql = format!(
                "SELECT _partition AS partition, _offset AS offset FROM {} WHERE ({covers}) AND (_partition, _offset) \
                 NOT IN (SELECT _partition, _offset FROM {} WHERE {covers}) ORDER BY partition, offset",
                quote(&FeatureTable::of(&pipeline).view),
                quote(&self.version.table().rows),
            );
            let rows = self.services.clickhouse.rows::<PositionRow>(&sql).await?;
            for refused in rows.chunks(AT_ONCE) {
                let letters = self.letters(&mut judge, refused).await?;
                // Until the view changes there are a row and a letter.
                let mark = |row: &PositionRow| MarkRow {
                    origin: format!("{}/{}/{}", self.topic, row.partition, row.offset),
                    origin_partition: row.partition,
                    origin_offset: row.offset,
                    begun_at: now,
                    replayed_at: 0,
                };
                let marks: Vec<MarkRow> = refused.iter().map(mark).collect();
                self.services.clickhouse.insert_rows(&format!("{pipeline}_replays_rows"), &marks).await?;
                self.services.producer.send_all(&Topics::of(&pipeline).rejected, letters).await?;
            }
        }
        Ok(())
    }

    async fn letters(
        &mut self,
        judge: &mut crate::ingest::Ingest,
        refused: &[PositionRow],
    ) -> Result<Vec<Outgoing>, Error> {
        let positions: BTreeSet<(i32, i64)> = refused.iter().map(|row| (row.partition, row.offset)).collect();
        let found = self.fetcher.fetch(&self.topic, positions).await?;
        let (held, mut letters) = (found.len(), Vec::new());
        for batch in apart(judge, found) {
            if !batch.is_empty() {
                letters.extend(judge.process(&batch).await?.records.into_iter().map(|(_, letter)| letter));
            }
        }
        if held < refused.len() {
            return Err(Error::Impossible(format!(
                "{} records that would be refused can no longer be read from `{}`: retention took them since the replay began. \
                 `driftmill replay {} --discard`, then replay once more",
                refused.len() - held,
                self.topic,
                self.version.pipeline,
            )));
        }
        if letters.len() != refused.len() {
            return Err(Error::Impossible(format!(
                "{} records were refused when the replay went over them, and are good now: a set of known values changed \
                 meanwhile. `driftmill replay {} --discard`, then replay once more",
                refused.len().saturating_sub(letters.len()),
                self.version.pipeline,
            )));
        }
        Ok(letters)
    }
}

/// Makes the marks of dead letters at `ranges` say what the view shows: a letter about a record that is a row was replayed,
/// and one about a record that is none was not, whatever was marked before.
pub(super) async fn settle(clickhouse: &ClickHouse, pipeline: &str, ranges: &[Offsets], now: i64) -> Result<(), Error> {
    for range in cut(ranges) {
        let covers = covers(&[range]);
        let view = quote(&FeatureTable::of(pipeline).view);
        let rows = format!("SELECT _partition, _offset FROM {view} WHERE {covers}");
        mark(clickhouse, pipeline, range, &rows, (now, now)).await?;
        let (partition, from, to) = range;
        let marks = quote(&format!("{pipeline}_replays_rows"));
        let wrong = format!(
            "replayed_at > 0 AND origin_partition = {partition} AND origin_offset >= {from} AND origin_offset < {to} \
             AND (origin_partition, origin_offset) NOT IN ({rows})"
        );
        // A deletion is a change of every part of the table.
        let any = format!("SELECT count() AS count FROM {marks} WHERE {wrong}");
        if clickhouse.row::<CountRow>(&any).await?.count > 0 {
            clickhouse.execute(&format!("DELETE FROM {marks} WHERE {wrong}")).await?;
        }
    }
    Ok(())
}

/// Marks the dead letters of records in `range` that are among `rows` as begun and, with a time, as replayed. What is marked as
/// replayed already stays as it is.
async fn mark(
    clickhouse: &ClickHouse,
    pipeline: &str,
    range: Offsets,
    rows: &str,
    (begun, replayed): (i64, i64),
) -> Result<(), Error> {
    let (partition, from, to) = range;
    let marks = quote(&format!("{pipeline}_replays_rows"));
    let at = |millis: i64| format!("fromUnixTimestamp64Milli(toInt64({millis}))");
    let positions = format!("origin_partition = {partition} AND origin_offset >= {from} AND origin_offset < {to}");
    let sql = format!(
        "INSERT INTO {marks} (origin, origin_partition, origin_offset, begun_at, replayed_at) \
         SELECT DISTINCT origin, origin_partition, origin_offset, {}, {} FROM {} WHERE origin_topic = {} AND {positions} \
         AND (origin_partition, origin_offset) IN ({rows}) \
         AND origin NOT IN (SELECT origin FROM {marks} FINAL WHERE replayed_at > 0 AND {positions})",
        at(begun),
        at(replayed),
        quote(&format!("{pipeline}_dead_letters_rows")),
        quote_text(&Topics::of(pipeline).raw),
    );
    Ok(clickhouse.execute(&sql).await?)
}
