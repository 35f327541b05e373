//! The log as a whole.

use std::fs;
use std::sync::atomic::AtomicU64;

use nisshi_sans_io::record::deflated;
use tempfile::TempDir;
use url::Url;

use super::*;
use crate::options::Space;
use crate::testing::{Hands, TIME, batch, keyed_batch, values};

const LARGE: Limits = Limits { segment_bytes: 1 << 30, segment_ms: i64::MAX };

/// A log in a folder of its own, opened again as often as a test wants.
struct Home {
    home: TempDir,
    options: Options,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let advertised = Url::parse("tcp://127.0.0.1:9092").unwrap();
        let mut options = Options::new(home.path().to_owned(), Hands::new().clock(), advertised);
        options.index_interval = 200;
        Self { home, options }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("topic/0")
    }

    fn open(&self, trust: Trust) -> Result<Arc<PartitionLog>, Error> {
        let options = self.options.clone();
        let shared = Shared { files: Files::new(options.open_files), options, queue: Queue::default() };
        PartitionLog::open(self.folder(), Arc::new(shared), trust, 0, -1, TIME).map(Arc::new)
    }

    fn reopen(&self) -> Arc<PartitionLog> {
        self.open(Trust::Writes).unwrap()
    }

    fn logs(&self) -> Vec<PathBuf> {
        let mut logs: Vec<_> = fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        logs.sort();
        logs
    }
}

fn append(log: &Arc<PartitionLog>, value: &str) -> i64 {
    log.append(&batch(&[value.as_bytes()]), LARGE, TIME).unwrap().base_offset
}

/// Every value from `from` on, however many reads that takes.
fn read_all(log: &PartitionLog, from: i64) -> Vec<String> {
    let mut offset = from;
    let mut read = Vec::new();
    loop {
        let batches = log.read(offset, 500).unwrap();
        let Some(last) = batches.last() else { return read };
        let found = batches.iter().flat_map(values).filter(|(at, _)| *at >= offset);
        read.extend(found.map(|(_, value)| String::from_utf8(value.unwrap().to_vec()).unwrap()));
        offset = last.max_offset() + 1;
    }
}

fn numbers(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|i| format!("value {i}")).collect()
}

fn fill(log: &Arc<PartitionLog>, range: std::ops::Range<i64>, limits: Limits) {
    for i in range {
        let sent = batch(&[format!("value {i}").as_bytes()]);
        assert_eq!(log.append(&sent, limits, TIME).unwrap().base_offset, i);
    }
}

/// Ten batches a segment.
fn small_segments() -> Limits {
    let size = batch(&[b"value 00"]).record_data.len() as u64 + 61;
    Limits { segment_bytes: size * 10, segment_ms: i64::MAX }
}

#[test]
fn records_are_read_from_any_offset_across_segments_before_and_after_a_restart() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..95, small_segments());
    assert!(home.logs().len() > 8);
    for log in [log, home.reopen()] {
        for from in [0, 1, 9, 10, 11, 50, 94] {
            assert_eq!(read_all(&log, from), numbers(from..95), "from {from}");
        }
        assert_eq!(read_all(&log, 95), Vec::<String>::new());
        assert_eq!(log.progress().end, 95);
    }
}

#[test]
fn a_batch_is_stored_as_it_came() {
    let home = Home::new();
    let log = home.reopen();
    append(&log, "first");
    for codec in 0..=4 {
        let sent = keyed_batch(&[(Some(b"k"), Some(b"some value")), (None, Some(b"another"))], TIME, codec);
        let offset = log.append(&sent, LARGE, TIME).unwrap().base_offset;
        let [stored] = <[deflated::Batch; 1]>::try_from(log.read(offset, 1).unwrap()).unwrap();
        assert_eq!((stored.base_offset, stored.partition_leader_epoch), (offset, 0));
        assert_eq!((stored.record_data, stored.crc), (sent.record_data, sent.crc));
    }
}

#[test]
fn a_read_returns_one_batch_however_large_and_no_more_than_asked_for() {
    let home = Home::new();
    let log = home.reopen();
    let large = vec![b'x'; 3 << 20];
    for _ in 0..3 {
        log.append(&batch(&[&large]), LARGE, TIME).unwrap();
    }
    fill(&log, 3..40, LARGE);
    assert_eq!(log.read(0, 1).unwrap().len(), 1);
    assert_eq!(log.read(1, 1 << 20).unwrap().len(), 1);
    let size = |batches: &[deflated::Batch]| batches.iter().map(|batch| batch.record_data.len() + 61).sum::<usize>();
    let small = log.read(3, 400).unwrap();
    assert!(small.len() > 1 && size(&small) <= 400, "{}", size(&small));
}

