//! Other forms of a model that are not stored with it.

use std::sync::{Arc, OnceLock};

/// What is made of a model when it is decoded or first asked, or `None` where it cannot be. Says nothing new, so all are equal.
#[derive(Debug)]
pub(crate) struct Derived<T>(OnceLock<Option<Arc<T>>>);

impl<T> Derived<T> {
    pub fn get(&self, make: impl FnOnce() -> Option<T>) -> Option<&T> {
        self.0.get_or_init(|| make().map(Arc::new)).as_deref()
    }
}

impl<T> Clone for Derived<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Derived<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<T> PartialEq for Derived<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
