//! A gateway in hand, models to put into it, and stand-ins for what it talks to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use driftmill_models::{Algorithm, artifact};
use driftmill_platform::clock::ManualClock;
use driftmill_platform::kafka::{self, Outgoing};
use driftmill_platform::metrics::Metrics;
use driftmill_platform::registry::{Alias, CHAMPION, Error as RegistryError, ModelVersion};
use driftmill_schemas::message::{Prediction, TrainingRequest};
use driftmill_schemas::model::{CARD_FORMAT, ModelCard};
use driftmill_schemas::pipeline::{self, Loaded};
use futures::future::BoxFuture;
use linfa::Dataset;
use ndarray::{Array1, Array2};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::app::{App, Parts, Served};
use crate::catalog::Catalog;
use crate::follower;
use crate::log::Sink;
use crate::router::router;
use crate::trainings::TrainingBus;

/// One of the bundled pipelines.
pub(super) fn bundled(name: &str) -> Loaded {
    let file = format!("{}/../pipelines/{name}/pipeline.yaml", env!("CARGO_MANIFEST_DIR"));
    pipeline::load(Path::new(&file)).unwrap()
}

/// A pipeline from texts.
pub(super) fn pipeline(yaml: &str, avro: &str) -> Loaded {
    let (pipeline, schema, places) =
        pipeline::parse(yaml, Path::new("pipeline.yaml"), |_| Ok(avro.to_owned())).unwrap();
    Loaded { pipeline, schema, folder: PathBuf::new(), places }
}

/// An artifact of `algorithm` for `loaded`, fitted on `rows` (features) and `labels` (class indices).
pub(super) fn artifact_of(loaded: &Loaded, algorithm: &str, params: Value, rows: Array2<f64>, labels: Array1<usize>) -> Bytes {
    let pipeline = &loaded.pipeline;
    let params = params.as_object().unwrap().clone();
    let dataset = Dataset::new(rows, labels);
    let model = Algorithm::from_spec(algorithm, &params).unwrap().fit(&dataset, pipeline.label.classes.len(), 42).unwrap();
    let card = ModelCard {
        format: CARD_FORMAT,
        pipeline: pipeline.name.clone(),
        features: pipeline.features.clone(),
        schema: loaded.schema.text.clone(),
        classes: pipeline.label.classes.clone(),
        algorithm: algorithm.to_owned(),
        params,
        seed: 42,
        snapshot: "0".repeat(64),
        code_version: "test".to_owned(),
    };
    artifact::encode(&model, &serde_json::to_value(card).unwrap()).unwrap().into()
}

/// A model that always answers `class`.
pub(super) fn constant(loaded: &Loaded, class: usize) -> Bytes {
    let rows = Array2::zeros((1, loaded.pipeline.features.len()));
    artifact_of(loaded, "constant", json!({}), rows, Array1::from(vec![class]))
}

/// Fisher's flowers: measurements and class index.
pub(super) fn flowers() -> Vec<([f64; 4], usize)> {
    let text = std::fs::read_to_string(bundled("iris").folder.join("data/iris.csv")).unwrap();
    let classes = bundled("iris").pipeline.label.classes;
    text.lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let class = classes.iter().position(|class| class == cells[4]).unwrap();
            ([0, 1, 2, 3].map(|i| cells[i].parse().unwrap()), class)
        })
        .collect()
}

/// A forest fitted on Fisher's flowers.
pub(super) fn iris_forest() -> Bytes {
    let flowers = flowers();
    let rows = Array2::from_shape_fn((flowers.len(), 4), |(row, column)| flowers[row].0[column]);
    let labels = flowers.iter().map(|(_, class)| *class).collect();
    artifact_of(&bundled("iris"), "random_forest", json!({ "n_estimators": 10 }), rows, labels)
}

/// A boosted model of loans: approved when the credit score is above 600.
pub(super) fn loan_boosting() -> Bytes {
    let loaded = bundled("loan");
    let scores: Vec<f64> = (0..200).map(|i| 300.0 + f64::from(i) * 3.0).collect();
    let width = loaded.pipeline.features.len();
    let rows = Array2::from_shape_fn((scores.len(), width), |(row, column)| match column {
        2 => scores[row],
        _ => (row * (column + 3) % 17) as f64,
    });
    let labels = scores.iter().map(|score| usize::from(*score > 600.0)).collect();
    artifact_of(&loaded, "gradient_boosting", json!({ "n_estimators": 20 }), rows, labels)
}

/// The registry's stand-in.
#[derive(Default)]
pub(super) struct FakeCatalog {
    artifacts: Mutex<BTreeMap<(String, u64), Bytes>>,
    champions: Mutex<BTreeMap<String, (u64, String)>>,
}

