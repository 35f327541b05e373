//! The place a pipeline's model is served from, and the version that is compared with it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::LoadedModel;
use crate::request_id::RequestId;

/// What serves.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    /// The champion.
    pub(crate) champion: Arc<LoadedModel>,
    /// A version that is compared with it.
    pub(crate) beside: Option<Beside>,
    /// One that was to be, and why it cannot be loaded.
    pub(crate) unloadable: Option<Unloadable>,
}

/// A version, and why it cannot be loaded.
pub(crate) type Unloadable = (u64, Arc<str>);

/// A version beside the champion.
#[derive(Debug, Clone)]
pub(crate) struct Beside {
    pub(crate) model: Arc<LoadedModel>,
    /// Share of the requests that it answers; those that it does not, it answers unheard.
    pub(crate) share: f64,
}

/// Who answers a request.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    /// Whose answer is heard.
    pub(crate) model: Arc<LoadedModel>,
    /// Who answers unheard, and instead of one that fails.
    pub(crate) other: Option<Arc<LoadedModel>>,
    /// Who would, if it could be loaded.
    pub(crate) unloadable: Option<Unloadable>,
}

impl Chosen {
    /// That version and no other.
    pub(crate) fn only(model: Arc<LoadedModel>) -> Self {
        Self { model, other: None, unloadable: None }
    }
}

/// Holds what serves. A request takes it once and keeps it to its end, so every answer is whole and of one version, and a swap
/// waits for nobody.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    // Held for the copy of a pointer, never across an await.
    serving: RwLock<Option<Arc<Serving>>>,
    settled: AtomicBool,
}

impl Slot {
    /// What serves; `None` before the first model.
    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The champion; `None` before the first one.
    pub(crate) fn get(&self) -> Option<Arc<LoadedModel>> {
        self.serving().map(|serving| Arc::clone(&serving.champion))
    }

    /// Who answers the request of that id: the same for the same id.
    pub(crate) fn choose(&self, id: &RequestId) -> Option<Chosen> {
        let serving = self.serving()?;
        let champion = Arc::clone(&serving.champion);
        let Some(beside) = &serving.beside else {
            return Some(Chosen { unloadable: serving.unloadable.clone(), ..Chosen::only(champion) });
        };
        let other = Arc::clone(&beside.model);
        let (model, other) = if falls_within(id, beside.share) { (other, champion) } else { (champion, other) };
        Some(Chosen { model, other: Some(other), unloadable: None })
    }

    /// Puts `serving` into service; what served before answers what it has begun.
    pub(crate) fn swap(&self, serving: Serving) {
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(serving));
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

/// Whether an id is among that share of all ids.
fn falls_within(id: &RequestId, share: f64) -> bool {
    let mut hasher = DefaultHasher::new();
    id.as_str().hash(&mut hasher);
    let uniform = (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
    uniform < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_ids_falls_within_it_and_always_the_same() {
        let ids: Vec<RequestId> = (0..10_000).map(|i| RequestId::from(format!("request-{i}").as_str())).collect();
        for share in [0.0, 0.05, 0.25, 1.0] {
            let within = ids.iter().filter(|id| falls_within(id, share)).count() as f64 / 10_000.0;
            assert!((within - share).abs() < 0.01, "{share}: {within}");
        }
        // Whoever falls within a share falls within a larger one: nobody goes back and forth.
        assert!(ids.iter().filter(|id| falls_within(id, 0.05)).all(|id| falls_within(id, 0.25)));
    }
}
