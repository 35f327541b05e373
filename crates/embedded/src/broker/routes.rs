//! Which service answers which request: the broker library's for all but fetches from the segment store.

use nisshi_broker::Error;
use nisshi_broker::coordinator::group::administrator::Controller;
use nisshi_broker::service::{auth, coordinator, storage};
use nisshi_sans_io::{ApiKey as _, FetchRequest};
use nisshi_service::{
    BytesFrameLayer, BytesFrameService, FrameRequestLayer, FrameRouteBuilder, FrameRouteService, TcpBytesLayer,
    TcpBytesService, TcpContext, TcpContextLayer, TcpContextService,
};
use nisshi_storage::ArcDynStorage;
use rama::layer::MapErrLayer;
use rama::{Layer as _, Service as _};

use super::fetch::FetchService;
use super::serve::CLUSTER_ID;
use super::storage::OpenStorage;

/// What serves one connection.
pub(super) type Connection = TcpContextService<TcpBytesService<BytesFrameService<FrameRouteService<Error>>>>;

type Builder = FrameRouteBuilder<Error>;
type Route = fn(Builder, ArcDynStorage) -> Result<Builder, Error>;

/// The services of one connection.
pub(super) fn connection(
    storage: &ArcDynStorage,
    opened: &OpenStorage,
    groups: &Controller<ArcDynStorage>,
) -> Result<Connection, Error> {
    let builder = storage_routes(FrameRouteService::<Error>::builder(), storage)?;
    let builder = match opened {
        OpenStorage::Segments(store) => {
            let layers = (MapErrLayer::new(Error::from), FrameRequestLayer::<FetchRequest>::new());
            builder.with_route(FetchRequest::KEY, layers.into_layer(FetchService::new(store.clone())).boxed())?
        }
        OpenStorage::Memory(_) => storage::fetch(builder, storage.clone())?,
    };
    let routes = auth::services(coordinator::services(builder, groups.clone())?)?.build()?;
    let context = TcpContext::default().cluster_id(Some(CLUSTER_ID.to_owned()));
    Ok((TcpContextLayer::new(context), TcpBytesLayer, BytesFrameLayer::default()).into_layer(routes))
}

/// The library's own list (`nisshi_broker::service::storage::services`) without fetches: a key can be routed once.
fn storage_routes(builder: Builder, storage: &ArcDynStorage) -> Result<Builder, Error> {
    let routes: [Route; 23] = [
        storage::add_offsets_to_txn,
        storage::add_partitions_to_txn,
        storage::alter_user_scram_credentials,
        storage::consumer_group_describe,
        storage::create_acls,
        storage::create_topics,
        storage::delete_acls,
        storage::delete_records,
        storage::delete_topics,
        storage::describe_acls,
        storage::describe_cluster,
        storage::describe_configs,
        storage::describe_topic_partitions,
        storage::describe_user_scram_credentials,
        storage::find_coordinator,
        storage::incremental_alter_configs,
        storage::init_producer_id,
        storage::list_offsets,
        storage::list_partition_reassignments,
        storage::metadata,
        storage::produce,
        storage::end_txn,
        storage::txn_offset_commit,
    ];
    routes.into_iter().try_fold(builder, |builder, route| route(builder, storage.clone()))
}
