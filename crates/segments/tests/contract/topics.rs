use nisshi_sans_io::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use nisshi_sans_io::{ConfigResource, ErrorCode};
use nisshi_storage::{ArcDynStorage, TopicId};

use super::{batch, code, creatable, fetch, read, topic};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

pub(crate) async fn a_topic_is_there_until_it_is_deleted(storage: &ArcDynStorage) {
    let id = storage.create_topic(creatable("first", 3, &[]), false).await.unwrap();
    topic(storage, "second", 1, &[]).await;
    assert_eq!(code(storage.create_topic(creatable("first", 1, &[]), false).await), ErrorCode::TopicAlreadyExists);

    for named in [TopicId::from("first"), TopicId::Id(id)] {
        let found = storage.metadata(Some(std::slice::from_ref(&named))).await.unwrap();
        let found = &found.topics()[0];
        assert_eq!((found.error_code, found.name.as_deref()), (0, Some("first")));
        assert_eq!(found.topic_id, Some(id.into_bytes()));
        assert_eq!(found.partitions.as_ref().unwrap().len(), 3);
        let described = storage.describe_topic_partitions(Some(&[named]), 100, None).await.unwrap();
        assert_eq!(described[0].partitions.as_ref().unwrap().len(), 3);
    }
    let mut all: Vec<_> = storage.metadata(None).await.unwrap().topics;
    all.sort();
    assert_eq!(all.iter().filter_map(|topic| topic.name.as_deref()).collect::<Vec<_>>(), ["first", "second"]);

    assert_eq!(storage.delete_topic(&TopicId::Id(id)).await.unwrap(), ErrorCode::None);
    assert_eq!(storage.delete_topic(&TopicId::from("first")).await.unwrap(), ErrorCode::UnknownTopicOrPartition);
    let gone = storage.metadata(Some(&[TopicId::from("first")])).await.unwrap();
    assert_eq!(gone.topics()[0].error_code, i16::from(ErrorCode::UnknownTopicOrPartition));
    assert_eq!(storage.metadata(None).await.unwrap().topics().len(), 1);
}

pub(crate) async fn a_topic_of_the_same_name_is_another_one(storage: &ArcDynStorage) {
    let first = storage.create_topic(creatable("again", 2, &[]), false).await.unwrap();
    let topition = nisshi_storage::Topition::new("again", 0);
    storage.produce(None, &topition, batch(&["old"], super::TIME)).await.unwrap();
    storage.delete_topic(&TopicId::from("again")).await.unwrap();
    let second = storage.create_topic(creatable("again", 1, &[]), false).await.unwrap();
    assert_ne!(first, second);
    assert!(read(storage, &topition, 0).await.is_empty());
    assert_eq!(storage.offset_stage(&topition).await.unwrap().high_watermark, 0);
    assert_eq!(storage.produce(None, &topition, batch(&["new"], super::TIME)).await.unwrap(), 0);
    assert_eq!(fetch(storage, &topition, 0, 1_000).await.unwrap().len(), 1);
}

pub(crate) async fn a_configuration_is_changed_in_whole_or_not_at_all(storage: &ArcDynStorage) {
    topic(storage, "configured", 1, &[("cleanup.policy", "compact"), ("retention.ms", "1000")]).await;
    let described = async |keys: Option<&[String]>| {
        let described = storage.describe_config("configured", ConfigResource::Topic, keys).await.unwrap();
        let configs = described.configs.unwrap().into_iter();
        let mut configs: Vec<_> = configs.map(|config| (config.name, config.value.unwrap_or_default())).collect();
        configs.sort();
        configs
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(described(None).await, pairs(&[("cleanup.policy", "compact"), ("retention.ms", "1000")]));

    let alter = |name: &str, changes: &[(i8, &str, &str)]| {
        let change = |(operation, name, value): &(i8, &str, &str)| {
            AlterableConfig::default()
                .config_operation(*operation)
                .name((*name).to_owned())
                .value(Some((*value).to_owned()))
        };
        let resource = AlterConfigsResource::default()
            .resource_type(ConfigResource::Topic.into())
            .resource_name(name.to_owned())
            .configs(Some(changes.iter().map(change).collect()));
        storage.incremental_alter_resource(resource)
    };
    let changes = [(APPEND, "cleanup.policy", "delete"), (DELETE, "retention.ms", ""), (SET, "segment.bytes", "7")];
    alter("configured", &changes).await.unwrap();
    let changed = pairs(&[("cleanup.policy", "compact,delete"), ("segment.bytes", "7")]);
    assert_eq!(described(None).await, changed);

    let half = alter("configured", &[(SET, "retention.ms", "5"), (APPEND, "segment.bytes", "8")]).await;
    assert_eq!(code(half), ErrorCode::InvalidConfig);
    assert_eq!(described(None).await, changed);
    assert_eq!(code(alter("nobody", &[(SET, "retention.ms", "5")]).await), ErrorCode::UnknownTopicOrPartition);
}

pub(crate) async fn the_cluster_is_one_broker(storage: &ArcDynStorage) {
    assert_eq!(storage.cluster_id().await.unwrap(), "contract");
    assert_eq!(storage.node().await.unwrap(), 7);
    assert_eq!(storage.advertised_listener().await.unwrap().port(), Some(9092));
    let brokers = storage.brokers().await.unwrap();
    assert_eq!((brokers[0].broker_id, brokers[0].host.as_str(), brokers[0].port), (7, "127.0.0.1", 9092));
    let metadata = storage.metadata(None).await.unwrap();
    assert_eq!((metadata.controller, metadata.brokers()[0].node_id), (Some(7), 7));
    storage.ping().await.unwrap();
}
