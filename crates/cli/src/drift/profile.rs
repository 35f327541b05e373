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
    // The newest version, where none is asked for: its panes come last, and those before it are let go.
    let mut all: Option<PaneSet> = None;
    let mut failed = None;
    read_history(&context.settings.kafka, registry, &asked.pipeline, &cancel, |stored, _| {
        let version = stored.pane.model_version;
        if stored.stream != stream || asked.version.is_some_and(|wanted| wanted != version) {
            return;
        }
        if all.as_ref().is_some_and(|held| held.model_version() > version) {
            return;
        }
        if all.as_ref().is_none_or(|held| held.model_version() < version) {
            all = Some(PaneSet::new(&stored.layout, version).of(stream));
        }
        if let Some(all) = &mut all {
            failed = failed.take().or(all.insert(stored.pane).err());
        }
    })
    .await?;
    if let Some(error) = failed {
        return Err(error).context("a stored pane");
    }
    let Some(all) = all else { bail!("the topic of `{}`'s profiles holds no such pane", asked.pipeline) };
    let version = all.model_version();
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
