//! A model that takes over step by step, and one that goes back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Options, Stack, repository};

/// Steps of seconds.
fn step_by_step(pipelines: &Path) {
    let file = pipelines.join("iris/pipeline.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let steps = "rollout: { shadow: 3, canary: [0.05, 0.5], step: 3, min_rows: 40, patience: 30, probation: 600 }";
    let (before, rest) = text.split_once("rollout:").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    std::fs::write(&file, format!("{before}{steps}\n\n{after}")).unwrap();
}

const STEPS: &str =
    "SELECT groupArray((toString(stage), share)) FROM (SELECT * FROM rollouts FINAL WHERE challenger = ";

fn steps(version: u64) -> String {
    format!("{STEPS}{version} ORDER BY begun, step)")
}

/// Fisher's flowers with their species, `longer` by so much.
fn flowers(longer: f64) -> Vec<([f64; 4], String)> {
    let text = std::fs::read_to_string(repository().join("pipelines/iris/data/iris.csv")).unwrap();
    let flower = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<f64>().unwrap();
        ([number(0) + longer, number(1), number(2) + 1.5 * longer, number(3)], cells[4].to_owned())
    };
    text.lines().skip(1).map(flower).collect()
}

/// Clients that ask without a pause, and tell what was true.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(stack: &Stack, longer: f64, labels: bool) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..4).map(|client| {
            let (http, gateway) = (stack.http.clone(), stack.gateway.clone());
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut failures = Vec::new();
                let flowers = flowers(longer);
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let (flower, species) = &flowers[(i * 37 + client * 11) % flowers.len()];
                    let id = format!("load-{client}-{i}");
                    let body =
                        json!({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": flower}]});
                    let request = http.post(format!("{gateway}/v2/models/iris/infer")).header("x-request-id", &id);
                    match request.json(&body).send().await {
                        Ok(response) if response.status() == 200 => {}
                        Ok(response) => failures.push(format!("{}: {:?}", response.status(), response.text().await)),
                        Err(error) => failures.push(error.to_string()),
                    }
                    if labels {
                        let label = json!([{ "request_id": id, "label": species }]);
                        let request = http.post(format!("{gateway}/api/v1/pipelines/iris/labels")).json(&label);
                        request.send().await.unwrap();
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                failures
            })
        });
        let clients = clients.collect();
        Self { stop, asked, clients }
    }

    /// How many asked, and what went wrong.
    async fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.await.unwrap());
        }
        (self.asked.load(Ordering::Relaxed), failures)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_a_drifted_stream_gets_a_new_champion_step_by_step_and_no_request_fails() {
    let stack = Stack::start(Options { edit: step_by_step, ..Options::default() }).await;
    let first = stack.serves("iris", |_| true).await;
    let load = Load::start(&stack, 1.0, false);
    stack.cli_ok(&["produce", "iris", "--source", "shifted", "--rate", "1500"]).await;
    let second = stack.serves("iris", |version| version > first).await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");

    let expected = "[('shadow',0),('canary',0.05),('canary',0.5),('probation',1)]";
    stack.sql_becomes(&steps(second), expected).await;
    let state = "SELECT argMax(toString(state), (at, state != 'started')) FROM runs WHERE model_version = ";
    stack.sql_becomes(&format!("{state}{second}"), "promoted").await;
    // Whoever was heard in each step: the champion alone, then both.
    let heard = format!(
        "SELECT groupUniqArray(model_version) FROM iris_predictions WHERE at < \
         (SELECT min(at) FROM rollouts WHERE stage = 'canary' AND challenger = {second})"
    );
    assert_eq!(stack.sql(&heard).await, format!("[{first}]"));
    let during = format!(
        "SELECT arraySort(groupUniqArray(model_version)) FROM iris_predictions WHERE at > \
         (SELECT min(at) FROM rollouts WHERE stage = 'canary' AND challenger = {second}) AND at < \
         (SELECT min(at) FROM rollouts WHERE stage = 'probation' AND challenger = {second})"
    );
    assert_eq!(stack.sql(&during).await, format!("[{first},{second}]"));
    let shadows = "SELECT count() > 100 FROM iris_answers WHERE shadow = 1 AND failure = ''";
    stack.sql_becomes(shadows, "1").await;
    let told = stack.cli_ok(&["models", "rollout", "iris"]).await;
    assert!(told.contains("in the shadow: passed its gates") && told.contains("champion on probation"), "{told}");
    let took = format!(
        "SELECT toString(dateDiff('millisecond', (SELECT min(at) FROM iris_drift WHERE verdict IN ('alarm', 'drifted') \
         AND stream = 'records'), (SELECT max(at) FROM model_aliases WHERE alias = 'champion' AND version = {second})))"
    );
    let onset = stack.sql(&took).await;
    eprintln!("from the first alarm to the champion: {onset} ms, {asked} requests meanwhile, none failed");
}

