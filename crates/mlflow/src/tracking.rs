//! Experiments and runs.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::batch::{self, Metric, Pair};
use crate::http::Client;
use crate::mlmodel::columns;
use crate::names::{self, cut};
use crate::run::{Dataset, Gate, Run, State};
use crate::{Error, RUN_TAG};

/// How many metrics of steps MLflow has: they are sent in order, each once.
const STEPS_TAG: &str = "driftmill.mirrored_steps";

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct FoundExperiment {
    experiment: Experiment,
}

#[derive(Deserialize)]
struct Experiment {
    experiment_id: String,
    #[serde(default)]
    lifecycle_stage: String,
}

#[derive(Deserialize)]
struct FoundRuns {
    #[serde(default)]
    runs: Vec<MlflowRun>,
}

#[derive(Deserialize)]
struct FoundRun {
    run: MlflowRun,
}

/// What MLflow knows of a run.
#[derive(Debug, Deserialize)]
pub(crate) struct MlflowRun {
    pub info: Info,
    #[serde(default)]
    data: Data,
    #[serde(default)]
    outputs: Outputs,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Info {
    pub run_id: String,
    pub artifact_uri: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    tags: Vec<Tag>,
    metrics: Vec<Latest>,
}

/// The value of a metric that is shown.
#[derive(Debug, Deserialize)]
struct Latest {
    key: String,
    #[serde(default)]
    timestamp: Value,
}

#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Outputs {
    model_outputs: Vec<ModelOutput>,
}

#[derive(Debug, Deserialize)]
struct ModelOutput {
    #[serde(default)]
    model_id: String,
}

impl MlflowRun {
    /// Metrics of steps that it has.
    fn steps(&self) -> usize {
        let tag = self.data.tags.iter().find(|tag| tag.key == STEPS_TAG);
        tag.and_then(|tag| tag.value.parse().ok()).unwrap_or_default()
    }

    /// Whether it has this value of a metric, by its name and time.
    fn has(&self, metric: &Metric) -> bool {
        let at = json!(metric.timestamp);
        self.data.metrics.iter().any(|latest| latest.key == metric.key && latest.timestamp == at)
    }

    /// Whether the model is shown as what it made.
    pub(crate) fn made(&self, model_id: &str) -> bool {
        self.outputs.model_outputs.iter().any(|output| output.model_id == model_id)
    }
}

/// The experiment's id; it is made when there is none of the name.
pub(crate) async fn experiment(client: &Client, pipeline: &str) -> Result<String, Error> {
    let name = names::model(pipeline);
    let doing = format!("find the experiment `{name}`");
    let query = [("experiment_name", name.as_str())];
    let find = || client.get::<FoundExperiment>(&doing, &["experiments", "get-by-name"], &query);
    let found = match find().await {
        Err(error) if error.is("RESOURCE_DOES_NOT_EXIST") => None,
        found => Some(found?),
    };
    if let Some(FoundExperiment { experiment }) = found {
        return match experiment.lifecycle_stage.as_str() {
            "deleted" => Err(Error::Deleted { name, id: experiment.experiment_id }),
            _ => Ok(experiment.experiment_id),
        };
    }
    #[derive(Deserialize)]
    struct Made {
        experiment_id: String,
    }
    let body = json!({ "name": name, "tags": [Pair::new("driftmill.pipeline", cut(pipeline, names::TAG))] });
    let doing = format!("make the experiment `{name}`");
    match client.post::<Made>(&doing, &["experiments", "create"], &body).await {
        Ok(made) => Ok(made.experiment_id),
        // Somebody else was quicker.
        Err(error) if error.is("RESOURCE_ALREADY_EXISTS") => Ok(find().await?.experiment.experiment_id),
        Err(error) => Err(error),
    }
}

/// The run, found by its tag, or made with it.
pub(crate) async fn run(client: &Client, experiment: &str, run: &Run) -> Result<MlflowRun, Error> {
    let body = json!({
        "experiment_ids": [experiment],
        "filter": format!("tags.`{RUN_TAG}` = '{}'", run.run_id),
        "run_view_type": "ACTIVE_ONLY",
        "max_results": 1,
    });
    let found: FoundRuns = client.post(&format!("look for run {}", run.run_id), &["runs", "search"], &body).await?;
    if let Some(MlflowRun { info: Info { run_id, .. }, .. }) = found.runs.first() {
        // What a run made is not in what older servers find.
        let doing = format!("read run {}", run.run_id);
        return Ok(client.get::<FoundRun>(&doing, &["runs", "get"], &[("run_id", run_id)]).await?.run);
    }
    let body = json!({
        "experiment_id": experiment,
        "run_name": cut(&run.name, names::NAME),
        "start_time": run.started,
        "tags": [
            Pair::new(RUN_TAG, run.run_id.to_string()),
            Pair::new("mlflow.user", "driftmill"),
            Pair::new("mlflow.source.name", "driftmill"),
            Pair::new("mlflow.source.type", "JOB"),
        ],
    });
    Ok(client.post::<FoundRun>(&format!("make run {}", run.run_id), &["runs", "create"], &body).await?.run)
}

