//! Partitions that a group has given to nobody.
//!
//! A cooperative rebalance takes two rounds: in the first, who has a partition too many lets it go, and asks for the second, in
//! which somebody else gets it. A member that has a name of its own (static membership) and is killed between the two is,
//! when it comes back, told once more what it was told last, without a round. It has nothing to let go, so nobody asks for
//! the second one, and the group is content with partitions that nobody reads. Who notices joins anew.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::time::Instant;
use tracing::debug;

use super::context::Context;

/// Time between two looks at the group.
const EVERY: Duration = Duration::from_secs(5);
/// How long a look may take: nothing is read meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// What the broker calls a group in which no rebalance is under way.
const STABLE: &str = "Stable";

/// Looks at a group from time to time.
pub(super) struct GroupWatch {
    group: String,
    looked: Instant,
    /// Partitions that were nobody's at the last look.
    suspects: Vec<i32>,
}

impl GroupWatch {
    pub(super) fn new(group: String) -> Self {
        Self { group, looked: Instant::now(), suspects: Vec::new() }
    }

    /// Partitions of `topic` that are nobody's for good: at two looks in a row, and not in the middle of a rebalance. Mostly
    /// it is not time for a look, and the answer is none.
    pub(super) fn unowned(&mut self, consumer: &BaseConsumer<Context>, topic: &str) -> Vec<i32> {
        if self.looked.elapsed() < EVERY {
            return Vec::new();
        }
        self.looked = Instant::now();
        let found = match look(consumer, &self.group, topic) {
            Ok(found) => found,
            Err(error) => {
                debug!(group = self.group, error, "the group cannot be looked at");
                Vec::new()
            }
        };
        let confirmed = if found == self.suspects { found.clone() } else { Vec::new() };
        // Whoever is told acts on it; the next look begins anew.
        self.suspects = if confirmed.is_empty() { found } else { Vec::new() };
        confirmed
    }
}

fn look(consumer: &BaseConsumer<Context>, group: &str, topic: &str) -> Result<Vec<i32>, String> {
    let groups = consumer.fetch_group_list(Some(group), PATIENCE).map_err(|e| e.to_string())?;
    let Some(group) = groups.groups().iter().find(|found| found.name() == group) else { return Ok(Vec::new()) };
    if group.state() != STABLE {
        return Ok(Vec::new());
    }
    let mut owned = BTreeSet::new();
    for member in group.members() {
        let assignment = member.assignment().unwrap_or_default();
        owned.extend(assigned(assignment, topic).ok_or("an assignment cannot be read")?);
    }
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(|e| e.to_string())?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.into_iter().flat_map(|found| found.partitions()).map(|partition| partition.id());
    let mut unowned: Vec<i32> = partitions.filter(|partition| !owned.contains(partition)).collect();
    unowned.sort_unstable();
    Ok(unowned)
}

/// The partitions of `topic` in an assignment as Kafka's consumer protocol writes it: version, then topics with their
/// partitions, everything big-endian. `None` if it is none; an empty one is one without partitions.
fn assigned(bytes: &[u8], topic: &str) -> Option<Vec<i32>> {
    fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (head, tail) = rest.split_at_checked(count)?;
        *rest = tail;
        Some(head)
    }
    fn int(rest: &mut &[u8]) -> Option<i32> {
        take(rest, 4)?.try_into().ok().map(i32::from_be_bytes)
    }
    fn short(rest: &mut &[u8]) -> Option<i16> {
        take(rest, 2)?.try_into().ok().map(i16::from_be_bytes)
    }
    let mut rest = bytes;
    let mut partitions = Vec::new();
    if rest.is_empty() {
        return Some(partitions);
    }
    short(&mut rest)?;
    for _ in 0..int(&mut rest)? {
        let length = usize::try_from(short(&mut rest)?).ok()?;
        let is_it = take(&mut rest, length)? == topic.as_bytes();
        for _ in 0..int(&mut rest)? {
            let partition = int(&mut rest)?;
            if is_it {
                partitions.push(partition);
            }
        }
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(topics: &[(&str, &[i32])]) -> Vec<u8> {
        let mut bytes = 1_i16.to_be_bytes().to_vec();
        bytes.extend((topics.len() as i32).to_be_bytes());
        for (topic, partitions) in topics {
            bytes.extend((topic.len() as i16).to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            partitions.iter().for_each(|partition| bytes.extend(partition.to_be_bytes()));
        }
        // Data of the assignor's own: none.
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    #[test]
    fn an_assignment_tells_the_partitions_of_a_topic() {
        let bytes = assignment(&[("other", &[0]), ("raw", &[3, 1])]);
        assert_eq!(assigned(&bytes, "raw"), Some(vec![3, 1]));
        assert_eq!(assigned(&bytes, "third"), Some(vec![]));
        assert_eq!(assigned(&[], "raw"), Some(vec![]));
    }

    #[test]
    fn an_assignment_that_is_cut_off_is_none() {
        let bytes = assignment(&[("raw", &[3, 1])]);
        for end in 1..bytes.len() - 4 {
            assert_eq!(assigned(&bytes[..end], "raw"), None, "{end}");
        }
        assert_eq!(assigned(&[0, 1, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff], "raw"), None);
    }
}
