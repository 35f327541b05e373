//! Takes challengers over from champions, step by step, and back.
//!
//! ```text
//! passed its gates ─► shadow ─► canary 5 % ─► 25 % ─► champion on probation ─► done
//!                        └────────┴─ worse ─► ─┴────────── worse ─► the earlier champion serves again
//! promoted by hand, or by force ───────────────► on probation
//! ```
//! Every step is a row of the table `rollouts` with what it was judged from. Whoever has the claim takes steps, so one of
//! several trainers does; a trainer that died is followed by another, or by itself, where its last row is.

mod begin;
mod evidence;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftmill_drift::rollout::{Place, RolloutPolicy};
use driftmill_platform::clickhouse::{self as tables, Claim, ClickHouse};
use driftmill_platform::clock::SharedClock;
use driftmill_platform::registry::{Registry, Rollout, Stage};
use driftmill_schemas::pipeline::{self, Loaded};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Error;

pub use begin::{begin, end};

/// How often it is looked whether there is a rollout.
const IDLE: Duration = Duration::from_secs(1);
/// How often a rollout is judged, at most.
const OPEN: Duration = Duration::from_millis(250);
/// After a look, so many times as long as it took is waited: 5 % of one core, however much there is to look at.
const SHARE: u32 = 20;
/// How long another trainer that has the claim is left alone.
const CLAIMED: Duration = Duration::from_secs(5);

/// How long claims may take to be given back at the end.
const ENDING: Duration = Duration::from_secs(2);

/// The pipeline file's policy in the decision's terms.
fn policy(declared: &pipeline::Rollout) -> RolloutPolicy {
    let millis = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    RolloutPolicy {
        shadow_ms: millis(declared.shadow),
        canary: declared.canary.clone(),
        step_ms: millis(declared.step),
        min_rows: declared.min_rows,
        patience_ms: millis(declared.patience),
        probation_ms: millis(declared.probation),
        max_failures: declared.max_failures,
        max_slowdown: declared.max_slowdown,
        margin: declared.margin,
        confidence: declared.confidence,
    }
}

/// A place as the registry keeps it.
fn stage_of(place: Place) -> (Stage, f64) {
    match place {
        Place::Shadow => (Stage::Shadow, 0.0),
        Place::Canary { share } => (Stage::Canary, share),
        Place::Probation => (Stage::Probation, 1.0),
    }
}

/// Where an open rollout is.
fn place_of(rollout: &Rollout) -> Option<Place> {
    match rollout.stage {
        Stage::Shadow => Some(Place::Shadow),
        Stage::Canary => Some(Place::Canary { share: rollout.share }),
        Stage::Probation => Some(Place::Probation),
        Stage::Done | Stage::RolledBack | Stage::Superseded => None,
    }
}

/// The rollouts of this process's pipelines.
pub struct Rollouts {
    pipelines: Vec<Arc<Loaded>>,
    clickhouse: ClickHouse,
    registry: Registry,
    clock: SharedClock,
    /// What is known of each pipeline in this process.
    held: BTreeMap<String, Held>,
}

#[derive(Default)]
struct Held {
    claim: Option<Claim>,
    /// Moves of the alias `champion` up to this one need nothing.
    settled: u64,
    /// Somebody else has the claim: it is not asked for before.
    not_before: Option<Instant>,
    /// The last look took long: there is none before.
    rests_until: Option<Instant>,
}

impl std::fmt::Debug for Rollouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rollouts").field("pipelines", &self.pipelines.len()).finish_non_exhaustive()
    }
}

/// Whether a pipeline needs a look.
#[derive(clickhouse::Row, Deserialize)]
struct Moves {
    pipeline: String,
    /// The newest move of its champion.
    sequence: u64,
    /// The newest that its rollouts know of.
    known: u64,
    /// Whether a rollout goes on.
    open: u8,
}

