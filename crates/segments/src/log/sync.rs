//! Forcing what was written to the disk.

use std::io::ErrorKind;

use tracing::error;

use super::PartitionLog;
use crate::disk;
use crate::error::{Error, Result};

/// Up to where a log is known to be on the disk: a segment and bytes of it. Everything before is there as well.
pub(crate) type SyncPoint = (i64, u64);

impl PartitionLog {
    /// Forces everything appended so far to the disk and lets it be acknowledged.
    ///
    /// # Errors
    /// The log takes nothing more: after a failed `fdatasync` the operating system may have thrown away what it held,
    /// and a second one would not say so.
    pub fn sync(&self) -> Result<SyncPoint> {
        let (unsynced, new_names, point, end) = {
            let mut state = self.lock();
            let summary = state.active.summary();
            let base = state.last().map_or(0, |last| last.base);
            (
                std::mem::take(&mut state.unsynced),
                std::mem::take(&mut state.new_names),
                (base, summary.size),
                summary.end,
            )
        };
        let forced = unsynced.iter().try_for_each(|base| self.sync_segment(*base)).and_then(|()| {
            if new_names { self.folder.ancestors().take(3).try_for_each(disk::sync_dir) } else { Ok(()) }
        });
        if let Err(error) = forced {
            // A topic that is deleted at this moment has no files to sync.
            if self.progress().deleted {
                return Ok(point);
            }
            error!(%error, "a partition could not be made durable; it takes no more records until a restart");
            self.progress.send_modify(|progress| progress.failed = true);
            return Err(error);
        }
        self.progress.send_if_modified(|progress| {
            let more = progress.visible < end;
            progress.visible = progress.visible.max(end);
            more
        });
        Ok(point)
    }

    fn sync_segment(&self, base: i64) -> Result<()> {
        let path = self.log_path(base);
        let synced = self
            .shared
            .files
            .get(&path, false)
            .and_then(|open| open.file.sync_data().map_err(Error::io("sync", &path)));
        match synced {
            // Retention came first.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Writes what makes the next start quick: the last segment's index and the producers' state.
    pub fn close(&self) -> Result<SyncPoint> {
        let point = self.sync()?;
        let state = self.lock();
        if let Some(last) = state.last().copied() {
            let space = &self.shared.options.space;
            disk::replace(&self.index_path(last.base), &state.active.encode(), space, true)?;
            self.write_producers(&state, true)?;
        }
        Ok(point)
    }
}
