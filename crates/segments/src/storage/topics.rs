//! Topics and the cluster, as clients ask for them.

use std::collections::BTreeMap;

use nisshi_sans_io::create_topics_request::CreatableTopic;
use nisshi_sans_io::describe_cluster_response::DescribeClusterBroker;
use nisshi_sans_io::describe_topic_partitions_response::{
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use nisshi_sans_io::metadata_response::{MetadataResponseBroker, MetadataResponseTopic};
use nisshi_sans_io::{ErrorCode, NULL_TOPIC_ID};
use nisshi_storage::{Error, MetadataResponse, Result, TopicId, assign_replicas, single_node_replicas};
use uuid::Uuid;

use super::api;
use crate::store::{Inner, Topic};

/// Bits that say that nobody asked what the client may do.
const NOT_ASKED: i32 = i32::MIN;
/// Longest name of a topic, and the characters it may have: Kafka's rules. A name is part of a path here.
const LONGEST_NAME: usize = 249;

pub(super) fn create(inner: &Inner, topic: CreatableTopic) -> Result<Uuid> {
    if !is_valid(&topic.name) {
        return Err(Error::Api(ErrorCode::InvalidTopicException));
    }
    if topic.num_partitions < 1 {
        return Err(Error::Api(ErrorCode::InvalidPartitions));
    }
    let configs = topic.configs.into_iter().flatten().map(|config| (config.name, config.value));
    let configs: BTreeMap<_, _> = configs.collect();
    let created = inner.create_topic(&topic.name, topic.num_partitions, topic.replication_factor, configs);
    created.map_err(api)?.ok_or(Error::Api(ErrorCode::TopicAlreadyExists))
}

fn is_valid(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST_NAME).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(allowed)
}

pub(super) fn delete(inner: &Inner, topic: &TopicId) -> Result<ErrorCode> {
    match inner.topic(topic) {
        None => Ok(ErrorCode::UnknownTopicOrPartition),
        Some(topic) => inner.delete_topic(&topic).map(|()| ErrorCode::None).map_err(api),
    }
}

pub(super) fn brokers(inner: &Inner) -> Vec<DescribeClusterBroker> {
    let (host, port) = address(inner);
    vec![DescribeClusterBroker::default().broker_id(inner.shared.options.node_id).host(host).port(port).rack(None)]
}

fn address(inner: &Inner) -> (String, i32) {
    let advertised = &inner.shared.options.advertised;
    (advertised.host_str().unwrap_or("0.0.0.0").to_owned(), advertised.port().unwrap_or(9092).into())
}

pub(super) fn metadata(inner: &Inner, topics: Option<&[TopicId]>) -> Result<MetadataResponse> {
    let options = &inner.shared.options;
    let (host, port) = address(inner);
    let broker = MetadataResponseBroker::default().node_id(options.node_id).host(host).port(port).rack(None);
    let topics: Result<Vec<_>> = match topics {
        Some(wanted) if !wanted.is_empty() => wanted
            .iter()
            .map(|id| match inner.topic(id) {
                Some(topic) => known(&topic, options.node_id),
                None => Ok(unknown(id)),
            })
            .collect(),
        _ => inner.all().iter().map(|topic| known(topic, options.node_id)).collect(),
    };
    Ok(MetadataResponse {
        cluster: Some(options.cluster_id.clone()),
        controller: Some(options.node_id),
        brokers: vec![broker],
        topics: topics?,
    })
}

fn known(topic: &Topic, node: i32) -> Result<MetadataResponseTopic> {
    let none = ErrorCode::None.into();
    let stored = &topic.stored;
    let partitions = assign_replicas(&[node], stored.partitions, stored.replication_factor, none, 0)?;
    Ok(MetadataResponseTopic::default()
        .error_code(none)
        .name(Some(topic.name.clone()))
        .topic_id(Some(stored.id))
        .is_internal(Some(false))
        .partitions(Some(partitions))
        .topic_authorized_operations(Some(NOT_ASKED)))
}

fn unknown(id: &TopicId) -> MetadataResponseTopic {
    let (name, id) = name_and_id(id);
    MetadataResponseTopic::default()
        .error_code(ErrorCode::UnknownTopicOrPartition.into())
        .name(name)
        .topic_id(Some(id))
        .is_internal(Some(false))
        .partitions(Some(Vec::new()))
        .topic_authorized_operations(Some(NOT_ASKED))
}

fn name_and_id(id: &TopicId) -> (Option<String>, [u8; 16]) {
    match id {
        TopicId::Name(name) => (Some(name.clone()), NULL_TOPIC_ID),
        TopicId::Id(id) => (None, id.into_bytes()),
    }
}

pub(super) fn describe(inner: &Inner, topics: &[TopicId]) -> Vec<DescribeTopicPartitionsResponseTopic> {
    let node = inner.shared.options.node_id;
    let describe = |id: &TopicId| {
        let response =
            DescribeTopicPartitionsResponseTopic::default().is_internal(false).topic_authorized_operations(NOT_ASKED);
        let Some(topic) = inner.topic(id) else {
            let (name, id) = name_and_id(id);
            let unknown = response.error_code(ErrorCode::UnknownTopicOrPartition.into());
            return unknown.name(name).topic_id(id).partitions(Some(Vec::new()));
        };
        let replicas = single_node_replicas(node, topic.stored.replication_factor);
        let partition = |index: i32| {
            DescribeTopicPartitionsResponsePartition::default()
                .error_code(ErrorCode::None.into())
                .partition_index(index)
                .leader_id(node)
                .leader_epoch(0)
                .replica_nodes(Some(replicas.clone()))
                .isr_nodes(Some(replicas.clone()))
                .eligible_leader_replicas(Some(Vec::new()))
                .last_known_elr(Some(Vec::new()))
                .offline_replicas(Some(Vec::new()))
        };
        response
            .error_code(ErrorCode::None.into())
            .name(Some(topic.name.clone()))
            .topic_id(topic.stored.id)
            .partitions(Some((0..topic.stored.partitions).map(partition).collect()))
    };
    topics.iter().map(describe).collect()
}
