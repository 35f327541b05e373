//! One owner per data folder: two processes on the same broker file or ClickHouse path would destroy each other's work.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, statvfs};

use crate::{files, processes};

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else owns the folder.
    #[error("the data folder {} is in use by {holder}; stop it first, or give this one another folder", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
        /// The owner: process id and command line.
        holder: String,
    },
    /// The folder or its lock file cannot be created or read.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file system has less room than asked for.
    #[error("{} has {} MiB free, at least {} MiB are needed; free some space or choose another folder", path.display(), free_bytes >> 20, needed_bytes.div_ceil(1 << 20))]
    NoSpace {
        /// A folder on the file system.
        path: PathBuf,
        /// Bytes available to this user.
        free_bytes: u64,
        /// Bytes asked for.
        needed_bytes: u64,
    },
}

/// The ownership of a data folder, for as long as this value lives. The operating system takes it back when the process
/// ends, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // Held for its lock.
    _lock: File,
}

impl DataDir {
    /// Creates the folder (mode 0700) where it is missing and becomes its owner.
    ///
    /// # Errors
    /// [`Error::Held`] names the process that owns it already, [`Error::Unusable`] says why it cannot be created or
    /// written.
    pub fn acquire(path: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Unusable { path: path.to_owned(), source };
        files::create_private_dir(path).map_err(unusable)?;
        let path = path.canonicalize().map_err(unusable)?;
        let mut lock = files::open_private(&path.join("lock")).map_err(unusable)?;

        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut owner = String::new();
                // Best effort: the owner may be between locking and writing its id.
                let _ = lock.read_to_string(&mut owner);
                let holder = owner.trim().parse().map_or_else(|_| "another process".to_owned(), processes::describe);
                return Err(Error::Held { path, holder });
            }
            Err(errno) => return Err(Error::Unusable { path, source: errno.into() }),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(unusable)?;
        Ok(Self { path, _lock: lock })
    }

    /// The folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether some process owns the folder. It is asked by a shared lock, held for an instant.
pub fn is_held(path: &Path) -> bool {
    File::open(path.join("lock")).is_ok_and(|lock| {
        matches!(flock(&lock, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
    })
}

/// Checks that the file system holding `path` has `needed_bytes` left for this user.
///
/// # Errors
/// [`Error::NoSpace`] with both numbers, or [`Error::Unusable`] when the file system cannot be asked.
pub fn ensure_free_space(path: &Path, needed_bytes: u64) -> Result<(), Error> {
    let stat = statvfs(path).map_err(|errno| Error::Unusable { path: path.to_owned(), source: errno.into() })?;
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free_bytes < needed_bytes {
        return Err(Error::NoSpace { path: path.to_owned(), free_bytes, needed_bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_told_who_the_first_one_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        let first = DataDir::acquire(&path).unwrap();

        // A second open file description of the same file competes for the lock like another process does.
        let refused = DataDir::acquire(&path).unwrap_err().to_string();

        assert!(refused.contains(&format!("process {} (`", std::process::id())), "{refused}");
        assert!(refused.contains(&first.path().display().to_string()), "{refused}");
    }

    #[test]
    fn a_folder_is_held_only_while_it_has_an_owner() {
        let home = tempfile::tempdir().unwrap();
        assert!(!is_held(home.path()), "nobody ever owned it");
        let owner = DataDir::acquire(home.path()).unwrap();
        assert!(is_held(home.path()));
        drop(owner);
        assert!(!is_held(home.path()));
    }

    #[test]
    fn the_folder_is_free_again_when_its_owner_is_gone() {
        let home = tempfile::tempdir().unwrap();
        drop(DataDir::acquire(home.path()).unwrap());
        DataDir::acquire(home.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_reported_with_its_path() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        std::fs::write(&path, "").unwrap();
        let message = DataDir::acquire(&path).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
    }

    #[test]
    fn missing_space_is_reported_with_both_numbers() {
        let home = tempfile::tempdir().unwrap();
        ensure_free_space(home.path(), 1).unwrap();
        let message = ensure_free_space(home.path(), u64::MAX).unwrap_err().to_string();
        assert!(message.contains("MiB free, at least 17592186044416 MiB are needed"), "{message}");
    }
}