/// Parameters and tags. MLflow keeps the first value of a parameter and takes it again; tags are replaced.
pub(crate) async fn texts(client: &Client, mlflow: &MlflowRun, run: &Run) -> Result<(), Error> {
    let keys = names::keys(run.params.keys().map(String::as_str));
    let params = run.params.iter();
    let params = params.map(|(name, value)| Pair::new(&keys[name.as_str()], cut(value, names::PARAM))).collect();
    for batch in batch::texts(&mlflow.info.run_id, params, tags(run)) {
        let doing = format!("send parameters and tags of run {}", run.run_id);
        client.post::<Nothing>(&doing, &["runs", "log-batch"], &batch).await?;
    }
    Ok(())
}

fn tags(run: &Run) -> Vec<Pair> {
    let mut all = run.tags.clone();
    for Gate { name, passed, detail } in &run.gates {
        all.insert(format!("gate.{name}"), format!("{}: {detail}", if *passed { "passed" } else { "refused" }));
    }
    all.insert("pipeline".to_owned(), run.pipeline.clone());
    all.insert("state".to_owned(), run.state.name().to_owned());
    if !run.detail.is_empty() {
        all.insert("detail".to_owned(), run.detail.clone());
    }
    if let Some(dataset) = &run.dataset {
        all.insert("dataset".to_owned(), dataset.digest.clone());
    }
    if let Some(model) = &run.model {
        all.insert("version".to_owned(), model.version.to_string());
    }
    let all: Vec<(String, String)> = all.into_iter().map(|(key, text)| (format!("driftmill.{key}"), text)).collect();
    let keys = names::keys(all.iter().map(|(key, _)| key.as_str()));
    let ours = [RUN_TAG, STEPS_TAG];
    let tags = all.iter().filter(|(key, _)| !ours.contains(&key.as_str()));
    let tags = tags.map(|(key, text)| Pair::new(&keys[key.as_str()], cut(text, names::TAG)));
    tags.chain([Pair::new("mlflow.note.content", cut(&note(run), names::TAG))]).collect()
}

/// The run's description, in Markdown.
fn note(run: &Run) -> String {
    let mut text = format!("Run `{}` of the Driftmill pipeline `{}`: {}", run.run_id, run.pipeline, run.state.name());
    text += &if run.detail.is_empty() { ".\n".to_owned() } else { format!(": {}\n", run.detail) };
    if !run.gates.is_empty() {
        text += "\n| gate | verdict | why |\n|---|---|---|\n";
    }
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for Gate { name, passed, detail } in &run.gates {
        let verdict = if *passed { "passed" } else { "**refused**" };
        text += &format!("| {} | {verdict} | {} |\n", cell(name), cell(detail));
    }
    text
}

/// Name and digest of the dataset as MLflow has them.
pub(crate) fn dataset_names(dataset: &Dataset) -> (String, String) {
    (cut(&dataset.name, names::NAME), dataset.digest.chars().take(names::DIGEST).collect())
}

/// The rows it learned from. MLflow knows a dataset by name and digest, and takes it again.
pub(crate) async fn dataset(client: &Client, mlflow: &MlflowRun, dataset: &Dataset) -> Result<(), Error> {
    let (kind, key) = match dataset.source.split_once("://") {
        Some(("s3", _)) => ("s3", "uri"),
        Some(("http" | "https", _)) => ("http", "url"),
        _ => ("local", "uri"),
    };
    let (name, digest) = dataset_names(dataset);
    let mut body = json!({
        "name": name,
        "digest": digest,
        "source_type": kind,
        "source": json!({ key: dataset.source }).to_string(),
    });
    // Half of a JSON text is none: what is too long is left out.
    let schema = format!("{{\"mlflow_colspec\":{}}}", columns(&dataset.schema));
    if !dataset.schema.is_empty() && schema.len() <= names::SCHEMA {
        body["schema"] = Value::String(schema);
    }
    let profile = dataset.profile.to_string();
    if !dataset.profile.is_null() && profile.len() <= names::PROFILE {
        body["profile"] = Value::String(profile);
    }
    let tags = [Pair::new("mlflow.data.context", "training")];
    let body = json!({ "run_id": mlflow.info.run_id, "datasets": [{ "tags": tags, "dataset": body }] });
    client.post::<Nothing>(&format!("send the dataset `{name}`"), &["runs", "log-inputs"], &body).await?;
    Ok(())
}

