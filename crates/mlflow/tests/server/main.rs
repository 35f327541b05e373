//! A run on a real MLflow server: `scripts/mlflow-check.sh` starts one, runs this, then `check.py`, by which MLflow's own
//! client reads what this wrote.

#![allow(clippy::unwrap_used)]

mod fixture;
mod lossy;

use std::collections::BTreeSet;
use std::io::Write as _;

use driftmill_mlflow::{Mirror, MlflowSettings, Model, Run, State};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{forest, refused};
use crate::lossy::Lossy;

const VARIABLE: &str = "DRIFTMILL_TEST_MLFLOW_URL";

/// The address of the server. Without one nothing is tested: that is said aloud, and is a failure in CI.
fn address() -> Option<String> {
    let address = std::env::var(VARIABLE).ok().filter(|address| !address.is_empty());
    if address.is_none() {
        let told =
            format!("\n*** NOT RUN: {VARIABLE} is not set; scripts/mlflow-check.sh starts a server and sets it ***\n");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{told}");
        // Past the harness, which shows nothing of a test that passes.
        let _ = std::io::stderr().write_all(told.as_bytes());
    }
    address
}

/// The server's own API.
struct Api {
    address: String,
    http: reqwest::Client,
}

impl Api {
    fn new(address: &str) -> Self {
        Self { address: address.to_owned(), http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("{}/api/2.0/mlflow/{path}", self.address)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/api/2.0/mlflow/{path}", self.address);
        self.http.post(url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Values of a metric, by step.
    async fn history(&self, run: &str, metric: &str) -> Vec<(i64, Value)> {
        let query = [("run_id", run), ("metric_key", metric), ("max_results", "25000")];
        let answer = self.get("metrics/get-history", &query).await;
        let metrics = answer["metrics"].as_array().unwrap_or_else(|| panic!("{answer}"));
        metrics.iter().map(|metric| (metric["step"].as_i64().unwrap_or_default(), metric["value"].clone())).collect()
    }

    /// How often a run, its model and its version are there.
    async fn times(&self, experiment: &str, run: Uuid) -> [usize; 3] {
        let filter = format!("tags.`driftmill.run_id` = '{run}'");
        let body = json!({ "experiment_ids": [experiment], "filter": filter, "max_results": 100 });
        let runs = self.post("runs/search", body.clone()).await;
        let models = self.post("logged-models/search", body).await;
        let versions = self.get("model-versions/search", &[("filter", filter.as_str())]).await;
        [&runs["runs"], &models["models"], &versions["model_versions"]].map(|all| all.as_array().map_or(0, Vec::len))
    }
}

fn mirror(address: &str) -> Mirror {
    Mirror::new(&MlflowSettings::new(address).unwrap()).unwrap()
}

fn tags(of: &Value) -> BTreeSet<(&str, &str)> {
    let tags = of["tags"].as_array().unwrap_or_else(|| panic!("{of}"));
    tags.iter().filter_map(|tag| Some((tag["key"].as_str()?, tag["value"].as_str()?))).collect()
}

#[tokio::test]
async fn a_run_that_is_mirrored_twice_is_there_once_with_all_that_it_said() {
    let Some(address) = address() else { return };
    let (api, mirror, run) = (Api::new(&address), mirror(&address), forest());
    // It is seen while it is under way, then when it is over, then again.
    let under_way = Run { state: State::Running, model: None, steps: run.steps[..700].to_vec(), ..run.clone() };
    let first = mirror.mirror(&under_way).await.unwrap();
    let mirrored = mirror.mirror(&run).await.unwrap();
    assert_eq!((first.run_id, first.model_id), (mirrored.run_id.clone(), None));
    assert_eq!(mirror.mirror(&run).await.unwrap(), mirrored);
    assert_eq!(api.times(&mirrored.experiment_id, run.run_id).await, [1, 1, 1]);

    let answer = api.get("runs/get", &[("run_id", &mirrored.run_id)]).await;
    let (info, data) = (&answer["run"]["info"], &answer["run"]["data"]);
    assert_eq!((&info["status"], &info["run_name"]), (&json!("FINISHED"), &json!(run.name)));
    assert_eq!((&info["start_time"], &info["end_time"]), (&json!(run.started), &json!(run.ended)));
    assert_eq!(data["params"].as_array().unwrap().len(), run.params.len());
    let tags = tags(data);
    assert!(
        tags.contains(&("driftmill.gate.better than the constant baseline", "passed: 0.97 against 0.33")),
        "{tags:?}"
    );
    assert!(tags.contains(&("driftmill.cause", "drift of petal_length")), "{tags:?}");
    let dataset = &answer["run"]["inputs"]["dataset_inputs"][0]["dataset"];
    assert_eq!(dataset["name"], "iris");
    assert_eq!(answer["run"]["outputs"]["model_outputs"][0]["model_id"], json!(mirrored.model_id));
    assert_eq!(answer["run"]["outputs"]["model_outputs"].as_array().unwrap().len(), 1);

    let history = api.history(&mirrored.run_id, "loss").await;
    // The model's own, on the test rows, comes last and is the one that is shown.
    assert_eq!(history.len(), run.steps.len() + 1);
    let shown = data["metrics"].as_array().unwrap().iter().find(|metric| metric["key"] == "loss").unwrap();
    assert_eq!(shown["value"], 0.01);
    assert_eq!(history.iter().map(|(step, _)| *step).collect::<BTreeSet<_>>(), (0..2_500).collect());
    assert_eq!(api.history(&mirrored.run_id, "accuracy").await, [(0, json!(0.97))]);
    assert_eq!(api.history(&mirrored.run_id, "f1 _setosa_").await.len(), 1);
    assert_eq!(api.history(&mirrored.run_id, "f1 _setosa_-2").await.len(), 1);
    for odd in ["nan", "infinite"] {
        assert_eq!(api.history(&mirrored.run_id, odd).await.len(), 1, "{odd}");
    }
}

#[tokio::test]
async fn an_alias_follows_promotions_and_roll_backs() {
    let Some(address) = address() else { return };
    let (api, mirror) = (Api::new(&address), mirror(&address));
    let version = |number: u64| {
        let model = Model { version: number, aliases: vec!["champion".to_owned()], ..forest().model.unwrap() };
        let run_id = Uuid::from_u128(0x3_0000 + u128::from(number));
        Run { run_id, pipeline: "aliases".to_owned(), model: Some(model), steps: Vec::new(), ..forest() }
    };
    let first = mirror.mirror(&version(41)).await.unwrap();
    let second = mirror.mirror(&version(42)).await.unwrap();
    let champion = async || {
        let query = [("name", "aliases"), ("alias", "champion")];
        api.get("registered-models/alias", &query).await["model_version"]["version"].clone()
    };
    assert_eq!(champion().await, json!(second.model_version));
    assert!(mirror.set_alias("aliases", "champion", 41).await.unwrap());
    assert_eq!(champion().await, json!(first.model_version));
    assert!(!mirror.set_alias("aliases", "champion", 99).await.unwrap());
}

#[tokio::test]
async fn a_refused_model_is_a_version_that_is_not_champion() {
    let Some(address) = address() else { return };
    let (api, run) = (Api::new(&address), refused());
    let mirrored = mirror(&address).mirror(&run).await.unwrap();
    let version = mirrored.model_version.unwrap();
    let answer = api.get("model-versions/get", &[("name", "loan"), ("version", &version)]).await;
    assert_eq!(answer["model_version"].get("aliases"), None, "{answer}");
    assert!(tags(&answer["model_version"]).contains(&("driftmill.state", "refused")));
    let answer = api.get("runs/get", &[("run_id", &mirrored.run_id)]).await;
    assert_eq!(answer["run"]["info"]["status"], "FINISHED");
    let tags = tags(&answer["run"]["data"]);
    let note = tags.iter().find(|(key, _)| *key == "mlflow.note.content").unwrap().1;
    assert!(note.contains("**refused** | AUC 0.50"), "{note}");
}

#[tokio::test]
async fn a_mirror_that_is_cut_off_after_any_request_goes_on_where_it_stopped() {
    let Some(address) = address() else { return };
    let api = Api::new(&address);
    let mut cut = 0;
    loop {
        let run = Run {
            run_id: Uuid::from_u128(0x4_0000 + cut as u128),
            pipeline: format!("cut-{}", cut % 3),
            name: format!("cut off after {cut} requests"),
            steps: forest().steps[..1_100].to_vec(),
            ..forest()
        };
        // What the server did is done, and its answer is lost: the worst place for an end.
        let lossy = Lossy::start(&address, cut).await;
        let whole = mirror(&lossy.address).mirror(&run).await;
        if let Err(error) = &whole {
            assert!(matches!(error.retry(), driftmill_mlflow::Retry::Later(_)), "{error}");
        }
        let mirrored = mirror(&address).mirror(&run).await.unwrap();
        assert_eq!(api.times(&mirrored.experiment_id, run.run_id).await, [1, 1, 1], "cut off after {cut} requests");
        assert_eq!(api.history(&mirrored.run_id, "loss").await.len(), 1_101);
        assert_eq!(api.history(&mirrored.run_id, "accuracy").await.len(), 1);
        if whole.is_ok() {
            break;
        }
        cut += 1;
    }
    assert!(cut > 15, "a whole run takes {cut} requests");
}