/// The flowers under each other's names.
fn flipped(folder: &Path) -> PathBuf {
    let mut text = "sepal_length,sepal_width,petal_length,petal_width,species\n".to_owned();
    for (flower, species) in flowers(0.0) {
        let other = match species.as_str() {
            "setosa" => "versicolor",
            "versicolor" => "virginica",
            _ => "setosa",
        };
        let cells: Vec<String> = flower.iter().map(f64::to_string).collect();
        text.push_str(&format!("{},{other}\n", cells.join(",")));
    }
    let file = folder.join("flipped.csv");
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_champion_that_was_forced_in_goes_back_by_itself() {
    let stack = Stack::start(Options::default()).await;
    let first = stack.serves("iris", |_| true).await;
    let folder = tempfile::tempdir().unwrap();
    let file = flipped(folder.path());
    let load = Load::start(&stack, 0.0, true);
    stack.cli_ok(&["train", "iris", "--from", file.to_str().unwrap(), "--force"]).await;
    let bad = first + 1;
    stack.sql_becomes(&steps(bad), "[('probation',1),('rolled_back',1)]").await;
    stack.serves("iris", |version| version == first).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");

    let reason = format!("SELECT any(reason) FROM rollouts WHERE challenger = {bad} AND stage = 'rolled_back'");
    let reason = stack.sql(&reason).await;
    assert!(reason.contains("requests with labels the loss of version 2 is"), "{reason}");
    let state = "SELECT argMax(toString(state), (at, state != 'started')) FROM runs WHERE model_version = ";
    stack.sql_becomes(&format!("{state}{bad}"), "rolled_back").await;
    // It stays so: the champion that came back is not taken for a new one.
    assert_eq!(stack.sql("SELECT count() FROM (SELECT DISTINCT rollout FROM rollouts)").await, "1");
    let after = format!(
        "SELECT toString(max(dateDiff('millisecond', (SELECT min(at) FROM rollouts WHERE stage = 'rolled_back'), at))) \
         FROM iris_predictions WHERE model_version = {bad}"
    );
    eprintln!("the last answer of the bad champion came {} ms after the verdict", stack.sql(&after).await);
    // What every step was judged from gives the same once more.
    let steps = stack.cli_ok(&["models", "rollout", "iris", "--json"]).await;
    let newest: Value = serde_json::from_str(steps.lines().next().unwrap()).unwrap();
    let decided: driftmill_drift::rollout::RolloutDecided =
        serde_json::from_str(newest["facts"].as_str().unwrap()).unwrap();
    assert_eq!(decided.replay(), decided.decision);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_passed_its_gates_and_is_worse_goes_back_before_anybody_hears_it() {
    fn long_shadow(pipelines: &Path) {
        step_by_step(pipelines);
        let file = pipelines.join("iris/pipeline.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("shadow: 3", "shadow: 600")).unwrap();
    }
    let stack = Stack::start(Options { edit: long_shadow, ..Options::default() }).await;
    let first = stack.serves("iris", |_| true).await;
    let folder = tempfile::tempdir().unwrap();
    let file = flipped(folder.path());
    let load = Load::start(&stack, 0.0, true);
    // Rows that are wrong judge it well.
    let told = stack.cli_ok(&["train", "iris", "--from", file.to_str().unwrap()]).await;
    assert!(told.contains("takes over step by step"), "{told}");
    let bad = first + 1;
    stack.sql_becomes(&steps(bad), "[('shadow',0),('rolled_back',0)]").await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");
    assert_eq!(stack.sql("SELECT groupUniqArray(model_version) FROM iris_predictions").await, format!("[{first}]"));
    assert_eq!(stack.serves("iris", |_| true).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_after_kill_9_and_nothing_happens_twice() {
    let mut stack = Stack::start(Options { edit: step_by_step, ..Options::default() }).await;
    let first = stack.serves("iris", |_| true).await;
    // Nobody asks: a step waits for its patience, which is long enough to be killed in.
    stack.cli_ok(&["train", "iris", "--param", "n_estimators=60"]).await;
    let second = first + 1;
    stack.sql_becomes(&steps(second), "[('shadow',0)]").await;
    stack.kill();
    let mut stack = stack.restart().await;
    stack.serves("iris", |version| version == first).await;
    let load = Load::start(&stack, 0.0, false);
    let canary = format!("SELECT count() > 0 FROM rollouts WHERE challenger = {second} AND stage = 'canary'");
    stack.sql_becomes(&canary, "1").await;
    load.stop().await;
    stack.kill();
    let stack = stack.restart().await;
    stack.serves("iris", |_| true).await;
    let load = Load::start(&stack, 0.0, false);
    stack.serves("iris", |version| version == second).await;
    let (asked, failures) = load.stop().await;
    assert_eq!(failures, Vec::<String>::new(), "of {asked}");
    stack.sql_becomes(&steps(second), "[('shadow',0),('canary',0.05),('canary',0.5),('probation',1)]").await;
    let promotions = format!("SELECT count() FROM model_aliases WHERE alias = 'champion' AND version = {second}");
    assert_eq!(stack.sql(&promotions).await, "1");
    // On probation it goes back by hand, too, and who came back is compared with nobody again.
    stack.cli_ok(&["models", "promote", "iris", &first.to_string(), "--reason", "I liked it better"]).await;
    stack.serves("iris", |version| version == first).await;
    let ended = format!("SELECT any(reason) FROM rollouts WHERE challenger = {second} AND stage = 'rolled_back'");
    stack.sql_becomes(&ended, "I liked it better").await;
    // Whoever is promoted by hand after that is on probation.
    stack.cli_ok(&["models", "promote", "iris", &second.to_string(), "--reason", "no, I do not"]).await;
    let again = "SELECT any(cause) FROM rollouts WHERE startsWith(rollout, 'promotion ') AND stage = 'probation'";
    stack.sql_becomes(again, "no, I do not").await;
    assert_eq!(stack.sql(&steps(first)).await, "[]");
}
