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
struct Both {
    challenger_requests: u64,
    challenger_failures: u64,
    challenger_p95: f64,
    champion_requests: u64,
    champion_failures: u64,
    champion_p95: f64,
}

#[derive(clickhouse::Row, Deserialize)]
struct OfStep {
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
    requests: u64,
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

    /// Requests that both versions were asked: whether each failed, and how long it took. What only one of them was asked, as the
    /// gateway was busy, says nothing of the difference.
    fn pairs(&self) -> String {
        let (challenger, champion) = (self.rollout.challenger, self.rollout.champion);
        format!(
            "SELECT request_id, maxIf(failure != '', model_version = {challenger}) AS challenger_failed, \
             maxIf(failure != '', model_version = {champion}) AS champion_failed, \
             maxIf(micros, model_version = {challenger}) AS challenger_micros, \
             maxIf(micros, model_version = {champion}) AS champion_micros FROM {} FINAL \
             WHERE {} AND row = 0 AND model_version IN ({challenger}, {champion}) \
             GROUP BY request_id HAVING uniqExact(model_version) = 2",
            self.table(),
            self.since_begun()
        )
    }

    /// The facts of this step, but for what moved, which is looked at when it matters.
    pub async fn facts(&self, place: Place, now: i64, policy: &RolloutPolicy) -> Result<RolloutFacts, Error> {
        let of = |side: &str| {
            format!(
                "countIf({side}_failed = 0) AS {side}_requests, countIf({side}_failed = 1) AS {side}_failures, \
                 ifNotFinite(toFloat64(quantileIf(0.95)({side}_micros, {side}_failed = 0)), 0.) AS {side}_p95"
            )
        };
        let sql = format!("SELECT {}, {} FROM ({}) {SETTINGS}", of("challenger"), of("champion"), self.pairs());
        let both = self.clickhouse.row::<Both>(&sql).await?;
        let challenger = Side {
            version: self.rollout.challenger,
            requests: both.challenger_requests,
            failures: both.challenger_failures,
            p95_micros: both.challenger_p95,
        };
        let champion = Side {
            version: self.rollout.champion,
            requests: both.champion_requests,
            failures: both.champion_failures,
            p95_micros: both.champion_p95,
        };
        let sql = format!(
            "SELECT countIf(model_version = {} AND failure = '') AS answered, countIf(shadow = 0 AND failure = '') AS heard \
             FROM {} FINAL WHERE at >= fromUnixTimestamp64Milli({}, 'UTC') {SETTINGS}",
            self.rollout.challenger,
            self.table(),
            self.rollout.at
        );
        let step = self.clickhouse.row::<OfStep>(&sql).await?;
        Ok(RolloutFacts {
            place,
            since_ms: self.rollout.at,
            now_ms: now,
            challenger,
            champion,
            answered: step.answered,
            asked: step.heard,
            slow: self.slow(slow_micros(&champion, policy)).await?,
            losses: self.losses().await?,
            moved: Vec::new(),
        })
    }

    /// Requests that took the challenger longer than that.
    async fn slow(&self, limit: f64) -> Result<u64, Error> {
        let sql = format!(
            "SELECT countIf(challenger_failed = 0 AND challenger_micros > {limit}) AS count FROM ({}) {SETTINGS}",
            self.pairs()
        );
        Ok(self.clickhouse.row::<Count>(&sql).await?.count)
    }

    /// By how much the challenger was further from the labels than the champion, by requests that both answered: of classes the
    /// difference of right and wrong, of values that of the errors as a share of their sum. A value that is none is as wrong as can
    /// be. Rows of a request resemble each other, so their mean counts once.
    async fn losses(&self) -> Result<Vec<(f64, u64)>, Error> {
        let (challenger, champion) = (self.rollout.challenger, self.rollout.champion);
        let loss = if self.loaded.pipeline.label.is_value() {
            "multiIf(isNull(truth), NULL, \
             isNull(challenger_error) AND isNull(champion_error), 0., isNull(challenger_error), 1., isNull(champion_error), -1., \
             (challenger_error - champion_error) / (challenger_error + champion_error + 1e-300))"
        } else {
            "toFloat64(by_challenger != label) - toFloat64(by_champion != label)"
        };
        let (table, since) = (self.table(), self.since_begun());
        let sql = format!(
            "SELECT assumeNotNull(mean_loss) AS loss, count() AS requests FROM (SELECT round(avg(row_loss), 2) AS mean_loss FROM \
             (SELECT request_id, {loss} AS row_loss FROM (SELECT *, toFloat64OrNull(label) AS truth, \
             abs(challenger_value - truth) AS challenger_error, abs(champion_value - truth) AS champion_error FROM \
             (SELECT request_id, row, anyIf(toString(prediction), model_version = {challenger}) AS by_challenger, \
             anyIf(toString(prediction), model_version = {champion}) AS by_champion, \
             maxIf(value, model_version = {challenger}) AS challenger_value, \
             maxIf(value, model_version = {champion}) AS champion_value \
             FROM {table} FINAL WHERE {since} AND failure = '' AND model_version IN ({challenger}, {champion}) \
             GROUP BY request_id, row HAVING uniqExact(model_version) = 2) AS answers \
             INNER JOIN (SELECT request_id, row, argMax(label, _offset) AS label FROM {labels} \
             WHERE request_id IN (SELECT request_id FROM {table} WHERE {since}) \
             GROUP BY request_id, row) AS known USING (request_id, row))) GROUP BY request_id) \
             WHERE isNotNull(mean_loss) AND isFinite(mean_loss) GROUP BY mean_loss ORDER BY mean_loss {SETTINGS}",
            labels = quote(&format!("{}_labels", self.loaded.pipeline.name)),
        );
        let losses = self.clickhouse.rows::<Lost>(&sql).await?;
        // A value of a few ulps beyond the bounds would be one that no bet survives.
        Ok(losses.into_iter().map(|lost| (lost.loss.clamp(-1.0, 1.0), lost.requests)).collect())
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
        // By as much as would be drift in itself: where those who ask are others than those who were learned from, the answers of
        // both have moved, and one of them a little more.
        let more = |report: &&FeatureReport| {
            let by = other(&report.name).map(|other| report.psi - other.psi);
            verdict::has_moved(report, &policy) && by.is_some_and(|by| by > report.psi_threshold)
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
