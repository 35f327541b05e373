//! Whether a model that is being rolled out goes on, stays where it is, or goes back: a pure function of counts, so that every
//! past decision can be made again.

mod betting;
#[cfg(test)]
mod tests;

pub use betting::log_evidence;

use serde::{Deserialize, Serialize};

/// Share of the answers that may take longer than the limit on them.
const MAY_BE_SLOW: f64 = 0.1;
/// An answer that takes so many microseconds more than those of the champion is not slow yet.
const NO_MATTER_MICROS: f64 = 2_000.0;
/// Tests that may roll back, which share what may be wrong.
const TESTS: f64 = 3.0;

/// How a challenger takes over. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutPolicy {
    /// How long it answers unheard.
    pub shadow_ms: i64,
    /// Shares of the requests that it answers, one after the other.
    pub canary: Vec<f64>,
    /// How long each share lasts at least.
    pub step_ms: i64,
    /// Rows that it must have answered in a step.
    pub min_rows: u64,
    /// How long a step waits for those rows.
    pub patience_ms: i64,
    /// How long it is compared with the earlier champion once it serves.
    pub probation_ms: i64,
    /// Share of the answers that may fail.
    pub max_failures: f64,
    /// How many times as long as the champion's an answer may take.
    pub max_slowdown: f64,
    /// How much worse its mean loss may be.
    pub margin: f64,
    /// How sure one must be that it is worse, over all looks together.
    pub confidence: f64,
}

/// Where a challenger is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Place {
    /// It answers unheard.
    Shadow,
    /// It answers a share of the requests.
    Canary {
        /// The share.
        share: f64,
    },
    /// It serves, and the earlier champion answers unheard.
    Probation,
}

impl RolloutPolicy {
    /// Where a rollout begins.
    pub fn first(&self) -> Place {
        if self.shadow_ms > 0 { Place::Shadow } else { self.after(0.0) }
    }

    /// What follows a share.
    fn after(&self, share: f64) -> Place {
        match self.canary.iter().find(|next| **next > share) {
            Some(next) => Place::Canary { share: *next },
            None => Place::Probation,
        }
    }
}

/// What one version did since the rollout began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The version.
    pub version: u64,
    /// Requests that it answered, heard or unheard, of those that both versions were asked.
    pub requests: u64,
    /// Those that it failed to answer.
    pub failures: u64,
    /// 95 % of its answers took no longer, microseconds; 0 without any.
    pub p95_micros: f64,
}

/// What a step is judged from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutFacts {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// Since when, milliseconds since 1970 (UTC).
    pub since_ms: i64,
    /// Now, milliseconds since 1970 (UTC).
    pub now_ms: i64,
    /// The version that takes over.
    pub challenger: Side,
    /// The one that it takes over from.
    pub champion: Side,
    /// Rows that the challenger answered since the step began.
    pub answered: u64,
    /// Rows that anybody answered since the step began.
    pub asked: u64,
    /// Requests that the challenger took longer to answer than [`slow_micros`] allows.
    pub slow: u64,
    /// Losses of the challenger less those of the champion on the same requests with labels, in [-1, 1], the mean over the rows of
    /// each, and how many requests had each.
    pub losses: Vec<(f64, u64)>,
    /// In what the challenger's answers differ from those that it gave when it was judged, more than the champion's from its
    /// own; empty: in nothing, or nobody has looked yet.
    pub moved: Vec<String>,
}

