//! Whether a judged window starts a training: a pure function, so that every past decision can be replayed.

use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;

/// Limits on retraining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrainPolicy {
    /// How long after the end of a training the next may start, milliseconds.
    pub cool_down_ms: i64,
    /// Trainings that may start within any 24 hours.
    pub daily_budget: u32,
    /// Labelled rows needed.
    pub min_rows: u64,
}

impl Default for RetrainPolicy {
    fn default() -> Self {
        Self { cool_down_ms: 60_000, daily_budget: 24, min_rows: 200 }
    }
}

/// A training of this pipeline, running or past, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training {
    /// The drift event that started it; empty for one started otherwise.
    pub event_id: String,
    /// When it started, milliseconds since 1970 (UTC).
    pub started_ms: i64,
    /// When it ended; `None` while it runs.
    pub finished_ms: Option<i64>,
}

/// What is decided on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetrainFacts<'a> {
    /// The drift event: the window's id. Each starts one training at most.
    pub event_id: &'a str,
    /// The window's verdict.
    pub verdict: Verdict,
    /// The verdict's reasons.
    pub reasons: &'a [String],
    /// Now, milliseconds since 1970 (UTC).
    pub now_ms: i64,
    /// The pipeline's trainings in any order: at least those of the last 24 hours and of the cool-down.
    pub trainings: &'a [Training],
    /// Labelled rows there are to train on.
    pub rows: u64,
}

/// A decision with all it was made from, as it is kept: [`replay`](Self::replay) makes it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The drift event: the window's id.
    pub event_id: String,
    /// The window's verdict.
    pub verdict: Verdict,
    /// The verdict's reasons.
    pub reasons: Vec<String>,
    /// When it was decided, milliseconds since 1970 (UTC).
    pub now_ms: i64,
    /// The pipeline's trainings that were known then.
    pub trainings: Vec<Training>,
    /// Labelled rows there were.
    pub rows: u64,
    /// The limits in force.
    pub policy: RetrainPolicy,
    /// What was decided.
    pub decision: RetrainDecision,
}

impl Decided {
    /// Decides, and keeps what it was decided from.
    pub fn of(facts: &RetrainFacts<'_>, policy: &RetrainPolicy) -> Self {
        Self {
            event_id: facts.event_id.to_owned(),
            verdict: facts.verdict,
            reasons: facts.reasons.to_vec(),
            now_ms: facts.now_ms,
            trainings: facts.trainings.to_vec(),
            rows: facts.rows,
            policy: *policy,
            decision: decide_retrain(facts, policy),
        }
    }

    /// Decides once more on the kept facts; the same code gives the same decision.
    pub fn replay(&self) -> RetrainDecision {
        let facts = RetrainFacts {
            event_id: &self.event_id,
            verdict: self.verdict,
            reasons: &self.reasons,
            now_ms: self.now_ms,
            trainings: &self.trainings,
            rows: self.rows,
        };
        decide_retrain(&facts, &self.policy)
    }
}

impl RetrainDecision {
    /// What was decided, for people.
    pub fn told(&self) -> String {
        match self {
            Self::Train { .. } => "a training was started".to_owned(),
            Self::CoolingDown { .. } => "no training: the last one ended too short a time ago".to_owned(),
            Self::AlreadyRunning => "no training: one was running".to_owned(),
            Self::NotEnoughRows { have, need } => {
                format!("no training yet: {have} labelled rows since the drift began, {need} are needed")
            }
            Self::BudgetSpent => "no training: the budget of 24 hours was spent".to_owned(),
            Self::DuplicateEvent => "no training: this event had started one before".to_owned(),
            Self::NoDrift => "no training: there was no confirmed drift".to_owned(),
        }
    }
}

/// What to do about a judged window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum RetrainDecision {
    /// Train, in the name of this event.
    Train {
        /// Why, in words.
        reason: String,
        /// The drift event.
        event_id: String,
    },
    /// The last training ended too short a time ago.
    CoolingDown {
        /// When the next may start, milliseconds since 1970 (UTC).
        until: i64,
    },
    /// One training at a time.
    AlreadyRunning,
    /// Too few labelled rows.
    NotEnoughRows {
        /// Rows there are.
        have: u64,
        /// Rows needed.
        need: u64,
    },
    /// Enough trainings for these 24 hours.
    BudgetSpent,
    /// This event started a training before.
    DuplicateEvent,
    /// The window gives no reason: it is stable, unconfirmed, too small, or quarantined.
    NoDrift,
}

