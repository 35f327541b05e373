//! What comes next for one pipeline.

use std::sync::Arc;

use driftmill_drift::rollout::{Place, RolloutDecided, RolloutDecision};
use driftmill_platform::clickhouse::quote_text;
use driftmill_platform::registry::{Alias, CHAMPION, ModelVersion, Rollout, Stage};
use driftmill_schemas::message::RunState;
use driftmill_schemas::pipeline::Loaded;
use serde::Deserialize;
use tracing::{debug, info};
use uuid::Uuid;

use super::begin::{followed, run_ended};
use super::evidence::Evidence;
use super::{Rollouts, place_of, policy, stage_of};
use crate::Error;

#[derive(clickhouse::Row, Deserialize)]
struct Count {
    count: u64,
}

impl Rollouts {
    /// Takes the next step of a pipeline, if there is one; whether a rollout goes on.
    pub(super) async fn tend(&self, loaded: &Arc<Loaded>) -> Result<bool, Error> {
        let name = &loaded.pipeline.name;
        let Some((champion, before)) = self.registry.champions(name).await? else { return Ok(false) };
        let newest = self.registry.rollout(name).await?;
        let Some((rollout, place)) = newest.as_ref().and_then(|it| Some((it, place_of(it)?))) else {
            return self.put_on_probation(loaded, &champion, before, newest.as_ref()).await;
        };
        if place == Place::Probation && champion.version == rollout.challenger {
            return self.judge(loaded, rollout, place).await;
        }
        if place != Place::Probation && champion.version == rollout.champion {
            return self.judge(loaded, rollout, place).await;
        }
        // The champion is another than this rollout knows: it was moved by hand, or by a trainer that died before it said so. What
        // becomes of the training is said first: a step that closes the rollout is the last that anybody looks at.
        let moved = |stage, reason: &str| Rollout {
            alias_sequence: champion.sequence,
            share: if stage == Stage::Probation { 1.0 } else { rollout.share },
            ..followed(rollout, stage, self.clock.now(), reason.to_owned())
        };
        if champion.version == rollout.challenger {
            self.ended(rollout, RunState::Promoted, &champion.reason).await?;
            self.registry.record_rollout(&moved(Stage::Probation, &champion.reason)).await?;
            return Ok(true);
        }
        if champion.version == rollout.champion {
            // On probation it went back, by itself or by hand: who came back is compared with nobody again.
            self.ended(rollout, RunState::RolledBack, &champion.reason).await?;
            self.registry.record_rollout(&moved(Stage::RolledBack, &champion.reason)).await?;
            return Ok(true);
        }
        let reason = format!("version {} was promoted: {}", champion.version, champion.reason);
        // What was promoted before stays promoted.
        if place != Place::Probation {
            self.ended(rollout, RunState::Refused, &reason).await?;
        }
        // The move is not known yet: whoever was promoted by hand is on probation, too.
        let superseded = Rollout { alias_sequence: rollout.alias_sequence, ..moved(Stage::Superseded, &reason) };
        self.registry.record_rollout(&superseded).await?;
        Ok(true)
    }

    /// A champion that no rollout made is compared with the one before it for a while.
    async fn put_on_probation(
        &self,
        loaded: &Loaded,
        champion: &Alias,
        before: Option<u64>,
        newest: Option<&Rollout>,
    ) -> Result<bool, Error> {
        let (name, now) = (&loaded.pipeline.name, self.clock.now());
        let lasts = policy(&loaded.pipeline.rollout).probation_ms;
        let known = newest.map_or(0, |rollout| rollout.alias_sequence);
        let is_recent = now.saturating_sub(champion.at) < lasts;
        let Some(before) = before.filter(|_| champion.sequence > known && is_recent) else { return Ok(false) };
        let version = self.registry.version(name, champion.version).await?;
        // Whoever was promoted by hand long after its training says nothing of that.
        let run_id = match self.promoted_by(&version, champion).await? {
            true => version.run_id,
            false => Uuid::nil(),
        };
        let rollout = Rollout {
            pipeline: name.clone(),
            rollout: format!("promotion {}", champion.sequence),
            step: 0,
            begun: now,
            at: now,
            run_id,
            cause: champion.reason.clone(),
            challenger: champion.version,
            champion: before,
            stage: Stage::Probation,
            share: 1.0,
            alias_sequence: champion.sequence,
            reason: "promoted without a rollout".to_owned(),
            facts: String::new(),
        };
        self.registry.record_rollout(&rollout).await?;
        info!(pipeline = name, version = champion.version, before, "on probation");
        Ok(true)
    }

