//! Windows that were in quarantine and are not any more, because a person said so.

use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::{Error, Registry};
use crate::clickhouse::quote_text;

/// The release of a window: a row of the table `drift_releases`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Release {
    /// The pipeline.
    pub pipeline: String,
    /// The window's id.
    pub window: String,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// Who released it.
    pub who: String,
    /// Why.
    pub reason: String,
}

const COLUMNS: &str = "toString(pipeline) AS pipeline, window, toUnixTimestamp64Milli(at) AS at, who, reason";

impl Registry {
    /// Releases a window: from now on its rows are learned from again.
    pub async fn release(&self, pipeline: &str, window: &str, who: &str, reason: &str) -> Result<Release, Error> {
        let release = Release {
            pipeline: pipeline.to_owned(),
            window: window.to_owned(),
            at: self.clock.now(),
            who: who.to_owned(),
            reason: reason.to_owned(),
        };
        self.clickhouse.insert_rows("drift_releases", std::slice::from_ref(&release)).await?;
        Ok(release)
    }

    /// The windows of a pipeline that were released.
    pub async fn releases(&self, pipeline: &str) -> Result<Vec<Release>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT * FROM drift_releases FINAL WHERE pipeline = {})",
            quote_text(pipeline)
        );
        Ok(self.clickhouse.rows::<Release>(&sql).await?)
    }
}
