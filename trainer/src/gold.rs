//! The gold set: rows whose labels are trusted, frozen as a snapshot. They judge every challenger, whatever has come through the
//! stream since, and nobody learns from them.

use std::collections::{HashMap, HashSet};
use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use driftmill_models::artifact;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::registry::{CHAMPION, GoldSet, ModelVersion, NewGoldSet, Registry};
use driftmill_schemas::model::ModelCard;
use driftmill_schemas::pipeline::{Feature, Gold as Declared, Loaded, Pipeline, SplitBy};
use polars::prelude::{BooleanChunked, DataFrame, NewChunkedArray as _, ParquetReader, PolarsResult, SerReader as _};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use crate::fit::{Rival, split};
use crate::gates::fingerprint;
use crate::rows::position;
use crate::{Error, Rows, snapshot};

/// The one algorithm that no gold set judges: its rows are a series, and its test is what came last.
const FORECAST: &str = "forecast";

/// The gold set of a training.
#[derive(Debug)]
pub(crate) struct Gold {
    /// What people know it by.
    pub name: String,
    /// Its rows, or why it cannot judge and what to do.
    pub rows: Result<Rows, String>,
    /// The rows that are not learned from.
    pub held: Held,
}

/// The gold set as a judge: with what the champion says of its rows.
#[derive(Debug)]
pub struct Judge {
    /// What people know it by.
    pub name: String,
    /// Its rows, or why it cannot judge and what to do.
    pub rows: Result<Rows, String>,
    /// The champion's version, and what it said of them.
    pub champion: Option<(u64, Rival)>,
}

/// Rows that nobody learns from. One is known by its position in the topic and its time, and by its features where they are
/// computed alike: places in a file are positions, too, and those of another file are other rows.
#[derive(Debug, Clone, Default)]
pub struct Held {
    rows: HashMap<(i32, i64, i64), Option<u64>>,
    /// Things whose other rows would give those rows away.
    entities: HashSet<Arc<str>>,
    /// What names them.
    snapshot: String,
    /// Whether the rows that judge are not learned from when the model is fitted again on all rows: they may be frozen.
    pub(crate) judges: bool,
}

impl Held {
    /// Whether a row is one of them.
    pub fn holds(&self, rows: &Rows, row: usize) -> bool {
        let (partition, offset) = rows.positions[row];
        let known = self.rows.get(&(partition, offset, rows.times[row]));
        known.is_some_and(|print| print.is_none_or(|print| print == fingerprint(rows, row)))
            || rows.entities[row].as_ref().is_some_and(|entity| self.entities.contains(entity))
    }

    /// Of these rows, those that may be learned from.
    pub(crate) fn free(&self, rows: &Rows, from: Vec<usize>) -> Vec<usize> {
        if self.rows.is_empty() {
            return from;
        }
        from.into_iter().filter(|&row| !self.holds(rows, row)).collect()
    }

    /// A name of what may be learned from a snapshot.
    pub(crate) fn rest_of(&self, snapshot: &str) -> String {
        if self.rows.is_empty() { snapshot.to_owned() } else { format!("{snapshot} without {}", self.snapshot) }
    }

    /// The rows of a gold set.
    pub(crate) fn of(rows: &Rows, by: SplitBy, snapshot: &str) -> Self {
        let told = !rows.table.columns().is_empty();
        let key = |row: usize| (rows.positions[row].0, rows.positions[row].1, rows.times[row]);
        let entities = match by {
            SplitBy::Entity => rows.entities.iter().flatten().cloned().collect(),
            _ => HashSet::new(),
        };
        let rows = (0..rows.len()).map(|row| (key(row), told.then(|| fingerprint(rows, row)))).collect();
        Self { rows, entities, snapshot: snapshot.to_owned(), judges: false }
    }
}

impl Gold {
    /// The gold set of a pipeline, if it has one or shall have one.
    pub(crate) async fn of(registry: &Registry, loaded: &Loaded) -> Result<Option<Self>, Error> {
        let pipeline = &loaded.pipeline;
        if pipeline.training.algorithm == FORECAST {
            return Ok(None);
        }
        let why_not = match freeze_first(registry, loaded).await {
            Err(error) if error.retry() == Retry::Later => return Err(error),
            Err(error) => Some(error.to_string()),
            Ok(()) => None,
        };
        let newest = registry.gold_history(&pipeline.name).await?.into_iter().next();
        match newest {
            Some(set) if !set.is_none() => Self::fetch(registry, pipeline, &set).await.map(Some),
            // Somebody took it away.
            Some(_) => Ok(None),
            None => Ok(why_not.map(|reason| Self {
                name: String::new(),
                rows: Err(format!("there is none: {reason}")),
                held: Held::default(),
            })),
        }
    }

