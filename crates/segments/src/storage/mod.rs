//! The broker library's storage trait: every method, and where it is answered.

mod configs;
mod groups;
mod offsets;
mod producers;
mod records;
mod topics;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use nisshi_sans_io::create_topics_request::CreatableTopic;
use nisshi_sans_io::delete_groups_response::DeletableGroupResult;
use nisshi_sans_io::delete_records_request::DeleteRecordsTopic;
use nisshi_sans_io::delete_records_response::DeleteRecordsTopicResult;
use nisshi_sans_io::describe_cluster_response::DescribeClusterBroker;
use nisshi_sans_io::describe_configs_response::DescribeConfigsResult;
use nisshi_sans_io::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
use nisshi_sans_io::fetch_response::AbortedTransaction;
use nisshi_sans_io::incremental_alter_configs_request::AlterConfigsResource;
use nisshi_sans_io::incremental_alter_configs_response::AlterConfigsResourceResponse;
use nisshi_sans_io::record::deflated;
use nisshi_sans_io::txn_offset_commit_response::TxnOffsetCommitResponseTopic;
use nisshi_sans_io::{ConfigResource, ErrorCode, IsolationLevel, ListOffset, ScramMechanism};
use nisshi_storage::{
    BrokerRegistrationRequest, Error, GroupDetail, ListOffsetResponse, MetadataResponse, NamedGroupDetail,
    OffsetCommitRequest, OffsetStage, ProducerIdResponse, Result, ScramCredential, Storage, TopicId, Topition,
    TxnAddPartitionsRequest, TxnAddPartitionsResponse, TxnOffsetCommitRequest, UpdateError, Version,
};
use tracing::error;
use url::Url;
use uuid::Uuid;

use crate::error::Error as StoreError;
use crate::options;
use crate::store::{Inner, SegmentStore};

/// This engine's name in errors.
const ENGINE: &str = "segment store";

#[async_trait]
impl Storage for SegmentStore {
    async fn register_broker(&self, _: BrokerRegistrationRequest) -> Result<()> {
        Ok(())
    }

    async fn create_topic(&self, topic: CreatableTopic, _validate_only: bool) -> Result<Uuid> {
        self.blocking(move |inner| topics::create(inner, topic)).await
    }

    async fn incremental_alter_resource(&self, resource: AlterConfigsResource) -> Result<AlterConfigsResourceResponse> {
        self.blocking(move |inner| configs::alter(inner, resource)).await
    }

    async fn delete_records(&self, topics: &[DeleteRecordsTopic]) -> Result<Vec<DeleteRecordsTopicResult>> {
        let topics = topics.to_vec();
        self.blocking(move |inner| records::delete(inner, &topics)).await
    }

    async fn delete_topic(&self, topic: &TopicId) -> Result<ErrorCode> {
        let topic = topic.clone();
        self.blocking(move |inner| topics::delete(inner, &topic)).await
    }

    async fn brokers(&self) -> Result<Vec<DescribeClusterBroker>> {
        Ok(topics::brokers(&self.0))
    }

    async fn produce(&self, transaction_id: Option<&str>, topition: &Topition, batch: deflated::Batch) -> Result<i64> {
        records::produce(self, transaction_id, topition, batch).await
    }

    /// Does not wait: whoever wants to, follows the [`crate::Partition`].
    async fn fetch(
        &self,
        topition: &Topition,
        offset: i64,
        _min_bytes: u32,
        max_bytes: u32,
        _isolation: IsolationLevel,
        _max_wait: Duration,
    ) -> Result<Vec<deflated::Batch>> {
        records::fetch(self, topition, offset, max_bytes).await
    }

    async fn offset_stage(&self, topition: &Topition) -> Result<OffsetStage> {
        records::offset_stage(&self.0, topition)
    }

    /// Without transactions, both isolation levels see the same.
    async fn list_offsets(
        &self,
        _: IsolationLevel,
        offsets: &[(Topition, ListOffset)],
    ) -> Result<Vec<(Topition, ListOffsetResponse)>> {
        let offsets = offsets.to_vec();
        self.blocking(move |inner| Ok(records::list_offsets(inner, offsets))).await
    }

    /// Offsets are kept until their group or topic is deleted.
    async fn offset_commit(
        &self,
        group_id: &str,
        _retention: Option<Duration>,
        offsets: &[(Topition, OffsetCommitRequest)],
    ) -> Result<Vec<(Topition, ErrorCode)>> {
        let (group_id, offsets) = (group_id.to_owned(), offsets.to_vec());
        self.blocking(move |inner| offsets::commit(inner, &group_id, offsets)).await
    }

    async fn offset_fetch(
        &self,
        group_id: Option<&str>,
        topics: &[Topition],
        _require_stable: Option<bool>,
    ) -> Result<BTreeMap<Topition, i64>> {
        offsets::fetch(&self.0, group_id, topics)
    }

    async fn committed_offset_topitions(&self, group_id: &str) -> Result<BTreeMap<Topition, i64>> {
        offsets::all(&self.0, group_id)
    }

    async fn metadata(&self, topics: Option<&[TopicId]>) -> Result<MetadataResponse> {
        topics::metadata(&self.0, topics)
    }

