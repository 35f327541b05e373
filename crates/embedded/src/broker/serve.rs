//! Putting the broker's parts together and serving.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use nisshi_broker::coordinator::group::administrator::{Controller, GroupCoordinatorConfig};
use nisshi_storage::{ArcDynStorage, BrokerRegistrationRequest, Storage as _};
use rama::Service as _;
use rama::extensions::Extensions;
use rama::tcp::TcpStream;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use super::Error;
use super::routes;
use super::storage::{OpenStorage, now};

pub(super) const NODE_ID: i32 = 1;
pub(super) const CLUSTER_ID: &str = "driftmill";
/// How long the first member of an empty group waits for others. The default of 3 s is for machines that start one after
/// the other; ours join within a moment, and every start of `driftmill up` would wait for it.
const INITIAL_REBALANCE_DELAY: Duration = Duration::from_millis(200);
/// How often retention and compaction run.
const MAINTENANCE_INTERVAL: Duration = Duration::from_mins(5);
/// Pause after a connection could not be accepted, for want of files perhaps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves on `address` until `stop`; says so on `ready` once connections are accepted.
///
/// Returning drops what is being served: connections end at their next await. A request that was under way was not
/// acknowledged.
pub(super) async fn serve(
    address: SocketAddr,
    opened: &OpenStorage,
    ready: oneshot::Sender<()>,
    stop: &CancellationToken,
) -> Result<(), Error> {
    // One type for both storages: the library's services are compiled anew for each.
    let storage: ArcDynStorage = opened.erased();
    let registration = BrokerRegistrationRequest {
        broker_id: NODE_ID,
        cluster_id: CLUSTER_ID.to_owned(),
        incarnation_id: Uuid::new_v4(),
        rack: None,
    };
    storage.register_broker(registration).await.map_err(Error::engine("registering with its storage"))?;
    let delay = GroupCoordinatorConfig {
        initial_rebalance_delay: INITIAL_REBALANCE_DELAY,
        ..GroupCoordinatorConfig::default()
    };
    let groups = Controller::new(storage.clone(), delay);
    let listener = TcpListener::bind(address).await.map_err(|error| Error::bind(address, error))?;
    // Nobody waits any more when the start was given up; `stop` follows.
    let _ = ready.send(());

    let mut connections = JoinSet::new();
    let mut maintenance = JoinSet::new();
    let mut due = interval(MAINTENANCE_INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = due.tick(), if maintenance.is_empty() => {
                let storage = storage.clone();
                maintenance.spawn(async move { storage.maintain(now()).await });
            }
            Some(done) = maintenance.join_next() => {
                if let Ok(Err(error)) = done {
                    warn!(%error, "the broker's maintenance failed");
                }
            }
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let services = routes::connection(&storage, opened, &groups);
                    let services = services.map_err(Error::broker("putting its services together"))?;
                    connections.spawn(connection(services, stream, peer));
                }
                Err(error) => {
                    warn!(%error, "a connection to the broker could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(services: routes::Connection, stream: tokio::net::TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%peer, %error, "a connection ended before it began");
        return;
    }
    let stream = TcpStream::from_tokio_tcp_stream(stream, Extensions::default());
    match services.serve(stream).await {
        Ok(()) => {}
        Err(nisshi_broker::Error::Io(error)) if is_goodbye(&error) => {}
        Err(error) => warn!(%peer, %error, "the broker closed a connection"),
    }
}

/// A client that leaves, or says nothing for ten minutes.
fn is_goodbye(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset | TimedOut)
}
