//! The references of model versions, read from the registry once each.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftmill_drift::{Layout, ReferenceProfile};
use driftmill_platform::error::{Retry, Retryable as _};
use driftmill_platform::registry::{self, Registry};
use driftmill_platform::stage::Error;
use tracing::warn;

/// Versions that are remembered; the lowest goes first.
const REMEMBERED: usize = 8;

/// A stored reference, ready to count into.
///
/// # Errors
/// What is wrong with it, for people.
pub fn layout(json: &[u8]) -> Result<Arc<Layout>, String> {
    let damaged = |error: String| format!("its reference profile is damaged: {error}");
    let reference: ReferenceProfile = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
    Layout::new(reference).map_err(|e| damaged(e.to_string()))
}

/// What a registry's error is to a stage.
pub fn failed(stage: &str, error: &registry::Error) -> Error {
    let (stage, reason) = (stage.to_owned(), error.to_string());
    match error.retry() {
        Retry::Later => Error::Waiting { stage, reason },
        Retry::Never => Error::Stage { stage, reason },
    }
}

/// References of one pipeline.
#[derive(Debug)]
pub struct References {
    registry: Registry,
    pipeline: String,
    known: BTreeMap<u64, Option<Arc<Layout>>>,
}

impl References {
    /// Nothing is read yet.
    pub fn new(registry: Registry, pipeline: &str) -> Self {
        Self { registry, pipeline: pipeline.to_owned(), known: BTreeMap::new() }
    }

    /// The registry they come from.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The reference of a version; `None` when there is none (any more) or it is damaged, which one record must not stop us
    /// by.
    ///
    /// # Errors
    /// What trying again may cure.
    pub async fn of(&mut self, version: u64) -> Result<Option<Arc<Layout>>, registry::Error> {
        if let Some(known) = self.known.get(&version) {
            return Ok(known.clone());
        }
        let found = async {
            let version = self.registry.version(&self.pipeline, version).await?;
            self.registry.reference(&version).await
        };
        let layout = match found.await {
            Ok(json) => layout(&json),
            Err(error) if error.retry() == Retry::Later => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        let layout = layout
            .inspect_err(|error| {
                warn!(pipeline = self.pipeline, version, error, "this version has no reference: it is not watched");
            })
            .ok();
        self.known.insert(version, layout.clone());
        if self.known.len() > REMEMBERED {
            // Not the one that is in use now: after a roll-back it is the lowest.
            let lowest = self.known.keys().copied().find(|known| *known != version);
            lowest.map(|lowest| self.known.remove(&lowest));
        }
        Ok(layout)
    }
}