#[test]
fn a_torn_tail_is_cut_off_wherever_the_last_write_ended() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..5, LARGE);
    let path = home.logs().remove(0);
    let whole = fs::metadata(&path).unwrap().len();
    append(&log, "the last one, which is torn");
    drop(log);
    let bytes = fs::read(&path).unwrap();
    for trust in [Trust::Writes, Trust::Synced(None)] {
        for length in whole..bytes.len() as u64 {
            fs::write(&path, &bytes[..usize::try_from(length).unwrap()]).unwrap();
            let log = home.open(trust).unwrap();
            assert_eq!(log.progress().end, 5, "{length} bytes, {trust:?}");
            assert_eq!(fs::metadata(&path).unwrap().len(), whole);
            assert_eq!(append(&log, "value 5"), 5);
            assert_eq!(read_all(&log, 0), numbers(0..6));
        }
    }
}

#[test]
fn damage_in_the_middle_is_reported_with_file_and_place_and_nothing_is_cut() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..5, LARGE);
    let path = home.logs().remove(0);
    drop(log);
    let bytes = fs::read(&path).unwrap();
    let size = bytes.len() / 5;
    // A length, the format's number, and a byte of a record.
    for damaged in [size * 2 + 9, size * 2 + 16, size * 2 + 70] {
        let mut file = bytes.clone();
        file[damaged] ^= 0x41;
        fs::write(&path, &file).unwrap();
        let error = home.open(Trust::Writes).unwrap_err();
        assert!(matches!(error, Error::Corrupt { offset: 2, .. }), "byte {damaged}: {error}");
        assert!(error.to_string().contains(&format!("damaged at byte {}", size * 2)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), file);
    }
}

#[test]
fn after_a_power_cut_everything_beyond_the_last_sync_is_verified() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..3, LARGE);
    let point = log.sync().unwrap();
    fill(&log, 3..6, LARGE);
    drop(log);
    let path = home.logs().remove(0);
    let bytes = fs::read(&path).unwrap();
    let damage = |batch: usize| {
        let mut file = bytes.clone();
        file[bytes.len() / 6 * batch + 70] ^= 1;
        fs::write(&path, file).unwrap();
    };
    // The disk wrote the last page and not the one before.
    damage(4);
    let log = home.open(Trust::Synced(Some(point))).unwrap();
    assert_eq!(read_all(&log, 0), numbers(0..4));
    // What was synced is not verified at the start, and not cut either.
    damage(1);
    assert_eq!(home.open(Trust::Synced(Some(point))).unwrap().progress().end, 6);
}

#[test]
fn a_shortened_segment_that_is_not_the_last_is_damage() {
    let home = Home::new();
    fill(&home.reopen(), 0..25, small_segments());
    let path = home.logs().remove(1);
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
    let error = home.open(Trust::Writes).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    // After a power cut it may be the last one that was written in order.
    let log = home.open(Trust::Synced(None)).unwrap();
    let end = log.progress().end;
    assert!((11..25).contains(&end), "{end}");
    assert_eq!(read_all(&log, 0), numbers(0..end));
    fill(&log, end..40, small_segments());
    assert_eq!(read_all(&home.reopen(), 0), numbers(0..40));
}

#[test]
fn indexes_and_producer_state_that_are_missing_or_stale_are_made_anew() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..35, small_segments());
    log.close().unwrap();
    drop(log);
    for entry in fs::read_dir(home.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension == "index") {
            fs::write(&path, b"nonsense").unwrap();
        }
    }
    let log = home.reopen();
    assert_eq!(read_all(&log, 7), numbers(7..35));
    assert_eq!(log.find_time(TIME).unwrap(), Some((0, TIME)));
}

#[test]
fn a_closed_log_is_opened_without_being_read() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..5, LARGE);
    log.close().unwrap();
    drop(log);
    // If the batches were looked at, these would be cut off.
    let path = home.logs().remove(0);
    let length = fs::read(&path).unwrap().len();
    fs::write(&path, vec![0; length]).unwrap();
    assert_eq!(home.reopen().progress().end, 5);
}

