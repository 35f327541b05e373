//! How challengers take over from champions: a row of the table `rollouts` for every step, in the order in which they were
//! taken. Gateways are told by an announcement of the alias `challenger`.

use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Alias, CHAMPION, Error, Registry};
use crate::clickhouse::quote_text;

/// The alias of the version that is being rolled out, or was last.
pub const CHALLENGER: &str = "challenger";

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It answers beside the champion, unheard.
    Shadow,
    /// It answers a share of the requests.
    Canary,
    /// It is champion; the earlier one answers in its shadow and is back if it is worse.
    Probation,
    /// It is champion for good.
    Done,
    /// It was worse: the earlier champion serves.
    RolledBack,
    /// Something else was promoted, or another challenger came, before it was done.
    Superseded,
}

impl Stage {
    /// Every stage, in order.
    const ALL: [Self; 6] =
        [Self::Shadow, Self::Canary, Self::Probation, Self::Done, Self::RolledBack, Self::Superseded];

    /// Whether something follows.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Shadow | Self::Canary | Self::Probation)
    }

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Probation => "probation",
            Self::Done => "done",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
        }
    }
}

/// One step of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rollout {
    /// The pipeline.
    pub pipeline: String,
    /// Names the rollout.
    pub rollout: String,
    /// Number of this step, from 0.
    pub step: u32,
    /// When the rollout began, milliseconds since 1970 UTC.
    pub begun: i64,
    /// When this step was taken.
    pub at: i64,
    /// The training that made the challenger; nil of one that was promoted by hand.
    pub run_id: Uuid,
    /// Why there is a challenger.
    pub cause: String,
    /// The version that takes over.
    pub challenger: u64,
    /// The version that it takes over from.
    pub champion: u64,
    /// Where it is now.
    pub stage: Stage,
    /// Share of the requests that the challenger answers.
    pub share: f64,
    /// The move of the alias `champion` that was known then.
    pub alias_sequence: u64,
    /// Why this step was taken.
    pub reason: String,
    /// What it was judged from, as JSON.
    pub facts: String,
}

#[derive(Row, Serialize, Deserialize)]
struct RolloutRow {
    pipeline: String,
    rollout: String,
    step: u32,
    begun: i64,
    at: i64,
    #[serde(with = "clickhouse::serde::uuid")]
    run_id: Uuid,
    cause: String,
    challenger: u64,
    champion: u64,
    stage: String,
    share: f64,
    alias_sequence: u64,
    reason: String,
    facts: String,
}

impl From<&Rollout> for RolloutRow {
    fn from(of: &Rollout) -> Self {
        Self {
            pipeline: of.pipeline.clone(),
            rollout: of.rollout.clone(),
            step: of.step,
            begun: of.begun,
            at: of.at,
            run_id: of.run_id,
            cause: of.cause.clone(),
            challenger: of.challenger,
            champion: of.champion,
            stage: of.stage.name().to_owned(),
            share: of.share,
            alias_sequence: of.alias_sequence,
            reason: of.reason.clone(),
            facts: of.facts.clone(),
        }
    }
}

impl RolloutRow {
    fn into_rollout(self) -> Result<Rollout, Error> {
        let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.name() == self.stage) else {
            let reason = format!("a rollout has no stage `{}`", self.stage);
            return Err(Error::Damaged { pipeline: self.pipeline, version: self.challenger, reason });
        };
        Ok(Rollout {
            pipeline: self.pipeline,
            rollout: self.rollout,
            step: self.step,
            begun: self.begun,
            at: self.at,
            run_id: self.run_id,
            cause: self.cause,
            challenger: self.challenger,
            champion: self.champion,
            stage,
            share: self.share,
            alias_sequence: self.alias_sequence,
            reason: self.reason,
            facts: self.facts,
        })
    }
}

const COLUMNS: &str = "toString(pipeline) AS pipeline, rollout, step, toUnixTimestamp64Milli(begun) AS begun, \
     toUnixTimestamp64Milli(at) AS at, run_id, cause, challenger, champion, toString(stage) AS stage, share, \
     alias_sequence, reason, facts";

impl Registry {
    /// Keeps a step of a rollout, and tells the gateways. The same step once more takes the place of the first.
    pub async fn record_rollout(&self, rollout: &Rollout) -> Result<(), Error> {
        self.clickhouse.insert_rows("rollouts", &[RolloutRow::from(rollout)]).await?;
        self.set_alias(&rollout.pipeline, CHALLENGER, rollout.challenger, &rollout.reason).await
    }

    /// The newest step of the newest rollout of a pipeline, whether it goes on or has ended.
    pub async fn rollout(&self, pipeline: &str) -> Result<Option<Rollout>, Error> {
        let of = quote_text(pipeline);
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT * FROM rollouts FINAL WHERE pipeline = {of} \
             ORDER BY rollouts.begun DESC, rollout DESC, step DESC LIMIT 1)"
        );
        self.clickhouse.rows::<RolloutRow>(&sql).await?.pop().map(RolloutRow::into_rollout).transpose()
    }

    /// The newest steps of a pipeline's rollouts, the newest first.
    pub async fn rollout_steps(&self, pipeline: &str, limit: u32) -> Result<Vec<Rollout>, Error> {
        let of = quote_text(pipeline);
        let sql = format!(
            "SELECT {COLUMNS} FROM (SELECT * FROM rollouts FINAL WHERE pipeline = {of} \
             ORDER BY rollouts.begun DESC, rollout DESC, step DESC LIMIT {limit})"
        );
        self.clickhouse.rows::<RolloutRow>(&sql).await?.into_iter().map(RolloutRow::into_rollout).collect()
    }

    /// Where the alias `champion` points, and the version that it pointed to before.
    pub async fn champions(&self, pipeline: &str) -> Result<Option<(Alias, Option<u64>)>, Error> {
        let history = self.history(pipeline, CHAMPION).await?;
        let Some(now) = history.first().cloned() else { return Ok(None) };
        let before = history.iter().map(|alias| alias.version).find(|version| *version != now.version);
        Ok(Some((now, before)))
    }
}
