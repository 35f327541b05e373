//! The broker's storage URL, and the file it stands for.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use url::Url;

use super::{BrokerStorage, Error};
use crate::files;

/// The broker's folder, in the data folder.
const FOLDER: &str = "broker";
/// The SQLite file, in the broker's folder.
const FILE: &str = "broker.sqlite";
/// How often retention and compaction run.
const MAINTENANCE_INTERVAL: &str = "5m";

/// A storage that can be opened as long as this value lives.
#[derive(Debug)]
pub(super) struct PreparedStorage {
    url: Url,
    // The URL leads through this open folder.
    _folder: Option<File>,
}

impl PreparedStorage {
    /// Makes the folder (mode 0700) and an empty file (mode 0600) for SQLite to fill; its side files inherit the mode.
    pub(super) fn new(storage: BrokerStorage, data_dir: &Path) -> Result<Self, Error> {
        match storage {
            BrokerStorage::Memory => Ok(Self { url: url("memory://", data_dir)?, _folder: None }),
            BrokerStorage::Sqlite => {
                let folder = data_dir.join(FOLDER);
                files::create_private_dir(&folder).map_err(|source| Error::storage(&folder, source))?;
                let file = folder.join(FILE);
                files::open_private(&file).map_err(|source| Error::storage(&file, source))?;
                let folder = File::open(&folder).map_err(|source| Error::storage(&folder, source))?;
                // A URL writes a space as `%20` and the broker takes that for the file's name, so the path must be one
                // that a URL leaves alone whatever the folder is called. Four slashes: an absolute path, where three
                // would mean one relative to the working folder.
                let path = format!("/proc/self/fd/{}/{FILE}", folder.as_raw_fd());
                Ok(Self { url: url(&format!("sqlite:///{path}"), data_dir)?, _folder: Some(folder) })
            }
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

fn url(base: &str, data_dir: &Path) -> Result<Url, Error> {
    Url::parse(&format!("{base}?maintenance_interval={MAINTENANCE_INTERVAL}"))
        .map_err(|error| Error::storage(data_dir, std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_with_a_space_in_its_name_is_reached_through_a_plain_path() {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("my data ü");
        let storage = PreparedStorage::new(BrokerStorage::Sqlite, &data_dir).unwrap();

        let path = storage.url().path().strip_prefix('/').unwrap();
        assert_eq!(
            Path::new(path).canonicalize().unwrap(),
            data_dir.canonicalize().unwrap().join("broker/broker.sqlite")
        );
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn memory_leaves_no_files() {
        let home = tempfile::tempdir().unwrap();
        let storage = PreparedStorage::new(BrokerStorage::Memory, home.path()).unwrap();
        assert_eq!(storage.url().scheme(), "memory");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
