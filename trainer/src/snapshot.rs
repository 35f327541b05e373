//! The rows a model learns from: read once, kept as Parquet under the hash of their bytes, so that a model names its data
//! exactly.

use std::io::Cursor;

use bytes::Bytes;
use driftmill_platform::clickhouse::{ClickHouse, FeatureTable, quote, quote_text};
use driftmill_platform::store::Store;
use driftmill_schemas::pipeline::{Pipeline, Severity};
use ndarray::{Array1, Array2};
use polars::prelude::{
    DataFrame, DataType, IpcStreamReader, ParquetCompression, ParquetWriter, PolarsResult, SerReader as _,
};

use crate::Error;

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// The newest that the pipeline file allows.
    Newest,
    /// Those at and after these offsets, by partition: where the drift began.
    Offsets(Vec<(i32, i64)>),
}

/// Rows as numbers.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Features, rows × features in the order of the pipeline file; NaN is a missing value.
    pub features: Array2<f64>,
    /// Index of each row's class.
    pub labels: Array1<usize>,
    /// Partition and offset of each row in the raw topic.
    pub positions: Vec<(i32, i64)>,
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

/// Labelled rows there are since `since`; quarantined ones do not count.
pub async fn count(clickhouse: &ClickHouse, pipeline: &Pipeline, since: &Since) -> Result<u64, Error> {
    let table = quote(&FeatureTable::of(&pipeline.name).view);
    let sql = format!("SELECT count() AS rows FROM {table} WHERE {}", condition(pipeline, since));
    Ok(clickhouse.row::<Count>(&sql).await?.rows)
}

/// Reads the rows and keeps them.
pub async fn take(
    clickhouse: &ClickHouse,
    store: &Store,
    pipeline: &Pipeline,
    since: &Since,
) -> Result<Snapshot, Error> {
    keep(store, pipeline, clickhouse.bytes(&query(pipeline, since), "ArrowStream").await?).await
}

/// Keeps rows from elsewhere, such as a file: an Arrow IPC stream with the columns that [`take`] reads. Rows without a label,
/// or with one that is no class of the pipeline, are kept and not learned from.
pub async fn keep(store: &Store, pipeline: &Pipeline, arrow: Bytes) -> Result<Snapshot, Error> {
    let damaged = |error| Error::Snapshot { pipeline: pipeline.name.clone(), error };
    let mut frame = frame(arrow).map_err(damaged)?;
    let parquet = parquet(&mut frame).map_err(damaged)?;
    let hash = store.put(parquet).await.map_err(driftmill_platform::registry::Error::from)?;
    let rows = numbers(&frame, pipeline).map_err(damaged)?;
    Ok(Snapshot { rows, hash })
}

/// The labelled rows of an Arrow IPC stream with `_partition`, `_offset`, `event_time`, `label` and the features.
pub fn rows(pipeline: &Pipeline, arrow: Bytes) -> Result<Rows, Error> {
    frame(arrow)
        .and_then(|frame| numbers(&frame, pipeline))
        .map_err(|error| Error::Snapshot { pipeline: pipeline.name.clone(), error })
}

fn condition(pipeline: &Pipeline, since: &Since) -> String {
    let learnable = format!("label IS NOT NULL AND _quarantined = 0{}", outside_of_bad_windows(pipeline));
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

/// The query that defines the snapshot: every order in it is total, so the same table gives the same bytes.
fn query(pipeline: &Pipeline, since: &Since) -> String {
    let features: Vec<String> = pipeline.features.iter().map(|feature| quote(&feature.name)).collect();
    let newest = match pipeline.training.newest_rows {
        Some(rows) => format!(" ORDER BY event_time DESC, _partition DESC, _offset DESC LIMIT {rows}"),
        None => String::new(),
    };
    format!(
        "SELECT _partition, _offset, event_time, assumeNotNull(label) AS label, {features} FROM \
         (SELECT * FROM {table} WHERE {condition}{newest}) ORDER BY _partition, _offset \
         SETTINGS output_format_arrow_compression_method = 'none', output_format_arrow_string_as_string = 1",
        features = features.join(", "),
        table = quote(&FeatureTable::of(&pipeline.name).view),
        condition = condition(pipeline, since),
    )
}

fn frame(arrow: Bytes) -> PolarsResult<DataFrame> {
    if arrow.is_empty() {
        return Ok(DataFrame::empty());
    }
    IpcStreamReader::new(Cursor::new(arrow)).finish()
}

fn parquet(frame: &mut DataFrame) -> PolarsResult<Bytes> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).with_compression(ParquetCompression::Snappy).finish(frame)?;
    Ok(bytes.into())
}

fn numbers(frame: &DataFrame, pipeline: &Pipeline) -> PolarsResult<Rows> {
    let rows = frame.height();
    let mut features = Array2::from_elem((rows, pipeline.features.len()), f64::NAN);
    if rows == 0 {
        return Ok(Rows { features, labels: Array1::zeros(0), positions: Vec::new() });
    }
    for (index, feature) in pipeline.features.iter().enumerate() {
        let column = frame.column(&feature.name)?.cast(&DataType::Float64)?;
        for (row, value) in column.f64()?.iter().enumerate() {
            features[[row, index]] = value.unwrap_or(f64::NAN);
        }
    }
    let labels = frame.column("label")?.cast(&DataType::String)?;
    let labels: Vec<Option<usize>> =
        labels.str()?.iter().map(|text| text.and_then(|text| pipeline.label.class_index(text))).collect();
    let partitions = frame.column("_partition")?.cast(&DataType::Int32)?;
    let offsets = frame.column("_offset")?.cast(&DataType::Int64)?;
    let positions: Vec<(i32, i64)> = partitions
        .i32()?
        .iter()
        .zip(offsets.i64()?.iter())
        .map(|(partition, offset)| (partition.unwrap_or_default(), offset.unwrap_or_default()))
        .collect();
    // A class that was taken out of the pipeline file since the row was written is no row to learn from.
    let known: Vec<usize> = (0..rows).filter(|&row| labels[row].is_some()).collect();
    Ok(Rows {
        features: features.select(ndarray::Axis(0), &known),
        labels: known.iter().filter_map(|&row| labels[row]).collect(),
        positions: known.iter().map(|&row| positions[row]).collect(),
    })
}
