//! The store over its whole life: started again, maintained, with a full disk, and in somebody else's folder.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use driftmill_segments::{Clock, Durability, Error, Options, SegmentStore, Space};
use nisshi_sans_io::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use nisshi_sans_io::record::{Record, deflated, inflated};
use nisshi_sans_io::{ConfigResource, ErrorCode, IsolationLevel};
use nisshi_storage::{Error as ApiError, GroupDetail, OffsetCommitRequest, Storage as _, TopicId, Topition};
use tempfile::TempDir;
use url::Url;

const DAY: i64 = 86_400_000;
const START: i64 = 1_700_000_000_000;

struct Home {
    home: TempDir,
    now: Arc<AtomicI64>,
    space: Arc<AtomicU64>,
}

impl Home {
    fn new() -> Self {
        let (now, space) = (Arc::new(AtomicI64::new(START)), Arc::new(AtomicU64::new(u64::MAX)));
        Self { home: tempfile::tempdir().unwrap(), now, space }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("store")
    }

    fn options(&self) -> Options {
        let now = self.now.clone();
        let clock = Clock::new(move || time(now.load(Ordering::SeqCst)));
        let options = Options::new(self.folder(), clock, Url::parse("tcp://127.0.0.1:9092").unwrap());
        Options { space: Space::Limited(self.space.clone()), open_files: 8, ..options }
    }

    fn open(&self) -> SegmentStore {
        SegmentStore::open(self.options()).unwrap()
    }
}

fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

async fn create(store: &SegmentStore, name: &str, partitions: i32, configs: &[(&str, &str)]) {
    let config = |(name, value): &(&str, &str)| {
        CreatableTopicConfig::default().name((*name).to_owned()).value(Some((*value).to_owned()))
    };
    let topic = CreatableTopic::default()
        .name(name.to_owned())
        .num_partitions(partitions)
        .replication_factor(1)
        .assignments(Some(Vec::new()))
        .configs(Some(configs.iter().map(config).collect()));
    store.create_topic(topic, false).await.unwrap();
}

fn batch(key: Option<&str>, value: &str) -> deflated::Batch {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let record = Record::builder().key(key.map(bytes)).value(Some(bytes(value)));
    let batch = inflated::Batch::builder()
        .base_timestamp(START)
        .max_timestamp(START)
        .producer_id(-1)
        .producer_epoch(-1)
        .base_sequence(-1)
        .record(record);
    deflated::Batch::try_from(batch.build().unwrap()).unwrap()
}

async fn produce(store: &SegmentStore, topition: &Topition, value: &str) -> Result<i64, ApiError> {
    store.produce(None, topition, batch(Some("key"), value)).await
}

async fn values(store: &SegmentStore, topition: &Topition) -> Vec<String> {
    let mut offset = store.offset_stage(topition).await.unwrap().log_start;
    let mut values = Vec::new();
    loop {
        let isolation = IsolationLevel::ReadUncommitted;
        let batches = store.fetch(topition, offset, 1, 1 << 20, isolation, Duration::ZERO).await.unwrap();
        let Some(last) = batches.last() else { return values };
        offset = last.max_offset() + 1;
        for batch in &batches {
            let records = inflated::Batch::try_from(batch).unwrap().records;
            values.extend(records.into_iter().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()));
        }
    }
}

