//! The rows a model learns from: read once, kept as Parquet under the hash of their bytes, so that a model names its data
//! exactly.

use std::collections::BTreeMap;
use std::io::Cursor;

use bytes::Bytes;
use driftmill_platform::clickhouse::{ClickHouse, FeatureTable, quote, quote_text};
use driftmill_platform::kafka::merged;
use driftmill_platform::store::Store;
use driftmill_schemas::pipeline::{FeatureType, Pipeline, Severity, SplitBy};
use polars::prelude::{
    DataFrame, DataType, IntoColumn as _, IpcStreamReader, ParquetCompression, ParquetReader, ParquetWriter,
    PolarsResult, SerReader as _,
};

use crate::{Error, Rows};

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// The newest that the pipeline file allows.
    Newest,
    /// Those at and after these offsets, by partition: where the drift began.
    Offsets(Vec<(i32, i64)>),
    /// Those after these offsets, and all of partitions that are not named: what came since a snapshot.
    Beyond(Vec<(i32, i64)>),
}

/// Rows with the hash that names them.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The rows, ordered by partition and offset.
    pub rows: Rows,
    /// SHA-256 of the Parquet file, which the object store holds.
    pub hash: String,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct Count {
    rows: u64,
}

#[derive(clickhouse::Row, serde::Deserialize)]
struct End {
    partition: i32,
    offset: i64,
}

/// Labelled rows there are since `since`; quarantined ones do not count.
pub async fn count(clickhouse: &ClickHouse, pipeline: &Pipeline, since: &Since) -> Result<u64, Error> {
    let table = quote(&FeatureTable::of(&pipeline.name).view);
    let bad = quarantine(clickhouse, pipeline).await?;
    let sql = format!("SELECT count() AS rows FROM {table} WHERE {}", condition(pipeline, since, &bad));
    Ok(clickhouse.row::<Count>(&sql).await?.rows)
}

/// The last offset that the feature table has of each partition.
pub async fn reached(clickhouse: &ClickHouse, pipeline: &Pipeline) -> Result<Vec<(i32, i64)>, Error> {
    let table = quote(&FeatureTable::of(&pipeline.name).rows);
    let sql = format!(
        "SELECT _partition AS partition, max(_offset) AS offset FROM {table} GROUP BY _partition ORDER BY _partition"
    );
    let ends = clickhouse.rows::<End>(&sql).await?;
    Ok(ends.into_iter().map(|end| (end.partition, end.offset)).collect())
}

/// Reads the rows and keeps them.
pub async fn take(
    clickhouse: &ClickHouse,
    store: &Store,
    pipeline: &Pipeline,
    since: &Since,
) -> Result<Snapshot, Error> {
    let bad = quarantine(clickhouse, pipeline).await?;
    keep(store, pipeline, clickhouse.bytes(&query(pipeline, since, &bad), "ArrowStream").await?).await
}

/// Keeps rows from elsewhere, such as a file: an Arrow IPC stream with the columns that [`take`] reads. Rows without a label,
/// or with one that is no class of the pipeline, are kept and not learned from.
pub async fn keep(store: &Store, pipeline: &Pipeline, arrow: Bytes) -> Result<Snapshot, Error> {
    let damaged = |error| Error::Snapshot { pipeline: pipeline.name.clone(), error };
    let mut frame = frame(arrow).and_then(|frame| with_texts(frame, pipeline)).map_err(damaged)?;
    let parquet = parquet(&mut frame).map_err(damaged)?;
    let hash = store.put(parquet).await.map_err(driftmill_platform::registry::Error::from)?;
    let rows = Rows::of_frame(&frame, pipeline).map_err(damaged)?;
    Ok(Snapshot { rows, hash })
}

/// Rows that were kept before.
pub async fn fetch(store: &Store, pipeline: &Pipeline, hash: &str) -> Result<Snapshot, Error> {
    let bytes = store.get(hash).await.map_err(driftmill_platform::registry::Error::from)?;
    let frame = ParquetReader::new(Cursor::new(bytes)).finish();
    let rows = frame.and_then(|frame| Rows::of_frame(&frame, pipeline));
    let rows = rows.map_err(|error| Error::Snapshot { pipeline: pipeline.name.clone(), error })?;
    Ok(Snapshot { rows, hash: hash.to_owned() })
}

/// The labelled rows of an Arrow IPC stream with `_partition`, `_offset`, `event_time`, `label` and the features.
pub fn rows(pipeline: &Pipeline, arrow: Bytes) -> Result<Rows, Error> {
    frame(arrow)
        .and_then(|frame| with_texts(frame, pipeline))
        .and_then(|frame| Rows::of_frame(&frame, pipeline))
        .map_err(|error| Error::Snapshot { pipeline: pipeline.name.clone(), error })
}

fn condition(pipeline: &Pipeline, since: &Since, quarantine: &[Bad]) -> String {
    let learnable = format!(
        "label IS NOT NULL AND _quarantined = 0{}{}",
        outside_of_bad_windows(pipeline),
        outside_of_quarantine(quarantine)
    );
    match since {
        Since::Newest => learnable,
        Since::Offsets(offsets) => {
            let parts: Vec<String> = offsets
                .iter()
                .map(|(partition, offset)| format!("(_partition = {partition} AND _offset >= {offset})"))
                .collect();
            let parts = if parts.is_empty() { "0".to_owned() } else { parts.join(" OR ") };
            format!("{learnable} AND ({parts})")
        }
        Since::Beyond(offsets) => {
            let seen = offsets
                .iter()
                .map(|(partition, offset)| format!(" AND NOT (_partition = {partition} AND _offset <= {offset})"));
            format!("{learnable}{}", seen.collect::<String>())
        }
    }
}

