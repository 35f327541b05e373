//! Keeps the serving models those that the registry names.
//!
//! One task a pipeline asks the registry at the start, whenever an announcement wakes it, and every half minute in case
//! an announcement was lost. Announcements only wake: what they say is read from the registry, so a stale or repeated
//! one does no harm.

use std::sync::Arc;
use std::time::Duration;

use driftmill_platform::backoff::Backoff;
use driftmill_platform::registry;
use driftmill_schemas::message::AliasEvent;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::{App, Served};
use crate::model::{self, LoadedModel};

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

/// Asks the registry for the champion and puts it into service if it is another one. On an error the old one serves on.
pub(crate) async fn refresh(app: &App, served: &Served) -> Result<Outcome, Error> {
    let Some(version) = app.catalog.champion(&served.name).await? else {
        served.slot.settle();
        return Ok(Outcome::NoChampion);
    };
    let number = version.version;
    if served.slot.get().is_some_and(|serving| serving.version == number) {
        return Ok(Outcome::Current);
    }
    let bytes = app.catalog.artifact(&version).await?;
    let name = Arc::clone(&served.name);
    // Decoding a large model takes a while, and requests go on meanwhile.
    let loaded = tokio::task::spawn_blocking(move || LoadedModel::load(&name, number, &bytes))
        .await
        .map_err(|_| Error::Panicked(number))?
        .map_err(|error| Error::Model { version: number, error })?;
    served.slot.swap(loaded);
    app.meters.swapped(&served.name, number);
    Ok(Outcome::Swapped(number))
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
        Ok(event) if event.alias == registry::CHAMPION => {
            if let Some(served) = app.pipelines.get(event.pipeline.as_str()) {
                served.wake.notify_one();
            }
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "an announcement of the registry cannot be read; passing over it"),
    }
}
