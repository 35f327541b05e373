//! Judges the answers of the version that serves, window by window, as answers and labels come; and says so on the drift topic
//! when too many windows were worse than the rows that judged it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftmill_drift::performance::{Baseline, Figure, Judgement, Metric};
use driftmill_platform::clickhouse::{ClickHouse, quote, quote_text};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::kafka::{Outgoing, Producer};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::registry::{self, CHAMPION, Registry};
use driftmill_schemas::message::{DRIFTED, DriftEvent, PERFORMANCE};
use driftmill_schemas::pipeline::{Loaded, Pipeline};
use driftmill_schemas::topic::Topics;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::answers::from;
use super::kept::{PerformanceMetrics, PerformanceRow, figure};
use super::windows::{Judge, Window};
use super::{baseline, metric};
use crate::Error;

/// How often it is looked whether answers or labels have come.
const EVERY: Duration = Duration::from_secs(2);
/// Windows that are judged again when labels come: those of older ones stand as they are.
const MOST_WINDOWS: u64 = 20;
/// Answers older than this many milliseconds (a week) are not judged again.
const LOOK_BACK: i64 = 7 * 86_400_000;
/// After a look, so many times as long as it took is waited: 5 % of one core, however much there is to look at.
const SHARE: u32 = 20;
/// Answers of a window at most.
const MOST_ANSWERS: u64 = 5_000;

#[derive(clickhouse::Row, Deserialize)]
struct Counted {
    predictions: u64,
    labels: u64,
}

/// Answers of a version, and those that are looked at.
#[derive(clickhouse::Row, Deserialize)]
struct Numbered {
    all: u64,
    recent: u64,
}

#[derive(clickhouse::Row, Deserialize)]
struct Count {
    count: u64,
}

/// A version's performance on the rows that judged it, and its classes; of a forecast nothing.
type Known = Option<(Baseline, Vec<String>)>;

/// What is known of one pipeline.
#[derive(Default)]
struct Seen {
    /// Rows of the tables of predictions and labels, and the champion, when it was looked at last.
    counted: (u64, u64, u64),
    /// Of the version that served then.
    baseline: Option<(u64, Known)>,
    /// The newest event that was sent.
    told: String,
    /// The last look took long: there is none before.
    rests_until: Option<Instant>,
}

/// The watch over this process's pipelines.
pub struct PerformanceWatch {
    pipelines: Vec<Arc<Loaded>>,
    clickhouse: ClickHouse,
    registry: Registry,
    producer: Producer,
    clock: SharedClock,
    metrics: PerformanceMetrics,
    seen: BTreeMap<String, Seen>,
}

impl std::fmt::Debug for PerformanceWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerformanceWatch").field("pipelines", &self.pipelines.len()).finish_non_exhaustive()
    }
}

impl PerformanceWatch {
    /// The watch over `pipelines`.
    pub fn new(
        pipelines: Vec<Arc<Loaded>>,
        clickhouse: ClickHouse,
        registry: Registry,
        producer: Producer,
        clock: SharedClock,
        metrics: &Metrics,
    ) -> Self {
        let metrics = PerformanceMetrics::new(metrics);
        Self { pipelines, clickhouse, registry, producer, clock, metrics, seen: BTreeMap::new() }
    }

