//! Rows of a file, made as the pipeline makes them of a stream: read by one of its sources, encoded, checked against its
//! expectations and turned into features by the same code. Nothing is sent anywhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use driftmill_platform::clock::SharedClock;
use driftmill_processors::trial::{self, Given};
use driftmill_producers::{Content, Job, Overrides, preview, source_for};
use driftmill_schemas::name::did_you_mean;
use driftmill_schemas::pipeline::{Loaded, Source, SourceKind};
use driftmill_schemas::record::Encoder;

use crate::test::EPOCH;

/// Reasons that are told of each kind of rejection.
const TOLD: usize = 5;

/// What a file gave.
#[derive(Debug, Default)]
pub struct FileRows {
    /// The rows: an Arrow IPC stream with `_partition`, `_offset` (the number of the record), `event_time`, `label` and the
    /// features.
    pub arrow: Vec<u8>,
    /// How many they are.
    pub rows: usize,
    /// Records that are no row, by kind: unreadable, invalid or refused by an expectation.
    pub rejected: BTreeMap<String, u64>,
    /// The first of them, with place and reason.
    pub first_rejected: Vec<String>,
}

impl FileRows {
    /// How many records were rejected.
    pub fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Tells people what was rejected, if anything, on the standard error output.
    pub fn tell_rejected(&self) {
        if self.rejected.is_empty() {
            return;
        }
        let kinds: Vec<String> = self.rejected.iter().map(|(kind, count)| format!("{count} × {kind}")).collect();
        eprintln!("{} rows, {} records rejected: {}", self.rows, self.rejected(), kinds.join(", "));
        for reason in &self.first_rejected {
            eprintln!("  {reason}");
        }
    }
}

/// Reads `path`, a file or a folder, by the source called `source`, or by the pipeline's first one that reads it. It blocks
/// on the disk.
pub async fn read(
    loaded: &Arc<Loaded>,
    path: &Path,
    source: Option<&str>,
    clock: SharedClock,
) -> anyhow::Result<FileRows> {
    let from = std::path::absolute(path)?;
    if !from.exists() {
        bail!("`{}` does not exist", path.display());
    }
    let job = Job {
        loaded: Arc::clone(loaded),
        source: choose(loaded, &from, source)?,
        overrides: Overrides { from: Some(from), ..Overrides::default() },
        pipe: None,
        framing: Job::fingerprint(loaded),
    };
    let mut rows = FileRows::default();
    let mut given = Vec::new();
    let encoder = Encoder::new(loaded, Job::fingerprint(loaded));
    for (number, item) in (0_i64..).zip(preview(&job, usize::MAX, Arc::clone(&clock))?) {
        match item.content {
            Content::Record(record) | Content::Framed(record, _) => {
                // Without a time of their own, records are a second apart, so that the same file always gives the same rows.
                given.push(Given { payload: encoder.payload(&record)?, at: EPOCH + 1_000 * number });
            }
            Content::Nothing => {}
            Content::Unreadable { reason, .. } => {
                *rows.rejected.entry(reason.kind().to_owned()).or_default() += 1;
                if rows.first_rejected.len() < TOLD {
                    rows.first_rejected.push(format!("record {}: {reason}", number + 1));
                }
            }
        }
    }
    let features = trial::features(loaded, &given, clock).await.with_context(|| path.display().to_string())?;
    if let Some((number, reason)) = features.first_rejected {
        rows.first_rejected.push(format!("record {} of those that can be read: {reason}", number + 1));
    }
    for (kind, count) in features.rejected {
        *rows.rejected.entry(kind).or_default() += count;
    }
    (rows.arrow, rows.rows) = (features.arrow, features.rows);
    Ok(rows)
}

/// The source that reads `path`.
fn choose(loaded: &Loaded, path: &Path, wanted: Option<&str>) -> anyhow::Result<Source> {
    let sources = &loaded.pipeline.sources;
    if let Some(wanted) = wanted {
        let source = sources.iter().find(|source| source.name == wanted).with_context(|| {
            let hint = did_you_mean(wanted, sources.iter().map(|source| source.name.as_str()));
            format!("pipeline `{}` has no source `{wanted}`{hint}", loaded.pipeline.name)
        })?;
        let of_files = matches!(
            source.kind(),
            Some(SourceKind::Csv(_) | SourceKind::JsonLines(_) | SourceKind::Parquet(_) | SourceKind::Images(_))
        );
        if !of_files || source.follows() {
            bail!(
                "source `{wanted}` reads no files that end: name one of `csv`, `json_lines`, `parquet` or `images` without `every`"
            );
        }
        return Ok(source.clone());
    }
    Ok(source_for(loaded, path)?)
}
