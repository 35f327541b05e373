//! Twenty poisoned batches through the whole loop, and one stream that really moved beside them.

use std::path::Path;
use std::time::Duration;

use driftmill_platform::kafka::{Outgoing, Producer};
use driftmill_schemas::message::TrainingRequest;
use driftmill_schemas::topic;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Options, Stack, watch};

/// Pipelines whose batch is poisoned.
const POISONED: usize = 20;
/// Records that a pipeline begins with.
const FIRST: usize = 900;
/// Records of a window, and of a round.
const WINDOW: usize = 200;
const ROUNDS: usize = 4;
/// Rounds in which the stream that moved may get its new model.
const MOST_ROUNDS: usize = 12;

/// What is done to a pipeline's batch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Every label is the other one.
    Labels,
    /// Heights come in inches instead of centimetres.
    Unit,
    /// The same, where nobody looks for it.
    UnitUnwatched,
    /// No record has a score.
    Nulls,
    /// Nothing is wrong: people are taller, and spend more.
    Moved,
}

fn kind(pipeline: usize) -> Kind {
    match pipeline {
        POISONED => Kind::Moved,
        _ => [Kind::Labels, Kind::Unit, Kind::Nulls, Kind::UnitUnwatched][pipeline % 4],
    }
}

fn name(pipeline: usize) -> String {
    format!("people{pipeline:02}")
}

/// Seeded normal numbers: a sum of twelve uniform ones.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// `count` records of a pipeline, as they should be or as `kind` makes them. A line in height, amount and score tells the classes
/// apart.
fn records(pipeline: usize, round: usize, count: usize, kind: Option<Kind>) -> Vec<Value> {
    let mut random = Random((pipeline as u64 + 1) * 1_000_003 + round as u64 * 7_919);
    let moved = if kind == Some(Kind::Moved) { 1.0 } else { 0.0 };
    let record = |_| {
        let [a, b, c] = [random.normal() + moved, random.normal() + moved / 2.0, random.normal()];
        let yes = a - b + c + 0.1 * random.normal() > 0.0;
        let (mut height, mut score, mut outcome) = (170.0 + 10.0 * a, json!(c), yes);
        match kind {
            Some(Kind::Labels) => outcome = !yes,
            Some(Kind::Unit | Kind::UnitUnwatched) => height /= 2.54,
            Some(Kind::Nulls) => score = Value::Null,
            Some(Kind::Moved) | None => {}
        }
        json!({ "height": height, "amount": 50.0 + 12.0 * b, "score": score, "outcome": if outcome { "yes" } else { "no" } })
    };
    (0..count).map(record).collect()
}

const SCHEMA: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "height", "type": ["null", "double"]}, {"name": "amount", "type": ["null", "double"]},
    {"name": "score", "type": ["null", "double"]}, {"name": "outcome", "type": ["null", "string"]}]}"#;

/// A folder for each pipeline.
fn write(pipelines: &Path) {
    for pipeline in 0..=POISONED {
        let name = name(pipeline);
        let folder = pipelines.join(&name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("record.avsc"), SCHEMA).unwrap();
        let text = format!(
            "version: 1\nname: {name}\nschema: record.avsc\n\
             features:\n  - name: height\n  - name: amount\n  - name: score\n\
             label: {{ field: outcome, classes: [\"no\", \"yes\"] }}\n\
             training:\n  algorithm: logistic_regression\n  params: {{ standardize: true }}\n  min_rows: {FIRST}\n  \
             split: {{ test: 0.4 }}\n\
             promotion: {{ metric: accuracy, margin: 0.05, gold: first }}\n\
             drift: {{ window_rows: {WINDOW}, calibrate: false, retrain_rows: 400, cool_down: 0, daily_budget: 100, \
             units: {} }}\n",
            kind(pipeline) != Kind::UnitUnwatched
        );
        std::fs::write(folder.join("pipeline.yaml"), text).unwrap();
    }
}

async fn push(stack: &Stack, pipeline: usize, records: Vec<Value>) {
    let path = format!("/api/v1/pipelines/{}/records", name(pipeline));
    let (status, answer) = stack.post(&path, json!(records)).await;
    assert_eq!(status, 200, "{answer}");
}

/// Windows of records of a pipeline that were judged.
fn judged(pipeline: usize) -> String {
    format!("SELECT count() FROM {}_drift WHERE stream = 'records' AND verdict != 'alarm'", name(pipeline))
}