    async fn upsert_user_scram_credential(&self, _: &str, _: ScramMechanism, _: ScramCredential) -> Result<()> {
        Err(Error::UserCredentialsUnsupported { engine: ENGINE.to_owned() })
    }

    async fn delete_user_scram_credential(&self, _: &str, _: ScramMechanism) -> Result<()> {
        Err(Error::UserCredentialsUnsupported { engine: ENGINE.to_owned() })
    }

    async fn user_scram_credential(&self, _: &str, _: ScramMechanism) -> Result<Option<ScramCredential>> {
        Ok(None)
    }

    async fn describe_config(
        &self,
        name: &str,
        resource: ConfigResource,
        keys: Option<&[String]>,
    ) -> Result<DescribeConfigsResult> {
        Ok(configs::describe(&self.0, name, resource, keys))
    }

    async fn list_groups(&self) -> Result<Vec<NamedGroupDetail>> {
        Ok(groups::list(&self.0))
    }

    async fn delete_groups(&self, group_ids: Option<&[String]>) -> Result<Vec<DeletableGroupResult>> {
        let group_ids = group_ids.unwrap_or_default().to_vec();
        self.blocking(move |inner| groups::delete(inner, &group_ids)).await
    }

    async fn describe_groups(&self, group_ids: Option<&[String]>, _: bool) -> Result<Vec<NamedGroupDetail>> {
        Ok(groups::describe(&self.0, group_ids.unwrap_or_default()))
    }

    async fn describe_topic_partitions(
        &self,
        topics: Option<&[TopicId]>,
        _partition_limit: i32,
        _cursor: Option<Topition>,
    ) -> Result<Vec<DescribeTopicPartitionsResponseTopic>> {
        Ok(topics::describe(&self.0, topics.unwrap_or_default()))
    }

    async fn group_with_version(&self, group_id: &str) -> Result<Option<(GroupDetail, Version)>> {
        groups::with_version(&self.0, group_id)
    }

    async fn update_group(
        &self,
        group_id: &str,
        detail: GroupDetail,
        version: Option<Version>,
    ) -> Result<Version, UpdateError<GroupDetail>> {
        let (inner, group_id) = (self.0.clone(), group_id.to_owned());
        let update = move || groups::update(&inner, &group_id, &detail, version.as_ref());
        tokio::task::spawn_blocking(update).await.map_err(Error::from)?
    }

    async fn init_producer(
        &self,
        transaction_id: Option<&str>,
        _timeout_ms: i32,
        producer_id: Option<i64>,
        producer_epoch: Option<i16>,
    ) -> Result<ProducerIdResponse> {
        let transactional = transaction_id.is_some();
        self.blocking(move |inner| producers::init(inner, transactional, producer_id, producer_epoch)).await
    }

    async fn txn_add_offsets(&self, _: &str, _: i64, _: i16, _: &str) -> Result<ErrorCode> {
        Ok(producers::NO_TRANSACTIONS)
    }

    async fn txn_add_partitions(&self, partitions: TxnAddPartitionsRequest) -> Result<TxnAddPartitionsResponse> {
        Ok(producers::refuse_partitions(partitions))
    }

    async fn txn_offset_commit(&self, offsets: TxnOffsetCommitRequest) -> Result<Vec<TxnOffsetCommitResponseTopic>> {
        Ok(producers::refuse_offsets(offsets))
    }

    async fn txn_end(&self, _: &str, _: i64, _: i16, _: bool) -> Result<ErrorCode> {
        Ok(producers::NO_TRANSACTIONS)
    }

    async fn maintain(&self, now: SystemTime) -> Result<()> {
        self.blocking(move |inner| {
            inner.maintain(options::millis(now));
            Ok(())
        })
        .await
    }

    async fn maintain_transactions(&self, _: SystemTime) -> Result<()> {
        Ok(())
    }

    async fn aborted_transactions(&self, _: &Topition, _: i64, _: i64) -> Result<Vec<AbortedTransaction>> {
        Ok(Vec::new())
    }

    async fn cluster_id(&self) -> Result<String> {
        Ok(self.0.shared.options.cluster_id.clone())
    }

    async fn node(&self) -> Result<i32> {
        Ok(self.0.shared.options.node_id)
    }

    async fn advertised_listener(&self) -> Result<Url> {
        Ok(self.0.shared.options.advertised.clone())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

impl SegmentStore {
    /// Runs what may wait for the disk where that holds up nobody else.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await?
    }
}

/// The store's errors in the protocol's terms. What the client did is its affair; what the disk did is logged.
pub(crate) fn api(store: StoreError) -> Error {
    let code = match &store {
        StoreError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
        StoreError::Fenced { .. } => ErrorCode::ProducerFenced,
        StoreError::UnknownProducer { .. } => ErrorCode::UnknownProducerId,
        StoreError::Deleted { .. } => ErrorCode::UnknownTopicOrPartition,
        // A client sends again what was answered with this, for as long as it is willing to wait.
        StoreError::Io { .. } | StoreError::NoSpace { .. } | StoreError::Poisoned { .. } => {
            ErrorCode::KafkaStorageError
        }
        StoreError::Corrupt { .. } | StoreError::Format { .. } => ErrorCode::CorruptMessage,
    };
    if matches!(code, ErrorCode::KafkaStorageError | ErrorCode::CorruptMessage) {
        error!(error = %store, "the segment store");
    }
    Error::Api(code)
}
