//! Keeps the serving models those that the registry names.
//!
//! One task a pipeline asks the registry at the start, whenever an announcement wakes it, and every half minute in case
//! an announcement was lost. Announcements only wake: what they say is read from the registry, so a stale or repeated
//! one does no harm.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::backoff::Backoff;
use driftmill_platform::registry::{self, CHALLENGER, CHAMPION, ModelVersion, Rollout, Stage};
use driftmill_schemas::message::AliasEvent;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::{App, Served};
use crate::model::{self, LoadedModel};
use crate::slot::{Beside, Serving};

/// How long a lost announcement goes unnoticed at most.
const RECHECK: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// Why the champion is not serving.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The registry did not answer.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The model must not serve.
    #[error("version {version}: {error}")]
    Model {
        /// The version.
        version: u64,
        /// What is wrong with it.
        error: model::Error,
    },
    /// Loading panicked.
    #[error("version {0}: loading it failed inside of the gateway")]
    Panicked(u64),
}

/// What a look at the registry came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is no champion yet.
    NoChampion,
    /// The champion serves already.
    Current,
    /// This version serves from now on.
    Swapped(u64),
}

/// Asks the registry who serves, and puts it into service if that is another. On an error the old one serves on.
pub(crate) async fn refresh(app: &App, served: &Served) -> Result<Outcome, Error> {
    let Some(version) = app.catalog.champion(&served.name).await? else {
        served.slot.settle();
        return Ok(Outcome::NoChampion);
    };
    let before = served.slot.serving();
    let wanted = beside(app.catalog.rollout(&served.name).await?.as_ref(), version.version);
    let champion = load(app, served, before.as_deref(), &version).await?;
    let beside = match wanted {
        None => None,
        Some((number, share)) => {
            let loading = async {
                let version = app.catalog.version(&served.name, number).await?;
                load(app, served, before.as_deref(), &version).await
            };
            // Nobody is served worse for its sake; where no gateway can load it, it is rolled back.
            let model = loading.await.inspect_err(|error| {
                app.meters.swap_failed(&served.name);
                warn!(pipeline = &*served.name, version = number, %error, "a version cannot be compared with the one that serves");
            });
            model.ok().map(|model| Beside { model, share })
        }
    };
    let of = |serving: &Serving| {
        let beside = serving.beside.as_ref().map(|beside| (beside.model.version, beside.share));
        (serving.champion.version, beside)
    };
    let serving = Serving { champion, beside };
    let is_same = before.as_deref().is_some_and(|before| of(before) == of(&serving));
    if is_same {
        return Ok(Outcome::Current);
    }
    if let (_, Some((beside, share))) = of(&serving) {
        info!(pipeline = &*served.name, champion = version.version, beside, share, "two versions answer");
    }
    let is_new = before.is_none_or(|before| before.champion.version != version.version);
    served.slot.swap(serving);
    if !is_new {
        return Ok(Outcome::Current);
    }
    app.meters.swapped(&served.name, version.version);
    Ok(Outcome::Swapped(version.version))
}

/// Who answers beside the champion, and what share of the requests. An alias moves a moment before its rollout says so.
fn beside(rollout: Option<&Rollout>, champion: u64) -> Option<(u64, f64)> {
    let rollout = rollout.filter(|rollout| rollout.stage.is_open())?;
    match rollout.stage {
        Stage::Shadow | Stage::Canary if champion == rollout.champion => Some((rollout.challenger, rollout.share)),
        _ if champion == rollout.challenger => Some((rollout.champion, 0.0)),
        _ => None,
    }
}

/// A version in memory: the one that is there already, or one that is loaded, checked and warmed up.
async fn load(
    app: &App,
    served: &Served,
    before: Option<&Serving>,
    version: &ModelVersion,
) -> Result<Arc<LoadedModel>, Error> {
    let number = version.version;
    let beside = before.and_then(|serving| serving.beside.as_ref()).map(|beside| &beside.model);
    let there = before.map(|serving| &serving.champion).into_iter().chain(beside);
    if let Some(model) = there.into_iter().find(|model| model.version == number) {
        return Ok(Arc::clone(model));
    }
    let bytes = app.catalog.artifact(version).await?;
    let name = Arc::clone(&served.name);
    // Decoding a large model takes a while, and requests go on meanwhile.
    tokio::task::spawn_blocking(move || LoadedModel::load(&name, number, &bytes))
        .await
        .map_err(|_| Error::Panicked(number))?
        .map_err(|error| Error::Model { version: number, error })
}

/// Keeps one pipeline's model current until `cancel` fires.
pub(crate) async fn keep_current(
    app: Arc<App>,
    served: Arc<Served>,
    cancel: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let backoff = || Backoff::new(FIRST_RETRY, RECHECK, app.seed);
    let mut retry = backoff();
    loop {
        let pause = match refresh(&app, &served).await {
            Ok(outcome) => {
                if let Outcome::Swapped(version) = outcome {
                    info!(pipeline = &*served.name, version, "a new model serves");
                }
                retry = backoff();
                RECHECK
            }
            Err(error) => {
                app.meters.swap_failed(&served.name);
                let pause = retry.pause();
                let serving = served.slot.get().map(|model| model.version);
                warn!(pipeline = &*served.name, %error, ?serving, ?pause, "the champion cannot be loaded; trying again");
                pause
            }
        };
        tokio::select! {
            () = served.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => return Ok(()),
        }
    }
}

/// Takes one announcement.
pub(crate) fn announced(app: &App, payload: &[u8]) {
    match serde_json::from_slice::<AliasEvent>(payload) {
        Ok(event) if event.alias == CHAMPION || event.alias == CHALLENGER => {
            if let Some(served) = app.pipelines.get(event.pipeline.as_str()) {
                served.wake.notify_one();
            }
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "an announcement of the registry cannot be read; passing over it"),
    }
}
