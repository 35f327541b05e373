use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_ipc::reader::StreamReader;
use async_trait::async_trait;
use driftmill_platform::clock::SystemClock;
use driftmill_platform::kafka::{self, Headers, MessageBatch};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::stage::{Output, Streaming as _};
use driftmill_schemas::message::dead_letter as header;
use driftmill_schemas::pipeline::{Loaded, parse};
use driftmill_schemas::record::framing::SchemaRef;
use driftmill_schemas::record::{Encoder, Record, Value};
use tokio::sync::watch;

use super::super::added::{AddedColumn, ColumnKind};
use super::super::champion::Known;
use super::super::{History, IngestMetrics, Needs};
use super::{Ingest, columns};

const AVRO: &str =
    r#"{"type":"record","name":"r","fields":[{"name":"id","type":"string"},{"name":"x","type":"double"}]}"#;
const PIPELINE: &str = "version: 1
name: things
schema: record.avsc
expectations:
  - { field: x, between: [0, 80] }
  - { unique: { fields: [id], records: 40 } }
  - { name: soon, unique: { fields: [id, x], records: 30, within: 20 }, severity: warn }
features:
  - name: x
label: { field: id, classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'] }
training: { algorithm: constant }
";

/// A sequence that looks like chance and is the same every time.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn loaded() -> Arc<Loaded> {
    load(PIPELINE)
}

fn load(text: &str) -> Arc<Loaded> {
    let (pipeline, schema, places) = parse(text, Path::new("pipeline.yaml"), |_| Ok(AVRO.to_owned())).unwrap();
    Arc::new(Loaded { pipeline, schema, folder: PathBuf::new(), places })
}

/// The messages of each partition: time and payload.
type Topic = BTreeMap<i32, Vec<(i64, Vec<u8>)>>;

fn topic(loaded: &Loaded) -> Topic {
    let mut draws = Draws(7);
    let encoder = Encoder::new(loaded, SchemaRef::Fingerprint(loaded.schema.fingerprint));
    let mut topic = Topic::new();
    for n in 0..600 {
        let (id, x) = (draws.below(12).to_string(), draws.below(100) as f64);
        let payload = match draws.below(10) {
            0 => b"no Avro".to_vec(),
            _ => encoder.payload(&Record { values: vec![Value::String(id), Value::Double(x)] }).unwrap(),
        };
        topic.entry(draws.below(2) as i32).or_default().push((1_000 * n, payload));
    }
    topic
}

/// A few messages at a time.
struct Recorded(Arc<Topic>);

