//! The place a pipeline's model is served from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::LoadedModel;

/// Holds the serving model. A request takes it once and keeps it to its end, so every answer is whole and of one
/// version, and a swap waits for nobody.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    // Held for the copy of a pointer, never across an await.
    model: RwLock<Option<Arc<LoadedModel>>>,
    settled: AtomicBool,
}

impl Slot {
    /// The serving model; `None` before the first one.
    pub(crate) fn get(&self) -> Option<Arc<LoadedModel>> {
        self.model.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts `model` into service; the one before answers what it has begun.
    pub(crate) fn swap(&self, model: Arc<LoadedModel>) {
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Some(model);
        self.settle();
    }

    /// Notes that the registry has been asked, and that what it named, if anything, is loaded.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Whether that has happened. It stays so: a later champion that does not load leaves the old one serving.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }
}
