//! Versions: what they say of themselves, whether there is such a one already, and who of them serves.

use driftmill_models::artifact;
use driftmill_platform::registry::{CHAMPION, ModelVersion, NewVersion};
use driftmill_schemas::message::{RunEvent, RunState};
use driftmill_schemas::model::{CARD_FORMAT, ModelCard};
use driftmill_schemas::pipeline::{Loaded, Pipeline};
use sha2::{Digest as _, Sha256};

use super::{Trainer, release};
use crate::fit::{self, Fitted};
use crate::run::Reason;
use crate::snapshot::Snapshot;
use crate::{Error, reference, rollout};

/// What a model of the pipeline says of itself.
pub(super) fn card_of(
    loaded: &Loaded,
    snapshot: &str,
    params: serde_json::Map<String, serde_json::Value>,
) -> ModelCard {
    let pipeline = &loaded.pipeline;
    // How it was split and judged. These always serialise.
    let mut how = serde_json::to_vec(&(&pipeline.training.made(), &pipeline.promotion)).unwrap_or_default();
    // The reference that is kept with the model hangs on it.
    if !pipeline.drift.seasonal.is_empty() {
        how.extend(serde_json::to_vec(&pipeline.drift.seasonal).unwrap_or_default());
    }
    ModelCard {
        format: CARD_FORMAT,
        pipeline: pipeline.name.clone(),
        features: pipeline.features.clone(),
        schema: loaded.schema.text.clone(),
        classes: pipeline.label.classes.clone(),
        positive: pipeline.label.positive.clone(),
        algorithm: pipeline.training.algorithm.clone(),
        params,
        seed: pipeline.training.seed,
        snapshot: snapshot.to_owned(),
        entity: pipeline.entity.clone(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        definition: hex::encode(Sha256::digest(how)),
        imported: false,
        judged: None,
        continues: None,
    }
}

/// A card without what only its own fit could know: the twin that judged it, and the model that it continues.
pub(super) fn as_declared(mut card: ModelCard, wanted: &ModelCard) -> ModelCard {
    if card.continues.take().is_some() {
        match wanted.params.get(fit::ROUNDS) {
            Some(rounds) => card.params.insert(fit::ROUNDS.to_owned(), rounds.clone()),
            None => card.params.remove(fit::ROUNDS),
        };
    }
    ModelCard { judged: None, ..card }
}

impl Trainer {
    /// The newest version that the same code made of the same rows, features and parameters: fitting again would make the
    /// same model.
    pub(super) async fn unchanged(
        &self,
        loaded: &Loaded,
        snapshot: &Snapshot,
        overrides: &serde_json::Map<String, serde_json::Value>,
    ) -> Result<Option<ModelVersion>, Error> {
        let mut params = loaded.pipeline.training.params.clone();
        params.extend(overrides.clone());
        let versions = self.registry.versions(&loaded.pipeline.name).await?;
        let newest = versions.into_iter().rev().find(|version| version.snapshot == snapshot.hash);
        let Some(version) = newest else { return Ok(None) };
        // Its gates were asked against the champion of that day: against another one they must be asked again.
        let champion = self.registry.resolve(&loaded.pipeline.name, CHAMPION).await?;
        // One that does not serve may do so by the gold set of today.
        let gold = self.registry.gold_history(&loaded.pipeline.name).await?;
        let other_gold = gold.first().is_some_and(|gold| gold.at >= version.created_at);
        if champion.as_ref().map_or(other_gold, |champion| champion.version != version.version) {
            return Ok(None);
        }
        // One that cannot be read is made anew.
        let bytes = self.registry.artifact(&version).await?;
        let card = artifact::decode(&bytes).ok().and_then(|(_, header)| ModelCard::from_header(header).ok());
        let wanted = card_of(loaded, &snapshot.hash, params);
        let same = card.is_some_and(|card| as_declared(card, &wanted) == wanted);
        Ok(same.then_some(version))
    }

    pub(super) async fn champion_of(&self, pipeline: &Pipeline) -> Result<Option<u64>, Error> {
        Ok(self.registry.champions(&pipeline.name).await?.map(|(champion, _)| champion.version))
    }

    /// Why a version cannot take over that was judged while `before` was champion, if it is not any more.
    pub(super) async fn is_overtaken(
        &self,
        pipeline: &Pipeline,
        before: Option<u64>,
        reason: &Reason,
    ) -> Result<Option<String>, Error> {
        let now = self.champion_of(pipeline).await?;
        let Some(now) = now.filter(|now| Some(*now) != before && !reason.forced()) else { return Ok(None) };
        Ok(Some(format!(
            "version {now} became champion while this one was registered, which was not compared with it: train again, \
             or promote it by hand"
        )))
    }

    /// Lets a registered version take over, unless a gate refused it and nobody insists.
    pub(super) async fn decide(
        &self,
        loaded: &Loaded,
        reason: &Reason,
        event: &mut RunEvent,
        version: u64,
    ) -> Result<(), Error> {
        event.model_version = Some(version);
        let refusals: Vec<String> = event
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| format!("not {}: {}", gate.gate, gate.detail))
            .collect();
        if !refusals.is_empty() && !reason.forced() {
            event.state = RunState::Refused;
            event.detail = refusals.join("; ");
            return Ok(());
        }
        event.detail = event.cause.clone();
        let at_once = loaded.pipeline.rollout.is_direct() || reason.forced() || reason.direct();
        let champion = self.registry.champions(&event.pipeline).await?.map(|(champion, _)| champion);
        match champion.filter(|champion| !at_once && champion.version != version) {
            Some(champion) => {
                event.state = RunState::RollingOut;
                // Said before it begins: what its rollout says comes later.
                event.at = self.clock.now();
                self.registry.record_run(event).await?;
                let challenger = self.registry.version(&event.pipeline, version).await?;
                let (registry, clickhouse) = (&self.registry, &self.clickhouse);
                {
                    let of = (event.run_id, event.cause.as_str());
                    rollout::begin(registry, clickhouse, loaded, &challenger, &champion, of, self.clock.now()).await
                }
            }
            // Nobody to compare with, or nobody who waits for it.
            None => {
                event.state = RunState::Promoted;
                Ok(self.registry.set_alias(&event.pipeline, CHAMPION, version, &event.cause).await?)
            }
        }
    }

    pub(super) async fn register(
        &self,
        loaded: &Loaded,
        snapshot: &Snapshot,
        fitted: Fitted,
        continues: Option<u64>,
        event: &RunEvent,
    ) -> Result<ModelVersion, Error> {
        let pipeline = &loaded.pipeline;
        let mut card = card_of(loaded, &snapshot.hash, fitted.params.clone());
        card.imported = fitted.imported;
        card.continues = continues;
        if fitted.imported {
            card.algorithm = fitted.model.algorithm().to_owned();
        }
        let lost = |e: String| Error::Lost(e);
        if let Some(judged) = &fitted.judged {
            let header = serde_json::to_value(&card).map_err(|e| lost(e.to_string()))?;
            let artifact = artifact::encode(judged, &header).map_err(|e| lost(e.to_string()))?;
            let kept = self.registry.store().put(artifact.into()).await;
            card.judged = Some(kept.map_err(driftmill_platform::registry::Error::from)?);
        }
        let header = serde_json::to_value(&card).map_err(|e| lost(e.to_string()))?;
        let artifact = artifact::encode(&fitted.model, &header).map_err(|e| lost(e.to_string()))?;
        // Sorts every column: the other tasks of this thread move elsewhere meanwhile.
        let reference = tokio::task::block_in_place(|| reference::of(pipeline, &snapshot.rows, &fitted));
        let reference = reference.map_err(lost)?;
        let new = NewVersion {
            pipeline: pipeline.name.clone(),
            run_id: event.run_id,
            algorithm: card.algorithm.clone(),
            artifact: artifact.into(),
            reference: reference.into(),
            snapshot: snapshot.hash.clone(),
            rows: snapshot.rows.len() as u64,
            metrics: fitted.metrics,
            gates: event.gates.clone(),
        };
        // Trainings on files go on beside others, and versions are numbered one after the other.
        let claim = self.claim(&format!("versions of {}", pipeline.name)).await?;
        let registered = self.registry.register(new).await;
        release(claim).await;
        Ok(registered?)
    }
}
