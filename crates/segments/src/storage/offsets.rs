//! Committed offsets.

use std::collections::BTreeMap;

use nisshi_sans_io::ErrorCode;
use nisshi_storage::{Error, OffsetCommitRequest, Result, Topition};

use super::api;
use crate::journal::Key;
use crate::store::Inner;

pub(super) fn commit(
    inner: &Inner,
    group_id: &str,
    offsets: Vec<(Topition, OffsetCommitRequest)>,
) -> Result<Vec<(Topition, ErrorCode)>> {
    let mut changes = Vec::with_capacity(offsets.len());
    let mut answers = Vec::with_capacity(offsets.len());
    for (topition, commit) in offsets {
        if inner.log(&topition).is_none() {
            answers.push((topition, ErrorCode::UnknownTopicOrPartition));
            continue;
        }
        changes.push((key(group_id, &topition), Some(serde_json::to_vec(&commit)?)));
        answers.push((topition, ErrorCode::None));
    }
    // All or none: a group whose commit half succeeded would be told of an error for what was kept.
    if let Err(error) = inner.journal.apply(changes).and_then(|()| inner.settle()) {
        let code = if let Error::Api(code) = api(error) { code } else { ErrorCode::UnknownServerError };
        answers.iter_mut().filter(|(_, answer)| *answer == ErrorCode::None).for_each(|(_, answer)| *answer = code);
    }
    Ok(answers)
}

pub(super) fn fetch(inner: &Inner, group_id: Option<&str>, topics: &[Topition]) -> Result<BTreeMap<Topition, i64>> {
    let Some(group_id) = group_id else { return Ok(BTreeMap::new()) };
    let offset = |topition: &Topition| match inner.journal.get(&key(group_id, topition)) {
        None => Ok((topition.clone(), -1)),
        Some(value) => decode(&value).map(|offset| (topition.clone(), offset)),
    };
    topics.iter().map(offset).collect()
}

pub(super) fn all(inner: &Inner, group_id: &str) -> Result<BTreeMap<Topition, i64>> {
    inner.journal.range(of_group(group_id), |entries| {
        let of_group = entries.map_while(|(key, value)| match key {
            Key::Offset(group, topic, partition) if group == group_id => {
                Some((Topition::new(topic.clone(), *partition), value))
            }
            _ => None,
        });
        of_group.map(|(topition, value)| Ok((topition, decode(value)?))).collect()
    })
}

/// Keys from a group's first possible offset on; those of later groups follow.
pub(super) fn of_group(group_id: &str) -> std::ops::RangeFrom<Key> {
    Key::Offset(group_id.to_owned(), String::new(), i32::MIN)..
}

fn key(group_id: &str, topition: &Topition) -> Key {
    Key::Offset(group_id.to_owned(), topition.topic().to_owned(), topition.partition())
}

fn decode(value: &[u8]) -> Result<i64> {
    let commit: OffsetCommitRequest = serde_json::from_slice(value)?;
    Ok(commit.offset)
}
