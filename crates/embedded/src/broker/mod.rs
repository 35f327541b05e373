//! The Kafka-protocol broker: `nisshi-broker`, served from this process.
//!
//! ```text
//! EmbeddedBroker::start ─► thread "driftmill-broker" with a runtime of its own
//!                             └─ listener 127.0.0.1:PORT ─► storage: <data_dir>/broker/segments/, or memory
//! ```
//!
//! A runtime of its own, because one that is shut down has ended every task, which is the only way to know that a
//! stopped broker has let go of its storage. The segment store is closed after that.
//!
//! Durability: a record that was acknowledged survives a kill of the process; see [`Durability`] for power cuts. There
//! are no transactions, and partitions cannot be added to a topic. Topics that are created by being used get four
//! partitions: create them explicitly. Consumers may wait long (`fetch.wait.max.ms`): records end the wait.

mod error;
mod fetch;
mod routes;
mod serve;
mod storage;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

pub use self::error::Error;
use self::storage::OpenStorage;
pub use driftmill_segments::Durability;

/// Threads of the broker's runtime, besides those that wait for the disk.
const WORKERS: usize = 2;
/// How long a stopped broker may take for the calls that are under way.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often another free port is tried when somebody took the chosen one first.
const PORT_ATTEMPTS: usize = 5;

/// Where the broker keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokerStorage {
    /// Segments in the data folder, by the crate `driftmill-segments`.
    Segments(Durability),
    /// Nowhere: gone when the broker stops. For tests.
    Memory,
}

impl Default for BrokerStorage {
    fn default() -> Self {
        Self::Segments(Durability::Process)
    }
}

/// What a broker is started with.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// The data folder. The caller owns it (see [`crate::DataDir`]).
    pub data_dir: PathBuf,
    /// Port on 127.0.0.1, the same at every start; `None` takes a free one.
    pub port: Option<u16>,
    /// Where the records go.
    pub storage: BrokerStorage,
}

/// A running broker. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct EmbeddedBroker {
    address: SocketAddr,
    stop: CancellationToken,
    ended: watch::Receiver<Option<Ending>>,
}

/// How the serving thread ended: told to, or for this reason.
type Ending = Result<(), Error>;

impl EmbeddedBroker {
    /// Starts the broker and returns when it accepts connections.
    ///
    /// `cancel` gives up a start in progress. A running broker is stopped by [`Self::stop`], after its clients.
    ///
    /// # Errors
    /// See [`Error`]; each says what to do.
    pub async fn start(options: BrokerOptions, cancel: CancellationToken) -> Result<Self, Error> {
        let mut attempts = if options.port.is_some() { 1 } else { PORT_ATTEMPTS };
        loop {
            attempts -= 1;
            match Self::start_once(&options, &cancel).await {
                Err(Error::PortInUse { .. }) if attempts > 0 => {}
                outcome => return outcome,
            }
        }
    }

    async fn start_once(options: &BrokerOptions, cancel: &CancellationToken) -> Result<Self, Error> {
        let address = choose_address(options.port)?;
        let (storage, data_dir) = (options.storage, options.data_dir.clone());
        let stop = CancellationToken::new();
        let stop_on_return = stop.clone().drop_guard();
        let (ready_sender, ready) = oneshot::channel();
        let (ended_sender, mut ended) = watch::channel(None);
        let stopping = stop.clone();
        thread::Builder::new()
            .name("driftmill-broker".to_owned())
            .spawn(move || {
                let ending = run(address, storage, &data_dir, ready_sender, &stopping);
                ended_sender.send_replace(Some(ending));
            })
            .map_err(Error::runtime)?;

        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            // When the sender is dropped instead, the start has failed and the reason follows.
            Ok(()) = ready => {}
            ending = ending(&mut ended) => return Err(ending.err().unwrap_or(Error::Cancelled)),
        }
        info!(%address, storage = ?options.storage, "the broker is ready");
        Ok(Self { address, stop: stop_on_return.disarm(), ended })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for a Kafka client's `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    /// Stops the broker and returns when it has closed its storage. Its clients should have stopped before: a request
    /// that is cut off here was not acknowledged, so they would send it again.
    ///
    /// # Errors
    /// The reason when it had failed before.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        ending(&mut self.ended).await
    }

    /// Waits until serving ends unexpectedly, and returns the reason. Never returns while the broker is well.
    pub async fn failed(&self) -> Error {
        match ending(&mut self.ended.clone()).await {
            Err(reason) => reason,
            Ok(()) => std::future::pending().await,
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn ending(ended: &mut watch::Receiver<Option<Ending>>) -> Ending {
    match ended.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(ending)) => ending.clone(),
        // The thread went away without a word: it panicked.
        _ => Err(Error::Panicked),
    }
}

/// The broker's thread: a runtime, serving on it until `stop`, and the end of everything that ran there.
fn run(
    address: SocketAddr,
    storage: BrokerStorage,
    data_dir: &Path,
    ready: oneshot::Sender<()>,
    stop: &CancellationToken,
) -> Ending {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("driftmill-broker-worker")
        .enable_all()
        .build()
        .map_err(Error::runtime)?;
    let advertised = Url::parse(&format!("tcp://{address}"))
        .map_err(|error| Error::listen(address, std::io::Error::other(error)))?;
    let storage = OpenStorage::open(storage, data_dir, &advertised, &runtime)?;
    let ending = runtime.block_on(serve::serve(address, &storage, ready, stop));
    runtime.shutdown_timeout(STOP_LIMIT);
    if let Err(error) = storage.close() {
        warn!(%error, "the broker's storage was not closed cleanly; the next start takes longer");
    }
    ending
}

/// Decides on a port before the broker binds it: the address is part of what it tells its clients.
fn choose_address(port: Option<u16>) -> Result<SocketAddr, Error> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    let probe = TcpListener::bind(wanted).map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => Error::PortInUse { port: wanted.port() },
        _ => Error::listen(wanted, source),
    })?;
    probe.local_addr().map_err(|source| Error::listen(wanted, source))
}

#[cfg(test)]
mod tests;