const MOVES: &str = "SELECT toString(a.pipeline) AS pipeline, a.sequence AS sequence, r.known AS known, r.open AS open FROM \
     (SELECT pipeline, max(sequence) AS sequence FROM model_aliases WHERE alias = 'champion' GROUP BY pipeline) AS a \
     LEFT JOIN (SELECT pipeline, max(alias_sequence) AS known, \
     toUInt8(argMax(toString(stage), (begun, rollout, step)) IN ('shadow', 'canary', 'probation')) AS open \
     FROM rollouts FINAL GROUP BY pipeline) AS r ON a.pipeline = r.pipeline";

impl Rollouts {
    /// The rollouts of `pipelines`.
    pub fn new(pipelines: Vec<Arc<Loaded>>, clickhouse: ClickHouse, registry: Registry, clock: SharedClock) -> Self {
        Self { pipelines, clickhouse, registry, clock, held: BTreeMap::new() }
    }

    /// Takes steps until `cancel` fires.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), std::convert::Infallible> {
        let looking = async {
            loop {
                let pause = self.look().await.unwrap_or_else(|error| {
                    warn!(%error, "rollouts stand still; looking again");
                    IDLE
                });
                tokio::time::sleep(pause).await;
            }
        };
        // A step that is interrupted is found again; a server that does not answer is not waited for.
        tokio::select! {
            () = cancel.cancelled() => {}
            () = looking => {}
        }
        let releasing = async {
            for claim in self.held.into_values().filter_map(|held| held.claim) {
                claim.release().await?;
            }
            Ok::<_, tables::Error>(())
        };
        // One that is not given back is nobody's after some seconds.
        if !matches!(tokio::time::timeout(ENDING, releasing).await, Ok(Ok(()))) {
            warn!("claims on rollouts are not given back; they end by themselves");
        }
        Ok(())
    }

    /// Looks after every pipeline once; returns how long to wait.
    async fn look(&mut self) -> Result<Duration, Error> {
        let moves = self.clickhouse.rows::<Moves>(MOVES).await?;
        let mut pause = IDLE;
        for loaded in self.pipelines.clone() {
            let name = &loaded.pipeline.name;
            let Some(of) = moves.iter().find(|of| of.pipeline == *name) else { continue };
            // One pipeline does not hold up the others.
            match self.look_after(&loaded, of, &mut pause).await {
                Ok(()) => {}
                Err(error) => warn!(pipeline = name, %error, "a rollout stands still; looking again"),
            }
        }
        Ok(pause)
    }

    async fn look_after(&mut self, loaded: &Arc<Loaded>, of: &Moves, pause: &mut Duration) -> Result<(), Error> {
        let (name, began) = (&loaded.pipeline.name, Instant::now());
        let held = self.held.entry(name.clone()).or_default();
        if of.open == 0 && of.sequence <= of.known.max(held.settled) {
            return match held.claim.take() {
                Some(claim) => Ok(claim.release().await?),
                None => Ok(()),
            };
        }
        *pause = OPEN;
        if held.rests_until.is_some_and(|at| began < at) || !self.claims(name).await? {
            return Ok(());
        }
        let goes_on = self.tend(loaded).await;
        if let Some(held) = self.held.get_mut(name) {
            held.rests_until = Some(Instant::now() + began.elapsed() * SHARE);
            if let Ok(false) = goes_on {
                held.settled = of.sequence;
            }
        }
        goes_on.map(|_| ())
    }

    /// Whether this process takes the steps of a pipeline.
    async fn claims(&mut self, name: &str) -> Result<bool, Error> {
        let held = self.held.entry(name.to_owned()).or_default();
        if let Some(claim) = &held.claim {
            if claim.holds().await? {
                return Ok(true);
            }
            held.claim = None;
        }
        if held.not_before.is_some_and(|at| Instant::now() < at) {
            return Ok(false);
        }
        held.claim = Claim::of(&self.clickhouse, &format!("rollouts of {name}")).await?;
        held.not_before = held.claim.is_none().then(|| Instant::now() + CLAIMED);
        Ok(held.claim.is_some())
    }
}