impl FakeCatalog {
    /// Registers `artifact` as `version` and makes it the champion.
    pub(super) fn put(&self, pipeline: &str, version: u64, artifact: Bytes) {
        self.artifacts.lock().unwrap().insert((pipeline.to_owned(), version), artifact);
        self.champions.lock().unwrap().insert(pipeline.to_owned(), (version, "put".to_owned()));
    }
}

fn version_row(pipeline: &str, version: u64) -> ModelVersion {
    ModelVersion {
        pipeline: pipeline.to_owned(),
        version,
        run_id: Uuid::nil(),
        created_at: 0,
        algorithm: "random_forest".to_owned(),
        artifact: version.to_string(),
        reference: String::new(),
        snapshot: String::new(),
        rows: 150,
        metrics: BTreeMap::from([("accuracy".to_owned(), 0.97)]),
        gates: Vec::new(),
    }
}

#[async_trait]
impl Catalog for FakeCatalog {
    async fn champion(&self, pipeline: &str) -> Result<Option<ModelVersion>, RegistryError> {
        let champions = self.champions.lock().unwrap();
        Ok(champions.get(pipeline).map(|(version, _)| version_row(pipeline, *version)))
    }

    async fn artifact(&self, version: &ModelVersion) -> Result<Bytes, RegistryError> {
        Ok(self.artifacts.lock().unwrap()[&(version.pipeline.clone(), version.version)].clone())
    }

    async fn versions(&self, pipeline: &str) -> Result<Vec<ModelVersion>, RegistryError> {
        let artifacts = self.artifacts.lock().unwrap();
        Ok(artifacts.keys().filter(|(of, _)| of == pipeline).map(|(of, version)| version_row(of, *version)).collect())
    }

    async fn aliases(&self, pipeline: &str) -> Result<Vec<Alias>, RegistryError> {
        let champions = self.champions.lock().unwrap();
        let alias = |(version, reason): &(u64, String)| Alias {
            alias: CHAMPION.to_owned(),
            version: *version,
            at: 0,
            reason: reason.clone(),
        };
        Ok(champions.get(pipeline).map(alias).into_iter().collect())
    }

    async fn promote(&self, pipeline: &str, version: u64, reason: &str) -> Result<(), RegistryError> {
        if !self.artifacts.lock().unwrap().contains_key(&(pipeline.to_owned(), version)) {
            return Err(RegistryError::NoVersion { pipeline: pipeline.to_owned(), version });
        }
        self.champions.lock().unwrap().insert(pipeline.to_owned(), (version, reason.to_owned()));
        Ok(())
    }
}

/// What the stream's stand-in does with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Acknowledge,
    /// The first record of each answer is acknowledged, the others are refused.
    RefuseAllButOne,
    Hang,
}

/// The stream's stand-in.
#[derive(Default)]
pub(super) struct FakeSink {
    delivery: AtomicU8,
    records: Arc<Mutex<Vec<(String, Outgoing)>>>,
}

impl FakeSink {
    pub(super) fn set(&self, delivery: Delivery) {
        self.delivery.store(delivery as u8, Ordering::SeqCst);
    }

    /// The predictions it was handed, with topic and key.
    pub(super) fn predictions(&self) -> Vec<(String, String, Prediction)> {
        let records = self.records.lock().unwrap();
        records
            .iter()
            .map(|(topic, record)| {
                let key = String::from_utf8(record.key.clone()).unwrap();
                (topic.clone(), key, serde_json::from_slice(&record.payload).unwrap())
            })
            .collect()
    }
}

impl Sink for FakeSink {
    fn deliver(&self, topic: Arc<str>, records: Vec<Outgoing>) -> BoxFuture<'static, (usize, Option<String>)> {
        let rows = records.len();
        self.records.lock().unwrap().extend(records.into_iter().map(|record| (topic.to_string(), record)));
        let delivery = self.delivery.load(Ordering::SeqCst);
        Box::pin(async move {
            match delivery {
                d if d == Delivery::Acknowledge as u8 => (rows, None),
                d if d == Delivery::RefuseAllButOne as u8 => (1, Some("too large".to_owned())),
                _ => std::future::pending().await,
            }
        })
    }
}

/// The trainer's stand-in: hands requests to the test.
struct FakeBus(mpsc::UnboundedSender<TrainingRequest>);

#[async_trait]
impl TrainingBus for FakeBus {
    async fn publish(&self, request: &TrainingRequest) -> Result<(), kafka::Error> {
        self.0.send(request.clone()).map_err(|_| kafka::Error::Ended)
    }
}