    /// Whether the training that made a version is why it is champion.
    async fn promoted_by(&self, version: &ModelVersion, champion: &Alias) -> Result<bool, Error> {
        let sql = format!(
            "SELECT count() AS count FROM runs WHERE pipeline = {} AND run_id = '{}' AND cause = {}",
            quote_text(&version.pipeline),
            version.run_id,
            quote_text(&champion.reason)
        );
        Ok(self.clickhouse.row::<Count>(&sql).await?.count > 0)
    }

    /// Whether everything is as it was when evidence began to be read, and the steps are still this process's to take.
    async fn is_current(&self, rollout: &Rollout) -> Result<bool, Error> {
        let name = &rollout.pipeline;
        let newest = self.registry.rollout(name).await?;
        let same = newest.is_some_and(|newest| newest.rollout == rollout.rollout && newest.step == rollout.step);
        let champion = self.registry.champions(name).await?;
        let expected = if rollout.stage == Stage::Probation { rollout.challenger } else { rollout.champion };
        let stays = champion.is_some_and(|(champion, _)| champion.version == expected);
        let claim = self.held.get(name).and_then(|held| held.claim.as_ref());
        let holds = match claim {
            Some(claim) => claim.holds().await?,
            None => false,
        };
        Ok(same && stays && holds)
    }

    /// Judges a step, and does what follows.
    async fn judge(&self, loaded: &Loaded, rollout: &Rollout, place: Place) -> Result<bool, Error> {
        let policy = policy(&loaded.pipeline.rollout);
        let evidence = Evidence { clickhouse: &self.clickhouse, registry: &self.registry, loaded, rollout };
        let facts = evidence.facts(place, self.clock.now(), &policy).await?;
        let mut decided = RolloutDecided::of(facts, &policy);
        let is_due = match decided.decision {
            RolloutDecision::Next { .. } => true,
            RolloutDecision::Stay { .. } => place == Place::Probation && evidence.has_drifted().await?,
            RolloutDecision::Done { .. } | RolloutDecision::RollBack { .. } => false,
        };
        if is_due {
            decided.facts.moved = evidence.moved().await?;
            decided = RolloutDecided::of(decided.facts, &policy);
        }
        let (stage, share, why) = match &decided.decision {
            RolloutDecision::Stay { why } => {
                debug!(pipeline = rollout.pipeline, challenger = rollout.challenger, why, "rollout");
                return Ok(true);
            }
            RolloutDecision::Next { to, why } => {
                let (stage, share) = stage_of(*to);
                let is_over = stage == Stage::Probation && policy.probation_ms == 0;
                (if is_over { Stage::Done } else { stage }, share, why.clone())
            }
            RolloutDecision::Done { why } => (Stage::Done, rollout.share, why.clone()),
            RolloutDecision::RollBack { why } => (Stage::RolledBack, rollout.share, why.clone()),
        };
        // Reading took a while: somebody may have stopped it, or promoted another.
        if !self.is_current(rollout).await? {
            return Ok(true);
        }
        let facts = serde_json::to_string(&decided).unwrap_or_default();
        let next = followed(rollout, stage, self.clock.now(), why);
        self.take(rollout, Rollout { share, facts, ..next }).await?;
        Ok(true)
    }

    /// Takes a step: first the champion is who it is to be, then the training is told of it, then the step is written down.
    async fn take(&self, from: &Rollout, mut next: Rollout) -> Result<(), Error> {
        let Rollout { pipeline, challenger, champion, reason, .. } = &next;
        info!(pipeline, challenger, stage = next.stage.name(), share = next.share, why = reason, "rollout");
        let serves = |stage: Stage| matches!(stage, Stage::Probation | Stage::Done);
        let (alias_reason, version) = match (serves(from.stage), serves(next.stage)) {
            (false, true) => (format!("{}: {reason}", from.cause), *challenger),
            (true, false) => (format!("rolled back: {reason}"), *champion),
            _ => (String::new(), 0),
        };
        if version > 0 {
            self.registry.set_alias(&next.pipeline, CHAMPION, version, &alias_reason).await?;
            let aliases = self.registry.aliases(&next.pipeline).await?;
            let sequence = aliases.iter().find(|alias| alias.alias == CHAMPION).map(|alias| alias.sequence);
            next.alias_sequence = sequence.unwrap_or(next.alias_sequence);
        }
        let state = match next.stage {
            Stage::RolledBack => Some(RunState::RolledBack),
            Stage::Probation | Stage::Done if !serves(from.stage) => Some(RunState::Promoted),
            _ => None,
        };
        // Before the step: one that closes the rollout is the last that anybody looks at.
        if let Some(state) = state {
            self.ended(&next, state, &next.reason).await?;
        }
        Ok(self.registry.record_rollout(&next).await?)
    }

    async fn ended(&self, rollout: &Rollout, state: RunState, detail: &str) -> Result<(), Error> {
        run_ended(&self.registry, &self.clickhouse, rollout, state, detail, self.clock.now()).await
    }
}
