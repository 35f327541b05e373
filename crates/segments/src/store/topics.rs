//! Making, changing and deleting topics.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use uuid::Uuid;

use super::topic::{StoredTopic, Topic};
use super::{Inner, TOPICS};
use crate::disk;
use crate::error::{Error, Result};
use crate::journal::{Journal, Key};
use crate::log::{PartitionLog, Shared};

/// Characters of a topic's name that go into its folder's; the id makes it unique.
const NAME_IN_FOLDER: usize = 180;

impl Inner {
    /// Makes a topic. `None` when one of that name is there.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication_factor: i16,
        configs: BTreeMap<String, Option<String>>,
    ) -> Result<Option<Uuid>> {
        let _no_deletion = self.deletion.lock().unwrap_or_else(PoisonError::into_inner);
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.by_name.contains_key(name) {
            return Ok(None);
        }
        let id = Uuid::now_v7();
        let readable: String = name.chars().take(NAME_IN_FOLDER).collect();
        let stored = StoredTopic {
            id: id.into_bytes(),
            partitions,
            replication_factor,
            configs,
            folder: format!("{readable}-{}", id.simple()),
            producers_before: self.producer_ids.last(),
            deleted: false,
        };
        self.journal.apply(vec![(Key::Topic(name.to_owned()), Some(stored.encode()))])?;
        // A topic is made rarely, and one that a power cut forgets would leave its records without a name.
        self.journal.sync()?;
        let log = |partition: i32| {
            let folder = topic_folder(&self.shared, &stored).join(partition.to_string());
            Arc::new(PartitionLog::empty(folder, self.shared.clone(), 0, stored.producers_before))
        };
        let logs = (0..partitions).map(log).collect();
        topics.insert(Topic::new(name.to_owned(), stored, logs));
        Ok(Some(id))
    }

    /// Replaces a topic's configuration by what `change` makes of it. `None` when there is no such topic.
    pub fn configure_topic<E: From<Error>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut BTreeMap<String, Option<String>>) -> Result<(), E>,
    ) -> Result<Option<()>, E> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let Some(topic) = topics.by_name.get(name) else { return Ok(None) };
        let mut stored = topic.stored.clone();
        change(&mut stored.configs)?;
        let logs = topic.logs.clone();
        self.journal.apply(vec![(Key::Topic(name.to_owned()), Some(stored.encode()))])?;
        self.shared.queue.push_journal();
        topics.insert(Topic::new(name.to_owned(), stored, logs));
        Ok(Some(()))
    }

    /// Deletes a topic with its records and committed offsets. Blocks for as long as deleting files takes.
    pub fn delete_topic(&self, topic: &Topic) -> Result<()> {
        let _deletion = self.deletion.lock().unwrap_or_else(PoisonError::into_inner);
        let _no_maintenance = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = StoredTopic { deleted: true, ..topic.stored.clone() };
        {
            let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            if topics.names.remove(&topic.id).is_none() {
                return Ok(());
            }
            self.journal.apply(vec![(Key::Topic(topic.name.clone()), Some(stored.encode()))])?;
            topics.by_name.remove(&topic.name);
        }
        self.journal.sync()?;
        topic.logs.iter().for_each(|log| log.mark_deleted());
        finish_deletion(&self.shared, &self.journal, &topic.name, &stored)
    }
}

/// Deletes the files of a topic whose deletion was noted, and then the note.
pub(super) fn finish_deletion(shared: &Shared, journal: &Journal, name: &str, stored: &StoredTopic) -> Result<()> {
    let folder = topic_folder(shared, stored);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("delete", &folder)(error)),
        _ => disk::sync_dir(&shared.options.folder.join(TOPICS))?,
    }
    journal.update(|entries| {
        let belongs = |key: &Key| match key {
            Key::LogStart(id, _) => *id == stored.id,
            Key::Offset(_, topic, _) => topic == name,
            _ => false,
        };
        let mut gone: Vec<_> = entries.keys().filter(|key| belongs(key)).map(|key| (key.clone(), None)).collect();
        gone.push((Key::Topic(name.to_owned()), None));
        Ok::<_, Error>(((), gone))
    })?;
    shared.queue.push_journal();
    Ok(())
}

fn topic_folder(shared: &Shared, stored: &StoredTopic) -> PathBuf {
    shared.options.folder.join(TOPICS).join(&stored.folder)
}
