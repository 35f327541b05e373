//! Trainings whose process ended before they did.

use driftmill_platform::registry::{CHAMPION, ModelVersion};
use driftmill_schemas::message::{RunEvent, RunState};
use uuid::Uuid;

use crate::{Error, Trainer};

/// A run that never ended.
#[derive(clickhouse::Row, serde::Deserialize)]
struct Interrupted {
    run: String,
    why: String,
    began: i64,
}

impl Trainer {
    /// Notes of runs that began and cannot end any more that they failed: their process ended before they did. Those are the run
    /// `only`, or all trainings of this pipeline on files, if nobody else can be at one. Returns how many they are.
    pub async fn end_interrupted(&self, pipeline: &str, only: Option<Uuid>) -> Result<usize, Error> {
        let which = match only {
            Some(run) => format!("run_id = '{run}'"),
            // Others are run again by the trainer that reads their topic.
            None => "cause LIKE 'request % by cli, %'".to_owned(),
        };
        let sql = format!(
            "SELECT toString(run_id) AS run, any(cause) AS why, toUnixTimestamp64Milli(min(at)) AS began FROM runs \
             WHERE pipeline = '{pipeline}' AND {which} GROUP BY run_id HAVING countIf(state != 'started') = 0"
        );
        let interrupted = self.clickhouse().rows::<Interrupted>(&sql).await?;
        for run in &interrupted {
            let run_id: Uuid = run.run.parse().unwrap_or_default();
            // It may have got further than its events tell.
            let version = self.registry().of_run(pipeline, run_id).await?;
            let champion = self.registry().resolve(pipeline, CHAMPION).await?;
            let serves = |version: &ModelVersion| champion.as_ref().is_some_and(|it| it.version == version.version);
            let rollout = self.registry().rollout(pipeline).await?;
            let goes_on = rollout.is_some_and(|rollout| rollout.run_id == run_id && rollout.stage.is_open());
            let (state, detail) = match &version {
                Some(_) if goes_on => (RunState::RollingOut, "interrupted after its rollout had begun"),
                None => (RunState::Failed, "interrupted: its process ended before it did; train again"),
                Some(version) if serves(version) => (RunState::Promoted, "interrupted after its model was promoted"),
                Some(_) => (RunState::Refused, "interrupted before its model could be promoted; promote it by hand"),
            };
            let event = RunEvent {
                run_id,
                cause: run.why.clone(),
                request_id: None,
                pipeline: pipeline.to_owned(),
                at: self.clock().now(),
                state,
                detail: detail.to_owned(),
                metrics: version.as_ref().map(|version| version.metrics.clone()).unwrap_or_default(),
                gates: version.as_ref().map(|version| version.gates.clone()).unwrap_or_default(),
                model_version: version.map(|version| version.version),
                started: run.began,
                steps: Vec::new(),
                attempt: 1,
            };
            self.registry().record_run(&event).await?;
        }
        Ok(interrupted.len())
    }
}
