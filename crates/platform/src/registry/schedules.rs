//! Whether schedules are on, and what they have fired.

use clickhouse::Row;
use driftmill_schemas::message::TrainingRequest;
use driftmill_schemas::topic;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Registry};
use crate::clickhouse::quote_text;

/// A schedule that was switched on or off: a row of the table `schedule_switches`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Switch {
    /// The pipeline.
    pub pipeline: String,
    /// The schedule's name.
    pub schedule: String,
    /// 1 from then on, or 0.
    pub enabled: u8,
    /// When, milliseconds since 1970 UTC.
    pub at: i64,
    /// By whom.
    pub who: String,
}

/// A time of a schedule for which a training was requested: a row of the table `schedule_firings`.
#[derive(Debug, Clone, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Firing {
    /// The pipeline.
    pub pipeline: String,
    /// The schedule's name.
    pub schedule: String,
    /// The time that was due, milliseconds since 1970 UTC.
    pub due: i64,
    /// When it was fired.
    pub at: i64,
    /// The request.
    #[serde(with = "clickhouse::serde::uuid")]
    pub request_id: Uuid,
}

#[derive(Row, Deserialize)]
struct Due {
    due: i64,
}

impl Registry {
    /// Wishes for a training.
    pub async fn request_training(&self, request: &TrainingRequest) -> Result<(), Error> {
        self.announce(topic::TRAININGS, request.pipeline.clone(), request).await
    }

    /// Switches a schedule on or off. One that is so already stays so since when it was.
    pub async fn set_switch(&self, pipeline: &str, schedule: &str, enabled: bool, who: &str) -> Result<(), Error> {
        let last = self.switches(pipeline).await?.into_iter().find(|switch| switch.schedule == schedule);
        if last.as_ref().is_some_and(|last| (last.enabled == 1) == enabled) {
            return Ok(());
        }
        let switch = Switch {
            pipeline: pipeline.to_owned(),
            schedule: schedule.to_owned(),
            enabled: enabled.into(),
            // After the last one in any case, also where the clock was put back.
            at: last.map_or(i64::MIN, |last| last.at + 1).max(self.clock.now()),
            who: who.to_owned(),
        };
        Ok(self.clickhouse.insert_rows("schedule_switches", &[switch]).await?)
    }

    /// How the schedules of a pipeline were switched last. One that never was is not among them.
    pub async fn switches(&self, pipeline: &str) -> Result<Vec<Switch>, Error> {
        let sql = format!(
            "SELECT toString(pipeline) AS pipeline, schedule, enabled, toUnixTimestamp64Milli(at) AS at, who FROM \
             (SELECT * FROM schedule_switches WHERE pipeline = {} ORDER BY schedule, at DESC, enabled LIMIT 1 BY schedule)",
            quote_text(pipeline)
        );
        Ok(self.clickhouse.rows(&sql).await?)
    }

    /// Notes that a time has fired.
    pub async fn record_firing(&self, firing: Firing) -> Result<(), Error> {
        Ok(self.clickhouse.insert_rows("schedule_firings", &[firing]).await?)
    }

    /// What a schedule fired last.
    pub async fn last_firing(&self, pipeline: &str, schedule: &str) -> Result<Option<Firing>, Error> {
        let sql = format!(
            "SELECT toString(pipeline) AS pipeline, schedule, toUnixTimestamp64Milli(due) AS due, \
             toUnixTimestamp64Milli(at) AS at, request_id FROM (SELECT * FROM schedule_firings FINAL \
             WHERE pipeline = {} AND schedule = {} ORDER BY at DESC, due DESC LIMIT 1)",
            quote_text(pipeline),
            quote_text(schedule)
        );
        Ok(self.clickhouse.rows(&sql).await?.pop())
    }

    /// The times of a schedule, from `since` on, that have fired.
    pub async fn fired(&self, pipeline: &str, schedule: &str, since: i64) -> Result<Vec<i64>, Error> {
        let sql = format!(
            "SELECT toUnixTimestamp64Milli(due) AS due FROM schedule_firings FINAL WHERE pipeline = {} AND schedule = {} \
             AND schedule_firings.due >= fromUnixTimestamp64Milli({since})",
            quote_text(pipeline),
            quote_text(schedule)
        );
        Ok(self.clickhouse.rows::<Due>(&sql).await?.into_iter().map(|row| row.due).collect())
    }
}
