//! Counts the rows of a batch against the champion's reference: one pane a partition, named by its offsets.

use std::collections::BTreeMap;

use driftmill_drift::{Pane, PaneId, Profile, profile};
use driftmill_platform::kafka::{OffsetRange, Outgoing};
use driftmill_platform::stage::Tally;

use super::champion::Champion;
use super::encode::Rows;

/// The panes of a batch as records of the profiles topic, keyed by partition. Rows that an expectation set aside are not
/// counted: nobody trains on them.
pub fn panes(
    champion: &Champion,
    names: &[String],
    rows: &Rows,
    tallies: &BTreeMap<i32, Tally>,
    ranges: &[OffsetRange],
) -> Result<Vec<Outgoing>, profile::Error> {
    let layout = &champion.layout;
    // Features the reference does not know were added after the model was fitted: it does not see them.
    let known: Vec<(usize, &str)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (i, name.as_str()))
        .filter(|(_, n)| layout.index_of(n).is_some())
        .collect();
    let mut records = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mine: Vec<usize> = (0..rows.len())
            .filter(|&row| rows.partitions[row] == range.partition && rows.quarantined[row] == 0)
            .collect();
        let mut profile = Profile::new(layout);
        let mut values = Vec::with_capacity(mine.len());
        for &(index, name) in &known {
            // Almost always: one partition, nothing set aside.
            if mine.len() == rows.len() {
                profile.observe(name, &rows.features[index])?;
                continue;
            }
            values.clear();
            values.extend(mine.iter().map(|&row| rows.features[index][row]));
            profile.observe(name, &values)?;
        }
        let pane = Pane {
            id: PaneId { partition: range.partition, from_offset: range.from, to_offset: range.to },
            model_version: champion.version,
            profile,
            rejected: tallies.get(&range.partition).map_or(0, |tally| tally.rejected),
            max_event_time: mine.iter().map(|&row| rows.event_times[row]).max().unwrap_or_default(),
        };
        let key = range.partition.to_string().into_bytes();
        records.push(Outgoing { key, payload: pane.to_json().into_bytes(), ..Outgoing::default() });
    }
    Ok(records)
}
