//! Compaction of a log.

use super::*;
use crate::log::Compaction;

const KEEP_TOMBSTONES: Compaction = Compaction { tombstones_before: 0, segment_bytes: 1 << 20 };

fn put(log: &Arc<PartitionLog>, records: &[(&str, Option<&str>)], codec: i16) {
    let records: Vec<_> = records.iter().map(|(key, value)| (Some(key.as_bytes()), value.map(str::as_bytes))).collect();
    log.append(&keyed_batch(&records, TIME, codec), small_segments(), TIME).unwrap();
}

/// Offset and value of every record.
fn read(log: &PartitionLog) -> Vec<(i64, Option<String>)> {
    let mut offset = 0;
    let mut read = Vec::new();
    loop {
        let batches = log.read(offset, 1 << 20).unwrap();
        let Some(last) = batches.last() else { return read };
        for batch in &batches {
            assert_eq!(batch.computed_crc(), batch.crc);
            read.extend(
                values(batch)
                    .into_iter()
                    .map(|(offset, value)| (offset, value.map(|value| String::from_utf8(value.to_vec()).unwrap()))),
            );
        }
        offset = last.max_offset() + 1;
    }
}

fn some(records: &[(i64, &str)]) -> Vec<(i64, Option<String>)> {
    records.iter().map(|(offset, value)| (*offset, Some((*value).to_owned()))).collect()
}

#[test]
fn the_last_record_of_each_key_stays_at_its_offset() {
    for codec in 0..=4 {
        let home = Home::new();
        let log = home.reopen();
        for round in 0..50 {
            put(&log, &[("a", Some(&format!("a{round}"))), ("b", Some(&format!("b{round}")))], codec);
        }
        put(&log, &[("c", Some("c")), ("a", Some("last"))], codec);
        assert!(home.logs().len() > 3);
        assert!(log.compact(KEEP_TOMBSTONES, TIME).unwrap() > 0);
        let expected = some(&[(99, "b49"), (100, "c"), (101, "last")]);
        assert_eq!(read(&log), expected, "codec {codec}");
        // One segment with what is left, and the one that is written to.
        assert_eq!(home.logs().len(), 2);
        let log = home.reopen();
        assert_eq!(read(&log), expected);
        assert_eq!((log.start(), log.progress().end), (0, 102));
        assert_eq!(log.read(100, 1).unwrap()[0].base_offset, 100);
    }
}

#[test]
fn records_without_a_key_stay_and_a_tombstone_goes_when_it_was_there_to_be_seen() {
    let home = Home::new();
    let log = home.reopen();
    put(&log, &[("a", Some("a")), ("b", Some("b"))], 0);
    append(&log, "no key");
    put(&log, &[("a", None)], 0);
    log.compact(KEEP_TOMBSTONES, TIME).unwrap();
    assert_eq!(read(&log), [(1, Some("b".to_owned())), (2, Some("no key".to_owned())), (3, None)]);
    // Something must have been written for the log to be looked at again.
    put(&log, &[("b", Some("a value that is longer than all the rest of the log: ".repeat(4).as_str()))], 0);
    log.compact(Compaction { tombstones_before: TIME + 1, ..KEEP_TOMBSTONES }, TIME).unwrap();
    let left: Vec<i64> = read(&log).into_iter().map(|(offset, _)| offset).collect();
    assert_eq!(left, [2, 4]);
}

#[test]
fn a_log_that_has_hardly_grown_is_left_alone() {
    let home = Home::new();
    let log = home.reopen();
    for i in 0..100 {
        put(&log, &[(&format!("key {i}"), Some("value"))], 0);
    }
    log.compact(KEEP_TOMBSTONES, TIME).unwrap();
    let files = home.logs();
    put(&log, &[("key 0", Some("value"))], 0);
    assert_eq!(log.compact(KEEP_TOMBSTONES, TIME).unwrap(), 0);
    assert_eq!(home.logs(), files);
}

#[test]
fn a_compaction_that_was_killed_while_it_replaced_segments_is_finished_by_the_next_start() {
    let home = Home::new();
    let log = home.reopen();
    for round in 0..50 {
        put(&log, &[("a", Some(&format!("a{round}"))), (&format!("key {round}"), Some("stays"))], 0);
    }
    let before: Vec<_> = home.logs().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    log.compact(KEEP_TOMBSTONES, TIME).unwrap();
    let expected = read(&log);
    drop(log);
    // The first segment was replaced; the others were not deleted yet.
    let closed = &before[1..before.len() - 1];
    closed.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    fs::write(home.folder().join("00000000000000000000.cleaned"), b"half of another one").unwrap();
    let log = home.reopen();
    assert_eq!(read(&log), expected);
    assert_eq!(log.progress().end, 100);
    assert!(home.logs().len() <= 3, "{:?}", home.logs());
}

#[test]
fn a_full_disk_interrupts_a_compaction_and_loses_nothing() {
    let mut home = Home::new();
    let left = Arc::new(AtomicU64::new(u64::MAX));
    home.options.space = Space::Limited(left.clone());
    let log = home.reopen();
    for round in 0..50 {
        put(&log, &[("a", Some(&format!("a{round}"))), (&format!("key {round}"), Some("stays"))], 0);
    }
    let before = read(&log);
    left.store(300, Ordering::SeqCst);
    let error = log.compact(KEEP_TOMBSTONES, TIME).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert_eq!(read(&log), before);
    left.store(u64::MAX, Ordering::SeqCst);
    log.compact(KEEP_TOMBSTONES, TIME).unwrap();
    assert_eq!(read(&log).len(), 51);
}
