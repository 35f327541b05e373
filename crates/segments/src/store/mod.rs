//! The store: topics and their logs, and how it is opened and closed.

mod maintain;
mod partition;
mod producer_ids;
mod topic;
mod topics;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use nisshi_storage::{TopicId, Topition};
use tracing::{info, warn};
use uuid::Uuid;

use crate::disk;
use crate::error::{Error, Result};
use crate::journal::{Journal, Key};
use crate::log::files::Files;
use crate::log::{PartitionLog, Shared, Trust};
use crate::options::{Durability, Options};
use crate::syncer::{Checkpoint, Queue, Syncer};

pub(crate) use self::partition::read;
pub use self::partition::{Follower, Offsets, Partition};
use self::producer_ids::ProducerIds;
use self::topic::StoredTopic;
pub(crate) use self::topic::Topic;

/// What the file `format` says. Another content means files that are laid out in another way.
const FORMAT: &str = "driftmill segments 1\n";
/// The folder of all topics.
const TOPICS: &str = "topics";

/// An open store. Clones are handles to the same one.
///
/// [`Self::close`] ends it; without that, whatever was acknowledged is kept all the same, and the next
/// [`Self::open`] takes longer.
#[derive(Debug, Clone)]
pub struct SegmentStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    pub journal: Arc<Journal>,
    topics: RwLock<Topics>,
    producer_ids: ProducerIds,
    /// One maintenance at a time, and none while a topic is deleted.
    maintenance: Mutex<()>,
    /// No topic is made while one, perhaps of the same name, is deleted.
    deletion: Mutex<()>,
    syncer: Mutex<Option<Syncer>>,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: BTreeMap<String, Arc<Topic>>,
    names: BTreeMap<Uuid, String>,
}

impl SegmentStore {
    /// Opens the store in its folder, makes it when there is none, and recovers what an interruption left. Blocks.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::Format`] tell what to do; nothing was changed then that an interrupted write
    /// does not explain.
    pub fn open(options: Options) -> Result<Self> {
        let folder = options.folder.clone();
        disk::create_dir(&folder)?;
        check_format(&folder, &options)?;
        disk::create_dir(&folder.join(TOPICS))?;
        let mut checkpoint = Checkpoint::read(&folder)?;
        let same_boot = checkpoint.is_of_this_boot();
        let journal = Arc::new(Journal::open(folder.join("journal"), options.space.clone(), same_boot)?);
        let files = Files::new(options.open_files);
        let shared = Arc::new(Shared { options, files, queue: Queue::default() });

        let trust = |folder: &Path| if same_boot { Trust::Writes } else { Trust::Synced(checkpoint.point(folder)) };
        let topics = load_topics(&shared, &journal, &trust)?;
        let seen = topics.by_name.values().flat_map(|topic| &topic.logs).map(|log| log.greatest_producer()).max();
        let producer_ids = ProducerIds::open(&journal, seen.unwrap_or(-1))?;
        if let Err(error) = checkpoint.write(&folder, &shared.options.space) {
            warn!(%error, "the checkpoint was not written; a start after a power cut verifies more");
        }
        let syncer = Syncer::start(&shared.options, shared.clone(), journal.clone(), checkpoint)?;
        info!(folder = %folder.display(), topics = topics.by_name.len(), "the segment store is open");
        Ok(Self(Arc::new(Inner {
            shared,
            journal,
            topics: RwLock::new(topics),
            producer_ids,
            maintenance: Mutex::new(()),
            deletion: Mutex::new(()),
            syncer: Mutex::new(Some(syncer)),
        })))
    }

    /// Forces everything to the disk, notes what makes the next start quick, and stops the store's thread. Blocks.
    /// Appends that come later are kept, as after a kill.
    ///
    /// # Errors
    /// The first trouble; the rest was tried all the same.
    pub fn close(&self) -> Result<()> {
        self.0.close()
    }

    /// The partition of a topic, by the topic's name or id; `None` when there is none.
    pub fn partition(&self, topic: &TopicId, partition: i32) -> Option<Partition> {
        let topic = self.0.topic(topic)?;
        let log = topic.log(partition)?.clone();
        Some(Partition::new(topic, log))
    }

