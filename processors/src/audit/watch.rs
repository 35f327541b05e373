//! The audit that never ends: what was processed since the last one, every few seconds.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use clickhouse::Row;
use driftmill_platform::clickhouse::ClickHouse;
use driftmill_platform::clock::SharedClock;
use driftmill_platform::kafka::Admin;
use driftmill_platform::metrics::{Labels, Metrics};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::{Balance, Error, audit};

/// Time between two audits.
const EVERY: Duration = Duration::from_secs(10);

/// What audits count.
#[derive(Debug, Clone)]
pub struct AuditMetrics {
    offsets: Family<Labels, Counter>,
    missing: Family<Labels, Gauge<u64, AtomicU64>>,
    twice: Family<Labels, Gauge<u64, AtomicU64>>,
}

impl AuditMetrics {
    /// Registers the counters.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            offsets: metrics.register("driftmill_audit_offsets", "Offsets found accounted for", Family::default()),
            missing: metrics.register(
                "driftmill_audit_missing",
                "Offsets without a row, a dead letter or a known reason, by the last audit: data is lost",
                Family::default(),
            ),
            twice: metrics.register(
                "driftmill_audit_twice",
                "Positions that are in the tables more than once, by the last audit",
                Family::default(),
            ),
        }
    }
}

#[derive(Row, Serialize)]
struct AuditRow {
    pipeline: String,
    partition: i32,
    from_offset: i64,
    to_offset: i64,
    rows: u64,
    dead_letters: u64,
    lost: u64,
    absent: u64,
    missing: u64,
    twice: u64,
    at: i64,
}

#[derive(Row, Deserialize)]
struct Audited {
    partition: i32,
    next: i64,
}

/// Audits `pipeline` again and again until `cancel` fires. A range that does not balance is audited again until it does.
pub async fn watch(
    pipeline: String,
    clickhouse: ClickHouse,
    admin: Admin,
    metrics: AuditMetrics,
    clock: SharedClock,
    cancel: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    loop {
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let outcome = tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            outcome = once(&pipeline, &clickhouse, &admin, clock.now()) => outcome,
        };
        match outcome {
            Ok(balances) => tell(&pipeline, &balances, &metrics),
            // What an audit needs, the stages need too, and they complain.
            Err(error) => debug!(pipeline, %error, "no audit this time"),
        }
    }
}

async fn once(pipeline: &str, clickhouse: &ClickHouse, admin: &Admin, now: i64) -> Result<Vec<Balance>, Error> {
    let audited = audited(pipeline, clickhouse).await?;
    let balances = audit(clickhouse, admin, pipeline, |p| audited.get(&p).copied(), EVERY).await?;
    let rows: Vec<AuditRow> = balances
        .iter()
        .map(|balance| AuditRow {
            pipeline: pipeline.to_owned(),
            partition: balance.partition,
            from_offset: balance.from,
            to_offset: balance.to,
            rows: balance.rows,
            dead_letters: balance.dead_letters,
            lost: balance.lost,
            absent: balance.absent,
            missing: balance.missing,
            twice: balance.twice,
            at: now,
        })
        .collect();
    if !rows.is_empty() {
        clickhouse.insert_rows("audits", &rows).await?;
    }
    Ok(balances)
}

/// Where the next audit of each partition begins: up to there it was found balanced.
async fn audited(pipeline: &str, clickhouse: &ClickHouse) -> Result<BTreeMap<i32, i64>, Error> {
    let query = clickhouse
        .client()
        .query(
            "SELECT partition, if(countIf(missing + twice > 0) > 0, minIf(from_offset, missing + twice > 0), \
             max(to_offset)) AS next FROM audits FINAL WHERE pipeline = ? GROUP BY partition",
        )
        .bind(pipeline);
    let rows = clickhouse.in_time("read the audits", query.fetch_all::<Audited>()).await?;
    Ok(rows.into_iter().map(|row| (row.partition, row.next)).collect())
}

fn tell(pipeline: &str, balances: &[Balance], metrics: &AuditMetrics) {
    let labels = vec![("pipeline", pipeline.to_owned())];
    let sum = |of: fn(&Balance) -> u64| balances.iter().map(of).sum::<u64>();
    metrics.missing.get_or_create(&labels).set(sum(|balance| balance.missing));
    metrics.twice.get_or_create(&labels).set(sum(|balance| balance.twice));
    for balance in balances {
        let (partition, from, to) = (balance.partition, balance.from, balance.to);
        if balance.is_balanced() {
            metrics.offsets.get_or_create(&labels).inc_by((to - from).unsigned_abs());
        } else {
            let Balance { missing, twice, examples, .. } = balance;
            error!(pipeline, partition, from, to, missing, twice, ?examples, "offsets are not accounted for");
        }
    }
}
