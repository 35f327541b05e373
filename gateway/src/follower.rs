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

/// Asks the registry who serves, and puts it into service if that is another. On an error the old one serves on. The champion comes
/// first: what is compared with it holds up nothing.
pub(crate) async fn refresh(app: &App, served: &Served) -> Result<Outcome, Error> {
    let Some(version) = app.catalog.champion(&served.name).await? else {
        served.slot.settle();
        return Ok(Outcome::NoChampion);
    };
    let before = served.slot.serving();
    let rollout = app.catalog.rollout(&served.name).await;
    let wanted = rollout.as_ref().ok().and_then(|rollout| Wanted::of(rollout.as_ref()?, version.version));
    let champion = match load(app, served, before.as_deref(), &version).await {
        Ok(champion) => champion,
        Err(error) => {
            stand_in(app, served, before.as_deref(), wanted).await;
            return Err(error);
        }
    };
    let in_memory = wanted.and_then(|wanted| {
        let model = find(before.as_deref(), wanted.version)?;
        Some(Beside { model, share: wanted.share })
    });
    let is_missing = wanted.is_some() && in_memory.is_none();
    let is_new = before.as_deref().is_none_or(|before| before.champion.version != version.version);
    if is_new || !is_missing {
        put(served, Serving { champion: Arc::clone(&champion), beside: in_memory, unloadable: None });
    }
    if is_new {
        app.meters.swapped(&served.name, version.version);
    }
    let outcome = if is_new { Outcome::Swapped(version.version) } else { Outcome::Current };
    // What is compared is looked for again soon where the registry does not answer.
    rollout?;
    let Some(wanted) = wanted.filter(|_| is_missing) else { return Ok(outcome) };
    let beside = app.catalog.version(&served.name, wanted.version).await?;
    let serving = match load(app, served, before.as_deref(), &beside).await {
        Ok(model) => Serving { champion, beside: Some(Beside { model, share: wanted.share }), unloadable: None },
        Err(error @ Error::Registry(_)) => return Err(error),
        Err(error) => {
            // Nobody is served worse for its sake; every request that it might have answered says that it could not.
            app.meters.swap_failed(&served.name);
            let number = wanted.version;
            warn!(pipeline = &*served.name, version = number, %error, "a version cannot be compared with the one that serves");
            let unloadable = wanted.is_challenger.then(|| (number, Arc::from(error.to_string())));
            Serving { champion, beside: None, unloadable }
        }
    };
    put(served, serving);
    Ok(outcome)
}

/// Puts it into service, unless that is what serves.
fn put(served: &Served, serving: Serving) {
    let of = |serving: &Serving| {
        let beside = serving.beside.as_ref().map(|beside| (beside.model.version, beside.share));
        (serving.champion.version, beside, serving.unloadable.as_ref().map(|(version, _)| *version))
    };
    if served.slot.serving().is_some_and(|before| of(&before) == of(&serving)) {
        return;
    }
    if let (champion, Some((beside, share)), _) = of(&serving) {
        info!(pipeline = &*served.name, champion, beside, share, "two versions answer");
    }
    served.slot.swap(serving);
}

/// Where nothing serves yet and the champion cannot, the earlier one does, which its probation keeps ready.
async fn stand_in(app: &App, served: &Served, before: Option<&Serving>, wanted: Option<Wanted>) {
    let Some(wanted) = wanted.filter(|wanted| before.is_none() && !wanted.is_challenger) else { return };
    let Ok(version) = app.catalog.version(&served.name, wanted.version).await else { return };
    if let Ok(champion) = load(app, served, None, &version).await {
        warn!(
            pipeline = &*served.name,
            version = wanted.version,
            "the earlier champion serves: the present one cannot be loaded"
        );
        app.meters.swapped(&served.name, wanted.version);
        put(served, Serving { champion, beside: None, unloadable: None });
    }
}

/// Who answers beside the champion.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    version: u64,
    /// Share of the requests that it answers.
    share: f64,
    /// Whether it is to take over.
    is_challenger: bool,
}

impl Wanted {
    /// By the newest step of a rollout. An alias moves a moment before its rollout says so.
    fn of(rollout: &Rollout, champion: u64) -> Option<Self> {
        match rollout.stage {
            Stage::Shadow | Stage::Canary if champion == rollout.champion => {
                Some(Self { version: rollout.challenger, share: rollout.share, is_challenger: true })
            }
            Stage::Shadow | Stage::Canary | Stage::Probation if champion == rollout.challenger => {
                Some(Self { version: rollout.champion, share: 0.0, is_challenger: false })
            }
            _ => None,
        }
    }
}

fn find(before: Option<&Serving>, number: u64) -> Option<Arc<LoadedModel>> {
    let beside = before.and_then(|serving| serving.beside.as_ref()).map(|beside| &beside.model);
    let there = before.map(|serving| &serving.champion).into_iter().chain(beside);
    there.into_iter().find(|model| model.version == number).cloned()
}

/// A version in memory: the one that is there already, or one that is loaded, checked and warmed up.
async fn load(
    app: &App,
    served: &Served,
    before: Option<&Serving>,
    version: &ModelVersion,
) -> Result<Arc<LoadedModel>, Error> {
    let number = version.version;
    if let Some(model) = find(before, number) {
        return Ok(model);
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
