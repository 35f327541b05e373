//! Why a broker does not start or stops serving, told to the person who started it.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a broker does not serve.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another program listens on the port.
    #[error(
        "the broker cannot listen on 127.0.0.1:{port}: another program already does; stop it or choose another port"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The address cannot be listened on for another reason, such as a port below 1024.
    #[error("the broker cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The storage file or its folder cannot be made.
    #[error("the broker needs {}: {source}", path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: Arc<io::Error>,
    },
    /// The store cannot be opened or closed.
    #[error("the broker's storage: {0}")]
    Segments(Arc<driftmill_segments::Error>),
    /// The data folder was filled by a version that kept the broker's records in SQLite.
    #[error(
        "{} holds the broker's records as an earlier version of Driftmill stored them, which this one cannot read; \
         use another data folder, or delete {} to start anew",
        path.display(),
        data_dir.display()
    )]
    OldStorage {
        /// The data folder. Tables and offsets in it belong together with the broker's records.
        data_dir: PathBuf,
        /// The old file.
        path: PathBuf,
    },
    /// Its threads cannot be started.
    #[error("the broker's threads cannot be started: {0}")]
    Runtime(Arc<io::Error>),
    /// The broker itself reported an error.
    #[error("the broker failed while {doing}: {reason}")]
    Broker {
        /// What it was doing.
        doing: &'static str,
        /// What it reported.
        reason: String,
    },
    /// The broker's thread panicked; the panic's own message is in the log.
    #[error("the broker's thread ended by a panic")]
    Panicked,
    /// The start was given up.
    #[error("the start of the broker was given up")]
    Cancelled,
}

impl Error {
    pub(super) fn listen(address: SocketAddr, source: io::Error) -> Self {
        Self::Listen { address, source: Arc::new(source) }
    }

    pub(super) fn storage(path: &Path, source: io::Error) -> Self {
        Self::Storage { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn runtime(source: io::Error) -> Self {
        Self::Runtime(Arc::new(source))
    }

    pub(super) fn segments(source: driftmill_segments::Error) -> Self {
        Self::Segments(Arc::new(source))
    }

    pub(super) fn bind(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortInUse { port: address.port() },
            _ => Self::listen(address, source),
        }
    }

    pub(super) fn engine(doing: &'static str) -> impl Fn(nisshi_storage::Error) -> Self {
        move |error| Self::Broker { doing, reason: error.to_string() }
    }

    pub(super) fn broker(doing: &'static str) -> impl Fn(nisshi_broker::Error) -> Self {
        move |error| Self::Broker { doing, reason: error.to_string() }
    }
}
