//! What a challenger and a champion did since a rollout began, from the tables of predictions and labels.

use std::sync::Arc;

use driftmill_drift::reference::{CONFIDENCE, PREDICTION};
use driftmill_drift::rollout::{Place, RolloutFacts, RolloutPolicy, Side, slow_micros};
use driftmill_drift::{FeatureReport, Layout, Policy, Profile, ReferenceProfile, Values, evaluate, verdict};
use driftmill_platform::clickhouse::{ClickHouse, quote};
use driftmill_platform::registry::{Registry, Rollout};
use driftmill_schemas::pipeline::Loaded;
use serde::Deserialize;

use crate::Error;

/// Answers of a version that are compared with those that it gave when it was judged.
const MOST_ANSWERS: u32 = 20_000;
/// Granules of another time are passed over, although rows replace each other.
const SETTINGS: &str = "SETTINGS use_skip_indexes_if_final = 1";

/// Reads evidence of one pipeline.
pub(super) struct Evidence<'a> {
    pub clickhouse: &'a ClickHouse,
    pub registry: &'a Registry,
    pub loaded: &'a Loaded,
    pub rollout: &'a Rollout,
}

#[derive(clickhouse::Row, Deserialize)]
struct Answered {
    version: u64,
    requests: u64,
    failures: u64,
    p95: f64,
    answered: u64,
    heard: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct Count {
    count: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct Lost {
    loss: f64,
    rows: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct Answer {
    prediction: String,
    value: Option<f64>,
    confidence: f64,
}

impl Evidence<'_> {
    fn table(&self) -> String {
        quote(&format!("{}_predictions_rows", self.loaded.pipeline.name))
    }

    /// Rows since the rollout began.
    fn since_begun(&self) -> String {
        format!("at >= fromUnixTimestamp64Milli({}, 'UTC')", self.rollout.begun)
    }

    /// The facts of this step, but for what moved, which is looked at when it matters.
    pub async fn facts(&self, place: Place, now: i64, policy: &RolloutPolicy) -> Result<RolloutFacts, Error> {
        let of_step = format!("at >= fromUnixTimestamp64Milli({}, 'UTC')", self.rollout.at);
        let sql = format!(
            "SELECT model_version AS version, countIf(row = 0 AND failure = '') AS requests, \
             countIf(failure != '') AS failures, \
             ifNotFinite(toFloat64(quantileIf(0.95)(micros, row = 0 AND failure = '')), 0.) AS p95, \
             countIf(failure = '' AND {of_step}) AS answered, \
             countIf(failure = '' AND shadow = 0 AND {of_step}) AS heard \
             FROM {} FINAL WHERE {} GROUP BY version {SETTINGS}",
            self.table(),
            self.since_begun()
        );
        let answered = self.clickhouse.rows::<Answered>(&sql).await?;
        let of = |version: u64| answered.iter().find(|side| side.version == version);
        let side = |version: u64| {
            let (requests, failures, p95_micros) =
                of(version).map_or((0, 0, 0.0), |side| (side.requests, side.failures, side.p95));
            Side { version, requests, failures, p95_micros }
        };
        let (challenger, champion) = (side(self.rollout.challenger), side(self.rollout.champion));
        Ok(RolloutFacts {
            place,
            since_ms: self.rollout.at,
            now_ms: now,
            challenger,
            champion,
            answered: of(challenger.version).map_or(0, |side| side.answered),
            asked: answered.iter().map(|side| side.heard).sum(),
            slow: self.slow(slow_micros(&champion, policy)).await?,
            losses: self.losses().await?,
            moved: Vec::new(),
        })
    }

    /// Requests that took the challenger longer than that.
    async fn slow(&self, limit: f64) -> Result<u64, Error> {
        let sql = format!(
            "SELECT count() AS count FROM {} FINAL WHERE {} AND model_version = {} AND row = 0 AND failure = '' \
             AND micros > {limit} {SETTINGS}",
            self.table(),
            self.since_begun(),
            self.rollout.challenger
        );
        Ok(self.clickhouse.row::<Count>(&sql).await?.count)
    }

    /// By how much the challenger was further from the labels than the champion, on rows that both answered: of classes the
    /// difference of right and wrong, of values that of the errors as a share of their sum.
    async fn losses(&self) -> Result<Vec<(f64, u64)>, Error> {
        let (challenger, champion) = (self.rollout.challenger, self.rollout.champion);
        let loss = if self.loaded.pipeline.label.is_value() {
            "round((abs(by_challenger_v - toFloat64OrNull(label)) - abs(by_champion_v - toFloat64OrNull(label))) / \
             (abs(by_challenger_v - toFloat64OrNull(label)) + abs(by_champion_v - toFloat64OrNull(label)) + 1e-300), 2)"
        } else {
            "toFloat64(by_challenger != label) - toFloat64(by_champion != label)"
        };
        let sql = format!(
            "SELECT assumeNotNull(loss) AS loss, count() AS rows FROM (SELECT {loss} AS loss FROM \
             (SELECT request_id, row, anyIf(toString(prediction), model_version = {challenger}) AS by_challenger, \
             anyIf(toString(prediction), model_version = {champion}) AS by_champion, \
             anyIf(value, model_version = {challenger}) AS by_challenger_v, \
             anyIf(value, model_version = {champion}) AS by_champion_v \
             FROM {table} FINAL WHERE {since} AND failure = '' AND model_version IN ({challenger}, {champion}) \
             GROUP BY request_id, row HAVING uniqExact(model_version) = 2) AS answers \
             INNER JOIN (SELECT request_id, row, argMax(label, _offset) AS label FROM {labels} \
             GROUP BY request_id, row) AS known USING (request_id, row)) \
             WHERE loss IS NOT NULL AND isFinite(loss) GROUP BY loss ORDER BY loss {SETTINGS}",
            table = self.table(),
            since = self.since_begun(),
            labels = quote(&format!("{}_labels", self.loaded.pipeline.name)),
        );
        let losses = self.clickhouse.rows::<Lost>(&sql).await?;
        // Labels may be replaced, and a value of a few ulps beyond the bounds would be one that no bet survives.
        Ok(losses.into_iter().map(|lost| (lost.loss.clamp(-1.0, 1.0), lost.rows)).collect())
    }

    /// Whether a window of the challenger's answers has drifted since this step began.
    pub async fn has_drifted(&self) -> Result<bool, Error> {
        let sql = format!(
            "SELECT count() AS count FROM {} WHERE stream = 'predictions' AND verdict = 'drifted' AND model_version = {} \
             AND at >= fromUnixTimestamp64Milli({}, 'UTC')",
            quote(&format!("{}_drift", self.loaded.pipeline.name)),
            self.rollout.challenger,
            self.rollout.at
        );
        Ok(self.clickhouse.row::<Count>(&sql).await?.count > 0)
    }

    /// In what the challenger's answers differ from those that it gave on the rows that judged it, and more than the
    /// champion's differ from its own: what moves the answers of both is not the challenger's fault.
    pub async fn moved(&self) -> Result<Vec<String>, Error> {
        let policy = self.policy();
        let (challenger, champion) = (
            self.answers(self.rollout.challenger, &policy).await?,
            self.answers(self.rollout.champion, &policy).await?,
        );
        let other = |name: &str| champion.iter().find(|report| report.name == name);
        let more = |report: &&FeatureReport| {
            verdict::has_moved(report, &policy) && other(&report.name).is_none_or(|other| report.psi > other.psi)
        };
        let told = |report: &FeatureReport| {
            format!(
                "the answers of version {} are not what they were when it was judged: `{}` has PSI {:.3} > {:.3}, that of version \
                 {} is {:.3}",
                self.rollout.challenger,
                report.name,
                report.psi,
                report.psi_threshold,
                self.rollout.champion,
                other(&report.name).map_or(0.0, |other| other.psi),
            )
        };
        Ok(challenger.iter().filter(more).map(told).collect())
    }

    fn policy(&self) -> Policy {
        let drift = &self.loaded.pipeline.drift;
        Policy {
            alpha: drift.alpha,
            ks_effect: drift.ks_effect,
            psi_threshold: drift.psi_threshold,
            ..Policy::default()
        }
    }

    /// The answers of a version since the rollout began beside those on the rows that judged it; nothing where there are none.
    async fn answers(&self, version: u64, policy: &Policy) -> Result<Vec<FeatureReport>, Error> {
        let sql = format!(
            "SELECT toString(prediction) AS prediction, value, \
             if(empty(probabilities), nan, arrayMax(probabilities)) AS confidence FROM {} FINAL \
             WHERE {} AND model_version = {version} AND failure = '' ORDER BY at DESC LIMIT {MOST_ANSWERS} {SETTINGS}",
            self.table(),
            self.since_begun()
        );
        let answers = self.clickhouse.rows::<Answer>(&sql).await?;
        let version = self.registry.version(&self.loaded.pipeline.name, version).await?;
        let json = self.registry.reference(&version).await?;
        Ok(compared(&json, &answers, policy).unwrap_or_default())
    }
}

/// Compares answers with those of a stored reference; `None` where it has none, or cannot be read: another build wrote it.
fn compared(reference: &[u8], answers: &[Answer], policy: &Policy) -> Option<Vec<FeatureReport>> {
    let mut reference: ReferenceProfile = serde_json::from_slice(reference).ok()?;
    reference.features.retain(|feature| feature.name == PREDICTION || feature.name == CONFIDENCE);
    let layout: Arc<Layout> = Layout::new(reference).ok()?;
    let mut profile = Profile::new(&layout);
    let values: Vec<f64> = answers.iter().filter_map(|answer| answer.value).collect();
    let classes: Vec<Option<&str>> = answers.iter().map(|answer| Some(answer.prediction.as_str())).collect();
    let confidences: Vec<f64> = answers.iter().map(|answer| answer.confidence).collect();
    let said = if values.is_empty() { Values::Categories(&classes) } else { Values::Numbers(&values) };
    for (name, values) in [(PREDICTION, said), (CONFIDENCE, Values::Numbers(&confidences))] {
        if layout.index_of(name).is_some() {
            profile.observe_values(name, values, &[]).ok()?;
        }
    }
    Some(evaluate::feature_reports(&profile, policy))
}