    /// Judges until `cancel` fires.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), std::convert::Infallible> {
        let judging = async {
            loop {
                for loaded in self.pipelines.clone() {
                    if let Err(error) = self.look(&loaded).await {
                        warn!(pipeline = loaded.pipeline.name, %error, "answers are not judged now; looking again");
                    }
                }
                tokio::time::sleep(EVERY).await;
            }
        };
        // A server that does not answer is not waited for.
        tokio::select! {
            () = cancel.cancelled() => {}
            () = judging => {}
        }
        Ok(())
    }

    async fn look(&mut self, loaded: &Loaded) -> Result<(), Error> {
        let name = &loaded.pipeline.name;
        let count = |suffix: &str| format!("(SELECT count() FROM {})", quote(&format!("{name}_{suffix}_rows")));
        let (predictions, labels) = (count("predictions"), count("labels"));
        let sql = format!("SELECT assumeNotNull({predictions}) AS predictions, assumeNotNull({labels}) AS labels");
        let counted = self.clickhouse.row::<Counted>(&sql).await?;
        let Some(champion) = self.registry.resolve(name, CHAMPION).await? else { return Ok(()) };
        let version = champion.version;
        let now = (counted.predictions, counted.labels, version);
        let (began, seen) = (Instant::now(), self.seen.entry(name.clone()).or_default());
        if seen.counted == now || seen.rests_until.is_some_and(|at| began < at) {
            return Ok(());
        }
        if seen.baseline.as_ref().is_none_or(|(of, _)| *of != version) {
            seen.baseline = Some((version, baseline(&self.registry, name, version).await?));
        }
        let Some((_, Some((baseline, classes)))) = seen.baseline.clone() else {
            seen.counted = now;
            return Ok(());
        };
        let metric = metric(loaded.pipeline.promotion.metric);
        let judge = Judge { baseline: &baseline, classes: &classes, metric, margin: loaded.pipeline.promotion.margin };
        let (first, windows) = self.windows(loaded, version, &judge).await?;
        self.keep(name, version, first, &windows, &judge).await?;
        self.tell(loaded, version, first, &windows, &judge).await?;
        if let Some(seen) = self.seen.get_mut(name) {
            seen.counted = now;
            seen.rests_until = Some(Instant::now() + began.elapsed() * SHARE);
        }
        Ok(())
    }

    /// The newest windows of a version, and the number of the first of them. They are the same answers in every look.
    async fn windows(&self, loaded: &Loaded, version: u64, judge: &Judge<'_>) -> Result<(u64, Vec<Window>), Error> {
        let pipeline = &loaded.pipeline;
        let of_window = window_rows(pipeline);
        let table = quote(&format!("{}_predictions_rows", pipeline.name));
        let since = self.clock.now().saturating_sub(LOOK_BACK);
        let served = format!("FROM {table} WHERE model_version = {version} AND shadow = 0 AND failure = ''");
        let at = format!("at >= fromUnixTimestamp64Milli({since}, 'UTC')");
        let sql = format!("SELECT count() AS all, countIf({at}) AS recent {served}");
        let Numbered { all, recent } = self.clickhouse.row::<Numbered>(&sql).await?;
        // From the beginning of a window on, and no further back than the newest windows.
        let first = all.saturating_sub((MOST_WINDOWS * of_window).min(recent)).next_multiple_of(of_window);
        let passed = first.saturating_sub(all - recent);
        let answers =
            from(&self.clickhouse, &pipeline.name, version, (since, passed), MOST_WINDOWS * of_window).await?;
        let damaged = |reason: String| Error::Champion { pipeline: pipeline.name.clone(), version, reason };
        let size = usize::try_from(of_window).unwrap_or(usize::MAX);
        let windows = answers.chunks(size).map(|rows| judge.window(rows)).collect::<Result<Vec<_>, _>>();
        Ok((first / of_window, windows.map_err(|fault| damaged(fault.to_string()))?))
    }

    async fn keep(
        &self,
        name: &str,
        version: u64,
        first: u64,
        windows: &[Window],
        judge: &Judge<'_>,
    ) -> Result<(), Error> {
        let (at, usual) = (self.clock.now(), &judge.baseline.measured);
        let row = |(number, window)| PerformanceRow::of((name, version, number), window, judge.metric, usual, at);
        let rows: Vec<PerformanceRow> = (first..).zip(windows).map(row).collect();
        self.clickhouse.insert_rows("performance", &rows).await?;
        if let Some(window) = windows.last() {
            self.metrics.show(name, window, judge.metric, usual);
        }
        Ok(())
    }

    /// Sends an event where enough of the newest whole windows are worse.
    async fn tell(
        &mut self,
        loaded: &Loaded,
        version: u64,
        first: u64,
        windows: &[Window],
        judge: &Judge<'_>,
    ) -> Result<(), Error> {
        let drift = &loaded.pipeline.drift;
        let is_whole = |window: &Window| window.answers as u64 >= window_rows(&loaded.pipeline);
        let whole: Vec<(u64, &Window)> = (first..).zip(windows).filter(|(_, window)| is_whole(window)).collect();
        let looked = &whole[whole.len().saturating_sub(drift.of_windows as usize)..];
        let worse: Vec<String> = looked
            .iter()
            .filter_map(|(number, window)| worse(window, judge, drift.train_on_estimate).map(|why| (number, why)))
            .map(|(number, why)| format!("window {number}: {why}"))
            .collect();
        let Some((newest, _)) = looked.last().filter(|_| worse.len() >= drift.windows as usize) else { return Ok(()) };
        let name = &loaded.pipeline.name;
        let window = format!("{PERFORMANCE}-v{version}-{newest}");
        let seen = self.seen.entry(name.clone()).or_default();
        if seen.told == window || self.is_told(name, &window).await? {
            return Ok(());
        }
        let event = DriftEvent {
            window: window.clone(),
            pipeline: name.clone(),
            at: self.clock.now(),
            model_version: version,
            verdict: DRIFTED.to_owned(),
            rows: looked.iter().map(|(_, window)| window.answers as u64).sum(),
            reasons: worse,
            // When it became worse is not known in offsets of records: the newest are learned from.
            since: Vec::new(),
            next_profile: 0,
            report: json!({ "windows": looked.iter().map(|(_, window)| window.json(version)).collect::<Vec<_>>() }),
            stream: PERFORMANCE.to_owned(),
            checkpoint: serde_json::Value::Null,
        };
        info!(pipeline = name, version, window, why = event.reasons.join("; "), "answers became worse");
        // An event of texts and numbers is always JSON.
        let payload = serde_json::to_vec(&event).unwrap_or_default();
        let record = Outgoing { key: window.clone().into_bytes(), payload, ..Outgoing::default() };
        self.producer.send(&Topics::of(name).drift, record).await.map_err(registry::Error::from)?;
        if let Some(seen) = self.seen.get_mut(name) {
            seen.told = window;
        }
        Ok(())
    }

    /// Whether another trainer, or this one before a restart, has sent it.
    async fn is_told(&self, name: &str, window: &str) -> Result<bool, Error> {
        let (table, window) = (quote(&format!("{name}_drift_rows")), quote_text(window));
        let sql = format!("SELECT count() AS count FROM {table} WHERE window = {window}");
        Ok(self.clickhouse.row::<Count>(&sql).await?.count > 0)
    }
}

