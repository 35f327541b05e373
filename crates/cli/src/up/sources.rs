//! The sources that `driftmill up` starts by itself.

use driftmill_platform::supervisor::{OnError, Supervisor};
use driftmill_producers::Progress;
use driftmill_schemas::pipeline::Start;
use tokio::sync::watch;
use tracing::info;

use crate::context::Context;
use crate::roles::produce::{Overrides, job, send, services};

/// Spawns every automatic source. One that fails does not stop the rest: its records are where they were.
pub fn spawn(context: &Context, supervisor: &mut Supervisor) {
    for loaded in &context.pipelines {
        for source in loaded.pipeline.sources.iter().filter(|source| source.start == Start::Automatic) {
            let (context, loaded, source) = (context.clone(), loaded.clone(), source.clone());
            let name = format!("source {} of {}", source.name, loaded.pipeline.name);
            supervisor.spawn(name, OnError::Log, move |cancel| async move {
                let job =
                    job(&context, loaded, source, Overrides::default(), &cancel).await.map_err(|e| e.to_string())?;
                let (pipeline, source) = (job.loaded.pipeline.name.clone(), job.source.name.clone());
                let (progress, _) = watch::channel(Progress::default());
                let sent = send(job, services(&context, progress), cancel).await;
                let summary = sent.map_err(|e| e.to_string())?;
                let (sent, unreadable) = (summary.sent, summary.unreadable);
                info!(pipeline, source, sent, unreadable, "a source has sent what it has");
                Ok::<(), String>(())
            });
        }
    }
}
