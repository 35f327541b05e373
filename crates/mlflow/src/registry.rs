//! Logged models and the registry.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::batch::Pair;
use crate::http::Client;
use crate::mlmodel::{Place, files};
use crate::names::{self, cut};
use crate::run::{Model, Run};
use crate::{Error, RUN_TAG, VERSION_TAG};

#[derive(Deserialize)]
struct Made {
    model: LoggedModel,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    models: Vec<LoggedModel>,
}

#[derive(Deserialize)]
pub(crate) struct LoggedModel {
    pub info: Info,
}

#[derive(Deserialize)]
pub(crate) struct Info {
    pub model_id: String,
    artifact_uri: String,
    #[serde(default)]
    status: String,
}

/// The run's logged model, found by its tag, or made with it. It has no files before [`upload`].
pub(crate) async fn logged_model(
    client: &Client,
    experiment: &str,
    mlflow_run: &str,
    run: &Run,
    model: &Model,
) -> Result<LoggedModel, Error> {
    let body = json!({
        "experiment_ids": [experiment],
        "filter": format!("tags.`{RUN_TAG}` = '{}'", run.run_id),
        "max_results": 1,
    });
    let doing = format!("look for the model of run {}", run.run_id);
    let found: Found = client.post(&doing, &["logged-models", "search"], &body).await?;
    if let Some(found) = found.models.into_iter().next() {
        return Ok(found);
    }
    let keys = names::keys(run.params.keys().map(String::as_str));
    // The run shows those beyond.
    let params = run.params.iter().take(100);
    let params: Vec<Pair> =
        params.map(|(name, value)| Pair::new(&keys[name.as_str()], cut(value, names::PARAM))).collect();
    let body = json!({
        "experiment_id": experiment,
        "name": names::logged_model(&run.pipeline),
        "model_type": model.algorithm,
        "source_run_id": mlflow_run,
        "params": params,
        "tags": tags(run, model),
    });
    Ok(client.post::<Made>(&format!("log the model of run {}", run.run_id), &["logged-models"], &body).await?.model)
}

fn tags(run: &Run, model: &Model) -> [Pair; 4] {
    [
        Pair::new(RUN_TAG, run.run_id.to_string()),
        Pair::new(VERSION_TAG, model.version.to_string()),
        Pair::new("driftmill.algorithm", cut(&model.algorithm, names::TAG)),
        Pair::new("driftmill.state", run.state.name()),
    ]
}

/// Sends the model's files, unless all are there, and says that they are.
pub(crate) async fn upload(
    client: &Client,
    mlflow_run: &str,
    logged: &LoggedModel,
    run: &Run,
    model: &Model,
) -> Result<(), Error> {
    let Info { model_id, artifact_uri, status } = &logged.info;
    if status == "LOGGED_MODEL_READY" {
        return Ok(());
    }
    let what = format!("version {} of `{}`", model.version, run.pipeline);
    let place = Place { run_id: mlflow_run, model_id, folder: artifact_uri };
    for file in files(run, model, &place) {
        client.upload(&what, artifact_uri, &file.name, file.body).await?;
    }
    let body = json!({ "model_id": model_id, "status": "LOGGED_MODEL_READY" });
    let doing = format!("say that {what} is whole");
    client.send_json::<Value>(Method::PATCH, &doing, &["logged-models", model_id], &body).await?;
    Ok(())
}

#[derive(Deserialize)]
struct FoundVersions {
    #[serde(default)]
    model_versions: Vec<Version>,
}

#[derive(Deserialize)]
struct MadeVersion {
    model_version: Version,
}

#[derive(Deserialize)]
struct Version {
    name: String,
    #[serde(deserialize_with = "text_or_number")]
    version: String,
}

/// A number of a version, which is a text in the API.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// The version in MLflow's registry, found by a tag.
async fn find(client: &Client, name: &str, tag: &str, value: &str) -> Result<Option<String>, Error> {
    let filter = format!("name = '{name}' and tags.`{tag}` = '{value}'");
    let query = [("filter", filter.as_str()), ("max_results", "1")];
    let doing = format!("look for a version of `{name}`");
    let found: FoundVersions = client.get(&doing, &["model-versions", "search"], &query).await?;
    Ok(found.model_versions.into_iter().find(|version| version.name == name).map(|version| version.version))
}

/// The model's version in MLflow's registry, found by its tag, or made with it.
pub(crate) async fn version(
    client: &Client,
    mlflow_run: &str,
    model_id: &str,
    run: &Run,
    model: &Model,
) -> Result<String, Error> {
    let name = names::model(&run.pipeline);
    if let Some(found) = find(client, &name, RUN_TAG, &run.run_id.to_string()).await? {
        return Ok(found);
    }
    let body = json!({
        "name": name,
        "description": cut(&format!("Models of the Driftmill pipeline `{}`.", run.pipeline), names::DESCRIPTION),
        "tags": [Pair::new("driftmill.pipeline", cut(&run.pipeline, names::TAG))],
    });
    let doing = format!("make the registered model `{name}`");
    match client.post::<Value>(&doing, &["registered-models", "create"], &body).await {
        Err(error) if !error.is("RESOURCE_ALREADY_EXISTS") => return Err(error),
        _ => {}
    }
    let body = json!({
        "name": name,
        "source": format!("models:/{model_id}"),
        "model_id": model_id,
        "run_id": mlflow_run,
        "description": cut(&model.card_markdown, names::DESCRIPTION),
        "tags": tags(run, model),
    });
    let doing = format!("register version {} of `{name}`", model.version);
    let made: MadeVersion = client.post(&doing, &["model-versions", "create"], &body).await?;
    Ok(made.model_version.version)
}

/// Points an alias to a version of MLflow's.
pub(crate) async fn point(client: &Client, pipeline: &str, alias: &str, version: &str) -> Result<(), Error> {
    let (name, alias) = (names::model(pipeline), names::alias(alias));
    let body = json!({ "name": name, "alias": alias, "version": version });
    let doing = format!("point the alias `{alias}` to version {version} of `{name}`");
    client.post::<Value>(&doing, &["registered-models", "alias"], &body).await?;
    Ok(())
}

/// MLflow's number of our version, if it has been mirrored.
pub(crate) async fn number(client: &Client, pipeline: &str, version: u64) -> Result<Option<String>, Error> {
    find(client, &names::model(pipeline), VERSION_TAG, &version.to_string()).await
}