#[test]
fn a_full_disk_is_reported_leaves_no_trace_and_is_over_when_there_is_space() {
    let mut home = Home::new();
    let left = Arc::new(AtomicU64::new(1_000));
    home.options.space = Space::Limited(left.clone());
    let log = home.reopen();
    let mut stored = 0;
    let error = loop {
        match log.append(&batch(&[format!("value {stored}").as_bytes()]), LARGE, TIME) {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(stored > 3 && matches!(error, Error::NoSpace { .. }), "{error}");
    assert_eq!(read_all(&log, 0), numbers(0..stored));
    left.store(10_000, Ordering::SeqCst);
    fill(&log, stored..stored + 3, LARGE);
    assert_eq!(read_all(&home.reopen(), 0), numbers(0..stored + 3));
}

#[test]
fn a_segment_is_closed_without_what_a_failed_append_left() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..5, LARGE);
    let path = home.logs().remove(0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &whole[..30]].concat()).unwrap();
    log.lock().torn = true;
    log.roll(&mut log.lock(), TIME).unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);
    fill(&log, 5..8, LARGE);
    assert_eq!(read_all(&home.reopen(), 0), numbers(0..8));
}

#[test]
fn a_producer_is_known_after_a_restart_whether_its_state_was_noted_or_not() {
    for closed in [true, false] {
        let home = Home::new();
        let log = home.reopen();
        let sent = |sequence: i32| {
            let mut sent = batch(&[b"once"]);
            (sent.producer_id, sent.producer_epoch, sent.base_sequence) = (7, 0, sequence);
            sent.crc = sent.computed_crc();
            sent
        };
        for sequence in 0..3 {
            log.append(&sent(sequence), LARGE, TIME).unwrap();
        }
        if closed {
            log.close().unwrap();
        }
        drop(log);
        let log = home.reopen();
        assert_eq!(log.append(&sent(1), LARGE, TIME).unwrap().base_offset, 1);
        assert!(matches!(log.append(&sent(4), LARGE, TIME), Err(Error::OutOfOrder { expected: 3, .. })));
        assert_eq!(log.append(&sent(3), LARGE, TIME).unwrap().base_offset, 3);
        assert_eq!(log.progress().end, 4);
        assert_eq!(log.greatest_producer(), 7);
    }
}

#[test]
fn a_time_is_found_though_times_go_back_and_forth() {
    let home = Home::new();
    let log = home.reopen();
    let times: Vec<i64> = (0..60).map(|i| TIME + i * 100 - if i % 3 == 0 { 5_000 } else { 0 }).collect();
    for time in &times {
        log.append(&keyed_batch(&[(None, Some(b"some value"))], *time, 0), small_segments(), TIME).unwrap();
    }
    for log in [log, home.reopen()] {
        for wanted in (TIME - 6_000..TIME + 7_000).step_by(50) {
            let first = times.iter().position(|time| *time >= wanted);
            let expected = first.map(|offset| (i64::try_from(offset).unwrap(), times[offset]));
            assert_eq!(log.find_time(wanted).unwrap(), expected, "{wanted}");
        }
    }
}

#[test]
fn retention_deletes_whole_segments_from_the_beginning_and_the_end_is_remembered() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..95, small_segments());
    let kept = small_segments().segment_bytes * 3;
    log.retain(Retention { milliseconds: None, bytes: Some(kept) }, TIME).unwrap();
    let start = log.start();
    assert!((50..80).contains(&start), "{start}");
    assert_eq!(read_all(&log, 0), numbers(start..95));
    assert_eq!(home.reopen().start(), start);

    let week = Retention { milliseconds: Some(7 * 86_400_000), bytes: None };
    log.retain(week, TIME + 6 * 86_400_000).unwrap();
    assert_eq!(log.start(), start);
    log.retain(week, TIME + 8 * 86_400_000).unwrap();
    let log = home.reopen();
    assert_eq!((log.start(), log.progress().end), (95, 95));
    fill(&log, 95..96, LARGE);
}

#[test]
fn records_before_an_offset_are_gone_and_their_segments_too() {
    let home = Home::new();
    let log = home.reopen();
    fill(&log, 0..35, small_segments());
    let before = home.logs().len();
    log.delete_before(25, TIME).unwrap();
    assert_eq!((log.start(), home.logs().len()), (25, before - 2));
    assert_eq!(read_all(&log, 0), numbers(25..35));
    assert_eq!(log.find_time(0).unwrap(), Some((25, TIME)));
    log.delete_before(35, TIME).unwrap();
    assert_eq!((log.start(), home.logs().len()), (35, 1));
    assert_eq!(home.reopen().start(), 35);
}

mod compaction;
