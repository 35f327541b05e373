//! Between windows: every pane goes through the detectors of its features, so that a drift is seen long before a window is
//! full.

use crate::{
    detector::{Alarm, Cusum, Direction},
    layout::Layout,
    pane::Pane,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The detectors of one stream and model version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Between {
    /// Evidence, by feature.
    pub evidence: BTreeMap<String, Cusum>,
    /// Features that raised an alarm: they are silent until a window says that they did not move.
    pub alarmed: BTreeSet<String>,
    /// Per partition, the end of what was taken: what comes again is no new evidence.
    pub reached: BTreeMap<i32, i64>,
}

/// A feature that moved, as its detector has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureAlarm {
    /// The feature.
    pub name: String,
    /// What its detector says.
    #[serde(flatten)]
    pub alarm: Alarm,
}

impl Between {
    /// Takes a pane; returns the features whose evidence is enough now.
    pub fn advance(&mut self, layout: &Layout, pane: &Pane) -> Vec<FeatureAlarm> {
        let reached = self.reached.entry(pane.id.partition).or_insert(i64::MIN);
        if pane.id.from_offset < *reached {
            return Vec::new();
        }
        *reached = pane.id.to_offset;
        let mut alarms = Vec::new();
        for (index, feature) in layout.features().iter().enumerate() {
            let Some((scores, limits)) = feature.detector() else { continue };
            let name = &feature.reference().name;
            if self.alarmed.contains(name) {
                continue;
            }
            let sums = scores.sums(pane.profile.feature(index).counts());
            if sums.n == 0 {
                continue;
            }
            if let Some(alarm) = self.evidence.entry(name.clone()).or_default().advance(limits, &sums) {
                self.alarmed.insert(name.clone());
                self.evidence.remove(name);
                alarms.push(FeatureAlarm { name: name.clone(), alarm });
            }
        }
        alarms
    }

    /// Takes the judgement of a window: features that it found in place are listened to again.
    pub fn judged(&mut self, moved: impl Fn(&str) -> bool) {
        self.alarmed.retain(|name| moved(name));
    }
}

impl FeatureAlarm {
    /// The alarm in a sentence.
    pub fn told(&self) -> String {
        let Self { name, alarm } = self;
        let what = match alarm.direction {
            Direction::LocationUp => "grew",
            Direction::LocationDown => "shrank",
            Direction::SpreadUp => "spread",
            Direction::SpreadDown => "gathered in the middle",
        };
        format!("{name} {what} within about {} rows: evidence {:.1} > {:.1}", alarm.since, alarm.value, alarm.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        PaneId, Profile, ReferenceProfile, Values,
        history::{Wanted, calibrate},
        testing::Lcg,
    };
    use std::sync::Arc;

    fn layout() -> Arc<Layout> {
        let x = Lcg::new(71).normals(10_000, 0.0, 1.0);
        let columns = [("x", Values::Numbers(x.as_slice()))];
        let mut profile = ReferenceProfile::of(&columns).unwrap();
        let wanted = Wanted { alpha: 0.01, window_rows: 400, alarms_per_100k: 1.0, seed: 1 };
        calibrate(&mut profile, &columns, &wanted).unwrap();
        Layout::new(profile).unwrap()
    }

    fn pane(layout: &Arc<Layout>, from_offset: i64, values: &[f64]) -> Pane {
        let mut profile = Profile::new(layout);
        profile.observe("x", values).unwrap();
        let id = PaneId { partition: 0, from_offset, to_offset: from_offset + values.len() as i64 };
        Pane { id, model_version: 1, profile, rejected: 0, max_event_time: 0 }
    }

    #[test]
    fn a_shift_is_told_once_and_again_after_a_window_without_it() {
        let layout = layout();
        let (mut random, mut between, mut at) = (Lcg::new(72), Between::default(), 0);
        let mut run = |between: &mut Between, panes: usize, mean: f64| -> Vec<FeatureAlarm> {
            let panes = (0..panes).flat_map(|_| {
                at += 20;
                between.advance(&layout, &pane(&layout, at, &random.normals(20, mean, 1.0)))
            });
            panes.collect()
        };
        assert!(run(&mut between, 500, 0.0).is_empty());
        let alarms = run(&mut between, 30, 1.0);
        assert_eq!(alarms.len(), 1, "an alarm is not repeated while it stands");
        assert_eq!((alarms[0].name.as_str(), alarms[0].alarm.direction), ("x", Direction::LocationUp));
        assert!((20..=100).contains(&alarms[0].alarm.since) && alarms[0].told().starts_with("x grew within about "));
        between.judged(|_| true);
        assert!(run(&mut between, 30, 1.0).is_empty());
        between.judged(|_| false);
        assert_eq!(run(&mut between, 30, -1.0).len(), 1);
    }

    #[test]
    fn what_comes_again_is_no_new_evidence_and_the_state_survives_a_restart() {
        let layout = layout();
        let mut random = Lcg::new(73);
        let panes: Vec<Pane> = (0..40).map(|i| pane(&layout, i * 20, &random.normals(20, 0.4, 1.0))).collect();
        let (mut once, mut twice) = (Between::default(), Between::default());
        let mut alarms = (Vec::new(), Vec::new());
        for at in &panes {
            alarms.0.extend(once.advance(&layout, at));
            alarms.1.extend(twice.advance(&layout, at));
            alarms.1.extend(twice.advance(&layout, at));
            twice = serde_json::from_str(&serde_json::to_string(&twice).unwrap()).unwrap();
        }
        assert_eq!(once, twice);
        assert_eq!(alarms.0, alarms.1);
        assert_eq!(alarms.0.len(), 1);
    }
}
