//! What is not records: topics, groups, committed offsets, the next producer id. A map in memory, and a file that every
//! change is appended to before it counts.
//!
//! ```text
//! journal/00000000000000000003     entries: length u32 · crc u32 · postcard(key, value or nothing)
//! ```
//!
//! When most of a file is history, the present is written to the next file, which takes its place in one step.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::batch;
use crate::disk;
use crate::error::{Error, Result};
use crate::options::Space;

/// Bytes before an entry's contents.
const PREFIX: usize = 8;
/// A file below this size is not worth rewriting.
const REWRITE_FROM: u64 = 1 << 20;

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Key {
    /// A topic, by name.
    Topic(String),
    /// The first readable offset of a partition, by the topic's id.
    LogStart([u8; 16], i32),
    /// A consumer group's state.
    Group(String),
    /// A group's committed offset for a topic's partition.
    Offset(String, String, i32),
    /// Producer ids below this one may have been given away.
    ProducerIds,
}

/// The map and its file.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    space: Space,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entries: BTreeMap<Key, Vec<u8>>,
    number: u64,
    file: File,
    size: u64,
    /// Bytes that the entries of the map take.
    live: u64,
    /// An append failed and could not be taken back.
    torn: bool,
}

impl Journal {
    /// Opens the journal in `folder`, which is made when missing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when an entry in the middle is damaged.
    pub fn open(folder: PathBuf, space: Space, trust_writes: bool) -> Result<Self> {
        disk::create_dir(&folder)?;
        let numbers = numbers(&folder)?;
        let number = numbers.last().copied().unwrap_or(0);
        let path = path(&folder, number);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(Error::io("read", &path))?,
        };
        let (entries, size) = replay(&path, &bytes, trust_writes)?;
        let file = disk::open(&path, true).map_err(Error::io("open", &path))?;
        if size < bytes.len() as u64 {
            info!(file = %path.display(), bytes = bytes.len() as u64 - size, "cut off a change that was interrupted");
            file.set_len(size).map_err(Error::io("shorten", &path))?;
        }
        // An interrupted rewrite has left both files; the later one is complete.
        numbers
            .iter()
            .filter(|older| **older < number)
            .try_for_each(|older| disk::remove_file(&self::path(&folder, *older)))?;
        let live = entries.iter().map(|(key, value)| entry(key, Some(value)).len() as u64).sum();
        let state = Mutex::new(State { entries, number, file, size, live, torn: false });
        Ok(Self { folder, space, state })
    }

    /// The value of `key`.
    pub fn get(&self, key: &Key) -> Option<Vec<u8>> {
        self.lock().entries.get(key).cloned()
    }

    /// Reads a range of keys.
    pub fn range<T>(&self, range: impl RangeBounds<Key>, read: impl FnOnce(Range<'_, Key, Vec<u8>>) -> T) -> T {
        read(self.lock().entries.range(range))
    }

    /// Sets or removes keys, all of them or none. They survive the end of the process when this returns.
    ///
    /// # Errors
    /// Nothing has changed.
    pub fn apply(&self, changes: Vec<(Key, Option<Vec<u8>>)>) -> Result<()> {
        self.update(|_| Ok::<_, Error>(((), changes)))
    }

    /// Decides on changes with the map at hand, and makes them, before anybody else sees or changes it.
    pub fn update<T, E: From<Error>>(
        &self,
        decide: impl FnOnce(&BTreeMap<Key, Vec<u8>>) -> Result<(T, Vec<(Key, Option<Vec<u8>>)>), E>,
    ) -> Result<T, E> {
        let mut state = self.lock();
        let (answer, changes) = decide(&state.entries)?;
        if !changes.is_empty() {
            self.write(&mut state, &changes)?;
            for (key, value) in changes {
                state.set(key, value);
            }
            if state.size > REWRITE_FROM
                && state.size > 4 * state.live
                && let Err(error) = self.rewrite(&mut state)
            {
                warn!(%error, "the journal was not rewritten; it goes on growing");
            }
        }
        Ok(answer)
    }

    /// Forces everything to the disk.
    pub fn sync(&self) -> Result<()> {
        let (file, path) = {
            let state = self.lock();
            let path = path(&self.folder, state.number);
            (state.file.try_clone().map_err(Error::io("sync", &path))?, path)
        };
        file.sync_data().map_err(Error::io("sync", &path))?;
        disk::sync_dir(&self.folder)
    }

    fn write(&self, state: &mut State, changes: &[(Key, Option<Vec<u8>>)]) -> Result<()> {
        let path = path(&self.folder, state.number);
        if state.torn {
            state.file.set_len(state.size).map_err(Error::io("shorten", &path))?;
            state.torn = false;
        }
        let bytes: Vec<u8> = changes.iter().flat_map(|(key, value)| entry(key, value.as_ref())).collect();
        if let Err(error) = disk::write_at(&state.file, &[&bytes], state.size, &self.space) {
            state.torn = state.file.set_len(state.size).is_err();
            return Err(Error::io("write to", &path)(error));
        }
        state.size += bytes.len() as u64;
        Ok(())
    }

    fn rewrite(&self, state: &mut State) -> Result<()> {
        let bytes: Vec<u8> = state.entries.iter().flat_map(|(key, value)| entry(key, Some(value))).collect();
        let next = path(&self.folder, state.number + 1);
        disk::replace(&next, &bytes, &self.space, true)?;
        let file = disk::open(&next, false).map_err(Error::io("open", &next))?;
        let before = path(&self.folder, state.number);
        state.number += 1;
        state.file = file;
        state.size = bytes.len() as u64;
        disk::remove_file(&before)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set(&mut self, key: Key, value: Option<Vec<u8>>) {
        let size = |value: &Vec<u8>| entry(&key, Some(value)).len() as u64;
        let before = self.entries.get(&key).map_or(0, size);
        let after = value.as_ref().map_or(0, size);
        self.live = self.live + after - before;
        match value {
            Some(value) => self.entries.insert(key, value),
            None => self.entries.remove(&key),
        };
    }
}

fn entry(key: &Key, value: Option<&Vec<u8>>) -> Vec<u8> {
    // Serializing these types to memory cannot fail.
    let contents = postcard::to_stdvec(&(key, value)).unwrap_or_default();
    let mut entry = Vec::with_capacity(PREFIX + contents.len());
    entry.put_u32(u32::try_from(contents.len()).unwrap_or(u32::MAX));
    entry.put_u32(batch::crc(&contents));
    entry.extend_from_slice(&contents);
    entry
}

/// The map after all whole entries, and how many bytes these take.
fn replay(path: &Path, bytes: &[u8], trust_writes: bool) -> Result<(BTreeMap<Key, Vec<u8>>, u64)> {
    let mut entries = BTreeMap::new();
    let mut at = 0;
    while let Some((key, value, size)) = read_entry(&bytes[at..]) {
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        };
        at += size;
    }
    // An interrupted write is the last one.
    let follows = trust_writes && (at + 1..bytes.len()).any(|later| read_entry(&bytes[later..]).is_some());
    if follows {
        let reason = "an entry is damaged, and intact ones follow".to_owned();
        return Err(Error::Corrupt { path: path.to_owned(), position: at as u64, offset: 0, reason });
    }
    Ok((entries, at as u64))
}