    async fn fetch(registry: &Registry, pipeline: &Pipeline, set: &GoldSet) -> Result<Self, Error> {
        let name = short(&set.snapshot);
        let bytes = match registry.store().get(&set.snapshot).await {
            Ok(bytes) => bytes,
            Err(error) if error.retry() == Retry::Later => {
                return Err(driftmill_platform::registry::Error::from(error).into());
            }
            Err(error) => {
                let reason = format!("its snapshot {name} cannot be read ({error}): {}", way_out(pipeline));
                return Ok(Self { name, rows: Err(reason), held: Held::default() });
            }
        };
        Ok(Self::read(pipeline, set, bytes))
    }

    /// The set with the rows of its snapshot.
    fn read(pipeline: &Pipeline, set: &GoldSet, bytes: Bytes) -> Self {
        let name = short(&set.snapshot);
        let frame = match ParquetReader::new(Cursor::new(bytes)).finish() {
            Ok(frame) => frame,
            Err(error) => {
                let reason = format!("its snapshot {name} cannot be read ({error}): {}", way_out(pipeline));
                return Self { name, rows: Err(reason), held: Held::default() };
            }
        };
        // Which rows they are does not hang on their features.
        let bare = Pipeline { features: Vec::new(), ..pipeline.clone() };
        let places = Rows::of_frame(&frame, &bare);
        let hold = |rows: &Rows| Held::of(rows, pipeline.training.split.by, &set.snapshot);
        let mut held = places.map(|rows| hold(&rows)).unwrap_or_default();
        let unfit = |why: String| Err(format!("{why}: {}", way_out(pipeline)));
        let rows = if set.features != features_hash(&pipeline.features) {
            unfit("its features were computed otherwise than the pipeline file says now".to_owned())
        } else {
            match Rows::of_frame(&frame, pipeline) {
                Ok(rows) if rows.is_empty() => {
                    unfit("no row of it has a label that the pipeline file knows now".to_owned())
                }
                Ok(rows) => {
                    held.rows.extend(hold(&rows).rows);
                    Ok(rows)
                }
                Err(error) => unfit(format!("its columns do not fit ({error})")),
            }
        };
        Self { name, rows, held }
    }

    /// The rows that a training must not learn from.
    pub(crate) fn held(gold: Option<&Self>, pipeline: &Pipeline) -> Held {
        match gold {
            Some(gold) if !gold.held.rows.is_empty() => gold.held.clone(),
            // Those that judge the first champion are frozen when it is one.
            _ => Held { judges: pipeline.promotion.gold == Some(Declared::First), ..Held::default() },
        }
    }
}