#[async_trait]
impl History for Recorded {
    async fn read(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<(MessageBatch, i64), kafka::Error> {
        let to = to.min(from + 7);
        Ok((batch(topic, &self.0, &[(partition, from, to)]), to))
    }
}

fn batch(name: &str, topic: &Topic, ranges: &[(i32, i64, i64)]) -> MessageBatch {
    let mut batch = MessageBatch::new(name, false);
    for &(partition, from, to) in ranges {
        for offset in from..to {
            let (at, payload) = &topic[&partition][offset as usize];
            batch.push(partition, offset, *at, payload, Headers::new());
        }
    }
    batch
}

fn ingest(loaded: &Arc<Loaded>, topic: &Arc<Topic>) -> Ingest {
    let needs = Needs {
        schemas: None,
        added: None,
        champion: watch::channel(Known::Nobody).1,
        metrics: IngestMetrics::new(&Metrics::default()),
        history: Box::new(Recorded(Arc::clone(topic))),
        clickhouse: None,
        clock: Arc::new(SystemClock),
    };
    Ingest::new(Arc::clone(loaded), needs).unwrap()
}

/// The dead letters of a batch, by position: the reason of each.
async fn refused(ingest: &mut Ingest, batch: &MessageBatch) -> BTreeMap<(i32, i64), String> {
    let output = ingest.process(batch).await.unwrap();
    let letters = output.records.iter().filter(|(topic, _)| topic == "things.rejected");
    letters
        .map(|(_, letter)| {
            let text = |name: &str| {
                let value = letter.headers.iter().find(|(key, _)| key == name).unwrap();
                String::from_utf8(value.1.clone()).unwrap()
            };
            let place = (text(header::PARTITION).parse().unwrap(), text(header::OFFSET).parse().unwrap());
            (place, text(header::EXCEPTION_MESSAGE))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_batch_has_its_token_again_and_other_rows_of_its_offsets_have_another() {
    let loaded = loaded();
    let topic = Arc::new(topic(&loaded));
    let messages = batch("things.raw", &topic, &[(0, 0, 40), (1, 0, 40)]);
    let insert = async |loaded: &Arc<Loaded>| {
        let output = ingest(loaded, &topic).process(&messages).await.unwrap();
        let [insert] = &output.inserts[..] else { panic!("{} inserts", output.inserts.len()) };
        insert.clone()
    };
    let (first, again) = (insert(&loaded).await, insert(&loaded).await);
    assert_eq!((&first.token, &first.body), (&again.token, &again.body));
    // The same messages after the pipeline file was changed.
    let other = insert(&load(&PIPELINE.replace("  - name: x\n", "  - name: x\n    sql: x * 2\n"))).await;
    assert_eq!(other.rows, first.rows);
    assert_ne!(other.token, first.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_repeats_a_record_does_not_depend_on_how_the_topic_is_cut_or_who_was_killed() {
    let loaded = loaded();
    let topic = Arc::new(topic(&loaded));
    let ends: Vec<i64> = topic.values().map(|messages| messages.len() as i64).collect();
    let whole: Vec<(i32, i64, i64)> = (0..).zip(&ends).map(|(partition, end)| (partition, 0, *end)).collect();
    let wanted = refused(&mut ingest(&loaded, &topic), &batch("things.raw", &topic, &whole)).await;
    let repeated = wanted.values().filter(|reason| reason.contains("has the same values")).count();
    assert!(repeated > 50 && repeated < wanted.len(), "{repeated} of {}", wanted.len());

    for seed in 0..20 {
        let mut draws = Draws(seed);
        let mut one = ingest(&loaded, &topic);
        let mut next = [0_i64; 2];
        let mut found = BTreeMap::new();
        while (0..2).any(|partition| next[partition] < ends[partition]) {
            let range = |partition: usize, draws: &mut Draws| {
                let to = (next[partition] + draws.below(60) as i64).min(ends[partition]);
                (partition as i32, next[partition], to)
            };
            let ranges = [range(0, &mut draws), range(1, &mut draws)];
            let messages = batch("things.raw", &topic, &ranges);
            if messages.is_empty() {
                continue;
            }
            let letters = refused(&mut one, &messages).await;
            match draws.below(4) {
                // Killed before the ledger heard of it: another process does it again.
                0 => one = ingest(&loaded, &topic),
                // The outcome was unknown: the same process does it again.
                1 => {}
                _ => {
                    found.extend(letters);
                    ranges.iter().for_each(|(partition, _, to)| next[*partition as usize] = *to);
                }
            }
        }
        assert_eq!(found, wanted, "seed {seed}");
    }
}

/// Rows of an output: offset and value, by partition.
fn rows(output: &Output) -> BTreeMap<(i32, i64), f64> {
    let mut rows = BTreeMap::new();
    for insert in &output.inserts {
        for batch in StreamReader::try_new(&insert.body[..], None).unwrap() {
            let batch = batch.unwrap();
            let partitions = batch.column_by_name("_partition").unwrap().as_primitive::<Int32Type>().clone();
            let offsets = batch.column_by_name("_offset").unwrap().as_primitive::<Int64Type>().clone();
            let x = batch.column_by_name("x").unwrap().as_primitive::<Float64Type>().clone();
            rows.extend((0..batch.num_rows()).map(|i| ((partitions.value(i), offsets.value(i)), x.value(i))));
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_that_are_added_become_one_output_with_what_each_of_them_would_be() {
    let loaded = loaded();
    let topic = Arc::new(topic(&loaded));
    let pieces = [[(0, 0, 40), (1, 0, 9)], [(0, 40, 41), (1, 9, 70)], [(0, 41, 100), (1, 70, 90)]];
    let mut one = ingest(&loaded, &topic);
    let mut held = 0;
    for piece in &pieces {
        let grown = one.add(&batch("things.raw", &topic, piece)).await.unwrap();
        assert!(grown > held, "{grown} bytes after {held}");
        held = grown;
    }
    let ranges = batch("things.raw", &topic, &[(0, 0, 100), (1, 0, 90)]).ranges();
    let output = one.finish(&ranges).unwrap();
    assert_eq!(output.inserts.len(), 1);
    assert_eq!(output.inserts[0].rows as usize + output.records.len(), 190);
    let counted: u64 = output.tallies.values().map(|tally| tally.rows + tally.rejected).sum();
    assert_eq!((output.tallies.len(), counted), (2, 190));

    let mut other = ingest(&loaded, &topic);
    let mut wanted = BTreeMap::new();
    for piece in &pieces {
        wanted.extend(rows(&other.process(&batch("things.raw", &topic, piece)).await.unwrap()));
    }
    assert_eq!(rows(&output), wanted);
}

#[test]
fn producers_of_two_schemas_that_take_turns_do_not_make_an_insert_of_every_piece() {
    let column = |name: &str| AddedColumn { name: name.to_owned(), kind: ColumnKind::Text };
    let (a, b) = (column("a"), column("b"));
    assert_eq!(columns(None, &[]), (true, vec![]));
    assert_eq!(columns(Some(&[]), slice::from_ref(&a)), (true, vec![a.clone()]));
    assert_eq!(columns(Some(slice::from_ref(&a)), &[]), (false, vec![a.clone()]));
    assert_eq!(columns(Some(slice::from_ref(&a)), slice::from_ref(&b)), (true, vec![a.clone(), b.clone()]));
    assert_eq!(columns(Some(&[a.clone(), b.clone()]), slice::from_ref(&b)), (false, vec![a, b]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_holds_nothing_of_what_was_discarded_or_finished() {
    let loaded = loaded();
    let topic = Arc::new(topic(&loaded));
    let mut one = ingest(&loaded, &topic);
    one.add(&batch("things.raw", &topic, &[(0, 0, 40)])).await.unwrap();
    one.discard();
    let next = batch("things.raw", &topic, &[(0, 40, 60)]);
    one.add(&next).await.unwrap();
    let output = one.finish(&next.ranges()).unwrap();
    assert_eq!(output.inserts[0].rows as usize + output.records.len(), 20);
    let after = one.finish(&[]).unwrap();
    assert_eq!((after.inserts.len(), after.records.len(), after.tallies.len()), (0, 0, 0));
}
