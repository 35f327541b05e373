//! `driftmill drift profile`: what was counted, added up.

use anyhow::{Context as _, bail};
use driftmill_drift::{PaneSet, Stream};
use driftmill_processors::drift::read_history;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::Profile;
use crate::context::Context;
use crate::shutdown;

/// Adds up the stored panes of one version and stream, and prints the counts as JSON: a function of the rows alone, however
/// they were spread over partitions, cut into batches, or read again after a crash.
pub async fn run(context: &Context, asked: &Profile) -> anyhow::Result<()> {
    let stream = if asked.stream == Stream::Predictions.name() { Stream::Predictions } else { Stream::Records };
    let cancel = CancellationToken::new();
    shutdown::listen(cancel.clone())?;
    let registry = context.registry.clone();
    let history = read_history(&context.settings.kafka, registry, &asked.pipeline, &cancel, |_, _| {}).await?;
    let mut panes: Vec<_> = history
        .panes
        .into_iter()
        .filter(|stored| stored.stream == stream && asked.version.is_none_or(|of| of == stored.pane.model_version))
        .collect();
    let Some(version) = panes.iter().map(|stored| stored.pane.model_version).max() else {
        bail!("the topic of `{}`'s profiles holds no such pane", asked.pipeline);
    };
    panes.retain(|stored| stored.pane.model_version == version);
    let mut all: Option<PaneSet> = None;
    for stored in panes {
        let all = all.get_or_insert_with(|| PaneSet::new(&stored.layout, version).of(stream));
        all.insert(stored.pane).context("a stored pane")?;
    }
    let Some(all) = all else { return Ok(()) };
    let profile = all.profile()?;
    let counted = json!({
        "pipeline": asked.pipeline,
        "stream": stream,
        "model_version": version,
        "rejected": all.rejected(),
        "ranges": all.ranges(),
        "profile": profile.to_sparse(),
    });
    println!("{counted}");
    Ok(())
}
