//! Consumer groups: the coordinator's state of each, replaced only by somebody who has seen the present one.

use std::collections::{BTreeMap, BTreeSet};

use nisshi_sans_io::ErrorCode;
use nisshi_sans_io::delete_groups_response::DeletableGroupResult;
use nisshi_storage::{Error, GroupDetail, NamedGroupDetail, Result, UpdateError, Version};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::api;
use super::offsets::of_group;
use crate::error::Error as StoreError;
use crate::journal::Key;
use crate::store::Inner;

#[derive(Debug, Serialize, Deserialize)]
struct Stored<D> {
    version: Uuid,
    detail: D,
}

pub(super) fn with_version(inner: &Inner, group_id: &str) -> Result<Option<(GroupDetail, Version)>> {
    let stored = inner.journal.get(&Key::Group(group_id.to_owned()));
    let decoded = stored.map(|value| serde_json::from_slice::<Stored<GroupDetail>>(&value)).transpose()?;
    Ok(decoded.map(|stored| (stored.detail, Version::from(&stored.version))))
}

pub(super) fn update(
    inner: &Inner,
    group_id: &str,
    detail: &GroupDetail,
    version: Option<&Version>,
) -> Result<Version, UpdateError<GroupDetail>> {
    let key = Key::Group(group_id.to_owned());
    let next = Uuid::new_v4();
    let value = serde_json::to_vec(&Stored { version: next, detail })?;
    let updated = inner.journal.update(|entries| {
        let present = entries.get(&key).map(|value| serde_json::from_slice::<Stored<GroupDetail>>(value)).transpose();
        match present.map_err(|error| Update(error.into()))? {
            Some(present) if version != Some(&Version::from(&present.version)) => Err(Update(UpdateError::Outdated {
                current: Box::new(present.detail),
                version: Version::from(&present.version),
            })),
            // A version of a group that is gone is no obstacle: the group starts anew.
            _ => Ok(((), vec![(key.clone(), Some(value))])),
        }
    });
    updated.map_err(|Update(error)| error)?;
    inner.shared.queue.push_journal();
    Ok(Version::from(&next))
}

/// An error of the decision or of the write.
struct Update(UpdateError<GroupDetail>);

impl From<StoreError> for Update {
    fn from(error: StoreError) -> Self {
        Self(UpdateError::Error(api(error)))
    }
}

pub(super) fn list(inner: &Inner) -> Vec<NamedGroupDetail> {
    let mut groups: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
    inner.journal.range(Key::Group(String::new()).., |entries| {
        for (key, value) in entries {
            match key {
                Key::Group(group) => _ = groups.insert(group.clone(), Some(value.clone())),
                Key::Offset(group, ..) => _ = groups.entry(group.clone()).or_default(),
                _ => {}
            }
        }
    });
    groups
        .into_iter()
        .map(|(group, value)| NamedGroupDetail::decoded(group, value.map(|value| decode(&value))))
        .collect()
}

pub(super) fn describe(inner: &Inner, group_ids: &[String]) -> Vec<NamedGroupDetail> {
    let known = |group: &String| {
        let key = Key::Group(group.clone());
        let stored = inner.journal.get(&key).map(|value| decode(&value));
        if stored.is_none() && offsets(inner, group).is_empty() {
            return NamedGroupDetail::error_code(group.clone(), ErrorCode::GroupIdNotFound);
        }
        NamedGroupDetail::decoded(group.clone(), stored)
    };
    group_ids.iter().map(known).collect()
}

pub(super) fn delete(inner: &Inner, group_ids: &[String]) -> Result<Vec<DeletableGroupResult>> {
    let delete = |group: &String| {
        let mut keys = offsets(inner, group);
        keys.extend(Some(Key::Group(group.clone())).filter(|key| inner.journal.get(key).is_some()));
        if keys.is_empty() {
            return ErrorCode::GroupIdNotFound;
        }
        let gone = keys.into_iter().map(|key| (key, None)).collect();
        match inner.journal.apply(gone).and_then(|()| inner.settle()).map_err(api) {
            Ok(()) => ErrorCode::None,
            Err(Error::Api(code)) => code,
            Err(_) => ErrorCode::UnknownServerError,
        }
    };
    let result =
        |group: &String| DeletableGroupResult::default().group_id(group.clone()).error_code(delete(group).into());
    Ok(group_ids.iter().map(result).collect())
}

fn offsets(inner: &Inner, group_id: &str) -> BTreeSet<Key> {
    inner.journal.range(of_group(group_id), |entries| {
        let keys = entries.map(|(key, _)| key);
        keys.take_while(|key| matches!(key, Key::Offset(group, ..) if group == group_id)).cloned().collect()
    })
}

fn decode(value: &[u8]) -> serde_json::Result<GroupDetail> {
    serde_json::from_slice::<Stored<GroupDetail>>(value).map(|stored| stored.detail)
}
