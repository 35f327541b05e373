//! What searches among hyper-parameters tried: each evaluation is a row as soon as it is finished, so that a search whose
//! process ended goes on where it was.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Registry};
use crate::clickhouse::quote_text;

/// One combination of hyper-parameters on one fold of the rows: a row of the table `search_scores`.
#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
pub struct SearchScore {
    /// The pipeline.
    pub pipeline: String,
    /// What names the search: the same for the same rows, space and code.
    pub search: String,
    /// The run that evaluated it.
    #[serde(with = "clickhouse::serde::uuid")]
    pub run_id: Uuid,
    /// Step of the halving, from 0.
    pub rung: u32,
    /// Share of the rows that were learned from.
    pub share: f64,
    /// Number of the combination; 0 is that of the pipeline file.
    pub candidate: u32,
    /// Number of the fold.
    pub fold: u32,
    /// The parameters that differ from the pipeline file's, as JSON.
    pub params: String,
    /// The metric; none when it failed.
    pub score: Option<f64>,
    /// Why it failed.
    pub failure: String,
    /// Hash of the snapshot whose rows were learned from.
    pub snapshot: String,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
}

impl Registry {
    /// Keeps evaluations of a search.
    pub async fn record_scores(&self, scores: &[SearchScore]) -> Result<(), Error> {
        Ok(self.clickhouse.insert_rows("search_scores", scores).await?)
    }

    /// The evaluations of a search, in order of rung, combination and fold.
    pub async fn scores(&self, pipeline: &str, search: &str) -> Result<Vec<SearchScore>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM search_scores FINAL WHERE pipeline = {} AND search = {} ORDER BY rung, candidate, fold",
            quote_text(pipeline),
            quote_text(search)
        );
        Ok(self.clickhouse.rows(&sql).await?)
    }

    /// The snapshot that a run has searched on, if it has got so far.
    pub async fn searched_snapshot(&self, pipeline: &str, run_id: Uuid) -> Result<Option<String>, Error> {
        #[derive(Row, Deserialize)]
        struct Named {
            snapshot: String,
        }
        let of = quote_text(pipeline);
        let sql = format!(
            "SELECT snapshot FROM search_scores WHERE pipeline = {of} AND run_id = '{run_id}' ORDER BY at DESC LIMIT 1"
        );
        Ok(self.clickhouse.rows::<Named>(&sql).await?.pop().map(|named| named.snapshot))
    }

    /// The evaluations of the newest search of a pipeline; none when it never had one.
    pub async fn newest_scores(&self, pipeline: &str) -> Result<Vec<SearchScore>, Error> {
        #[derive(Row, Deserialize)]
        struct Named {
            search: String,
        }
        let of = quote_text(pipeline);
        let sql = format!("SELECT search FROM search_scores WHERE pipeline = {of} ORDER BY at DESC LIMIT 1");
        match self.clickhouse.rows::<Named>(&sql).await?.first() {
            Some(newest) => self.scores(pipeline, &newest.search).await,
            None => Ok(Vec::new()),
        }
    }
}

const COLUMNS: &str = "toString(pipeline) AS pipeline, search, run_id, rung, share, candidate, fold, params, score, \
     failure, snapshot, toUnixTimestamp64Milli(at) AS at";
