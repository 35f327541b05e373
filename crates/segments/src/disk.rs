//! Files and folders of the store: private to their owner, and written so that a full disk leaves no trace.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::options::Space;

/// Makes `path` and its missing parents, mode 0700.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("make the folder", path))
}

/// Opens `path` for reading and writing; makes it, mode 0600, when `create`.
pub(crate) fn open(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)
}

/// Makes changes of names in `folder` durable.
pub(crate) fn sync_dir(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync the folder", folder))
}

/// Removes a file that may be gone already.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("delete", path)(error)),
        _ => Ok(()),
    }
}

/// Replaces `path` by `contents`: a reader, or a crash, finds the old file or the new one. `durable` says whether that
/// holds for a power cut too.
pub(crate) fn replace(path: &Path, contents: &[u8], space: &Space, durable: bool) -> Result<()> {
    let mut staged = path.as_os_str().to_owned();
    staged.push(".new");
    let staged = PathBuf::from(staged);
    let write = || -> io::Result<()> {
        space.take(contents.len())?;
        let mut file = open(&staged, true)?;
        file.set_len(0)?;
        file.write_all(contents)?;
        if durable { file.sync_all() } else { Ok(()) }
    };
    write().and_then(|()| fs::rename(&staged, path)).map_err(|error| {
        // Half a staged file takes space that is wanted elsewhere.
        let _ = fs::remove_file(&staged);
        Error::io("write", path)(error)
    })?;
    if durable { path.parent().map_or(Ok(()), sync_dir) } else { Ok(()) }
}

/// Writes all `parts` one after the other at `position`.
pub(crate) fn write_at(file: &File, parts: &[&[u8]], position: u64, space: &Space) -> io::Result<()> {
    let allowed = space.take_up_to(parts.iter().map(|part| part.len()).sum());
    let mut done = 0_usize;
    let total: usize = parts.iter().map(|part| part.len()).sum();
    while done < total {
        if done >= allowed {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut slices = Vec::with_capacity(parts.len());
        let (mut skip, mut room) = (done, allowed - done);
        for part in parts {
            let from = skip.min(part.len());
            skip -= from;
            let to = part.len().min(from + room);
            room -= to - from;
            if from < to {
                slices.push(IoSlice::new(&part[from..to]));
            }
        }
        match rustix::io::pwritev(file, &slices, position + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Reads up to `length` bytes at `position`; fewer only at the end of the file.
pub(crate) fn read_at(file: &File, length: usize, position: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = position + bytes.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

impl Space {
    /// Takes `wanted` bytes or reports a full disk.
    pub(crate) fn take(&self, wanted: usize) -> io::Result<()> {
        if self.take_up_to(wanted) < wanted { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Takes up to `wanted` bytes, like a disk that fills in the middle of a write. Returns how many.
    fn take_up_to(&self, wanted: usize) -> usize {
        match self {
            Self::Disk => wanted,
            Self::Limited(left) => take(left, wanted),
        }
    }
}

fn take(left: &AtomicU64, wanted: usize) -> usize {
    let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(wanted as u64)));
    before.map_or(0, |before| usize::try_from(before).unwrap_or(usize::MAX).min(wanted))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn parts_are_written_one_after_the_other() {
        let home = tempfile::tempdir().unwrap();
        let file = open(&home.path().join("f"), true).unwrap();
        write_at(&file, &[b"abc", b"", b"defg"], 2, &Space::Disk).unwrap();
        assert_eq!(read_at(&file, 100, 2).unwrap(), b"abcdefg");
        assert_eq!(read_at(&file, 2, 3).unwrap(), b"bc");
    }

    #[test]
    fn a_disk_that_fills_up_takes_the_beginning_of_a_write() {
        let home = tempfile::tempdir().unwrap();
        let file = open(&home.path().join("f"), true).unwrap();
        let space = Space::Limited(Arc::new(AtomicU64::new(4)));
        let error = write_at(&file, &[b"abc", b"defg"], 0, &space).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(read_at(&file, 100, 0).unwrap(), b"abcd");
    }

    #[test]
    fn a_replacement_that_does_not_fit_leaves_the_old_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("f");
        replace(&path, b"old", &Space::Disk, true).unwrap();
        let full = Space::Limited(Arc::new(AtomicU64::new(1)));
        assert!(matches!(replace(&path, b"new", &full, true), Err(Error::NoSpace { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
