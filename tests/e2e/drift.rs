//! A stream that drifts, a model that is replaced, and a process that is killed.

use serde_json::json;

use crate::harness::{Options, Stack};

/// Offsets of the raw topic are accounted for: every one is a row or a dead letter, none is both, none is there twice.
const BALANCE: &str = "SELECT (SELECT count() FROM iris_features) + \
                       (SELECT count() FROM iris_dead_letters WHERE origin_topic = 'iris.raw') \
                       AS accounted";

#[tokio::test(flavor = "multi_thread")]
async fn a_drifted_stream_gets_a_new_model_and_kill_9_loses_nothing() {
    let mut stack = Stack::start(Options::default()).await;
    let first = stack.serves("iris", |_| true).await;
    stack.cli_ok(&["produce", "iris", "--source", "shifted", "--rate", "1500"]).await;
    let second = stack.serves("iris", |version| version > first).await;

    let verdict = format!("SELECT count() > 0 FROM iris_drift WHERE verdict = 'drifted' AND model_version = {first}");
    stack.sql_becomes(&verdict, "1").await;
    let cause = format!(
        "SELECT any(startsWith(cause, 'drift ')) FROM runs WHERE state = 'promoted' AND model_version = {second}"
    );
    stack.sql_becomes(&cause, "1").await;

    let body =
        json!({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]});
    let (_, answer) = stack.post("/v2/models/iris/infer", body).await;
    assert_eq!(answer["model_version"], second.to_string(), "{answer}");
    stack.sql_becomes(BALANCE, "4150").await;
    // An answer does not wait for its record: what is killed in the moments between takes the record with it.
    let logged = format!("SELECT count() FROM iris_predictions WHERE model_version = {second}");
    stack.sql_becomes(&logged, "1").await;

    stack.kill();
    let stack = stack.restart().await;
    stack.serves("iris", |version| version >= second).await;
    assert_eq!(stack.sql(BALANCE).await, "4150");
    assert_eq!(stack.sql("SELECT uniqExact(_partition, _offset) FROM iris_features").await, "4150");
    assert_eq!(stack.sql(&logged).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_the_stream_loses_nothing_and_repeats_nothing() {
    let mut stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    for round in 0..3 {
        let mut command = stack.command();
        command.args(["produce", "iris", "--source", "shifted", "--rate", "800"]);
        let log = std::env::temp_dir().join(format!("driftmill-produce-{}-{round}.log", std::process::id()));
        let mut producer = crate::harness::Process::start("driftmill produce", command, log.clone());
        let wanted = 150 + 400 * (round + 1);
        crate::harness::eventually("some of the stream is there", async || {
            let rows: u64 = stack.try_sql("SELECT count() FROM iris_features").await.ok()?.parse().ok()?;
            (rows >= wanted).then_some(())
        })
        .await;
        producer.kill();
        stack.kill();
        stack = stack.restart().await;
        drop(producer);
        std::fs::remove_file(log).unwrap();
    }
    // The producer resumes where it stopped: in the end every record of the source is there once.
    stack.cli_ok(&["produce", "iris", "--source", "shifted", "--rate", "5000"]).await;
    stack.sql_becomes(BALANCE, "4150").await;
    let rows = stack.sql("SELECT count() FROM iris_features").await;
    assert_eq!(rows, "4150");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_explained_and_its_facts_still_give_it() {
    let stack = Stack::start(Options::default()).await;
    let first = stack.serves("iris", |_| true).await;
    stack.cli_ok(&["produce", "iris", "--source", "shifted", "--rate", "1500"]).await;
    stack.serves("iris", |version| version > first).await;
    let drifted = "SELECT any(window) FROM iris_drift WHERE verdict = 'drifted' AND window IN \
                   (SELECT window FROM drift_decisions WHERE decision = 'train')";
    stack.sql_becomes(&format!("SELECT notEmpty(({drifted}))"), "1").await;
    let window = stack.sql(drifted).await;
    stack.sql_becomes("SELECT count() FROM runs WHERE state = 'promoted' AND startsWith(cause, 'drift ')", "1").await;

    let explained = stack.cli_ok(&["drift", "explain", "iris", &window[..16]]).await;
    for told in ["sepal_length", "the same verdict, for the same reasons", "the same decision", "became champion"] {
        assert!(explained.contains(told), "{told}: {explained}");
    }
    let page = stack.data().join("drift.html");
    std::fs::create_dir_all(stack.data()).unwrap();
    stack.cli_ok(&["drift", "explain", "iris", &window, "--html", page.to_str().unwrap()]).await;
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("<svg") && html.contains("petal_length") && html.contains(&window), "{html}");
    let json = stack.cli_ok(&["drift", "explain", "iris", &window, "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["verdict"], "drifted");
    let listed = stack.cli_ok(&["drift", "list", "iris", "--limit", "100"]).await;
    assert!(listed.contains(&window[..12]) && listed.contains("drifted"), "{listed}");
    let unknown = stack.cli(&["drift", "explain", "iris", "nothing"]).await;
    assert!(!unknown.status.success());

    // The alarm of a detector came before the verdict that it helped to confirm.
    let alarm = format!(
        "SELECT count() > 0 FROM iris_drift WHERE verdict = 'alarm' AND model_version = {first} \
         AND at <= (SELECT min(at) FROM iris_drift WHERE verdict = 'drifted')"
    );
    assert_eq!(stack.sql(&alarm).await, "1");

    // A policy that asks for less would have trained, one that does not train would not.
    let policies = ["--policy", "windows=1,of_windows=1,retrain_rows=200", "--policy", "retrain=false"];
    let tried = stack.cli_ok(&[&["drift", "backtest", "iris", "--json"], policies.as_slice()].concat()).await;
    let tried: Vec<serde_json::Value> = tried.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let trainings: Vec<u64> = tried.iter().map(|tried| tried["trainings"].as_u64().unwrap()).collect();
    assert!(trainings[0] >= 1 && trainings[1] >= 1 && trainings[2] == 0, "{tried:?}");
    let refused = stack.cli(&["drift", "backtest", "iris", "--policy", "widnows=1"]).await;
    assert!(!refused.status.success());
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_watched_as_well_as_what_is_ingested() {
    let stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    // A client that asks about large flowers only: the model answers with one class.
    let flower = [7.2, 3.2, 6.4, 2.2];
    for window in 1..=3 {
        let rows: Vec<_> = (0..250).map(|_| flower).collect();
        let (status, answer) = stack.post("/invocations?model=iris", json!({ "inputs": rows })).await;
        assert_eq!(status, 200, "{answer}");
        // What comes at once is counted at once, and would be one window.
        let judged = format!(
            "SELECT count() >= {window} FROM iris_drift WHERE stream = 'predictions' AND verdict IN ('warning', 'drifted')"
        );
        stack.sql_becomes(&judged, "1").await;
    }
    let drifted = "SELECT count() > 0 FROM iris_drift WHERE stream = 'predictions' AND verdict = 'drifted' \
                   AND arrayExists(reason -> startsWith(reason, '@prediction moved'), reasons) \
                   AND arrayExists(reason -> startsWith(reason, 'petal_length moved'), reasons)";
    stack.sql_becomes(drifted, "1").await;
    // Nothing was ingested meanwhile: no training begins on what clients ask.
    assert_eq!(stack.sql("SELECT count() FROM runs WHERE startsWith(cause, 'drift ')").await, "0");
    let listed = stack.cli_ok(&["drift", "list", "iris", "--stream", "predictions"]).await;
    assert!(listed.contains("drifted") && !listed.contains("  records  "), "{listed}");
    assert!(stack.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_from_a_window_whose_source_was_broken() {
    let stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    let header = "sepal_length,sepal_width,petal_length,petal_width,species\n";
    let good = |i: usize| format!("5.{},3.4,1.{},0.2,setosa\n", i % 10, i % 7);
    // A third of the records has an impossible petal.
    let broken: String =
        (0..300).map(|i| if i % 3 == 0 { "5.1,3.4,400,0.2,setosa\n".to_owned() } else { good(i) }).collect();
    let fed = stack.feed(&["produce", "iris", "--stdin", "--format", "csv"], format!("{header}{broken}")).await;
    assert!(fed.status.success(), "{fed:?}");
    stack.sql_becomes("SELECT count() > 0 FROM iris_drift WHERE verdict = 'quarantine'", "1").await;
    stack.sql_becomes("SELECT count() FROM iris_features", "350").await;
    let inside = "SELECT count() FROM iris_features AS f WHERE arrayExists(r -> f._partition = r.1 AND f._offset >= r.2 \
                  AND f._offset < r.3, (SELECT groupUniqArrayArray(JSONExtract(report, 'ranges', \
                  'Array(Tuple(partition Int32, from_offset Int64, to_offset Int64))')) FROM iris_drift \
                  WHERE verdict = 'quarantine'))";
    let inside: u64 = stack.sql(inside).await.parse().unwrap();
    assert!(inside >= 100, "{inside}");
    stack.cli(&["train", "iris"]).await;
    let learned = "SELECT rows FROM model_versions WHERE pipeline = 'iris' ORDER BY version DESC LIMIT 1";
    assert_eq!(stack.sql(learned).await, (350 - inside).to_string());
    // A person who knows better takes it back, window by window.
    let windows =
        stack.sql("SELECT DISTINCT window FROM iris_drift WHERE verdict = 'quarantine' AND stream = 'records'").await;
    for window in windows.lines() {
        stack.cli_ok(&["drift", "release", "iris", window, "--reason", "those petals were real"]).await;
        let again = stack.cli(&["drift", "release", "iris", window, "--reason", "twice"]).await;
        assert!(!again.status.success(), "{again:?}");
    }
    let listed = stack.cli_ok(&["drift", "list", "iris"]).await;
    assert!(listed.contains("those petals were real"), "{listed}");
    stack.cli(&["train", "iris"]).await;
    assert_eq!(stack.sql(learned).await, "350");
    assert!(stack.stop().await);
}

/// The pipeline with so many partitions, which a drift does not train.
fn with_partitions<const PARTITIONS: u32>(pipelines: &std::path::Path) {
    let file = pipelines.join("iris/pipeline.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("partitions: 2", &format!("partitions: {PARTITIONS}"));
    std::fs::write(&file, text.replace("retrain: true", "retrain: false")).unwrap();
}

/// What was counted of the same 900 records, with a kill in between.
async fn counted(edit: fn(&std::path::Path)) -> serde_json::Value {
    let mut stack = Stack::start(Options { edit, ..Options::default() }).await;
    stack.serves("iris", |_| true).await;
    // Whoever counts knows the model before the first record comes: they begin anew.
    stack.kill();
    stack = stack.restart().await;
    let mut command = stack.command();
    command.args(["produce", "iris", "--source", "shifted", "--rows", "900", "--rate", "600"]);
    let log = std::env::temp_dir().join(format!("driftmill-counted-{}.log", std::process::id()));
    let mut producer = crate::harness::Process::start("driftmill produce", command, log.clone());
    crate::harness::eventually("some of the stream is there", async || {
        let rows: u64 = stack.try_sql("SELECT count() FROM iris_features").await.ok()?.parse().ok()?;
        (rows >= 450).then_some(())
    })
    .await;
    producer.kill();
    stack.kill();
    drop(producer);
    std::fs::remove_file(log).unwrap();
    stack = stack.restart().await;
    stack.cli_ok(&["produce", "iris", "--source", "shifted", "--rows", "900", "--rate", "5000"]).await;
    stack.sql_becomes(BALANCE, "1050").await;
    let counted = stack.cli_ok(&["drift", "profile", "iris", "--version", "1"]).await;
    stack.kill();
    serde_json::from_str::<serde_json::Value>(&counted).unwrap()["profile"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_do_not_tell_partitions_batches_and_kills_apart() {
    let one = counted(with_partitions::<1>).await;
    assert_eq!(one["rows"], 900, "{one}");
    assert_eq!(counted(with_partitions::<7>).await, one);
    assert_eq!(counted(with_partitions::<64>).await, one);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_find_their_predictions_however_late_and_the_latest_counts() {
    let stack = Stack::start(Options::default()).await;
    stack.serves("iris", |_| true).await;
    let flowers = json!({ "inputs": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3], [5.9, 3.0, 4.2, 1.5]] });
    // Labels may come before the prediction is in its table, or for one that never was.
    let early = json!([{ "request_id": "asked-1", "row": 2, "label": "virginica" }, { "request_id": "nobody", "label": "setosa" }]);
    let (status, answer) = stack.post("/api/v1/pipelines/iris/labels", early).await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(2)), "{answer}");
    let (status, answer) = stack.post_as(Some("asked-1"), "/invocations?model=iris", flowers).await;
    assert_eq!(status, 200, "{answer}");
    let labels = json!([
        { "request_id": "asked-1", "label": "setosa" },
        { "request_id": "asked-1", "row": 1, "label": "rose" },
        { "request_id": "asked-1", "row": 2, "label": "versicolor" },
    ]);
    let (status, answer) = stack.post("/api/v1/pipelines/iris/labels", labels).await;
    assert_eq!(
        (status, &answer["accepted"], &answer["errors"][0]["kind"]),
        (207, &json!(2), &json!("UnknownClass")),
        "{answer}"
    );
    let outcomes = "SELECT groupArray((row, prediction, label)) FROM (SELECT * FROM iris_outcomes ORDER BY row)";
    stack.sql_becomes(outcomes, "[(0,'setosa','setosa'),(2,'versicolor','versicolor')]").await;
    // How good the answers were is told beside what was expected of them without labels.
    let mut labels = Vec::new();
    for i in 0..40 {
        let id = format!("many-{i}");
        let rows = json!({ "inputs": [[5.1, 3.5, 1.4, 0.2]] });
        assert_eq!(stack.post_as(Some(&id), "/invocations?model=iris", rows).await.0, 200);
        labels.push(json!({ "request_id": id, "label": if i < 36 { "setosa" } else { "virginica" } }));
    }
    let (status, _) = stack.post("/api/v1/pipelines/iris/labels", json!(labels)).await;
    assert_eq!(status, 200);
    stack.sql_becomes("SELECT count() FROM iris_outcomes WHERE startsWith(request_id, 'many-')", "40").await;
    let told = stack.cli_ok(&["performance", "iris", "--json"]).await;
    let window: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!((&window["answers"], &window["labels"]), (&json!(43), &json!(42)), "{told}");
    let measured = window["measured"]["figures"]["accuracy"]["value"].as_f64().unwrap();
    assert!((measured - 38.0 / 42.0).abs() < 1e-9, "{told}");
    assert!(window["estimated"]["figures"]["accuracy"]["value"].as_f64().unwrap() > 0.8, "{told}");
    let table = stack.cli_ok(&["performance", "iris"]).await;
    assert!(table.contains("0.905 [") && table.contains("on the 30 rows that judged it"), "{table}");
    let (status, _) = stack.post("/api/v1/pipelines/irsi/labels", json!([])).await;
    assert_eq!(status, 404);
    assert!(stack.stop().await);
}
