//! What every request can reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use driftmill_features::Program;
use driftmill_platform::clock::SharedClock;
use driftmill_platform::metrics::Metrics;
use driftmill_platform::schemas::Announce;
use driftmill_schemas::pipeline::{Dialect, Loaded};
use driftmill_schemas::record::framing::SchemaRef;
use driftmill_schemas::record::{Field, ObjectReader};
use driftmill_schemas::topic::Topics;
use tokio::sync::{Notify, OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Error;
use crate::catalog::Catalog;
use crate::contracts;
use crate::log::{PredictionLog, Sink};
use crate::meters::Meters;
use crate::openapi;
use crate::push::{Broker, Inlet};
use crate::request_id::RequestIds;
use crate::shadows::Shadows;
use crate::slot::Slot;
use crate::trainings::{TrainingBus, Trainings};

/// More answers of models of texts and images than this wait for each other.
const HEAVY_AT_ONCE: usize = 8;

/// One pipeline with the place its model is served from.
pub(crate) struct Served {
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its file.
    pub(crate) loaded: Arc<Loaded>,
    /// Where its predictions are logged.
    pub(crate) topic: Arc<str>,
    /// Where records that are pushed go.
    pub(crate) raw: Arc<str>,
    /// Where labels of its predictions go.
    pub(crate) labels: Arc<str>,
    /// Reads records.
    pub(crate) objects: ObjectReader,
    /// What they name their schema by, once it is announced.
    pub(crate) framing: OnceCell<SchemaRef>,
    /// Its model.
    pub(crate) slot: Slot,
    /// Wakes the task that asks the registry for the champion.
    pub(crate) wake: Notify,
    /// Record fields that the features of its *file* use: what documents show before there is a model. Requests are read
    /// by the model's own.
    inputs: Vec<usize>,
}

impl Served {
    fn new(loaded: Arc<Loaded>) -> Result<Self, Error> {
        let pipeline = &loaded.pipeline;
        let program = Program::compile(&loaded.schema, &pipeline.features).map_err(|errors| {
            let (feature, reason) = match errors.first() {
                Some((index, error)) => (pipeline.features[*index].name.clone(), error.to_string()),
                None => Default::default(),
            };
            Error::Feature { pipeline: pipeline.name.clone(), feature, reason }
        })?;
        let topics = Topics::of(&pipeline.name);
        Ok(Self {
            name: pipeline.name.as_str().into(),
            topic: topics.predictions.into(),
            raw: topics.raw.into(),
            labels: topics.labels.into(),
            objects: ObjectReader::new(&loaded.schema),
            framing: OnceCell::new(),
            slot: Slot::default(),
            wake: Notify::new(),
            inputs: program.inputs().to_vec(),
            loaded,
        })
    }

    /// The record fields that the features of the pipeline's file use.
    pub(crate) fn input_fields(&self) -> impl Iterator<Item = &Field> {
        self.inputs.iter().map(|&index| &self.loaded.schema.fields[index])
    }
}

/// What the gateway is made of; tests put in what needs no service.
pub(crate) struct Parts {
    pub(crate) pipelines: Vec<Arc<Loaded>>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) bus: Arc<dyn TrainingBus>,
    /// Where records that are pushed go.
    pub(crate) broker: Arc<dyn Broker>,
    /// Where their schemas are announced.
    pub(crate) schemas: Arc<dyn Announce>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: SharedClock,
    /// Names the process; nothing but the uniqueness of ids depends on it.
    pub(crate) instance: Uuid,
    /// Fires when the gateway stops.
    pub(crate) stop: CancellationToken,
}

/// The gateway's state, shared by all requests.
pub(crate) struct App {
    pub(crate) pipelines: BTreeMap<Arc<str>, Arc<Served>>,
    /// The pipeline behind `/predict` and `/train`.
    pub(crate) iris: Option<Arc<Served>>,
    /// The pipeline behind `/predict/`.
    pub(crate) loan: Option<Arc<Served>>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) trainings: Trainings,
    pub(crate) log: PredictionLog,
    pub(crate) inlet: Inlet,
    pub(crate) meters: Meters,
    pub(crate) metrics: Metrics,
    pub(crate) clock: SharedClock,
    pub(crate) ids: RequestIds,
    /// Answers of models of texts and images that are worked on at once.
    pub(crate) heavy: Semaphore,
    /// Answers of versions that are compared.
    pub(crate) shadows: Shadows,
    /// Seed of pauses between tries.
    pub(crate) seed: u64,
    pub(crate) stop: CancellationToken,
    /// The OpenAPI document.
    pub(crate) openapi: Bytes,
}

impl App {
    /// Puts the parts together; what the pipelines ask for must be possible.
    pub(crate) fn new(parts: Parts) -> Result<Arc<Self>, Error> {
        let mut pipelines = BTreeMap::new();
        for loaded in parts.pipelines {
            let served = Arc::new(Served::new(loaded)?);
            if let Some(other) = pipelines.insert(Arc::clone(&served.name), served) {
                return Err(Error::Duplicate(other.name.to_string()));
            }
        }
        let iris = speaker(&pipelines, Dialect::Iris, contracts::iris::NAME)?;
        let loan = speaker(&pipelines, Dialect::Loan, contracts::loan::NAME)?;
        if let Some(served) = &iris {
            contracts::iris::check(served)?;
        }
        if let Some(served) = &loan {
            contracts::loan::check(served)?;
        }
        let openapi = openapi::document(&pipelines, iris.as_deref(), loan.as_deref()).to_string().into();
        let meters = Meters::new(&parts.metrics);
        Ok(Arc::new(Self {
            pipelines,
            iris,
            loan,
            catalog: parts.catalog,
            trainings: Trainings::new(parts.bus),
            inlet: Inlet::new(parts.broker, parts.schemas),
            log: PredictionLog::new(parts.sink, meters.clone(), Arc::clone(&parts.clock)),
            meters,
            metrics: parts.metrics,
            ids: RequestIds::new(Arc::clone(&parts.clock), parts.instance),
            clock: parts.clock,
            heavy: Semaphore::new(HEAVY_AT_ONCE),
            shadows: Shadows::default(),
            seed: parts.instance.as_u64_pair().0,
            stop: parts.stop,
            openapi,
        }))
    }
}

/// The one pipeline that declares `dialect`.
fn speaker(
    pipelines: &BTreeMap<Arc<str>, Arc<Served>>,
    dialect: Dialect,
    name: &'static str,
) -> Result<Option<Arc<Served>>, Error> {
    let mut speakers = pipelines.values().filter(|served| served.loaded.pipeline.serving.dialects.contains(&dialect));
    match (speakers.next(), speakers.next()) {
        (Some(first), Some(second)) => {
            Err(Error::Dialect { dialect: name, first: first.name.to_string(), second: second.name.to_string() })
        }
        (speaker, _) => Ok(speaker.cloned()),
    }
}
