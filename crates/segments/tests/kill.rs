//! Nothing that was acknowledged is lost when the process is killed, at whatever moment.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use driftmill_segments::{Clock, Options, SegmentStore};
use nisshi_sans_io::record::inflated;
use nisshi_sans_io::{IsolationLevel, ListOffset};
use nisshi_storage::{Storage as _, Topition};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use url::Url;

const ROUNDS: u64 = 40;

/// What the processes said was acknowledged.
#[derive(Default)]
struct Said {
    records: BTreeMap<(i32, i64), String>,
    commits: BTreeMap<i32, i64>,
    producers: Vec<i64>,
}

fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/appender")
}

fn run_and_kill(folder: &Path, lines: usize, said: &mut Said) {
    let mut child = Command::new(program()).arg(folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut text = String::new();
    for _ in 0..lines {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the process ended by itself");
        text.push_str(&line);
    }
    // SIGKILL.
    child.kill().unwrap();
    // What was in the pipe was said before the end.
    out.read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for line in whole.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["ack", partition, offset, value] => {
                let place = (partition.parse().unwrap(), offset.parse().unwrap());
                let before = said.records.insert(place, value.to_owned());
                assert_eq!(before, None, "an offset was given away twice: {line}");
            }
            ["commit", partition, offset] => {
                _ = said.commits.insert(partition.parse().unwrap(), offset.parse().unwrap())
            }
            ["producer", id] => said.producers.push(id.parse().unwrap()),
            ["ready"] => {}
            _ => panic!("{line}"),
        }
    }
}

async fn check(folder: &Path, said: &Said) {
    let clock = Clock::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let options = Options::new(folder.to_owned(), clock, Url::parse("tcp://127.0.0.1:9092").unwrap());
    let store = SegmentStore::open(options).unwrap();
    for partition in 0..3 {
        let topition = Topition::new("kill", partition);
        let stored = read_all(&store, &topition).await;
        for ((_, offset), value) in said.records.range((partition, 0)..(partition + 1, 0)) {
            assert_eq!(stored.get(offset), Some(value), "partition {partition}, offset {offset}");
        }
        // Offsets have no gaps: what was not acknowledged is either there or its offset was taken by another.
        let end = store.offset_stage(&topition).await.unwrap().high_watermark;
        assert_eq!(i64::try_from(stored.len()).unwrap(), end);
        let wanted = [(topition.clone(), ListOffset::Latest)];
        let latest = store.list_offsets(IsolationLevel::ReadUncommitted, &wanted).await.unwrap();
        assert_eq!(latest[0].1.offset, Some(end));
        let committed = store.offset_fetch(Some("group"), std::slice::from_ref(&topition), None).await.unwrap();
        let least = said.commits.get(&partition).copied().unwrap_or(-1);
        assert!(committed[&topition] >= least, "{committed:?} {least}");
    }
    store.close().unwrap();
}

async fn read_all(store: &SegmentStore, topition: &Topition) -> BTreeMap<i64, String> {
    let mut offset = 0;
    let mut stored = BTreeMap::new();
    loop {
        let read = store.fetch(topition, offset, 1, 1 << 20, IsolationLevel::ReadUncommitted, Duration::ZERO);
        let batches = read.await.unwrap();
        let Some(last) = batches.last() else { return stored };
        offset = last.max_offset() + 1;
        for batch in &batches {
            assert_eq!(batch.computed_crc(), batch.crc);
            for record in inflated::Batch::try_from(batch).unwrap().records {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                stored.insert(batch.base_offset + i64::from(record.offset_delta), value);
            }
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_kills_at_random_moments() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let mut said = Said::default();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for round in 0..ROUNDS {
        // From the first moment of a start to some hundred segments.
        let lines = random.random_range(1..if round % 4 == 0 { 4 } else { 3_000 });
        run_and_kill(&folder, lines, &mut said);
        if round % 3 == 0 {
            check(&folder, &said).await;
        }
    }
    check(&folder, &said).await;
    assert!(said.records.len() > 1_000);
    let mut producers = said.producers.clone();
    producers.dedup();
    assert!(producers.is_sorted() && producers.len() == said.producers.len(), "a producer id was given away twice");
}
