//! The whole way from a source to a log that loses what a real one may lose.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use crate::surroundings::Surroundings;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use driftmill_platform::clock::ManualClock;
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::pipeline::{Loaded, load};
use driftmill_schemas::record::framing;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::checkpoint::{Checkpoint, SEQUENCE_HEADER};
use crate::job::Overrides;
use crate::sink::memory::Memory;

mod images;
mod pipes;

const PIPELINE: &str = "
version: 1
name: t
schema: record.avsc
sources:
  - name: rows
    csv: { path: rows.csv }
  - name: lines
    json_lines: { path: rows.jsonl }
  - name: columns
    parquet: { path: 'parts/*.parquet' }
  - name: wide
    csv: { path: wide.csv, unpivot: { columns: ['0', '1', '2'], name: y, value: x } }
  - name: made
    synthetic:
      seed: 5
      rows: 60
      counter: id
      outcome: { field: y, weights: [1, 1], depends_on: { x: 1 }, signal: 1 }
      fields:
        x: { draw: { normal: { mean: 0, std: 1 } }, missing: 0.1 }
features: [{ name: x }]
label: { field: y, classes: ['0', '1'] }
training: { algorithm: random_forest }
";
const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"},
    {"name":"x","type":["null","double"]},{"name":"y","type":["null","int"]}]}"#;

/// Rows of up to three records each, 60 in all; some cells are empty or no number, and some rows are broken.
fn wide() -> String {
    let (mut rows, mut records, mut id) = ("id,0,1,2\n".to_owned(), 0, 0);
    while records < 60 {
        let cells = match id % 5 {
            4 => [",", "\"oops", ""],
            3 => ["", "", ""],
            2 if records < 58 => [",1", ",bad", ",3"],
            1 if records < 59 => [",1", ",", ",3"],
            _ => [",1", ",", ","],
        };
        let broken = usize::from(cells[1].contains('"'));
        records += broken + cells.iter().filter(|cell| cell.len() > 1 && broken == 0).count();
        rows += &if cells[0].is_empty() { format!("{id},,,\n") } else { format!("{id}{}\n", cells.concat()) };
        id += 1;
    }
    rows
}

/// A pipeline in a folder, an empty log, and everything a run needs.
struct World {
    folder: tempfile::TempDir,
    store: Store,
    clock: SharedClock,
    around: Surroundings,
    progress: watch::Sender<Progress>,
    sink: Memory,
}

impl World {
    fn new(entity: bool, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = if entity { PIPELINE.replace("sources:", "entity: id\nsources:") } else { PIPELINE.to_owned() };
        std::fs::write(folder.path().join("pipeline.yaml"), text).unwrap();
        std::fs::write(folder.path().join("record.avsc"), SCHEMA).unwrap();
        // Every seventh row is broken.
        let (mut rows, mut lines) = ("id,x,y\n".to_owned(), String::new());
        for id in 0..60 {
            rows += &if id % 7 == 3 { format!("{id},\"oops,1\n") } else { format!("{id},{id}.5,1\n") };
            lines += &if id % 7 == 3 { format!("{{\"id\":{id}\n") } else { format!("{{\"id\":{id},\"x\":{id}.5}}\n") };
        }
        std::fs::write(folder.path().join("rows.csv"), rows).unwrap();
        std::fs::write(folder.path().join("rows.jsonl"), lines).unwrap();
        std::fs::write(folder.path().join("wide.csv"), wide()).unwrap();
        std::fs::create_dir(folder.path().join("parts")).unwrap();
        // Written once: making them takes longer than most runs here.
        static PARTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [parquet(0..23), parquet(23..60)]);
        for (name, part) in ["a.parquet", "b.parquet"].iter().zip(&*PARTS) {
            std::fs::write(folder.path().join("parts").join(name), part).unwrap();
        }
        let store = Store::open(&url::Url::from_file_path(folder.path().join("objects")).unwrap()).unwrap();
        let sink = Memory::new(&[("t.raw", 3), ("t.rejected", 2), (SOURCES_TOPIC, 1)], seed);
        let clock: SharedClock = Arc::new(ManualClock::at(1_000));
        Self { folder, store, clock, around: Surroundings::default(), progress: watch::Sender::default(), sink }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn loaded(&self) -> Loaded {
        load(&self.path("pipeline.yaml")).unwrap()
    }

