//! A window: panes of any partitions in any order. A replayed range replaces what it covers instead of adding twice.

use crate::{
    layout::Layout,
    pane::{Error, Pane, PaneId, Stream},
    profile::{self, Profile},
};
use std::{collections::BTreeMap, sync::Arc};

/// Panes of one model version. State depends on the set of panes only, not on the order they came in.
#[derive(Debug, Clone)]
pub struct PaneSet {
    layout: Arc<Layout>,
    model_version: u64,
    stream: Stream,
    /// By partition and first offset; ranges of a partition never overlap.
    panes: BTreeMap<(i32, i64), Pane>,
}

impl PaneSet {
    /// An empty window of a model version.
    pub fn new(layout: &Arc<Layout>, model_version: u64) -> Self {
        Self { layout: Arc::clone(layout), model_version, stream: Stream::Records, panes: BTreeMap::new() }
    }

    /// The same, of panes that count `stream`.
    pub fn of(self, stream: Stream) -> Self {
        Self { stream, ..self }
    }

    /// What its panes count.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// Adds a pane, dropping every pane of its partition that it overlaps, wholly or in part: the newest count of an offset
    /// wins. Returns how many panes were replaced.
    ///
    /// Counts cannot be cut, so a consumer that replays must begin its first pane where an earlier one began or ended, and
    /// count on from there: what a dropped pane held behind the new one comes again, what it held before it would be lost
    /// (and show as a hole in [`ranges`](Self::ranges)).
    ///
    /// # Errors
    /// An empty range, another model version or reference; the window is unchanged then.
    pub fn insert(&mut self, pane: Pane) -> Result<usize, Error> {
        self.admits(&pane)?;
        let id = pane.id;
        // Ranges are disjoint, so those that end after the new start are the last ones before its end.
        let before_end = self.panes.range((id.partition, i64::MIN)..(id.partition, id.to_offset));
        let overlapped: Vec<(i32, i64)> =
            before_end.rev().take_while(|(_, held)| held.id.to_offset > id.from_offset).map(|(key, _)| *key).collect();
        for key in &overlapped {
            self.panes.remove(key);
        }
        self.panes.insert((id.partition, id.from_offset), pane);
        Ok(overlapped.len())
    }