/// Asks for a training, as a schedule would.
async fn ask(producer: &Producer, pipeline: usize) {
    let request = TrainingRequest {
        id: Uuid::from_u128(pipeline as u128 + 1),
        pipeline: name(pipeline),
        requested_by: "a schedule".to_owned(),
        at: 0,
        params: serde_json::Map::new(),
        force: false,
        search: false,
        direct: false,
        reason: String::new(),
        again: None,
    };
    let payload = serde_json::to_vec(&request).unwrap();
    let record = Outgoing { key: request.pipeline.into_bytes(), payload, ..Outgoing::default() };
    producer.send(topic::TRAININGS, record).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_poisoned_batch_gets_a_champion_and_a_stream_that_really_moved_does() {
    watch::limited_to(Duration::from_mins(15));
    let mut stack = Stack::start(Options { pipelines: &[], edit: write, ..Options::default() }).await;
    for pipeline in 0..=POISONED {
        push(&stack, pipeline, records(pipeline, 0, FIRST, None)).await;
    }
    for pipeline in 0..=POISONED {
        stack.serves(&name(pipeline), |version| version == 1).await;
    }
    let frozen = "SELECT count() = uniqExact(pipeline) AND count() = 21 AND min(rows) = 360 FROM gold_sets";
    stack.sql_becomes(frozen, "1").await;
    // Whoever counts knows the models before the first record comes, so that windows end where rounds do.
    stack.kill();
    let stack = stack.restart().await;

    for round in 1..=ROUNDS {
        for pipeline in 0..POISONED {
            push(&stack, pipeline, records(pipeline, round, WINDOW, Some(kind(pipeline)))).await;
        }
        for pipeline in 0..POISONED {
            stack.sql_becomes(&judged(pipeline), &round.to_string()).await;
        }
    }
    // Drift that was confirmed has begun its trainings, and a schedule begins one more of each pipeline.
    let producer = Producer::new(&stack.kafka, Duration::from_millis(5)).unwrap();
    for pipeline in 0..POISONED {
        ask(&producer, pipeline).await;
    }
    let asked = "SELECT uniqExact(run_id) FROM runs WHERE startsWith(cause, 'request ') AND state != 'started'";
    stack.sql_becomes(asked, &POISONED.to_string()).await;
    for pipeline in 0..POISONED {
        let name = name(pipeline);
        let undecided = format!(
            "SELECT count() FROM {name}_drift WHERE stream = 'records' AND verdict = 'drifted' \
             AND window NOT IN (SELECT window FROM drift_decisions WHERE pipeline = '{name}')"
        );
        stack.sql_becomes(&undecided, "0").await;
    }
    let begun = "SELECT uniqExact(run_id) - uniqExactIf(run_id, state != 'started') FROM runs";
    stack.sql_becomes(begun, "0").await;

    let champions = "SELECT count() FROM model_aliases WHERE alias = 'champion' AND pipeline != 'people20'";
    assert_eq!(stack.sql(champions).await, POISONED.to_string());
    for pipeline in 0..POISONED {
        readable(&stack, pipeline).await;
    }
    assert_eq!(stack.sql("SELECT count() FROM gold_sets").await, "21");
    let shown = stack.cli_ok(&["models", "gold", "people00"]).await;
    assert!(
        shown.contains("360 rows, in force") && shown.contains("the first champion (the pipeline file)"),
        "{shown}"
    );

    moved(&stack).await;
    assert!(stack.stop().await);
}

/// Why a pipeline kept its champion can be read.
async fn readable(stack: &Stack, pipeline: usize) {
    let name = name(pipeline);
    let windows = stack.sql(&format!("SELECT groupArray((verdict, reasons)) FROM {name}_drift")).await;
    let refused = format!(
        "SELECT groupArray(detail) FROM runs WHERE pipeline = '{name}' AND state = 'refused' \
         AND position(detail, 'not no worse on the gold set: accuracy -') > 0 AND position(detail, '360 gold rows') > 0"
    );
    let refused = stack.sql(&refused).await;
    let quarantined = windows.matches("'quarantine'").count();
    match kind(pipeline) {
        Kind::Labels => assert!(refused != "[]", "{name}: {windows}"),
        Kind::Nulls => assert!(quarantined == ROUNDS && windows.contains("score lost values"), "{name}: {windows}"),
        Kind::Unit => {
            assert!(quarantined == ROUNDS && windows.contains("from centimetres to inches"), "{name}: {windows}");
        }
        Kind::UnitUnwatched => assert!(refused != "[]" && quarantined == 0, "{name}: {windows}"),
        Kind::Moved => {}
    }
}

/// The stream that moved goes on until its new model serves.
async fn moved(stack: &Stack) {
    let name = name(POISONED);
    let champion =
        format!("SELECT count() FROM model_aliases WHERE pipeline = '{name}' AND alias = 'champion' AND version > 1");
    let mut told = String::new();
    for round in 1..=MOST_ROUNDS {
        push(stack, POISONED, records(POISONED, round, WINDOW, Some(Kind::Moved))).await;
        stack.sql_becomes(&format!("SELECT ({}) >= {round}", judged(POISONED)), "1").await;
        // Once another model serves, nothing is decided of the earlier one's windows any more.
        let undecided = format!(
            "SELECT if(({champion}) > 0, 0, count()) FROM {name}_drift WHERE stream = 'records' AND verdict = 'drifted' \
             AND model_version = 1 AND window NOT IN (SELECT window FROM drift_decisions WHERE pipeline = '{name}')"
        );
        stack.sql_becomes(&undecided, "0").await;
        let running = format!(
            "SELECT uniqExact(run_id) - uniqExactIf(run_id, state != 'started') FROM runs WHERE pipeline = '{name}'"
        );
        stack.sql_becomes(&running, "0").await;
        told = stack.sql(&format!("SELECT groupArray((state, detail)) FROM runs WHERE pipeline = '{name}'")).await;
        if stack.sql(&champion).await != "0" {
            let gates = format!("SELECT any(gates) FROM model_versions WHERE pipeline = '{name}' AND version > 1");
            let gates = stack.sql(&gates).await;
            assert!(gates.contains("no worse on the gold set"), "{gates}");
            return;
        }
    }
    panic!("{name} got no new champion: {told}");
}
