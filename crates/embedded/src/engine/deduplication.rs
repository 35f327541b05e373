//! Inserts that the engine believes to know and has not got.
//!
//! A table remembers the blocks inserted last, so that a repeated insert is not made twice (`non_replicated_deduplication_window`).
//! The engine writes a block's name down before its part takes its place in the table: killed between the two, it passes over
//! the repeated insert and says that it was made. The rows would be lost. So before it starts, names without a part go.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tracing::warn;

use super::STATUS_FILE;
use crate::files;

/// The folder of a table that has the names.
const LOGS_FOLDER: &str = "deduplication_logs";
/// What a line begins with that adds a block; the part's name and the block's follow, between tabs.
const ADDED: &str = "1";

/// Takes from every table's log the blocks whose part is not there. False if an engine uses the store, which is left alone
/// then.
pub(super) fn repair(store: &Path) -> io::Result<bool> {
    let status = match File::open(store.join(STATUS_FILE)) {
        Ok(status) => status,
        // Nothing was ever started here.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    if flock(&status, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    for table in tables(store)? {
        let parts = Parts::of(&table)?;
        for log in fs::read_dir(table.join(LOGS_FOLDER))? {
            let log = log?.path();
            if log.extension() == Some(OsStr::new("txt")) {
                repair_log(&log, &parts)?;
            }
        }
    }
    Ok(true)
}

/// The folders of the tables that have logs: `store/<three digits>/<id>`.
fn tables(store: &Path) -> io::Result<Vec<PathBuf>> {
    let below = |folder: PathBuf| -> io::Result<Vec<PathBuf>> {
        match fs::read_dir(folder) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.path()))
                .filter(|path| path.as_ref().map_or(true, |p| p.is_dir()))
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    };
    let mut found = Vec::new();
    for group in below(store.join("store"))? {
        found.extend(below(group)?.into_iter().filter(|table| table.join(LOGS_FOLDER).is_dir()));
    }
    Ok(found)
}

fn repair_log(log: &Path, parts: &Parts) -> io::Result<()> {
    let text = fs::read_to_string(log)?;
    let is_there = |line: &&str| {
        let mut fields = line.split('\t');
        let added = fields.next() == Some(ADDED);
        // What is not understood is left as it is.
        !added || fields.next().and_then(Span::of).is_none_or(|(partition, span)| parts.cover(partition, span))
    };
    let kept: String = text.split_inclusive('\n').filter(is_there).collect();
    if kept.len() < text.len() {
        let forgotten = text.lines().count() - kept.lines().count();
        warn!(log = %log.display(), forgotten, "the engine was killed in the middle of inserts; their blocks are forgotten");
        files::write_private(log, kept.as_bytes())?;
    }
    Ok(())
}

/// The numbers of the blocks in a part, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: u64,
    last: u64,
}

impl Span {
    /// Of a part's name, with its partition: `<partition>_<first>_<last>_<level>`.
    fn of(name: &str) -> Option<(&str, Self)> {
        let mut fields = name.rsplitn(4, '_');
        let _level: u32 = fields.next()?.parse().ok()?;
        let last = fields.next()?.parse().ok()?;
        let first = fields.next()?.parse().ok()?;
        let partition = fields.next().filter(|partition| !partition.is_empty())?;
        (first <= last).then_some((partition, Self { first, last }))
    }
}

/// The parts of a table, by partition.
struct Parts(HashMap<String, Vec<Span>>);

impl Parts {
    fn of(table: &Path) -> io::Result<Self> {
        let mut parts: HashMap<String, Vec<Span>> = HashMap::new();
        for entry in fs::read_dir(table)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            // After a mutation, its number stands at the end. Read in the wrong way, the partition is nobody's.
            let readings = [Some(name), name.rsplit_once('_').map(|(name, _)| name)];
            for (partition, span) in readings.into_iter().flatten().filter_map(Span::of) {
                parts.entry(partition.to_owned()).or_default().push(span);
            }
        }
        Ok(Self(parts))
    }

    /// Whether a part has these blocks: the one they were inserted as, or one it was merged into.
    fn cover(&self, partition: &str, span: Span) -> bool {
        let parts = self.0.get(partition).map(Vec::as_slice).unwrap_or_default();
        parts.iter().any(|part| part.first <= span.first && span.last <= part.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one table, which has these parts and this log.
    fn store(parts: &[&str], log: &str) -> (tempfile::TempDir, PathBuf) {
        let store = tempfile::tempdir().unwrap();
        fs::write(store.path().join(STATUS_FILE), "PID: 1").unwrap();
        let table = store.path().join("store/abc/abcdef");
        fs::create_dir_all(table.join(LOGS_FOLDER)).unwrap();
        parts.iter().for_each(|part| fs::create_dir(table.join(part)).unwrap());
        let path = table.join(LOGS_FOLDER).join("deduplication_log_1.txt");
        fs::write(&path, log).unwrap();
        (store, path)
    }

    fn repaired(parts: &[&str], log: &str) -> String {
        let (store, path) = store(parts, log);
        assert!(repair(store.path()).unwrap());
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_block_whose_part_is_not_there_is_forgotten() {
        let log = "1\tall_1_1_0\tall_7_8\n1\tall_2_2_0\tall_9_9\n1\tall_3_3_0\tall_5_5\n";
        assert_eq!(
            repaired(&["all_1_1_0", "tmp_insert_all_2_2_0", "all_3_3_0"], log),
            log.replace("1\tall_2_2_0\tall_9_9\n", "")
        );
    }

    #[test]
    fn parts_that_were_merged_or_mutated_are_there() {
        let log = "1\tall_1_1_0\ta\n1\tall_2_2_0\tb\n1\tall_6_6_0\tc\n1\tx_y_3_3_0\td\n";
        assert_eq!(repaired(&["all_1_4_1", "all_6_6_0_9", "x_y_1_5_2_7", "detached"], log), log);
        assert_eq!(repaired(&["all_3_4_1"], "1\tall_2_2_0\tb\n"), "");
        assert_eq!(repaired(&["other_1_4_1"], "1\tall_2_2_0\tb\n"), "");
    }

    #[test]
    fn what_was_dropped_and_what_is_not_understood_stays() {
        let log = "2\tall_1_1_0\ta\nsomething else\n1\tname\tb\n";
        assert_eq!(repaired(&[], log), log);
    }

    #[test]
    fn a_store_that_is_in_use_or_new_is_left_alone() {
        let log = "1\tall_1_1_0\ta\n";
        let (store, path) = store(&[], log);
        let status = File::open(store.path().join(STATUS_FILE)).unwrap();
        flock(&status, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(!repair(store.path()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), log);
        drop(status);
        assert!(repair(store.path()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert!(repair(&store.path().join("nothing")).unwrap());
    }
}
