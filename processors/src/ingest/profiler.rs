//! Counts the rows of a batch against the champion's reference: one pane a partition, named by its offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftmill_drift::{Pane, PaneId, Profile, profile};
use driftmill_platform::kafka::{OffsetRange, Outgoing};
use driftmill_platform::stage::Tally;

use super::champion::Champion;
use super::encode::Rows;

/// The panes of one batch, while its rows come in.
pub struct Panes {
    champion: Arc<Champion>,
    /// Place among the rows' features, and name.
    known: Vec<(usize, String)>,
    partitions: BTreeMap<i32, Counted>,
    chosen: Vec<f64>,
}

struct Counted {
    profile: Profile,
    max_event_time: i64,
}

impl Panes {
    /// Nothing is counted yet of rows with the features `names`.
    pub fn new(champion: Arc<Champion>, names: &[String]) -> Self {
        // Features the reference does not know were added after the model was fitted: it does not see them.
        let known = names.iter().enumerate().filter(|(_, name)| champion.layout.index_of(name).is_some());
        let known = known.map(|(place, name)| (place, name.clone())).collect();
        Self { champion, known, partitions: BTreeMap::new(), chosen: Vec::new() }
    }

    /// Counts rows, but those that an expectation set aside: nobody trains on them.
    pub fn observe(&mut self, rows: &Rows) -> Result<(), profile::Error> {
        let Some(&first) = rows.partitions.first() else { return Ok(()) };
        // Almost always: one partition, nothing set aside.
        if rows.partitions.iter().all(|partition| *partition == first) && rows.quarantined.iter().all(|one| *one == 0) {
            return self.count(first, rows, None);
        }
        let mut of_partition: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (row, partition) in rows.partitions.iter().enumerate().filter(|(row, _)| rows.quarantined[*row] == 0) {
            of_partition.entry(*partition).or_default().push(row);
        }
        of_partition.into_iter().try_for_each(|(partition, mine)| self.count(partition, rows, Some(&mine)))
    }

    /// Counts the rows `mine`, or all of them, for `partition`.
    fn count(&mut self, partition: i32, rows: &Rows, mine: Option<&[usize]>) -> Result<(), profile::Error> {
        let layout = &self.champion.layout;
        let counted = self
            .partitions
            .entry(partition)
            .or_insert_with(|| Counted { profile: Profile::new(layout), max_event_time: i64::MIN });
        for (place, name) in &self.known {
            // A reference of numbers says nothing of texts and images.
            let Some(values) = rows.features[*place].numbers() else { continue };
            match mine {
                None => counted.profile.observe(name, values)?,
                Some(mine) => {
                    self.chosen.clear();
                    self.chosen.extend(mine.iter().map(|&row| values[row]));
                    counted.profile.observe(name, &self.chosen)?;
                }
            }
        }
        let times = &rows.event_times;
        let latest = match mine {
            None => times.iter().max().copied(),
            Some(mine) => mine.iter().map(|&row| times[row]).max(),
        };
        counted.max_event_time = counted.max_event_time.max(latest.unwrap_or(i64::MIN));
        Ok(())
    }

    /// The panes of `ranges` as records of the profiles topic, keyed by partition: a range without rows has one, too.
    pub fn finish(mut self, tallies: &BTreeMap<i32, Tally>, ranges: &[OffsetRange]) -> Vec<Outgoing> {
        let mut records = Vec::with_capacity(ranges.len());
        for range in ranges {
            let counted = self.partitions.remove(&range.partition);
            let pane = Pane {
                id: PaneId { partition: range.partition, from_offset: range.from, to_offset: range.to },
                model_version: self.champion.version,
                rejected: tallies.get(&range.partition).map_or(0, |tally| tally.rejected),
                max_event_time: counted.as_ref().map_or(0, |counted| counted.max_event_time),
                profile: counted.map_or_else(|| Profile::new(&self.champion.layout), |counted| counted.profile),
            };
            let key = range.partition.to_string().into_bytes();
            records.push(Outgoing { key, payload: pane.to_json().into_bytes(), ..Outgoing::default() });
        }
        records
    }
}