/// Metrics: those of steps that MLflow has not, and when the run is over those of its model, which come last.
pub(crate) async fn metrics(
    client: &Client,
    mlflow: &MlflowRun,
    run: &Run,
    model_id: Option<&str>,
) -> Result<(), Error> {
    let used: BTreeSet<&str> =
        run.steps.iter().map(|step| step.name.as_str()).chain(run.metrics.keys().map(String::as_str)).collect();
    let keys = names::keys(used);
    let plain = |name: &str, value: f64, timestamp: i64, step: i64| Metric {
        key: keys[name].clone(),
        value,
        timestamp,
        step,
        model_id: None,
        dataset_name: None,
        dataset_digest: None,
    };
    let steps: Vec<Metric> = run.steps.iter().map(|step| plain(&step.name, step.value, step.at, step.step)).collect();
    let doing = format!("send metrics of run {}", run.run_id);
    let mut sent = mlflow.steps().min(steps.len());
    for mut batch in batch::metrics(&mlflow.info.run_id, &steps[sent..]) {
        sent += batch.metrics.len();
        batch.tags = vec![Pair::new(STEPS_TAG, sent.to_string())];
        client.post::<Nothing>(&doing, &["runs", "log-batch"], &batch).await?;
    }
    if run.state == State::Running {
        return Ok(());
    }
    let last = |name: &str| run.steps.iter().filter(|step| step.name == name).map(|step| step.step).max();
    let (dataset_name, dataset_digest) = run.dataset.as_ref().map(dataset_names).unzip();
    let of_model = model_id.map(str::to_owned);
    let finals = run.metrics.iter().map(|(name, value)| Metric {
        model_id: of_model.clone(),
        dataset_name: dataset_name.clone(),
        dataset_digest: dataset_digest.clone(),
        // MLflow shows the value of the highest step.
        ..plain(name, *value, run.ended, last(name).unwrap_or_default())
    });
    // A value that is there already is taken again, but by older servers not one that is no number.
    let finals: Vec<Metric> = finals.filter(|metric| metric.value.is_finite() || !mlflow.has(metric)).collect();
    for batch in batch::metrics(&mlflow.info.run_id, &finals) {
        client.post::<Nothing>(&doing, &["runs", "log-batch"], &batch).await?;
    }
    Ok(())
}

/// Shows the model as what the run made.
pub(crate) async fn output(client: &Client, mlflow: &MlflowRun, model_id: &str, step: i64) -> Result<(), Error> {
    let body = json!({ "run_id": mlflow.info.run_id, "models": [{ "model_id": model_id, "step": step }] });
    client.post::<Nothing>("show the model with its run", &["runs", "outputs"], &body).await?;
    Ok(())
}

/// What became of the run.
pub(crate) async fn end(client: &Client, mlflow: &MlflowRun, run: &Run) -> Result<(), Error> {
    let mut body = json!({ "run_id": mlflow.info.run_id, "status": run.state.status() });
    // Without a name it has one that MLflow made up.
    if !run.name.is_empty() {
        body["run_name"] = json!(cut(&run.name, names::NAME));
    }
    if run.state != State::Running {
        body["end_time"] = json!(run.ended);
    }
    client.post::<Value>(&format!("end run {}", run.run_id), &["runs", "update"], &body).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_what_the_gates_said_and_cannot_take_the_place_of_ours() {
        let run = Run {
            state: State::Refused,
            gates: vec![Gate { name: "calibrated".to_owned(), passed: false, detail: "0.2 > 0.1 | x".to_owned() }],
            tags: [("cause".to_owned(), "drift".to_owned()), ("run_id".to_owned(), "other".to_owned())].into(),
            ..Run::default()
        };
        let tags = tags(&run);
        let of = |key: &str| tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str());
        assert_eq!(of("driftmill.gate.calibrated"), Some("refused: 0.2 > 0.1 | x"));
        assert_eq!(of("driftmill.cause"), Some("drift"));
        assert_eq!(of("driftmill.state"), Some("refused"));
        assert_eq!(of(RUN_TAG), None);
        assert!(of("mlflow.note.content").unwrap().contains("| calibrated | **refused** | 0.2 > 0.1 \\| x |"));
    }
}