/// Answers of a window.
fn window_rows(pipeline: &Pipeline) -> u64 {
    pipeline.drift.window_rows.clamp(1, MOST_ANSWERS)
}

/// Why a window is worse than the rows that judged the model, if it is: by its labels; without enough of them by the estimate, where
/// that is to count.
fn worse(window: &Window, judge: &Judge<'_>, by_estimate: bool) -> Option<String> {
    let (kind, judgement, of) = match (&window.judgement, &window.expected) {
        (Judgement::TooFewLabels { .. }, Some(expected)) if by_estimate => {
            ("estimated", expected, window.estimated.as_ref()?)
        }
        (judgement, _) => ("measured", judgement, &window.measured),
    };
    let Judgement::Worse(by) = judgement else { return None };
    let told = |figure: Option<Figure>, metric: Metric| {
        figure
            .map(|it| format!("{} {:.3} [{:.3}, {:.3}]", metric.name(), it.value, it.low, it.high))
            .unwrap_or_default()
    };
    Some(format!(
        "{kind} {} on {} answers with {} labels, worse by {:.3} than {} on the rows that judged the model",
        told(figure(of, judge.metric), judge.metric),
        window.answers,
        window.labels,
        by.by,
        told(figure(&judge.baseline.measured, judge.metric), judge.metric),
    ))
}