/// Leaves out the rows of windows that an expectation set aside, if the pipeline has one that does.
fn outside_of_bad_windows(pipeline: &Pipeline) -> String {
    let quarantining = pipeline.expectations.iter().filter(|expectation| {
        expectation.severity() == Severity::Quarantine && expectation.rule().is_ok_and(|rule| rule.window().is_some())
    });
    let titles: Vec<String> = quarantining.map(|expectation| quote_text(&expectation.title())).collect();
    if titles.is_empty() {
        return String::new();
    }
    format!(
        " AND NOT arrayExists(bad -> event_time >= bad.1 AND event_time < bad.2, \
         (SELECT groupArray((window_start, window_end)) FROM {} WHERE met = 0 AND expectation IN ({})))",
        quote(&format!("{}_expectations", pipeline.name)),
        titles.join(", "),
    )
}

/// Offsets of one partition, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clickhouse::Row, serde::Deserialize)]
pub struct Bad {
    partition: i32,
    from_offset: i64,
    to_offset: i64,
}

/// Ranges that are left out at most: more say that the pipeline has been broken for longer than anybody learns from.
const MOST_RANGES: usize = 10_000;

/// The offsets of windows that the drift processor set aside: a surge of rejects or of missing values means that the source
/// was broken, and nobody learns from that, unless a person has released the window. Ranges that touch are one.
async fn quarantine(clickhouse: &ClickHouse, pipeline: &Pipeline) -> Result<Vec<Bad>, Error> {
    let sql = format!(
        "SELECT r.1 AS partition, r.2 AS from_offset, r.3 AS to_offset FROM {} ARRAY JOIN ranges AS r \
         WHERE verdict = 'quarantine' AND stream != 'predictions' \
         AND window NOT IN (SELECT window FROM drift_releases WHERE pipeline = {})",
        quote(&format!("{}_drift_rows", pipeline.name)),
        quote_text(&pipeline.name),
    );
    let mut by_partition: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for bad in clickhouse.rows::<Bad>(&sql).await? {
        by_partition.entry(bad.partition).or_default().push((bad.from_offset, bad.to_offset));
    }
    let mut ranges = Vec::new();
    for (partition, found) in by_partition {
        ranges.extend(merged(found).into_iter().map(|(from_offset, to_offset)| Bad {
            partition,
            from_offset,
            to_offset,
        }));
    }
    ranges.sort_by_key(|bad| std::cmp::Reverse(bad.to_offset));
    ranges.truncate(MOST_RANGES);
    ranges.sort_by_key(|bad| (bad.partition, bad.from_offset));
    Ok(ranges)
}

fn outside_of_quarantine(quarantine: &[Bad]) -> String {
    if quarantine.is_empty() {
        return String::new();
    }
    let ranges = quarantine.iter().map(|bad| format!("({}, {}, {})", bad.partition, bad.from_offset, bad.to_offset));
    let ranges: Vec<String> = ranges.collect();
    format!(
        " AND NOT arrayExists(bad -> _partition = bad.1 AND _offset >= bad.2 AND _offset < bad.3, [{}])",
        ranges.join(", ")
    )
}

/// Whether the snapshot must say what each row is about.
fn by_entity(pipeline: &Pipeline) -> bool {
    pipeline.training.split.by == SplitBy::Entity
}

/// The query that defines the snapshot: every order in it is total, so the same table gives the same bytes.
fn query(pipeline: &Pipeline, since: &Since, quarantine: &[Bad]) -> String {
    let features: Vec<String> = pipeline.features.iter().map(|feature| quote(&feature.name)).collect();
    let newest = match pipeline.training.newest_rows {
        Some(rows) => format!(" ORDER BY event_time DESC, _partition DESC, _offset DESC LIMIT {rows}"),
        None => String::new(),
    };
    format!(
        "SELECT _partition, _offset, event_time, assumeNotNull(label) AS label, {entity}{features} FROM \
         (SELECT * FROM {table} WHERE {condition}{newest}) ORDER BY _partition, _offset \
         SETTINGS output_format_arrow_compression_method = 'none', output_format_arrow_string_as_string = 0",
        entity = if by_entity(pipeline) { "entity, " } else { "" },
        features = features.join(", "),
        table = quote(&FeatureTable::of(&pipeline.name).view),
        condition = condition(pipeline, since, quarantine),
    )
}

fn frame(arrow: Bytes) -> PolarsResult<DataFrame> {
    if arrow.is_empty() {
        return Ok(DataFrame::empty());
    }
    IpcStreamReader::new(Cursor::new(arrow)).finish()
}

/// ClickHouse's strings may hold anything, and come as bytes: all but images are texts.
fn with_texts(mut frame: DataFrame, pipeline: &Pipeline) -> PolarsResult<DataFrame> {
    let is_image = |name: &str| {
        let mut features = pipeline.features.iter();
        features.any(|feature| feature.name == name && feature.kind == FeatureType::Image)
    };
    let bytes = frame.columns().iter().filter(|column| column.dtype() == &DataType::Binary);
    let texts: Vec<String> = bytes.map(|column| column.name().to_string()).filter(|name| !is_image(name)).collect();
    for name in texts {
        let text = frame.column(&name)?.cast(&DataType::String)?;
        frame.replace(&name, text.into_column())?;
    }
    Ok(frame)
}

/// A frame as the bytes that its hash names.
pub(crate) fn parquet(frame: &mut DataFrame) -> PolarsResult<Bytes> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Snappy).finish(frame)?;
    Ok(bytes.into())
}