fn read_entry(bytes: &[u8]) -> Option<(Key, Option<Vec<u8>>, usize)> {
    let mut head = bytes.get(..PREFIX)?;
    let length = usize::try_from(head.get_u32()).ok()?;
    let crc = head.get_u32();
    let contents = bytes.get(PREFIX..PREFIX.checked_add(length)?)?;
    if length == 0 || batch::crc(contents) != crc {
        return None;
    }
    let (key, value) = postcard::from_bytes(contents).ok()?;
    Some((key, value, PREFIX + length))
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}"))
}

fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let name = entry.map_err(Error::io("list", folder))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn open(home: &Path) -> Journal {
        Journal::open(home.join("journal"), Space::Disk, true).unwrap()
    }

    fn key(i: u32) -> Key {
        Key::Group(format!("group {i}"))
    }

    fn only_file(home: &Path) -> PathBuf {
        let mut files = fs::read_dir(home.join("journal")).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }

    #[test]
    fn what_was_set_is_there_after_a_restart_and_what_was_removed_is_not() {
        let home = tempfile::tempdir().unwrap();
        let journal = open(home.path());
        journal.apply(vec![(key(1), Some(b"one".to_vec())), (key(2), Some(b"two".to_vec()))]).unwrap();
        journal.apply(vec![(key(1), None), (key(2), Some(b"three".to_vec()))]).unwrap();
        drop(journal);
        let journal = open(home.path());
        assert_eq!(journal.get(&key(1)), None);
        assert_eq!(journal.get(&key(2)).unwrap(), b"three");
    }

    #[test]
    fn an_interrupted_change_is_cut_off_wherever_it_ends() {
        let home = tempfile::tempdir().unwrap();
        let journal = open(home.path());
        journal.apply(vec![(key(1), Some(b"one".to_vec()))]).unwrap();
        let file = only_file(home.path());
        let kept = fs::metadata(&file).unwrap().len();
        journal.apply(vec![(key(1), Some(b"a longer value".to_vec()))]).unwrap();
        drop(journal);
        let whole = fs::read(&file).unwrap();
        for length in kept..whole.len() as u64 {
            fs::write(&file, &whole[..usize::try_from(length).unwrap()]).unwrap();
            let journal = open(home.path());
            assert_eq!(journal.get(&key(1)).unwrap(), b"one", "{length} bytes");
            assert_eq!(fs::metadata(&file).unwrap().len(), kept);
        }
    }

    #[test]
    fn damage_before_the_end_is_reported() {
        let home = tempfile::tempdir().unwrap();
        let journal = open(home.path());
        for i in 0..3 {
            journal.apply(vec![(key(i), Some(vec![7; 20]))]).unwrap();
        }
        drop(journal);
        let file = only_file(home.path());
        let mut bytes = fs::read(&file).unwrap();
        bytes[PREFIX + 3] ^= 1;
        fs::write(&file, bytes).unwrap();
        let error = Journal::open(home.path().join("journal"), Space::Disk, true).unwrap_err();
        assert!(matches!(error, Error::Corrupt { position: 0, .. }), "{error}");
    }

    #[test]
    fn history_is_left_behind() {
        let home = tempfile::tempdir().unwrap();
        let journal = open(home.path());
        for i in 0..3_000 {
            journal.apply(vec![(key(i % 3), Some(vec![7; 1_000]))]).unwrap();
        }
        drop(journal);
        let file = only_file(home.path());
        assert!(fs::metadata(&file).unwrap().len() < 2 * REWRITE_FROM);
        assert_eq!(open(home.path()).get(&key(2)).unwrap(), vec![7; 1_000]);
    }

    #[test]
    fn a_full_disk_changes_nothing_and_is_forgotten_once_there_is_space() {
        let home = tempfile::tempdir().unwrap();
        let left = Arc::new(AtomicU64::new(100));
        let limited = Space::Limited(left.clone());
        let journal = Journal::open(home.path().join("journal"), limited, true).unwrap();
        journal.apply(vec![(key(1), Some(vec![1; 40]))]).unwrap();
        let error = journal.apply(vec![(key(1), Some(vec![2; 80]))]).unwrap_err();
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
        assert_eq!(journal.get(&key(1)).unwrap(), vec![1; 40]);
        left.store(1_000, Ordering::SeqCst);
        journal.apply(vec![(key(2), Some(vec![3; 80]))]).unwrap();
        drop(journal);
        let journal = open(home.path());
        assert_eq!((journal.get(&key(1)).unwrap(), journal.get(&key(2)).unwrap()), (vec![1; 40], vec![3; 80]));
    }
}
