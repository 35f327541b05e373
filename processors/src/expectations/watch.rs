//! The watch over the expectations of one pipeline.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clickhouse::Row;
use driftmill_platform::clickhouse::{ClickHouse, Error, quote};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::metrics::{Labels, Metrics};
use driftmill_schemas::pipeline::Loaded;
use driftmill_schemas::topic::Topics;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::count::{self, Windows};
use super::due::Due;
use super::judge::{Kind, Outcome, Watched, judge, watched};
use crate::audit::count::bounds;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// How long after its end a window is judged, in milliseconds.
const GRACE: i64 = 10_000;
/// Windows of one length that are judged at one look.
const MOST: usize = 2_000;
/// A process that starts looks again at what was processed in this time before the last result, in milliseconds; without
/// a result, before now.
const BACK: i64 = 600_000;

/// How expectations fare.
#[derive(Debug, Clone)]
pub struct ExpectationMetrics {
    met: Family<Labels, Gauge<u64, AtomicU64>>,
}

impl ExpectationMetrics {
    /// Registers the gauge.
    pub fn new(metrics: &Metrics) -> Self {
        let help = "1 if the newest window that was judged meets the expectation, 0 if not";
        Self { met: metrics.register("driftmill_expectation_met", help, Family::default()) }
    }
}

#[derive(Row, Serialize)]
struct ResultRow {
    expectation: String,
    about: String,
    severity: String,
    window_start: i64,
    window_end: i64,
    checked: u64,
    broken: u64,
    met: u8,
    detail: String,
    at: i64,
}

#[derive(Row, Deserialize)]
struct NewestRow {
    at: i64,
}

#[derive(Row, Deserialize)]
struct EndRow {
    per: i64,
    end: i64,
}

#[derive(Row, Deserialize)]
struct PlaceRow {
    partition: i32,
    from: i64,
}

/// What a watch knows of its pipeline.
struct Watch {
    pipeline: String,
    clickhouse: ClickHouse,
    metrics: ExpectationMetrics,
    clock: SharedClock,
    /// By the length of their windows.
    rules: BTreeMap<i64, Vec<Watched>>,
    due: BTreeMap<i64, Due>,
    /// Where rows that were not looked at begin, by partition; none before the first look.
    rows: Option<HashMap<i32, i64>>,
    /// The same of dead letters.
    letters: i64,
    /// Which version of the features the view shows.
    version: Option<u64>,
    /// Newest window that was judged, and whether it was met, by expectation.
    newest: HashMap<String, (i64, bool)>,
}

/// Judges the windows of `loaded` as they end, until `cancel` fires.
pub async fn watch(
    loaded: Arc<Loaded>,
    clickhouse: ClickHouse,
    metrics: ExpectationMetrics,
    clock: SharedClock,
    cancel: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let mut rules: BTreeMap<i64, Vec<Watched>> = BTreeMap::new();
    for rule in watched(&loaded.pipeline) {
        rules.entry(rule.per).or_default().push(rule);
    }
    if rules.is_empty() {
        cancel.cancelled().await;
        return Ok(());
    }
    let now = clock.now();
    let mut watch = Watch {
        pipeline: loaded.pipeline.name.clone(),
        due: rules.keys().map(|per| (*per, Due::new(*per, GRACE, now))).collect(),
        clickhouse,
        metrics,
        clock,
        rules,
        rows: None,
        letters: 0,
        version: None,
        newest: HashMap::new(),
    };
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let looked = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            looked = watch.look() => looked,
        };
        if let Err(error) = looked {
            // What this needs, the stages need too, and they complain.
            debug!(pipeline = watch.pipeline, %error, "expectations are not judged this time");
        }
    }
}

