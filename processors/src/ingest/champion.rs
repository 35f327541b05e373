//! The reference profile of the model that serves: what live values are counted against.

use std::sync::Arc;
use std::time::Duration;

use driftmill_drift::Layout;
use driftmill_platform::config;
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::kafka;
use driftmill_platform::registry::{self, CHAMPION, ModelVersion, Registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::references::layout;

/// A serving model's reference.
#[derive(Debug)]
pub struct Champion {
    /// Its version.
    pub version: u64,
    /// The profile of the rows it was fitted on, ready to count into.
    pub layout: Arc<Layout>,
}

/// What is known of the model that serves.
#[derive(Debug, Clone, Default)]
pub enum Known {
    /// Nobody has looked yet. Rows wait: were they not counted, a restart would leave a hole in the profiles.
    #[default]
    NotYet,
    /// No model serves.
    Nobody,
    /// This one does.
    Serves(Arc<Champion>),
}

/// What is known of the champion, as it changes.
pub type Slot = watch::Receiver<Known>;

/// Keeps the slot of `pipeline` up to date until `cancel` fires.
pub async fn follow(
    pipeline: String,
    registry: Registry,
    kafka: config::Kafka,
    slot: watch::Sender<Known>,
    cancel: CancellationToken,
) -> Result<(), kafka::Error> {
    let slot = Arc::new(slot);
    look(&pipeline, &registry, &slot, &cancel).await;
    registry::follow(registry.clone(), &kafka, vec![pipeline.clone()], CHAMPION, cancel, |version| {
        let (registry, slot, pipeline) = (registry.clone(), Arc::clone(&slot), pipeline.clone());
        async move {
            let reference = reference(&registry, &version).await;
            // One that cannot be counted against is like none, until it can.
            let is_first = matches!(*slot.borrow(), Known::NotYet);
            let reference = reference.map_err(|(retry, error)| {
                if is_first && retry == Retry::Never {
                    slot.send_replace(Known::Nobody);
                }
                error
            })?;
            info!(pipeline, version = version.version, "counting against this model's reference");
            slot.send_replace(Known::Serves(Arc::new(Champion { version: version.version, layout: reference })));
            Ok::<(), String>(())
        }
    })
    .await
}

async fn reference(registry: &Registry, version: &ModelVersion) -> Result<Arc<Layout>, (Retry, String)> {
    let json = registry.reference(version).await.map_err(|e| (e.retry(), e.to_string()))?;
    layout(&json).map_err(|error| (Retry::Never, error))
}

/// Finds out whether any model serves, however long the registry takes to answer.
async fn look(pipeline: &str, registry: &Registry, slot: &watch::Sender<Known>, cancel: &CancellationToken) {
    let asking = async {
        loop {
            match registry.resolve(pipeline, CHAMPION).await {
                Ok(None) => {
                    slot.send_replace(Known::Nobody);
                    break;
                }
                Ok(Some(_)) => break,
                Err(error) => {
                    warn!(pipeline, %error, "the registry does not answer; trying again");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = asking => {}
    }
}

/// How soon a registry that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