/// The longest that an answer may take, microseconds.
pub fn slow_micros(champion: &Side, policy: &RolloutPolicy) -> f64 {
    (policy.max_slowdown * champion.p95_micros).max(champion.p95_micros + NO_MATTER_MICROS)
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum RolloutDecision {
    /// Nothing yet.
    Stay {
        /// What is waited for.
        why: String,
    },
    /// On to the next step.
    Next {
        /// Which.
        to: Place,
        /// Why.
        why: String,
    },
    /// It serves for good.
    Done {
        /// Why.
        why: String,
    },
    /// The champion serves again.
    RollBack {
        /// Why.
        why: String,
    },
}

/// Decides. What speaks against the challenger is looked at first.
pub fn decide_rollout(facts: &RolloutFacts, policy: &RolloutPolicy) -> RolloutDecision {
    if let Some(why) = worse(facts, policy) {
        return RolloutDecision::RollBack { why };
    }
    let passed = facts.now_ms.saturating_sub(facts.since_ms);
    let RolloutFacts { place, answered, asked, challenger, .. } = facts;
    let least = match place {
        Place::Shadow => policy.shadow_ms,
        Place::Canary { .. } => policy.step_ms,
        Place::Probation => policy.probation_ms,
    };
    if passed < least {
        return RolloutDecision::Stay { why: format!("this step lasts {} s", least / 1000) };
    }
    let enough = *answered >= policy.min_rows;
    if *answered == 0 && *asked >= policy.min_rows.max(1) && passed >= policy.patience_ms.min(least) {
        let why = format!(
            "version {} answered none of {asked} rows: no gateway could load it, or had the time to ask it",
            challenger.version
        );
        return RolloutDecision::RollBack { why };
    }
    if *place == Place::Probation {
        let why = format!("{answered} rows answered on probation, and it was not worse");
        return RolloutDecision::Done { why };
    }
    if !enough && passed < policy.patience_ms {
        return RolloutDecision::Stay { why: format!("{answered} of {} rows are answered", policy.min_rows) };
    }
    if let Some(first) = facts.moved.first() {
        return RolloutDecision::RollBack { why: first.clone() };
    }
    let to = match place {
        Place::Shadow => policy.after(0.0),
        Place::Canary { share } => policy.after(*share),
        Place::Probation => Place::Probation,
    };
    let why = if enough {
        format!("{answered} rows answered, and it was not worse")
    } else {
        format!("only {answered} rows were asked in {} s", passed / 1000)
    };
    RolloutDecision::Next { to, why }
}

/// What speaks against the challenger, if it is beyond doubt.
fn worse(facts: &RolloutFacts, policy: &RolloutPolicy) -> Option<String> {
    let RolloutFacts { challenger, champion, place, .. } = facts;
    let (version, other) = (challenger.version, champion.version);
    let enough = (TESTS / (1.0 - policy.confidence)).ln();
    let of = |times: u64, all: u64| [(1.0, times), (0.0, all.saturating_sub(times))];

    let tried = |side: &Side| side.requests + side.failures;
    let usual = champion.failures as f64 / tried(champion).max(1) as f64;
    let may_fail = policy.max_failures.max(2.0 * usual).max(1e-6);
    let evidence = log_evidence(&of(challenger.failures, tried(challenger)), may_fail, 0.0);
    if may_fail < 1.0 && evidence > enough {
        return Some(format!(
            "version {version} failed to answer {} of {} requests, and version {other} {} of {} (evidence {evidence:.1} > {enough:.1})",
            challenger.failures,
            tried(challenger),
            champion.failures,
            tried(champion),
        ));
    }
    let evidence = log_evidence(&of(facts.slow, challenger.requests), MAY_BE_SLOW, 0.0);
    if champion.p95_micros > 0.0 && evidence > enough {
        return Some(format!(
            "{} of {} answers of version {version} took longer than {:.1} ms, and 95 % of those of version {other} no longer \
             than {:.1} ms (evidence {evidence:.1} > {enough:.1})",
            facts.slow,
            challenger.requests,
            slow_micros(champion, policy) / 1e3,
            champion.p95_micros / 1e3,
        ));
    }
    let evidence = log_evidence(&facts.losses, policy.margin, -1.0);
    if evidence > enough {
        let rows: u64 = facts.losses.iter().map(|(_, rows)| rows).sum();
        let sum: f64 = facts.losses.iter().map(|(loss, rows)| loss * *rows as f64).sum();
        return Some(format!(
            "on {rows} requests with labels the loss of version {version} is {:.3} above that of version {other} on average, and {} \
             is allowed (evidence {evidence:.1} > {enough:.1})",
            sum / rows.max(1) as f64,
            policy.margin,
        ));
    }
    // Once it serves, what moved is looked at whenever a window of its answers has drifted; before, at the end of a step.
    (*place == Place::Probation).then(|| facts.moved.first().cloned()).flatten()
}

/// A decision with all that it was made from, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutDecided {
    /// What was known.
    pub facts: RolloutFacts,
    /// The policy in force.
    pub policy: RolloutPolicy,
    /// What was decided.
    pub decision: RolloutDecision,
}

impl RolloutDecided {
    /// Decides, and keeps what it was decided from.
    pub fn of(facts: RolloutFacts, policy: &RolloutPolicy) -> Self {
        let decision = decide_rollout(&facts, policy);
        Self { facts, policy: policy.clone(), decision }
    }

    /// Decides once more on the kept facts; the same code gives the same decision.
    pub fn replay(&self) -> RolloutDecision {
        decide_rollout(&self.facts, &self.policy)
    }
}