    fn job(&self, source: &str, overrides: Overrides) -> Job {
        let loaded = self.loaded();
        let source = loaded.pipeline.sources.iter().find(|other| other.name == source).unwrap().clone();
        Job { framing: Job::fingerprint(&loaded), loaded: Arc::new(loaded), source, pipe: None, overrides }
    }

    async fn produce(&self, job: &Job, every: Duration, cancel: &CancellationToken) -> Result<Summary, Error> {
        let tools = Tools {
            store: &self.store,
            clock: &self.clock,
            progress: &self.progress,
            checkpoint_every: every,
            around: &self.around,
        };
        produce(&self.sink, job, tools, cancel).await
    }

    /// A run that is not disturbed.
    async fn run(&self, source: &str, overrides: Overrides) -> Result<Summary, Error> {
        let job = self.job(source, overrides);
        self.produce(&job, CHECKPOINT_EVERY, &CancellationToken::new()).await
    }

    /// A run that ends when the log stands still, in the middle of whatever it does.
    async fn run_and_be_killed(&self, job: &Job, every: Duration) -> bool {
        let never = CancellationToken::new();
        let done = tokio::time::timeout(Duration::from_secs(3_600), self.produce(job, every, &never));
        let killed = done.await.is_err();
        self.sink.crash();
        killed
    }

    /// Numbers of the items in both topics with their keys and payloads, by number.
    fn items(&self) -> Vec<(u64, Outgoing)> {
        let mut items = Vec::new();
        for message in [self.sink.stored("t.raw"), self.sink.stored("t.rejected")].into_iter().flatten().flatten() {
            let value = text_of(&message, SEQUENCE_HEADER);
            items.push((value.rsplit(':').next().unwrap().parse().unwrap(), message));
        }
        items.sort_by_key(|(number, _)| *number);
        items
    }

    fn numbers(&self) -> Vec<u64> {
        self.items().into_iter().map(|(number, _)| number).collect()
    }

    fn checkpoints(&self) -> Vec<Checkpoint> {
        self.sink.stored(SOURCES_TOPIC)[0]
            .iter()
            .map(|message| serde_json::from_slice(&message.payload).unwrap())
            .collect()
    }
}

/// Rows in groups of ten; every seventh does not fit.
fn parquet(ids: std::ops::Range<i64>) -> Vec<u8> {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(ids.clone()));
    let y: ArrayRef = Arc::new(Int64Array::from_iter_values(ids.map(|id| if id % 7 == 3 { 1 << 40 } else { 1 })));
    let rows = RecordBatch::try_from_iter([("id", id), ("y", y)]).unwrap();
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(10)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(groups)).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap()
}

fn text_of(message: &Outgoing, name: &str) -> String {
    let (_, value) = message.headers.iter().find(|(other, _)| other == name).unwrap();
    String::from_utf8(value.clone()).unwrap()
}

fn rows(count: u64) -> Overrides {
    Overrides { rows: Some(count), ..Overrides::default() }
}

fn append(path: &Path, text: &str) {
    let before = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, before + text).unwrap();
}

#[tokio::test(start_paused = true)]
async fn records_and_dead_letters_arrive_with_what_readers_need() {
    let world = World::new(true, 1);
    let summary = world.run("rows", Overrides::default()).await.unwrap();
    assert_eq!((summary.sent, summary.unreadable, summary.complete), (51, 9, true));
    assert_eq!(summary.unreadable_by_kind, [("BrokenQuote", 9)].into());
    let file = world.path("rows.csv").display().to_string();
    assert_eq!(summary.first_unreadable[0].place, format!("{file}:5"));
    assert_eq!(world.numbers(), (0..60).collect::<Vec<_>>());

    let loaded = world.loaded();
    let items = world.items();
    let record = &items[0].1;
    let (schema, body) = framing::split(&record.payload).unwrap();
    assert_eq!(schema, framing::SchemaRef::Fingerprint(loaded.schema.fingerprint));
    // id 0, then branch 1 and 0.5, then branch 1 and 1.
    assert_eq!(body, [&[0, 2][..], &0.5f64.to_le_bytes(), &[2, 2]].concat());
    assert_eq!((record.key.as_slice(), record.timestamp), (&b"0"[..], Some(1_000)));

    let letter = &items[3].1;
    assert_eq!(letter.payload, b"3,\"oops,1");
    assert_eq!(text_of(letter, header::STAGE), "source");
    assert_eq!(text_of(letter, header::EXCEPTION_CLASS), "BrokenQuote");
    assert_eq!(text_of(letter, header::SOURCE), format!("{file}:5"));
    assert!(text_of(letter, header::EXCEPTION_MESSAGE).contains("quote"));
    let progress = *world.progress.borrow();
    assert_eq!((progress.sent, progress.unreadable, progress.share()), (51, 9, Some(1.0)));
}