#[tokio::test]
async fn everything_is_as_it_was_whether_the_store_was_closed_or_dropped_or_neither() {
    let home = Home::new();
    let mut left_open = Vec::new();
    let topition = Topition::new("topic", 1);
    let mut expected = Vec::new();
    for round in 0..6 {
        let store = home.open();
        if round == 0 {
            create(&store, "topic", 2, &[("retention.ms", "-1")]).await;
        }
        let (metadata, id) = store.identify(&TopicId::from("topic")).unwrap();
        assert_eq!(metadata, "topic");
        assert_eq!(store.identify(&TopicId::Id(id)).unwrap().1, id);
        let config = store.describe_config("topic", ConfigResource::Topic, None).await.unwrap();
        assert_eq!(config.configs.unwrap()[0].value.as_deref(), Some("-1"));

        assert_eq!(values(&store, &topition).await, expected);
        let committed = store.committed_offset_topitions("group").await.unwrap();
        assert_eq!(committed.get(&topition).copied(), (round > 0).then_some(round - 1));
        let group = store.group_with_version("group").await.unwrap();
        let (generation, version) = group.map_or((-1, None), |(group, version)| (group.generation_id, Some(version)));
        assert_eq!(i64::from(generation), round - 1);

        let value = format!("round {round}");
        produce(&store, &topition, &value).await.unwrap();
        expected.push(value);
        let commit = OffsetCommitRequest::default().offset(round);
        store.offset_commit("group", None, &[(topition.clone(), commit)]).await.unwrap();
        let detail = GroupDetail { generation_id: i32::try_from(round).unwrap(), ..GroupDetail::default() };
        store.update_group("group", detail, version).await.unwrap();
        match round % 3 {
            0 => store.close().unwrap(),
            1 => drop(store),
            // Its files stay as a kill leaves them.
            _ => left_open.push(store),
        }
    }
}

#[tokio::test]
async fn many_partitions_need_few_open_files() {
    let home = Home::new();
    let store = home.open();
    create(&store, "wide", 50, &[]).await;
    for round in 0..3 {
        for partition in 0..50 {
            let topition = Topition::new("wide", partition);
            assert_eq!(produce(&store, &topition, &format!("{partition} {round}")).await.unwrap(), round);
        }
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let segments = open.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|path| path.starts_with(home.folder())));
    // Eight segments, the journal, and what is being synced at this moment.
    assert!(segments.count() <= 12);
    for partition in 0..50 {
        assert_eq!(values(&store, &Topition::new("wide", partition)).await.len(), 3);
    }
}

