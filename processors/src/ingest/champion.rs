//! The reference profile of the model that serves: what live values are counted against.

use std::sync::Arc;

use driftmill_drift::{Layout, ReferenceProfile};
use driftmill_platform::config;
use driftmill_platform::kafka;
use driftmill_platform::registry::{self, CHAMPION, Registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// A serving model's reference.
#[derive(Debug)]
pub struct Champion {
    /// Its version.
    pub version: u64,
    /// The profile of the rows it was fitted on, ready to count into.
    pub layout: Arc<Layout>,
}

/// The champion's reference, as it changes; `None` until there is one.
pub type Slot = watch::Receiver<Option<Arc<Champion>>>;

/// Keeps the slot of `pipeline` up to date until `cancel` fires.
pub async fn follow(
    pipeline: String,
    registry: Registry,
    kafka: config::Kafka,
    slot: watch::Sender<Option<Arc<Champion>>>,
    cancel: CancellationToken,
) -> Result<(), kafka::Error> {
    let slot = Arc::new(slot);
    registry::follow(registry.clone(), &kafka, vec![pipeline.clone()], CHAMPION, cancel, |version| {
        let (registry, slot, pipeline) = (registry.clone(), Arc::clone(&slot), pipeline.clone());
        async move {
            let json = registry.reference(&version).await.map_err(|e| e.to_string())?;
            let reference: ReferenceProfile =
                serde_json::from_slice(&json).map_err(|e| format!("its reference profile is damaged: {e}"))?;
            info!(pipeline, version = version.version, "counting against this model's reference");
            let layout = Layout::new(reference).map_err(|e| e.to_string())?;
            slot.send_replace(Some(Arc::new(Champion { version: version.version, layout })));
            Ok::<(), String>(())
        }
    })
    .await
}
