//! `driftmill drift release`: a person says that a window in quarantine was sound.

use anyhow::bail;
use driftmill_platform::registry::Release;
use tokio_util::sync::CancellationToken;

use super::args::Release as Asked;
use super::events;
use crate::context::Context;
use crate::text::escaped;
use crate::{person, time};

/// Releases a window.
pub async fn run(context: &Context, asked: &Asked) -> anyhow::Result<()> {
    context.prepare(&CancellationToken::new()).await?;
    let event = events::window(context, &asked.pipeline, Some(&asked.window)).await?;
    let name = escaped(&event.window);
    if event.verdict != "quarantine" {
        bail!("window {name} is not in quarantine: it was judged `{}`", event.verdict);
    }
    if let Some(before) = of(context, &asked.pipeline, &event.window).await? {
        bail!("window {name} was released before: {}", told(&before));
    }
    context.registry.release(&asked.pipeline, &event.window, &person::who(), &asked.reason).await?;
    println!("the rows of window {name} are learned from again, from the next training on");
    Ok(())
}

/// The release of a window, if there was one.
pub async fn of(context: &Context, pipeline: &str, window: &str) -> anyhow::Result<Option<Release>> {
    let releases = context.registry.releases(pipeline).await?;
    Ok(releases.into_iter().find(|release| release.window == window))
}

/// Who released a window, when and why.
pub fn told(release: &Release) -> String {
    format!("released {} by {}: {}", time::short(release.at), escaped(&release.who), escaped(&release.reason))
}