/// Decides. The first obstacle in the order of the arms below is the answer.
pub fn decide_retrain(facts: &RetrainFacts<'_>, policy: &RetrainPolicy) -> RetrainDecision {
    if facts.verdict != Verdict::Drifted {
        return RetrainDecision::NoDrift;
    }
    if facts.trainings.iter().any(|training| training.event_id == facts.event_id) {
        return RetrainDecision::DuplicateEvent;
    }
    if facts.trainings.iter().any(|training| training.finished_ms.is_none()) {
        return RetrainDecision::AlreadyRunning;
    }
    let last_end = facts.trainings.iter().filter_map(|training| training.finished_ms).max();
    let until = last_end.map_or(i64::MIN, |end| end.saturating_add(policy.cool_down_ms));
    if facts.now_ms < until {
        return RetrainDecision::CoolingDown { until };
    }
    let day_ago = facts.now_ms.saturating_sub(DAY_MS);
    let today = facts.trainings.iter().filter(|training| training.started_ms > day_ago).count();
    if today >= policy.daily_budget as usize {
        return RetrainDecision::BudgetSpent;
    }
    if facts.rows < policy.min_rows {
        return RetrainDecision::NotEnoughRows { have: facts.rows, need: policy.min_rows };
    }
    RetrainDecision::Train { reason: facts.reasons.join("; "), event_id: facts.event_id.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 10 * DAY_MS;

    fn past(event_id: &str, started_ms: i64, finished_ms: Option<i64>) -> Training {
        Training { event_id: event_id.to_owned(), started_ms, finished_ms }
    }

    #[test]
    fn what_is_kept_decides_the_same_again() {
        let trainings = [past("old", NOW - 50, Some(NOW - 10)), past("older", 5, Some(6))];
        for (rows, verdict) in [(1_000, Verdict::Drifted), (3, Verdict::Drifted), (1_000, Verdict::Stable)] {
            for cool_down_ms in [0, 100] {
                let policy = RetrainPolicy { cool_down_ms, ..RetrainPolicy::default() };
                let reasons = ["x moved".to_owned()];
                let event_id = "e";
                let facts =
                    RetrainFacts { event_id, verdict, reasons: &reasons, now_ms: NOW, trainings: &trainings, rows };
                let decided = Decided::of(&facts, &policy);
                let back: Decided = serde_json::from_str(&serde_json::to_string(&decided).unwrap()).unwrap();
                assert_eq!((back.replay(), &back), (decided.decision.clone(), &decided));
                assert!(!decided.decision.told().is_empty());
            }
        }
    }

    #[test]
    fn the_first_obstacle_decides() {
        use RetrainDecision::*;
        let policy = RetrainPolicy { cool_down_ms: 1_000, daily_budget: 2, min_rows: 100 };
        let ended = |ago: i64| past("old", NOW - ago - 10, Some(NOW - ago));
        let running = past("old", NOW - 5, None);
        let train = Train { reason: "x moved; y moved".into(), event_id: "e".into() };
        let table: Vec<(&str, Verdict, u64, Vec<Training>, RetrainDecision)> = vec![
            ("drift", Verdict::Drifted, 100, vec![], train.clone()),
            ("stable", Verdict::Stable, 100, vec![], NoDrift),
            ("unconfirmed", Verdict::Warning, 100, vec![], NoDrift),
            ("small", Verdict::TooFewRows, 100, vec![], NoDrift),
            ("never on quarantined data", Verdict::Quarantine, 100, vec![], NoDrift),
            ("replayed event", Verdict::Drifted, 100, vec![past("e", 0, Some(1))], DuplicateEvent),
            ("replayed event of a running training", Verdict::Drifted, 100, vec![past("e", NOW, None)], DuplicateEvent),
            ("running", Verdict::Drifted, 100, vec![running.clone()], AlreadyRunning),
            ("running and cooling", Verdict::Drifted, 0, vec![ended(1), running], AlreadyRunning),
            ("cooling", Verdict::Drifted, 0, vec![ended(999)], CoolingDown { until: NOW + 1 }),
            ("cooled down", Verdict::Drifted, 100, vec![ended(1_000)], train.clone()),
            ("budget spent", Verdict::Drifted, 0, vec![ended(2_000), ended(3_000)], BudgetSpent),
            ("budget of yesterday", Verdict::Drifted, 100, vec![ended(2_000), ended(DAY_MS)], train.clone()),
            ("few rows", Verdict::Drifted, 99, vec![], NotEnoughRows { have: 99, need: 100 }),
        ];
        let reasons = ["x moved".to_owned(), "y moved".to_owned()];
        for (case, verdict, rows, trainings, expected) in table {
            let facts =
                RetrainFacts { event_id: "e", verdict, reasons: &reasons, now_ms: NOW, trainings: &trainings, rows };
            assert_eq!(decide_retrain(&facts, &policy), expected, "{case}");
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let policy = RetrainPolicy { cool_down_ms: i64::MAX, ..RetrainPolicy::default() };
        let trainings = [past("old", i64::MAX - 1, Some(i64::MAX))];
        for now_ms in [i64::MIN, 0, i64::MAX - 1] {
            let facts = RetrainFacts {
                event_id: "e",
                verdict: Verdict::Drifted,
                reasons: &[],
                now_ms,
                trainings: &trainings,
                rows: 1_000,
            };
            assert_eq!(decide_retrain(&facts, &policy), RetrainDecision::CoolingDown { until: i64::MAX });
        }
    }
}
