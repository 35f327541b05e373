//! How a model that passed its gates takes over from the champion.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a model that passed its gates takes over: in the shadow of the champion, then for shares of the requests, then for all
/// of them, on probation. Whenever it turns out to be worse, the earlier champion is back. Times are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollout {
    /// How long it answers beside the champion, unheard; 0: not at all.
    pub shadow: u64,
    /// Shares of the requests that it answers, one after the other, such as `[0.05, 0.25]`; empty: all of them at once.
    pub canary: Vec<f64>,
    /// How long each share lasts at least.
    pub step: u64,
    /// Rows that it must have answered before the next step.
    pub min_rows: u64,
    /// How long a step waits for those rows: where nobody asks, nobody is hurt, and it goes on without them.
    pub patience: u64,
    /// How long the earlier champion still answers in the shadow of the new one, to come back if that is worse; 0: not at all.
    pub probation: u64,
    /// Share of the answers that may fail.
    pub max_failures: f64,
    /// How many times as long as the earlier champion's an answer may take.
    pub max_slowdown: f64,
    /// How much worse than the earlier champion it may be in what labels tell: in the share of wrong answers, or in the
    /// difference of the errors as a share of their sum, where values are predicted.
    pub margin: f64,
    /// How sure one must be that it is worse. Holds for all looks at one rollout together, however many there are.
    pub confidence: f64,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            shadow: 0,
            canary: Vec::new(),
            step: 60,
            min_rows: 100,
            patience: 600,
            probation: 600,
            max_failures: 0.01,
            max_slowdown: 3.0,
            margin: 0.02,
            confidence: 0.99,
        }
    }
}

/// Steps that a rollout may have.
const MOST_STEPS: usize = 20;
/// The longest that anything of it may take: 30 days.
const LONGEST: u64 = 30 * 86_400;

impl Rollout {
    /// Whether a model that passed its gates takes over at once.
    pub fn is_direct(&self) -> bool {
        self.shadow == 0 && self.canary.is_empty()
    }

    /// What is wrong with it, for people.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let rises = self.canary.windows(2).all(|pair| pair[0] < pair[1]);
        if !rises || self.canary.len() > MOST_STEPS || !self.canary.iter().all(|share| *share > 0.0 && *share < 1.0) {
            faults.push(format!(
                "`canary` is a list of at most {MOST_STEPS} rising shares between 0 and 1, such as [0.05, 0.25]"
            ));
        }
        let times =
            [("shadow", self.shadow), ("step", self.step), ("patience", self.patience), ("probation", self.probation)];
        for (name, seconds) in times {
            if seconds > LONGEST {
                faults.push(format!("`{name}` is at most {LONGEST} seconds"));
            }
        }
        if !(self.max_failures >= 0.0 && self.max_failures < 1.0) {
            faults.push("`max_failures` is a share below 1, such as 0.01".to_owned());
        }
        if !(self.max_slowdown >= 1.0 && self.max_slowdown.is_finite()) {
            faults.push("`max_slowdown` is at least 1, such as 3".to_owned());
        }
        if !(self.margin >= 0.0 && self.margin < 1.0) {
            faults.push("`margin` is a share below 1, such as 0.02".to_owned());
        }
        if !(self.confidence > 0.5 && self.confidence < 1.0) {
            faults.push("`confidence` lies between 0.5 and 1, such as 0.99".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Rollout);

    #[test]
    fn each_bound_is_named_that_makes_no_sense() {
        assert!(Rollout::default().faults().is_empty());
        let spoil: [(Spoil, &str); 9] = [
            (|it| it.canary = vec![0.25, 0.05], "canary"),
            (|it| it.canary = vec![0.5, 1.0], "canary"),
            (|it| it.canary = vec![f64::NAN], "canary"),
            (|it| it.step = u64::MAX, "step"),
            (|it| it.probation = u64::MAX, "probation"),
            (|it| it.max_failures = f64::NAN, "max_failures"),
            (|it| it.max_slowdown = 0.5, "max_slowdown"),
            (|it| it.margin = -0.1, "margin"),
            (|it| it.confidence = 1.0, "confidence"),
        ];
        for (spoil, word) in spoil {
            let mut rollout = Rollout::default();
            spoil(&mut rollout);
            let faults = rollout.faults();
            assert!(faults.len() == 1 && faults[0].contains(word), "{word}: {faults:?}");
        }
    }
}