    /// Whether a pane may be inserted.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn admits(&self, pane: &Pane) -> Result<(), Error> {
        let id = pane.id;
        if id.from_offset >= id.to_offset {
            return Err(Error::EmptyRange(id));
        }
        if pane.model_version != self.model_version {
            return Err(Error::OtherModel { id, expected: self.model_version, found: pane.model_version });
        }
        if pane.profile.layout().hash() != self.layout.hash() {
            let (expected, found) = (self.layout.hash().to_owned(), pane.profile.layout().hash().to_owned());
            return Err(Error::Profile { id, source: profile::Error::OtherReference { expected, found } });
        }
        Ok(())
    }

    /// Keeps only the panes that `keep` accepts, for windows that slide.
    pub fn retain(&mut self, mut keep: impl FnMut(&Pane) -> bool) {
        self.panes.retain(|_, pane| keep(pane));
    }

    /// The panes by partition and offset.
    pub fn panes(&self) -> impl Iterator<Item = &Pane> {
        self.panes.values()
    }

    /// Rows of all panes.
    pub fn rows(&self) -> u64 {
        self.panes().map(|pane| pane.profile.rows()).sum()
    }

    /// Records of all panes that did not pass validation.
    pub fn rejected(&self) -> u64 {
        self.panes().map(|pane| pane.rejected).sum()
    }

    /// The sum of all panes.
    ///
    /// # Errors
    /// More rows than a profile's counters hold.
    pub fn profile(&self) -> Result<Profile, profile::Error> {
        let mut whole = Profile::new(&self.layout);
        for pane in self.panes() {
            whole.merge(&pane.profile)?;
        }
        Ok(whole)
    }

    /// The offsets covered, ranges that touch being joined, so that they do not tell how the batches were cut.
    pub fn ranges(&self) -> Vec<PaneId> {
        let mut ranges: Vec<PaneId> = Vec::new();
        for pane in self.panes() {
            match ranges.last_mut() {
                Some(last) if last.partition == pane.id.partition && last.to_offset == pane.id.from_offset => {
                    last.to_offset = pane.id.to_offset;
                }
                _ => ranges.push(pane.id),
            }
        }
        ranges
    }

    /// The latest event time of all panes, milliseconds since 1970 (UTC).
    pub fn max_event_time(&self) -> Option<i64> {
        self.panes().map(|pane| pane.max_event_time).max()
    }

    /// The model version.
    pub fn model_version(&self) -> u64 {
        self.model_version
    }

    /// The bins counted over.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReferenceProfile, Values, testing::Lcg};

    fn layout() -> Arc<Layout> {
        let x: Vec<f64> = Lcg::new(1).take(2_000).collect();
        Layout::of(&[("x", &x)])
    }

    /// The pane a consumer that read these offsets would make: the value of an offset never changes.
    fn pane(layout: &Arc<Layout>, partition: i32, from_offset: i64, to_offset: i64) -> Pane {
        let values: Vec<f64> = (from_offset..to_offset)
            .map(|offset| Lcg::new((offset * 64 + i64::from(partition)) as u64).nth(2).unwrap())
            .collect();
        let mut profile = Profile::new(layout);
        profile.observe("x", &values).unwrap();
        Pane {
            id: PaneId { partition, from_offset, to_offset },
            model_version: 3,
            profile,
            rejected: 1,
            max_event_time: to_offset,
        }
    }

    #[test]
    fn panes_in_any_order_give_the_same_bytes() {
        let layout = layout();
        let mut panes: Vec<Pane> =
            (0..24).map(|i| pane(&layout, (i % 3) as i32, i / 3 * 50, i / 3 * 50 + 50)).collect();
        let mut random = Lcg::new(7);
        let mut seen = None;
        for _ in 0..30 {
            for index in (1..panes.len()).rev() {
                panes.swap(index, (random.bits() % (index as u64 + 1)) as usize);
            }
            let mut window = PaneSet::new(&layout, 3);
            for pane in &panes {
                assert_eq!(window.insert(pane.clone()).unwrap(), 0);
            }
            assert_eq!((window.rows(), window.rejected()), (24 * 50, 24));
            let state = (window.profile().unwrap().to_json(), window.ranges());
            assert_eq!(*seen.get_or_insert(state.clone()), state);
        }
        assert_eq!(seen.unwrap().1.len(), 3, "touching ranges are joined");
    }

    #[test]
    fn one_seven_and_64_partitions_give_the_same_bytes_whatever_is_killed_and_repeated() {
        let columns: Vec<f64> = Lcg::new(1).take(2_000).collect();
        let category = |x: f64| if x < 0.7 { Some("common") } else { Some("rare") };
        let known: Vec<Option<&str>> = columns.iter().map(|x| category(*x)).collect();
        let times: Vec<i64> = (0..2_000).map(|i| i * 600_000).collect();
        let reference = ReferenceProfile::of(&[("x", Values::Numbers(&columns)), ("c", Values::Categories(&known))]);
        let layout = Layout::new(reference.unwrap().with_hours("x", &columns, &times)).unwrap();
        // 6,000 rows, some without a value; row i lies at offset i / partitions of partition i % partitions.
        let mut random = Lcg::new(3);
        let rows: Vec<f64> =
            (0..6_000).map(|i| if i % 37 == 0 { f64::NAN } else { random.next().unwrap() * 1.1 }).collect();
        let pane_of = |partitions: usize, partition: usize, from: usize, to: usize| {
            let mine: Vec<usize> = (from..to).map(|offset| offset * partitions + partition).collect();
            let values: Vec<f64> = mine.iter().map(|&row| rows[row]).collect();
            let categories: Vec<Option<&str>> =
                values.iter().map(|x| if x.is_nan() { None } else { category(*x) }).collect();
            let times: Vec<i64> = mine.iter().map(|&row| row as i64 * 60_000).collect();
            let mut profile = Profile::new(&layout);
            profile.observe_values("x", Values::Numbers(&values), &times).unwrap();
            profile.observe_values("c", Values::Categories(&categories), &[]).unwrap();
            let id = PaneId { partition: partition as i32, from_offset: from as i64, to_offset: to as i64 };
            Pane { id, model_version: 1, profile, rejected: 0, max_event_time: 0 }
        };
        let mut seen: Option<String> = None;
        for partitions in [1usize, 7, 64] {
            for _ in 0..5 {
                let mut panes = Vec::new();
                for partition in 0..partitions {
                    let end = (6_000 - partition).div_ceil(partitions);
                    let (mut at, mut written) = (0, 0);
                    while at < end {
                        let to = (at + 1 + (random.bits() % 90) as usize).min(end);
                        panes.push(pane_of(partitions, partition, at, to));
                        // A consumer that is killed after it published its pane begins again where its ledger ends.
                        if random.next().unwrap() < 0.2 {
                            at = written;
                        } else {
                            (written, at) = (to, to);
                        }
                    }
                }
                // Partitions come in any order, each of them in its own.
                let mut window = PaneSet::new(&layout, 1);
                while !panes.is_empty() {
                    let chosen = (random.bits() % panes.len() as u64) as usize;
                    let partition = panes[chosen].id.partition;
                    let first = panes.iter().position(|pane| pane.id.partition == partition).unwrap();
                    let stored = panes.remove(first).to_json(Stream::Records);
                    window.insert(Pane::from_json(&layout, stored.as_bytes()).unwrap()).unwrap();
                }
                let bytes = window.profile().unwrap().to_json();
                assert_eq!(*seen.get_or_insert(bytes.clone()), bytes, "{partitions} partitions");
                assert_eq!(window.rows(), 6_000);
            }
        }
    }

    #[test]
    fn a_replay_replaces_whatever_its_batches_look_like() {
        let layout = layout();
        let mut random = Lcg::new(8);
        let mut plain = PaneSet::new(&layout, 3);
        for from in 0..10 {
            plain.insert(pane(&layout, 0, from * 100, from * 100 + 100)).unwrap();
        }
        let expected = plain.profile().unwrap().to_json();
        for _ in 0..40 {
            let mut window = PaneSet::new(&layout, 3);
            let mut at = 0;
            while at < 1_000 {
                let to = (at + 1 + (random.bits() % 200) as i64).min(1_000);
                window.insert(pane(&layout, 0, at, to)).unwrap();
                // Now and then the consumer dies and starts again where some earlier pane began.
                let starts: Vec<i64> =
                    window.panes().map(|pane| pane.id.from_offset).filter(|from| *from < to).collect();
                let restart = starts[(random.bits() % starts.len() as u64) as usize];
                at = if random.next().unwrap() < 0.3 { restart } else { to };
            }
            assert_eq!(window.rows(), 1_000);
            assert_eq!(window.profile().unwrap().to_json(), expected);
            assert_eq!(window.ranges(), plain.ranges());
        }
        let again = plain.insert(pane(&layout, 0, 0, 1_000)).unwrap();
        assert_eq!((again, plain.rows()), (10, 1_000));
    }

    #[test]
    fn a_pane_that_overlaps_in_part_is_replaced_and_leaves_a_visible_hole() {
        let layout = layout();
        let mut window = PaneSet::new(&layout, 3);
        for (from, to) in [(0, 100), (100, 200), (200, 300)] {
            window.insert(pane(&layout, 0, from, to)).unwrap();
        }
        assert_eq!(window.insert(pane(&layout, 1, 150, 250)).unwrap(), 0, "another partition");
        assert_eq!(window.insert(pane(&layout, 0, 150, 200)).unwrap(), 1);
        let held: Vec<(i64, i64)> = window.ranges().iter().map(|range| (range.from_offset, range.to_offset)).collect();
        assert_eq!(held, [(0, 100), (150, 300), (150, 250)]);
        assert_eq!(window.rows(), 350);
    }

    #[test]
    fn panes_come_back_from_json_and_foreign_ones_are_refused() {
        let layout = layout();
        let made = pane(&layout, 2, 10, 40);
        let json = made.to_json(Stream::Predictions);
        let header = Pane::peek(json.as_bytes()).unwrap();
        assert_eq!((header.model_version, header.stream), (3, Stream::Predictions));
        assert_eq!(Pane::from_json(&layout, json.as_bytes()).unwrap(), made);
        let other = Layout::of(&[("x", &[1.0, 2.0])]);
        assert!(matches!(Pane::from_json(&other, json.as_bytes()), Err(Error::Profile { .. })));
        assert!(matches!(Pane::from_json(&layout, b"\x00"), Err(Error::Syntax(_))));
        assert!(matches!(PaneSet::new(&layout, 4).insert(made.clone()), Err(Error::OtherModel { .. })));
        assert!(matches!(PaneSet::new(&other, 3).insert(made), Err(Error::Profile { .. })));
        assert!(matches!(PaneSet::new(&layout, 3).insert(pane(&layout, 0, 5, 5)), Err(Error::EmptyRange(_))));
    }

    #[test]
    fn a_sliding_window_drops_what_is_old() {
        let layout = layout();
        let mut window = PaneSet::new(&layout, 3);
        for from in 0..5 {
            window.insert(pane(&layout, 0, from * 10, from * 10 + 10)).unwrap();
        }
        window.retain(|pane| pane.max_event_time > 20);
        assert_eq!((window.rows(), window.max_event_time()), (30, Some(50)));
        assert_eq!(window.ranges(), [PaneId { partition: 0, from_offset: 20, to_offset: 50 }]);
    }
}
