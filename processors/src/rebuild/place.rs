//! Which offsets are made anew.

use std::collections::BTreeMap;

use driftmill_platform::clickhouse::{ClickHouse, Offsets};
use driftmill_platform::kafka::Admin;
use driftmill_schemas::topic::Topics;

use super::Error;
use crate::audit::count::bounds;

/// A place in the raw topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The first record that the topic still holds; as an end, the last one that was processed.
    Whole,
    /// The first record at or after this time in Kafka, milliseconds since 1970 UTC.
    Time(i64),
    /// This offset of every partition.
    Offset(i64),
    /// These offsets, by partition; partitions that are not named are not replayed.
    Offsets(BTreeMap<i32, i64>),
}

/// The offsets from `from` up to `to`, by partition, as far as they were processed and the topic still holds them. Records
/// that retention took cannot be read again: their rows stay as they are.
pub async fn ranges(
    clickhouse: &ClickHouse,
    admin: &Admin,
    pipeline: &str,
    from: &Place,
    to: &Place,
) -> Result<Vec<Offsets>, Error> {
    let topic = Topics::of(pipeline).raw;
    let held = admin.watermarks(&topic).await?;
    let processed = bounds(clickhouse, pipeline, |_| None).await?;
    for place in [from, to] {
        if let Place::Offsets(offsets) = place
            && let Some(partition) =
                offsets.keys().find(|partition| usize::try_from(**partition).is_ok_and(|p| p >= held.len()))
        {
            let most = held.len().saturating_sub(1);
            return Err(Error::Impossible(format!("`{topic}` has no partition {partition}: 0 to {most} exist")));
        }
    }
    if let (Place::Offset(from), Place::Offset(to)) | (Place::Time(from), Place::Time(to)) = (from, to)
        && from >= to
    {
        return Err(Error::Impossible("there is nothing to replay: the end is not behind the beginning".to_owned()));
    }
    let (from, to) = (offsets(admin, &topic, from).await?, offsets(admin, &topic, to).await?);
    let mut ranges = Vec::new();
    for bounds in processed {
        let partition = bounds.partition;
        let Some(&(low, _)) = usize::try_from(partition).ok().and_then(|place| held.get(place)) else { continue };
        let (Some(from), Some(to)) = (from.of(partition, i64::MIN), to.of(partition, i64::MAX)) else { continue };
        let (from, to) = (from.max(low).max(bounds.from), to.min(bounds.to));
        if from < to {
            ranges.push((partition, from, to));
        }
    }
    if ranges.is_empty() {
        return Err(Error::Impossible(format!(
            "there is nothing to replay: no record between these places was processed and is still in `{topic}`"
        )));
    }
    Ok(ranges)
}

/// A place, looked up.
enum Found {
    All,
    Same(i64),
    Each(BTreeMap<i32, i64>),
}

impl Found {
    /// The offset in a partition; `whole` where the place does not limit it, `None` where it leaves the partition out.
    fn of(&self, partition: i32, whole: i64) -> Option<i64> {
        match self {
            Self::All => Some(whole),
            Self::Same(offset) => Some(*offset),
            Self::Each(offsets) => offsets.get(&partition).copied(),
        }
    }
}

async fn offsets(admin: &Admin, topic: &str, place: &Place) -> Result<Found, Error> {
    Ok(match place {
        Place::Whole => Found::All,
        Place::Offset(offset) => Found::Same(*offset),
        Place::Offsets(offsets) => Found::Each(offsets.clone()),
        Place::Time(at) => Found::Each((0..).zip(admin.offsets_at(topic, *at).await?).collect()),
    })
}