    /// The name and id of a topic, by either.
    pub fn identify(&self, topic: &TopicId) -> Option<(String, Uuid)> {
        self.0.topic(topic).map(|topic| (topic.name.clone(), topic.id))
    }
}

impl Inner {
    pub fn topic(&self, id: &TopicId) -> Option<Arc<Topic>> {
        let topics = self.topics();
        match id {
            TopicId::Name(name) => topics.by_name.get(name).cloned(),
            TopicId::Id(id) => topics.names.get(id).and_then(|name| topics.by_name.get(name)).cloned(),
        }
    }

    pub fn log(&self, topition: &Topition) -> Option<(Arc<Topic>, Arc<PartitionLog>)> {
        let topic = self.topics().by_name.get(topition.topic())?.clone();
        let log = topic.log(topition.partition())?.clone();
        Some((topic, log))
    }

    /// All topics, by name.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.topics().by_name.values().cloned().collect()
    }

    pub fn allocate_producer(&self) -> Result<i64> {
        self.producer_ids.allocate(&self.journal)
    }

    /// Makes changes to the journal as durable as records are.
    pub fn settle(&self) -> Result<()> {
        match self.shared.options.durability {
            Durability::Power => self.journal.sync(),
            Durability::Process => {
                self.shared.queue.push_journal();
                Ok(())
            }
        }
    }

    fn topics(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> Result<()> {
        let syncer = self.syncer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(syncer) = syncer else { return Ok(()) };
        let mut checkpoint = syncer.stop(&self.shared.queue);
        let mut outcome = self.journal.sync();
        for log in self.all().iter().flat_map(|topic| &topic.logs) {
            match log.close() {
                Ok(point) => {
                    if let Ok(relative) = log.folder().strip_prefix(&self.shared.options.folder) {
                        checkpoint.set(relative, point);
                    }
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.and(checkpoint.write(&self.shared.options.folder, &self.shared.options.space))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            warn!(%error, "the segment store was not closed cleanly; the next start takes longer");
        }
    }
}

fn check_format(folder: &Path, options: &Options) -> Result<()> {
    let path = folder.join("format");
    match fs::read_to_string(&path) {
        Ok(found) if found == FORMAT => Ok(()),
        Ok(found) => {
            let reason = format!("it says {:?} where this one reads {:?}", found.trim(), FORMAT.trim());
            Err(Error::Format { path, reason })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            disk::replace(&path, FORMAT.as_bytes(), &options.space, true)
        }
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

fn load_topics(shared: &Arc<Shared>, journal: &Journal, trust: &dyn Fn(&Path) -> Trust) -> Result<Topics> {
    let now = shared.options.clock.millis();
    let mut topics = Topics::default();
    let stored: Vec<(String, Vec<u8>)> = journal.range(.., |entries| {
        let named = |(key, value): (&Key, &Vec<u8>)| match key {
            Key::Topic(name) => Some((name.clone(), value.clone())),
            _ => None,
        };
        entries.filter_map(named).collect()
    });
    for (name, value) in stored {
        let stored = StoredTopic::decode(&name, &value, &shared.options.folder)?;
        if stored.deleted {
            topics::finish_deletion(shared, journal, &name, &stored)?;
            continue;
        }
        let open = |partition| {
            let relative = Path::new(TOPICS).join(&stored.folder).join(i32::to_string(&partition));
            let folder = shared.options.folder.join(&relative);
            let start = journal.get(&Key::LogStart(stored.id, partition));
            let start = start.and_then(|start| Some(i64::from_be_bytes(start.try_into().ok()?))).unwrap_or(0);
            PartitionLog::open(folder, shared.clone(), trust(&relative), start, stored.producers_before, now)
        };
        let logs: Result<Vec<_>> = (0..stored.partitions).map(|partition| open(partition).map(Arc::new)).collect();
        topics.insert(Topic::new(name, stored, logs?));
    }
    Ok(topics)
}

impl Topics {
    fn insert(&mut self, topic: Topic) {
        self.names.insert(topic.id, topic.name.clone());
        self.by_name.insert(topic.name.clone(), Arc::new(topic));
    }
}