/// A gateway with its stand-ins.
pub(super) struct Gateway {
    pub(super) app: Arc<App>,
    pub(super) catalog: Arc<FakeCatalog>,
    pub(super) sink: Arc<FakeSink>,
    pub(super) trainings: mpsc::UnboundedReceiver<TrainingRequest>,
    pub(super) stop: CancellationToken,
    router: Router,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {:?}", self.bytes))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.bytes.to_vec()).unwrap()
    }

    /// Status and `error` of a refusal.
    pub(super) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["error"].as_str().unwrap().to_owned())
    }
}

/// Parts of a gateway over `pipelines`.
pub(super) fn parts(pipelines: Vec<Loaded>) -> (Parts, Arc<FakeCatalog>, Arc<FakeSink>, mpsc::UnboundedReceiver<TrainingRequest>) {
    let (catalog, sink) = (Arc::new(FakeCatalog::default()), Arc::new(FakeSink::default()));
    let (requests, trainings) = mpsc::unbounded_channel();
    let parts = Parts {
        pipelines: pipelines.into_iter().map(Arc::new).collect(),
        catalog: catalog.clone(),
        sink: sink.clone(),
        bus: Arc::new(FakeBus(requests)),
        metrics: Metrics::default(),
        clock: Arc::new(ManualClock::at(1_700_000_000_000)),
        instance: Uuid::from_u128(1),
        stop: CancellationToken::new(),
    };
    (parts, catalog, sink, trainings)
}

impl Gateway {
    /// A gateway over `pipelines` that has asked nobody for models yet.
    pub(super) fn new(pipelines: Vec<Loaded>) -> Self {
        let (parts, catalog, sink, trainings) = parts(pipelines);
        let stop = parts.stop.clone();
        let app = App::new(parts).unwrap();
        app.trainings.set_ready();
        Self { router: router(&app), app, catalog, sink, trainings, stop }
    }

    /// The bundled pipelines, each with a model.
    pub(super) async fn with_models() -> Self {
        let gateway = Self::new(vec![bundled("iris"), bundled("loan")]);
        gateway.serve("iris", 3, iris_forest()).await;
        gateway.serve("loan", 5, loan_boosting()).await;
        gateway
    }

    pub(super) fn served(&self, pipeline: &str) -> &Arc<Served> {
        &self.app.pipelines[pipeline]
    }

    /// Makes `artifact` the champion and lets the gateway see it.
    pub(super) async fn serve(&self, pipeline: &str, version: u64, artifact: Bytes) {
        self.catalog.put(pipeline, version, artifact);
        let outcome = follower::refresh(&self.app, self.served(pipeline)).await.unwrap();
        assert_eq!(outcome, follower::Outcome::Swapped(version));
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path, Body::empty())).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_text(path, &body.to_string()).await
    }

    pub(super) async fn post_text(&self, path: &str, body: &str) -> Reply {
        self.send(request(Method::POST, path, Body::from(body.to_owned()))).await
    }

    /// Waits until the log has nothing on its way.
    pub(super) async fn log_is_quiet(&self) {
        self.app.log.close(std::time::Duration::from_secs(30)).await;
    }
}

pub(super) fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(path).header("content-type", "application/json").body(body).unwrap()
}

/// A V2 request with one tensor per column: name, datatype, data.
pub(super) fn tensors(columns: &[(&str, &str, Value)]) -> Value {
    let inputs: Vec<Value> = columns
        .iter()
        .map(|(name, datatype, data)| {
            json!({ "name": name, "shape": [data.as_array().unwrap().len()], "datatype": datatype, "data": data })
        })
        .collect();
    json!({ "inputs": inputs })
}

/// Flowers as one tensor per field.
pub(super) fn flower_tensors(rows: &[[f64; 4]]) -> Value {
    let names = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
    let columns: Vec<(&str, &str, Value)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| (*name, "FP64", rows.iter().map(|row| row[i]).collect::<Vec<f64>>().into()))
        .collect();
    tensors(&columns)
}

/// The data of an output.
pub(super) fn output<'a>(response: &'a Value, name: &str) -> &'a Vec<Value> {
    let outputs = response["outputs"].as_array().unwrap();
    outputs.iter().find(|output| output["name"] == name).unwrap()["data"].as_array().unwrap()
}

/// A request for a loan.
pub(super) fn loan(changes: &[(&str, Value)]) -> Value {
    let mut loan = json!({
        "id": 7, "age": 40.0, "annual_income": 50_000.0, "credit_score": 700.0, "loan_amount": 9_000.0,
        "loan_duration_years": 5, "number_of_open_accounts": 3.0, "had_past_default": 0,
    });
    for (key, value) in changes {
        loan[*key] = value.clone();
    }
    loan
}

/// The object without a key.
pub(super) fn without(mut object: Value, key: &str) -> Value {
    object.as_object_mut().unwrap().remove(key).unwrap();
    object
}