#[tokio::test]
async fn maintenance_lets_old_records_go_and_keeps_what_a_topic_wants_to_keep() {
    let home = Home::new();
    let store = home.open();
    create(&store, "week", 1, &[]).await;
    create(&store, "hour", 1, &[("retention.ms", "3600000")]).await;
    create(&store, "forever", 1, &[("retention.ms", "-1")]).await;
    create(&store, "keyed", 1, &[("cleanup.policy", "compact")]).await;
    let topics = ["week", "hour", "forever", "keyed"].map(|name| Topition::new(name, 0));
    for i in 0..5 {
        for topition in &topics {
            produce(&store, topition, &format!("value {i}")).await.unwrap();
        }
    }
    let counts = async || {
        let mut counts = Vec::new();
        for topition in &topics {
            counts.push(values(&store, topition).await.len());
        }
        counts
    };
    store.maintain(time(START + 3_000_000)).await.unwrap();
    assert_eq!(counts().await, [5, 5, 5, 1]);
    assert_eq!(values(&store, &topics[3]).await, ["value 4"]);
    store.maintain(time(START + DAY)).await.unwrap();
    assert_eq!(counts().await, [5, 0, 5, 1]);
    store.maintain(time(START + 30 * DAY)).await.unwrap();
    assert_eq!(counts().await, [0, 0, 5, 1]);
    for topition in &topics {
        assert_eq!(produce(&store, topition, "next").await.unwrap(), 5);
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_that_clients_wait_out_and_nothing_is_damaged() {
    let home = Home::new();
    let store = home.open();
    create(&store, "full", 1, &[]).await;
    let topition = Topition::new("full", 0);
    produce(&store, &topition, "before").await.unwrap();
    home.space.store(30, Ordering::SeqCst);
    let refused = produce(&store, &topition, "does not fit").await.unwrap_err();
    assert!(matches!(refused, ApiError::Api(ErrorCode::KafkaStorageError)), "{refused}");
    let commit = OffsetCommitRequest::default().offset(1);
    let committed = store.offset_commit("group", None, &[(topition.clone(), commit.clone())]).await.unwrap();
    assert_eq!(committed[0].1, ErrorCode::KafkaStorageError);
    assert_eq!(values(&store, &topition).await, ["before"]);
    // It can be started while the disk is full.
    drop(store);
    let store = home.open();
    assert_eq!(values(&store, &topition).await, ["before"]);
    home.space.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(produce(&store, &topition, "after").await.unwrap(), 1);
    let committed = store.offset_commit("group", None, &[(topition.clone(), commit)]).await.unwrap();
    assert_eq!(committed[0].1, ErrorCode::None);
    assert_eq!(values(&store, &topition).await, ["before", "after"]);
}

#[tokio::test]
async fn a_deletion_that_was_interrupted_is_finished_and_leaves_no_files() {
    let home = Home::new();
    let store = home.open();
    create(&store, "gone", 2, &[]).await;
    produce(&store, &Topition::new("gone", 0), "value").await.unwrap();
    let topics = home.folder().join("topics");
    let folder = std::fs::read_dir(&topics).unwrap().next().unwrap().unwrap().path();
    // A file that cannot be deleted, because it is a folder that is not the owner's to empty, is hard to come by as
    // root; the note of the deletion is what matters, so the folder is put back after it.
    let kept = home.home.path().join("kept");
    copy(&folder, &kept);
    assert_eq!(store.delete_topic(&TopicId::from("gone")).await.unwrap(), ErrorCode::None);
    assert!(!folder.exists());
    copy(&kept, &folder);
    drop(store);
    // The folder is nobody's: it is neither taken for a topic nor in the way of one.
    let store = home.open();
    assert!(store.identify(&TopicId::from("gone")).is_none());
    create(&store, "gone", 2, &[]).await;
    assert_eq!(produce(&store, &Topition::new("gone", 0), "anew").await.unwrap(), 0);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn transactions_are_refused_before_they_begin() {
    let home = Home::new();
    let store = home.open();
    let refused = store.init_producer(Some("transaction"), 60_000, None, None).await.unwrap();
    assert_eq!((refused.error, refused.id), (ErrorCode::UnsupportedVersion, -1));
    create(&store, "topic", 1, &[]).await;
    let topition = Topition::new("topic", 0);
    let outcome = store.produce(Some("transaction"), &topition, batch(None, "value")).await;
    assert!(matches!(outcome, Err(ApiError::Api(ErrorCode::UnsupportedVersion))), "{outcome:?}");
    assert!(values(&store, &topition).await.is_empty());
}

#[tokio::test]
async fn a_follower_is_told_of_records_and_of_the_end_of_the_topic() {
    let home = Home::new();
    let store = home.open();
    create(&store, "followed", 1, &[]).await;
    let topition = Topition::new("followed", 0);
    let partition = store.partition(&TopicId::from("followed"), 0).unwrap();
    let mut follower = partition.follow();
    let waiting = tokio::spawn(async move {
        follower.beyond(1).await;
        follower
    });
    produce(&store, &topition, "first").await.unwrap();
    assert!(!waiting.is_finished());
    produce(&store, &topition, "second").await.unwrap();
    let mut follower = waiting.await.unwrap();
    assert_eq!(partition.offsets().visible, 2);
    let waiting = tokio::spawn(async move { follower.beyond(100).await });
    store.delete_topic(&TopicId::from("followed")).await.unwrap();
    waiting.await.unwrap();
    // Whoever holds the partition is told that there is no more.
    assert!(produce(&store, &topition, "third").await.is_err());
}

#[tokio::test]
async fn with_power_durability_a_record_is_shown_when_it_is_acknowledged() {
    let home = Home::new();
    let options = Options { durability: Durability::Power, ..home.options() };
    let store = SegmentStore::open(options).unwrap();
    create(&store, "synced", 1, &[]).await;
    let topition = Topition::new("synced", 0);
    for i in 0..10 {
        assert_eq!(produce(&store, &topition, "value").await.unwrap(), i);
        assert_eq!(store.offset_stage(&topition).await.unwrap().high_watermark, i + 1);
    }
}

#[test]
fn a_folder_of_another_format_is_refused() {
    let home = Home::new();
    drop(home.open());
    std::fs::write(home.folder().join("format"), "driftmill segments 2\n").unwrap();
    let error = SegmentStore::open(home.options()).unwrap_err();
    assert!(matches!(error, Error::Format { .. }) && error.to_string().contains("another version"), "{error}");
}
