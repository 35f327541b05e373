//! The open files of all segments: at most so many at once, the one unused for longest closed first.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::index::Index;
use crate::disk;
use crate::error::{Error, Result};

/// An open segment. Whoever holds it can go on reading after it was replaced or deleted.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub file: File,
    /// The index of a closed segment, once it has been wanted.
    pub index: OnceLock<Index>,
}

/// Open segments by path.
#[derive(Debug)]
pub(crate) struct Files {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    clock: u64,
    segments: HashMap<PathBuf, (u64, Arc<OpenSegment>)>,
}

impl Files {
    pub fn new(limit: usize) -> Self {
        Self { limit: limit.max(8), open: Mutex::default() }
    }

    /// The open file of `path`; opened when it is not, made when `create`.
    pub fn get(&self, path: &Path, create: bool) -> Result<Arc<OpenSegment>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clock += 1;
        let now = open.clock;
        if let Some((used, segment)) = open.segments.get_mut(path) {
            *used = now;
            return Ok(segment.clone());
        }
        if open.segments.len() >= self.limit
            && let Some(oldest) = open.segments.iter().min_by_key(|(_, (used, _))| *used).map(|(path, _)| path.clone())
        {
            open.segments.remove(&oldest);
        }
        let file = disk::open(path, create).map_err(Error::io("open", path))?;
        let segment = Arc::new(OpenSegment { file, index: OnceLock::new() });
        open.segments.insert(path.to_owned(), (now, segment.clone()));
        Ok(segment)
    }

    /// Forgets `path`: the file was replaced or deleted.
    pub fn forget(&self, path: &Path) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).segments.remove(path);
    }

    /// How many files are open.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_files_are_open_than_allowed_and_the_ones_in_use_stay() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::new(8);
        let path = |i: usize| home.path().join(i.to_string());
        for i in 0..20 {
            files.get(&path(i), true).unwrap();
            files.get(&path(0), false).unwrap();
            assert!(files.len() <= 8);
        }
        let kept = files.get(&path(0), false).unwrap();
        assert!(Arc::ptr_eq(&kept, &files.get(&path(0), false).unwrap()));
    }

    #[test]
    fn a_forgotten_file_is_opened_anew() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::new(8);
        let path = home.path().join("f");
        let before = files.get(&path, true).unwrap();
        files.forget(&path);
        assert!(!Arc::ptr_eq(&before, &files.get(&path, false).unwrap()));
    }
}
