//! What a source that is no file works with.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use driftmill_platform::clock::SharedClock;
use driftmill_schemas::record::framing::SchemaRef;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Fingerprint, Position};
use crate::progress::Progress;
use crate::surroundings::Surroundings;

/// Where a source is opened.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub position: Position,
    /// What the source wrote down with the last item that was acknowledged.
    pub state: Option<Arc<str>>,
    /// Offsets of another topic that are read next.
    pub places: BTreeMap<i32, i64>,
    /// Items that are acknowledged and may come again.
    pub known: BTreeSet<Fingerprint>,
    pub live: Live,
}

/// What is around a source.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub runtime: Handle,
    /// Ends its waiting.
    pub cancel: CancellationToken,
    pub progress: watch::Sender<Progress>,
    pub clock: SharedClock,
    /// How this job's records name their schema.
    pub framing: SchemaRef,
    pub around: Surroundings,
}

impl Live {
    /// Waits for `work` on this thread, which may block; `None` when the run is over.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => None,
                done = work => Some(done),
            }
        })
    }
}