fn way_out(pipeline: &Pipeline) -> String {
    let name = &pipeline.name;
    format!(
        "make another by `driftmill models gold {name} --from FILE` or `--version N`, or do without by `driftmill models gold {name} --clear`"
    )
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// A hash of how features are computed.
fn features_hash(features: &[Feature]) -> String {
    hex::encode(Sha256::digest(serde_json::to_vec(features).unwrap_or_default()))
}

/// Freezes the rows that judged the pipeline's first champion, where the pipeline file says so and there never was a gold set.
pub(crate) async fn freeze_first(registry: &Registry, loaded: &Loaded) -> Result<(), Error> {
    let pipeline = &loaded.pipeline;
    if pipeline.promotion.gold != Some(Declared::First) || !registry.gold_history(&pipeline.name).await?.is_empty() {
        return Ok(());
    }
    let Some(first) = registry.history(&pipeline.name, CHAMPION).await?.pop() else { return Ok(()) };
    let reason = format!("`promotion.gold: first`: they judged version {}, the first champion", first.version);
    let set = set_gold_of_version(registry, loaded, first.version, "the pipeline file", &reason).await?;
    info!(
        pipeline = pipeline.name,
        version = first.version,
        rows = set.rows,
        snapshot = set.snapshot,
        "gold set frozen"
    );
    Ok(())
}

/// The same, once a training has ended: what fails is made good before the next one.
pub(crate) async fn freeze_after(registry: &Registry, loaded: &Loaded) {
    if let Err(error) = freeze_first(registry, loaded).await {
        warn!(pipeline = loaded.pipeline.name, %error, "there is no gold set yet");
    }
}

/// Makes the rows that judged a version the gold set of its pipeline.
///
/// # Errors
/// When there is no such version, or nobody can tell any more which rows judged it.
pub async fn set_gold_of_version(
    registry: &Registry,
    loaded: &Loaded,
    version: u64,
    who: &str,
    reason: &str,
) -> Result<GoldSet, Error> {
    let pipeline = &loaded.pipeline;
    let failed = |reason: String| Error::Gold { pipeline: pipeline.name.clone(), reason };
    refuse_forecasts(pipeline)?;
    let version = registry.version(&pipeline.name, version).await?;
    let card = artifact::decode(&registry.artifact(&version).await?).map_err(|e| failed(e.to_string()))?.1;
    let card = ModelCard::from_header(card).map_err(|e| failed(e.to_string()))?;
    let bytes = registry.store().get(&version.snapshot).await.map_err(driftmill_platform::registry::Error::from)?;
    let damaged = |error| Error::Snapshot { pipeline: pipeline.name.clone(), error };
    let frame = ParquetReader::new(Cursor::new(bytes)).finish().map_err(damaged)?;
    let (mut frame, rows) = judges(&frame, pipeline, &version, &card)?;
    let parquet = snapshot::parquet(&mut frame).map_err(damaged)?;
    let hash = registry.store().put(parquet).await.map_err(driftmill_platform::registry::Error::from)?;
    set(registry, &pipeline.name, &hash, rows, &card.features, who, reason).await
}

/// Makes rows from elsewhere the gold set of a pipeline: an Arrow IPC stream, as a training on a file takes it.
///
/// # Errors
/// When the rows are not those of the pipeline, or have no labels.
pub async fn set_gold_of_rows(
    registry: &Registry,
    loaded: &Loaded,
    arrow: Bytes,
    who: &str,
    reason: &str,
) -> Result<GoldSet, Error> {
    let pipeline = &loaded.pipeline;
    refuse_forecasts(pipeline)?;
    let kept = snapshot::keep(registry.store(), pipeline, arrow).await?;
    if kept.rows.is_empty() {
        let reason = "no row has a label that the pipeline file knows".to_owned();
        return Err(Error::Gold { pipeline: pipeline.name.clone(), reason });
    }
    let rows = kept.rows.len() as u64;
    set(registry, &pipeline.name, &kept.hash, rows, &pipeline.features, who, reason).await
}

/// Takes the gold set of a pipeline away; one that the pipeline file declares does not come again.
///
/// # Errors
/// When the registry cannot be reached.
pub async fn clear_gold(registry: &Registry, pipeline: &str, who: &str, reason: &str) -> Result<GoldSet, Error> {
    set(registry, pipeline, "", 0, &[], who, reason).await
}

async fn set(
    registry: &Registry,
    pipeline: &str,
    snapshot: &str,
    rows: u64,
    features: &[Feature],
    who: &str,
    reason: &str,
) -> Result<GoldSet, Error> {
    let new = NewGoldSet {
        pipeline: pipeline.to_owned(),
        snapshot: snapshot.to_owned(),
        rows,
        features: if snapshot.is_empty() { String::new() } else { features_hash(features) },
        who: who.to_owned(),
        reason: reason.to_owned(),
    };
    Ok(registry.set_gold(new).await?)
}

fn refuse_forecasts(pipeline: &Pipeline) -> Result<(), Error> {
    if pipeline.training.algorithm != FORECAST {
        return Ok(());
    }
    let reason = "forecasts are judged from many origins in the newest rows, and have no gold set".to_owned();
    Err(Error::Gold { pipeline: pipeline.name.clone(), reason })
}

/// The part of a version's snapshot that judged it, and how many rows that is.
fn judges(
    frame: &DataFrame,
    pipeline: &Pipeline,
    version: &ModelVersion,
    card: &ModelCard,
) -> Result<(DataFrame, u64), Error> {
    let damaged = |error| Error::Snapshot { pipeline: pipeline.name.clone(), error };
    // As they were numbered then.
    let mut then = pipeline.clone();
    then.features.clone_from(&card.features);
    then.training.seed = card.seed;
    let rows = Rows::of_frame(frame, &then).map_err(damaged)?;
    let test = match card.imported {
        true => (0..rows.len()).collect(),
        false => split::split(&rows, &then.training.split, then.training.seed).test,
    };
    let judged = version.metrics.get("rows_test").copied().unwrap_or_default();
    if test.is_empty() || judged != test.len() as f64 {
        let reason = format!(
            "version {} was judged by {judged} rows, and the pipeline file splits off {} now: take the rows of a newer \
             version, or of a file",
            version.version,
            test.len()
        );
        return Err(Error::Gold { pipeline: pipeline.name.clone(), reason });
    }
    let wanted: HashSet<(i32, i64)> = test.iter().map(|&row| rows.positions[row]).collect();
    let part = only(frame, &wanted).map_err(damaged)?;
    Ok((part, test.len() as u64))
}

/// The rows of a frame at these positions.
fn only(frame: &DataFrame, wanted: &HashSet<(i32, i64)>) -> PolarsResult<DataFrame> {
    let places = position(frame)?;
    let mask: Vec<bool> = places.iter().map(|place| wanted.contains(place)).collect();
    frame.filter(&BooleanChunked::from_slice("gold".into(), &mask))
}

#[cfg(test)]
mod tests;
