//! Configurations of topics. Other resources have none.

use nisshi_sans_io::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use nisshi_sans_io::incremental_alter_configs_request::AlterConfigsResource;
use nisshi_sans_io::incremental_alter_configs_response::AlterConfigsResourceResponse;
use nisshi_sans_io::{ConfigResource, ConfigSource, ConfigType, ErrorCode, OpType};
use nisshi_storage::config::apply_op;
use nisshi_storage::{Error, Result, TopicId};

use super::api;
use crate::error::Error as StoreError;
use crate::store::Inner;

/// An error of the change or of the write.
struct Altered(Error);

impl From<StoreError> for Altered {
    fn from(error: StoreError) -> Self {
        Self(api(error))
    }
}

pub(super) fn alter(inner: &Inner, resource: AlterConfigsResource) -> Result<AlterConfigsResourceResponse> {
    if ConfigResource::from(resource.resource_type) == ConfigResource::Topic {
        let altered = inner.configure_topic(&resource.resource_name, |configs| {
            for change in resource.configs.iter().flatten() {
                let op = OpType::try_from(change.config_operation).map_err(|error| Altered(error.into()))?;
                let current = configs.get(&change.name).and_then(Option::as_deref);
                let changed = apply_op(ConfigResource::Topic, &change.name, current, op, change.value.as_deref());
                match changed.map_err(Altered)? {
                    Some(value) => configs.insert(change.name.clone(), Some(value)),
                    None => configs.remove(&change.name),
                };
            }
            Ok(())
        });
        altered.map_err(|Altered(error)| error)?.ok_or(Error::Api(ErrorCode::UnknownTopicOrPartition))?;
    }
    Ok(AlterConfigsResourceResponse::default()
        .error_code(ErrorCode::None.into())
        .error_message(Some(String::new()))
        .resource_type(resource.resource_type)
        .resource_name(resource.resource_name))
}

/// What was set, of `keys` when there are any. A topic that does not exist has nothing set.
pub(super) fn describe(
    inner: &Inner,
    name: &str,
    resource: ConfigResource,
    keys: Option<&[String]>,
) -> DescribeConfigsResult {
    let topic = (resource == ConfigResource::Topic).then(|| inner.topic(&TopicId::from(name))).flatten();
    let wanted = |name: &String| keys.is_none_or(|keys| keys.is_empty() || keys.contains(name));
    let configs = topic.iter().flat_map(|topic| &topic.stored.configs).filter(|(name, _)| wanted(name));
    let configs = configs.map(|(name, value)| {
        DescribeConfigsResourceResult::default()
            .name(name.clone())
            .value(value.clone())
            .read_only(false)
            .is_default(None)
            .config_source(Some(ConfigSource::DynamicTopicConfig.into()))
            .is_sensitive(false)
            .synonyms(Some(Vec::new()))
            .config_type(Some(ConfigType::String.into()))
            .documentation(Some(String::new()))
    });
    DescribeConfigsResult::default()
        .error_code(ErrorCode::None.into())
        .error_message(Some(ErrorCode::None.to_string()))
        .resource_type(i8::from(resource))
        .resource_name(name.to_owned())
        .configs(Some(configs.collect()))
}
