//! Where a drift began: the first offsets that a new model should learn from.

use crate::{report::DriftReport, verdict::Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The unbroken run of moved windows up to now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onset {
    /// Windows of the run.
    pub windows: u32,
    /// By partition, the first offset of the window that the drift is taken to begin with.
    pub since: BTreeMap<i32, i64>,
}

impl Onset {
    /// Takes the next judged window into account. A run begins with its second window, because the first holds rows from
    /// before the drift as well; with the first where there is only one. Windows that say nothing of drift change nothing.
    pub fn advance(&mut self, report: &DriftReport) {
        match report.verdict {
            Verdict::Stable => *self = Self::default(),
            Verdict::Warning | Verdict::Drifted => {
                self.windows = self.windows.saturating_add(1);
                // Of windows that overlap, the second is the first that shares no row with the first one.
                if self.windows as usize <= 1 + report.policy.overlap {
                    self.since = starts(report);
                }
            }
            Verdict::TooFewRows | Verdict::Quarantine => {}
        }
    }
}

fn starts(report: &DriftReport) -> BTreeMap<i32, i64> {
    let mut starts = BTreeMap::new();
    for range in &report.ranges {
        let from = starts.entry(range.partition).or_insert(range.from_offset);
        *from = range.from_offset.min(*from);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{History, Layout, Pane, PaneId, PaneSet, Policy, Profile, evaluate};

    fn report(verdict: Verdict, from: i64) -> DriftReport {
        let layout = Layout::of(&[("x", &[1.0, 2.0, 3.0])]);
        let mut window = PaneSet::new(&layout, 1);
        for partition in 0..2 {
            let id = PaneId { partition, from_offset: from, to_offset: from + 10 };
            let pane = Pane { id, model_version: 1, profile: Profile::new(&layout), rejected: 0, max_event_time: 0 };
            window.insert(pane).unwrap();
        }
        let report = evaluate(&window, None, &Policy::default(), &History::default()).unwrap();
        DriftReport { verdict, ..report }
    }

    fn since(windows: &[(Verdict, i64)]) -> Vec<(i32, i64)> {
        let mut onset = Onset::default();
        windows.iter().for_each(|(verdict, from)| onset.advance(&report(*verdict, *from)));
        onset.since.into_iter().collect()
    }

    #[test]
    fn a_drift_begins_after_the_window_that_holds_both_sides() {
        use Verdict::*;
        assert_eq!(since(&[(Stable, 0), (Warning, 10), (Drifted, 20), (Drifted, 30)]), [(0, 20), (1, 20)]);
        assert_eq!(since(&[(Stable, 0), (Drifted, 10)]), [(0, 10), (1, 10)]);
        assert_eq!(since(&[(Warning, 0), (Stable, 10), (Warning, 20)]), [(0, 20), (1, 20)]);
        assert_eq!(since(&[(Drifted, 0), (Stable, 10)]), []);
    }

    #[test]
    fn windows_that_say_nothing_do_not_end_a_drift() {
        use Verdict::*;
        assert_eq!(since(&[(Warning, 0), (Quarantine, 10), (TooFewRows, 20), (Drifted, 30)]), [(0, 30), (1, 30)]);
    }
}
