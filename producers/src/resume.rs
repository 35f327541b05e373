//! Finds out where a source goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use driftmill_platform::store::Store;
use driftmill_schemas::topic::Topics;
use tracing::info;

use crate::Error;
use crate::checkpoint::{Checkpoint, SEQUENCE_HEADER, SOURCES_TOPIC};
use crate::keeper::{Keeper, Lane, Memory, Spot};
use crate::known::Known;
use crate::plan::Plan;
use crate::sink::{Seen, Sink};
use crate::source::{Identity, Position};

/// How long an unfinished source must be silent before somebody else goes on with it.
const SILENCE: Duration = Duration::from_millis(500);
/// How often that is tried.
const TRIES: usize = 3;

/// The state to start from: that of the last checkpoint and of the topics' tails, or a new one. With `restart`, a new one
/// that begins at that item.
pub(crate) async fn resume<S: Sink>(
    sink: &S,
    plan: &Plan,
    topics: &Topics,
    store: &Store,
    restart: Option<u64>,
) -> Result<Keeper, Error> {
    let raw = ends(sink, &topics.raw).await?;
    let rejected = ends(sink, &topics.rejected).await?;
    let last = if restart.is_some() { None } else { last_checkpoint(sink, plan).await? };
    let Some(last) = last else {
        let start = Position { sequence: restart.unwrap_or_default(), ..Position::default() };
        return Ok(Keeper::new(start, raw, rejected, BTreeMap::new()));
    };
    plan.check_unchanged(&last).await?;
    still_there(&topics.raw, &last.raw, &raw)?;
    still_there(&topics.rejected, &last.rejected, &rejected)?;
    let mut memory = Memory {
        state: last.state.as_deref().map(Into::into),
        places: last.places.clone(),
        known: Known::from_checkpoint(&last.sealed, last.known.as_deref()),
    };
    if last.clean {
        return Ok(Keeper::new(last.position, raw, rejected, BTreeMap::new()).with(memory));
    }
    let ([raw_end, rejected_end], mut present) = tail(sink, plan, topics, &last).await?;
    info!(
        source = plan.key,
        position = last.position.sequence,
        ahead = present.len(),
        "going on after an interruption"
    );
    // What is found by its fingerprint is remembered from here on, so that nothing has to be looked up twice.
    let before = if last.sealed.is_empty() { Default::default() } else { memory.known.all(store).await? };
    let mut position = last.position;
    present.retain(|identity, _| {
        let Identity::Hash(one) = *identity else { return true };
        if !before.contains(&one) && memory.known.insert(one) {
            position.sequence += 1;
        }
        false
    });
    if plan.remembers() {
        return Ok(Keeper::new(position, raw_end, rejected_end, present).with(memory));
    }
    // Partitions that were added since begin at 0.
    let from = |offsets: &[i64], ends: &[i64]| (0..ends.len()).map(|p| offsets.get(p).copied().unwrap_or(0)).collect();
    Ok(Keeper::new(position, from(&last.raw, &raw), from(&last.rejected, &rejected), present).with(memory))
}

async fn ends<S: Sink>(sink: &S, topic: &str) -> Result<Vec<i64>, Error> {
    let ends = sink.ends(topic).await?;
    if ends.is_empty() { Err(Error::NoTopic(topic.to_owned())) } else { Ok(ends) }
}

async fn last_checkpoint<S: Sink>(sink: &S, plan: &Plan) -> Result<Option<Checkpoint>, Error> {
    let ends = sink.ends(SOURCES_TOPIC).await?;
    let mut last = None;
    sink.read(SOURCES_TOPIC, &vec![0; ends.len()], &ends, &mut |seen| {
        // What another version wrote and this one cannot read is not ours to stumble over.
        if let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(seen.payload)
            && checkpoint.pipeline == plan.pipeline
            && checkpoint.source == plan.key
        {
            last = Some(checkpoint);
        }
    })
    .await?;
    Ok(last)
}

fn still_there(topic: &str, wanted: &[i64], ends: &[i64]) -> Result<(), Error> {
    for (partition, &wanted) in wanted.iter().enumerate() {
        let end = ends.get(partition).copied().unwrap_or(0);
        if end < wanted {
            return Err(Error::TopicRecreated { topic: topic.to_owned(), partition, wanted, end });
        }
    }
    Ok(())
}

/// Items, by their names.
type Present = BTreeMap<Identity, Spot>;

/// What lies beyond the position of `last`, and up to where both topics were read for it.
async fn tail<S: Sink>(
    sink: &S,
    plan: &Plan,
    topics: &Topics,
    last: &Checkpoint,
) -> Result<([Vec<i64>; 2], Present), Error> {
    let lanes = [(Lane::Raw, &topics.raw), (Lane::Rejected, &topics.rejected)];
    let (mut from, mut present) = ([last.raw.clone(), last.rejected.clone()], BTreeMap::new());
    for _ in 0..TRIES {
        let before = [sink.ends(lanes[0].1).await?, sink.ends(lanes[1].1).await?];
        tokio::time::sleep(SILENCE).await;
        let mut arriving = false;
        for (i, (lane, topic)) in lanes.into_iter().enumerate() {
            let to = sink.ends(topic).await?;
            sink.read(topic, &from[i], &to, &mut |seen| {
                let Some(identity) = identity(&seen, &plan.key) else { return };
                arriving |= before[i].get(seen.partition).is_none_or(|before| seen.offset >= *before);
                let beyond = match identity {
                    Identity::Number(number) => number >= last.position.sequence,
                    Identity::Place(partition, offset) => last.places.get(&partition).is_none_or(|at| offset >= *at),
                    Identity::Hash(_) => true,
                };
                if beyond {
                    // Should an item be there twice after all, the earlier place is the one to stay behind.
                    present.entry(identity).or_insert(Spot { lane, partition: seen.partition, offset: seen.offset });
                }
            })
            .await?;
            from[i] = to;
        }
        if !arriving {
            return Ok((from, present));
        }
    }
    Err(Error::Busy { source_name: plan.name.clone() })
}

/// The name of the item that became this message, if the source called `key` sent it.
fn identity(seen: &Seen<'_>, key: &str) -> Option<Identity> {
    let (_, value) = seen.headers.iter().find(|(name, _)| name == SEQUENCE_HEADER)?;
    let name = value.strip_prefix(key.as_bytes())?.strip_prefix(b":")?;
    std::str::from_utf8(name).ok()?.parse().ok()
}
