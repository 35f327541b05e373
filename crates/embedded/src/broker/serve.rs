//! Putting the broker's parts together and serving.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use nisshi_broker::broker::Broker;
use nisshi_broker::coordinator::group::administrator::{Controller, GroupCoordinatorConfig};
use nisshi_storage::ArcDynStorage;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::Error;

const NODE_ID: i32 = 1;
const CLUSTER_ID: &str = "driftmill";
/// How long the first member of an empty group waits for others. The default of 3 s is for machines that start one after
/// the other; ours join within a moment, and every start of `driftmill up` would wait for it.
const INITIAL_REBALANCE_DELAY: Duration = Duration::from_millis(200);

/// Serves on `address` until `stop`; says so on `ready` once connections are accepted.
///
/// Returning drops what is being served: connections end at their next await, a statement under way is rolled back.
pub(super) async fn serve(
    address: SocketAddr,
    storage: &Url,
    ready: oneshot::Sender<()>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let listener = Url::parse(&format!("tcp://{address}"))
        .map_err(|error| Error::listen(address, std::io::Error::other(error)))?;
    let mut broker = Broker::<Controller<ArcDynStorage>, ArcDynStorage>::builder()
        .node_id(NODE_ID)
        .cluster_id(CLUSTER_ID)
        .incarnation_id(Uuid::new_v4())
        .advertised_listener(listener.clone())
        .storage(storage.clone())
        .listener(listener)
        // Not silent, it would draw progress bars for its connections.
        .silent(true)
        .group_coordinator(GroupCoordinatorConfig {
            initial_rebalance_delay: INITIAL_REBALANCE_DELAY,
            ..GroupCoordinatorConfig::default()
        })
        .build()
        .await
        .map_err(Error::broker("opening its storage"))?;
    // `Broker::serve` is these two steps. Taken apart, the second one is bound when it has been polled once, so a
    // connection made after that reaches this broker and not another program on the port.
    broker.register().await.map_err(Error::broker("registering with its storage"))?;
    let mut listening = pin!(broker.listen(Instant::now()));

    tokio::select! {
        biased;
        ended = &mut listening => return Err(unexpected(ended)),
        () = stop.cancelled() => return Ok(()),
        connected = TcpStream::connect(address) => drop(connected.map_err(|source| Error::listen(address, source))?),
    }
    // Nobody waits any more when the start was given up; `stop` follows.
    let _ = ready.send(());
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = &mut listening => Err(unexpected(ended)),
    }
}

fn unexpected(ended: Result<(), nisshi_broker::Error>) -> Error {
    match ended {
        Err(error) => Error::broker("serving")(error),
        Ok(()) => Error::Broker { doing: "serving", reason: "it returned".to_owned() },
    }
}