impl Watch {
    async fn look(&mut self) -> Result<(), Error> {
        self.find_touched().await?;
        let now = self.clock.now();
        for (per, due) in &mut self.due {
            let starts = due.take(now, MOST);
            if starts.is_empty() {
                continue;
            }
            let windows = Windows { per: *per, starts: &starts };
            let rules = self.rules.get(per).map_or(&[][..], Vec::as_slice);
            match results(&self.clickhouse, &self.pipeline, rules, windows, now).await {
                Ok(judged) => judged.iter().for_each(|(rule, start, outcome)| {
                    tell(&self.pipeline, &self.metrics, &mut self.newest, rule, *start, outcome);
                }),
                Err(error) => {
                    due.put_back(starts);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Finds the windows into which rows and dead letters came since the last look.
    async fn find_touched(&mut self) -> Result<(), Error> {
        let in_force = self.clickhouse.feature_version_in_force(&self.pipeline).await?;
        let version = in_force.as_ref().map(|version| version.version);
        let seen = match &self.rows {
            Some(seen) => seen.clone(),
            None => {
                self.version = version;
                self.begin().await?
            }
        };
        // Rows that were made anew are other rows of their windows.
        let anew = in_force.filter(|_| version != self.version);
        // A partition that nobody knew of begins at its first offset in the ledger.
        let new = bounds(&self.clickhouse, &self.pipeline, |partition| seen.get(&partition).copied()).await?;
        let letters = (self.letters, count::end_of_letters(&self.clickhouse, &self.pipeline).await?);
        let mut touched = Vec::new();
        for per in self.due.keys() {
            let mut starts = Vec::new();
            if !new.is_empty() {
                starts.extend(count::of_rows(&self.clickhouse, &self.pipeline, &new, *per).await?);
            }
            if let Some(version) = &anew {
                starts.extend(count::of_version(&self.clickhouse, version, *per).await?);
            }
            if letters.0 < letters.1 {
                starts.extend(count::of_letters(&self.clickhouse, &self.pipeline, letters, *per).await?);
            }
            touched.push(starts);
        }
        // Only now, all of them: after an error everything is looked for again.
        self.due.values_mut().zip(touched).for_each(|(due, starts)| due.touched(starts));
        self.letters = letters.1;
        self.version = version;
        let mut seen = seen;
        seen.extend(new.iter().map(|bounds| (bounds.partition, bounds.to)));
        self.rows = Some(seen);
        Ok(())
    }

    /// Where the first look of this process begins. Windows without rows are made up for that ended while none was there.
    async fn begin(&mut self) -> Result<HashMap<i32, i64>, Error> {
        let ends = format!(
            "SELECT toUnixTimestamp64Milli(window_end) - toUnixTimestamp64Milli(window_start) AS per, \
             max(toUnixTimestamp64Milli(window_end)) AS end FROM {} WHERE about = 'window' AND window_end <= at GROUP BY per",
            quote(&format!("{}_expectations_rows", self.pipeline))
        );
        for EndRow { per, end } in self.clickhouse.rows::<EndRow>(&ends).await? {
            if let Some(due) = self.due.get_mut(&per) {
                due.go_on_from(end);
            }
        }
        let newest = format!(
            "SELECT toUnixTimestamp64Milli(max(at)) AS at FROM {}",
            quote(&format!("{}_expectations_rows", self.pipeline))
        );
        let newest = self.clickhouse.row::<NewestRow>(&newest).await?.at;
        let since = if newest > 0 { newest } else { self.clock.now() } - BACK;
        let query = self
            .clickhouse
            .client()
            .query(
                "SELECT partition, if(countIf(at >= fromUnixTimestamp64Milli(?)) > 0, \
                 minIf(from_offset, at >= fromUnixTimestamp64Milli(?)), max(to_offset)) AS from \
                 FROM ledger WHERE stage = ? AND topic = ? GROUP BY partition",
            )
            .bind(since)
            .bind(since)
            .bind(format!("ingest.{}", self.pipeline))
            .bind(Topics::of(&self.pipeline).raw);
        let places = self.clickhouse.in_time("read the ledger", query.fetch_all::<PlaceRow>()).await?;
        Ok(places.into_iter().map(|place| (place.partition, place.from)).collect())
    }
}

/// Judges windows and keeps the results.
async fn results<'a>(
    clickhouse: &ClickHouse,
    pipeline: &str,
    rules: &'a [Watched],
    windows: Windows<'_>,
    now: i64,
) -> Result<Vec<(&'a Watched, i64, Outcome)>, Error> {
    let held = count::held(clickhouse, pipeline, windows).await?;
    let mut judged = Vec::new();
    for &start in windows.starts {
        let held = held.get(&start).cloned().unwrap_or_default();
        for rule in rules {
            let outcome = judge(rule.kind, held.of(&rule.title));
            // Of a window that nothing came into, only its volume says anything.
            if outcome.checked > 0 || matches!(rule.kind, Kind::Volume { .. }) {
                judged.push((rule, start, outcome));
            }
        }
    }
    let row = |(rule, start, outcome): &(&Watched, i64, Outcome)| ResultRow {
        expectation: rule.title.clone(),
        about: rule.kind.about().to_owned(),
        severity: rule.severity.title().to_owned(),
        window_start: *start,
        window_end: start + rule.per,
        checked: outcome.checked,
        broken: outcome.broken,
        met: u8::from(outcome.met),
        detail: outcome.detail.clone(),
        at: now,
    };
    if !judged.is_empty() {
        let rows: Vec<ResultRow> = judged.iter().map(row).collect();
        clickhouse.insert_rows(&format!("{pipeline}_expectations_rows"), &rows).await?;
    }
    Ok(judged)
}

/// Sets the gauge by the newest window, and says when an expectation of windows is no longer met, or is again.
fn tell(
    pipeline: &str,
    metrics: &ExpectationMetrics,
    newest: &mut HashMap<String, (i64, bool)>,
    rule: &Watched,
    start: i64,
    outcome: &Outcome,
) {
    let before = newest.get(&rule.title).copied();
    if before.is_some_and(|(newest, _)| newest > start) {
        return;
    }
    newest.insert(rule.title.clone(), (start, outcome.met));
    let labels = vec![
        ("pipeline", pipeline.to_owned()),
        ("expectation", rule.title.clone()),
        ("severity", rule.severity.title().to_owned()),
    ];
    metrics.met.get_or_create(&labels).set(u64::from(outcome.met));
    let was_met = before.is_none_or(|(_, met)| met);
    if rule.kind == Kind::Records || outcome.met == was_met {
        return;
    }
    let (expectation, found) = (&rule.title, &outcome.detail);
    let from = chrono::DateTime::from_timestamp_millis(start).unwrap_or_default();
    if outcome.met {
        info!(pipeline, expectation, found, %from, "the expectation is met again");
    } else {
        warn!(pipeline, expectation, found, %from, seconds = rule.per / 1_000, "a window breaks an expectation");
    }
}
