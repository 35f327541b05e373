//! Where the broker keeps its records, opened.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use driftmill_segments::{Clock, Durability, Options, SegmentStore};
use nisshi_storage::{ArcDynStorage, StorageContainer};
use nisshi_storage_dynostore::MemoryEngineFactory;
use url::Url;

use super::serve::{CLUSTER_ID, NODE_ID};
use super::{BrokerStorage, Error};
use crate::files;

/// The broker's folder, in the data folder.
const FOLDER: &str = "broker";
/// The segment store, in the broker's folder.
const SEGMENTS: &str = "segments";
/// Where earlier versions kept everything.
const SQLITE: &str = "broker.sqlite";

/// An open storage.
#[derive(Debug, Clone)]
pub(super) enum OpenStorage {
    Segments(SegmentStore),
    Memory(ArcDynStorage),
}

impl OpenStorage {
    /// Opens what `storage` names, for a broker that clients reach at `advertised`. Blocks.
    pub fn open(
        storage: BrokerStorage,
        data_dir: &Path,
        advertised: &Url,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self, Error> {
        match storage {
            BrokerStorage::Segments(durability) => open_segments(data_dir, durability, advertised).map(Self::Segments),
            BrokerStorage::Memory => runtime.block_on(open_memory(advertised)).map(Self::Memory),
        }
    }

    /// The storage as the library's services take it.
    pub fn erased(&self) -> ArcDynStorage {
        match self {
            Self::Segments(store) => Arc::new(store.clone()),
            Self::Memory(memory) => memory.clone(),
        }
    }

    /// Closes the storage after everything that used it has ended. Blocks.
    pub fn close(&self) -> Result<(), Error> {
        match self {
            Self::Segments(store) => store.close().map_err(Error::segments),
            Self::Memory(_) => Ok(()),
        }
    }
}

fn open_segments(data_dir: &Path, durability: Durability, advertised: &Url) -> Result<SegmentStore, Error> {
    let folder = data_dir.join(FOLDER);
    files::create_private_dir(&folder).map_err(|source| Error::storage(&folder, source))?;
    let sqlite = folder.join(SQLITE);
    if sqlite.exists() {
        return Err(Error::OldStorage { data_dir: data_dir.to_owned(), path: sqlite });
    }
    let options = Options::new(folder.join(SEGMENTS), clock(), advertised.clone());
    let options = Options { durability, cluster_id: CLUSTER_ID.to_owned(), node_id: NODE_ID, ..options };
    SegmentStore::open(options).map_err(Error::segments)
}

async fn open_memory(advertised: &Url) -> Result<ArcDynStorage, Error> {
    let mut builder = StorageContainer::builder();
    builder.with_factory(Arc::new(MemoryEngineFactory));
    let failed =
        |error: nisshi_storage::Error| Error::Broker { doing: "opening its memory", reason: error.to_string() };
    let storage = Url::parse("memory://").map_err(|error| failed(error.into()))?;
    builder
        .cluster_id(CLUSTER_ID)
        .node_id(NODE_ID)
        .advertised_listener(advertised.clone())
        .storage(storage)
        .silent(true)
        .build()
        .await
        .map_err(failed)
}

/// The broker stamps records and lets them expire by the time of the machine: it is a service of its own that only
/// happens to live in this process, and its clients cannot hand it a clock.
#[allow(clippy::disallowed_methods)]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

fn clock() -> Clock {
    Clock::new(now)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    fn advertised() -> Url {
        Url::parse("tcp://127.0.0.1:9092").unwrap()
    }

    fn below(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| if path.is_dir() { [vec![path.clone()], below(&path)].concat() } else { vec![path] })
            .collect()
    }

    #[test]
    fn everything_in_the_folder_is_private() {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("my data ü");
        let store = open_segments(&data_dir, Durability::Process, &advertised()).unwrap();
        store.close().unwrap();
        let files = below(&data_dir);
        assert!(files.len() > 4, "{files:?}");
        for path in files {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        }
    }

    #[test]
    fn a_folder_of_an_earlier_version_is_refused_and_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let sqlite = home.path().join("broker/broker.sqlite");
        fs::create_dir(home.path().join("broker")).unwrap();
        fs::write(&sqlite, "records").unwrap();
        let error = open_segments(home.path(), Durability::Process, &advertised()).unwrap_err().to_string();
        assert!(error.contains("broker.sqlite") && error.contains("another data folder"), "{error}");
        assert_eq!(below(home.path()).len(), 2);
    }
}