#[tokio::test(start_paused = true)]
async fn a_second_run_sends_nothing_and_a_restart_sends_all_again() {
    for source in ["rows", "lines", "columns", "made"] {
        let world = World::new(false, 2);
        assert_eq!(world.run(source, rows(20)).await.unwrap().skipped_already_there, 0);
        let more = world.run(source, Overrides::default()).await.unwrap();
        assert_eq!((more.skipped_already_there, more.sent + more.unreadable), (20, 40), "{source}");
        let none = world.run(source, Overrides::default()).await.unwrap();
        assert_eq!((none.skipped_already_there, none.sent + none.unreadable, none.complete), (60, 0, true));
        assert_eq!(world.numbers(), (0..60).collect::<Vec<_>>());
        let again = world.run(source, Overrides { restart: true, ..Overrides::default() }).await.unwrap();
        assert_eq!((again.skipped_already_there, again.sent + again.unreadable), (0, 60));
        assert_eq!(world.items().len(), 120);
    }
}

/// Kills a run after every possible number of steps, its successor after a few, then lets one end; by then every item
/// must be there once, and be what an uninterrupted run sends.
async fn killed_anywhere(source: &str, entity: bool, every: Duration, rate: Option<f64>, seed: u64) {
    let undisturbed = World::new(entity, seed);
    undisturbed.run(source, Overrides::default()).await.unwrap();
    let wanted: Vec<_> = undisturbed.items().into_iter().map(|(n, m)| (n, m.key, m.payload, m.partition)).collect();
    for steps in 0.. {
        let world = World::new(entity, seed * 1_000 + steps);
        let job = world.job(source, Overrides { rate, ..Overrides::default() });
        world.sink.stop_after(steps);
        let killed = world.run_and_be_killed(&job, every).await;
        for more in [7, 1, 31] {
            world.sink.stop_after(more);
            world.run_and_be_killed(&job, every).await;
        }
        let summary = world.produce(&job, every, &CancellationToken::new()).await.unwrap();
        let found: Vec<_> = world.items().into_iter().map(|(n, m)| (n, m.key, m.payload, m.partition)).collect();
        assert_eq!(found, wanted, "{source} killed after {steps} steps");
        assert_eq!((summary.position.sequence, summary.complete), (60, true));
        assert!(world.checkpoints().last().unwrap().clean);
        if !killed {
            assert!(steps > 100, "only {steps} steps were tried");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_step_with_a_stale_checkpoint_nothing_is_lost_or_twice() {
    killed_anywhere("rows", false, Duration::from_secs(86_400), None, 1).await;
    killed_anywhere("rows", true, Duration::from_secs(86_400), None, 2).await;
    killed_anywhere("lines", false, Duration::from_secs(86_400), None, 3).await;
    killed_anywhere("wide", true, Duration::from_secs(86_400), None, 8).await;
    killed_anywhere("columns", true, Duration::from_secs(86_400), None, 7).await;
    killed_anywhere("made", true, Duration::from_secs(86_400), None, 4).await;
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_step_with_many_checkpoints_nothing_is_lost_or_twice() {
    killed_anywhere("rows", true, Duration::ZERO, None, 5).await;
    killed_anywhere("wide", false, Duration::ZERO, None, 9).await;
    killed_anywhere("made", false, Duration::from_millis(5), Some(1_000.0), 6).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_that_is_killed_goes_on_as_a_restart() {
    for steps in 0..80 {
        let world = World::new(false, steps);
        world.run("rows", Overrides::default()).await.unwrap();
        let restart = world.job("rows", Overrides { restart: true, ..Overrides::default() });
        world.sink.stop_after(steps);
        world.run_and_be_killed(&restart, Duration::ZERO).await;
        let begun = world.checkpoints().iter().filter(|checkpoint| checkpoint.position.sequence == 0).count() > 1;
        world.run("rows", Overrides::default()).await.unwrap();
        let wanted: Vec<u64> = if begun { (0..60).flat_map(|n| [n, n]).collect() } else { (0..60).collect() };
        assert_eq!(world.numbers(), wanted, "after {steps} steps");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_is_an_error_and_the_next_run_sends_it() {
    for number in 2..=62 {
        let world = World::new(false, number);
        world.sink.refuse(number);
        let first = world.run("rows", Overrides::default()).await;
        // The first message is the first checkpoint, and the last is the last one, without which one can do.
        assert_eq!(matches!(first, Err(Error::Stalled(_))), number < 62, "{number}: {first:?}");
        world.run("rows", Overrides::default()).await.unwrap();
        assert_eq!(world.numbers(), (0..60).collect::<Vec<_>>(), "message {number} was refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_drains_and_the_next_goes_on() {
    let world = World::new(false, 3);
    let job = world.job("made", Overrides { rate: Some(10.0), ..Overrides::default() });
    let cancel = CancellationToken::new();
    let (summary, ()) = tokio::join!(world.produce(&job, CHECKPOINT_EVERY, &cancel), async {
        tokio::time::sleep(Duration::from_millis(2_050)).await;
        cancel.cancel();
    });
    let summary = summary.unwrap();
    assert_eq!((summary.sent, summary.complete), (21, false));
    assert!(world.checkpoints().last().unwrap().clean);
    let summary = world.run("made", Overrides::default()).await.unwrap();
    assert_eq!((summary.skipped_already_there, summary.sent), (21, 39));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_ends_although_nothing_is_acknowledged() {
    for steps in [0, 1, 10] {
        let world = World::new(false, 4);
        world.sink.stop_after(steps);
        let job = world.job("rows", Overrides::default());
        let (cancel, start) = (CancellationToken::new(), Instant::now());
        let (summary, ()) = tokio::join!(world.produce(&job, CHECKPOINT_EVERY, &cancel), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(world.sink.stands_still());
            cancel.cancel();
        });
        assert!(!summary.unwrap().complete);
        assert!(start.elapsed() <= Duration::from_secs(5) + Duration::from_millis(10), "{:?}", start.elapsed());
        world.sink.crash();
        world.run("rows", Overrides::default()).await.unwrap();
        assert_eq!(world.numbers(), (0..60).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_grew_goes_on_and_one_that_changed_is_refused() {
    let world = World::new(false, 5);
    world.run("rows", Overrides::default()).await.unwrap();
    append(&world.path("rows.csv"), "60,1,1\n61,\"x\n");
    let summary = world.run("rows", Overrides::default()).await.unwrap();
    assert_eq!((summary.sent, summary.unreadable), (1, 1));

    let text = std::fs::read_to_string(world.path("rows.csv")).unwrap();
    for changed in [text.replace("11.5", "99.5"), "id,x,y\n".to_owned()] {
        std::fs::write(world.path("rows.csv"), changed).unwrap();
        let error = world.run("rows", Overrides::default()).await.unwrap_err();
        assert!(matches!(error, Error::Changed { sent: 62, .. }) && error.to_string().contains("--restart"), "{error}");
    }
    assert!(world.run("rows", Overrides { restart: true, ..Overrides::default() }).await.unwrap().complete);
}

#[tokio::test(start_paused = true)]
async fn more_parquet_files_go_on_and_one_that_changed_or_came_before_is_refused() {
    let world = World::new(false, 12);
    world.run("columns", Overrides::default()).await.unwrap();
    std::fs::write(world.path("parts/c.parquet"), parquet(60..65)).unwrap();
    assert_eq!(world.run("columns", Overrides::default()).await.unwrap().sent, 5);
    std::fs::write(world.path("parts/aa.parquet"), parquet(100..101)).unwrap();
    let error = world.run("columns", Overrides::default()).await.unwrap_err();
    assert!(matches!(error, Error::Changed { sent: 65, .. }), "{error}");
    std::fs::remove_file(world.path("parts/aa.parquet")).unwrap();
    assert_eq!(world.run("columns", Overrides::default()).await.unwrap().skipped_already_there, 65);
    std::fs::remove_file(world.path("parts/c.parquet")).unwrap();
    let error = world.run("columns", Overrides::default()).await.unwrap_err().to_string();
    assert!(error.contains("fewer than the 65 rows"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_file_or_another_seed_is_another_source() {
    let world = World::new(false, 6);
    world.run("rows", Overrides::default()).await.unwrap();
    let same = Overrides { from: Some(world.path("rows.csv")), ..Overrides::default() };
    assert_eq!(world.run("rows", same).await.unwrap().sent, 0);
    std::fs::copy(world.path("rows.csv"), world.path("other.csv")).unwrap();
    let other = Overrides { from: Some(world.path("other.csv")), ..Overrides::default() };
    assert_eq!(world.run("rows", other).await.unwrap().sent, 51);
    for overrides in [rows(60), Overrides { seed: Some(6), ..rows(60) }, Overrides { signal: Some(3.0), ..rows(60) }] {
        assert_eq!(world.run("made", overrides.clone()).await.unwrap().sent, 60);
        assert_eq!(world.run("made", overrides).await.unwrap().sent, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_said_to_be_empty() {
    let world = World::new(false, 7);
    for text in ["", "id,x,y\n"] {
        std::fs::write(world.path("rows.csv"), text).unwrap();
        let summary = world.run("rows", Overrides::default()).await.unwrap();
        assert_eq!((summary.sent, summary.complete, summary.notes.len()), (0, true, 1));
        assert!(summary.notes[0].contains("holds no records"), "{:?}", summary.notes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_of_ten_megabytes_is_a_dead_letter_whose_original_is_in_the_store() {
    let world = World::new(false, 8);
    let row = format!("1,{},1", "9".repeat(10_000_000));
    std::fs::write(world.path("rows.csv"), format!("id,x,y\n{row}\n2,2,1\n")).unwrap();
    let summary = world.run("rows", Overrides::default()).await.unwrap();
    assert_eq!((summary.sent, summary.unreadable), (1, 1));
    let letter = &world.items()[0].1;
    assert!(letter.payload.len() < 2_000 && row.as_bytes().starts_with(&letter.payload));
    assert_eq!(world.store.get(&text_of(letter, header::ORIGINAL)).await.unwrap(), row.as_bytes());
}

#[tokio::test(start_paused = true)]
async fn somebody_else_who_still_sends_is_noticed() {
    let world = World::new(false, 9);
    let slow = world.job("made", Overrides { rate: Some(10.0), ..Overrides::default() });
    let cancel = CancellationToken::new();
    let (_, second) = tokio::join!(world.produce(&slow, CHECKPOINT_EVERY, &cancel), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let second = world.run("made", Overrides::default()).await;
        cancel.cancel();
        second
    });
    assert!(matches!(second, Err(Error::Busy { .. })), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn topics_that_are_missing_or_made_anew_are_told() {
    let world = World::new(false, 10);
    world.run("rows", Overrides::default()).await.unwrap();
    world.sink.make_anew("t.raw");
    let error = world.run("rows", Overrides::default()).await.unwrap_err();
    assert!(matches!(error, Error::TopicRecreated { .. }), "{error}");
    let nowhere = Memory::new(&[(SOURCES_TOPIC, 1)], 1);
    let world = World { sink: nowhere, ..World::new(false, 1) };
    assert!(matches!(world.run("rows", Overrides::default()).await, Err(Error::NoTopic(_))));
}

#[tokio::test(start_paused = true)]
async fn what_a_source_cannot_do_is_refused() {
    let world = World::new(false, 11);
    let cases = [
        ("rows", Overrides { seed: Some(1), ..Overrides::default() }, "seed"),
        ("made", Overrides { from: Some("x".into()), ..Overrides::default() }, "generator"),
        ("made", Overrides { rate: Some(0.0), ..Overrides::default() }, "rate"),
        ("rows", Overrides { from: Some("/nowhere.csv".into()), ..Overrides::default() }, "/nowhere.csv"),
        (
            "rows",
            Overrides { from: Some("/".into()), ..Overrides::default() },
            "finds nothing to read in the folder `/`",
        ),
    ];
    for (source, overrides, part) in cases {
        let error = world.run(source, overrides).await.unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(world.numbers().is_empty());
}
