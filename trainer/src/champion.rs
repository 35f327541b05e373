//! The champion as a rival: fetched from the registry, and asked about the rows that judge its challenger.

use driftmill_models::{Estimator, artifact};
use driftmill_platform::registry::{self, CHAMPION, ModelVersion, Registry};
use driftmill_schemas::model::ModelCard;
use driftmill_schemas::pipeline::{Loaded, Pipeline};
use tracing::warn;

use crate::fit::{Rival, answers, renumbered};
use crate::{Error, Rows, forecasts};

/// A champion that can be compared with.
pub(crate) struct Champion {
    pipeline: String,
    version: u64,
    /// Its model as it was judged: one that was fitted again on all rows has seen the test rows.
    model: Estimator,
    classes: Vec<String>,
    /// How the pipeline file said that it is trained and judged.
    definition: String,
    imported: bool,
}

impl Champion {
    /// The champion of a pipeline that can be compared with, if there is one.
    pub async fn of(registry: &Registry, loaded: &Loaded) -> Result<Option<Self>, Error> {
        match registry.resolve(&loaded.pipeline.name, CHAMPION).await? {
            Some(champion) => Self::fetch(registry, &champion, loaded).await,
            None => Ok(None),
        }
    }

    /// Fetches it; `None` when it sees other features or classes, or was written by another build.
    async fn fetch(registry: &Registry, champion: &ModelVersion, loaded: &Loaded) -> Result<Option<Self>, Error> {
        let (pipeline, version) = (&champion.pipeline, champion.version);
        let damaged = |reason: String| damaged(pipeline, version, reason);
        let bytes = registry.artifact(champion).await?;
        let (model, header) = match artifact::decode(&bytes) {
            // Nobody can ask it any more, so it must not stand in the way of one that can be asked.
            Err(artifact::Error::Version(format)) => {
                warn!(pipeline, version, format, "the champion was written by another build; it is not compared");
                return Ok(None);
            }
            decoded => decoded.map_err(|e| damaged(e.to_string()))?,
        };
        let card = ModelCard::from_header(header).map_err(|e| damaged(e.to_string()))?;
        let label = &loaded.pipeline.label;
        if card.features != loaded.pipeline.features || (card.classes != label.classes && !label.open) {
            warn!(pipeline, version, "the champion sees other features or classes; it is not compared");
            return Ok(None);
        }
        let model = match &card.judged {
            None => model,
            Some(hash) => {
                let bytes = registry.store().get(hash).await.map_err(registry::Error::from)?;
                artifact::decode(&bytes).map_err(|e| damaged(e.to_string()))?.0
            }
        };
        Ok(Some(Self {
            pipeline: pipeline.clone(),
            version,
            model,
            classes: card.classes,
            definition: card.definition,
            imported: card.imported,
        }))
    }

    /// Its version and its model, to be continued; `None` where rows that judge now may be among those that it has learned, since
    /// they were split otherwise or by others, and where its classes are numbered otherwise.
    pub fn into_model(self, wanted: &ModelCard) -> Option<(u64, Estimator)> {
        let same = self.definition == wanted.definition && self.classes == wanted.classes && !self.imported;
        same.then_some((self.version, self.model))
    }

    /// Its version, and what it says of these rows; `None` when it cannot forecast them. Takes as long as the model does.
    pub fn said_of(&self, test: &Rows, pipeline: &Pipeline) -> Result<Option<(u64, Rival)>, Error> {
        let said = match forecasts::backtest(&self.model, test, pipeline.training.seed) {
            Ok(Some(backtest)) => Rival::Forecasts(Box::new(backtest)),
            Ok(None) => {
                let answers =
                    answers(&self.model, test).map_err(|e| damaged(&self.pipeline, self.version, e.to_string()))?;
                Rival::Answers(renumbered(answers, &self.classes, &test.classes))
            }
            Err(error) => {
                // It knows other series than the new rows have.
                let (pipeline, version) = (&self.pipeline, self.version);
                warn!(pipeline, version, %error, "the champion cannot forecast these rows; it is not compared");
                return Ok(None);
            }
        };
        Ok(Some((self.version, said)))
    }
}

fn damaged(pipeline: &str, version: u64, reason: String) -> Error {
    Error::Champion { pipeline: pipeline.to_owned(), version, reason }
}
